"""Prometheus metrics: plain dictionaries on the hot path, published when somebody asks.

Labels are bounded by the policy (rules, limits, signals) and by enumerations; never an account, an
address, a model or a path. Every process counts for itself; `record.gather` adds up workers.
"""

from __future__ import annotations

import platform
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from gateway_guard import __version__
from gateway_guard.types import Action, Exchange, Inspection

#: metric → what it counts; a test walks it against what is rendered.
METRICS: Final[Mapping[str, str]] = {
    "gateway_guard_decisions_total": "Decisions by action, and whether they were acted upon.",
    "gateway_guard_rule_decisions_total": "Decisions by the rule that made them.",
    "gateway_guard_shadow_matches_total": "Rules that matched in rehearsal, limits without room.",
    "gateway_guard_limit_refusals_total": "Requests a limit had no room for.",
    "gateway_guard_signals_total": "Requests in which a detector saw something.",
    "gateway_guard_tokens_total": "Tokens of settled exchanges, by kind.",
    "gateway_guard_outcomes_total": "How exchanges ended.",
    "gateway_guard_degraded_total": "Decisions made without a dependency that failed.",
    "gateway_guard_uninspected_total": "Requests whose body could not be read, by cause.",
    "gateway_guard_decision_seconds": "Time to decide, from the request read to the verdict.",
    "gateway_guard_reloads_total": "Reloads of policy and data, by result.",
    "gateway_guard_build_info": "Version of the guard and of Python; always 1.",
}

#: Upper bounds of `gateway_guard_decision_seconds`, seconds.
BUCKETS: Final = (
    1e-05, 2.5e-05, 5e-05, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.0,
)  # fmt: skip

#: Distinct (action, acted, rule) counted. Reloads may bring new rule names for ever; what is beyond
#: is counted under the rule `other`.
MOST_KEYS: Final = 2_000

_ALLOW: Final = Action.ALLOW
_READ: Final = (Inspection.FULL, Inspection.NONE)


