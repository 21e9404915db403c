"""Recorded traffic, one exchange a line: read, checked, and turned back into what arrived.

A line is `{"id","at","client_ip","account","method","path","headers","body","usage"}`; only `at`,
`method` and `path` must be there. `headers` and `body` are what the client sent; the account and
the address are those the gateway had established then, so they are taken as they stand.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final

import msgspec

from gateway_guard.core.sections import AccountSource, Identify, IPNetwork
from gateway_guard.errors import UNDECODABLE, SourceError
from gateway_guard.types import Outcome, Usage, Wire

#: Longest line read, bytes. A longer one is reported and skipped.
MAX_LINE: Final = 64 * 1024 * 1024

#: Output tokens a second an upstream is assumed to write, and the longest an answer is assumed to
#: take, seconds: traffic records when a request came, not when its answer ended. Not measured.
TOKENS_PER_SECOND: Final = 50.0
MAX_DURATION: Final = 600.0

_NOTHING: Final = msgspec.Raw()
#: Unix seconds: no moment at or after this can be shown.
_YEAR_10000: Final = 253_402_300_800.0
#: What is wrong with an `at` that `is_moment` refuses.
MILLISECONDS: Final = "`at` is Unix seconds, not milliseconds"

#: No upstream counts more in one answer.
Tokens = Annotated[int, msgspec.Meta(ge=-(10**12), le=10**12)]


class RecordedUsage(msgspec.Struct, gc=False):
    """What the upstream said the exchange cost; None where it did not say."""

    input_tokens: Tokens | None = None
    output_tokens: Tokens | None = None


class Recorded(msgspec.Struct, gc=False):
    """One line.

    Attributes:
        id: names the exchange in the output; `line N` when absent.
        at: arrival, Unix seconds.
        body: the bytes of the JSON value as they stand in the line; empty when absent.
    """

    at: float
    method: str
    path: str
    id: str = ""
    client_ip: str | None = None
    account: str | None = None
    headers: dict[str, str] = {}
    body: msgspec.Raw = _NOTHING
    usage: RecordedUsage | None = None

    def wire(self) -> Wire:
        """The request as a frontend would have received it behind whoever recorded it."""
        body = bytes(self.body)
        headers = [(name.lower().encode(), value.encode()) for name, value in self.headers.items()]
        if body and not any(name == b"content-type" for name, _ in headers):
            headers.append((b"content-type", b"application/json"))
        return Wire(
            method=self.method,
            raw_path=self.path.encode(),
            headers=headers,
            peer=self.client_ip,
            body=body or None,
            state=None if self.account is None else {"account": self.account},
        )

    def duration(self) -> float:
        """Seconds its answer is assumed to have taken, >= 0; 0 when nobody said what it cost."""
        usage = self.usage
        if usage is None or usage.output_tokens is None:
            return 0.0
        return min(MAX_DURATION, max(0.0, usage.output_tokens / TOKENS_PER_SECOND))

    def settlement(self) -> Usage:
        """The recorded cost as the guard settles it."""
        usage = self.usage
        if usage is None:
            return Usage(outcome=Outcome.COMPLETED)
        return Usage(
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
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


_decode: Final = msgspec.json.Decoder(Recorded).decode
_decode_decided: Final = msgspec.json.Decoder(_Decided).decode


def is_moment(at: float) -> bool:
    """Whether `at` can be meant as Unix seconds."""
    return 0.0 <= at < _YEAR_10000


def as_recorded(identify: Identify, everywhere: tuple[IPNetwork, ...]) -> Identify:
    """`identify` for recorded traffic: account and address are given, the edge is believed."""
    return msgspec.structs.replace(
        identify,
        accounts=(AccountSource(kind="state"),),
        client_ip="peer",
        trusted=everywhere,
        tls_header=identify.tls_header or "x-ja4",
    )


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
            try:
                line = _decode(text)
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
            if not is_moment(line.at):
                yield Malformed(number, MILLISECONDS)
                continue
            if not line.id:
                line.id = f"line {number}"
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
