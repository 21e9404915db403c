"""What a supervisor's workers make of signals."""

from __future__ import annotations

import sys

from tests.processes import Child

#: A worker whose log is rotated while it reads its policy.
STARTING = """
import os, signal, sys, time
from gateway_guard.frontends.workers import supervise

def work(worker, ready):
    for early in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
        os.kill(os.getpid(), early)
    print("serving", file=sys.stderr, flush=True)
    ready()
    signal.pause()

sys.exit(supervise(1, work))
"""


def test_a_hangup_does_not_end_a_worker_that_is_still_starting() -> None:
    with Child(sys.executable, "-c", STARTING) as supervisor:
        supervisor.wait_for("serving")

        assert supervisor.end() == 0
