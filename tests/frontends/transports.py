"""What a protocol needs of its transport, without a socket; and what a turn of the loop brings."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol, cast

#: Bytes of one read of uvloop, and reads of one connection in one turn of the loop, at most.
READ, READS = 256_000, 32


class Transport:
    """Notes whether it reads, what is written, and how it ends."""

    def __init__(self) -> None:
        self.reads = True
        self.closing = False
        self.aborted = False
        self.written: list[bytes] = []
        self.answered = asyncio.Event()

    @property
    def given(self) -> asyncio.Transport:
        """This, as protocols want it."""
        return cast("asyncio.Transport", self)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        return

    def pause_reading(self) -> None:
        self.reads = False

    def resume_reading(self) -> None:
        self.reads = True

    def is_closing(self) -> bool:
        return self.closing

    def write(self, data: bytes) -> None:
        self.written.append(data)
        self.answered.set()

    def can_write_eof(self) -> bool:
        return False

    def close(self) -> None:
        self.closing = True

    def abort(self) -> None:
        self.closing = self.aborted = True


def turn(protocol: asyncio.Protocol, transport: Transport, data: bytes) -> int:
    """Give `protocol` what one turn of the loop would of `data`; how many bytes that was."""
    at = 0
    for _ in range(READS):
        if at >= len(data) or not transport.reads or transport.closing:
            break
        protocol.data_received(data[at : at + READ])
        at += READ
    return min(at, len(data))


class Swept(Protocol):
    """A protocol that ends what takes too long when it is swept."""

    loop: asyncio.AbstractEventLoop

    def sweep(self, now: float) -> None:
        """Look at the time, loop seconds."""


def unread(protocol: Swept, transport: Transport) -> tuple[bool, bool]:
    """Whether it is cut 59 seconds after it was first swept, and after 61, while nobody reads."""
    now = protocol.loop.time()
    protocol.sweep(now)
    protocol.sweep(now + 59.0)
    patient = transport.aborted
    protocol.sweep(now + 61.0)
    return patient, transport.aborted
