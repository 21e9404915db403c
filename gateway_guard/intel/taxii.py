"""TAXII 2.1 as seen from the server: question → answer. Read-only. Pure.

    GET /taxii2/                                        discovery
    GET /shared/                                        the one API root
    GET /shared/collections/ [{id}/]
    GET /shared/collections/{id}/manifest/
    GET /shared/collections/{id}/objects/ [{object-id}/ [versions/]]

Filters: `added_after`, `limit`, `next`, `match[id|type|version|spec_version]`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import msgspec

from gateway_guard.intel.collection import Collection, Entry
from gateway_guard.intel.times import parse_stamp
from gateway_guard.types.veiled import Veiled

MEDIA_TYPE: Final = "application/taxii+json;version=2.1"
_STIX: Final = "application/stix+json;version=2.1"
ROOT: Final = "/shared/"
#: Objects of a page, unless the client asks for fewer.
PAGE: Final = 1_000
#: Bytes of a request nobody may send more of; nothing is written here.
_MAX_CONTENT: Final = 1_048_576
#: Values of one filter.
_MOST_VALUES: Final = 100
_ACCEPTED: Final = re.compile(
    r"\s*(?:application/taxii\+json|application/\*|\*/\*)\s*((?:;[^,]*)?)",
    re.ASCII | re.IGNORECASE,
)
_VERSION: Final = re.compile(r"""version\s*=\s*"?([^";\s]*)""", re.ASCII | re.IGNORECASE)
#: What is not acceptable (RFC 9110 §12.4.2).
_REFUSED: Final = re.compile(r";\s*q=0(?:\.0{0,3})?\s*(?:;|$)", re.ASCII | re.IGNORECASE)


class Ask(Veiled, msgspec.Struct, frozen=True, kw_only=True):
    """One request. `headers` have lower-case names; `query` is decoded, in order."""

    veiled = frozenset(("headers",))

    method: str
    path: str
    query: Sequence[tuple[str, str]] = ()
    headers: Mapping[str, str] = {}


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What is answered; `body` is empty for a 304."""

    status: int
    headers: dict[str, str]
    body: bytes


