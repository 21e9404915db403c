"""The admin port of several workers: what they say together, and who has gone."""

from __future__ import annotations

import asyncio
import errno
import ssl
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Self

import httpx
import msgspec
import pytest

from gateway_guard.frontends import gathering, listen
from gateway_guard.frontends.gathering import Workers, readiness
from gateway_guard.record.gather import Worker

FIRST, SECOND, THIRD = Worker(0, 0), Worker(1, 0), Worker(1, 1)
COUNTED = "# HELP gateway_guard_x_total X.\n# TYPE gateway_guard_x_total counter\n"


def answer(status: int, word: str, *troubles: str) -> httpx.Response:
    return httpx.Response(status, json={"status": word, "troubles": list(troubles)})


@pytest.mark.parametrize(
    ("answers", "status", "word", "troubles"),
    [
        ({}, 503, "unready", ["no worker answers"]),
        ({FIRST: answer(200, "ok"), SECOND: answer(200, "ok")}, 200, "ok", []),
        ({FIRST: answer(200, "ok"), SECOND: answer(200, "degraded", "a")}, 200, "degraded", ["a"]),
        ({FIRST: answer(200, "degraded", "a"), SECOND: answer(200, "degraded", "a")}, 200,
         "degraded", ["a"]),
        ({SECOND: answer(503, "draining"), THIRD: answer(200, "ok")}, 200, "ok", []),
        ({SECOND: answer(200, "ok"), THIRD: answer(503, "starting")}, 200, "ok", []),
        ({FIRST: answer(503, "starting")}, 503, "starting", []),
        ({FIRST: answer(503, "unready", "no"), SECOND: answer(200, "ok")}, 200, "degraded", ["no"]),
        ({FIRST: answer(503, "draining"), SECOND: answer(503, "draining")}, 503, "draining", []),
    ],
)  # fmt: skip
def test_readiness_is_that_of_the_workers_together(
    answers: dict[Worker, httpx.Response], status: int, word: str, troubles: list[str]
) -> None:
    code, body = readiness(answers)

    assert (code, body["status"], body["troubles"]) == (status, word, troubles)
    assert len(body["workers"]) == len(answers)


def test_a_worker_that_is_silent_is_named_and_the_others_take_requests() -> None:
    code, body = readiness({SECOND: answer(200, "ok")}, [FIRST])

    assert (code, body["status"], body["troubles"]) == (
        200, "degraded", ["worker 0 does not answer"]
    )  # fmt: skip


def test_a_worker_that_is_missing_is_named_and_the_others_take_requests() -> None:
    """One that cannot start again: half of what there should be, and nobody was told."""
    code, body = readiness({FIRST: answer(200, "ok")}, count=2)

    assert (code, body["status"], body["troubles"]) == (
        200, "degraded", ["worker 1 is not there; the log says why"]
    )  # fmt: skip
    assert (
        readiness({FIRST: answer(200, "ok"), THIRD: answer(200, "ok")}, count=2)[1]["status"]
        == "ok"
    )


