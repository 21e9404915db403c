"""`low-variance`: an account whose prompts are made of the same pieces."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Final

from gateway_guard.signals.score import above, at_least, ramp, share
from gateway_guard.types import Facts, Request, Signal


@dataclass(frozen=True, slots=True, kw_only=True)
class LowVariance:
    """Repeats itself: most of what its prompts consist of, it has sent before.

    What it sees: of each last user text up to sixteen sampled fragments (keyed digests of three
    to five words). The share already in the account's memory of 512 fragments, newest replacing
    older ones, goes into a smoothed share (weight of a new prompt 1/16).

    Why: it sees templates whose head and tail vary, and seed lists run twice, which template-sweep
    misses.

    Score: 0 up to `low`, rising linearly to `ceiling` at `high`; 0 before `prompts` prompts.

    False positives: batch jobs, retrieval with a fixed frame, agents that repeat instructions. In
    our labelled prompts redundancy ranks such honest customers *above* attackers (area under the
    ROC curve 0.34): it separates machines from people, not thieves from customers, hence the
    ceiling.

    Evasion: paraphrase; raw questions without a frame; short prompts (few words leave no fragment).

    Source: shingling (Broder 1997); bounds not measured. On generated labelled traffic of 2,721
    accounts a share of 93 % and more was reached by 40 % of benchmark runs and 3 % of batch
    customers, and by no campaign account.

    Attributes:
        prompts: prompts with fragments before anything is said, 1 to 255.
        low, high: shares between which the score rises, 0 <= low < high <= 1.
        ceiling: highest score, in [0, 1].
    """

    name: ClassVar[str] = "low-variance"

    prompts: int = 30
    low: float = 0.6
    high: float = 1.0
    ceiling: float = 0.4

    def __post_init__(self) -> None:
        at_least("prompts", self.prompts, 1, 255)
        share("low", self.low)
        share("high", self.high)
        above("high", self.high, self.low)
        share("ceiling", self.ceiling)

    def look(self, request: Request, facts: Facts) -> Signal | None:
        """None without a readable prompt or an account."""
        profile = facts.profile
        if profile is None or request.prompt is None:
            return None
        if profile.repeats <= self.low or profile.fragments < self.prompts:
            return NOTHING
        return Signal(
            name=self.name,
            score=self.ceiling * ramp(profile.repeats, self.low, self.high),
            evidence=_evidence(int(profile.repeats * 100.0 + 0.5), self.low),
        )


# Writing numbers out costs more than all of the above; a habit is told in the same words each time.
@lru_cache(maxsize=256)
def _evidence(percent: int, low: float) -> str:
    return f"{percent}% of its fragments sent before (floor {low:.0%})"


NOTHING: Final = Signal(name=LowVariance.name, score=0.0)
