"""Which tests reach which lines: found out by running all of them once, unchanged."""

from __future__ import annotations

import functools
import gc
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.mutation.running import run


@dataclass(slots=True)
class Reach:
    """What the tests did.

    Attributes:
        lines: path → line → the tests that came by, by pytest's names; "" for what was loaded.
        seconds: of CPU that each test takes, with coverage counted.
        failed: tests that fail without any change.
    """

    lines: dict[str, dict[int, list[str]]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)

    def tests(self, path: str, first: int, last: int) -> list[str]:
        """Those that reach any of the lines, the tests of the module's own file and quick ones
        first."""
        by_line = self.lines.get(path, {})
        found = {name for line in range(first, last + 1) for name in by_line.get(line, ())} - {""}
        own = f"/test_{Path(path).stem}.py::"
        return sorted(found, key=lambda name: (own not in name, self.seconds.get(name, 0.0)))

    def of_files(self, files: Sequence[str]) -> float:
        """Seconds of CPU that the tests in some files take."""
        return sum(took for name, took in self.seconds.items() if name.split("::")[0] in files)

    def when_loaded(self, path: str, first: int, last: int) -> bool:
        """Whether any of the lines runs while the package and the tests are loaded."""
        by_line = self.lines.get(path, {})
        return any("" in by_line.get(line, ()) for line in range(first, last + 1))


def cached() -> list[Any]:
    """Every cache of results that the package keeps on a function."""
    return [
        one
        for one in gc.get_objects()
        if isinstance(one, functools._lru_cache_wrapper)
        and str(getattr(one, "__module__", "")).startswith("gateway_guard")
    ]


class Recorder:
    """A plugin of pytest: notes what each test reaches, how long it takes and whether it fails."""

    def __init__(self, folder: Path, paths: Sequence[str], out: Path) -> None:
        import coverage

        self._paths = {str(folder / path): path for path in paths}
        self._out = out
        self._reach = Reach()
        self._cached: list[Any] = []
        self._coverage = coverage.Coverage(
            data_file=None, include=list(self._paths), config_file=False
        )

    def pytest_configure(self, config: pytest.Config) -> None:
        """Before anything of the package is loaded."""
        # Coverage is not measured of them all; whether they notice a change is.
        config.option.trace_every_test = True
        self._coverage.start()

    def pytest_collection_finish(self) -> None:
        """Everything is loaded, nothing has run."""
        self._cached = cached()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """One test, as if it were the first to ask for anything."""
        for one in self._cached:
            one.cache_clear()
        self._coverage.switch_context(item.nodeid)
        started = time.process_time()
        result = yield
        self._reach.seconds[item.nodeid] = time.process_time() - started
        self._coverage.switch_context("")
        return result

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Remember what fails by itself."""
        if report.failed and report.nodeid not in self._reach.failed:
            self._reach.failed.append(report.nodeid)

    def pytest_sessionfinish(self) -> None:
        """Write down all of it."""
        self._coverage.stop()
        data = self._coverage.get_data()
        for file, path in self._paths.items():
            by_line = data.contexts_by_lineno(file)
            self._reach.lines[path] = dict(by_line)
        reach = self._reach
        self._out.write_text(json.dumps([list(reach.lines.items()), reach.seconds, reach.failed]))


def reached(
    folder: Path, tests: Sequence[str], paths: Sequence[str], most: float
) -> tuple[Reach, float]:
    """Run `tests` in `folder` and note who reaches what of `paths`; and how much CPU that took.

    Raises:
        RuntimeError: the tests do not run at all.
    """
    out = folder / "reach"
    ran = run(folder, tests, most, plugins=lambda: [Recorder(folder, paths, out)])
    if not out.is_file():
        raise RuntimeError(f"the tests do not run:\n{ran.said[-4000:]}")
    files, seconds, failed = json.loads(out.read_text())
    lines = {path: {int(line): names for line, names in by.items()} for path, by in files}
    return Reach(lines=lines, seconds=seconds, failed=failed), ran.cpu
