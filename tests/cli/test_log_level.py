"""What a process that serves writes to standard error."""

from __future__ import annotations

import logging
import time

import pytest

from gateway_guard.cli.log_level import Utc


def test_times_are_in_utc_whatever_the_zone_of_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines beside those of the decision log, of hosts in several zones."""
    monkeypatch.setenv("TZ", "Asia/Kathmandu")
    time.tzset()
    try:
        record = logging.LogRecord("gateway_guard.x", logging.INFO, "x.py", 1, "said", None, None)
        record.created, record.msecs = 1_790_000_000.25, 250.0
        line = Utc("%(asctime)s %(levelname)s %(message)s").format(record)
    finally:
        monkeypatch.undo()
        time.tzset()

    assert line == "2026-09-21T14:13:20.250Z INFO said"
