"""Every proxy before the same upstream: what a request, an event and an open stream cost."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final

from tests.peers import processes
from tests.peers.catalogue import Proxy
from tests.peers.environments import CannotInstallError, program
from tests.peers.figures import Figure, Row
from tests.peers.load import FailedError, Load
from tests.peers.upstream import FOREVER, Upstream
from tests.processes import Child
from tests.servers import free_port

#: Seconds of requests in a round, events of a stream, streams held open, first events in a round.
SECONDS: Final = 1.0
EVENTS: Final = 200
OPEN: Final = 1000
FIRSTS: Final = 40
#: Seconds until a proxy answers its first request.
STARTS: Final = 180.0
#: The columns: per second, microseconds of processor time, milliseconds, megabytes.
RATE: Final = "requests/s"
REQUEST: Final = "request"
EVENT: Final = "event"
FIRST: Final = "first"
IDLE: Final = "idle"
HELD: Final = "held"

Say = Callable[[str], None]


class Running:
    """A proxy that has been started, on a processor of its own where there are two."""

    def __init__(self, proxy: Proxy, upstream: int, folder: Path, processor: int | None) -> None:
        self.proxy = proxy
        self.port = free_port()
        self.load = Load(self.port)
        self.seen: dict[str, list[float]] = {}
        self.notes: dict[str, str] = {}
        python = proxy.environment.python() if proxy.environment is not None else Path("python")
        known = {
            "@PORT@": str(self.port), "@UPSTREAM@": str(upstream), "@FOLDER@": str(folder),
            "@PYTHON@": str(python), "@BIN@": str(python.parent),
        }  # fmt: skip

        def filled(text: str) -> str:
            for word, value in known.items():
                text = text.replace(word, value)
            return text

        for name, text in proxy.files.items():
            (folder / name).write_text(filled(text))
        first, *words = map(filled, proxy.command)
        start = first if "/" in first else program(first)
        pinned = () if processor is None else (program("taskset"), "-c", str(processor))
        self.child = Child(
            *pinned, start, *words, listen_to="both", cwd=folder,
            env={**os.environ, **{name: filled(text) for name, text in proxy.env.items()}},
        )  # fmt: skip

    async def ready(self) -> None:
        """Wait until it answers.

        Raises:
            FailedError: it does not.
        """
        deadline = asyncio.get_running_loop().time() + STARTS
        while True:
            try:
                await self.load.first_event()
                return
            except (OSError, FailedError, TimeoutError) as error:
                why = str(error) or type(error).__name__
            if self.child.process.poll() is not None:
                said = [line for line in self.child.lines if line.strip()]
                why = (said or ["it ended without a word"])[-1]
            elif asyncio.get_running_loop().time() < deadline:
                await asyncio.sleep(0.2)
                continue
            raise FailedError(f"does not start: {why}")

    def stages(self) -> tuple[Callable[[], Awaitable[None]], ...]:
        """What a round measures. Each is done with all proxies before the next is begun, so that
        figures which are compared are seconds apart.

        Each raises FailedError when a request was not answered as it should be.
        """
        return self._idle, self._plain, self._streaming, self._first, self._holding

    def _pids(self) -> list[int]:
        return processes.tree(self.child.process.pid)

    async def _idle(self) -> None:
        if IDLE not in self.seen:
            self._see(IDLE, processes.memory(self._pids()) / 1e6)

    async def _plain(self) -> None:
        pids = self._pids()
        await self.load.requests(SECONDS / 10)  # connections of its own, caches
        spent, began = processes.cpu(pids), asyncio.get_running_loop().time()
        count = await self.load.requests(SECONDS)
        self._see(RATE, count / (asyncio.get_running_loop().time() - began))
        self._see(REQUEST, 1e6 * (processes.cpu(pids) - spent) / count)

    async def _streaming(self) -> None:
        pids = self._pids()
        spent = processes.cpu(pids)
        count = await self.load.streams(EVENTS)
        self._see(EVENT, 1e6 * (processes.cpu(pids) - spent) / count)

    async def _first(self) -> None:
        times = sorted([await self.load.first_event() for _ in range(FIRSTS)])
        self._see(FIRST, 1e3 * times[len(times) // 2])

    async def _holding(self) -> None:
        held = await self.load.hold(OPEN, FOREVER)
        try:
            self._see(HELD, processes.memory(self._pids()) / 1e6)
            if len(held) < OPEN:
                self.notes[HELD] = f"at {len(held):,} streams: it holds no more"
        finally:
            for writer in held:
                writer.close()
        await asyncio.sleep(0.5)  # what it does about them is nobody else's round

    def _see(self, what: str, value: float) -> None:
        self.seen.setdefault(what, []).append(value)


def measure(proxies: Sequence[Proxy], rounds: int, say: Say) -> tuple[Row, ...]:
    """A row of every one of them, in their order.

    Raises:
        SystemExit: this process was told to end (SIGTERM); the proxies have ended.
    """
    import uvloop

    try:
        return uvloop.run(_measure(proxies, rounds, say))
    except asyncio.CancelledError:
        raise SystemExit(128 + signal.SIGTERM) from None


def pin() -> int | None:
    """Keep this process, the load and the upstream, to one processor; that of the proxies."""
    mine = sorted(os.sched_getaffinity(0))
    if len(mine) < 2:
        return None
    os.sched_setaffinity(0, {mine[1]})
    return mine[0]


async def _measure(proxies: Sequence[Proxy], rounds: int, say: Say) -> tuple[Row, ...]:
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    assert task is not None
    loop.add_signal_handler(signal.SIGTERM, task.cancel)
    server = await loop.create_server(Upstream, "127.0.0.1", 0, backlog=4096)
    upstream = server.sockets[0].getsockname()[1]
    missing: dict[str, str] = {}
    running: dict[str, Running] = {}
    processor = pin()
    with contextlib.ExitStack() as stack:
        for proxy in proxies:
            say(f"{proxy.name}: starts")
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            try:
                one = Running(proxy, upstream, folder, processor)
                stack.enter_context(one.child)
                await one.ready()
            except (CannotInstallError, FailedError) as error:
                missing[proxy.name] = str(error)
                say(f"{proxy.name}: {error}")
            else:
                running[proxy.name] = one
        for number in range(rounds):
            say(f"round {number + 1} of {rounds}")
            await _round(running, missing, say)
    return tuple(_row(proxy, running.get(proxy.name), missing.get(proxy.name)) for proxy in proxies)


async def _round(running: dict[str, Running], missing: dict[str, str], say: Say) -> None:
    """One round of all that run; who fails is moved to the missing."""
    todo = {name: iter(one.stages()) for name, one in running.items()}
    while todo:
        for name, stages in list(todo.items()):
            stage = next(stages, None)
            if stage is None:
                del todo[name]
                continue
            try:
                await stage()
            except (FailedError, TimeoutError, OSError) as error:
                missing[name] = f"{type(error).__name__}: {error}".removeprefix("FailedError: ")
                say(f"{name}: {missing[name]}")
                del todo[name], running[name]


def _row(proxy: Proxy, one: Running | None, missing: str | None) -> Row:
    seen = one.seen if one is not None else {}
    return Row(
        name=proxy.name, version=version_of(proxy) if one is not None else "",
        figures={what: Figure(tuple(values)) for what, values in seen.items()}, missing=missing,
        notes=one.notes if one is not None else {},
    )  # fmt: skip


def version_of(proxy: Proxy) -> str:
    """What was measured: pinned, or as the program says; empty when it does not."""
    if not proxy.version:
        return proxy.environment.version if proxy.environment is not None else ""
    done = subprocess.run(
        [program(proxy.command[0]), *proxy.version], capture_output=True, text=True, check=False
    )
    return version_in(done.stdout + done.stderr)


def version_in(text: str) -> str:
    """The first thing in what a program says that looks like a version, or nothing."""
    words = text.replace("/", " ").replace(":", " ").split()
    return next(
        (word.lstrip("v").partition("-")[0] for word in words if word.lstrip("v")[:1].isdigit()
         and word.count(".") >= 2), "",
    )  # fmt: skip
