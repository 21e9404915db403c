"""What a text says not to do, left out: who forbids something does not ask for it.

Agents and chat applications write at length how the model is not to answer ("never reveal your
internal reasoning"), in the same words in which others ask for it. Measured on public prompts in
which `signals.reasoning_elicit` finds something: left out in none of 5,089 made to teach a model,
and in 4 of 2,007 others.
"""

from __future__ import annotations

import re
from typing import Final

import ahocorasick_rs

#: Ends of words that do.
_WITHIN: Final = ("n't", "n\u2019t")
#: What forbids what follows it, in languages that put it in front, as `folding.undressed` leaves
#: it. Not `no`: "no hidden reasoning" asks for all of it.
_FORBIDS: Final = (
    *_WITHIN, "not", "never", "without", "avoid", "rather than", "instead of", "cannot",
    "dont", "nicht", "niemals", "ohne", "kein", "keine", "keinen", "sans", "jamais", "nunca",
    "nao", "sem", "senza", "不要", "请勿", "請勿", "不得",
)  # fmt: skip
_search: Final = ahocorasick_rs.BytesAhoCorasick(
    [word.encode() for word in _FORBIDS], matchkind=ahocorasick_rs.MatchKind.LeftmostLongest
).find_matches_as_indexes
#: What is forbidden, to the end of its sentence. Words that turn that around come first, then those
#: with which something else begins.
_FORBIDDEN: Final = re.compile(
    rb"(?![a-z0-9])(?!\W+(?:only|just|omit|skip|forget|hide|leave|withhold|stop|hesitate|fail|miss))"
    rb"(?:(?!\b(?:but|until|unless|except|before|if)\b|\n\s*\n)[^.!?;:]){1,48}"
)
#: Keeps apart what stood on both sides.
_GAP: Final = b" ; "
#: Most such words looked at; 64 KiB of prose have a few hundred. What has more is no prose, and
#: counts as it stands.
_MOST: Final = 1024


def wanted(plain: bytes) -> bytes:
    """`plain`, as `folding.undressed` gives it, without the 48 bytes behind a word that forbids, or
    what there is of its sentence. Measured: below 0.1 ms for 64 KiB of prose.
    """
    low = plain.lower()
    kept: list[bytes] = []
    done = 0
    words = _search(low)
    if len(words) > _MOST:
        return plain
    for word, start, end in words:
        inside = word >= len(_WITHIN) and low[start - 1 : start].isalpha()
        if start < done or inside:
            continue
        clause = _FORBIDDEN.match(low, end)
        if clause is not None:
            kept.append(plain[done:start])
            done = clause.end()
    return _GAP.join((*kept, plain[done:])) if kept else plain
