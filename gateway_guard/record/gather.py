"""Metrics of several workers as one page: counts are summed, states told apart by worker. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Final, NamedTuple

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

_SUMMED: Final = ("counter", "histogram", "summary")


class _Series(NamedTuple):
    family: str
    name: str
    labels: tuple[tuple[str, str], ...]


class Worker(NamedTuple):
    """One process: which worker it is, and the how manieth of that number, both from 0."""

    number: int
    generation: int


class Gathered:
    """What all workers have counted, those that have ended included.

    A sum that fell because a worker ended would look like a new start of everything, and its rate
    like a burst of traffic: so what a worker had counted stays.
    """

    def __init__(self) -> None:
        #: family → (type, help)
        self._families: dict[str, tuple[str, str]] = {}
        self._gone: dict[_Series, float] = {}
        self._last: dict[Worker, str] = {}

    def update(self, pages: Mapping[Worker, str], present: Collection[Worker]) -> None:
        """Take in the latest pages. Who is not `present` has ended; who is may be silent."""
        self._last.update(pages)
        for worker in [worker for worker in self._last if worker not in present]:
            self.ended(worker)

    def ended(self, worker: Worker, page: str | None = None) -> None:
        """Keep what a worker had counted: on its last `page`, or the latest seen when None."""
        latest = self._last.pop(worker, None)
        page = latest if page is None else page
        if page is not None:
            self._keep(page)

    def _keep(self, page: str) -> None:
        for series, value, kind in self._samples(page):
            if kind in _SUMMED:
                self._gone[series] = self._gone.get(series, 0.0) + value

    def render(self) -> bytes:
        """The page, in the Prometheus text format."""
        sums = dict(self._gone)
        states: dict[_Series, float] = {}
        newest: dict[int, int] = {}
        for worker in self._last:
            newest[worker.number] = max(worker.generation, newest.get(worker.number, 0))
        for worker, page in sorted(self._last.items()):
            for series, value, kind in self._samples(page):
                if kind in _SUMMED:
                    sums[series] = sums.get(series, 0.0) + value
                elif newest[worker.number] == worker.generation:
                    labels = (*series.labels, ("worker", str(worker.number)))
                    states[series._replace(labels=labels)] = value
        return self._page(sums | states)

    def kept(self) -> bytes:
        """What workers that have ended had counted, as a page: for whoever takes over."""
        return self._page(self._gone)

    def take_over(self, page: str) -> None:
        """Count what another has `kept` as well."""
        self._keep(page)

    def _samples(self, page: str) -> Iterator[tuple[_Series, float, str]]:
        for family in text_string_to_metric_families(page):
            self._families.setdefault(family.name, (family.type, family.documentation))
            for sample in family.samples:
                labels = tuple(sorted(sample.labels.items()))
                yield _Series(family.name, sample.name, labels), sample.value, family.type

    def _page(self, values: Mapping[_Series, float]) -> bytes:
        made = {name: Metric(name, text, kind) for name, (kind, text) in self._families.items()}
        for (family, name, labels), value in values.items():
            made[family].add_sample(name, dict(labels), value)
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Made(made))
        return generate_latest(registry)


class _Made(Collector):
    def __init__(self, made: Mapping[str, Metric]) -> None:
        self._made = made

    def collect(self) -> Iterator[Metric]:
        yield from self._made.values()
