"""What each middleware adds to a request, in a process of its own, all in turns."""

from __future__ import annotations

import contextlib
import json
import subprocess
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from tests.evaluate.sets import ROOT
from tests.peers.catalogue import InProcess
from tests.peers.environments import BUILD, CannotInstallError
from tests.peers.figures import Figure, Row

CHILD: Final = Path(__file__).with_name("child.py")
#: Seconds after which a peer that says nothing is given up.
PATIENCE: Final = 60.0
#: The columns: what the app alone takes, what the peer adds, microseconds; and both over ours.
ALONE: Final = "alone"
ADDED: Final = "added"

Say = Callable[[str], None]


class CannotMeasureError(Exception):
    """A peer does not run here; says why."""


class Child:
    """One peer, waiting to be asked."""

    def __init__(self, peer: InProcess, bodies: Path) -> None:
        self.log = BUILD / f"{peer.name.replace(' ', '-')}.log"
        with self.log.open("w") as errors:
            self.process = subprocess.Popen(
                [peer.environment.python(), CHILD, peer.name, bodies, ROOT / "policies"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True, cwd=BUILD,
            )  # fmt: skip

    def says(self) -> str:
        """Its next line.

        Raises:
            CannotMeasureError: it has ended instead.
        """
        assert self.process.stdout is not None
        timer = threading.Timer(PATIENCE, self.process.kill)
        timer.start()
        line = self.process.stdout.readline()
        timer.cancel()
        if not line:
            self.process.wait()
            lines = self.log.read_text().strip().splitlines()
            raise CannotMeasureError(lines[-1] if lines else "it did not answer")
        return line

    def turn(self) -> tuple[float, float]:
        """Microseconds of processor time of a request: of the app alone, and around it."""
        assert self.process.stdin is not None
        self.process.stdin.write("turn\n")
        self.process.stdin.flush()
        found = json.loads(self.says())
        return found["alone"] / 1e3, found["around"] / 1e3

    def close(self) -> None:
        """End it."""
        self.process.kill()
        self.process.communicate()


def measure(
    peers: Sequence[InProcess], bodies: Sequence[bytes], rounds: int, say: Say
) -> tuple[Row, ...]:
    """A row of every one of them, in their order."""
    BUILD.mkdir(parents=True, exist_ok=True)
    file = BUILD / "bodies.json"
    file.write_text(json.dumps([body.decode() for body in bodies]))
    missing: dict[str, str] = {}
    times: dict[str, list[tuple[float, float]]] = {}
    with contextlib.ExitStack() as stack:
        children: dict[str, Child] = {}
        for peer in peers:
            say(f"{peer.name}: starts")
            try:
                child = Child(peer, file)
                stack.callback(child.close)
                child.says()
                children[peer.name] = child
            except (CannotInstallError, CannotMeasureError) as error:
                missing[peer.name] = str(error)
                say(f"{peer.name}: {error}")
        for number in range(rounds):
            say(f"round {number + 1} of {rounds}")
            for name, child in list(children.items()):
                try:
                    times.setdefault(name, []).append(child.turn())
                except CannotMeasureError as error:
                    missing[name] = str(error)
                    del children[name], times[name]
    return tuple(_row(peer, times.get(peer.name, ()), missing.get(peer.name)) for peer in peers)


def _row(
    peer: InProcess, times: Sequence[tuple[float, float]], missing: str | None
) -> Row:  # fmt: skip
    figures = {}
    if times:
        figures = {
            ALONE: Figure(tuple([alone for alone, _ in times])),
            ADDED: Figure(tuple([around - alone for alone, around in times])),
        }
    return Row(
        name=peer.name, version=peer.environment.version, figures=figures, missing=missing
    )  # fmt: skip
