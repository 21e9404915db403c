"""Runs tests against changed code, each run in a process of its own, forked from one that has
loaded what does not change. What is changed is only ever in memory: no file is written.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import os
import resource
import shutil
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Final

#: Loaded once, before any fork: what the tests import that is not ours.
LIBRARIES: Final = (
    "pytest", "hypothesis.strategies", "hypothesis.stateful", "msgspec", "httpx",
    "starlette.applications", "starlette.testclient", "cachetools", "maxminddb", "yaml", "limits",
    "prometheus_client", "rich.table", "typer", "xxhash", "ahocorasick_rs", "jwt",
    "cryptography.hazmat.primitives.asymmetric.rsa", "brotli", "zstandard", "redis.asyncio",
)  # fmt: skip
#: Seconds of wall time for each second of CPU a run may use: others use the machine, too.
PATIENCE: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """How tests ended.

    Attributes:
        code: pytest's; None when they took too long and were ended.
        cpu: seconds.
        said: what they printed.
    """

    code: int | None
    cpu: float
    said: str


class Changed(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Loads one module from text in place of its file."""

    def __init__(self, name: str, path: str, text: str) -> None:
        self._name = name
        self._path = path
        self._text = text

    def find_spec(
        self, fullname: str, path: object = None, target: object = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The module's, and nobody else's."""
        if fullname != self._name:
            return None
        return importlib.util.spec_from_file_location(fullname, self._path, loader=self)

    def exec_module(self, module: ModuleType) -> None:
        """Run the text."""
        exec(compile(self._text, self._path, "exec"), module.__dict__)


def prepare() -> None:
    """Load what every run needs."""
    for name in LIBRARIES:
        importlib.import_module(name)


def run(
    folder: Path,
    tests: Sequence[str],
    most: float,
    changed: tuple[str, str] | None = None,
    plugins: Callable[[], Sequence[object]] = tuple,
) -> Run:
    """Run `tests` in `folder` for at most `most` seconds of CPU.

    `changed` is the path of a module and its text; then the first failure ends the run. `plugins`
    makes pytest's, once there.
    """
    output = folder / "output"
    # What an earlier change brought to light must not be tried first with this one.
    shutil.rmtree(folder / ".hypothesis" / "examples", ignore_errors=True)
    child = os.fork()
    if child == 0:
        inside(folder, tests, most, changed, output, plugins)
    code, cpu = ended(child, most * PATIENCE)
    return Run(code=code, cpu=cpu, said=output.read_text("utf-8", "replace"))


def ended(child: int, most: float) -> tuple[int | None, float]:
    """Exit code and seconds of CPU of a child that leads a group of its own, once it has ended.

    None for one that was killed, as it is after `most` seconds. What it left behind is ended, too.
    """
    started = time.monotonic()
    pause = 0.001
    while not (found := os.wait4(child, os.WNOHANG))[0]:
        if time.monotonic() - started > most:
            os.kill(child, signal.SIGKILL)
            found = os.wait4(child, 0)
            break
        time.sleep(pause)
        pause = min(0.02, pause * 1.5)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    _, status, used = found
    code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else None
    return code, used.ru_utime + used.ru_stime


def inside(
    folder: Path,
    tests: Sequence[str],
    most: float | None,
    changed: tuple[str, str] | None,
    output: Path,
    plugins: Callable[[], Sequence[object]] = tuple,
) -> None:
    """The child's part; does not return. `most` None is as long as it takes."""
    code = 70
    try:
        os.setpgid(0, 0)
        if most is not None:
            resource.setrlimit(resource.RLIMIT_CPU, (round(most) + 1, round(most) + 1))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
        handle = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for target, source in ((0, nothing), (1, handle), (2, handle)):
            os.dup2(source, target)
        os.chdir(folder)
        sys.path.insert(0, str(folder))
        # This program's own copy of the tests is not the one to run.
        for name in [
            one for one in sys.modules if one.partition(".")[0] in ("tests", "gateway_guard")
        ]:
            del sys.modules[name]
        if changed is not None:
            path, text = changed
            name = path.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
            sys.meta_path.insert(0, Changed(name, str(folder / path), text))
        import pytest

        words = (
            "-q", "-rfE", "--tb=line", "--no-header", "-m", "not e2e", "--hypothesis-seed=0",
            *("-p", "no:xdist", "-p", "no:rerunfailures", "-p", "no:cov"),
            *("-W", "ignore::SyntaxWarning", "-W", "ignore::pytest.PytestAssertRewriteWarning"),
        )  # fmt: skip
        first = ["-x"] if changed else []
        code = int(pytest.main([*words, *first, *tests], plugins=list(plugins())))
    except BaseException as error:  # noqa: BLE001 - the child ends here
        print(f"{type(error).__name__}: {error}", flush=True)
    finally:
        sys.stdout.flush()
        os._exit(code)
