"""Guards and linkers for tests, on a real server, each ended with the test."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from gateway_guard.campaigns.sighting import Sighting
from gateway_guard.record.snapshots import SnapshotFile
from gateway_guard.streams.keys import Keys, fingerprint
from gateway_guard.streams.shared import SharedLinking
from gateway_guard.types import CampaignFacts
from tests import build
from tests.campaigns import ring
from tests.servers import PATIENCE, Server, until

KEY = fingerprint(build.SECRET)

_numbers = itertools.count()

MEMBERS = frozenset(ring.account("a", number) for number in range(ring.MEMBERS))


def namespace() -> str:
    """One nobody else uses."""
    return f"t{os.getpid()}-{next(_numbers)}"


class Team:
    """Guards of one namespace on one server.

    Attributes:
        server, namespace, keys: where they meet.
    """

    def __init__(self, server: Server, stack: ExitStack) -> None:
        self.server = server
        self.namespace = namespace()
        self.keys = Keys(self.namespace)
        self._stack = stack

    def guard(
        self, *, leads: bool = False, secret: bytes = build.SECRET, start: bool = True, **more: Any
    ) -> SharedLinking:
        """A guard that follows, and is ready."""
        one = SharedLinking(
            more.pop("uri", self.server.uri), secret, namespace=self.namespace, leads=leads, **more
        )
        self._stack.callback(one.close)
        if start:
            assert one.wait(PATIENCE), "a guard never heard of the server"
        return one

    def linker(self, **more: Any) -> SharedLinking:
        """A guard that may be the linker, and is."""
        one = self.guard(leads=True, **more)
        until(lambda: active(one), "a linker is there and has caught up")
        return one

    def process(self, *words: str, env: dict[str, str] | None = None) -> subprocess.Popen[str]:
        """`gateway-guard linker …` as a process of its own."""
        command = [
            *(sys.executable, "-m", "gateway_guard", "linker"),
            *("--store", self.server.uri, "--namespace", self.namespace, *words),
        ]
        process = subprocess.Popen(
            command,
            env={**os.environ, "GATEWAY_GUARD_SECRET": build.SECRET.decode(), **(env or {})},
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._stack.callback(ended, process)
        return process

    def do(self, *words: str | float | bytes) -> Any:
        """One command to the server."""
        return self.server.do(*words)


def active(one: SharedLinking) -> bool:
    """Whether the linker runs there, and has caught up."""
    leader = one.leader
    return leader is not None and leader.lease.held and leader.caught_up


def ended(process: subprocess.Popen[str]) -> None:
    """End a process, however it feels."""
    if process.poll() is None:
        process.send_signal(signal.SIGCONT)
        process.kill()
    process.wait(PATIENCE)
    if process.stderr is not None:
        process.stderr.close()


@contextmanager
def team(server: Server) -> Iterator[Team]:
    """A team whose guards end with the block."""
    with ExitStack() as stack:
        yield Team(server, stack)


def send(seen: Iterable[Sighting], *guards: SharedLinking) -> int:
    """What happened, spread over the guards in turn, and on its way; how many."""
    count = 0
    for count, one in enumerate(seen, 1):
        guards[count % len(guards)].sender.put(one)
    until(lambda: not any(guard.sender.waiting for guard in guards), "sightings are sent")
    return count


def verdicts(guard: SharedLinking) -> dict[str, CampaignFacts]:
    """What a guard believes of the members."""
    found = {account: guard.facts(account) for account in MEMBERS}
    return {account: facts for account, facts in found.items() if facts is not None}


def contained(*guards: SharedLinking) -> bool:
    """Whether every guard knows every member as a sure one."""
    return all(
        len(found) == len(MEMBERS) and all(facts.confidence > 0.9 for facts in found.values())
        for found in map(verdicts, guards)
    )


def exchanges(linker: SharedLinking | Path) -> dict[str, int]:
    """Exchanges by account, as a linker counted them; or as it left them in its file."""
    if isinstance(linker, Path):
        saved = SnapshotFile(linker).load(build.SECRET)
        assert saved is not None
        memory = saved.linker.memory
    else:
        assert linker.leader is not None
        if linker.leader.pupil is None:
            return {}
        memory = linker.leader.pupil.linker.memory
    return {trace.account: trace.exchanges for trace in list(memory.traces.values())}


def alone(seen: Iterable[Sighting]) -> dict[str, int]:
    """The same of a linker that saw everything once."""
    found: dict[str, int] = {}
    for one in seen:
        found[one.account] = found.get(one.account, 0) + 1
    return found
