"""Literal phrases in text, found whatever the letters are dressed in.

Text is folded before it is searched: case, white space, compatibility forms (full-width,
ligatures), accents, invisible characters (zero-width, soft hyphen, bidi controls, tags, variation
selectors) and the Cyrillic and Greek letters that look Latin. Phrases are folded the same way, so
what matches is what a reader would see. Pure ASCII takes one table look-up a byte.
"""

from __future__ import annotations

import functools
import re
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


def fold(text: str) -> bytes:
    """`text` as it is searched: UTF-8, folded as above, runs of spaces as one. Linear time."""
    if not text.isascii():
        text = _fold_unicode(text)
    folded = text.encode("utf-8", "replace").translate(_FOLD, _CONTROLS)
    while b"  " in folded:
        folded = folded.replace(b"  ", b" ")
    return folded


def squeeze(text: str) -> bytes:
    """`fold` without any white space, so that words match however they are broken or spaced out.

    A little cheaper, a little looser (it also matches across the ends of other words): for long
    phrases that only count as hints.
    """
    if not text.isascii():
        text = _fold_unicode(text)
    return text.encode("utf-8", "replace").translate(_FOLD, _BLANKS)


def _fold_unicode(text: str) -> str:
    smuggled = _TAG.findall(text) if _ASTRAL.search(text) else []
    # Marks go before normalisation too: sorting a long run of them takes quadratic time in CPython.
    text = _seen(unicodedata.normalize("NFKD", _seen(text)).casefold())
    if _LOOKALIKE.search(text):
        text = text.translate(_LOOKALIKES)
    if smuggled:
        # Invisible, but models read them: looked at beside the text they hide in.
        text += " " + "".join([chr(ord(tag) - 0xE0000) for tag in smuggled])
    return text


#: Tag characters that stand for printable ASCII.
_TAG: Final = re.compile("[\U000e0020-\U000e007e]")
_LOOKALIKE: Final = re.compile(f"[{''.join(map(chr, _LOOKALIKES))}]")
_ASTRAL: Final = re.compile("[\U00010000-\U0010ffff]")
#: Letters without ink: Hangul fillers.
_FILLERS: Final = "\u115f\u1160\u3164\uffa0"


def _seen(text: str) -> str:
    """`text` without the characters that change or hide a letter without being one."""
    text = _marks().sub("", text)
    if _ASTRAL.search(text):
        hidden = [ord(char) for char in set(text) if char > "\uffff" and _hides(char)]
        if hidden:
            text = text.translate(dict.fromkeys(hidden))
    return text


def _hides(char: str) -> bool:
    return (
        unicodedata.category(char) in ("Mn", "Me", "Cf")
        or unicodedata.combining(char) != 0
        or char in _FILLERS
    )


@functools.cache
def _marks() -> re.Pattern[str]:
    # Of the basic plane only: such a class compiles to a bitmap, 20 times as fast as ranges.
    codes = [0xAD, *(code for code in range(0x300, 0x10000) if _hides(chr(code)))]
    ranges: list[str] = []
    start = last = codes[0]
    for code in [*codes[1:], -1]:
        if code != last + 1:
            ranges.append(f"{chr(start)}-{chr(last)}")
            start = code
        last = code
    return re.compile(f"[{''.join(ranges)}]+")


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
