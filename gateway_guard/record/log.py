"""The decision log: one JSON line per exchange, written beside the event loop.

`write` encodes and queues the line; a thread writes to the disk a few times a second. Encoding is
not the thread's, although it could be: it would hold the interpreter as long, so the loop would
wait for it just the same, and by then everything an exchange refers to has left the processor's
caches (measured in the sidecar, CPU per line: 27 µs encoded later, 21 µs at once).

Whole lines are appended in one system call each batch, so several processes may share a file, and
rotating it tears no line. A pipe takes a batch in pieces, between which another process would put
its own: where standard output is one, they write one after the other. A file that was moved away or
removed is made anew with the next line: not everybody who embeds a guard heeds signals, and what is
written to a removed file is nowhere.
Threads do not survive a fork: build it in the process that serves.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import stat
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Final, Self

from gateway_guard.errors import SettingsError
from gateway_guard.record.beside import Beside
from gateway_guard.record.line import Addresses, line
from gateway_guard.settings import Settings
from gateway_guard.types import Exchange

log = logging.getLogger(__name__)

#: Seconds a line may wait before it is written.
INTERVAL: Final = 0.2

#: Lines put together for one write, about 0.25 MB: bounds how long the event loop waits for the
#: interpreter, and how many lines an error takes.
BATCH: Final = 256


class DecisionLog:
    """Appends to a file, or to standard output for `-`. One producer thread, any number of tasks.

    A full queue drops the newest line and counts it; a failing disk loses lines, counts them and is
    reported once each time it goes bad, and when it is well again. Nothing here raises after
    construction.

    Attributes:
        dropped: exchanges not written because the queue was full.
        written: lines handed to the operating system.
        errors: failed system calls and exchanges that could not be encoded.
        lost: lines that an error took.

    Raises:
        SettingsError: the file cannot be opened for appending.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        queue: int = 10_000,
        addresses: Addresses = Addresses.FULL,
        encode: Callable[[Exchange, Addresses], bytes] = line,
    ) -> None:
        self.path = os.fspath(path)
        self.dropped = 0
        self.written = 0
        self.errors = 0
        self.lost = 0
        self._addresses = addresses
        self._encode = encode
        self._limit = queue
        self._waiting: deque[bytes] = deque()
        self._drain = threading.Lock()
        self._counting = threading.Lock()
        self._beside = Beside(
            self, DecisionLog._write_out, name="decision-log", interval=INTERVAL, keeps=True
        )
        self._reopen = False
        self._torn = False
        self._fd = -1
        #: Device and number of the file written to; None where it is none: a pipe, `-`.
        self._file: tuple[int, int] | None = None
        #: Whether several processes that write there have to take turns.
        self._turns = False
        #: What goes wrong now → the system's words for it.
        self._reported: dict[str, str] = {}
        try:
            self._take(self._open())
        except OSError as error:
            remedy = "name a file in a directory this process may write to, or '-'"
            if error.errno == errno.ENXIO:
                # `/dev/stdout` is a socket under systemd.
                remedy = "a pipe needs its reader first; standard output is called '-'"
            raise SettingsError(
                f"the decision log {self.path} cannot be opened: {error.strerror}; {remedy}"
            ) from error
        # Without a lifespan nobody calls close(); what waits must still reach the file.
        self._beside.at_exit()

    @classmethod
    def configured(
        cls, settings: Settings, encode: Callable[[Exchange, Addresses], bytes] = line
    ) -> Self | None:
        """The log `settings` ask for; None when they ask for none. `encode` makes its lines.

        Raises:
            SettingsError: as the class.
        """
        if not settings.decision_log:
            return None
        return cls(
            settings.decision_log, queue=settings.log_queue,
            addresses=Addresses(settings.log_addresses), encode=encode,
        )  # fmt: skip

    @property
    def sizes(self) -> dict[str, tuple[int, int]]:
        """Table → (entries, most there may be)."""
        return {"log_queue": (len(self._waiting), self._limit)}

    @property
    def trouble(self) -> str | None:
        """What keeps lines from the file now; None when nothing does."""
        said = self._reported.copy()
        if "write" in said:
            return (
                f"{self.path} cannot be written: {said['write']}; lines lost so far: {self.lost:,}"
            )
        if "open" in said:
            return (
                f"{self.path} cannot be opened anew: {said['open']}; the file opened before is "
                "written on"
            )
        return None

    def write(self, exchange: Exchange) -> None:
        """Queue the line of one settled exchange. Never waits for the disk, never raises."""
        if self._beside.thread is None:
            self._beside.start()
        if len(self._waiting) >= self._limit:
            self.dropped += 1
            return
        try:
            self._waiting.append(self._encode(exchange, self._addresses))
        except Exception as error:  # noqa: BLE001 - one odd exchange must not end the log
            self._failed("encode", type(error).__name__, lost=1)

    def reopen(self) -> None:
        """Open the path anew now: for a file that was rotated away."""
        self._reopen = True
        self._beside.wake()

    def flush(self) -> None:
        """Write everything queued so far, on the calling thread. Blocks for the disk."""
        self._write_out()

    def close(self) -> None:
        """Write what waits and release the file. A second call does nothing."""
        if self._beside.ended:
            return
        if self._beside.end(timeout=5.0):
            self._write_out()
        else:  # whoever reads our standard output has stopped reading; waiting would never end
            self.lost += len(self._waiting)
            self._waiting.clear()
        # The number may be another file's at once: whoever is still writing must not find it.
        handle, self._fd = self._fd, -1
        self._file = None
        os.close(handle)

    def _open(self) -> int:
        if self.path == "-":
            return os.dup(1)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        # Opening a pipe that nobody reads would wait for its reader, and nothing would be served.
        handle = os.open(self.path, flags | os.O_NONBLOCK, 0o640)
        os.set_blocking(handle, True)
        return handle

    def _take(self, handle: int) -> None:
        """Write to `handle` from here on."""
        found = os.fstat(handle)
        self._fd = handle
        lasts = self.path != "-" and stat.S_ISREG(found.st_mode)
        self._file = (found.st_dev, found.st_ino) if lasts else None
        self._turns = not stat.S_ISREG(found.st_mode)

    def _moved(self) -> bool:
        """Whether another file is at the path by now, or none."""
        if self._file is None:
            return False
        try:
            found = os.stat(self.path)  # noqa: PTH116 - several times a second
        except FileNotFoundError:
            return True
        except OSError:  # nobody can say
            return False
        return (found.st_dev, found.st_ino) != self._file

    def _write_out(self) -> None:
        with self._drain:
            waiting = self._waiting
            if self._reopen or (waiting and self._moved()):
                self._reopen = False
                self._reopen_now()
            while waiting:
                batch = [waiting.popleft() for _ in range(min(BATCH, len(waiting)))]
                self._append(batch)

    def _reopen_now(self) -> None:
        try:
            fresh = self._open()
        except OSError as error:
            self._failed("open", error.strerror)
            return
        os.close(self._fd)
        self._take(fresh)
        self._torn = False
        self._reported.pop("open", None)

    def _append(self, lines: list[bytes]) -> None:
        whole = (b"\n" if self._torn else b"") + b"".join(lines)
        data = memoryview(whole)
        try:
            with self._turn():
                while data:
                    data = data[os.write(self._fd, data) :]
        except OSError as error:
            out = whole[: len(whole) - len(data)]
            written = out.count(b"\n") - (self._torn and bool(out))
            self.written += written
            # Part of a line may be out: the next write starts on a line of its own.
            self._torn = not out.endswith(b"\n") if out else self._torn
            self._failed("write", error.strerror, lost=len(lines) - written)
            return
        self._torn = False
        self.written += len(lines)
        if self._reported.pop("write", None) is not None:
            log.warning(
                "decision log %s: written again; lines lost until now: %d", self.path, self.lost
            )

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        """Let nobody else write between the pieces of a batch; ends with the process."""
        locked = False
        if self._turns:
            with contextlib.suppress(OSError):  # where there are no locks lines may be torn
                fcntl.lockf(self._fd, fcntl.LOCK_EX)
                locked = True
        try:
            yield
        finally:
            if locked:
                fcntl.lockf(self._fd, fcntl.LOCK_UN)

    def _failed(self, step: str, cause: str | None, *, lost: int = 0) -> None:
        with self._counting:  # both the loop and the thread come here
            self.errors += 1
            self.lost += lost
            known = step in self._reported
            self._reported[step] = cause or "it is not said why"
        if not known:
            log.error("decision log %s: cannot %s: %s", self.path, step, cause)
