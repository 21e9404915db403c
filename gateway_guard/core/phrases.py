"""Literal phrases in text, found whatever the letters are dressed in (`core.folding`)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Final

import ahocorasick_rs

from gateway_guard.core.folding import fold, squeeze

__all__ = ("Phrases", "fold", "squeeze")

#: Shortest phrase also looked for backwards and in rot13, characters: shorter ones turn into other
#: words (`green` is rot13 of `terra`).
_SHORTEST_DISGUISED: Final = 8
_ROT13: Final = bytes(
    (byte - 0x61 + 13) % 26 + 0x61 if 0x61 <= byte <= 0x7A else byte for byte in range(256)
)
#: Bytes searched before the phrases found in them are left out of the search; then twice as many.
_BLOCK: Final = 32 * 1024
#: Hits in a block that make it worth building an automaton of what is left.
_DENSE: Final = 256
#: Automata of what is left kept.
_MOST_RESTS: Final = 32

#: Never found, because folded text has no controls. With few phrases the automaton would skip to
#: their rarest letters, and text made of those costs it four times as much; this way, all text
#: takes 1.6 ns a byte.
_DECOYS: Final = tuple(bytes((byte, 1)) for byte in range(0x20, 0x7F))

#: What people put between the letters of a word they spell out; and how many of them must have it
#: between them for a text to be looked at more closely.
_WIDE: Final = tuple(mark.encode() for mark in "·•–—→‧∙⋅・")
_SPELLING: Final = (
    b" ", b".", b"-", b"_", b"*", b"|", b"/", b",", b"+", b"~", b"**", b", ", b"- ", b" - ", b" | ",
    b" . ", b"', '", b'", "', *_WIDE, *[b" %b " % mark for mark in _WIDE],
)  # fmt: skip
_SPELLED_FIRST: Final = 4
#: Fewest letters of a phrase that is looked for spelled out, and of a run of single letters.
_SHORTEST_SPELLED: Final = 6
#: Label of those beginnings; nothing a caller sees.
_SPELLED: Final = ""
#: Bytes of either end of a text in which letters are put together: 30 ns each.
_SPELLED_END: Final = 64 * 1024
_MARKS: Final = bytes(b for b in range(0x80) if not chr(b).isalnum())
_ALONE: Final = bytes(0x20 if b in _MARKS else 0x78 for b in range(256))
_LETTERS_ALONE: Final = re.compile(rb"(?<!x)x(?: {1,9}x(?!x)){%d,}" % (_SHORTEST_SPELLED - 1))

_Automaton = ahocorasick_rs.BytesAhoCorasick


class Phrases:
    """A fixed set of phrases, each with a label; one pass over a text finds all labels.

    `labelled` are (phrase, label) pairs; `folding` is `fold` or `squeeze`, and what is searched
    must have gone through the same. A phrase that folds to nothing is never found. Phrases of at
    least 8 characters are also found written backwards (as between bidi overrides), those of at
    least 8 ASCII letters in rot13.

    Attributes:
        longest: bytes of the longest folded phrase; 0 without phrases.
    """

    def __init__(
        self,
        labelled: Iterable[tuple[str, str]],
        folding: Callable[[str], bytes] = fold,
        *,
        spelled: bool = False,
    ) -> None:
        patterns: dict[bytes, set[str]] = {}
        letters: list[tuple[str, str]] = []
        for phrase, label in labelled:
            folded = folding(phrase)
            # Greek capitals print like other letters than the small ones do.
            cases = (phrase.lower(), phrase.upper(), phrase.title(), phrase.capitalize())
            for one in {folded, *map(folding, cases)} if folded else ():
                for spelling in (one, *_disguises(one)):
                    patterns.setdefault(spelling, set()).add(label)
            together = folded.translate(None, _MARKS) if spelled else b""
            if len(together) >= _SHORTEST_SPELLED and together.isascii():
                letters.append((together.decode(), label))
                first = [bytes((byte,)) for byte in together[:_SPELLED_FIRST]]
                for between in _SPELLING:
                    patterns.setdefault(between.join(first), set()).add(_SPELLED)
        self._letters = Phrases(letters) if letters else None
        self.longest = max(map(len, patterns), default=0)
        self._patterns = list(patterns)
        self._labels = [frozenset(labels) for labels in patterns.values()]
        self._automaton = _automaton(self._patterns)
        self._rests: dict[frozenset[str], tuple[_Automaton | None, list[frozenset[str]]]] = {}

    def find(self, folded: bytes) -> tuple[str, ...]:
        """Labels of the phrases in folded text, each once, sorted."""
        if self._automaton is None:
            return ()
        if len(folded) > _BLOCK:
            found = self._find_in_blocks(folded)
        else:
            hits = self._automaton.find_matches_as_indexes(folded, overlapping=True)
            if not hits:
                return ()
            labels = self._labels
            found = frozenset().union(*[labels[index] for index in {hit[0] for hit in hits}])
        if _SPELLED in found and self._letters is not None:
            found = (found - {_SPELLED}).union(self._letters.find(_put_together(folded)))
        return tuple(sorted(found))

    def _find_in_blocks(self, folded: bytes) -> frozenset[str]:
        """The same in long text, where a phrase said a hundred thousand times is heard once.

        Hits cost a hundred times as much as bytes.
        """
        found: frozenset[str] = frozenset()
        automaton, labels = self._automaton, self._labels
        start, size = 0, _BLOCK
        while automaton is not None and start < len(folded):
            block = folded[max(0, start - self.longest + 1) : start + size]
            hits = automaton.find_matches_as_indexes(block, overlapping=True)
            if hits:
                found = found.union(*[labels[index] for index in {hit[0] for hit in hits}])
                if len(hits) > _DENSE:
                    automaton, labels = self._without(found)
            start += size
            size *= 2
        return found

    def _without(self, found: frozenset[str]) -> tuple[_Automaton | None, list[frozenset[str]]]:
        """An automaton of the phrases that can add a label to `found`, with their labels."""
        rest = self._rests.get(found)
        if rest is None:
            left = [
                (pattern, labels)
                for pattern, labels in zip(self._patterns, self._labels, strict=True)
                if not labels <= found
            ]
            rest = _automaton([pattern for pattern, _ in left]), [labels for _, labels in left]
            if len(self._rests) >= _MOST_RESTS:
                self._rests.clear()
            self._rests[found] = rest
        return rest


def _automaton(patterns: list[bytes]) -> _Automaton | None:
    if not patterns:
        return None
    return _Automaton([*patterns, *_DECOYS], implementation=ahocorasick_rs.Implementation.DFA)


def _put_together(folded: bytes) -> bytes:
    """The letters of folded text that stand alone, several in a row, without what is between."""
    if len(folded) > 2 * _SPELLED_END:
        # More between them than letters in a row ever have: nobody wrote the two ends together.
        folded = folded[:_SPELLED_END] + b"\n\n\n\n\n\n\n\n\n\n" + folded[-_SPELLED_END:]
    for mark in _WIDE:
        folded = folded.replace(mark, b" ")
    runs = _LETTERS_ALONE.finditer(folded.translate(_ALONE))
    return b"\n".join([folded[run.start() : run.end()].translate(None, _MARKS) for run in runs])


def _disguises(folded: bytes) -> Iterable[bytes]:
    text = folded.decode("utf-8", "replace")
    if len(text) >= _SHORTEST_DISGUISED:
        yield text[::-1].encode()
    turned = folded.translate(_ROT13)
    if sum(before != after for before, after in zip(folded, turned, strict=True)) >= (
        _SHORTEST_DISGUISED
    ):
        yield turned
