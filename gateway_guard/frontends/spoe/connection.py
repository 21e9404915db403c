"""One connection from HAProxy, on asyncio: bytes to the protocol and back, so many at a time.

At most `MOST_WAITING` questions are worked on at once; what comes beyond that stays unread, first
in the buffer of one read, then in the kernel's, which is what slows HAProxy down.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Final, Protocol, cast

from gateway_guard.frontends.extauth.telling import Told
from gateway_guard.frontends.spoe.answers import variables
from gateway_guard.frontends.spoe.protocol import Agent, Code, Ended, Notify

#: Most questions of one connection decided at once; HAProxy itself waits for 20
#: (`max-waiting-frames`).
MOST_WAITING: Final = 256


class Answering(Protocol):
    """Who answers: the server, as its connections see it."""

    connections: set[Connection]

    def stranger(self, peer: str | None) -> str | None:
        """What `peer` (None is a unix socket) is told when it may not ask; None when it may."""
        ...

    def ended(self, ended: Ended) -> None:
        """Count how a connection ended."""
        ...

    async def asked(self, notify: Notify, peer: str | None) -> Told:
        """The answer to a question; never raises, but when cancelled."""
        ...


class Connection(asyncio.Protocol):
    """One connection; asyncio calls it.

    Attributes:
        closed: done once the connection is gone and no decision is under way.

    Args:
        server: answers.
        max_frame: largest frame taken, bytes.
        hello: seconds for the hello.
    """

    def __init__(self, server: Answering, *, max_frame: int, hello: float) -> None:
        self._loop = asyncio.get_running_loop()
        self.closed: asyncio.Future[None] = self._loop.create_future()
        self._server = server
        self._agent = Agent(max_frame=max_frame)
        self._hello = hello
        self._transport: asyncio.Transport | None = None
        self._peer: str | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._leaving = False
        self._lost = False
        self._congested = False
        self._paused = False
        self._sending = False

    @property
    def waiting(self) -> int:
        """Questions being decided."""
        return len(self._tasks)

    # -- asyncio's calls --------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """HAProxy, or somebody, has connected."""
        self._transport = cast("asyncio.Transport", transport)
        self._server.connections.add(self)
        name = transport.get_extra_info("peername")
        connected: socket.socket = transport.get_extra_info("socket")
        if connected.family == socket.AF_UNIX:
            self._peer = None
        else:
            self._peer = name[0] if name else ""
            # A connection may idle for as long as it likes, but the other end may vanish silently.
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        why = self._server.stranger(self._peer)
        if why is not None:
            self._agent.end(Code.UNKNOWN, why)
            self._read()
        else:
            self._timer = self._loop.call_later(self._hello, self._too_late)

    def data_received(self, received: bytes) -> None:
        """Bytes have arrived."""
        self._agent.receive(received)
        self._read()

    def pause_writing(self) -> None:
        """HAProxy does not read its answers: work on no more questions until it does."""
        self._congested = True
        self._throttle()

    def resume_writing(self) -> None:
        """HAProxy reads again."""
        self._congested = False
        self._send()

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002
        """Nobody is there any more. What is being decided is decided to its end: HAProxy may let
        requests through when it hears nothing, and then they have to be counted."""
        if self._timer is not None:
            self._timer.cancel()
        self._agent.end(Code.IO, "connection lost", by_peer=True)
        self._lost = True
        self._over()

    # -- leaving ----------------------------------------------------------------------------------

    def leave(self) -> None:
        """Say goodbye as soon as nothing is waiting for an answer."""
        self._leaving = True
        # Not before the loop has read what has arrived already.
        self._loop.call_soon(self._loop.call_soon, self._send)

    async def cut(self) -> None:
        """End the connection now. Decisions under way are given up; what is reserved for one whose
        store answers later goes back."""
        if self._transport is not None:
            self._transport.abort()
        for task in self._tasks:
            task.cancel()
        await self.closed

    # -- the work ---------------------------------------------------------------------------------

    def _read(self) -> None:
        """Take questions up to the limit, and send what there is to send."""
        agent = self._agent
        while not self._congested and len(self._tasks) < MOST_WAITING:
            event = agent.next_event()
            if event is None:
                break
            if isinstance(event, Ended):
                self._server.ended(event)
                break
            task = self._loop.create_task(self._answer(event))
            self._tasks.add(task)
        if agent.open and self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._throttle()
        self._flush()

    async def _answer(self, notify: Notify) -> None:
        try:
            told = await self._server.asked(notify, self._peer)
            self._agent.acknowledge(notify, variables(told, self._agent.room))
        finally:
            task = asyncio.current_task()
            if task is not None:
                self._tasks.discard(task)
            self._after()
            self._over()

    def _after(self) -> None:
        """A question has been answered: send that, with whatever else is ready by then."""
        if not self._sending:
            self._sending = True
            self._loop.call_soon(self._send)

    def _send(self) -> None:
        self._sending = False
        paused = self._paused
        self._read()
        if not self._leaving or self._tasks or self._agent.ended:
            return
        if self._congested:
            return  # until HAProxy has read its answers
        if paused:
            self.leave()
        else:
            self._agent.end(Code.NORMAL, "the guard is shutting down")
            self._read()

    def _flush(self) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        out = self._agent.data_to_send()
        if out:
            transport.write(out)
        if self._agent.ended:
            transport.close()
            if self._timer is not None:
                self._timer.cancel()
            # Whoever does not read the goodbye must not keep the connection for ever.
            self._timer = self._loop.call_later(self._hello, transport.abort)

    def _over(self) -> None:
        if self._lost and not self._tasks:
            self._server.connections.discard(self)
            if not self.closed.done():
                self.closed.set_result(None)

    def _throttle(self) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        full = self._congested or len(self._tasks) >= MOST_WAITING
        if full != self._paused:
            self._paused = full
            if full:
                transport.pause_reading()
            else:
                transport.resume_reading()

    def _too_late(self) -> None:
        self._agent.end(Code.TIMEOUT, f"no hello within {self._hello:g} s")
        self._read()