class Wrong(Exception):  # noqa: N818 - it is an answer, not a fault of this program
    """An answer that is an error."""

    def __init__(
        self, status: int, title: str, hint: str, headers: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        super().__init__(title)
        self.status, self.title, self.hint, self.headers = status, title, hint, headers


def answer(ask: Ask, collection: Collection, users: Mapping[str, bytes], title: str) -> Answer:
    """What the server says. Total: never raises.

    Args:
        collection: what is served.
        users: name → SHA-256 of the password (`password_digest`).
        title: of the server, for people.
    """
    try:
        _authenticated(ask, users)
        return _answered(ask, collection, title)
    except Wrong as wrong:
        return _json(
            {"title": wrong.title, "description": wrong.hint, "http_status": str(wrong.status)},
            wrong.status,
            wrong.headers,
        )


def password_digest(password: str) -> bytes:
    """What is compared. Passwords are long and random, so no slow hash is needed."""
    return hashlib.sha256(password.encode("utf-8", "surrogatepass")).digest()


def _authenticated(ask: Ask, users: Mapping[str, bytes]) -> None:
    scheme, _, token = ask.headers.get("authorization", "").partition(" ")
    name, password = "", ""
    if scheme.lower() == "basic":
        try:
            text = base64.b64decode(token.strip(), validate=True).decode("utf-8")
            name, _, password = text.partition(":")
        except (binascii.Error, ValueError):
            pass
    # Compared in any case, so that time does not tell which names there are.
    expected = users.get(name, bytes(32))
    if not hmac.compare_digest(expected, password_digest(password)) or name not in users:
        raise Wrong(
            401, "Unauthorized", "HTTP Basic with a name and password of this server's list",
            {"www-authenticate": 'Basic realm="taxii", charset="UTF-8"'},
        )  # fmt: skip


def _answered(ask: Ask, collection: Collection, title: str) -> Answer:
    parts = ask.path.split("/")
    if len(ask.path) > 1_024 or not ask.path.endswith("/") or parts[0]:
        raise Wrong(404, "Not Found", "paths end in a slash; discovery is at /taxii2/")
    words = parts[1:-1]
    if words == ["taxii2"]:
        found: object = {"title": title, "default": ROOT, "api_roots": [ROOT]}
    elif words == ["shared"]:
        found = {"title": title, "versions": [MEDIA_TYPE], "max_content_length": _MAX_CONTENT}
    elif words == ["shared", "collections"]:
        found = {"collections": [_described(collection)]}
    elif words[:3] == ["shared", "collections", collection.id]:
        return _of_collection(ask, words[3:], collection)
    else:
        raise Wrong(404, "Not Found", "there is nothing here; discovery is at /taxii2/")
    _readable(ask)
    return _json(found)


def _of_collection(ask: Ask, words: list[str], collection: Collection) -> Answer:
    if (words == ["objects"] and ask.method == "POST") or ask.method == "DELETE":
        raise Wrong(403, "Forbidden", "this collection is only read here")
    if not words:
        _readable(ask)
        return _json(_described(collection))
    if words not in (["manifest"], ["objects"]) and not (
        words[0] == "objects" and (len(words) == 2 or words[2:] == ["versions"])
    ):
        raise Wrong(404, "Not Found", "a collection has manifest/ and objects/")
    _readable(ask)
    entries: Sequence[Entry] = collection.entries
    filters = _filters(ask.query)
    if words[0] == "objects" and len(words) > 1:
        entries = [entry for entry in entries if entry.id == words[1]]
        if not entries:
            raise Wrong(404, "Not Found", "there is no object of that id")
        if words[2:]:
            filters["match[version]"] = ("all",)
    page, more = _page(_matching(entries, filters), filters)
    key = "objects"
    items: list[object]
    if words == ["manifest"]:
        items = [
            {"id": e.id, "date_added": e.date_added, "version": e.version, "media_type": _STIX}
            for e in page
        ]
    elif words[2:]:
        key, items = "versions", [entry.version for entry in page]
    else:
        items = [entry.object for entry in page]
    body: dict[str, object] = {"more": more}
    if more:
        body["next"] = str(page[-1].added)
    if items:
        body[key] = items
    dates: dict[str, str] = {}
    if page:
        dates = {
            "x-taxii-date-added-first": page[0].date_added,
            "x-taxii-date-added-last": page[-1].date_added,
        }
    made = _json(body, 200, dates)
    etag = f'"{hashlib.sha256(made.body).hexdigest()[:32]}"'
    made.headers["etag"] = etag
    if etag in ask.headers.get("if-none-match", ""):
        return Answer(status=304, headers={"etag": etag}, body=b"")
    return made


def _readable(ask: Ask) -> None:
    if ask.method != "GET":
        raise Wrong(405, "Method Not Allowed", "only GET is answered here", {"allow": "GET"})
    accept = ask.headers.get("accept")
    if accept is None:
        return
    for part in accept[:4_096].split(","):
        match = _ACCEPTED.fullmatch(part)
        if match is not None and _REFUSED.search(match[1]) is None:
            version = _VERSION.search(match[1])
            if version is None or version[1] == "2.1":
                return
    raise Wrong(406, "Not Acceptable", f"answers are {MEDIA_TYPE}: send it as Accept")


def _filters(query: Sequence[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    known = ("added_after", "limit", "next", "match[id]", "match[type]", "match[version]",
             "match[spec_version]")  # fmt: skip
    found: dict[str, tuple[str, ...]] = {}
    for name, value in query:
        if name not in known:
            continue  # as the standard asks: unknown ones are ignored
        values = tuple(value.split(","))
        if name in found or len(values) > _MOST_VALUES:
            raise Wrong(400, "Bad Request", f"{name} stands twice, or has too many values")
        found[name] = values if name.startswith("match") else (value,)
    return found


def _matching(entries: Sequence[Entry], filters: Mapping[str, tuple[str, ...]]) -> list[Entry]:
    ids, types = filters.get("match[id]"), filters.get("match[type]")
    specs = filters.get("match[spec_version]")
    found = [
        entry
        for entry in entries
        if (ids is None or entry.id in ids)
        and (types is None or entry.object.get("type") in types)
        and (specs is None or entry.object.get("spec_version", "2.0") in specs)
    ]
    versions = filters.get("match[version]", ("last",))
    if "all" not in versions:
        ordered: dict[str, list[str]] = {}
        for entry in found:
            ordered.setdefault(entry.id, []).append(entry.version)
        first = {one: min(them) for one, them in ordered.items()}
        last = {one: max(them) for one, them in ordered.items()}
        found = [
            entry
            for entry in found
            if entry.version in versions
            or ("first" in versions and entry.version == first[entry.id])
            or ("last" in versions and entry.version == last[entry.id])
        ]
    if "added_after" in filters:
        after = parse_stamp(filters["added_after"][0])
        if after is None:
            raise Wrong(400, "Bad Request", "added_after is a moment as RFC 3339 has it")
        found = [entry for entry in found if entry.added > round(after * 1e6)]
    return found


def _page(entries: list[Entry], filters: Mapping[str, tuple[str, ...]]) -> tuple[list[Entry], bool]:
    limit = PAGE
    if "limit" in filters:
        text = filters["limit"][0]
        if not (text.isascii() and text.isdigit() and len(text) <= 9 and int(text)):
            raise Wrong(400, "Bad Request", "limit is a whole number from 1")
        limit = min(PAGE, int(text))
    if "next" in filters:
        text = filters["next"][0]
        if not (text.isascii() and text.isdigit() and len(text) <= 20):
            raise Wrong(400, "Bad Request", "next is what the last answer called so")
        entries = [entry for entry in entries if entry.added > int(text)]
    return entries[:limit], len(entries) > limit


def _described(collection: Collection) -> dict[str, Any]:
    return {
        "id": collection.id,
        "title": collection.title,
        "can_read": True,
        "can_write": False,
        "media_types": [_STIX],
    }


def _json(
    value: object, status: int = 200, headers: Mapping[str, str] = MappingProxyType({})
) -> Answer:
    return Answer(
        status=status,
        headers={"content-type": MEDIA_TYPE, "cache-control": "no-store"} | dict(headers),
        body=msgspec.json.encode(value),
    )
