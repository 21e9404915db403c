"""Keyed digests of a text: its ends, its skeleton, a sample of its fragments. Never the text."""

from __future__ import annotations

import re
from typing import Final

import xxhash

from gateway_guard.core.seeds import Seeds
from gateway_guard.types import RoleShape

_xxh3: Final = xxhash.xxh3_64_intdigest

#: Words that make a head or a tail. Source: DETECTION T1 (first and last 8 words).
WORDS: Final = 8
#: Characters of either end in which those words are looked for: 8 words of English have 50.
_END: Final = 160
#: Characters looked at for fragments: the first and the last. Source: DETECTION T2.
_FIRST: Final = 1000
_LAST: Final = 400
#: Most fragments kept, fewest and most bytes of one. 16 bytes are three to five words.
MOST_FRAGMENTS: Final = 64
_SHORTEST: Final = 16
_LONGEST: Final = 40
#: A fragment starts where a word starts with `th`: one English word in eleven, wherever the text
#: was cut or shifted; some 18 fragments of 1,400 characters, as many as DETECTION T2 samples.
_ANCHOR: Final = b" th"
#: For scripts without spaces: one value of the last byte of a character, a 64th of all.
_ANCHOR_BYTE: Final = b"\x84"
#: A line's label is what stands before a colon this early in it; bytes.
_LABEL: Final = 32
#: Most labels, and most headings of a kind, looked at.
_MOST_PARTS: Final = 24

#: ASCII letters in lower case, digits as `0`, white space but the newline as a space.
_MASK: Final = bytes(
    b + 32 if 0x41 <= b <= 0x5A else 0x30 if 0x30 <= b <= 0x39 else 0x20 if b in b"\t\r\v\f" else b
    for b in range(256)
)
_CONTROLS: Final = bytes(b for b in (*range(0x20), 0x7F) if b not in b"\t\n\v\f\r")
_SPACES: Final = re.compile(rb"  +")
_VERSION: Final = b"0123456789."
#: Longest part of a user agent looked at, bytes.
LONGEST_AGENT: Final = 512


def _window(plain: bytes) -> bytes:
    if not plain.isascii():
        text = plain.decode("utf-8", "replace")
        if len(text) > _FIRST + _LAST:
            plain = f"{text[:_FIRST]}\n{text[-_LAST:]}".encode()
    elif len(plain) > _FIRST + _LAST:
        plain = b"%b\n%b" % (plain[:_FIRST], plain[-_LAST:])
    window = plain.translate(_MASK, _CONTROLS)
    # From the end, because CPython searches two equal bytes twice as fast that way.
    return _SPACES.sub(b" ", window) if window.rfind(b"  ") >= 0 else window


def role_shape(role: str, plain: bytes, chars: int, keys: Seeds) -> tuple[RoleShape, bytes]:
    """The shape of one role's text of so many characters, and the masked window `fragments` reads.

    `plain` is the text, or its ends if it is long, as `folding.undressed` leaves it: what is only
    written with other letters has the same shape. Work is bounded: only the first 1,000 and the
    last 400 characters are looked at.
    """
    window = _window(plain)
    head, tail = _ends(window, keys)
    shape = RoleShape(
        role=role, head=head, tail=tail, skeleton=_skeleton(window, keys), chars=chars
    )
    return shape, window


def _ends(window: bytes, keys: Seeds) -> tuple[int, int]:
    first = window[:_END].split(None, WORDS)
    if len(first) < WORDS:
        if len(first) < WORDS // 2 and len(window) >= _END // 2 and not window.isascii():
            # A script without spaces: ends of a fixed length instead of words.
            return (
                _xxh3(_one_digit(window[:48]), keys.head),
                _xxh3(_one_digit(window[-48:]), keys.tail),
            )
        return 0, 0
    del first[WORDS:]
    head = b" ".join(first)
    tail = b" ".join(window[-_END:].rsplit(None, WORDS)[-WORDS:])
    return (
        _xxh3(_one_digit(head) if b"00" in head else head, keys.head),
        _xxh3(_one_digit(tail) if b"00" in tail else tail, keys.tail),
    )


def _one_digit(words: bytes) -> bytes:
    """Numbers of any length look alike."""
    while b"00" in words:
        words = words.replace(b"00", b"0")
    return words


def _skeleton(window: bytes, keys: Seeds) -> int:
    """What stays when a form is filled in: labels before colons, headings, bracketed lines.

    0 for text with fewer than two of them: free text has no skeleton.
    """
    # Most texts are free: at most one colon and no heading can leave but one part.
    colon = window.find(b":")
    if (
        (colon < 0 or window.find(b":", colon + 1) < 0)
        and b"#" not in window and b"[" not in window and b"<" not in window
    ):  # fmt: skip
        return 0
    kept: list[bytes] = []
    if colon >= 0:
        for piece in window.split(b":", _MOST_PARTS)[:-1]:
            label = piece[piece.rfind(b"\n") + 1 :]
            if len(label) <= _LABEL:
                kept.append(label)
    for mark in _HEADINGS:
        if mark in window:
            for piece in (b"\n" + window).split(b"\n" + mark, _MOST_PARTS)[1:]:
                kept.append(mark + piece[:_LABEL].partition(b"\n")[0])
    if len(kept) < 2:
        return 0
    return _xxh3(_one_digit(b"\n".join(kept)), keys.skeleton)


_HEADINGS: Final = (b"#", b"[", b"<")


def fragments(window: bytes, keys: Seeds) -> tuple[int, ...]:
    """Digests of the fragments of a masked window, at most `MOST_FRAGMENTS`, each once, in no
    order.

    The window is cut where words begin with a given letter, so equal passages give equal fragments
    wherever they stand (content-defined chunking: Muthitacharoen et al. 2001, LBFS).
    """
    pieces = window.split(_ANCHOR)
    if len(pieces) < 4 and not window.isascii():
        pieces = window.split(_ANCHOR_BYTE)
    seed = keys.fragment
    kept = {_xxh3(piece[:_LONGEST], seed) for piece in pieces if len(piece) >= _SHORTEST}
    if len(kept) > MOST_FRAGMENTS:
        return tuple(sorted(kept)[:MOST_FRAGMENTS])
    return tuple(kept)


def agent(value: bytes, seed: int) -> int:
    """Digest of a user agent without its version numbers, of its first 512 bytes; 0 for none.

    `seed` is `Seeds.agent`.
    """
    return _xxh3(value[:LONGEST_AGENT].translate(_MASK, _VERSION), seed) if value else 0