class Metrics:
    """Counts exchanges and renders them. One event loop writes; any thread may render."""

    def __init__(self) -> None:
        self._decisions: dict[tuple[Action, bool, str | None], int] = {}
        self._shadow: dict[tuple[str, Action], int] = {}
        self._limits: dict[str, int] = {}
        self._signals: dict[str, int] = {}
        self._outcomes: dict[str, int] = {}
        self._degraded: dict[str, int] = {}
        self._uninspected: dict[str, int] = {}
        self._input_tokens = 0
        self._output_tokens = 0
        self._reloads = {"good": 0, "failed": 0}
        self._buckets = [0] * (len(BUCKETS) + 1)
        self._seconds = 0.0
        self._read: list[Callable[[], Metric]] = []
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(_Published(self))
        ProcessCollector(registry=self._registry)

    @property
    def sizes(self) -> dict[str, tuple[int, int]]:
        """Table → (entries, most there may be)."""
        return {
            # Each action, acted upon or not, has an `other` besides.
            "metric_decisions": (len(self._decisions), MOST_KEYS + 2 * len(Action)),
            "metric_shadow": (len(self._shadow), MOST_KEYS),
            "metric_limits": (len(self._limits), MOST_KEYS),
        }

    def settled(self, exchange: Exchange) -> None:
        """Count one settled exchange."""
        decision = exchange.decision
        decisions = self._decisions
        key = (decision.action, decision.acted, decision.rule)
        try:
            decisions[key] += 1
        except KeyError:
            if len(decisions) >= MOST_KEYS:
                key = (decision.action, decision.acted, "other")
            decisions[key] = decisions.get(key, 0) + 1
        usage = exchange.usage
        if usage is not None:
            outcomes = self._outcomes
            outcomes[usage.outcome] = outcomes.get(usage.outcome, 0) + 1
            if usage.input_tokens:
                self._input_tokens += usage.input_tokens
            if usage.output_tokens:
                self._output_tokens += usage.output_tokens
        signals = exchange.assessment.signals
        if signals:
            seen = self._signals
            for signal in signals:
                seen[signal.name] = seen.get(signal.name, 0) + 1
        if (
            decision.action is not _ALLOW
            or decision.shadow
            or decision.degraded
            or exchange.request.inspection not in _READ
        ):
            self._unusual(exchange)

    def decided(self, seconds: float) -> None:
        """Count how long one decision took, seconds >= 0."""
        self._buckets[bisect_left(BUCKETS, seconds)] += 1
        self._seconds += seconds

    def reloaded(self, good: bool) -> None:
        """Count one reload."""
        self._reloads["good" if good else "failed"] += 1

    def gauge(self, name: str, text: str, read: Callable[[], float]) -> None:
        """Publish `read()` as the gauge `gateway_guard_NAME` whenever somebody asks."""
        full = f"gateway_guard_{name}"
        self._read.append(lambda: GaugeMetricFamily(full, text, value=read()))

    def counter(self, name: str, text: str, read: Callable[[], float]) -> None:
        """Publish `read()`, which never falls, as the counter `gateway_guard_NAME_total`."""
        full = f"gateway_guard_{name}"
        self._read.append(lambda: CounterMetricFamily(full, text, value=read()))

    def counters(
        self, name: str, text: str, label: str, read: Callable[[], Mapping[str, float]]
    ) -> None:
        """Publish each entry of `read()` as `gateway_guard_NAME_total{LABEL="key"}`."""
        full = f"gateway_guard_{name}"
        self._read.append(lambda: _family(full, text, label, read()))

    def gauges(
        self, name: str, text: str, label: str, read: Callable[[], Mapping[str, float]]
    ) -> None:
        """Publish each entry of `read()` as the gauge `gateway_guard_NAME{LABEL="key"}`."""
        full = f"gateway_guard_{name}"

        def family() -> Metric:
            made = GaugeMetricFamily(full, text, labels=[label])
            for key, value in dict(read()).items():
                made.add_metric([key], value)
            return made

        self._read.append(family)

    def render(self) -> tuple[bytes, str]:
        """The page and its content type."""
        return generate_latest(self._registry), CONTENT_TYPE_LATEST

    def flat(self) -> dict[str, float]:
        """Everything counted so far but buckets, `name{label="value"}` → value."""
        found = {}
        for family in self.families():
            for sample in family.samples:
                if "le" not in sample.labels:
                    labels = ",".join(f'{name}="{value}"' for name, value in sample.labels.items())
                    found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
        return found

    def families(self) -> Iterator[Metric]:
        """Everything counted so far, as Prometheus families."""
        # Copies: the loop may add a key while another thread renders.
        decisions = self._decisions.copy()
        by_action = _metric("decisions", "action", "acted")
        by_rule = _metric("rule_decisions", "rule", "action")
        totals: dict[tuple[Action, bool], int] = {}
        rules: dict[tuple[str, Action], int] = {}
        for (action, acted, rule), count in decisions.items():
            totals[action, acted] = totals.get((action, acted), 0) + count
            name = rule or "default"
            rules[name, action] = rules.get((name, action), 0) + count
        for (action, acted), count in totals.items():
            by_action.add_metric([action.word, "true" if acted else "false"], count)
        for (name, action), count in rules.items():
            by_rule.add_metric([name, action.word], count)
        yield by_action
        yield by_rule
        shadow = _metric("shadow_matches", "rule", "action")
        for (name, action), count in self._shadow.copy().items():
            shadow.add_metric([name, action.word], count)
        yield shadow
        for short, label, counts in (
            ("limit_refusals", "limit", self._limits),
            ("signals", "signal", self._signals),
            ("outcomes", "outcome", self._outcomes),
            ("degraded", "dependency", self._degraded),
            ("uninspected", "cause", self._uninspected),
            ("reloads", "result", self._reloads),
            ("tokens", "kind", {"input": self._input_tokens, "output": self._output_tokens}),
        ):
            family = _metric(short, label)
            for value, count in counts.copy().items():
                family.add_metric([value], count)
            yield family
        yield self._histogram()
        info = GaugeMetricFamily(
            "gateway_guard_build_info", METRICS["gateway_guard_build_info"],
            labels=["version", "python"],
        )  # fmt: skip
        info.add_metric([__version__, platform.python_version()], 1)
        yield info
        for read in self._read:
            yield read()

    def _histogram(self) -> HistogramMetricFamily:
        name = "gateway_guard_decision_seconds"
        total = 0
        buckets: list[tuple[str, float]] = []
        for bound, count in zip((*BUCKETS, None), self._buckets.copy(), strict=True):
            total += count
            buckets.append(("+Inf" if bound is None else repr(bound), total))
        return HistogramMetricFamily(name, METRICS[name], buckets=buckets, sum_value=self._seconds)

    def _unusual(self, exchange: Exchange) -> None:
        decision = exchange.decision
        for hit in decision.shadow:
            key = (hit.rule, hit.action)
            if key in self._shadow or len(self._shadow) < MOST_KEYS:
                self._shadow[key] = self._shadow.get(key, 0) + 1
        for grant in decision.grants:
            if not grant.allowed:
                name = grant.charge.limit
                if name in self._limits or len(self._limits) < MOST_KEYS:
                    self._limits[name] = self._limits.get(name, 0) + 1
        for name in decision.degraded:
            self._degraded[name] = self._degraded.get(name, 0) + 1
        inspection = exchange.request.inspection
        if inspection.unknown:
            self._uninspected[inspection] = self._uninspected.get(inspection, 0) + 1


class _Published(Collector):
    """What the registry asks."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        return self._metrics.families()


def _metric(short: str, *labels: str) -> CounterMetricFamily:
    name = f"gateway_guard_{short}"
    return CounterMetricFamily(name, METRICS[f"{name}_total"], labels=list(labels))


def _family(name: str, text: str, label: str, values: Mapping[str, float]) -> CounterMetricFamily:
    family = CounterMetricFamily(name, text, labels=[label])
    for key, value in dict(values).items():
        family.add_metric([key], value)
    return family
