"""Child processes of tests: what they say is read as it comes, and they end with the test."""

from __future__ import annotations

import itertools
import re
import signal
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

#: Seconds any single wait of a test may take before it counts as hanging.
PATIENCE = 60.0


def resident(pid: int) -> int:
    """Bytes of memory a process holds now.

    Raises:
        OSError: there is no such process.
        AssertionError: it has ended, and nobody has asked how.
    """
    for line in Path(f"/proc/{pid}/status").read_text("utf-8", "replace").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"process {pid} has no memory: it has ended")


class Child:
    """A child process, from its start to its end.

    Attributes:
        process: what runs.
        lines: what it has said so far.

    Args:
        command: the program and its arguments.
        listen_to: `stderr`, what else it says is dropped; or `both`, stdout and stderr together.
        env: its environment; None for ours.
        cwd: its directory; None for ours.
    """

    def __init__(
        self,
        *command: str,
        listen_to: str = "stderr",
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        both = listen_to == "both"
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE if both else subprocess.DEVNULL,
            stderr=subprocess.STDOUT if both else subprocess.PIPE,
            env=None if env is None else dict(env),
            cwd=cwd,
        )
        self.lines: list[str] = []
        self._said = threading.Condition()
        self._ended = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()

    def heard(self, pattern: str, *, after: int = 0, times: int = 1) -> str | None:
        """The first group (or all) of `pattern` in a line from `after` on, as soon as it is said:
        in the `times`-th line that has it.

        None when the process has ended, or `PATIENCE` has, without it.
        """

        def found() -> re.Match[str] | None:
            matches = (re.search(pattern, line) for line in self.lines[after:])
            return next(itertools.islice(filter(None, matches), times - 1, None), None)

        with self._said:
            self._said.wait_for(lambda: self._ended or found() is not None, PATIENCE)
        match = found()
        return None if match is None else match[match.re.groups and 1]

    def wait_for(self, pattern: str, *, after: int = 0, times: int = 1) -> str:
        """As `heard`; the test fails without it."""
        said = self.heard(pattern, after=after, times=times)
        assert said is not None, f"no {pattern!r} in:\n" + "\n".join(self.lines)
        return said

    def kill(self) -> None:
        """As a power failure does; also when it has ended, or stands still."""
        self.end(signal.SIGKILL)

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to end, and see to it that it does; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()
        return self.process.returncode

    def _read(self) -> None:
        pipe = self.process.stdout or self.process.stderr
        assert pipe is not None
        for raw in pipe:
            with self._said:
                self.lines.append(raw.decode(errors="replace").rstrip())
                self._said.notify_all()
        with self._said:
            self._ended = True
            self._said.notify_all()
