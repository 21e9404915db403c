"""Several processes on one listener: fork, watch, pass signals on, replace the dead."""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Callable
from types import FrameType

from gateway_guard.errors import GuardError

log = logging.getLogger(__name__)

#: A worker that dies within so many seconds of its start is not replaced: it would die again.
TOO_SOON = 2.0


def supervise(
    count: int, work: Callable[[int], None], *, stopping: Callable[[], None] = lambda: None
) -> int:
    """Run `work(i)` in `count` child processes until SIGTERM or SIGINT; the exit status, 0 to 255.

    `stopping` is called in this process then: a listener it kept open would go on collecting
    connections nobody accepts.
    SIGHUP is passed on. A worker that dies is replaced, unless it died while starting: then all
    stop and the status is 3.
    """
    workers: dict[int, tuple[int, float]] = {}
    stopped = False

    def pass_on(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        nonlocal stopped
        if number != signal.SIGHUP:
            stopped = True
            number = signal.SIGTERM
        for pid in list(workers):
            os.kill(pid, number)
        if stopped:
            stopping()

    def start(index: int) -> None:
        pid = os.fork()
        if pid == 0:
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                signal.signal(number, signal.SIG_DFL)
            status = 3
            try:
                work(index)
                status = 0
            except GuardError as error:
                log.error("worker-failed reason=%s", error)
            except BaseException:
                log.exception("worker-failed")
            finally:
                os._exit(status)
        workers[pid] = (index, time.monotonic())

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, pass_on)
    for index in range(count):
        start(index)
    status = 0
    while workers:
        try:
            pid, state = os.wait()
        except InterruptedError:
            continue
        index, since = workers.pop(pid)
        if stopped:
            code = os.waitstatus_to_exitcode(state)
            # One that was still starting has no handler yet and simply ends.
            status = max(status, 0 if code == -signal.SIGTERM else abs(code) & 255)
        elif time.monotonic() - since < TOO_SOON:
            log.error("worker-died-starting worker=%s", index)
            stopped, status = True, 3
            for other in list(workers):
                os.kill(other, signal.SIGTERM)
        else:
            log.error("worker-replaced worker=%s", index)
            start(index)
    return status
