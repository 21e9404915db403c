"""A model API that never fails: `python -m tests.soak.upstream` says where it listens."""

from __future__ import annotations

import asyncio

import uvloop

from tests.peers.upstream import first_request

ANSWER = (
    b'{"id":"x","choices":[{"index":0,"message":{"role":"assistant","content":"Oslo"}}],'
    b'"usage":{"prompt_tokens":10,"completion_tokens":1,"total_tokens":11}}'
)
ANSWERED = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (
    len(ANSWER),
    ANSWER,
)


#: What `/crowd/flood` gets: more than any buffer on its way holds.
FLOOD = 8 << 20
PIECE = b"x" * FLOOD


class Model(asyncio.Protocol):
    """One connection: every request gets the same answer."""

    def __init__(self) -> None:
        self.buffer = b""
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (whole := first_request(self.buffer)) is not None:
            head, _, self.buffer = whole
            if self.transport is None:
                return
            if head.startswith(b"get /crowd/flood "):
                self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % FLOOD)
                self.transport.write(PIECE)
            else:
                self.transport.write(ANSWERED)


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(Model, "127.0.0.1", 0)
    print(f"listens on {server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
