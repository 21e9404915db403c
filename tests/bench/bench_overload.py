"""The sidecar at more than it can do: who is served how fast, who is told no and how soon.

    python -m tests.bench overload [--policy policies/standard.yaml] [--rounds 10] [--seconds 2]

The sidecar has one core, the load and the upstream (`open_loop`) have another. Arrivals are random
and wait for nobody. Capacity is the highest rate, of rates that rise by a tenth, at which not one
in a hundred is turned away and half are answered within ten times what half take at idle; idle is a
twentieth of it. The loads take turns and of each the median of the rounds is printed, with what a
quarter and three quarters of the rounds stay below: a single run's p99 is as much the machine's as
the sidecar's. The first second of a load does not count, but is told apart.
Wants two cores to itself: where it may, it asks for them (as root, by its place in the schedule).
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import msgspec

from tests.e2e.open_loop import Result
from tests.e2e.servers import Sidecar
from tests.peers.processes import cpu

#: Requests per second of the first load, and by how much each is more than the one before.
SLOWEST, RISE = 1000.0, 1.1
#: What is offered: times the capacity, and seconds that do not count; with none, one counts.
IDLE = "idle, a twentieth"
LOADS = {
    IDLE: (0.05, 1.0), "half": (0.5, 1.0), "twice": (2.0, 1.0),
    "twice, the first second": (2.0, 0.0), "three times": (3.0, 1.0),
}  # fmt: skip
#: Of a hundred: more than so many turned away, or late, and it is too much.
MOST_SHED = 1.0


class Bench:
    """One sidecar and what it is loaded with."""

    def __init__(self, sidecar: Sidecar, ask: IO[str], hear: IO[str], seconds: float) -> None:
        self.sidecar = sidecar
        self.seconds = seconds
        self._ask, self._hear = ask, hear
        self._accounts = 0

    def load(self, rate: float, *, warm: float = 1.0, seconds: float | None = None) -> Result:
        """What becomes of so many requests a second."""
        seconds = seconds or self.seconds
        print(self.sidecar.port, rate, warm, seconds, self._accounts, file=self._ask, flush=True)
        self._accounts += int(rate * (warm + seconds)) + 1000
        return msgspec.json.decode(self._hear.readline(), type=Result)

    def costs(self, easy: float, crowded: float) -> tuple[float, float]:
        """Microseconds of CPU for an answer, from a rate at which all are answered, and for turning
        one away, from one at which most are: at most, as the loop does not rest meanwhile.
        """
        spent = []
        for rate in (easy, crowded):
            before = self._at_rest()
            result = self.load(rate, warm=0.0)
            spent.append((1e6 * (cpu([self.sidecar.process.pid]) - before), result))
        (first, answered), (second, both) = spent
        answer = first / (answered.served or 1)
        return answer, (second - answer * both.served) / (both.shed or 1)

    def _at_rest(self) -> float:
        """Seconds of CPU spent so far, once what loads before have left is worked off."""
        spent = cpu([self.sidecar.process.pid])
        while True:
            time.sleep(0.5)
            before, spent = spent, cpu([self.sidecar.process.pid])
            if spent - before < 0.02:
                return spent

    def capacity(self) -> float:
        """The highest rate at which all is well, requests a second."""
        rate, idle = SLOWEST, self.load(SLOWEST, seconds=2.0).served_ms[0]
        while True:
            result = self.load(RISE * rate, seconds=2.0)
            shed = 100.0 * (result.shed + result.failed) / result.asked
            if shed > MOST_SHED or result.served_ms[0] > 10.0 * idle:
                return rate
            rate *= RISE


@contextlib.contextmanager
def core(number: int) -> Iterator[None]:
    """What is started here runs on that core of those this process has."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {sorted(cores)[number % len(cores)]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def first_in_line() -> None:
    """Before others on this machine, where that is ours to ask."""
    with contextlib.suppress(OSError):
        os.setsid()
    with contextlib.suppress(OSError):
        os.nice(-20)
        Path("/proc/self/autogroup").write_text("-20")


def main() -> None:
    """Print the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--policy", default="policies/standard.yaml")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=2.0)
    arguments = parser.parse_args()
    first_in_line()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        with core(1):
            load = subprocess.Popen(
                [sys.executable, "-m", "tests.e2e.open_loop"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            )  # fmt: skip
        stack.callback(load.kill)
        assert load.stdin is not None
        assert load.stdout is not None
        url = f"http://127.0.0.1:{load.stdout.readline().strip()}"
        with core(0):
            sidecar = Sidecar(folder, url, policy=Path(arguments.policy).read_text())
        stack.enter_context(sidecar)
        _print(Bench(sidecar, load.stdin, load.stdout, arguments.seconds), arguments.rounds)


def _print(bench: Bench, rounds: int) -> None:
    bench.load(SLOWEST)
    capacity = bench.capacity()
    print(f"capacity: {capacity:.0f} requests per second\n")
    seen: dict[str, list[Result]] = {name: [] for name in LOADS}
    for _ in range(rounds):
        for name, (times, warm) in LOADS.items():
            seconds = None if warm else 1.0
            seen[name].append(bench.load(times * capacity, warm=warm, seconds=seconds))
    print(
        "| offered | a second | served | turned away | with `Retry-After` | neither "
        "| served, ms: median | p99 | p99 to idle's | 503, ms: median | p99 | load late, ms: p99 "
        "|\n"
        "|---|---|---|---|---|---|---|---|---|---|---|---|"
    )
    for name, (times, _) in LOADS.items():
        _row(name, times * capacity, seen[name], seen[IDLE])
    answer, refusal = bench.costs(0.5 * capacity, 3.0 * capacity)
    print(
        f"\nCPU of the sidecar: {answer:.0f} µs for an answer, at most {refusal:.0f} µs "
        f"({refusal / answer:.2f} of it) for turning one away"
    )


def _row(name: str, rate: float, results: list[Result], idle: list[Result]) -> None:
    asked = sum(one.asked for one in results)
    shed = sum(one.shed for one in results)
    shares = (
        f"{100.0 * part / (whole or 1):.1f} %"
        for part, whole in (
            (sum(one.served for one in results), asked), (shed, asked),
            (sum(one.told for one in results), shed), (sum(one.failed for one in results), asked),
        )
    )  # fmt: skip
    served = [one.served_ms for one in results if one.served_ms]
    refused = [one.shed_ms for one in results if one.shed_ms]
    pairs = zip(results, idle, strict=True)
    columns = (
        [times[0] for times in served], [times[1] for times in served],
        [a.served_ms[1] / b.served_ms[1] for a, b in pairs if a.served_ms and b.served_ms],
        [times[0] for times in refused], [times[1] for times in refused],
        [one.late_ms for one in results],
    )  # fmt: skip
    cells = [name, f"{rate:.0f}", *shares, *map(_spread, columns)]
    print("| " + " | ".join(cells) + " |", flush=True)


def _spread(values: list[float]) -> str:
    """The median, and in brackets the quartiles; a dash for nothing."""
    if len(values) < 2:
        return f"{values[0]:.1f}" if values else "–"
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return f"{middle:.1f} [{low:.1f}, {high:.1f}]"


if __name__ == "__main__":
    main()
