"""What recording costs the event loop: the decision log's line, and the counters."""

from __future__ import annotations

import tempfile
import timeit
from pathlib import Path

from gateway_guard.record.line import line
from gateway_guard.record.log import DecisionLog
from gateway_guard.record.metrics import Metrics
from gateway_guard.types import Assessment, Usage
from tests import build
from tests.bench.measure import Row

TIMES = 20_000


def rows() -> list[Row]:
    """The table."""
    exchange = build.exchange(
        assessment=Assessment(signals=(build.signal(), build.signal("volume-shift")), risk=0.3),
        decision=build.decision(grants=(build.grant(), build.grant(), build.grant())),
        usage=Usage(input_tokens=500, output_tokens=20, status=200, reported=True),
    )
    metrics = Metrics()
    with tempfile.TemporaryDirectory() as directory:
        log = DecisionLog(Path(directory) / "log", queue=10 * TIMES)
        queued = min(timeit.repeat(lambda: log.write(exchange), number=TIMES, repeat=5)) / TIMES
        log.close()
    encoded = min(timeit.repeat(lambda: line(exchange), number=TIMES, repeat=5)) / TIMES
    counted = min(timeit.repeat(lambda: metrics.settled(exchange), number=TIMES, repeat=5)) / TIMES
    return [
        Row("decision log, on the loop", f"{queued * 1e6:.2f} µs"),
        Row("  of which encoding", f"{encoded * 1e6:.2f} µs"),
        Row("metrics", f"{counted * 1e6:.2f} µs"),
    ]
