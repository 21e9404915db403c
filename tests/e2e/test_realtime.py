"""Models over WebSockets through the sidecar: token limits hold, in memory and in a store."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.e2e.servers import Sidecar, ask, get, in_front_of
from tests.servers import Server, needs_redis, until

pytestmark = pytest.mark.e2e

POLICY = """\
version: 1
mode: enforce
limits:
  tokens: { per: account, tokens: 9000/hour }
  in-flight: { per: account, concurrent: 2 }
"""

#: Answers `read written` with a response of that cost, and offers to compress what it says.
MODEL = """
import asyncio, json
from websockets.asyncio.server import serve

async def answer(socket):
    assert "Sec-WebSocket-Extensions" not in socket.request.headers
    async for message in socket:
        read, written = map(int, message.split())
        usage = {"total_tokens": read + written, "input_tokens": read, "output_tokens": written}
        await socket.send(json.dumps({"type": "response.created", "response": {"usage": None}}))
        await socket.send(b"audio")
        await socket.send(json.dumps({"type": "response.done", "response": {"usage": usage}}))

async def main():
    async with serve(answer, "127.0.0.1", 0) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.get_running_loop().create_future()

asyncio.run(main())
"""


def dial(sidecar: Sidecar, key: str) -> connect:
    url = f"ws://127.0.0.1:{sidecar.port}/v1/realtime?model=m"
    return connect(url, additional_headers={"Authorization": f"Bearer {key}"})


async def respond(socket: ClientConnection, read: int, written: int) -> list[str | bytes]:
    await socket.send(f"{read} {written}")
    return [await socket.recv() for _ in range(3)]


async def status(sidecar: Sidecar, key: str) -> int:
    """Of another handshake: 101, or that of its refusal."""
    try:
        async with dial(sidecar, key):
            return 101
    except InvalidStatus as refused:
        return refused.response.status_code


@pytest.fixture(scope="module", params=["memory", pytest.param("redis", marks=needs_redis)])
def sidecar(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Sidecar]:
    folder: Path = tmp_path_factory.mktemp("sidecar")
    if request.param == "memory":
        with in_front_of(MODEL, folder, policy=POLICY) as sidecar:
            yield sidecar
    else:
        with Server() as server:
            flags = (f"--store={server.uri}",)
            with in_front_of(MODEL, folder, *flags, policy=POLICY) as sidecar:
                yield sidecar


def test_a_response_counts_while_its_session_goes_on(sidecar: Sidecar) -> None:
    async def main() -> tuple[list[str | bytes], int, list[str | bytes]]:
        async with dial(sidecar, "sk-while") as socket:
            assert "Sec-WebSocket-Extensions" not in socket.response.headers  # type: ignore[union-attr]
            before = await respond(socket, 4000, 3500)
            # 7,500 of 9,000 are used: too little is left for the estimate of another session.
            refused = await status(sidecar, "sk-while")
            return before, refused, await respond(socket, 100, 1)

    before, refused, after = asyncio.run(main())

    assert refused == 429
    assert before[1] == b"audio"
    used = [json.loads(said[2])["response"]["usage"] for said in (before, after)]
    assert [usage["total_tokens"] for usage in used] == [7500, 101]


def test_a_session_that_uses_its_limit_up_is_closed_behind_the_response(sidecar: Sidecar) -> None:
    async def main() -> tuple[bytes | str, int | None, str | None]:
        async with dial(sidecar, "sk-full") as socket:
            await respond(socket, 4000, 4000)
            last = (await respond(socket, 4000, 4000))[2]
            with pytest.raises(ConnectionClosed):
                await socket.recv()
            return last, socket.close_code, socket.close_reason

    last, code, reason = asyncio.run(main())

    assert json.loads(last)["type"] == "response.done"
    assert code == 1013
    assert reason is not None
    assert reason.startswith("rate_limit_exceeded: token limit used up, try again in ")
    assert asyncio.run(status(sidecar, "sk-full")) == 429
    page = ask(sidecar.admin, get("/metrics")).body.decode()
    assert 'rule="limit:tokens"' in page


def test_a_session_takes_a_place_in_flight_until_it_ends(sidecar: Sidecar) -> None:
    async def main() -> list[int]:
        async with dial(sidecar, "sk-places") as one, dial(sidecar, "sk-places"):
            full = await status(sidecar, "sk-places")
            await respond(one, 10, 10)
            return [full, await status(sidecar, "sk-places")]

    assert asyncio.run(main()) == [429, 429]
    until(lambda: asyncio.run(status(sidecar, "sk-places")) == 101, "both places are free")
