"""Finds planted words in whatever a guard leaves behind, however they were written down.

A word counts as found where its beginning or its end is, as it is, backwards, in UTF-16, rot13,
base64 at any alignment, base32, hex, percent or backslash escapes; in what is compressed (gzip,
zlib, deflate, zstd, brotli); and in what is again one of these inside another. Addresses are found
as text and as bytes. MessagePack and Redis' own formats hold texts as they are.
"""

from __future__ import annotations

import base64
import codecs
import ipaddress
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Final

import brotli
import zstandard

#: Letters of a word's beginning and end that give it away: enough not to be met by chance.
_ENOUGH: Final = 12
#: Wrappings within wrappings.
_DEEPEST: Final = 3
#: Most bytes that one wrapping may hold.
_MOST: Final = 16 << 20

_BASE64: Final = re.compile(rb"[A-Za-z0-9+/_-]{16,}")
_HEX: Final = re.compile(rb"(?:[0-9A-Fa-f]{2}){12,}")
_ESCAPED: Final = re.compile(rb"%([0-9A-Fa-f]{2})|\\x([0-9A-Fa-f]{2})|\\u00([0-9A-Fa-f]{2})")


def needles(word: str) -> dict[str, list[bytes]]:
    """How `word` may be written: form → what to look for."""
    parts = {word} if len(word) < 2 * _ENOUGH else {word[:_ENOUGH], word[-_ENOUGH:]}
    forms: dict[str, list[bytes]] = {}
    for part in sorted(parts):
        raw = part.encode()
        written = {
            "as it is": [raw],
            "backwards": [raw[::-1]],
            "utf-16": [part.encode("utf-16-le"), part.encode("utf-16-be")],
            "rot13": [codecs.encode(part, "rot13").encode()],
            "base64": [piece for text in (raw, raw[::-1]) for piece in _aligned(text)],
            "base32": [base64.b32encode(raw)[: len(raw) * 8 // 5]],
            "hex": [raw.hex().encode(), raw.hex().upper().encode()],
        }
        for form, found in written.items():
            forms.setdefault(form, []).extend(found)
    try:
        address = ipaddress.ip_address(word)
    except ValueError:
        return forms
    # Four bytes are met by chance.
    forms["bytes"] = [address.packed] if address.version == 6 else []
    forms["spelled out"] = [address.exploded.encode()]
    return forms


def found(words: Mapping[str, str], data: bytes) -> list[str]:
    """What of `words` (what it is → itself) is in `data`: `what, form`, once each."""
    seen = set()
    forms = {what: needles(word) for what, word in words.items()}
    for layer in _layers(data, _DEEPEST):
        low = layer.lower()
        for what, written in forms.items():
            for form, texts in written.items():
                exact = form in ("base64", "bytes")
                if any(text in layer if exact else text.lower() in low for text in texts):
                    seen.add(f"{what}, {form}")
    return sorted(seen)


def _aligned(raw: bytes) -> Iterator[bytes]:
    """The part of `raw`'s base64 that does not depend on what stands around it, for each of three
    places it may begin at, in both alphabets."""
    for before in range(3):
        text = base64.b64encode(b"\0" * before + raw)
        first = -(-before * 8 // 6)
        last = (before + len(raw)) * 8 // 6
        yield text[first:last]
        yield text[first:last].replace(b"+", b"-").replace(b"/", b"_")


def _layers(data: bytes, deepest: int) -> Iterator[bytes]:
    """`data`, and what can be unwrapped of it."""
    yield data
    if deepest == 0:
        return
    for unwrap in (_escapes, _compressed, _encoded):
        for inner in unwrap(data):
            yield from _layers(inner, deepest - 1)


def _escapes(data: bytes) -> Iterator[bytes]:
    plain = _ESCAPED.sub(lambda one: bytes.fromhex((one[1] or one[2] or one[3]).decode()), data)
    if plain != data:
        yield plain


def _encoded(data: bytes) -> Iterator[bytes]:
    """What long runs of base64 and hex say; short ones are found as needles."""
    for run in _HEX.findall(data):
        yield bytes.fromhex(run.decode())
    for run in _BASE64.findall(data):
        for skipped in range(4):
            text = run[skipped:].replace(b"-", b"+").replace(b"_", b"/")
            plain = base64.b64decode(text[: len(text) // 4 * 4])
            # Only what is itself compressed or text is worth another look.
            if plain[:2] in _MAGIC or plain.startswith(_ZSTD) or plain.isascii():
                yield plain


_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_MAGIC: Final[Mapping[bytes, int]] = {
    b"\x1f\x8b": 31, b"\x78\x01": 15, b"\x78\x5e": 15, b"\x78\x9c": 15, b"\x78\xda": 15,
}  # fmt: skip


def _compressed(data: bytes) -> Iterator[bytes]:
    """What is inflated, wherever it begins; deflate and brotli, which nothing marks, at the
    beginning only."""
    for magic, bits in _MAGIC.items():
        for place in _places(data, magic):
            yield from _tried(lambda place=place, bits=bits: _inflated(data[place:], bits))  # type: ignore[misc]
    for place in _places(data, _ZSTD):
        yield from _tried(
            lambda place=place: (
                zstandard.ZstdDecompressor()  # type: ignore[misc]
                .decompressobj()
                .decompress(data[place:])
            )
        )
    yield from _tried(lambda: _inflated(data, -15))
    yield from _tried(lambda: brotli.decompress(data))


def _places(data: bytes, magic: bytes) -> Iterator[int]:
    return (one.start() for one in re.finditer(re.escape(magic), data))


def _inflated(data: bytes, bits: int) -> bytes:
    return zlib.decompressobj(bits).decompress(data, _MOST)


def _tried(unwrap: Callable[[], bytes]) -> Iterator[bytes]:
    try:
        plain = unwrap()
    except (zlib.error, zstandard.ZstdError, brotli.error):
        return
    if plain:
        yield plain
