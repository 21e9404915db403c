"""Recorded traffic, one exchange a line: read, checked, and turned back into what arrived.

A line is `{"id","at","client_ip","account","method","path","headers","body","usage"}`; only `at`,
`method` and `path` must be there. `headers` and `body` are what the client sent; the account and
the address are those the gateway had established then, so they are taken as they stand.

Gateways write the same thing in several ways. `at` is Unix seconds or an ISO 8601 date; ids and
accounts are text or whole numbers; headers are an object or a list of pairs, in any case, null for
one that was not sent; `body` is the JSON that was sent, or the text of it; the address may have the
client's port behind it; a count that makes no sense is one nobody told.
"""

from __future__ import annotations

import codecs
import gzip
import io
import json
import math
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from gateway_guard.accounts.attributes import moment
from gateway_guard.core.client_ip import hop, peer_address
from gateway_guard.core.sections import AccountSource, Identify, IPNetwork
from gateway_guard.errors import UNDECODABLE, SourceError
from gateway_guard.types import Outcome, Usage, Wire

#: Longest line read, bytes. A longer one is reported and skipped.
MAX_LINE: Final = 64 * 1024 * 1024

#: Output tokens a second an upstream is assumed to write, and the longest an answer is assumed to
#: take, seconds: traffic records when a request came, not when its answer ended. Not measured.
TOKENS_PER_SECOND: Final = 50.0
MAX_DURATION: Final = 600.0

#: Most tokens of one exchange that are believed, as of live answers.
MOST_TOKENS: Final = 10**12

_NOTHING: Final = msgspec.Raw()
_NULL: Final = msgspec.Raw(b"null")

_Count = int | float | str | None
_Value = str | int | list[str] | None


class _Usage(msgspec.Struct, gc=False):
    """What a line says the exchange cost."""

    input_tokens: _Count = None
    output_tokens: _Count = None


class _Line(msgspec.Struct, gc=False):
    """One line as it is written."""

    at: float | str
    method: str
    path: str
    id: str | int | None = None
    client_ip: str | None = None
    account: str | int | None = None
    headers: dict[str, _Value] | list[tuple[str, _Value]] | None = None
    body: msgspec.Raw = _NOTHING
    usage: _Usage | None = None


class Recorded(msgspec.Struct, gc=False):
    """One line, as it is meant.

    Attributes:
        at: arrival, Unix seconds.
        path: with its query, if it has one.
        id: names the exchange in the output, as it stands in the line; `line N` when absent.
        client_ip: as it stands in the line.
        account: None when absent or empty.
        headers: (lower-case name, value) in order, one for each line of a header.
        body: the bytes of the JSON value as they stand in the line, or those of the text it is;
            empty when there was none.
        usage: what the upstream said the exchange cost; None when it said nothing, or where it did
            not say.
    """

    at: float
    method: str
    path: str
    id: str | int
    client_ip: str | None
    account: str | None
    headers: list[tuple[str, str]]
    body: bytes
    usage: tuple[int | None, int | None] | None

    def wire(self, most: int) -> Wire:
        """The request as a frontend would have received it behind whoever recorded it.

        `most` is the policy's `inspect.max_body`, bytes.
        """
        body = self.body
        # What stands in a line of text has been decoded, whatever was said of what came.
        headers = [
            (name.encode(), value.encode())
            for name, value in self.headers
            if name != "content-encoding"
        ]
        if body and all(name != b"content-type" for name, _ in headers):
            headers.append((b"content-type", b"application/json"))
        path, _, query = self.path.partition("?")
        return Wire(
            method=self.method,
            raw_path=path.encode(),
            query=query.encode(),
            headers=headers,
            peer=None if self.client_ip is None else address_in(self.client_ip),
            body=body if 0 < len(body) <= most else None,
            body_too_large=len(body) > most,
            state=None if self.account is None else {"account": self.account},
        )

    def duration(self) -> float:
        """Seconds its answer is assumed to have taken, >= 0; 0 when nobody said what it cost."""
        written = None if self.usage is None else self.usage[1]
        return 0.0 if written is None else min(MAX_DURATION, written / TOKENS_PER_SECOND)

    def settlement(self) -> Usage:
        """The recorded cost as the guard settles it."""
        if self.usage is None:
            return Usage(outcome=Outcome.COMPLETED)
        read, written = self.usage
        return Usage(
            input_tokens=read,
            output_tokens=written,
            outcome=Outcome.COMPLETED,
            status=200,
            reported=True,
        )


class Malformed(msgspec.Struct, frozen=True):
    """A line that is no exchange: `reason` names what is wrong, never what the line says."""

    number: int
    reason: str


class _Decided(msgspec.Struct, gc=False):
    """What every line of a decision log has, and none of recorded traffic."""

    time: str
    action: str
    acted: bool
    policy: str


_decode: Final = msgspec.json.Decoder(_Line).decode
_decode_decided: Final = msgspec.json.Decoder(_Decided).decode


