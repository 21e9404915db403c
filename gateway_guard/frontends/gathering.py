"""One admin port for several workers, in a process of its own that asks each of them.

Workers answer on unix sockets in a private folder, `NUMBER-GENERATION.sock`; one that ends leaves
its last metrics there. Nothing of this is on a request's way.

/healthz   200 while a worker answers
/readyz    200 while one is ready, `degraded` when not all are well; 503 otherwise
/metrics   counts summed over all workers, those that have ended included; states labelled by worker
/debug/snapshot  every worker's own (`snapshot`)
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import ssl
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path
from typing import Any, Final

import httpx
import msgspec
import uvloop
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway_guard import __version__
from gateway_guard.frontends import snapshot
from gateway_guard.frontends.admin import json_response
from gateway_guard.frontends.dashboard.mount import several_guards
from gateway_guard.frontends.dashboard.sources import Remote
from gateway_guard.frontends.serving import beside
from gateway_guard.record.gather import Gathered, Worker
from gateway_guard.settings import Settings

log = logging.getLogger(__name__)

#: Seconds a worker may take to answer: less than the health checks of `examples/deploy` wait.
PATIENCE: Final = 1.5
#: The same for what a page shows, which may be a whole campaign.
PAGE_PATIENCE: Final = 10.0
#: Seconds between two looks at the counts: a worker that is killed takes what it counted since.
LOOK_EVERY: Final = 5.0

_KEPT: Final = "ended.prom"

#: Never used on a unix socket, and given only because a transport else reads the system's
#: certificates, each time anew: 30 ms (measured), while nothing else here answers.
_UNUSED: Final = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def socket_of(folder: Path, worker: Worker) -> Path:
    """Where a worker answers."""
    return folder / f"{worker.number}-{worker.generation}.sock"


def leave(folder: Path, worker: Worker, metrics: bytes) -> None:
    """In a worker that ends: leave its last metrics to be counted, and answer no more."""
    where = socket_of(folder, worker)
    waiting = where.with_suffix(".new")
    waiting.write_bytes(metrics)
    waiting.rename(where.with_suffix(".prom"))
    where.unlink(missing_ok=True)


class Workers:
    """The workers behind one folder.

    Attributes:
        count: how many there should be; 0 where nobody said.
    """

    def __init__(self, folder: Path, count: int = 0) -> None:
        self.count = count
        self._folder = folder
        self._gathered = Gathered()
        self._lock = asyncio.Lock()
        kept = folder / _KEPT
        if kept.exists():
            self._gathered.take_over(kept.read_text("utf-8"))

    async def ask(self, path: str, *, patience: float = PATIENCE) -> dict[Worker, httpx.Response]:
        """Every worker's answer to `GET path`; who does not answer is left out."""
        workers = sorted(self.present())
        answers = await asyncio.gather(
            *(self._ask(worker, path, patience=patience) for worker in workers)
        )
        return {w: a for w, a in zip(workers, answers, strict=True) if a is not None}

    async def metrics(self) -> bytes:
        """One page for all workers."""
        async with self._lock:
            answers = await self.ask("/metrics")
            # Before the pages of those who ended are looked for: they leave those first.
            present = self.present()
            ended = False
            for path in sorted(self._folder.glob("*-*.prom")):
                self._gathered.ended(_named(path), path.read_text("utf-8"))
                answers.pop(_named(path), None)
                path.unlink()
                ended = True
            self._gathered.update({w: answer.text for w, answer in answers.items()}, present)
            if ended:
                (self._folder / _KEPT).write_bytes(self._gathered.kept())
            return self._gathered.render()

    async def watch(self) -> None:
        """Look at the counts now and then, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY)
            try:
                await self.metrics()
            except Exception:
                log.exception("gathering-failed")

    def sources(self) -> list[Remote]:
        """Every worker, for the dashboard."""
        return [Remote(str(w.number), self._caller(w)) for w in sorted(self.present())]

    def _caller(self, worker: Worker) -> Callable[[str, str, bytes], Awaitable[bytes | None]]:
        async def call(method: str, path: str, body: bytes) -> bytes | None:
            answer = await self._ask(worker, path, method, body, patience=PAGE_PATIENCE)
            return answer.content if answer is not None and answer.status_code == 200 else None

        return call

    def present(self) -> set[Worker]:
        """Those that have not left, and are not known to be gone."""
        return {_named(path) for path in self._folder.glob("*-*.sock")}

    async def _ask(
        self, worker: Worker, path: str, method: str = "GET", body: bytes = b"",
        patience: float = PATIENCE,
    ) -> httpx.Response | None:  # fmt: skip
        where = socket_of(self._folder, worker)
        waits = {"timeout": httpx.Timeout(patience).as_dict()}
        request = httpx.Request(method, f"http://worker{path}", content=body, extensions=waits)
        try:
            # Not the client: it logs every request.
            async with httpx.AsyncHTTPTransport(uds=str(where), verify=_UNUSED) as transport:
                answer = await transport.handle_async_request(request)
                await answer.aread()
                return answer
        except (httpx.HTTPError, OSError) as error:
            if _refused(error):
                # Killed: nobody listens there any more.
                where.unlink(missing_ok=True)
            else:
                # It may be this process that cannot connect, having no descriptor left: a socket
                # that is removed brings a worker back to nobody.
                log.warning("worker-silent worker=%s error=%s", worker.number, type(error).__name__)
            return None


def admin_app(workers: Workers) -> Starlette:
    """The routes that ask every worker."""

    async def healthz(request: Request) -> Response:  # noqa: ARG001
        answers = [_body(answer) for answer in (await workers.ask("/healthz")).values()]
        stores = {answer.get("store") for answer in answers}
        store = next(iter(stores)) if len(stores) == 1 else "down" if stores else None
        word = "ok" if answers else "no worker answers"
        body = {"status": word, "version": __version__, "workers": len(answers), "store": store}
        return json_response(200 if answers else 503, body)

    async def readyz(request: Request) -> Response:  # noqa: ARG001
        answers = await workers.ask("/readyz")
        silent = workers.present() - set(answers)
        return json_response(*readiness(answers, silent, workers.count))

    async def scrape(request: Request) -> Response:  # noqa: ARG001
        headers = {"content-type": CONTENT_TYPE_PLAIN_0_0_4}
        return Response(await workers.metrics(), media_type=None, headers=headers)

    async def snapshots(request: Request) -> Response:  # noqa: ARG001
        answers = await workers.ask(snapshot.PATH, patience=PAGE_PATIENCE)
        taken = [
            {"worker": worker.number, "generation": worker.generation, **_body(answer)}
            for worker, answer in answers.items()
        ]
        return json_response(200 if taken else 503, {"workers": taken})

    return Starlette(
        routes=[
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            Route("/metrics", scrape),
            Route(snapshot.PATH, snapshots),
        ]
    )


#: What becomes of a worker that is being replaced.
_PASSING: Final = ("draining", "starting")


def readiness(
    answers: dict[Worker, httpx.Response], silent: Collection[Worker] = (), count: int = 0
) -> tuple[int, dict[str, Any]]:
    """HTTP status and body of `/readyz`, from every worker's own and those that are `silent`, of
    `count` that there should be.

    One worker that takes requests is enough: all share a listener. One that is draining, or is
    starting, while others are ready is being replaced, which is no trouble. One that does not
    answer in time is: what it has begun may wait for ever.
    """
    bodies = {worker: _body(answer) for worker, answer in answers.items()}
    ready = [bodies[worker] for worker, answer in answers.items() if answer.status_code == 200]
    others = [body for body in bodies.values() if body not in ready]
    missing = set(range(count)) - {worker.number for worker in (*answers, *silent)}
    if ready:
        well = not silent and not missing and all(body.get("status") == "ok" for body in ready)
        well = well and all(body.get("status") in _PASSING for body in others)
        status, word = 200, "ok" if well else "degraded"
    else:
        status, word = 503, str(others[0].get("status")) if others else "unready"
    troubles = {trouble for body in bodies.values() for trouble in body.get("troubles", ())}
    troubles |= {f"worker {worker.number} does not answer" for worker in silent}
    troubles |= {f"worker {number} is not there; the log says why" for number in missing}
    if not bodies:
        troubles = {"no worker answers"}
    return status, {
        "status": word,
        "troubles": sorted(troubles),
        "version": __version__,
        "workers": [
            {"worker": worker.number, "generation": worker.generation, **body}
            for worker, body in bodies.items()
        ],
    }


def run(
    listener: socket.socket, workers: Workers, settings: Settings, *, dashboard: bool = False
) -> None:
    """Serve the admin port until SIGTERM."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(listener, workers, settings, dashboard))


async def _serve(
    listener: socket.socket, workers: Workers, settings: Settings, dashboard: bool
) -> None:  # fmt: skip
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    watching = loop.create_task(workers.watch())
    sources = workers.sources if dashboard else None
    app = several_guards(listener, admin_app(workers), sources, settings)
    async with beside(app, listener):
        await stop.wait()
    watching.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await watching


def _refused(error: BaseException | None) -> bool:
    """Whether the cause of `error` is that there is no such socket, or nobody listens there."""
    while error is not None:
        if isinstance(error, ConnectionRefusedError | FileNotFoundError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _named(path: Path) -> Worker:
    number, _, generation = path.stem.partition("-")
    return Worker(int(number), int(generation))


def _body(answer: httpx.Response) -> dict[str, Any]:
    body: dict[str, Any] = msgspec.json.decode(answer.content)
    return body
