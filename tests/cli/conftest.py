"""What tests of the commands on campaigns work on."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway_guard.campaigns.snapshot import freeze
from gateway_guard.record.snapshots import SnapshotFile
from tests import build
from tests.campaigns import ring


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
