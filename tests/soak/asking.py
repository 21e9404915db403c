"""Clients, and what they saw: at a steady pace, alone and among a crowd."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from tests.soak.crowd import most_files

#: Connections that do nothing, and that send or read slowly, of each kind; seconds they are looked
#: at; milliseconds that are a busy machine's and not theirs, and that nobody may wait.
IDLE, SLOW, CROWD_SECONDS, SLACK_MS = 10_000, 300, 10.0, 20.0
LONGEST_MS: Final = 5_000.0
#: Seconds after which nothing is left of so many connecting at once.
SETTLES: Final = 5.0
#: Descriptors that everything else needs.
OTHERS: Final = 1_000


class Seen(NamedTuple):
    """One request that ended: `status` 0 without an answer, `took` ms, `at` Unix seconds."""

    number: int
    status: int
    took: float
    at: float


def quantile(seen: Sequence[Seen], share: float) -> float:
    """The wait that a share of all is no longer than, milliseconds."""
    waits = sorted(one.took for one in seen)
    return waits[int(share * len(waits))] if waits else 0.0


class Asking:
    """Clients of one port.

    Attributes:
        next: number of the next request.
        seen: every request that ended.
    """

    def __init__(self, port: int, folder: Path) -> None:
        self.port = port
        self.next = 0
        self.seen: list[Seen] = []
        self._out = folder / "seen"

    def begin(self, rate: float, seconds: float) -> subprocess.Popen[str]:
        """Ask so many times a second, 0 for as often as can be; in a process of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "tests.soak.client", str(self.port), f"{rate:.1f}",
             f"{seconds:.1f}", str(self.next), str(self._out)],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def end(self, process: subprocess.Popen[str]) -> list[Seen]:
        """Wait for it; what it saw."""
        self.next = int(process.communicate()[0])
        found = []
        for line in self._out.read_text().splitlines():
            number, status, took, at = line.split()
            found.append(Seen(int(number), int(status), float(took), float(at)))
        self.seen += found
        return found

    def ask(self, rate: float, seconds: float) -> list[Seen]:
        """Both."""
        with self.begin(rate, seconds) as process:
            return self.end(process)


class Among(NamedTuple):
    """How many there were in the crowd, and what others saw without it and with it."""

    members: int
    alone: Sequence[Seen]
    among: Sequence[Seen]

    @property
    def stopped(self) -> bool:
        """Whether others were: nine of ten waits tell, of the last one a busy machine has a say."""
        allowed = 2.0 * quantile(self.alone, 0.9) + SLACK_MS
        return quantile(self.among, 0.9) > allowed or quantile(self.among, 0.999) > LONGEST_MS

    def __str__(self) -> str:
        waits = [f"{quantile(seen, share):.1f}" for seen in self[1:] for share in (0.9, 0.99)]
        return "p90 {} → {} ms, p99 {} → {} ms".format(*(waits[at] for at in (0, 2, 1, 3)))


def crowded(asking: Asking, pace: float) -> Among:
    """Ask alone, and then among a crowd that only takes up room."""
    # Each member takes a descriptor here, and two of the sidecar's workers together.
    idle = min(IDLE, most_files() - OTHERS - 3 * SLOW)
    alone = asking.ask(pace, CROWD_SECONDS)
    with subprocess.Popen(
        [sys.executable, "-m", "tests.soak.crowd", str(asking.port), str(idle), str(SLOW)],
        stdout=subprocess.PIPE, text=True,
    ) as crowd:  # fmt: skip
        try:
            assert crowd.stdout is not None
            members = int(crowd.stdout.readline().split()[-1])
            time.sleep(SETTLES)
            among = asking.ask(pace, CROWD_SECONDS)
        finally:
            crowd.kill()
    return Among(members, alone, among)
