"""Text a client has wrapped in base64, hex or escapes, unwrapped: two levels, in bounds."""

from __future__ import annotations

import binascii
import codecs
import html
import re
from collections.abc import Callable
from typing import Final
from urllib.parse import unquote_to_bytes

#: Shortest run of base64 or hex digits taken for wrapped text: 10 or 7 characters of it. Longer
#: than nearly all words (3 in 1,000 of English).
_SHORTEST: Final = 14
#: Characters unwrapped of one run, and runs looked at in one text, words among them. What is
#: wrapped beyond is not seen: a phrase is evidence, not a boundary.
_LONGEST: Final = 16 * 1024
_MOST_RUNS: Final = 1024
#: Bytes of either end of a text that are looked at; images are longer.
_END: Final = 256 * 1024
#: Characters unwrapped in one text.
_MOST_UNWRAPPED: Final = 256 * 1024
#: Characters of a run that tell whether it decodes to text.
_SAMPLE: Final = 64

_LETTERS: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_"
_BASE64: Final = bytes(0x78 if byte in _LETTERS else 0x20 for byte in range(256))
_HEX: Final = bytes(0x78 if byte in b"0123456789abcdefABCDEF" else 0x20 for byte in range(256))
_RUN: Final = b"x" * _SHORTEST
#: URL-safe base64 is read as the other.
_STANDARD: Final = bytes.maketrans(b"-_", b"+/")
#: What people put between the digits of two bytes, and the `x` of `\\x41`.
_BETWEEN_DIGITS: Final = b" \t\r\n\v\f:,;-%\\x"
#: Digits and what stands between them, alike: where this has no run, there is none of digits. Most
#: texts have none, and asking this first costs half of taking out what stands between.
_PERHAPS_HEX: Final = bytes(
    0x78 if _HEX[byte] == 0x78 or byte in _BETWEEN_DIGITS else 0x20 for byte in range(256)
)
#: Bytes of text; NUL is among them because every other byte of UTF-16 is one.
_TEXTUAL: Final = b"\0\t\n\r" + bytes(range(0x20, 0x7F))
#: Share of other bytes in what is still text of ASCII; random bytes have 0.6.
_MOST_OTHER: Final = 0.25


#: Bytes of either end of a text in which escapes are undone: 0.5 µs each, three bytes at least.
_ESCAPED_END: Final = 16 * 1024
#: What a program or a page would have undone: `\\u0041` (also the two halves of a character beyond
#: the first plane, and JavaScript's `%u0041`), `\\u{41}`, `\\U00000041`, `\\x41`, `\\x{41}`,
#: `\\101`. Of four digits exactly, because what follows may be a digit as well (`\\u0065ct`).
_ESCAPE: Final = re.compile(
    r"[\\%]u([dD][89abAB][0-9A-Fa-f]{2})[\\%]u([dD][c-fC-F][0-9A-Fa-f]{2})"
    r"|[\\%]u([0-9A-Fa-f]{4})|\\[ux]\{0*+([0-9A-Fa-f]{1,6})\}|\\U([0-9A-Fa-f]{8})"
    r"|\\x([0-9A-Fa-f]{2})|\\([0-3][0-7]{2})"
)
#: How each kind of escape looks; a pattern each, because one that begins with a literal is searched
#: ten times as fast.
_PERCENT: Final = re.compile(rb"%(?:[0-9A-Fa-f]{2}|u[0-9A-Fa-f])")
_BACKSLASH: Final = re.compile(rb"\\(?:[uU][{0-9A-Fa-f]|x[{0-9A-Fa-f]|[0-3][0-7]{2})")
_ENTITY: Final = re.compile(rb"&(?:#[0-9xX]|[A-Za-z])")
#: Zeros a page passes over before the number of a character, and numbers of none: `html.unescape`
#: raises at one of more digits than Python reads, 4,300.
_ZEROS: Final = re.compile(r"&#0++(?=[0-9])")
_NO_CHARACTER: Final = re.compile(r"&#[0-9]{8,}+;?")
#: The next line of the same base64: at most so many are joined to others in one text.
_NEXT_LINE: Final = re.compile(rb"[ \t]{0,2}\r?\n[ \t>|#*/]{0,8}([0-9A-Za-z+/_-]{2,}+)")
_MOST_LINES: Final = 4096


def unwrapped(plain: bytes) -> str:
    """The text in the base64 and hex runs of a text, and the text itself without its escapes
    (percent encoding, HTML's, those of programs); empty when there are none.

    What was wrapped twice is unwrapped twice. `plain` is UTF-8 whose ASCII letters have their case.
    Bounded: 1,024 runs of each kind, 16 KiB of a run, 256 KiB in all, within the first and the last
    256 KiB; escapes within the first and the last 16 KiB. Runs follow on each other, because base64
    is written in lines.
    """
    once = _unwrapped(plain)
    if not once:
        return ""
    twice = _unwrapped(once.replace("\0", "").encode("utf-8", "replace"))
    return f"{once} {twice}" if twice else once


