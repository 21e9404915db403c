"""What the linker is shown of a set, recorded once, so that linkers can be tried on it directly.

What an exchange teaches depends on the prompt, the address and the account, not on what was decided
about others; so a replay without a linker shows all there is to learn. What a verdict would have
changed is asked of the policy at once, for several confidences. Left out are the quota a campaign
shares, and that an exchange a verdict refuses ends sooner than one that is answered: both are small
(`make evaluate` has them).
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from gateway_guard.campaigns.evidence import USUAL, Burden
from gateway_guard.campaigns.linker import Linker
from gateway_guard.campaigns.sighting import Sighting
from gateway_guard.core.decide import decide
from gateway_guard.core.policy import Policy
from gateway_guard.types import CampaignFacts, Exchange, Request

#: Confidences for which the policy is asked; one between two of them is taken for the lower.
LEVELS: Final = (0.5, 0.75, 0.9, 0.95, 0.99, 1.0)
#: More than any confidence: nothing the linker says makes the policy refuse.
NEVER: Final = 2.0
#: As the scorer has it: an account is contained when half of its last ten exchanges were refused.
_LAST: Final = 10


class Asked(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One exchange, in the order of the decisions.

    Attributes:
        account: its digest.
        refused_from: least confidence in a campaign from which it is refused; 0 when it is
            whatever the linker says, `NEVER` when that cannot change it.
        learnt: what the linker was shown since the exchange before.
    """

    account: str
    refused_from: float
    learnt: tuple[Sighting, ...]


class Recording(msgspec.Struct, frozen=True, gc=False):
    """One set. `names`: account digest → the account as it stands in the traffic."""

    names: dict[str, str]
    asked: list[Asked]


def refused_from(policy: Policy, exchange: Exchange) -> float:
    """The least of `LEVELS` at which the policy refuses; 0 and `NEVER` as in `Asked`."""
    if exchange.decision.action.refuses:
        return 0.0
    for level in LEVELS:
        told = msgspec.structs.replace(
            exchange.facts, campaign=CampaignFacts(id="c_any", confidence=level)
        )
        if decide(policy, exchange.request, told, exchange.assessment).action.refuses:
            return level
    return NEVER


def record(path: Path) -> None:
    """From now on a replay has no linker, and writes what it would have learnt to `path`."""
    # Imported here: whoever reads a recording needs none of it.
    from gateway_guard.cli.replay import Judge
    from gateway_guard.guard import Guard

    learnt: list[Sighting] = []
    asked: list[Asked] = []
    judge, finish = Guard.judge, Judge.finish

    def learn(self: Linker, seen: Sighting) -> None:
        learnt.append(seen)

    async def noted(
        self: Guard, request: Request, *, state: Mapping[str, Any] | None = None
    ) -> Exchange:
        exchange = await judge(self, request, state=state)
        level = refused_from(self.policies.current, exchange)
        asked.append(Asked(request.account or "", level, tuple(learnt)))
        learnt.clear()
        return exchange

    def written(self: Judge) -> None:
        finish(self)
        path.write_bytes(msgspec.msgpack.encode(Recording(self.recorded, asked)))

    replaced: tuple[tuple[type, str, Callable[..., object]], ...] = (
        (Linker, "learn", learn), (Guard, "judge", noted), (Judge, "finish", written),
    )  # fmt: skip
    for owner, name, method in replaced:
        setattr(owner, name, method)


def read(path: Path) -> Recording:
    """What `record` wrote."""
    return msgspec.msgpack.decode(path.read_bytes(), type=Recording)


class Told(msgspec.Struct):
    """What a guard would have been told of one account.

    Attributes:
        last: of its last exchanges, whether each would have been refused.
        ever: whether any was.
    """

    last: deque[bool]
    ever: bool = False

    @property
    def contained(self) -> bool:
        """Whether at least half of its last exchanges would have been refused."""
        return 2 * sum(self.last) >= len(self.last)


def told(
    recording: Recording,
    *,
    without: Collection[str] = (),
    burden: Burden = USUAL,
    shown: Callable[[Sighting], Sighting] | None = None,
) -> dict[str, Told]:
    """What a new linker tells of every account of the traffic, but those `without`.

    The linker is shown each exchange as it was, or what `shown` makes of it.
    """
    linker, names = Linker(burden=burden), recording.names
    facts, learn = linker.facts, linker.learn
    out = {digest for digest, name in names.items() if name in without}
    found: dict[str, Told] = defaultdict(lambda: Told(deque(maxlen=_LAST)))
    for one in recording.asked:
        for seen in one.learnt:
            if seen.account not in out:
                learn(seen if shown is None else shown(seen))
        if one.account in names and one.account not in out:
            verdict, account = facts(one.account), found[one.account]
            refused = (verdict.confidence if verdict is not None else 0.0) >= one.refused_from
            account.last.append(refused)
            account.ever = account.ever or refused
    return {names[digest]: account for digest, account in found.items()}


def contained(
    recording: Recording,
    *,
    without: Collection[str] = (),
    burden: Burden = USUAL,
    shown: Callable[[Sighting], Sighting] | None = None,
) -> dict[str, bool]:
    """Every account of `told`: whether it has it contained."""
    found = told(recording, without=without, burden=burden, shown=shown)
    return {name: account.contained for name, account in found.items()}
