"""From a set of accounts to a verdict: who is meant, what ties them, and who they may be."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from gateway_guard.campaigns.alibis import explained
from gateway_guard.campaigns.evidence import AT_PLACES, Burden, Verdict, judge
from gateway_guard.campaigns.memory import Memory
from gateway_guard.campaigns.places import at_places
from gateway_guard.campaigns.ties import Base, Group

#: Beside people at places who say the same, those left are of them when they are less than this
#: share of all. A choice: it frees trades of which a fifth was left in three of eight generated
#: worlds, and of no campaign there so few were left.
_THE_REST: Final = 1 / 3


class Judgement(msgspec.Struct, frozen=True):
    """What was found about a set of accounts.

    Attributes:
        verdict: on those meant.
        meant: account numbers, without people at a place.
        people: account numbers of those people.
    """

    verdict: Verdict
    meant: set[int]
    people: set[int]


def judged(
    part: Iterable[int], memory: Memory, base: Base, *, examined: int, burden: Burden
) -> Judgement:
    """What the evidence comes to about those accounts of `part` that are not people at a place.

    `base` is how common traits are elsewhere, `examined` as in `evidence.judge`.
    """
    numbers = memory.numbers
    meant = set(part)
    everybody = group = Group(meant, memory)
    people = {numbers[account] for account in at_places(everybody, base, burden)}
    if people:
        meant -= people
        group = Group(meant, memory)
    alike = group.alike()
    verdicts = (
        judge(view, examined=examined, alike=alike, at_places=len(people), burden=burden)
        for view in group.views(base)
    )
    verdict = max(verdicts, key=lambda verdict: (verdict.convicted, verdict.total))
    verdict = explained(group, verdict, burden)
    if (
        verdict.convicted
        and len(meant) < _THE_REST * (len(meant) + len(people))
        and everybody.says_the_same(meant, burden.alike)
    ):
        # Most agents of a trade are at their offices; those at home say what they say.
        verdict = msgspec.structs.replace(
            verdict, convicted=False, left=0.0, explanation=AT_PLACES
        )  # fmt: skip
    return Judgement(verdict, meant, people)
