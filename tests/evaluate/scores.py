"""What the scorer says of one replay, typed."""

from __future__ import annotations

import msgspec

from gateway_guard.cli.labels import wilson


class Share(msgspec.Struct, frozen=True):
    """k of n, with a 95 % interval; `share` is None for n = 0."""

    k: int
    n: int
    share: float | None
    ci95: tuple[float, float]


def share_of(k: int, n: int) -> Share:
    """k of n, which are taken as independent."""
    return Share(k, n, k / n if n else None, wilson(k, n))


class Rates(msgspec.Struct, frozen=True):
    """A share over all benign accounts or exchanges, by class, and of benign organisations."""

    overall: Share
    classes: dict[str, Share]
    organisations: Share | None = None


class Caught(msgspec.Struct, frozen=True):
    """Contained attack accounts: all, by scenario, and the mean over scenarios."""

    overall: Share
    scenarios: dict[str, Share]
    macro: float | None


class Taken(msgspec.Struct, frozen=True):
    """Attack exchanges answered, of all of them."""

    harvested: int
    exchanges: int
    share: float | None


class Harvest(msgspec.Struct, frozen=True):
    """Attack exchanges answered: all, by scenario, and the mean share over scenarios."""

    overall: Taken
    scenarios: dict[str, Taken]
    macro_share: float | None


class Alarm(msgspec.Struct, frozen=True):
    """When a true campaign was noticed: None when never."""

    seconds_to_alarm: float | None
    exchanges_before_alarm: int
    exchanges: int


class Alarms(msgspec.Struct, frozen=True):
    """When each true campaign was noticed."""

    campaigns: int
    alarmed: int
    per_campaign: dict[str, Alarm]


class Attribution(msgspec.Struct, frozen=True):
    """How the campaigns held at the end compare with the true ones; None when none is held."""

    clusters: int
    benign_clustered: int
    purity: float | None
    completeness_macro: float | None


class Score(msgspec.Struct, frozen=True):
    """The scorer's report, as far as it is shown here. Unknown members are passed over."""

    exchanges: int
    without_decision: int
    fpr: Rates
    benign_refused: Rates
    tpr: Caught
    harvested: Harvest
    attribution: Attribution
    alarm: Alarms
