"""Conditions on shared indicators: by source, kind, name, confidence and age of one of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from gateway_guard.policy.bands import spans_of
from gateway_guard.policy.reader import Findings
from gateway_guard.policy.schema import KEYS, Key
from gateway_guard.policy.scope import Compiled, Scope
from gateway_guard.policy.shapes import Bands, Shape, Values
from gateway_guard.policy.values import Section, items, kind_of, text, word
from gateway_guard.types import UNKNOWN, Assessment, Facts, IndicatorFacts, Request

_KNOWN: Final = "known"
_SOURCES: Final = frozenset({"source", "confidence"})
#: Whether one indicator, of a given age in seconds, is meant.
_Meant = Callable[[IndicatorFacts, float], bool]


@dataclass(frozen=True, slots=True)
class Said:
    """What some indicator must be: any of several descriptions; or that there is none.

    Attributes:
        words: names of indicators, `known`, `unknown`.
        described: of each description, its fields.
    """

    words: frozenset[str]
    described: tuple[tuple[tuple[str, Shape], ...], ...] = ()

    @property
    def anybody(self) -> bool:
        """Whether some description is met whoever said so and however unsure they are."""
        return bool(self.words - {UNKNOWN}) or any(
            _SOURCES.isdisjoint(dict(fields)) for fields in self.described
        )

    def covers(self, other: object) -> bool:
        """Whether whatever meets `other` surely meets this."""
        if not isinstance(other, Said):
            return False
        if _KNOWN in self.words:
            return UNKNOWN in self.words or UNKNOWN not in other.words
        return other.words <= self.words and all(
            any(_wider(ours, theirs) for ours in self.described) for theirs in other.described
        )

    @property
    def everything(self) -> bool:
        """Whether surely no request is left out."""
        return {_KNOWN, UNKNOWN} <= self.words


def _wider(ours: tuple[tuple[str, Shape], ...], theirs: tuple[tuple[str, Shape], ...]) -> bool:
    narrow = dict(theirs)
    return all(name in narrow and shape.covers(narrow[name]) for name, shape in ours)


def indicators(scope: Scope, node: Node, _key: Key) -> Compiled | None:
    """`known`, `unknown`, names, a description, or a list of those: any of them."""
    words: set[str] = set()
    described: list[tuple[tuple[str, Shape], ...]] = []
    meant: list[_Meant] = []
    good = True
    for part in node.value if isinstance(node, SequenceNode) else [node]:
        if isinstance(part, MappingNode):
            section = Section(scope.found, part, "indicator")
            if not part.value:
                scope.found.at("GG206", part, "an empty mapping", hint="write `indicator: known`")
            read = _described(scope, section)
            good = good and read is not None
            if read is not None:
                described.append(read[0])
                meant.append(read[1])
        elif isinstance(part, ScalarNode):
            value = text(scope.found, part)
            good = good and value is not None
            words |= {value} if value is not None else set()
        else:
            scope.found.at("GG204", part, f"an indicator was expected, not {kind_of(part)}")
            good = False
    if not good or not (words or described):
        return None
    scope.indicators = True
    shape = Said(frozenset(words), tuple(described))
    return _test(shape, tuple(meant)), shape


def _test(shape: Said, meant: tuple[_Meant, ...]) -> Callable[[Request, Facts, Assessment], bool]:
    unknown, known = UNKNOWN in shape.words, _KNOWN in shape.words
    names = shape.words - {UNKNOWN, _KNOWN}

    def indicator(request: Request, facts: Facts, _assessment: Assessment) -> bool:
        found = facts.indicators
        if not found:
            return unknown
        if known:
            return True
        for one in found:
            age = max(0.0, request.at - one.at)
            if one.name in names or any(test(one, age) for test in meant):
                return True
        return False

    return indicator


def _described(
    scope: Scope, section: Section
) -> tuple[tuple[tuple[str, Shape], ...], _Meant] | None:
    """The fields of one description and its test; all must hold of one and the same indicator."""
    shapes: list[tuple[str, Shape]] = []
    tests: list[_Meant] = []
    good = bool(section.fields)
    for name, (_, value) in section.fields.items():
        key = KEYS["indicator"][name]
        if key.kind in ("bands", "ages"):
            kind = "number" if key.kind == "bands" else "duration"
            spans = spans_of(scope, value, key, kind)
            if spans is None:
                good = False
                continue
            shapes.append((name, Bands(spans)))
            tests.append(_within(name, spans))
            continue
        words: set[str] = set()
        for item in items(scope.found, value):
            read = (
                word(scope.found, item, key.words, "kind of indicator")
                if key.words
                else text(scope.found, item)
            )
            good = good and read is not None
            words |= {read} if read is not None else set()
        good = good and bool(words)
        accepted = frozenset(words)
        universe = frozenset(key.words) if key.words else None
        shapes.append((name, Values(accepted, universe)))
        tests.append(_among(name, accepted))
    if not good:
        return None
    one = tuple(tests)
    return tuple(shapes), lambda indicator, age: all(test(indicator, age) for test in one)


def _within(name: str, spans: tuple[tuple[float, float], ...]) -> _Meant:
    if name == "age":
        return lambda _one, age: any(low <= age < high for low, high in spans)
    return lambda one, _age: any(low <= one.confidence < high for low, high in spans)


def _among(name: str, words: frozenset[str]) -> _Meant:
    return lambda one, _age: getattr(one, name) in words


def given_indicators(found: Findings, node: Node) -> tuple[dict[str, Any], ...]:
    """The indicators a case states: names, mappings, or a list of either."""
    stated: list[dict[str, Any]] = []
    for part in node.value if isinstance(node, SequenceNode) else [node]:
        fields: dict[str, Any] = {
            "name": "an indicator", "source": "a source", "kind": "network", "confidence": 1.0,
            "age": 0.0,
        }  # fmt: skip
        if isinstance(part, MappingNode):
            section = Section(found, part, "given_indicator")
            read = {name: section.read(name) for name in section.fields}
            fields |= {name: value for name, value in read.items() if value is not None}
        else:
            name = text(found, part)
            if name is None or name == UNKNOWN:
                continue
            fields["name"] = name
        stated.append(fields)
    return tuple(stated)
