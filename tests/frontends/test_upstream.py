"""What becomes of a request whose upstream, or whose client, is not there (any more)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway_guard.frontends.asgi import EXCHANGE_KEY
from gateway_guard.frontends.proxy import Forward
from gateway_guard.frontends.upstream import Origin, Timeouts, Upstream
from gateway_guard.frontends.watch import ON_GONE, ClientGoneError
from gateway_guard.types import Dialect
from tests import build

PROBLEM = b"application/problem+json"


@pytest.mark.parametrize("more", [True, False], ids=["upload", "whole"])
def test_who_leaves_while_the_upstream_is_dialled_leaves_no_connection_behind(more: bool) -> None:
    """Or those that begin an upload and go would take all there may be, one by one."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        let_go.set()

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"{", "more_body": more}

    async def send(message: Any) -> None:
        raise AssertionError(f"nobody is there to be told {message}")

    def leaves_soon(callback: Callable[[], None]) -> None:
        asyncio.get_running_loop().call_soon(callback)

    async def scenario() -> int:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        upstream = Upstream(Origin.parse(f"http://127.0.0.1:{port}"))
        scope = {
            "type": "http", "method": "POST", "raw_path": b"/v1/files", "query_string": b"",
            "headers": [], "extensions": {ON_GONE: leaves_soon},
        }  # fmt: skip
        with pytest.raises(ClientGoneError):
            await Forward(upstream)(scope, receive, send)
        await asyncio.sleep(0)  # what was dropped is gone with the loop's next turn
        left = upstream.open
        upstream.close()
        async with asyncio.timeout(60):
            await let_go.wait()
        server.close()
        return left

    let_go = asyncio.Event()

    assert asyncio.run(scenario()) == 0


@pytest.mark.parametrize(
    ("accept", "kind"),
    [([], b"application/json"), ([b"text/html", b"application/problem+json"], PROBLEM)],
)
def test_an_upstream_that_is_not_there_is_said_in_the_form_the_client_asks_for(
    tmp_path: Path, accept: list[bytes], kind: bytes
) -> None:
    sent: list[Any] = []
    scope = {
        "type": "http", "method": "POST", "raw_path": b"/v1/messages", "query_string": b"",
        "headers": [(b"accept", value) for value in accept],
        EXCHANGE_KEY: build.exchange(request=build.request(dialect=Dialect.ANTHROPIC)),
    }  # fmt: skip

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"{}"}

    async def send(message: Any) -> None:
        sent.append(message)

    async def scenario() -> None:
        upstream = Upstream(Origin.parse(f"unix:{tmp_path}/nobody.sock"))
        await Forward(upstream)(scope, receive, send)

    asyncio.run(scenario())

    assert sent[0]["status"] == 502
    assert dict(sent[0]["headers"])[b"content-type"] == kind


@pytest.mark.parametrize(("lasts", "dialled"), [(3600.0, 1), (1e-9, 10)])
def test_a_connection_that_is_always_busy_is_made_anew_in_time(lasts: float, dialled: int) -> None:
    """Its upstream's name may lead elsewhere by now, and readiness keeps it busy, too."""
    made: list[object] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        made.append(writer)
        with contextlib.suppress(asyncio.IncompleteReadError):
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    async def scenario() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        origin = Origin.parse(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        upstream = Upstream(origin, timeouts=Timeouts(lasts=lasts))
        for _ in range(5):
            connection, _ = await upstream.exchange(
                b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", method="GET", attach=lambda _: None
            )
            upstream.release(connection)
            await upstream.check()
        upstream.close()
        server.close()

    asyncio.run(asyncio.wait_for(scenario(), 60.0))

    # Of those that may not be used again, one for each request and one for each look.
    assert len(made) == dialled
