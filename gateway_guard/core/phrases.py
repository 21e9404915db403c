"""Literal phrases in text, found whatever the letters are dressed in.

Text is folded before it is searched: case, white space, compatibility forms (full-width,
ligatures), accents, invisible characters (zero-width, soft hyphen, bidi controls, tags, variation
selectors) and the Cyrillic and Greek letters that look Latin. Phrases are folded the same way, so
what matches is what a reader would see.

Every character folds by itself, so the work is linear whatever the text. Pure ASCII takes one
table look-up a byte, so does text of Western Europe; other scripts one look-up a character.
"""

from __future__ import annotations

import codecs
import threading
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import ahocorasick_rs

_CONTROLS: Final = bytes(b for b in (*range(0x20), 0x7F) if b not in b"\t\n\v\f\r")
_BLANKS: Final = _CONTROLS + b"\t\n\v\f\r "
_FOLD: Final = bytes(
    0x20 if b in b"\t\n\v\f\r" else b + 32 if 0x41 <= b <= 0x5A else b for b in range(256)
)

#: Letters of other scripts that print like a Latin one (a part of Unicode TR39's confusables).
_LOOKALIKES: Final = str.maketrans(
    "аеорсухіјѕһԁԛԝӏьαοριυκτνχγ",
    "aeopcyxijshdqwlbaopiuktvxy",
)
#: Letters without ink: Hangul fillers.
_FILLERS: Final = "\u115f\u1160\u3164\uffa0"
#: Longest compatibility form used, characters. One character has a longer one (18, the Arabic
#: benediction U+FDFA), which would make a megabyte eleven: it stands for itself.
_LONGEST_FORM: Final = 8


def fold(text: str) -> bytes:
    """`text` as it is searched: UTF-8, folded as above, runs of spaces as one. Linear time."""
    raw = text.encode("ascii") if text.isascii() else _fold_unicode(text)
    folded = raw.translate(_FOLD, _CONTROLS)
    while b"  " in folded:
        folded = folded.replace(b"  ", b" ")
    return folded


def squeeze(text: str) -> bytes:
    """`fold` without any white space, so that words match however they are broken or spaced out.

    A little cheaper, a little looser (it also matches across the ends of other words): for long
    phrases that only count as hints.
    """
    raw = text.encode("ascii") if text.isascii() else _fold_unicode(text)
    return raw.translate(_FOLD, _BLANKS)


def _fold_unicode(text: str) -> bytes:
    """Everything of folding but what `_FOLD` does, as UTF-8."""
    raw = text.encode("utf-8", "replace")
    folded = _fold_western(text) if len(raw) - len(text) <= len(text) * 3 >> 3 else None
    if folded is None:
        folded = text.translate(_FORMS).encode("utf-8", "replace")
    if _TAGS in raw:
        # Invisible, but models read them: looked at beside the text they hide in.
        smuggled = [ord(char) & 0x7F for char in text if "\U000e0020" <= char <= "\U000e007e"]
        if smuggled:
            folded += b" " + bytes(smuggled)
    return folded


def _fold_western(text: str) -> bytes | None:
    """The same for text mostly of the characters in `_WESTERN`: a table of bytes, and the rest run
    by run. None when there is too much of the rest."""
    runs = _beyond.runs = []
    _beyond.room = 16 + (len(text) >> 6)
    try:
        encoded, _ = codecs.charmap_encode(text, _BEYOND, _TO_WESTERN)
    except UnicodeEncodeError:
        return None
    encoded = encoded.translate(_WESTERN_FORMS, _WESTERN_HIDDEN).replace(b"\xdf", b"ss")
    if encoded.isascii():
        return encoded
    rest, _ = codecs.charmap_decode(encoded, "strict", _WESTERN)
    for char, form in _WESTERN_LONG:
        if char in rest:
            rest = rest.replace(char, form)
    folded = rest.encode()
    if not runs:
        return folded
    pieces = folded.split(_MARK.encode())
    out = [pieces[0]]
    for run, piece in zip(runs, pieces[1:], strict=True):
        out.append(run.translate(_FORMS).encode("utf-8", "replace"))
        out.append(piece)
    return b"".join(out)


class _Beyond(threading.local):
    """What one `_fold_western` under way has met beyond its characters.

    Attributes:
        runs: runs of such characters, in order.
        room: how many there may be.
    """

    def __init__(self) -> None:
        self.runs: list[str] = []
        self.room = 0


_beyond: Final = _Beyond()
#: The name our error handler has among the codecs'.
_BEYOND: Final = "gateway_guard.beyond"
#: How the UTF-8 of a tag character begins.
_TAGS: Final = b"\xf3\xa0"


