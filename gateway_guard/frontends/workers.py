"""Several processes on one listener: fork, watch, pass signals on, replace the dead and the old.

    SIGTERM, SIGINT   all workers drain and end
    SIGHUP, SIGUSR1   passed on
    SIGUSR2           each worker is replaced, one after the other: its successor is started, and
                      told apart from one that cannot start, before the old one drains

A supervisor that is killed takes its workers along (`lifeline`): they drain and end.

All share one listener, so that connections wait in one queue whoever is being replaced.
"""

from __future__ import annotations

import logging
import os
import selectors
import signal
import socket
import time
from collections import deque
from collections.abc import Callable
from typing import Final

import msgspec

from gateway_guard.errors import GuardError
from gateway_guard.frontends.lifeline import Lifeline
from gateway_guard.record.gather import Worker

log = logging.getLogger(__name__)

#: Seconds before a worker that died just after its start is replaced: it may die again.
TOO_SOON: Final = 2.0

#: In a worker: serves until told to stop; calls the second argument once it accepts connections.
Work = Callable[[Worker, Callable[[], None]], None]

_SIGNALS: Final = (
    signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGCHLD
)  # fmt: skip


def supervise(
    count: int,
    work: Work,
    *,
    beside: Callable[[], None] | None = None,
    stopping: Callable[[], None] = lambda: None,
) -> int:
    """Run `work` in `count` child processes until SIGTERM or SIGINT; the exit status, 0 to 255.

    `beside` is run in one more child, which outlives the workers and ends on SIGTERM. `stopping` is
    called in this process when they are to end: a listener it kept open would go on collecting
    connections nobody accepts.
    A worker that dies is replaced, unless it died before it ever accepted a connection while all
    were starting: then all stop and the status is 3.
    """
    return _Supervisor(count, work, beside, stopping).run()


class _Child(msgspec.Struct, kw_only=True, eq=False):
    """One process. `worker` is None for the one beside the workers."""

    pid: int
    worker: Worker | None
    since: float
    #: It writes a byte here once it accepts connections; closed after that.
    pipe: socket.socket | None = None
    ready: bool = False
    leaving: bool = False