def as_recorded(identify: Identify, everywhere: tuple[IPNetwork, ...]) -> Identify:
    """`identify` for recorded traffic: account and address are given, the edge is believed."""
    return msgspec.structs.replace(
        identify,
        accounts=(AccountSource(kind="state"),),
        client_ip="peer",
        trusted=everywhere,
        trust_unix=True,
        tls_header=identify.tls_header or "x-ja4",
    )


def address_in(text: str) -> str | None:
    """The address recorded as `text`, with the client's port behind it or without; or None."""
    return peer_address(text) or hop(text)


def recorded(text: bytes, number: int) -> Recorded:
    """The exchange in the line `text`, the `number`th of its file, from 1.

    Raises:
        msgspec.DecodeError, UnicodeDecodeError, RecursionError: it is none; says what is wrong.
    """
    try:
        line = _decode(text)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        line = _without_body(text)
    at = moment(line.at)
    if at is None or at < 0.0:
        raise msgspec.ValidationError(
            "Expected Unix seconds (milliseconds?) or an ISO 8601 date - at `$.at`"
        )
    usage = line.usage
    return Recorded(
        at=at,
        method=line.method,
        path=line.path,
        id=f"line {number}" if line.id is None or line.id == "" else line.id,
        client_ip=line.client_ip,
        account=None if line.account is None or line.account == "" else str(line.account),
        headers=_fields(line.headers),
        body=_body(line.body),
        usage=None if usage is None else (_count(usage.input_tokens), _count(usage.output_tokens)),
    )


def _without_body(text: bytes) -> _Line:
    """The line `text`, whatever its body says: half a surrogate pair is no UTF-8 and no reason to
    leave the exchange out. Live it would be judged by `on_error`, too.
    """
    try:
        whole = json.loads(text.decode())
    except ValueError:
        whole = None
    if not isinstance(whole, dict) or "body" not in whole:
        return _decode(text)
    body = json.dumps(whole.pop("body")).encode()
    line = _decode(json.dumps(whole))
    line.body = msgspec.Raw(body)
    return line


def _fields(headers: dict[str, _Value] | list[tuple[str, _Value]] | None) -> list[tuple[str, str]]:
    pairs = headers.items() if isinstance(headers, dict) else headers or ()
    found = []
    for name, value in pairs:
        for one in value if isinstance(value, list) else (value,):
            if one is not None:
                found.append((name.lower(), str(one)))
    return found


def _body(body: msgspec.Raw) -> bytes:
    if body == _NULL:
        return b""
    content = bytes(body)
    return msgspec.json.decode(content, type=str).encode() if content[:1] == b'"' else content


def _count(value: _Count) -> int | None:
    """Tokens, or None for what is no number of them."""
    try:
        number = float(value) if value is not None else math.nan
    except (ValueError, OverflowError):
        return None
    return int(number) if 0 <= number <= MOST_TOKENS else None


class Traffic:
    """A file of recorded exchanges, plain or gzipped (by content, not by name); close it after use.

    Raises:
        SourceError: the file cannot be read at all; or, from its first line, it is a decision log.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._raw = path.open("rb")
            self.size = path.stat().st_size
            start = self._raw.peek(2)[:2]
        except OSError as error:
            raise SourceError(f"{path}: {error.strerror}") from error
        self._stream: io.BufferedIOBase = self._raw
        if start == b"\x1f\x8b":
            self._stream = gzip.GzipFile(fileobj=self._raw)

    def __iter__(self) -> Iterator[Recorded | Malformed]:
        read, number = self._stream.readline, 0
        while True:
            number += 1
            try:
                text = read(MAX_LINE)
                long = len(text) >= MAX_LINE and not text.endswith(b"\n")
                rest = text
                while long and rest and not rest.endswith(b"\n"):
                    rest = read(MAX_LINE)
            except (OSError, EOFError, zlib.error) as error:
                yield Malformed(number, f"the file cannot be read further: {_cut(error)}")
                return
            if not text:
                return
            if long:
                yield Malformed(number, f"longer than {MAX_LINE} bytes")
                continue
            if number == 1:
                text = text.removeprefix(codecs.BOM_UTF8)
            try:
                line = recorded(text, number)
            except UNDECODABLE as error:
                if number == 1 and _decided(text):
                    raise SourceError(
                        f"{self.path} is a decision log, which says what was decided and not what "
                        "was sent: nothing can be decided anew from it. replay reads recorded "
                        'exchanges, {"at","method","path","headers","body","account",…} a line'
                    ) from None
                if text.strip():
                    yield Malformed(number, _short(error))
                continue
            yield line

    def read(self) -> int:
        """Bytes of the file consumed so far, for a progress bar."""
        return self._raw.tell()

    def close(self) -> None:
        """Release the file."""
        self._stream.close()
        self._raw.close()


def _decided(text: bytes) -> bool:
    """Whether a line is of a decision log."""
    try:
        _decode_decided(text)
    except UNDECODABLE:
        return False
    return True


def _cut(error: Exception) -> str:
    return "it was cut short" if isinstance(error, EOFError) else f"it is damaged ({error})"


def _short(error: Exception) -> str:
    text = "not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
    return text.split("\n", 1)[0][:200]
