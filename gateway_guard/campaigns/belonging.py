"""Which accounts belong together, by what each shares with the others; holds nobody."""

from __future__ import annotations

from collections.abc import Container
from typing import Final

from gateway_guard.campaigns.company import counted_twice
from gateway_guard.campaigns.elsewhere import Elsewhere
from gateway_guard.campaigns.membership import JOIN, LEAVE, Signature, joining, points
from gateway_guard.campaigns.memory import Memory
from gateway_guard.campaigns.reviews import Reviews, Ruling
from gateway_guard.campaigns.steps import Steps
from gateway_guard.campaigns.ties import Base

#: Rounds of scoring members against what the members have in common.
_ROUNDS: Final = 3
#: What it costs to score one account, as `Memory.effort` counts.
_SCORED: Final = 100.0


class Belonging:
    """Points of accounts towards groups, against how common things are elsewhere.

    Args:
        memory: what is remembered of the accounts.
        elsewhere: how common things are among the accounts in no campaign.
        held: the numbers of all members of campaigns, whenever they are asked for.
        reviews: the rulings of people; whom they allow belongs to no group.
    """

    def __init__(
        self, memory: Memory, elsewhere: Elsewhere, held: Container[int], reviews: Reviews
    ) -> None:
        self._memory = memory
        self._elsewhere = elsewhere
        self._held = held
        self._reviews = reviews

    def spared(self, number: int, at: float) -> bool:
        """Whether a reviewer allowed account `number`, as of `at` (Unix seconds)."""
        reviews = self._reviews
        return bool(reviews.rulings) and (
            reviews.of(self._memory.traces[number].account, at) is Ruling.ALLOW
        )

    def score(
        self, number: int, signature: Signature, base: Base, *, member: bool, joins: bool = False
    ) -> tuple[float, dict[str, float]]:
        """Points of account `number` towards the group of `signature`, and what each thing adds.

        `base` is that of `signature`; `member` is as in `membership.points`; `joins` says that the
        account was not found with the group. The points may be less than the sum of what each thing
        adds: of those found together what comes together elsewhere counts once; whoever joins is
        one of all customers (`membership.joining`), and those it comes with are mostly members to
        come.
        """
        trace = self._memory.traces[number]
        self._memory.effort += _SCORED
        outside = self._elsewhere.outside(trace, signature, base)
        total, adds = points(trace, signature, outside, member=member)
        if joins and signature.size:
            total += joining(signature.size, outside.size)
        elif total >= LEAVE:
            total -= counted_twice(
                trace, signature, outside, adds, self._memory, self._held, member=member
            )
        return total, adds

    def members(
        self, candidates: set[int], at: float, of: Signature | None = None
    ) -> Steps[dict[int, float]]:
        """Which of `candidates` belong together, and to the members `of` counts; their points."""
        traces = self._memory.traces
        known = sorted(n for n in candidates if n in traces and not self.spared(n, at))
        signature = of if of is not None else Signature()
        counted: set[int] = set()
        accepted = set(known)
        scores: dict[int, float] = {}
        for _ in range(_ROUNDS):
            signature.count(
                (traces[n] for n in accepted - counted), (traces[n] for n in counted - accepted)
            )
            counted = accepted
            base = self._elsewhere.base(signature)
            scores = {}
            for number in known:
                score, _ = self.score(number, signature, base, member=number in accepted)
                if score >= (LEAVE if number in self._held else JOIN):
                    scores[number] = score
                yield
            accepted = set(scores)
            if accepted == counted:
                break
        if of is not None:
            of.count((), (traces[n] for n in counted))
        return scores

    def neighbours(self, members: set[int], at: float) -> Steps[dict[int, float]]:
        """Who is near `members` and belongs to them, without those of campaigns; their points.

        None counts for the next: one of a class that came near would bring the class along.
        """
        traces = self._memory.traces
        near: set[int] = set()
        for number in members:
            near |= self._memory.near(number)
            yield
        near -= members
        signature = Signature(traces[n] for n in members)
        base = self._elsewhere.base(signature)
        found: dict[int, float] = {}
        for other in sorted(near):
            if other not in self._held and not self.spared(other, at):
                score, _ = self.score(other, signature, base, member=False, joins=True)
                if score >= JOIN:
                    found[other] = score
                yield
        return found
