"""The agent as a server: connections from HAProxy, questions answered as soon as each is decided.

Questions of one connection are decided side by side; none waits for an earlier one. Who may ask is
who is believed about the client: the policy's `trusted_proxies`, `unix` among them for a unix
socket. Anybody else is told so and cut off; a question that is asked wrongly is refused, whatever
HAProxy does with errors.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import Final

from gateway_guard.frontends.extauth.desk import Desk
from gateway_guard.frontends.extauth.original import Misasked
from gateway_guard.frontends.extauth.telling import Told
from gateway_guard.frontends.spoe.answers import doubtful
from gateway_guard.frontends.spoe.connection import Connection
from gateway_guard.frontends.spoe.protocol import MOST, Code, Ended, Notify
from gateway_guard.frontends.spoe.question import Doubtful, request

log = logging.getLogger(__name__)

#: Seconds for the hello.
HELLO: Final = 10.0


class SpoeServer:
    """Answers HAProxy. Belongs to one event loop. Whoever made the `desk` closes it, afterwards.

    Attributes:
        connections: those that are open.
        malformed: requests refused for a head that could be read in two ways.
        broken: connections ended because of what was sent over them, by either side.

    Args:
        desk: decides.
    """

    def __init__(self, desk: Desk) -> None:
        self.connections: set[Connection] = set()
        self.malformed = 0
        self.broken = 0
        self._desk = desk
        self._server: asyncio.Server | None = None

    async def start(self, listener: socket.socket) -> None:
        """Accept connections on `listener`, which listens already."""
        loop = asyncio.get_running_loop()
        if listener.family == socket.AF_UNIX:
            self._server = await loop.create_unix_server(self._connection, sock=listener)
        else:
            self._server = await loop.create_server(self._connection, sock=listener)

    async def close(self, *, drain: float = 5.0) -> None:
        """Accept nothing new, answer what has been asked, say goodbye.

        Connections that take longer than `drain` seconds are cut.
        """
        if self._server is not None:
            self._server.close()
            self._server = None
        open_connections = list(self.connections)
        for connection in open_connections:
            connection.leave()
        if open_connections:
            await asyncio.wait(
                [connection.closed for connection in open_connections], timeout=drain
            )
        for connection in list(self.connections):
            await connection.cut()

    def stranger(self, peer: str | None) -> str | None:
        """What a connection from `peer`, None for a unix socket, is told that may not ask, which is
        counted; None when it may."""
        why = self._desk.stranger(peer)
        if why is None:
            return None
        self._desk.refuse(why)
        return "this address is none of the policy's trusted_proxies"

    def ended(self, ended: Ended) -> None:
        """Count how a connection ended."""
        if ended.code == Code.NORMAL:
            return
        self.broken += 1
        if not self.broken & (self.broken - 1):
            who = "HAProxy" if ended.by_peer else "the guard"
            log.warning(
                "%s ended a connection (%d so far): %s, code %d",
                who, self.broken, ended.message, ended.code,
            )  # fmt: skip

    async def asked(self, notify: Notify, peer: str | None) -> Told:
        """The answer to a question. Never raises, but when cancelled."""
        desk = self._desk
        why = desk.stranger(peer)
        if why is not None:
            return desk.refuse(why)
        return await desk.safely(self._told(notify))

    async def _told(self, notify: Notify) -> Told:
        desk = self._desk
        found = request(notify.messages, max_body=desk.guard.policy.inspect.max_body)
        if isinstance(found, Misasked):
            return desk.refuse(found.why)
        if isinstance(found, Doubtful):
            return self._doubtful(found)
        return await desk.decide(found)

    def _doubtful(self, found: Doubtful) -> Told:
        self.malformed += 1
        if not self.malformed & (self.malformed - 1):
            log.warning("a request was refused (%d so far): %s", self.malformed, found.why)
        return doubtful(found.status, found.why)

    def _connection(self) -> Connection:
        return Connection(self, max_frame=MOST, hello=HELLO)
