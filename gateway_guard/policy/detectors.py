"""`signals:` → detectors with their weights."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, get_args, get_origin, get_type_hints

from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from gateway_guard.core.policy import Weighted
from gateway_guard.policy import units
from gateway_guard.policy.diagnostics import suggest
from gateway_guard.policy.schema import KEYS
from gateway_guard.policy.scope import Scope
from gateway_guard.policy.values import empty, kind_of, pairs, plain, quantity


def parameters(cls: type) -> Mapping[str, Any]:
    """Name → type of every parameter a detector takes."""
    if not dataclasses.is_dataclass(cls):
        return {}
    hints = get_type_hints(cls)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls) if field.init}


def compile_signals(
    scope: Scope, node: Node, known: Mapping[str, type[Any]]
) -> tuple[Weighted, ...]:
    """Every good signal, in file order; weights are left in `scope`."""
    if not isinstance(node, MappingNode):
        scope.found.at(
            "GG204",
            node,
            f"signals are a mapping name → settings, not {kind_of(node)}",
            hint="signals: { template-sweep: { weight: 0.6 } }",
        )
        return ()
    good: list[Weighted] = []
    for name, key_node, value in pairs(scope.found, node):
        cls = known.get(name)
        if cls is None:
            scope.found.at(
                "GG203", key_node, f"unknown signal '{name[:60]}'", hint=suggest(name, known)
            )
            continue
        # Listed counts as switched on even when faulty, so that one mistake is reported once.
        scope.weights[name] = 1.0
        weighted = _signal(scope, name, key_node, value, cls)
        if weighted is None:
            scope.faulty.add(name)
        else:
            scope.weights[name] = weighted.weight
            ceiling = getattr(weighted.detector, "ceiling", None)
            if isinstance(ceiling, float):
                scope.ceilings[name] = ceiling
            good.append(weighted)
    return tuple(good)


def _signal(scope: Scope, name: str, place: Node, node: Node, cls: type[Any]) -> Weighted | None:
    found = scope.found
    if not isinstance(node, MappingNode):
        hint = f"{name}: {{ weight: {node.value if plain(node) and node.value else 0.3} }}"
        found.at("GG204", node, f"settings are a mapping, not {kind_of(node)}", hint=hint)
        return None
    before = found.errors
    types = parameters(cls)
    weight: float | None = None
    given: dict[str, Any] = {}
    places: dict[str, Node] = {}
    written = False
    for key, key_node, value in pairs(found, node):
        if key == "weight":
            written = True
            weight = quantity(found, value, KEYS["signal"]["weight"])
        elif key not in types:
            found.at(
                "GG201",
                key_node,
                f"'{name}' has no parameter '{key[:60]}'",
                hint=suggest(key, ["weight", *types]),
            )
        elif empty(value):
            found.at("GG206", key_node, f"'{key}' has no value")
        else:
            places[key] = value
            try:
                given[key] = _value(value, types[key])
            except ValueError as error:
                found.at("GG501", value, f"'{key}': {error}")
    if not written:
        found.at("GG205", place, "'weight' is missing", hint=f"{name}: {{ weight: 0.3 }}")
    if found.errors > before or weight is None:
        return None
    try:
        return Weighted(detector=cls(**given), weight=weight)
    except (ValueError, TypeError) as error:
        message = str(error)
        named = next((places[key] for key in places if key in message), place)
        found.at(
            "GG501",
            named,
            message[:200] or f"'{name}' refuses its parameters",
            hint=f"`gateway-guard signal {name}` explains its parameters",
        )
        return None


def _value(node: Node, kind: Any) -> Any:
    """The node as a detector's parameter of type `kind`; raises `ValueError` in words."""
    origin = get_origin(kind)
    if isinstance(node, SequenceNode):
        if origin not in (tuple, frozenset, list):
            raise ValueError("one value was expected, not a list")
        inner = get_args(kind)[0] if get_args(kind) else str
        return origin(_value(item, inner) for item in node.value)
    if not isinstance(node, ScalarNode):
        raise ValueError("a value was expected, not a mapping")
    if origin in (tuple, frozenset, list):
        return origin((_value(node, get_args(kind)[0] if get_args(kind) else str),))
    if kind is bool:
        if node.value not in ("true", "false"):
            raise ValueError("true or false was expected")
        return node.value == "true"
    if kind is int:
        return units.integer(node.value)
    if kind is float:
        for parse in (units.number, units.duration, units.percent):
            try:
                return parse(node.value)
            except ValueError:
                continue
        raise ValueError(f"'{node.value[:40]}' is neither a number, a duration nor a share")
    return node.value
