"""The mock model API behind every proxy: cheap, and does what the request's `max_tokens` says."""

from __future__ import annotations

import asyncio
from typing import Final

import msgspec

#: Seconds between two events of a stream.
PACE: Final = 0.002
#: As `max_tokens` of a stream: one event, and then nothing until the client leaves.
FOREVER: Final = 1_000_000

_CHUNK: Final = b'"created":1772452800,"model":"apex-4","choices":[{"index":0,"finish_reason":null,'
ANSWER: Final = (
    b'{"id":"x","object":"chat.completion","created":1772452800,"model":"apex-4","choices":['
    b'{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"' + b"a" * 120
    + b'"}}],"usage":{"prompt_tokens":10,"completion_tokens":20,"total_tokens":30}}'
)  # fmt: skip
#: No two in a row alike: a stream that repeats itself is cut by some (LiteLLM, after 100 times).
EVENTS: Final = tuple(
    b'data: {"id":"c","object":"chat.completion.chunk",' + _CHUNK
    + b'"delta":{"role":"assistant","content":"word %02d "}}]}\n\n' % number
    for number in range(50)
)  # fmt: skip
_WHOLE: Final = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
    % (len(ANSWER), ANSWER)
)
_HEAD: Final = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
)
_PIECES: Final = tuple(b"%x\r\n%b\r\n" % (len(event), event) for event in EVENTS)
_DONE: Final = b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"


class Asked(msgspec.Struct):
    """What counts of a body; proxies may have written it anew."""

    stream: bool = False
    max_tokens: int = 1


_decode = msgspec.json.Decoder(Asked).decode


def first_request(buffer: bytes) -> tuple[bytes, bytes, bytes] | None:
    """The head in lower case and the body of the first request in `buffer`, and what comes after
    it; None while it is not complete. Of requests with a length or no body."""
    end = buffer.find(b"\r\n\r\n")
    if end < 0:
        return None
    head, begin = buffer[:end].lower(), end + 4
    last = begin + int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0] or b"0")
    return (head, buffer[begin:last], buffer[last:]) if len(buffer) >= last else None


class Upstream(asyncio.Protocol):
    """One connection: whole answers, streams of `max_tokens` events."""

    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]  # of uvloop, no subclass of it
        self.buffer = b""
        self.task: asyncio.Task[None] | None = None

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (whole := first_request(self.buffer)) is not None:
            _, body, self.buffer = whole
            asked = _decode(body) if body else Asked()
            if asked.stream:
                self.transport.write(_HEAD + _PIECES[0])
                if asked.max_tokens != FOREVER:
                    self.task = asyncio.get_running_loop().create_task(self._go_on(asked))
            else:
                self.transport.write(_WHOLE)

    async def _go_on(self, asked: Asked) -> None:
        for number in range(1, asked.max_tokens):
            await asyncio.sleep(PACE)
            self.transport.write(_PIECES[number % len(_PIECES)])
        self.transport.write(_DONE)

    def connection_lost(self, error: Exception | None) -> None:
        if self.task is not None:
            self.task.cancel()
