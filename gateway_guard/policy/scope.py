"""What names mean while a policy is compiled, and what compiling one condition gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from yaml.nodes import Node

from gateway_guard.core.rules import Test
from gateway_guard.policy.reader import Findings
from gateway_guard.policy.shapes import Shape
from gateway_guard.types import UNKNOWN, Facts, Request

#: The closure that decides, and what it accepts.
Compiled = tuple[Test, Shape]


@dataclass(slots=True)
class Scope:
    """What names mean while a policy is compiled.

    Attributes:
        found: where findings go.
        routes: whether a path is a model route of the policy's own; None where it names none.
        regions: region → countries.
        detectors: names of all detectors there are.
        weights: switched-on signal → weight.
        ceilings: switched-on signal → highest score it gives, where its detector has a `ceiling`.
        faulty: switched-on signals whose settings are wrong, so that their weight is not known.
        phrases: phrases of all `prompt` conditions so far, lower case.
        campaigns: whether a condition or a limit so far asks for the campaign of an account.
        indicators: whether a condition so far asks for indicators of templates.
        thresholds: (node, risk) of every risk threshold, to be checked against the weights.
    """

    found: Findings
    routes: Callable[[str], bool] | None = None
    regions: dict[str, frozenset[str]] = field(default_factory=dict)
    detectors: tuple[str, ...] = ()
    weights: dict[str, float] = field(default_factory=dict)
    ceilings: dict[str, float] = field(default_factory=dict)
    faulty: set[str] = field(default_factory=set)
    phrases: dict[str, None] = field(default_factory=dict)
    campaigns: bool = False
    indicators: bool = False
    thresholds: list[tuple[Node, float, str]] = field(default_factory=list)

    def most(self, name: str) -> float:
        """The risk a switched-on signal makes alone: its weight times its highest score."""
        return self.weights[name] * self.ceilings.get(name, 1.0)


# One getter per field: the value a condition looks at, `UNKNOWN` when nobody knows it.
GET: Final[dict[str, Callable[[Request, Facts], Any]]] = {
    "country": lambda _r, f: f.network.country or UNKNOWN,
    "account_country": lambda _r, f: f.account.country or UNKNOWN,
    "asn": lambda _r, f: UNKNOWN if f.network.asn is None else f.network.asn,
    "method": lambda r, _f: r.method,
    "dialect": lambda r, _f: r.dialect.value,
    "model_route": lambda r, _f: r.model_route,
    "organisation": lambda _r, f: f.account.organisation or UNKNOWN,
    "tier": lambda _r, f: (f.account.tier or UNKNOWN).casefold(),
    "programme": lambda _r, f: (f.account.programme or UNKNOWN).casefold(),
    "verified": lambda _r, f: UNKNOWN if f.account.verified is None else f.account.verified,
    "stream": lambda r, _f: UNKNOWN if r.prompt is None else r.prompt.stream,
}


def member(name: str, words: frozenset[Any]) -> Test:
    get = GET[name]
    if name == "country":  # the commonest condition of all: no call within the call
        return lambda _r, f, _a: (f.network.country or UNKNOWN) in words
    return lambda r, f, _a: get(r, f) in words
