"""Child processes that never outlive their parent."""

from __future__ import annotations

import asyncio
import ctypes
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import httpx

from gateway_guard.errors import UpstreamError

#: Seconds a child gets to end by itself, to do so where what it saves is wanted, and to become
#: ready.
GRACE: Final = 5.0
SAVING: Final = 60.0
READY: Final = 60.0

_PR_SET_PDEATHSIG: Final = 1


def listener() -> socket.socket:
    """A socket listening on a free port of loopback, to hand to a child: nobody can take it."""
    return socket.create_server(("127.0.0.1", 0), backlog=128)


class Children:
    """Python child processes; leaving the block ends them, and so does the parent's death.

    They run in `directory`, and what each prints goes to a file there.

    Raises:
        UpstreamError: from everything that waits, when a child ends or does not get ready; with
            the last lines it printed.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for child in self._running.values():
            child.terminate()
        for child in self._running.values():
            _wait_for(child)

    async def stop(self, name: str) -> None:
        """End one child, and return once it has ended and saved what it saves."""
        child = self._running[name]
        child.terminate()
        await asyncio.to_thread(_wait_for, child, SAVING)
        del self._running[name]

    def start(self, name: str, *arguments: str, keep: Sequence[socket.socket] = ()) -> None:
        """Run `python ARGUMENTS`, printing to `NAME.out`; sockets of `keep` stay open in it."""
        with (self._directory / f"{name}.out").open("wb") as out:
            self._running[name] = subprocess.Popen(  # noqa: S603 - our own interpreter and files
                [sys.executable, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                cwd=self._directory,
                pass_fds=[kept.fileno() for kept in keep],
                preexec_fn=_die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509
            )

    async def until_ready(self, *urls: str) -> None:
        """Return once every URL answers 200."""
        # Not through a proxy the environment names: these addresses are on this machine.
        async with httpx.AsyncClient(timeout=1.0, trust_env=False) as client:
            try:
                async with asyncio.timeout(READY):
                    for url in urls:
                        while not await _answers(client, url):
                            self._check()
                            await asyncio.sleep(0.05)
            except TimeoutError:
                raise UpstreamError(f"not ready in {READY:g} s: {self._printed()}") from None

    async def printed(self, name: str, pattern: str) -> tuple[str, ...]:
        """The groups of `pattern` once the child has printed something that it matches."""
        path = self._directory / f"{name}.out"
        try:
            async with asyncio.timeout(READY):
                while True:
                    found = re.search(pattern, path.read_text("utf-8", "replace"))
                    if found is not None:
                        return found.groups()
                    self._check()
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise UpstreamError(f"not ready in {READY:g} s: {self._printed()}") from None

    async def wait(self) -> None:
        """Return never, unless a child ends."""
        while True:
            self._check()
            await asyncio.sleep(0.5)

    def _check(self) -> None:
        for name, child in self._running.items():
            if child.poll() is not None:
                raise UpstreamError(f"{name} ended with {child.returncode}: {self._printed()}")

    def _printed(self) -> str:
        texts = []
        for name in self._running:
            text = (self._directory / f"{name}.out").read_text("utf-8", "replace").strip()
            texts.append(f"{name}: {text[-2000:] or 'printed nothing'}")
        return "\n".join(texts)


async def _answers(client: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(url)).status_code == 200
    except httpx.HTTPError:
        return False


def _wait_for(child: subprocess.Popen[bytes], seconds: float = GRACE) -> None:
    try:
        child.wait(seconds)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def _die_with_parent() -> None:
    # Runs in the child before exec: the kernel will send SIGTERM once the parent is gone, even
    # when nobody could tidy up.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