def _set_aside(error: UnicodeError) -> tuple[bytes, int]:
    runs = _beyond.runs
    if not isinstance(error, UnicodeEncodeError) or len(runs) >= _beyond.room:
        raise error
    end = error.end
    runs.append(error.object[error.start : end])
    return b"\x9f", end


codecs.register_error(_BEYOND, _set_aside)


def _form(char: str) -> str | None:
    """What is searched in place of one character; None for nothing."""
    if _hides(char):
        return None
    plain = unicodedata.normalize("NFKD", char)
    if len(plain) > _LONGEST_FORM:
        return char
    plain = plain.casefold()
    if plain == char and char not in _LOOKALIKE:
        return char
    return "".join([c for c in plain if not _hides(c)]).translate(_LOOKALIKES) or None


_LOOKALIKE: Final = frozenset(map(chr, _LOOKALIKES))


def _hides(char: str) -> bool:
    """Whether a character changes or hides a letter without being one."""
    return char >= "\u00ad" and (
        unicodedata.category(char) in ("Mn", "Me", "Cf")
        or unicodedata.combining(char) != 0
        or char in _FILLERS
    )


class _Forms(dict[int, "str | int | None"]):
    """Code point → `_form`, filled as characters turn up.

    It stays small (130,000 entries if every character of every script turns up), because
    ideographs beyond U+20000 and unassigned planes fold to themselves and are not kept.
    """

    __slots__ = ()

    def __missing__(self, code: int) -> str | int | None:
        if code >= 0x20000 and not (0x2F800 <= code < 0x2FA20 or 0xE0000 <= code < 0xE1000):
            return code
        char = chr(code)
        form = _form(char)
        # The very object that is the key: half the memory.
        kept = self[code] = code if form == char else form
        return kept


_FORMS: Final = _Forms()
#: Stands for a run of other characters, which never contains it.
_MARK: Final = "\x9f"
#: Latin-1, with what people and word processors also write instead of its control characters.
_WESTERN: Final = (
    "".join(map(chr, range(0x80)))
    + "“”‘’‚„–—―‐‑•…€™←→↑↓⇒≤≥≠≈−∞✓✔●■◦"
    + _MARK
    + "".join(map(chr, range(0xA0, 0x100)))
)
_TO_WESTERN: Final = codecs.charmap_build(_WESTERN.replace(_MARK, "\ufffe"))
_OF_WESTERN: Final = tuple(char if char == _MARK else _form(char) for char in _WESTERN)
_WESTERN_HIDDEN: Final = bytes(byte for byte, form in enumerate(_OF_WESTERN) if form is None)
#: Characters that fold to another one of these; `ß` and those of `_WESTERN_LONG` stay.
_WESTERN_FORMS: Final = bytes(
    byte
    if byte < 0x80 or form is None or len(form) > 1 or form not in _WESTERN
    else _WESTERN.index(form)
    for byte, form in enumerate(_OF_WESTERN)
)
_WESTERN_LONG: Final = tuple(
    (char, form)
    for char, form in zip(_WESTERN, _OF_WESTERN, strict=True)
    if form is not None and char > "\x7f" and char != "ß" and form not in _WESTERN
)


class Phrases:
    """A fixed set of phrases, each with a label; one pass over a text finds all labels.

    `labelled` are (phrase, label) pairs; `folding` is `fold` or `squeeze`, and what is searched
    must have gone through the same. A phrase that folds to nothing is never found.
    """

    def __init__(
        self, labelled: Iterable[tuple[str, str]], folding: Callable[[str], bytes] = fold
    ) -> None:
        patterns: dict[bytes, list[str]] = {}
        for phrase, label in labelled:
            folded = folding(phrase)
            if folded:
                patterns.setdefault(folded, []).append(label)
        self._labels: Sequence[tuple[str, ...]] = [tuple(labels) for labels in patterns.values()]
        self._automaton = (
            ahocorasick_rs.BytesAhoCorasick(
                list(patterns), implementation=ahocorasick_rs.Implementation.DFA
            )
            if patterns
            else None
        )

    def find(self, folded: bytes) -> tuple[str, ...]:
        """Labels of the phrases in folded text, each once, sorted."""
        if self._automaton is None:
            return ()
        hits = self._automaton.find_matches_as_indexes(folded, overlapping=True)
        if not hits:
            return ()
        found = {hit[0] for hit in hits}
        return tuple(sorted({label for index in found for label in self._labels[index]}))
