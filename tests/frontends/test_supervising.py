"""What a supervisor's workers make of signals."""

from __future__ import annotations

import os
import signal
import sys

import pytest

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


#: The machine has no room for another process, the third time and the fourth that one is wanted.
CROWDED = """
import errno, os, signal, socket, sys, time
from functools import partial
from gateway_guard.frontends import workers

fork, wanted = os.fork, 0

def crowded(make=fork, first=3):
    global wanted
    wanted += 1
    if first <= wanted <= first + 1:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    return make()

def work(worker, ready):
    name = f"{worker.number}.{worker.generation} {os.getpid()}."
    ready()
    os.write(2, f"serving {name}\\n".encode())
    signal.pause()

HOW
workers.TOO_SOON = 0.1
sys.exit(workers.supervise(2, work))
"""


#: Neither for a process, nor, the supervisor's own pair aside, for what it is heard by.
SCARCE = (
    "os.fork = crowded",
    "socket.socketpair = partial(crowded, socket.socketpair, 4)",
)


@pytest.mark.parametrize("how", SCARCE)
def test_where_there_is_no_room_for_another_process_the_others_stay_and_it_comes_later(
    how: str,
) -> None:
    with Child(sys.executable, "-c", CROWDED.replace("HOW", how)) as supervisor:
        victim = int(supervisor.wait_for(r"serving 0\.0 (\d+)\."))
        supervisor.wait_for(r"serving 1\.0 ")
        os.kill(victim, signal.SIGKILL)
        supervisor.wait_for("worker-not-started worker=0 reason=", times=2)
        supervisor.wait_for(r"serving 0\.\d ")

        assert supervisor.end() == 0


def test_a_successor_there_is_no_room_for_leaves_all_as_they_were() -> None:
    with Child(sys.executable, "-c", CROWDED.replace("HOW", SCARCE[0])) as supervisor:
        supervisor.wait_for(r"serving 0\.0 ")
        supervisor.wait_for(r"serving 1\.0 ")
        supervisor.process.send_signal(signal.SIGUSR2)
        supervisor.wait_for("worker-not-started worker=0 reason=")
        supervisor.process.send_signal(signal.SIGUSR2)
        supervisor.wait_for("worker-not-started worker=0 reason=", times=2)
        supervisor.process.send_signal(signal.SIGUSR2)
        supervisor.wait_for(r"serving 0\.\d ", times=2)
        supervisor.wait_for(r"serving 1\.1 ")

        assert supervisor.end() == 0
