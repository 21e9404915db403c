"""A crowd that takes up room: `python -m tests.soak.crowd PORT IDLE SLOW` says when it is complete.

IDLE connections that asked once and then keep silent; SLOW of each kind that send a head or a body
byte by byte, or leave a large answer unread. What the sidecar closes is opened again.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import sys

import uvloop

#: Seconds between two bytes of a slow sender; before an idle connection asks again.
BYTE_EVERY, ASKS_EVERY = 1.0, 50.0
GET = b"GET /crowd/%b HTTP/1.1\r\nHost: api.test\r\n\r\n"
POST = (
    b"POST /crowd/v1/chat/completions HTTP/1.1\r\nHost: api.test\r\n"
    b"Content-Type: application/json\r\nContent-Length: 100000\r\n\r\n"
)
#: Opened at a time: listeners have short queues.
AT_ONCE = 50


def most_files() -> int:
    """Take as many descriptors as this process may have; how many that is."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


class Crowd:
    """All of them."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.ready = 0
        self._dialling = asyncio.Semaphore(AT_ONCE)

    async def stay(self, kind: str) -> None:
        """One member, for ever."""
        counted = False
        while True:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                async with self._dialling:
                    reader, writer = await asyncio.open_connection(
                        "127.0.0.1", self.port, limit=4096
                    )
                if not counted:
                    counted = True
                    self.ready += 1
                try:
                    await getattr(self, f"_{kind}")(reader, writer)
                finally:
                    writer.transport.abort()
            await asyncio.sleep(0.5)

    async def _idle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(GET % b"idle")
            head = await reader.readuntil(b"\r\n\r\n")
            length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
            await reader.readexactly(int(length))
            await asyncio.sleep(ASKS_EVERY)

    async def _head(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._drip(reader, writer, GET % b"slow")

    async def _body(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(POST)
        await self._drip(reader, writer, b"{" * 1000)

    async def _drip(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, data: bytes
    ) -> None:
        for byte in data:
            if reader.at_eof() or writer.is_closing():
                return
            writer.write(bytes((byte,)))
            await asyncio.sleep(BYTE_EVERY)

    async def _deaf(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(GET % b"flood")
        await asyncio.sleep(ASKS_EVERY)


async def main(port: int, idle: int, slow: int) -> None:
    crowd = Crowd(port)
    members = [
        *(asyncio.create_task(crowd.stay("idle")) for _ in range(idle)),
        *(asyncio.create_task(crowd.stay(kind)) for kind in ("head", "body") for _ in range(slow)),
        *(asyncio.create_task(crowd.stay("deaf")) for _ in range(slow // 10)),
    ]
    while crowd.ready < len(members):  # noqa: ASYNC110 - as long as it takes
        await asyncio.sleep(0.1)
    print(f"complete {len(members)}", flush=True)
    await asyncio.gather(*members)


if __name__ == "__main__":
    most_files()
    uvloop.run(main(*map(int, sys.argv[1:])))
