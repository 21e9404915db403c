"""What one or several guards saw in the last hour and the last day, to be shown and sent on."""

from __future__ import annotations

from typing import Final

import msgspec

ACTIONS: Final = 5
#: Seconds after which what was in flight is not believed any more.
_IN_FLIGHT: Final = 60.0


class Seen(msgspec.Struct, array_like=True, gc=False):
    """Exchanges, and how many of them were refused."""

    all: int = 0
    stopped: int = 0


class NetworkSeen(msgspec.Struct, frozen=True, gc=False):
    """One network. `asn` is None when unknown; `all` and `stopped` are the least there were."""

    asn: int | None
    org: str
    all: int
    stopped: int


class AccountSeen(msgspec.Struct, frozen=True, gc=False):
    """One account that stood out.

    Attributes:
        account: keyed digest.
        risk: the highest of its exchanges, in [0, 1].
        all, stopped: its exchanges since it stood out, and those refused.
        at: Unix seconds of the latest.
        country: of its latest address; empty when unknown.
        campaign: the one it is held to be in; empty for none.
    """

    account: str
    risk: float
    all: int
    stopped: int
    at: float
    country: str
    campaign: str


class LimitSeen(msgspec.Struct, frozen=True, gc=False):
    """One limit of somebody, as it was last seen.

    Attributes:
        limit: its name.
        who: whose: an account, or what else it is counted by; empty where that is an address that
            is not to be shown.
        unit: as `Charge.unit`.
        remaining, capacity: units.
        rate: units regained a second.
        refused: whether it refused.
        at: Unix seconds.
    """

    limit: str
    who: str
    unit: str
    remaining: float
    capacity: float
    rate: float
    refused: bool
    at: float

    def left(self, now: float) -> float:
        """The share of it that is left at `now` if nobody used it since, in [0, 1]."""
        if self.capacity <= 0.0:
            return 1.0
        if not self.rate:
            return 1.0 if now - self.at > _IN_FLIGHT else self.remaining / self.capacity
        regained = self.remaining + self.rate * max(now - self.at, 0.0)
        return min(regained / self.capacity, 1.0)


class Bar(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Decisions of one piece of time from `at` (Unix seconds) on, by action in rising severity."""

    at: float
    actions: tuple[int, ...]


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """An hour or a day.

    Attributes:
        actions: decisions by action, in rising severity.
        rehearsed: of those not `allow`, how many were in shadow.
        countries: code, or `unknown` → exchanges.
        networks: the busiest first.
        flags: `tor`, `vpn` …, `none` and `unknown` → exchanges; one may have several.
        accounts: the riskiest first.
        stopped: those refused at least once, the most often refused first.
        bars: its timeline, oldest first, without gaps.
    """

    actions: tuple[int, ...] = (0,) * ACTIONS
    rehearsed: int = 0
    countries: dict[str, Seen] = {}
    networks: tuple[NetworkSeen, ...] = ()
    flags: dict[str, Seen] = {}
    accounts: tuple[AccountSeen, ...] = ()
    stopped: tuple[AccountSeen, ...] = ()
    bars: tuple[Bar, ...] = ()

    @property
    def all(self) -> int:
        """Exchanges."""
        return sum(self.actions)


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """What one or several guards saw.

    Attributes:
        now: Unix seconds it is true at.
        since: Unix seconds from which on was counted.
        hour, day: the windows.
        limits: near exhaustion, the least left first.
        dropped: exchanges that were not counted: there was no time.
    """

    now: float
    since: float
    hour: Window = Window()
    day: Window = Window()
    limits: tuple[LimitSeen, ...] = ()
    dropped: int = 0
