"""Keeps network files fresh: fetch, check, replace; whatever goes wrong, the last good one stays.

Each feed becomes `NAME.mmdb` in one folder, which the guard lays over its bundled database
(`GATEWAY_GUARD_NETWORK_FILES=FOLDER`). An MMDB file is kept as it is; a text list is compiled to
flags. `NAME.json` beside it remembers what the server said (ETag, date), so that an unchanged file
costs one 304. URLs may carry licence keys: they are never printed or stored, only their digest is.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx
import msgspec

from gateway_guard.errors import SourceError
from gateway_guard.heads import head
from gateway_guard.network.build import PRIVATE, merge_flags
from gateway_guard.network.lists import parse_ranges
from gateway_guard.network.mmdb import open_bytes
from gateway_guard.network.ranges import difference, union
from gateway_guard.network.reasons import reason
from gateway_guard.network.unpack import unpacked
from gateway_guard.network.vendors import recognise
from gateway_guard.types import NETWORK_FLAGS

#: Most bytes accepted on the wire, and after decompression, unless the caller says otherwise.
MAX_BYTES: Final = 512 * 1024 * 1024
#: Seconds to connect, and between two pieces of the body.
CONNECT_SECONDS: Final = 10.0
READ_SECONDS: Final = 30.0
#: Seconds for one feed altogether: a server that trickles must not hold the update for ever.
TOTAL_SECONDS: Final = 900.0
MAX_REDIRECTS: Final = 5
#: A list of fewer entries than one in so many of the last one's is remarked on.
_SHRUNK: Final = 10
_MAX_CHECKSUM_BYTES: Final = 4_096
_MARKER: Final = b"\xab\xcd\xefMaxMind.com"
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_HEX: Final = re.compile(r"[0-9a-fA-F]{64}")


class Feed(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to fetch.

    Attributes:
        name: file name without `.mmdb`.
        url: http or https.
        flag: what being listed means, for a text list; None for an MMDB file.
        checksum: SHA-256 of the bytes served, in hex; or the URL of a file that begins with it;
            or `auto` for the feed's URL with `.sha256` behind it; None for no check.
    """

    name: str
    url: str
    flag: str | None = None
    checksum: str | None = None

    @classmethod
    def parse(cls, spec: str, checksum: str | None = None) -> Feed:
        """`NAME[:FLAG]=URL`. A name that is itself a flag (`tor=https://…`) implies it.

        Raises:
            SourceError: the name, flag, URL or checksum makes no sense.
        """
        left, equals, url = spec.partition("=")
        name, colon, flag = left.partition(":")
        if not equals or not _NAME.fullmatch(name):
            raise SourceError(f"feed {left[:80]!r}: write NAME=URL or NAME:FLAG=URL")
        if colon and flag not in NETWORK_FLAGS:
            known = ", ".join(NETWORK_FLAGS)
            raise SourceError(f"feed {name!r}: unknown flag {flag[:40]!r} (one of: {known})")
        if not url.startswith(("http://", "https://")):
            raise SourceError(f"feed {name!r}: the URL must begin with https:// or http://")
        if (
            checksum is not None
            and checksum != "auto"
            and not _HEX.fullmatch(checksum)
            and not checksum.startswith(("http://", "https://"))
        ):
            raise SourceError(f"feed {name!r}: the checksum is 64 hex digits, a URL or `auto`")
        implied = name if name in NETWORK_FLAGS else None
        return cls(name=name, url=url, flag=flag or implied, checksum=checksum)


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one feed.

    Attributes:
        name: the feed's.
        status: `updated`, `unchanged` or `failed`; failed means the last good file is untouched.
        detail: one sentence for the operator; no URL query, no credentials.
        size: bytes of the file now in place; None when there is none.
    """

    name: str
    status: str
    detail: str
    size: int | None = None


class _State(msgspec.Struct, kw_only=True):
    """What is remembered of the last success; `entries` of a list, 0 of a database."""

    url: str = ""
    etag: str = ""
    last_modified: str = ""
    served: str = ""
    kept: str = ""
    entries: int = 0


def update(
    feeds: Sequence[Feed],
    folder: Path,
    *,
    transport: httpx.BaseTransport | None = None,
    max_bytes: int = MAX_BYTES,
    total_seconds: float = TOTAL_SECONDS,
    timer: Callable[[], float] = time.monotonic,
    progress: Callable[[str, int], None] = lambda _name, _size: None,
) -> list[Outcome]:
    """Fetch every feed into `folder` (made if missing), one after the other.

    Never raises for a feed: its outcome says what failed.

    Args:
        transport: for tests and for special networks; None for httpx's own.
        max_bytes: limit on what is served and on what it expands to.
        total_seconds: limit for one feed, measured by `timer`.
        progress: told the feed's name and the bytes received so far.

    Raises:
        SourceError: `folder` cannot be made, or two feeds have one name.
    """
    names = [feed.name for feed in feeds]
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise SourceError(f"two feeds are called {doubled[0]!r}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        why = "is no directory" if isinstance(error, FileExistsError) else None
        raise SourceError(f"{folder}: {why or f'cannot be made: {error.strerror}'}") from error
    built = max(1, int(time.time()))
    timeout = httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS)
    outcomes = []
    with httpx.Client(
        transport=transport,
        timeout=timeout,
        follow_redirects=False,
        headers={"accept-encoding": "identity", "user-agent": "gateway-guard"},
    ) as client:
        for feed in feeds:
            fetch = _Fetch(client, max_bytes, timer, timer() + total_seconds, progress)
            try:
                outcomes.append(_update_one(feed, folder, fetch, built))
            except (SourceError, httpx.HTTPError, httpx.InvalidURL, OSError) as error:
                outcomes.append(
                    Outcome(
                        name=feed.name,
                        status="failed",
                        detail=reason(feed.url, error) + _kept(folder / f"{feed.name}.mmdb"),
                        size=_size(folder / f"{feed.name}.mmdb"),
                    )
                )
    return outcomes


def _update_one(feed: Feed, folder: Path, fetch: _Fetch, built: int) -> Outcome:
    target, memory = folder / f"{feed.name}.mmdb", folder / f"{feed.name}.json"
    state = _remembered(feed, target, memory)
    headers = {}
    if state.etag:
        headers["if-none-match"] = state.etag
    if state.last_modified:
        headers["if-modified-since"] = state.last_modified
    answer = fetch.get(feed.name, feed.url, headers)
    if answer is None:
        return Outcome(
            name=feed.name, status="unchanged", detail="not modified", size=_size(target)
        )
    body, response_headers = answer
    served = hashlib.sha256(body).hexdigest()
    if feed.checksum is not None:
        expected = _expected(feed, fetch)
        if expected != served:
            raise SourceError(f"SHA-256 is {served[:16]}…, expected {expected[:16]}…")
    fresh = _State(
        url=_url_digest(feed),
        etag=response_headers.get("etag", ""),
        last_modified=response_headers.get("last-modified", ""),
        served=served,
        kept=state.kept,
        entries=state.entries,
    )
    if served == state.served:
        _write(memory, msgspec.json.encode(fresh))
        return Outcome(
            name=feed.name, status="unchanged", detail="same content", size=_size(target)
        )
    data, detail, fresh.entries = _compiled(feed, unpacked(body, fetch.max_bytes), built)
    if 0 < fresh.entries * _SHRUNK < state.entries:
        # It may be right (all proxies of yesterday are gone), so it is taken, but not in silence.
        detail += f"; it had {state.entries:,} before: is it whole?"
    fresh.kept = hashlib.sha256(data).hexdigest()
    # The data first: a crash in between only costs one needless download.
    _write(target, data)
    _write(memory, msgspec.json.encode(fresh))
    return Outcome(name=feed.name, status="updated", detail=detail, size=len(data))


class _Fetch:
    """Bounded GETs: bytes, redirects and time."""

    def __init__(
        self,
        client: httpx.Client,
        max_bytes: int,
        timer: Callable[[], float],
        deadline: float,
        progress: Callable[[str, int], None],
    ) -> None:
        self.max_bytes = max_bytes
        self._client = client
        self._timer = timer
        self._deadline = deadline
        self._progress = progress

    def get(
        self, name: str, url: str, headers: Mapping[str, str], limit: int | None = None
    ) -> tuple[bytes, httpx.Headers] | None:
        """Body and headers of a 200, or None for a 304; anything else is a `SourceError`."""
        limit = self.max_bytes if limit is None else limit
        request = self._client.build_request("GET", url, headers=headers)
        for _ in range(MAX_REDIRECTS + 1):
            with self._sent(request) as response:
                following = response.next_request
                if following is not None:
                    if request.url.scheme == "https" and following.url.scheme != "https":
                        raise SourceError("redirected from https to an unprotected address")
                    request = following
                    continue
                if response.status_code == 304 and headers:
                    return None
                if response.status_code != 200:
                    raise SourceError(f"the server answered {response.status_code}")
                return self._body(name, response, limit), response.headers
        raise SourceError(f"more than {MAX_REDIRECTS} redirects")

    @contextmanager
    def _sent(self, request: httpx.Request) -> Iterator[httpx.Response]:
        response = self._answer(request)
        try:
            yield response
        finally:
            response.close()

    def _answer(self, request: httpx.Request) -> httpx.Response:
        """The answer's head, in the time that is left altogether."""
        try:
            return head(self._client, request, self._deadline - self._timer())
        except TimeoutError:
            raise SourceError("took too long") from None

    def _body(self, name: str, response: httpx.Response, limit: int) -> bytes:
        length = response.headers.get("content-length", "")
        if length.isdigit() and int(length) > limit:
            raise SourceError(f"{int(length):,} bytes offered, {limit:,} is the most")
        body = bytearray()
        # Raw: what the server compressed is unpacked by `unpacked`, with a bound.
        for chunk in response.iter_raw():
            body += chunk
            if len(body) > limit:
                raise SourceError(f"more than {limit:,} bytes served")
            if self._timer() > self._deadline:
                raise SourceError("took too long")
            self._progress(name, len(body))
        return bytes(body)


