"""TAXII 2.1 as seen from the client: poll a collection from where one left off, and push to one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from gateway_guard.errors import UNDECODABLE, IntelError
from gateway_guard.intel.http import Reply, Web, retry_after, retry_hint
from gateway_guard.intel.indicator import named
from gateway_guard.intel.stix_reading import objects_of
from gateway_guard.intel.taxii import MEDIA_TYPE
from gateway_guard.intel.times import parse_stamp

#: Most bytes of one page, pages and bytes of one poll.
MAX_PAGE: Final = 16 << 20
MOST_PAGES: Final = 1_000
MAX_POLL: Final = 256 << 20
#: Objects pushed at once, and how often the status of a push is asked for.
_BATCH: Final = 200
_MOST_LOOKS: Final = 20
_LONGEST_NEXT: Final = 1_024
#: Seconds by which clocks of servers are believed to differ.
_CLOCKS_APART: Final = 300.0


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """One page of a poll.

    Attributes:
        objects: STIX objects.
        cursor: `added_after` for the next poll, once this one is complete; empty when unknown.
        etag: what the server called the answer; empty when it did not, or there were others.
        last: whether the poll is complete with it.
    """

    objects: list[Mapping[str, Any]]
    cursor: str
    etag: str
    last: bool


class Pushed(msgspec.Struct, kw_only=True):
    """What became of a push: objects taken and refused, and why the first of these."""

    taken: int = 0
    refused: int = 0
    pending: int = 0
    messages: list[str] = []


def poll(
    web: Web, *, now: float, added_after: str = "", etag: str = "", page: int = 1_000
) -> Iterator[Page]:
    """What was added to the collection at `web.base` after `added_after`, page by page.

    Nothing comes when the server says that nothing changed since `etag`. `now` is Unix seconds: a
    server whose clock is ahead says moments to come, after which nothing is added for as long.

    Raises:
        IntelError: the server does not answer as TAXII 2.1 asks; says how, and what to do.
    """
    params = {"limit": str(page)} | ({"added_after": added_after} if added_after else {})
    headers = {"accept": MEDIA_TYPE} | ({"if-none-match": etag} if etag else {})
    cursor, total, before = added_after, 0, b""
    for number in range(MOST_PAGES):
        reply = web.ask("GET", "objects/", most=MAX_PAGE, params=params, headers=headers)
        if reply.status == 304 and number == 0 and etag:
            return
        document = _document(web, reply, 200)
        total += len(reply.body)
        if total > MAX_POLL:
            raise IntelError(f"{web.host} sends more than {MAX_POLL:,} bytes in one poll")
        objects = objects_of({"objects": document.get("objects", [])})
        added = reply.headers.get("x-taxii-date-added-last", "")
        last = parse_stamp(added)
        if objects and last is not None and last <= now + _CLOCKS_APART:
            cursor = added
        more, token = document.get("more") is True, document.get("next")
        again = number == 0 and not more and cursor == added_after
        yield Page(
            objects=objects, cursor=cursor, last=not more,
            etag=reply.headers.get("etag", "")[:200] if again else "",
        )  # fmt: skip
        if not more:
            return
        following = _following(token, params, objects, added)
        if following is None:
            raise IntelError(f"{web.host} says there is more, but not where (`next`)")
        # Some servers call every next page by one name, so the name says nothing; and some leave
        # out of a page what one may not see, up to all of it.
        if reply.body == before:
            raise IntelError(f"{web.host} says there is more, and gives the same again and again")
        before = reply.body
        params = following
        headers = {"accept": MEDIA_TYPE}
    raise IntelError(f"{web.host} has more than {MOST_PAGES:,} pages for one poll")


def _following(
    token: object, params: Mapping[str, str], objects: Sequence[object], added: str
) -> dict[str, str] | None:
    """How to ask for the page behind one that `params` asked for; None when nobody can know.

    Servers may leave out `next`: then it goes on after the last moment (TAXII 2.1 §3.5), as long as
    that moves.
    """
    if token is None:
        before, last = parse_stamp(params.get("added_after")), parse_stamp(added)
        if not objects or last is None or (before is not None and last <= before):
            return None
        return {"limit": params["limit"], "added_after": added}
    if not isinstance(token, str) or not 0 < len(token) <= _LONGEST_NEXT:
        return None
    return {**params, "next": token}


def push(
    web: Web, objects: Sequence[Mapping[str, Any]], *, wait: Callable[[float], None]
) -> Pushed:
    """Add `objects` to the collection at `web.base`, some at a time.

    Args:
        wait: waits so many seconds before a status is asked for again.

    Raises:
        IntelError: the server does not take them; says why.
    """
    done = Pushed()
    for start in range(0, len(objects), _BATCH):
        content = msgspec.json.encode({"objects": objects[start : start + _BATCH]})
        reply = web.ask(
            "POST", "objects/", most=MAX_PAGE, content=content,
            headers={"accept": MEDIA_TYPE, "content-type": MEDIA_TYPE},
        )  # fmt: skip
        status = _document(web, reply, 202)
        for look in range(_MOST_LOOKS):
            if status.get("status") != "pending" or not isinstance(status.get("id"), str):
                break
            wait(min(0.25 * 2**look, 5.0))
            # The API root, where states are asked for, is two levels above a collection.
            target = f"../../status/{status['id']}/"
            reply = web.ask("GET", target, most=MAX_PAGE, headers={"accept": MEDIA_TYPE})
            status = _document(web, reply, 200)
        done.taken += _number(status.get("success_count"))
        done.refused += _number(status.get("failure_count"))
        done.pending += _number(status.get("pending_count"))
        failures = status.get("failures")
        for one in failures if isinstance(failures, list) else []:
            if isinstance(one, dict) and len(done.messages) < 20:
                text = named(one.get("message"), "no reason given")
                done.messages.append(f"{named(one.get('id'), 'an object')}: {text}")
    return done


def collections(web: Web) -> list[tuple[str, str, bool, bool]]:
    """(id, title, whether it can be read, written) of the collections of an API root.

    Raises:
        IntelError: the server does not say.
    """
    reply = web.ask("GET", "collections/", most=MAX_PAGE, headers={"accept": MEDIA_TYPE})
    listed = _document(web, reply, 200).get("collections", [])
    found = []
    for one in listed if isinstance(listed, list) else []:
        if isinstance(one, dict) and isinstance(one.get("id"), str):
            title = named(one.get("title"), "untitled")
            found.append((one["id"][:100], title, one.get("can_read") is True,
                          one.get("can_write") is True))  # fmt: skip
    return found


def _document(web: Web, reply: Reply, expected: int) -> dict[str, Any]:
    if reply.status != expected:
        raise IntelError(
            f"{web.host} answers {reply.status}{_why(reply)}",
            after=retry_after(reply, now=time.time()),
        )
    kind = reply.headers.get("content-type", "")
    if not kind.replace(" ", "").lower().startswith("application/taxii+json"):
        raise IntelError(
            f"{web.host} answers {kind[:60]!r} instead of {MEDIA_TYPE}: is this the URL of a TAXII "
            "2.1 collection, …/collections/ID/?"
        )
    try:
        document = msgspec.json.decode(reply.body)
    except UNDECODABLE:
        document = None
    if not isinstance(document, dict):
        raise IntelError(f"{web.host} answers something that is no JSON object")
    return document


def _why(reply: Reply) -> str:
    if reply.status in (401, 403):
        return ": name and password (--user, --password-file) are not right for it, or it is closed"
    if reply.status in (301, 302, 307, 308):
        return ", a redirect: name the URL it leads to"
    if reply.status in (429, 503):
        return retry_hint(reply)
    try:
        document = msgspec.json.decode(reply.body)
    except UNDECODABLE:
        return ""
    title = named(document.get("title"), "") if isinstance(document, dict) else ""
    return f": {title}" if title else ""


def _number(value: object) -> int:
    return value if type(value) is int and 0 <= value < 10**9 else 0
