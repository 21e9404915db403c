"""`template-sweep`: one account, one template, many fillings."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Final

from gateway_guard.signals.profile import (
    CREDIT_AT,
    DISTINCT,
    OLD_ONES_AT,
    ONES_AT,
    SLOT_MASK,
    SYSTEM,
    TAG_MASK,
)
from gateway_guard.signals.score import HOUR, above, excess
from gateway_guard.types import Facts, Request, Signal


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateSweep:
    """Sends one template over and over, each time filled differently.

    What it sees: keyed digests of the first words, the last words and the skeleton (labels,
    headings, list marks) of the last user text and of the system text. For each of the sixteen
    template places the account's memory has, it estimates how many *different* whole texts came
    under it in the last hour. A request is judged by the template it uses itself; a constant
    system prompt is one filling, however many questions follow it.

    Why: harvesting runs a seed list through a prompt template. Public reports of 2026 describe
    variations of one prompt arriving tens of thousands of times.

    Score: `1 - floor / fillings`; 0 up to `floor`, 0.5 at twice the floor, never 1.

    False positives: every honest batch job does exactly this (classification, translation,
    retrieval with a fixed frame, benchmark runs). On one account alone the two cannot be told
    apart: let it corroborate, and let campaigns (many organisations under one template) convict.

    Evasion: vary head, tail and skeleton; spread one template over so many accounts that each
    stays below the floor; more than sixteen templates at once; above about 500 fillings an hour
    the estimate saturates (at 749), which costs the score nothing.

    Source: head and tail of 8 words from our measurements on labelled prompts; linear counting
    (Whang et al. 1990) with 128 bits, standard error 14 % at 455. Measured on generated labelled
    traffic of 2,721 accounts: above 0.5 at 24 % of honest batch customers, 10 % of judges, 7 % of
    retrieval products, no other honest account, and at no campaign account, for those send some
    26 requests a day. Weigh it accordingly.

    Attributes:
        floor: different fillings in an hour below which nothing is said, > 0.
    """

    name: ClassVar[str] = "template-sweep"

    floor: float = 50.0

    def __post_init__(self) -> None:
        above("floor", self.floor, 0.0)

    def look(self, request: Request, facts: Facts) -> Signal | None:
        """None without a readable prompt or an account."""
        profile = facts.profile
        prompt = request.prompt
        if profile is None or prompt is None:
            return None
        tags = profile.cells
        sketch = profile.sketch
        if tags is None or sketch is None or not sketch[ONES_AT:CREDIT_AT].translate(
            None, _few(self.floor)
        ):  # fmt: skip
            return NOTHING
        ahead = int(request.at // HOUR) - profile.hour
        if ahead > 1:
            return NOTHING
        now = before = 0
        for role in prompt.roles:
            salt = SYSTEM if role.role == "system" else 0
            for digest in (role.head, role.tail, role.skeleton):
                if digest:
                    key = digest ^ salt
                    slot = key & SLOT_MASK
                    if tags[slot] == (key >> 32 & TAG_MASK or 1):
                        ones = sketch[ONES_AT + slot]
                        if ones > now:
                            now = ones
                        ones = sketch[OLD_ONES_AT + slot]
                        if ones > before:
                            before = ones
        fillings = sliding(DISTINCT[now], DISTINCT[before], ahead, request.at)
        if fillings <= self.floor:
            return NOTHING
        return Signal(
            name=self.name,
            score=excess(fillings, self.floor),
            evidence=_evidence(int(fillings + 0.5), self.floor),
        )


# Most accounts come nowhere near: looking at all counts at once costs a fifth of looking for one's
# own.
@lru_cache(maxsize=16)
def _few(floor: float) -> bytes:
    """Bits set in the hour's map and in that before, so few that they cannot mean `floor`."""
    return bytes(ones for ones, fillings in enumerate(DISTINCT) if 2.0 * fillings <= floor)


# Writing numbers out costs more than judging them; a habit is told in the same words each time.
@lru_cache(maxsize=1024)
def _evidence(fillings: int, floor: float) -> str:
    # An estimate: of the same 395 one start of the guard says 326, another 444.
    return f"about {fillings} fillings of one template in 1 h (floor {floor:g})"


def sliding(now: float, before: float, ahead: int, at: float) -> float:
    """A count over the last 60 minutes from two clock hours, the older one taken as evenly spread.

    `ahead` is how many hours `at` is past the newest hour counted: 0 or less, or 1.
    """
    part = 1.0 - at % HOUR / HOUR
    return now * part if ahead == 1 else now + before * part


NOTHING: Final = Signal(name=TemplateSweep.name, score=0.0)
