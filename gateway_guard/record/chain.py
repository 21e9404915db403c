"""Lines of an audit file as one chain, in which no change hides. Pure.

Each line ends in a keyed digest (HMAC-SHA256) of itself and names that of the line before.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from typing import Final, Self

import msgspec

from gateway_guard.core.credentials import subkey
from gateway_guard.errors import UNDECODABLE

#: Longest line, bytes: whoever writes more has not written an entry.
LONGEST: Final = 32_768
_MAC: Final = b',"mac":"'
_END: Final = b'"}'
_DIGITS: Final = 64
_LONGEST_NUMBER: Final = 18
#: What stands before the first line ever.
NOTHING: Final = "0" * _DIGITS


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One line.

    Attributes:
        n: its number, from 1 on, through all files of a chain.
        at: Unix seconds.
        action: the ruling (`campaigns.reviews.Ruling`); or `failed`: an entry before it could not
            be put in force.
        account, campaign: what it is about, one of them.
        reason: why, in the reviewer's words; of `failed`, what went wrong.
        by: who; empty when unknown.
        via: `cli` or `dashboard`.
        torn: SHA-256 of bytes that stood behind the line before: a process died while it wrote.
        prev: digest of the line before; zeros for none.
    """

    n: int
    at: float
    action: str
    account: str | None = None
    campaign: str | None = None
    reason: str = ""
    by: str = ""
    via: str = ""
    torn: str | None = None
    prev: str


class Place(msgspec.Struct, frozen=True, gc=False):
    """A line of the chain: its number and its digest; 0 and zeros before the first."""

    n: int = 0
    mac: str = NOTHING

    def __str__(self) -> str:
        return f"{self.n}:{self.mac}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """From `12:3fa2…`, as `audit verify` prints it.

        Raises:
            ValueError: it is not that.
        """
        number, _, mac = text.partition(":")
        good = number.isascii() and number.isdigit() and len(number) <= _LONGEST_NUMBER
        if not good or len(mac) != _DIGITS or not set(mac) <= set("0123456789abcdef"):
            raise ValueError(f"{text[:100]!r} is no number, colon and {_DIGITS} hexadecimal digits")
        return cls(int(number), mac)


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """What verifying found.

    Attributes:
        entries: lines that are as they were written.
        last: the last of them.
        broken: where the first is that is not (`file:line`); None when all are.
        why: what is wrong with it; empty when nothing is.
    """

    entries: int
    last: Place
    broken: str | None = None
    why: str = ""


_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(Entry).decode


def key_of(secret: bytes) -> bytes:
    """The key of the chain."""
    return subkey(secret, b"audit chain")


def line_of(entry: Entry, key: bytes) -> tuple[bytes, str]:
    """The line of `entry`, its end included, and its digest."""
    body = _encode(entry)[:-1]
    mac = mac_of(key, body)
    return body + _MAC + mac.encode() + _END + b"\n", mac


def entry_of(line: bytes, key: bytes) -> tuple[Entry, str]:
    """The entry in a line without its end, and its digest.

    Raises:
        ValueError: it is not as it was written; says why, without quoting it.
    """
    if len(line) > LONGEST:
        raise ValueError(f"longer than {LONGEST:,} bytes")
    body, rest = line[: -_DIGITS - len(_MAC) - len(_END)], line[-_DIGITS - len(_MAC) - len(_END) :]
    mac = rest[len(_MAC) : -len(_END)]
    if not rest.startswith(_MAC) or not rest.endswith(_END):
        raise ValueError("it is no line of an audit file")
    expected = mac_of(key, body)
    if not hmac.compare_digest(mac, expected.encode()):
        raise ValueError("it was changed, or written with another secret")
    try:
        return _decode(body + b"}"), expected
    except UNDECODABLE as error:
        raise ValueError(f"it is of another version of the guard: {error}") from None


def check(
    lines: Iterable[tuple[str, bytes]], key: bytes, *, head: Place | None = None
) -> Checked:  # fmt: skip
    """Whether `lines`, (place, line with its end) from the first ever on, are one whole chain.

    `head` is a line that must be among them; None where that is not known.
    """
    at, torn, seen = Place(), None, head is None or head.n == 0

    def broken(place: str, why: str) -> Checked:
        return Checked(entries=at.n, last=at, broken=place, why=why)

    where = ""
    for where, line in lines:
        try:
            if not line.endswith(b"\n"):
                raise ValueError("it has no end: it was cut, or its writer died")
            entry, mac = entry_of(line[:-1], key)
            if entry.n != at.n + 1 or entry.prev != at.mac:
                raise ValueError(_gap(entry, at))
            if (torn[1] if torn else None) != entry.torn:
                raise ValueError("the line before is not the remains it speaks of")
        except ValueError as error:
            if torn is not None:
                return broken(torn[0], torn[2])
            # The next line may say that somebody died here.
            torn = where, hashlib.sha256(line.removesuffix(b"\n")).hexdigest(), str(error)
            continue
        torn = None
        at = Place(entry.n, mac)
        if head is not None and head.n == at.n:
            if head.mac != at.mac:
                return broken(where, "it is not the line that was last when that was noted")
            seen = True
    if torn is not None:
        return broken(torn[0], torn[2])
    if not seen and head is not None:
        missing = f"entries {at.n + 1} to {head.n} are missing: lines were cut off the end"
        return broken(f"{where or 'the file'}, after it", missing)
    return Checked(entries=at.n, last=at)


def _gap(entry: Entry, at: Place) -> str:
    if entry.n > at.n + 1:
        if not at.n:
            return (
                f"it continues entry {entry.n - 1}: earlier entries are in no file that is looked "
                "at, or were removed"
            )
        return f"entries {at.n + 1} to {entry.n - 1} are missing before it"
    if entry.n <= at.n:
        return f"entry {entry.n} stands after entry {at.n}: lines were moved or repeated"
    return "the line before it is not the one it was written after"


def mac_of(key: bytes, data: bytes) -> str:
    """The keyed digest of `data`, 64 hexadecimal digits."""
    return hmac.new(key, data, hashlib.sha256).hexdigest()
