"""Child processes that never outlive their parent."""

from __future__ import annotations

import asyncio
import ctypes
import signal
import socket
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import httpx

from gateway_guard.errors import UpstreamError

#: Seconds a child gets to end by itself, and to become ready.
GRACE: Final = 5.0
READY: Final = 30.0

_PR_SET_PDEATHSIG: Final = 1


def free_port() -> int:
    """A TCP port on loopback nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Children:
    """Python child processes; leaving the block ends them, and so does the parent's death.

    Raises:
        UpstreamError: from `until_ready` and `wait`, when a child ends or does not get ready; with
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
            try:
                child.wait(GRACE)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()

    def start(self, name: str, *arguments: str) -> None:
        """Run `python ARGUMENTS`; what it prints goes to `NAME.out` in the directory."""
        with (self._directory / f"{name}.out").open("wb") as out:
            self._running[name] = subprocess.Popen(  # noqa: S603 - our own interpreter and files
                [sys.executable, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                preexec_fn=_die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509
            )

    async def until_ready(self, *urls: str) -> None:
        """Return once every URL answers 200."""
        async with httpx.AsyncClient(timeout=1.0) as client:
            try:
                async with asyncio.timeout(READY):
                    for url in urls:
                        while not await _answers(client, url):
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


def _die_with_parent() -> None:
    # Runs in the child before exec: the kernel will send SIGTERM once the parent is gone, even
    # when nobody could tidy up.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
