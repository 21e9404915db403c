"""What tests of the commands on campaigns work on."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway_guard.campaigns.snapshot import freeze
from gateway_guard.record.snapshots import SnapshotFile
from tests import build
from tests.campaigns import ring


@pytest.fixture(autouse=True)
def heeded() -> Iterator[None]:
    """What this process makes of signals is its own matter, whatever command runs in it."""
    kinds = (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM, signal.SIGINT)
    before = {kind: signal.getsignal(kind) for kind in kinds}
    yield
    for kind, handler in before.items():
        signal.signal(kind, handler)


@pytest.fixture(scope="session")
def frozen() -> bytes:
    """A linker that holds the campaign of `ring`, saved after its last hour."""
    saved_at = build.NOW + ring.EXCHANGES * ring.HOUR
    return freeze(ring.caught(), build.SECRET, saved_at=saved_at)


@pytest.fixture
def path(tmp_path: Path, frozen: bytes, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same where the environment says."""
    path = tmp_path / "campaigns"
    SnapshotFile(path).save(frozen)
    monkeypatch.setenv("GATEWAY_GUARD_SECRET", build.SECRET.decode())
    monkeypatch.setenv("GATEWAY_GUARD_CAMPAIGNS_FILE", str(path))
    return path
