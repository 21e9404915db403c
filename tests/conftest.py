"""What every test shares: how hypothesis runs, in which order, and what is not traced.

On a fresh machine hypothesis builds its tables of characters during the first draw, which takes
longer than its limits allow; and shared cores make single examples slow. Neither says anything
about the code.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Final

import pytest
from hypothesis import HealthCheck, settings
from pytest_rerunfailures import StatusDB  # type: ignore[import-untyped]

from tests.dealing import dealt

#: Tests that failed and passed when repeated (`--reruns 1`, with their tracebacks), beyond which
#: the run fails: one hiccup of a loaded machine among thousands of tests, many of which start
#: processes, is not worth a run; several are a defect of theirs or ours.
MOST_RERUN: Final = 3
#: Folders of the tests of what decides, whose coverage is measured; tracing all would take another
#: minute and a half.
TRACED: Final = frozenset(("accounts", "campaigns", "core", "signals", "stores"))
#: Marks of tests there that it is not measured of.
UNTRACED: Final = ("untraced", "e2e", "hypothesis")

#: `make test` tries the same examples each time: what it says of a change is of the change.
#: `make properties` looks for others.
settings.register_profile(
    "gateway_guard", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
settings.register_profile(
    "explore", settings.get_profile("gateway_guard"), derandomize=False, max_examples=1_000
)
settings.load_profile("gateway_guard")


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Count repetitions in the worker, which costs nothing.

    Several workers otherwise count with their controller, over a socket that is read byte by byte:
    37 ms for every test. What that is for, a worker that crashes, fails the run here.
    """
    if hasattr(config, "failures_db") and hasattr(config, "workerinput"):
        config.failures_db.sock.close()
        config.failures_db = StatusDB()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Deal tests to workers, where there are several."""
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    if workers < 2:
        return
    files = [list(group) for _, group in groupby(items, key=lambda item: item.path)]
    longest = [[test] for file in files for test in file if test.get_closest_marker("longest")]
    others = [file for file in files if not file[0].get_closest_marker("longest")]
    slow = [file for file in others if file[0].get_closest_marker("e2e")]
    quick = [test for file in others if not file[0].get_closest_marker("e2e") for test in file]
    items[:] = dealt([*longest, *slow], quick, workers)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Trace for coverage the tests of what decides, but not those that compute for long or leave
    the work to other processes.

    Nor what hypothesis makes up: a line that only it reaches today, it may not reach tomorrow.
    Who asks what each single test reaches (`tests.mutation`) is told of all.
    """
    tracer = sys.gettrace()
    every = getattr(item.config.option, "trace_every_test", False)
    if tracer is None or every or _traced(item):
        yield
        return
    of_threads = threading.gettrace()
    sys.settrace(None)
    threading.settrace(None)
    try:
        yield
    finally:
        threading.settrace(of_threads)
        sys.settrace(tracer)


def _traced(item: pytest.Item) -> bool:
    folder = item.path.relative_to(Path(__file__).parent).parts[0]
    return folder in TRACED and not any(map(item.get_closest_marker, UNTRACED))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run where too many tests passed only when repeated."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:
        return  # a worker: its controller counts
    rerun = reporter.stats.get("rerun", [])
    if len(rerun) > MOST_RERUN and session.exitstatus == pytest.ExitCode.OK:
        reporter.write_line(f"{len(rerun)} tests had to be repeated; {MOST_RERUN} may", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
