"""The processes: Redis, a proxy that makes it fail, a model API, and the sidecar between."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.servers import Sidecar
from tests.servers import Server
from tests.soak.policies import Variant, database

WORKERS = 2
#: Small, so that all tables are full within seconds and memory can be seen to be flat.
SETTINGS = {
    "GATEWAY_GUARD_MAX_ACCOUNTS": "2000",
    "GATEWAY_GUARD_MAX_KEYS": "8000",
    # A machine that does all of this at once is slow to answer; a fault is meant to be one.
    "GATEWAY_GUARD_STORE_BUDGET": "1000",
}


@dataclass
class World:
    """What runs.

    Attributes:
        folder: with the policy, the network database and the decision log.
        redis, sidecar: the servers.
        beside: the sidecar's admin process, which is no worker.
    """

    folder: Path
    redis: Server
    sidecar: Sidecar
    beside: int
    _proxy: subprocess.Popen[str]

    @property
    def log(self) -> Path:
        return self.folder / "decisions.jsonl"

    def replace(self, name: str, data: bytes) -> None:
        """Replace a file as an updater does, whole, and say so."""
        fresh = self.folder / f"{name}.new"
        fresh.write_bytes(data)
        fresh.replace(self.folder / name)
        self.sidecar.process.send_signal(signal.SIGHUP)

    def fail(self, fault: str | None) -> None:
        """Have the store fail like this from now on, or no more."""
        assert self._proxy.stdin is not None
        assert self._proxy.stdout is not None
        self._proxy.stdin.write(f"{fault or 'none'}\n")
        self._proxy.stdin.flush()
        self._proxy.stdout.readline()

    def workers(self) -> list[int]:
        """Process ids of the workers, oldest first."""
        return [pid for pid in children(self.sidecar.process.pid) if pid != self.beside]

    def pids(self) -> Mapping[int, str]:
        """What to watch."""
        return {
            self.sidecar.process.pid: "supervisor",
            self.beside: "admin",
            **dict.fromkeys(self.workers(), "worker"),
        }


def children(pid: int) -> list[int]:
    """Process ids of its children, oldest first."""
    try:
        return sorted(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))
    except OSError:
        return []


@contextlib.contextmanager
def said(module: str, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A process of ours and the port it listens on."""
    with subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        try:
            assert process.stdout is not None
            yield process, int(process.stdout.readline().split()[-1])
        finally:
            process.kill()


@contextlib.contextmanager
def world(folder: Path, first: Variant) -> Iterator[World]:
    """All of it, serving."""
    os.environ.update(SETTINGS)
    (folder / "own.mmdb").write_bytes(database(0))
    with (
        Server() as redis,
        said("tests.soak.proxy", str(redis.port)) as (proxy, proxy_port),
        said("tests.soak.upstream") as (_, upstream_port),
        Sidecar(
            folder, f"http://127.0.0.1:{upstream_port}",
            *("--workers", str(WORKERS)),
            *("--store", f"redis://127.0.0.1:{proxy_port}/0"),
            *("--network", str(folder / "own.mmdb")),
            *("--decision-log", str(folder / "decisions.jsonl")),
            # So that its descriptors can be counted from outside.
            "--core-dumps",
            policy=first.text,
        ) as sidecar,
    ):  # fmt: skip
        sidecar.all_serve(WORKERS)
        beside = children(sidecar.process.pid)[-1]
        yield World(folder, redis, sidecar, beside, proxy)
