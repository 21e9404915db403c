"""The decision log, read while it is written."""

from __future__ import annotations

import threading
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from tests.soak.oracle import Line, Oracle

EVERY: Final = 0.2


class Reading:
    """Hands each line to the oracle, from a thread of its own.

    Attributes:
        malformed: lines that are none: what a killed worker had half written.
        lines: read so far.
    """

    def __init__(self, path: Path, oracle: Oracle) -> None:
        self.malformed = 0
        self.lines = 0
        self._path = path
        self._oracle = oracle
        self._decode = msgspec.json.Decoder(Line).decode
        self._rest = b""
        self._place = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Read to the end."""
        self._over.set()
        self._thread.join(600)

    def _run(self) -> None:
        while not self._over.wait(EVERY):
            self._read()
        self._read()

    def _read(self) -> None:
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(self._place)
            while data := file.read(1 << 20):
                self._place += len(data)
                *lines, self._rest = (self._rest + data).split(b"\n")
                for raw in lines:
                    self._one(raw)

    def _one(self, raw: bytes) -> None:
        self.lines += 1
        try:
            line = self._decode(raw)
            at = datetime.fromisoformat(line.time).timestamp()
        except (msgspec.MsgspecError, ValueError):
            self.malformed += 1
            return
        self._oracle.check(line, at)