def test_a_worker_that_stands_still_is_asked_about_its_readiness(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped, or waiting for a disk: its socket takes connections, and nobody reads them."""

    async def asked(_: Workers, worker: Worker, *__: object, **___: object) -> Any:
        return answer(200, "ok") if worker == FIRST else None

    async def scenario() -> Any:
        transport = httpx.ASGITransport(gathering.admin_app(Workers(tmp_path)))
        async with httpx.AsyncClient(transport=transport, base_url="http://admin") as client:
            return (await client.get("/readyz")).json()

    monkeypatch.setattr(Workers, "_ask", asked)
    for worker in (FIRST, SECOND):
        gathering.socket_of(tmp_path, worker).touch()

    assert run(scenario)["troubles"] == ["worker 1 does not answer"]


class Fake:
    """A worker's admin port that answers everything with one page."""

    def __init__(self, folder: Path, worker: Worker, count: int) -> None:
        self.folder, self.worker, self.count = folder, worker, count

    async def __aenter__(self) -> Self:
        where = gathering.socket_of(self.folder, self.worker)
        listener = listen.bind_unix(str(where), mode=0o600)
        self.server = await asyncio.start_unix_server(self._answer, sock=listener)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.server.close()

    def page(self) -> bytes:
        return f"{COUNTED}gateway_guard_x_total {self.count}.0\n".encode()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        body = self.page()
        if b"/healthz" in head:
            body = msgspec.json.encode({"status": "ok", "store": "up"})
        length = b"content-length: %d\r\nconnection: close\r\n\r\n" % len(body)
        writer.write(b"HTTP/1.1 200 OK\r\n" + length + body)
        await writer.drain()
        writer.close()


def run(scenario: Any) -> Any:
    async def bounded() -> Any:
        async with asyncio.timeout(20):
            return await scenario()

    return asyncio.run(bounded())


def total(page: bytes) -> float:
    (line,) = [x for x in page.decode().splitlines() if x.startswith("gateway_guard_x_total ")]
    return float(line.split()[1])


def test_counts_survive_those_who_counted_whether_killed_or_ended_or_the_gatherer_anew(
    tmp_path: Path,
) -> None:
    async def scenario() -> list[float]:
        totals = []
        async with AsyncExitStack() as stack:
            first = await stack.enter_async_context(Fake(tmp_path, FIRST, 5))
            workers = Workers(tmp_path)
            async with Fake(tmp_path, SECOND, 7):
                totals.append(total(await workers.metrics()))
            # Killed: the socket file stays and nobody answers.
            totals.append(total(await workers.metrics()))
            async with Fake(tmp_path, THIRD, 11):
                totals.append(total(await workers.metrics()))
                gathering.leave(tmp_path, THIRD, COUNTED.encode() + b"gateway_guard_x_total 13.0\n")
                totals.append(total(await workers.metrics()))
            first.count = 6
            totals.append(total(await Workers(tmp_path).metrics()))
        return totals

    assert run(scenario) == [12, 12, 23, 25, 26]
    assert not list(tmp_path.glob("1-*"))


def test_liveness_counts_the_workers_that_answer(tmp_path: Path) -> None:
    async def scenario() -> list[tuple[int, Any]]:
        workers = Workers(tmp_path)
        app = gathering.admin_app(workers)
        transport = httpx.ASGITransport(app)
        seen = []
        async with httpx.AsyncClient(transport=transport, base_url="http://admin") as client:
            nobody = await client.get("/healthz")
            async with Fake(tmp_path, FIRST, 1), Fake(tmp_path, SECOND, 1):
                two = await client.get("/healthz")
                page = await client.get("/metrics")
            for got in (nobody, two):
                seen.append((got.status_code, got.json()))
            assert total(page.content) == 2
            assert page.headers["content-type"].startswith("text/plain")
        return seen

    nobody, two = run(scenario)

    assert nobody[0] == 503
    assert (two[0], two[1]["workers"], two[1]["store"]) == (200, 2, "up")


@pytest.mark.parametrize(
    ("cause", "there"),
    [(ConnectionRefusedError(), False), (OSError(errno.EMFILE, "no descriptor left"), True)],
)
def test_only_a_socket_that_nobody_listens_on_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cause: OSError, there: bool
) -> None:
    async def fail(*_: object) -> httpx.Response:
        raise httpx.ConnectError("no way there") from cause

    monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", fail)
    where = gathering.socket_of(tmp_path, FIRST)
    where.touch()

    assert run(lambda: Workers(tmp_path).ask("/healthz")) == {}

    assert where.exists() is there


def test_asking_a_worker_reads_no_certificates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> int:
        async with Fake(tmp_path, FIRST, 1):
            monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", read)
            return len(await Workers(tmp_path).ask("/healthz"))

    def read(*_: object, **__: object) -> None:
        raise AssertionError("certificates were read")

    assert run(scenario) == 1
