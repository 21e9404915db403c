"""What every test shares: how hypothesis runs.

On a fresh machine hypothesis builds its tables of characters during the first draw, which takes
longer than its limits allow; and shared cores make single examples slow. Neither says anything
about the code.
"""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import HealthCheck, settings

#: Tests that failed and passed when repeated (`--reruns 1`, with their tracebacks), beyond which
#: the run fails: one hiccup of a loaded machine among thousands of tests, many of which start
#: processes, is not worth a run; several are a defect of theirs or ours.
MOST_RERUN: Final = 3

settings.register_profile(
    "gateway_guard", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("gateway_guard")


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