class _Supervisor:
    def __init__(
        self,
        count: int,
        work: Work,
        beside: Callable[[], None] | None,
        stopping: Callable[[], None],
    ) -> None:
        self._count = count
        self._work = work
        self._beside = beside
        self._stopping = stopping
        self._children: dict[int, _Child] = {}
        self._generations = [0] * count
        self._stopped = False
        self._status = 0
        #: Numbers of workers still to be replaced, after the one whose successor is starting.
        self._old: deque[int] = deque()
        self._successor: _Child | None = None
        self._again = False
        #: Whether all workers have accepted connections once.
        self._started = False
        #: When to replace whom; None is the process beside.
        self._later: list[tuple[float, int | None]] = []
        self._selector = selectors.DefaultSelector()
        self._lifeline = Lifeline()

    def run(self) -> int:
        wake, woken = socket.socketpair()
        for end in (wake, woken):
            end.setblocking(False)
        for heeded in _SIGNALS:
            signal.signal(heeded, lambda *_: None)
        before = signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
        self._selector.register(woken, selectors.EVENT_READ)
        try:
            for number in range(self._count):
                self._start_or_later(number)
            if self._beside is not None:
                self._start_or_later(None)
            while self._children or self._later:
                self._turn(woken)
        finally:
            signal.set_wakeup_fd(before)
            self._selector.close()
            self._lifeline.close()
            wake.close()
            woken.close()
        return self._status

    def _turn(self, woken: socket.socket) -> None:
        now = time.monotonic()
        wait = min((when for when, _ in self._later), default=now + 3600.0) - now
        for key, _ in self._selector.select(max(0.0, wait)):
            if key.fileobj is woken:
                for number in set(woken.recv(4096)):
                    self._signalled(number)
            elif isinstance(key.data, _Child):
                self._heard(key.data, key.data.pipe)
        # Not only after SIGCHLD: signals of one kind are not counted.
        self._reap()
        now = time.monotonic()
        due = [who for when, who in self._later if when <= now]
        self._later = [entry for entry in self._later if entry[0] > now]
        for who in due:
            self._start_or_later(who)

    def _signalled(self, number: int) -> None:
        if number in (signal.SIGTERM, signal.SIGINT):
            self._stop()
        elif number == signal.SIGHUP:
            self._tell(signal.SIGHUP)
        elif number == signal.SIGUSR1:
            self._tell(signal.SIGUSR1)
        elif number == signal.SIGUSR2 and not self._stopped:
            if self._successor is not None or self._old:
                self._again = True
            else:
                log.info("workers-replacing count=%s", self._count)
                self._old.extend(range(self._count))
                self._replace_next()

    def _tell(self, number: int) -> None:
        for child in self._children.values():
            if child.worker is not None:
                os.kill(child.pid, number)

    def _stop(self) -> None:
        if not self._stopped:
            self._stopped = True
            self._old.clear()
            self._later.clear()
            self._tell(signal.SIGTERM)
            self._stopping()
            self._dismiss()

    def _start_or_later(self, number: int | None) -> None:
        if self._start(number) is None:
            self._again_in(TOO_SOON, number)

    def _start(self, number: int | None) -> _Child | None:
        """Another process; None where the machine has no room for one now."""
        worker = None
        if number is not None:
            worker = Worker(number, self._generations[number])
            self._generations[number] += 1
        try:
            ours, pid = self._fork(worker)
        except OSError as error:
            log.error("worker-not-started worker=%s reason=%s", number, error)
            return None
        child = _Child(pid=pid, worker=worker, since=time.monotonic(), pipe=ours)
        self._children[pid] = child
        self._selector.register(ours, selectors.EVENT_READ, child)
        return child

    def _fork(self, worker: Worker | None) -> tuple[socket.socket, int]:
        """This side of the child's pipe, and its process id."""
        ours, theirs = socket.socketpair()
        # A signal in between would be taken by the child with this process's handlers.
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            pid = os.fork()
            if pid == 0:
                self._become(worker, theirs)
        except OSError:
            ours.close()
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            theirs.close()
        return ours, pid

    def _become(self, worker: Worker | None, pipe: socket.socket) -> None:
        """Be the child; does not return."""
        signal.set_wakeup_fd(-1)
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        # Meant for the supervisor, wherever it was sent.
        signal.signal(signal.SIGUSR2, signal.SIG_IGN)
        # A worker heeds them once it serves; until then they must not end it.
        for number in (signal.SIGUSR1, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        if worker is None:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        status = 3
        try:
            self._lifeline.hold()
            if worker is not None:
                self._work(worker, lambda: _say(pipe))
            elif self._beside is not None:
                self._beside()
            status = 0
        except GuardError as error:
            log.error("worker-failed reason=%s", error)
        except BaseException:
            log.exception("worker-failed")
        finally:
            os._exit(status)

    def _heard(self, child: _Child, pipe: socket.socket | None) -> None:
        """A child accepts connections; or its end is closed: then it is about to be reaped."""
        if pipe is None:
            return
        child.ready = bool(pipe.recv(1))
        self._selector.unregister(pipe)
        pipe.close()
        child.pipe = None
        workers = [c for c in self._children.values() if c.worker is not None]
        self._started = self._started or (
            len(workers) >= self._count and all(c.ready for c in workers)
        )
        if child is self._successor and child.ready and child.worker is not None:
            self._successor = None
            self._retire(child.worker)
            self._replace_next()

    def _retire(self, successor: Worker) -> None:
        for child in self._children.values():
            worker = child.worker
            if worker is None or worker == successor or worker.number != successor.number:
                continue
            child.leaving = True
            os.kill(child.pid, signal.SIGTERM)

    def _replace_next(self) -> None:
        if self._stopped:
            return
        if not self._old and self._again:
            self._again = False
            self._old.extend(range(self._count))
        if self._old:
            self._successor = self._start(self._old.popleft())
            if self._successor is None:
                self._stay()
        else:
            log.info("workers-replaced count=%s", self._count)

    def _stay(self) -> None:
        """Replace nobody any more: what would come instead does not start."""
        self._successor = None
        self._old.clear()
        self._again = False

    def _reap(self) -> None:
        while self._children:
            pid, state = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            child = self._children.pop(pid, None)
            if child is None:
                continue
            # What it said last is only heard now where it died at once.
            self._heard(child, child.pipe)
            self._ended(child, os.waitstatus_to_exitcode(state))

    def _ended(self, child: _Child, code: int) -> None:
        worker = child.worker
        if self._stopped:
            if worker is not None:
                # One that was still starting has no handler yet and simply ends.
                self._status = max(self._status, 0 if code == -signal.SIGTERM else abs(code) & 255)
            self._dismiss()
        elif worker is None:
            log.error("admin-replaced status=%s", code)
            self._again_in(TOO_SOON, None)
        elif child.leaving:
            log.info("worker-left worker=%s", worker.number)
        elif child is self._successor:
            log.error("worker-died-starting worker=%s: the others stay", worker.number)
            self._stay()
        elif not child.ready and not self._started:
            log.error("worker-died-starting worker=%s", worker.number)
            self._status = 3
            self._stop()
        else:
            log.error("worker-replaced worker=%s status=%s", worker.number, code)
            lived = time.monotonic() - child.since
            self._again_in(0.0 if lived > TOO_SOON else TOO_SOON, worker.number)

    def _again_in(self, seconds: float, who: int | None) -> None:
        self._later.append((time.monotonic() + seconds, who))

    def _dismiss(self) -> None:
        """End the process beside once no worker is left."""
        if all(child.worker is None for child in self._children.values()):
            for child in self._children.values():
                os.kill(child.pid, signal.SIGTERM)


def _say(pipe: socket.socket) -> None:
    pipe.send(b"1")
    pipe.close()
