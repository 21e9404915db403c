"""A policy, compiled."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from gateway_guard.core.limit import Limit
from gateway_guard.core.rollout import in_force, in_rehearsal
from gateway_guard.core.rules import Rule
from gateway_guard.core.sections import Identify, Inspect, Overload, Verification
from gateway_guard.signals.base import Detector
from gateway_guard.types import Action


class Weighted(msgspec.Struct, frozen=True, kw_only=True):
    """A detector and how much the policy believes it, weight in [0, 1]."""

    detector: Detector
    weight: float


class OnError(msgspec.Struct, frozen=True, kw_only=True):
    """What happens when a dependency fails.

    Attributes:
        store: when limits cannot be counted, `deny` (503), `allow`, or `local`: this worker's
            share of them, counted in its memory.
        network: `unknown`: the fact becomes unknown and rules judge it.
        guard: `deny` (500 without detail) or `allow` when the guard itself fails.
        body: `deny` or `allow` for a body on a model route that cannot be read.
        path: `deny` or `allow` for an ambiguous path spelling.
    """

    store: str = "deny"
    network: str = "unknown"
    guard: str = "deny"
    body: str = "deny"
    path: str = "deny"


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """A policy, compiled: everything a decision needs, nothing that must be parsed again.

    Attributes:
        digest: first 12 hex digits of the SHA-256 of its source.
        source: the file it came from.
        enforce: False for `mode: shadow`.
        rollout: share of accounts, in (0, 1], for whom `enforce` acts.
        default: action when no rule matches.
        websocket: `allow` or `deny` for WebSocket handshakes that no rule judged, or only one that
            restricts.
        regions: named lists of countries.
        signals: detectors and weights; empty switches assessment off.
        limits: in file order.
        rules: in file order.
        headers: whether answers have rate-limit headers and the request's id.
        overload: when the excess is told to come back.
        verification: how challenges are met; None where the guard has no part in that.
        campaigns: whether a rule or a limit asks for the campaign of an account.
        recover: longest `adapt.recover` of all limits, seconds.
        alone: the rules that may match an account that is in no campaign; always made from `rules`.
        quiet: those of them that may match where no signal is seen; likewise.
        charged: the limits in force, each for whom it is; always made from `limits`.
        rehearsed: those that only rehearse, each for whom it does; likewise.
    """

    digest: str
    source: str
    enforce: bool = False
    rollout: float = 1.0
    default: Action = Action.ALLOW
    websocket: str = "allow"
    identify: Identify = Identify()
    inspect: Inspect = Inspect()
    on_error: OnError = OnError()
    regions: Mapping[str, frozenset[str]] = msgspec.field(default_factory=dict)
    signals: tuple[Weighted, ...] = ()
    limits: tuple[Limit, ...] = ()
    rules: tuple[Rule, ...] = ()
    headers: bool = True
    overload: Overload = Overload()
    verification: Verification | None = None
    campaigns: bool = False
    recover: float = 0.0
    alone: tuple[Rule, ...] = ()
    quiet: tuple[Rule, ...] = ()
    charged: tuple[Limit, ...] = ()
    rehearsed: tuple[Limit, ...] = ()

    def __post_init__(self) -> None:
        force = msgspec.structs.force_setattr
        force(self, "alone", tuple(rule for rule in self.rules if rule.alone))
        force(self, "charged", tuple(in_force(limit) for limit in self.limits if not limit.shadow))
        rehearsed = (limit for limit in self.limits if limit.shadow or limit.rollout < 1.0)
        force(self, "rehearsed", tuple(map(in_rehearsal, rehearsed)))
        force(self, "quiet", tuple(rule for rule in self.rules if rule.quiet))