def _unwrapped(plain: bytes) -> str:
    found = _unescaped(plain) if _has_escapes(plain) else []
    if len(plain) > 2 * _END:
        plain = plain[:_END] + b" " + plain[-_END:]
    mask = plain.translate(_BASE64)
    if _has_run(mask):
        found += _in_runs(plain, mask, _from_base64, lines=_MOST_LINES)
    if not _has_run(plain.translate(_PERHAPS_HEX)):
        return "".join(found) if found else ""
    mask = plain.translate(_HEX, _BETWEEN_DIGITS)
    if _has_run(mask):
        digits = plain.translate(None, _BETWEEN_DIGITS)
        if b"0x" in plain:
            # The zero of a prefix is no digit.
            digits = plain.replace(b"0x", b"").translate(None, _BETWEEN_DIGITS)
            mask = digits.translate(_HEX)
        found += _in_runs(digits, mask, _from_hex)
    return "".join(found) if found else ""


def _has_escapes(plain: bytes) -> bool:
    # Most texts have none of the three, and most that have mean something else.
    return (
        (b"%" in plain and _PERCENT.search(plain) is not None)
        or (b"\\" in plain and _BACKSLASH.search(plain) is not None)
        or (b"&" in plain and _ENTITY.search(plain) is not None)
    )


def _unescaped(plain: bytes) -> list[str]:
    """A text without its escapes, when it has any."""
    if len(plain) > 2 * _ESCAPED_END:
        plain = plain[:_ESCAPED_END] + b" " + plain[-_ESCAPED_END:]
    written = plain.decode("utf-8", "replace")
    meant = unquote_to_bytes(plain).decode("utf-8", "replace") if b"%" in plain else written
    if "&" in meant:
        meant = html.unescape(_NO_CHARACTER.sub("\ufffd", _ZEROS.sub("&#", meant)))
    if "\\" in meant or "%u" in meant:
        meant = _ESCAPE.sub(_escaped, meant)
    return [meant, " "] if meant != written else []


def _escaped(escape: re.Match[str]) -> str:
    high, low = escape[1], escape[2]
    if high is not None:
        return chr(0x10000 + (int(high, 16) - 0xD800) * 0x400 + int(low, 16) - 0xDC00)
    code = int(escape[escape.lastindex or 0], 8 if escape.lastindex == _OCTAL else 16)
    return chr(code) if code < 0x110000 and not 0xD800 <= code < 0xE000 else escape[0]


#: The group of `_ESCAPE` whose digits are octal.
_OCTAL: Final = 7


def _has_run(mask: bytes) -> bool:
    # From the end, because CPython searches a run of equal bytes twice as fast that way.
    return mask.rfind(_RUN) >= 0


def _in_runs(text: bytes, mask: bytes, decode: Callable[[bytes], str], lines: int = 0) -> list[str]:
    """What `decode` makes of the long runs of `text`, which are marked in `mask`; at most so many
    `lines` below a run are joined to it."""
    found: list[str] = []
    room, end = _MOST_UNWRAPPED, 0
    for _ in range(_MOST_RUNS):
        start = mask.find(_RUN, end)
        if start < 0 or room <= 0:
            break
        end = mask.find(b" ", start)
        if end < 0:
            end = len(mask)
        run = text[start : min(end, start + _LONGEST)]
        if lines and len(run) < _LONGEST:
            below = [run]
            size = len(run)
            while size < _LONGEST and lines and (line := _NEXT_LINE.match(text, end)):
                lines -= 1
                below.append(line[1][: _LONGEST - size])
                size += len(line[1])
                end = line.end()
            run = b"".join(below)
        inner = decode(run)
        if inner:
            found.append(inner)
            room -= end - start
    return found


def _from_base64(run: bytes) -> str:
    if run[1:].islower() or run.isupper():
        return ""  # A word.
    run = run.translate(_STANDARD)
    # Letters before it may have stuck to it.
    for shift in range(4):
        if _is_text(_base64(run[shift : shift + _SAMPLE])):
            return _base64(run[shift:]).decode("utf-8", "replace")
    return ""


def _base64(digits: bytes) -> bytes:
    if len(digits) % 4 == 1:
        digits = digits[:-1]
    return binascii.a2b_base64(digits + b"==")


def _from_hex(run: bytes) -> str:
    for shift in range(2):
        if _is_text(_hex(run[shift : shift + _SAMPLE])):
            return _hex(run[shift:]).decode("utf-8", "replace")
    return ""


def _hex(digits: bytes) -> bytes:
    return binascii.a2b_hex(digits[: len(digits) & ~1])


def _is_text(sample: bytes) -> bool:
    if len(sample.translate(None, _TEXTUAL)) <= len(sample) * _MOST_OTHER:
        return True
    try:
        # Its last character may be cut.
        _, read = codecs.utf_8_decode(sample, "strict", False)
    except UnicodeDecodeError:
        return False
    return read > len(sample) - 4
