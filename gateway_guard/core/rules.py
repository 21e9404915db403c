"""Rules as the policy compiled them: conditions over one exchange, first match wins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from gateway_guard.types import Action, Assessment, Facts, Request, Restrictions

#: Whether a condition holds. Pure and total.
Test = Callable[[Request, Facts, Assessment], bool]


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """One key of a `when` mapping.

    Attributes:
        field: the key as written, e.g. `network`.
        text: its value as written, e.g. `[proxy, tor]`; for explanations.
        test: whether it holds.
        within: the keys within a `not`; empty for all others.
    """

    field: str
    text: str
    test: Test
    within: tuple[str, ...] = ()


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One line of judgement.

    Attributes:
        name: kebab-case, unique in the policy.
        conditions: all must hold; empty matches everything.
        action: what then.
        why: the operator's own words, for the decision log.
        where: `file:line` of its name.
        status: HTTP status of a refusal; None for the action's own.
        restrictions: for `restrict`.
        shadow: rehearse only.
        rollout: share of accounts, in (0, 1], for whom it acts; for the others it rehearses.
        tarpit: seconds to hold a refusal; 0 for none.
        challenge_url: where to verify; None unless `challenge`.
        retry_after: seconds a `throttle` rule asks to wait; None otherwise.
        tests: the tests of `conditions`, cheapest first; always made from them, whatever is given.
        alone: whether it may match an account that is in no campaign; made from `conditions`, too.
        quiet: whether it may match where no signal is seen either; likewise.
    """

    name: str
    conditions: tuple[Condition, ...]
    action: Action
    why: str = ""
    where: str = ""
    status: int | None = None
    restrictions: Restrictions | None = None
    shadow: bool = False
    rollout: float = 1.0
    tarpit: float = 0.0
    challenge_url: str | None = None
    retry_after: float | None = None
    tests: tuple[Test, ...] = ()
    alone: bool = True
    quiet: bool = True

    def __post_init__(self) -> None:
        force = msgspec.structs.force_setattr
        force(self, "tests", tests_of(self.conditions))
        force(self, "alone", self._may_match(_LINKS))
        force(self, "quiet", self._may_match(_SUSPICIONS))

    def _may_match(self, fields: frozenset[str]) -> bool:
        return all(
            condition.test(_ANYBODY, _NO_FACTS, _NOTHING)
            for condition in self.conditions
            if condition.field in fields
        )

    def matches(self, request: Request, facts: Facts, assessment: Assessment) -> bool:
        """Whether every condition holds."""
        for test in self.tests:
            if not test(request, facts, assessment):
                return False
        return True


#: Conditions that look at the campaign alone, and at what is suspected alone; and what they see
#: where there is nothing.
_LINKS: Final = frozenset(("campaign",))
_SUSPICIONS: Final = frozenset(("risk", "signal", "campaign"))
_ANYBODY: Final = Request(id="", at=0.0, method="", path=None)
_NO_FACTS: Final = Facts()
_NOTHING: Final = Assessment()


def tests_of(conditions: Sequence[Condition]) -> tuple[Test, ...]:
    """The tests of `conditions`, in an order that finds out soonest that one does not hold.

    Tests are pure and total, so their order changes no judgement. Risk is the cheapest to look at
    and nearly always too low.
    """
    ordered = sorted(conditions, key=lambda condition: condition.field != "risk")
    return tuple(condition.test for condition in ordered)
