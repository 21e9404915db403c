"""`limits:` → `core.limits.Limit`s."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from yaml.nodes import MappingNode, Node, ScalarNode

from gateway_guard.core.adapt import Adapt
from gateway_guard.core.limits import Limit
from gateway_guard.policy import units
from gateway_guard.policy.acting import acting
from gateway_guard.policy.conditions import compile_when
from gateway_guard.policy.contradictions import NAME_IT, check_contradictions, reaches_nothing
from gateway_guard.policy.locations import country
from gateway_guard.policy.schema import KEYS, UNITS, YEAR, Key
from gateway_guard.policy.scope import Scope
from gateway_guard.policy.shapes import Shape, Values
from gateway_guard.policy.values import (
    Section,
    items,
    kebab,
    kind_of,
    name_of,
    pairs,
    plain,
    quantity,
    word,
)

MAX_LIMITS: Final = 500
_SHARE: Final = Key(name="share", kind="percent", low=0.0001, high=1.0, doc="share of the quota")
_TIER_SHARE: Final = Key(
    name="share", kind="percent", low=0.0001, high=1000.0, doc="share of the quota"
)
_RISK = Key(name="risk", kind="number", low=0.0, high=1.0, doc="risk from which the share applies")
_AGE = Key(name="age", kind="duration", low=1.0, high=20 * YEAR, doc="age below which it applies")
#: Table of `adapt` → what its entries are found by (None: names) and the share they give.
TABLES: Final[dict[str, tuple[Key | None, Key]]] = {
    "risk": (_RISK, _SHARE),
    "region": (None, _SHARE),
    "age": (_AGE, _SHARE),
    "tier": (None, _TIER_SHARE),
}


@dataclass(slots=True)
class _Counted:
    """What is needed to compare two limits: the limit and its scope."""

    limit: Limit
    scope: dict[str, Shape]


def compile_limits(scope: Scope, node: Node) -> tuple[Limit, ...]:
    """Every good limit, in file order."""
    if not isinstance(node, MappingNode):
        scope.found.at(
            "GG204",
            node,
            f"limits are a mapping name → limit, not {kind_of(node)}",
            hint="limits: { requests: { per: account, requests: 60/minute } }",
        )
        return ()
    counted: list[_Counted] = []
    if len(node.value) > MAX_LIMITS:
        scope.found.at("GG112", node.value[MAX_LIMITS][0], f"more than {MAX_LIMITS} limits")
        return ()
    for _, key_node, value in pairs(scope.found, node):
        name = kebab(scope.found, key_node, "limit")
        section = Section(scope.found, value, "limit", key_node)
        limit, shapes = _limit(scope, section, name or "")
        if limit is None:
            continue
        for other in counted:
            looser = _looser(other, limit, shapes)
            if looser is not None:
                first = limit if looser is other.limit else other.limit
                scope.found.at(
                    "GG405",
                    key_node,
                    f"limit '{name}' counts the same as '{other.limit.name}'",
                    hint=f"'{first.name}' refuses first: leave '{looser.name}' out, or give "
                    "one a `when`",
                )
                break
        counted.append(_Counted(limit, shapes))
    return tuple(entry.limit for entry in counted)


def _looser(other: _Counted, mine: Limit, shapes: dict[str, Shape]) -> Limit | None:
    """Of two limits that count the same the one that the other forestalls; None: either may refuse.

    A bucket that is no smaller and drains no slower has room wherever the other has, whatever
    window its rate is written for (but for single requests larger than the other bucket, until
    they are settled). `other` is the earlier, and stays where both are alike.
    """
    theirs = other.limit
    # One that is rehearsed may be compared with any other.
    rehearsed = any(limit.shadow or limit.rollout < 1.0 for limit in (mine, theirs))
    if (
        rehearsed
        or set(mine.per) != set(theirs.per)
        or mine.unit != theirs.unit
        or mine.adapt != theirs.adapt
        or shapes != other.scope
    ):
        return None
    # Across, so that 20/minute and 1200/hour are alike to the last bit.
    rates = mine.quota * (theirs.window or 1.0), theirs.quota * (mine.window or 1.0)
    if rates[0] >= rates[1] and mine.burst >= theirs.burst:
        return mine
    return theirs if rates[0] <= rates[1] and mine.burst <= theirs.burst else None


def _limit(scope: Scope, section: Section, name: str) -> tuple[Limit | None, dict[str, Shape]]:
    found = scope.found
    per: list[str] = []
    per_node = section.get("per")
    if per_node is not None:
        for item in items(found, per_node):
            part = word(found, item, KEYS["limit"]["per"].words, "per")
            per += [part] if part else []
    if len(per) > 1 and "everyone" in per:
        found.at(
            "GG207",
            section.place("per"),
            "`everyone` beside other parts has no effect",
            hint="leave it out",
        )
    written = [unit for unit in UNITS if unit in section]
    if len(written) != 1 and section.fields:
        what = f"{' and '.join(written)} together" if written else "nothing"
        found.at(
            "GG401",
            section.node,
            f"the limit counts {what}",
            hint=f"write exactly one of {', '.join(UNITS)}",
        )
    quota, window = 0.0, 0.0
    if written:
        read = section.read(written[0])
        if read is not None and written[0] == "concurrent":
            quota = float(read)
        elif read is not None:
            quota, window = float(read[0]), float(read[1])
    burst = _burst(section, written, quota)
    adapt = _adapt(scope, section)
    when = section.section("when")
    conditions, shapes = compile_when(scope, when) if when is not None else ((), {})
    check_contradictions(scope, when, shapes)
    routes = shapes.get("model_route")
    elsewhere = isinstance(routes, Values) and routes.words == {False}
    if "tokens" in "".join(written) and (elsewhere or reaches_nothing(scope, shapes)):
        found.at(
            "GG307",
            section.place("when"),
            "no tokens are counted where no model is reached",
            hint="leave out `model_route: false`, or count requests"
            if elsewhere
            else f"{NAME_IT}; else count requests",
        )
    shadow, rollout = acting(section, "limit")
    if not (name and per and quota and len(written) == 1):
        return None, shapes
    return Limit(
        name=name,
        per=tuple(per),
        unit=UNITS[written[0]],
        quota=quota,
        window=window,
        burst=burst or quota,
        adapt=adapt,
        conditions=conditions,
        shadow=shadow,
        rollout=rollout,
        where=f"{found.name}:{section.node.start_mark.line + 1}",
    ), shapes


def _burst(section: Section, written: list[str], quota: float) -> float | None:
    if "burst" not in section:
        return None
    if written == ["concurrent"]:
        section.found.at(
            "GG402",
            section.place("burst"),
            "`burst` beside `concurrent`",
            hint="the number itself is the bound; leave burst out",
        )
        return None
    burst = section.read("burst")
    if burst is not None and quota and burst > 1000 * quota:
        section.found.at(
            "GG402",
            section.fields["burst"][1],
            f"a burst of {burst:,} is more than 1,000 times the rate",
            hint=f"at most {1000 * quota:,.0f}",
        )
        return None
    return float(burst) if burst is not None else None


def _adapt(scope: Scope, section: Section) -> Adapt | None:
    adapt = section.section("adapt")
    if adapt is None:
        return None
    found = scope.found
    risk = _steps(scope, adapt, "risk", _RISK)
    for floor, _, node in risk:
        if floor > 0.0:
            scope.thresholds.append((node, floor, "this share"))
    age = _steps(scope, adapt, "age", _AGE)
    for table, name, better in (
        (risk, "risk", "more risk"),
        (age[::-1], "age", "a younger account"),
    ):
        for (_, before, _), (_, after, node) in pairwise(table):
            if after > before:
                found.at(
                    "GG404",
                    node,
                    f"the quota grows with {better}",
                    hint=f"shares in `{name}` should {'fall' if name == 'risk' else 'rise'}",
                )
    region: dict[str, float] = {}
    for key_node, share in _table(scope, adapt, "region"):
        codes = country(scope, key_node, unknown=True)
        for code in codes or ():
            # A country in two regions gets the smaller share, whatever their order.
            region[code] = min(share, region.get(code, share))
    tier: dict[str, float] = {}
    for key_node, share in _table(scope, adapt, "tier"):
        if name_of(found, key_node, "tier", known="name each tier") is not None:
            name = key_node.value.casefold()
            if name in tier:
                found.at(
                    "GG202", key_node, f"duplicate key '{key_node.value}'",
                    hint="tiers are compared whatever their case; keep one",
                )  # fmt: skip
            tier[name] = share
    recover = adapt.read("recover")
    if "recover" in adapt and "risk" not in adapt:
        found.at(
            "GG403",
            adapt.place("recover"),
            "`recover` without a `risk` table",
            hint="it says how slowly a quota recovers from risk; add `risk` or leave it out",
        )
    unknown_age = adapt.read("unknown_age")
    return Adapt(
        risk=tuple((floor, share) for floor, share, _ in risk),
        region=region,
        age=tuple((ceiling, share) for ceiling, share, _ in age),
        tier=tier,
        unknown_age=1.0 if unknown_age is None else unknown_age,
        recover=recover or 0.0,
    )


def _table(scope: Scope, adapt: Section, name: str) -> list[tuple[ScalarNode, float]]:
    """(key node, share) of every good entry of one `adapt` table."""
    node = adapt.get(name)
    if node is None:
        return []
    if not isinstance(node, MappingNode) or not node.value:
        scope.found.at("GG204", node, f"'{name}' is a mapping, e.g. {_EXAMPLES[name]}")
        return []
    good: list[tuple[ScalarNode, float]] = []
    for _, key_node, value in pairs(scope.found, node):
        share = quantity(scope.found, value, TABLES[name][1])
        if share is not None:
            good.append((key_node, share))
    return good


_EXAMPLES = {
    "risk": "{ 0.3: 100%, 0.6: 25% }",
    "region": "{ high-risk: 25% }",
    "age": "{ 7 days: 20%, 30 days: 60% }",
    "tier": "{ free: 100%, scale: 400% }",
}


def _steps(scope: Scope, adapt: Section, name: str, key: Key) -> list[tuple[float, float, Node]]:
    """(bound, share, node of the bound), rising; two of the same bound are noted."""
    steps: list[tuple[float, float, Node]] = []
    for key_node, share in _table(scope, adapt, name):
        bound = quantity(scope.found, key_node, key) if plain(key_node) or key_node.value else None
        if bound is None:
            continue
        if any(bound == other for other, _, _ in steps):
            shown = units.show_seconds(bound) if key.kind == "duration" else f"{bound:g}"
            scope.found.at("GG403", key_node, f"two shares for {name} {shown}", hint="keep one")
            continue
        steps.append((bound, share, key_node))
    return sorted(steps, key=lambda step: step[0])
