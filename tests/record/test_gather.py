"""Metrics of several workers as one page."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from gateway_guard.record.gather import Gathered, Worker
from gateway_guard.record.metrics import Metrics
from gateway_guard.types import Usage
from tests import build

FIRST, SECOND, THIRD = Worker(0, 0), Worker(1, 0), Worker(1, 1)
DECISIONS = 'gateway_guard_decisions_total{acted="true",action="allow"}'


def page(count: int, *, connections: float = 0.0) -> str:
    metrics = Metrics()
    metrics.gauge("upstream_connections", "Open.", lambda: connections)
    for _ in range(count):
        metrics.settled(build.exchange(usage=Usage(input_tokens=10, output_tokens=1)))
        metrics.decided(0.000_02)
    return metrics.render()[0].decode()


def values(gathered: Gathered) -> dict[str, float]:
    found = {}
    for family in text_string_to_metric_families(gathered.render().decode()):
        for sample in family.samples:
            labels = ",".join(f'{k}="{v}"' for k, v in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


def seen(*pages: tuple[Worker, str]) -> Gathered:
    gathered = Gathered()
    gathered.update(dict(pages), [worker for worker, _ in pages])
    return gathered


def test_counts_and_histograms_are_summed() -> None:
    found = values(seen((FIRST, page(3)), (SECOND, page(4))))

    assert found[DECISIONS] == 7
    assert found['gateway_guard_tokens_total{kind="input"}'] == 70
    assert found["gateway_guard_decision_seconds_count"] == 7
    assert found['gateway_guard_decision_seconds_bucket{le="2.5e-05"}'] == 7
    assert found['gateway_guard_decision_seconds_bucket{le="1e-05"}'] == 0


def test_states_are_told_apart_by_worker() -> None:
    found = values(seen((FIRST, page(0, connections=2)), (SECOND, page(0, connections=5))))

    assert found['gateway_guard_upstream_connections{worker="0"}'] == 2
    assert found['gateway_guard_upstream_connections{worker="1"}'] == 5
    assert "gateway_guard_upstream_connections" not in found


def test_the_page_says_what_everything_is_as_one_workers_does() -> None:
    text = seen((FIRST, page(1))).render().decode()

    for line in page(1).splitlines():
        if line.startswith("#"):
            assert line in text


def test_what_a_worker_that_ended_had_counted_stays() -> None:
    gathered = seen((FIRST, page(3)), (SECOND, page(4)))

    gathered.update({FIRST: page(5)}, [FIRST])

    found = values(gathered)
    assert found[DECISIONS] == 9
    assert found["gateway_guard_decision_seconds_count"] == 9
    assert 'gateway_guard_upstream_connections{worker="1"}' not in found


def test_a_last_page_counts_instead_of_the_latest_seen() -> None:
    gathered = seen((FIRST, page(3)), (SECOND, page(4)))

    gathered.ended(SECOND, page(6))
    gathered.update({FIRST: page(3)}, [FIRST])

    assert values(gathered)[DECISIONS] == 9


def test_a_worker_that_is_silent_for_once_is_counted_once() -> None:
    gathered = seen((FIRST, page(3)), (SECOND, page(4)))

    gathered.update({FIRST: page(3)}, [FIRST, SECOND])
    gathered.update({FIRST: page(3), SECOND: page(5)}, [FIRST, SECOND])

    assert values(gathered)[DECISIONS] == 8


def test_of_two_workers_of_one_number_the_newest_tells_its_state_and_both_are_counted() -> None:
    gathered = seen((SECOND, page(4, connections=9)), (THIRD, page(1, connections=1)))

    found = values(gathered)

    assert found['gateway_guard_upstream_connections{worker="1"}'] == 1
    assert found[DECISIONS] == 5


def test_whoever_takes_over_knows_what_was_kept() -> None:
    first = page(3)
    before = seen((FIRST, first), (SECOND, page(4)))
    before.update({FIRST: first}, [FIRST])

    after = Gathered()
    after.take_over(before.kept().decode())
    after.update({FIRST: first}, [FIRST])

    assert values(after)[DECISIONS] == 7
    assert values(after) == values(before)
