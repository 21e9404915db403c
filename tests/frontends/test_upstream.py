"""Connections to the upstream that are begun for somebody who has left meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from gateway_guard.frontends.proxy import Forward
from gateway_guard.frontends.upstream import Origin, Upstream
from gateway_guard.frontends.watch import ON_GONE, ClientGoneError


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
