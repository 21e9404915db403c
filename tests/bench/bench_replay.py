"""How fast `replay` goes through recorded traffic on one core."""

from __future__ import annotations

import statistics
from contextlib import closing
from pathlib import Path

from gateway_guard.accounts.file import FileDirectory
from gateway_guard.cli.replay import REPLAY_SECRET, Judge, replay
from gateway_guard.cli.traffic import Traffic
from gateway_guard.network.database import NetworkDatabase
from tests.bench.measure import Row

ROOT = Path(__file__).resolve().parents[2]


def rows() -> list[Row]:
    """The table."""
    network = NetworkDatabase.bundled()
    directory = FileDirectory(ROOT / "examples" / "accounts.jsonl", secret=REPLAY_SECRET)
    rates = []
    for _ in range(7):
        judge = Judge(ROOT / "policies" / "standard.yaml", directory, network)
        with closing(Traffic(ROOT / "examples" / "traffic.jsonl.gz")) as traffic:
            seen = replay(traffic, judge)
        rates.append(seen.exchanges / seen.seconds)
    return [Row("replay, standard.yaml, bundled minute", f"{statistics.median(rates):,.0f} /s")]