def _expected(feed: Feed, fetch: _Fetch) -> str:
    checksum = feed.checksum or ""
    if _HEX.fullmatch(checksum):
        return checksum.lower()
    if checksum == "auto":
        parts = httpx.URL(feed.url)
        checksum = str(parts.copy_with(path=parts.path + ".sha256"))
    answer = fetch.get(feed.name, checksum, {}, _MAX_CHECKSUM_BYTES)
    words = answer[0].split() if answer is not None else []
    word = words[0].decode("ascii", "replace") if words else ""
    if not _HEX.fullmatch(word):
        raise SourceError("the checksum file does not begin with a SHA-256 in hex")
    return word.lower()


def _compiled(feed: Feed, content: bytes, built: int) -> tuple[bytes, str, int]:
    """The MMDB bytes to keep, checked, a sentence about them, and how many entries a list has."""
    if _MARKER in content[-128 * 1024 :]:
        opened = open_bytes(content, feed.name)
        try:
            adapter = recognise(opened.database_type, opened.sample)
        finally:
            opened.reader.close()
        if adapter is None:
            raise SourceError(
                f"database type {opened.database_type[:80]!r} tells no country, AS or network flag"
            )
        return content, f"{opened.database_type[:80]}", 0
    if feed.flag is None:
        raise SourceError(
            f"neither an MMDB file nor, without a flag, a list; write {feed.name}:FLAG=URL"
        )
    entries = parse_ranges(content, feed.name)
    ranges = difference(entries, PRIVATE)
    if not ranges:
        raise SourceError("the list names private addresses only")
    data = merge_flags({feed.flag: ranges}, build_epoch=built)
    open_bytes(data, feed.name).reader.close()
    left_out = "" if ranges == union(entries) else "; private addresses in it are left out"
    return data, f"{len(entries):,} entries flagged {feed.flag}{left_out}", len(entries)


def _remembered(feed: Feed, target: Path, memory: Path) -> _State:
    """The state of the last success, if the file it speaks of is still in place and whole."""
    try:
        state = msgspec.json.decode(memory.read_bytes(), type=_State)
        kept = hashlib.sha256(target.read_bytes()).hexdigest()
    except (OSError, msgspec.MsgspecError):
        return _State()
    return state if state.url == _url_digest(feed) and state.kept == kept else _State()


def _url_digest(feed: Feed) -> str:
    return hashlib.sha256(f"{feed.flag}\n{feed.url}".encode()).hexdigest()


def _write(target: Path, data: bytes) -> None:
    """Replace `target` at once: readers see the old file or the new one, whole."""
    descriptor, name = tempfile.mkstemp(
        dir=target.parent, prefix=f".{target.name}.", suffix=".partial"
    )
    partial = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.chmod(0o644)
        partial.replace(target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _kept(target: Path) -> str:
    return "; the last good file stays" if target.exists() else "; there is no earlier file"


def _size(target: Path) -> int | None:
    try:
        return target.stat().st_size
    except OSError:
        return None
