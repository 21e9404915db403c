"""What `replay` leaves in files: decisions, campaigns, and a snapshot of what was learnt."""

from __future__ import annotations

import gzip
import io
from collections.abc import Mapping
from pathlib import Path

import msgspec

from gateway_guard.campaigns.linker import Linker
from gateway_guard.campaigns.snapshot import freeze
from gateway_guard.errors import SourceError
from gateway_guard.files import write_whole
from gateway_guard.record.snapshots import SnapshotFile


class DecidedLine(msgspec.Struct, gc=False):
    """One line of `--decisions`."""

    id: str | int
    action: str
    risk: float
    rule: str | None
    campaign: str | None


class Sink:
    """The decisions file."""

    def __init__(self, path: Path) -> None:
        self._encode = msgspec.json.Encoder().encode
        try:
            raw = path.open("wb")
        except OSError as error:
            raise SourceError(f"{path}: {error.strerror}") from error
        self._path = path
        self._raw = raw
        self._file: io.BufferedIOBase = raw
        if path.suffix == ".gz":
            # Neither name nor time in it: two equal replays write equal files.
            self._file = gzip.GzipFile(
                filename="", fileobj=raw, mode="wb", compresslevel=5, mtime=0
            )

    def write(self, decided: DecidedLine) -> None:
        try:
            self._file.write(self._encode(decided) + b"\n")
        except OSError as error:
            raise SourceError(f"{self._path}: {error.strerror}") from error

    def close(self) -> None:
        try:
            self._file.close()
            self._raw.close()
        except OSError as error:
            raise SourceError(f"{self._path}: {error.strerror}") from error


def write_campaigns(path: Path, linker: Linker, recorded: Mapping[str, str]) -> None:
    """The campaigns held, their accounts as they are `recorded` (digest → as in the traffic)."""
    held = [
        {
            "id": campaign.id,
            "accounts": sorted(recorded.get(account, account) for account in campaign.members),
            "alarm_at": campaign.alarm_at,
            "confidence": round(campaign.confidence, 4),
            "evidence": campaign.evidence,
        }
        for campaign in linker.campaigns()
    ]
    try:
        data = msgspec.json.format(msgspec.json.encode(held), indent=1) + b"\n"
        write_whole(path, data, 0o644)
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror}") from error


def write_snapshot(path: Path, linker: Linker, secret: bytes) -> None:
    """What was learnt of campaigns, as a guard with `secret` keeps it."""
    traces = linker.memory.traces.values()
    data = freeze(linker, secret, saved_at=max((trace.last_at for trace in traces), default=0.0))
    try:
        SnapshotFile(path).save(data)
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror}") from error
