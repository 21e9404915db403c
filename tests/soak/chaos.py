"""What is done to the sidecar while it serves, and when."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from typing import Final

from tests.faults import FAULTS
from tests.soak.oracle import Oracle
from tests.soak.policies import bad, broken, database, variant
from tests.soak.world import WORKERS, World

RELOAD_EVERY: Final = 5.0
BAD_POLICIES, BROKEN_DATABASES = 20, 10
#: Seconds a fault lasts, and after which nothing of it is left: what drips goes on dripping, the
#: breaker probes each second, and a probe may take one.
FAULT_SECONDS, FAULT_LEAVES = 2.0, 8.0
#: Seconds around a kill in which connections break and what the worker had not written is lost.
KILL_BEFORE, KILL_AFTER = 3.0, 5.0
#: What a fault that answers other questions makes of decisions is nobody's to predict.
NOT_TRIED: Final = ("late-by-one",)


class Chaos:
    """What is done to the world, and when.

    Attributes:
        policies, databases, bad, broken, faults, kills: how often so far.
    """

    def __init__(self, there: World, oracle: Oracle, seconds: float) -> None:
        self.there = there
        self.oracle = oracle
        self.policies = self.databases = self.bad = self.broken = self.faults = self.kills = 0
        self.names = [name for name in FAULTS if name not in NOT_TRIED]
        events = max(1, int(seconds / RELOAD_EVERY))
        self.plan: list[tuple[float, str]] = []
        for number in range(events):
            at = number * RELOAD_EVERY
            done = (number + 1) / events
            self.plan += [(at, "bad")] * (int(done * BAD_POLICIES) - self._planned("bad"))
            self.plan += [(at, "broken")] * (int(done * BROKEN_DATABASES) - self._planned("broken"))
            self.plan.append((at, "good"))
        # No kills in the last third, so that there are lives long enough to be judged.
        every = max(20.0, seconds / 30)
        self.plan += [(8.0 + every * n, "fault") for n in range(int((seconds - 14.0) / every))]
        kills = max(1, int(seconds / 60))
        self.plan += [(seconds * 0.66 * (n + 1) / (kills + 1) + 2.6, "kill") for n in range(kills)]
        self.plan.sort(key=lambda step: step[0])

    def _planned(self, what: str) -> int:
        return sum(step == what for _, step in self.plan)

    def run(self, began: float, process: subprocess.Popen[str]) -> None:
        """Do all of it; ends early only if the load does."""
        for at, what in self.plan:
            while time.monotonic() - began < at:
                if process.poll() is not None:
                    return
                time.sleep(0.05)
            getattr(self, f"do_{what}")()

    def do_bad(self) -> None:
        self.there.replace("policy.yaml", bad(self.bad))
        self.bad += 1
        time.sleep(0.5)

    def do_broken(self) -> None:
        self.there.replace("own.mmdb", broken(self.broken))
        self.broken += 1
        time.sleep(0.5)

    def do_good(self) -> None:
        self.policies += 1
        new = variant(self.policies)
        self.oracle.add(new, time.time())
        if self.policies % 2 or self.broken:
            self.databases += 1
            self.oracle.versions.put(self.databases, time.time())
            self.there.replace("own.mmdb", database(self.databases))
        self.there.replace("policy.yaml", new.text.encode())

    def do_fault(self) -> None:
        name = self.names[self.faults % len(self.names)]
        self.faults += 1
        begin = time.time()
        # Known before it comes: what it breaks is read at the same time.
        self.oracle.faults.add(begin - 0.5, begin + FAULT_SECONDS + FAULT_LEAVES)
        self.there.fail(name)
        time.sleep(FAULT_SECONDS)
        self.there.fail(None)

    def do_kill(self) -> None:
        workers = self.there.workers()
        if len(workers) < WORKERS:
            return
        at = time.time()
        self.oracle.kills.add(at - KILL_BEFORE, at + KILL_AFTER)
        os.kill(workers[self.kills % len(workers)], signal.SIGKILL)
        self.kills += 1
