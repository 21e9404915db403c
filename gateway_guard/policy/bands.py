"""Conditions on quantities: risk, scores, ages, confidence. `min` includes, `max` excludes."""

from __future__ import annotations

import math
from collections.abc import Callable

from yaml.nodes import MappingNode, Node, ScalarNode

from gateway_guard.core.rules import Test
from gateway_guard.policy.diagnostics import nearest, suggest
from gateway_guard.policy.schema import KEYS, Key
from gateway_guard.policy.scope import Compiled, Scope
from gateway_guard.policy.shapes import Bands, Named, merged
from gateway_guard.policy.values import Section, kind_of, pairs, quantity, show, word
from gateway_guard.types import UNKNOWN, Assessment, Facts, Request


def _spans(
    scope: Scope, node: Node, key: Key, kind: str, words: tuple[str, ...] = ()
) -> tuple[tuple[tuple[float, float], ...], frozenset[str]] | None:
    """Bands and words of a value that is a band, a word, or a list of those; spans merged."""
    parts = node.value if not isinstance(node, ScalarNode | MappingNode) else [node]
    spans: list[tuple[float, float]] = []
    seen: set[str] = set()
    good = True
    for part in parts:
        if isinstance(part, ScalarNode):
            hint = "write { min: …, max: … }"
            meant = part.value in (*words, "known") or nearest(part.value, words) is not None
            value = word(scope.found, part, words, key.name) if words and meant else None
            if not (words and meant):
                hint += f", or {' or '.join(words)}" if words else ""
                scope.found.at(
                    "GG204", part, f"a band was expected, not {kind_of(part)}", hint=hint
                )
            good = good and value is not None
            seen |= {value} if value else set()
            continue
        span = _band(scope, part, key, kind)
        good = good and span is not None
        spans += [span] if span else []
    if not good or not (spans or seen):
        return None
    return merged(spans), frozenset(seen)


def _band(scope: Scope, node: Node, key: Key, kind: str) -> tuple[float, float] | None:
    section = Section(scope.found, node, "band")
    if not section.fields:
        if isinstance(node, MappingNode) and not node.value:
            scope.found.at("GG206", node, "an empty band", hint="write { min: …, max: … }")
        return None
    bounds: dict[str, float] = {}
    for name, (_, value) in section.fields.items():
        bound = Key(
            name=name, kind=kind, doc=KEYS["band"][name].doc, low=max(0.0, key.low), high=key.high
        )
        read = quantity(scope.found, value, bound)
        if read is None:
            return None
        bounds[name] = read
    low, high = bounds.get("min", -math.inf), bounds.get("max", math.inf)
    if low >= high or ("max" in bounds and high <= 0.0):
        scope.found.at(
            "GG218",
            node,
            f"{show(node)} holds nothing",
            hint="`min` includes and `max` excludes: min must be below max, max above 0",
        )
        return None
    return low, high


def _test_spans(
    get: Callable[[Request, Facts, Assessment], float | None],
    spans: tuple[tuple[float, float], ...],
    unknown: bool,
) -> Test:
    if len(spans) == 1:
        low, high = spans[0]

        def one(request: Request, facts: Facts, assessment: Assessment) -> bool:
            value = get(request, facts, assessment)
            return unknown if value is None else low <= value < high

        return one

    def many(request: Request, facts: Facts, assessment: Assessment) -> bool:
        value = get(request, facts, assessment)
        return unknown if value is None else any(low <= value < high for low, high in spans)

    return many


def spans_of(
    scope: Scope, node: Node, key: Key, kind: str
) -> tuple[tuple[float, float], ...] | None:
    """The spans of a band or a list of bands, disjoint and rising; None after noting a mistake."""
    read = _spans(scope, node, key, kind)
    return None if read is None else read[0]


def _age(request: Request, facts: Facts, _assessment: Assessment) -> float | None:
    created = facts.account.created_at
    return None if created is None else max(0.0, request.at - created)


def ages(scope: Scope, node: Node, key: Key) -> Compiled | None:
    read = _spans(scope, node, key, "duration", (UNKNOWN,))
    if read is None:
        return None
    spans, words = read
    unknown = UNKNOWN in words
    return _test_spans(_age, spans, unknown), Bands(spans, unknown, sure=False)


def bands(scope: Scope, node: Node, key: Key) -> Compiled | None:
    read = _spans(scope, node, key, "number")
    if read is None:
        return None
    spans, _ = read
    least = min(low for low, _ in spans)
    if least > 0.0:
        scope.thresholds.append((_threshold(node), least, "this rule"))
    if len(spans) == 1:
        low, high = spans[0]
        return lambda _r, _f, a: low <= a.risk < high, Bands(spans)
    return _test_spans(lambda _r, _f, a: a.risk, spans, False), Bands(spans)


def _threshold(node: Node) -> Node:
    """The `min` of a band, for the caret; the band itself when there are several."""
    if isinstance(node, MappingNode):
        return next((v for k, v in node.value if k.value == "min"), node)
    return node


def _score(name: str) -> Callable[[Request, Facts, Assessment], float | None]:
    def get(_request: Request, _facts: Facts, assessment: Assessment) -> float | None:
        for signal in assessment.signals:
            if signal.name == name:
                return signal.score
        return 0.0

    return get


def signals(scope: Scope, node: Node, _key: Key) -> Compiled | None:
    if not isinstance(node, MappingNode):
        scope.found.at(
            "GG204",
            node,
            f"a mapping name → band was expected, not {kind_of(node)}",
            hint="e.g. signal: { template-sweep: { min: 0.5 } }",
        )
        return None
    tests: list[Test] = []
    bands: dict[str, Bands] = {}
    good = True
    for name, key_node, value in pairs(scope.found, node):
        bound = Key(name="signal", kind="number", doc="score", low=0, high=1)
        if name not in scope.detectors:
            scope.found.at(
                "GG203",
                key_node,
                f"unknown signal '{name[:60]}'",
                hint=suggest(name, scope.detectors),
            )
            good = False
        elif name not in scope.weights:
            scope.found.at(
                "GG503",
                key_node,
                f"signal '{name}' is not switched on",
                hint=f"add it: signals: {{ {name}: {{ weight: 0.3 }} }}",
            )
            good = False
        read = _spans(scope, value, bound, "number")
        if read is None:
            good = False
            continue
        least, most = min(low for low, _ in read[0]), scope.ceilings.get(name, 1.0)
        if least > most:
            scope.found.at(
                "GG502",
                _threshold(value),
                f"'{name}' never scores above {most:g}",
                hint=f"write at most {most:g}, or raise its `ceiling`",
            )
        tests.append(_test_spans(_score(name), read[0], False))
        bands[name] = Bands(read[0])
    if not good or not tests:
        return None
    if len(tests) == 1:
        return tests[0], Named(bands)
    return lambda r, f, a: all(test(r, f, a) for test in tests), Named(bands)


def campaigns(scope: Scope, node: Node, key: Key) -> Compiled | None:
    read = _spans(scope, node, key, "number", ("known", UNKNOWN))
    if read is None:
        return None
    spans, words = read
    scope.campaigns = True
    if "known" in words:
        spans = ((-math.inf, math.inf),)
    unknown = UNKNOWN in words

    def get(_request: Request, facts: Facts, _assessment: Assessment) -> float | None:
        return None if facts.campaign is None else facts.campaign.confidence

    return _test_spans(get, spans, unknown), Bands(spans, unknown, sure=False)
