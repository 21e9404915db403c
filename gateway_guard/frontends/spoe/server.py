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
from collections.abc import Callable
from time import perf_counter
from typing import Final

from gateway_guard.frontends.background import Background
from gateway_guard.frontends.extauth.answers import MISASKED
from gateway_guard.frontends.extauth.leases import Leases
from gateway_guard.frontends.extauth.original import Misasked
from gateway_guard.frontends.extauth.settling import Settling
from gateway_guard.frontends.extauth.usage import Report
from gateway_guard.frontends.forwarded import TrustedPeers
from gateway_guard.frontends.refusals import Answer
from gateway_guard.frontends.spoe.answers import answer, doubtful
from gateway_guard.frontends.spoe.connection import Connection
from gateway_guard.frontends.spoe.protocol import MOST, Code, Ended, Notify
from gateway_guard.frontends.spoe.question import Doubtful, request
from gateway_guard.guard import Guard
from gateway_guard.types import Wire

log = logging.getLogger(__name__)

#: Seconds for the hello.
HELLO: Final = 10.0


class SpoeServer:
    """Answers HAProxy. Belongs to one event loop.

    Attributes:
        guard: the brain.
        connections: those that are open.
        misasked: questions, and connections, refused because HAProxy is not trusted or set up
            wrongly.
        malformed: requests refused for a head that could be read in two ways.
        broken: connections ended because of what was sent over them, by either side.

    Args:
        guard: decides.
        lease: seconds for a report of the real usage; 0 settles every request at once by its
            estimate: then a limit on concurrency counts nothing.
        leases: another frontend's, which reports reach as well; None: its own, of `lease` seconds.
        max_frame: largest frame taken, bytes, at least 1,024.
        background: of the guard, where other frontends use it, too; `close` leaves it open then.
            None: its own, closed with its guard.
        on_decided: told how long each decision took, seconds.
    """

    def __init__(
        self,
        guard: Guard,
        *,
        lease: float = 0.0,
        leases: Leases | None = None,
        max_frame: int = MOST,
        background: Background | None = None,
        on_decided: Callable[[float], None] | None = None,
    ) -> None:
        self.guard = guard
        self.connections: set[Connection] = set()
        self.misasked = 0
        self.malformed = 0
        self.broken = 0
        self._max_frame = max_frame
        leases = Leases(lease) if leases is None else leases
        self._settling = Settling(guard, leases, background)
        self._on_decided = on_decided
        self._peers = TrustedPeers(())
        self._server: asyncio.Server | None = None

    @property
    def leases(self) -> Leases:
        """Requests let through whose usage may still be reported."""
        return self._settling.leases

    async def start(self, listener: socket.socket) -> None:
        """Accept connections on `listener`, which listens already."""
        loop = asyncio.get_running_loop()
        if listener.family == socket.AF_UNIX:
            self._server = await loop.create_unix_server(self._connection, sock=listener)
        else:
            self._server = await loop.create_server(self._connection, sock=listener)

    async def close(self, *, drain: float = 5.0) -> None:
        """Accept nothing new, answer what has been asked, say goodbye, settle what is leased.

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
        await self._settling.close()

    async def report(self, report: Report) -> bool:
        """Settle a request by what it really cost; False when it is not waited for (any more)."""
        return await self._settling.ended(report.request_id, report.usage())

    def trusts(self, peer: str | None) -> bool:
        """Whether a connection from `peer`, None for a unix socket, may ask."""
        identify = self.guard.policy.identify
        if peer is None:
            return identify.trust_unix
        if self._peers.networks != tuple(identify.trusted):
            self._peers = TrustedPeers(identify.trusted)
        return peer in self._peers

    def stranger(self, peer: str | None) -> str:
        """Count a connection that may not ask; what it is told."""
        self._misasked(f"{peer or 'a unix socket'} is not in identify.trusted_proxies")
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

    async def asked(self, notify: Notify, peer: str | None) -> Answer:
        """The answer to a question. Never raises, but when cancelled."""
        if not self.trusts(peer):
            # The policy may have changed since it connected.
            self.stranger(peer)
            return MISASKED
        found = request(notify.messages, max_body=self.guard.policy.inspect.max_body)
        if isinstance(found, Misasked):
            self._misasked(found.why)
            return MISASKED
        if isinstance(found, Doubtful):
            self.malformed += 1
            if not self.malformed & (self.malformed - 1):
                log.warning("a request was refused (%d so far): %s", self.malformed, found.why)
            return doubtful(found.status, found.why)
        return await self._decided(found)

    async def _decided(self, wire: Wire) -> Answer:
        began = perf_counter()
        exchange = await self.guard.decide(wire)
        if self._on_decided is not None:
            self._on_decided(perf_counter() - began)
        accept = next((value for name, value in wire.headers if name == b"accept"), b"")
        plan = exchange.plan
        tells = plan is not None and plan.enforced and self.guard.policy.headers
        told = answer(exchange, tells=tells, accept=accept)
        wire.body = None
        await self._settling.decided(exchange)
        return told

    def _connection(self) -> Connection:
        return Connection(self, max_frame=self._max_frame, hello=HELLO)

    def _misasked(self, why: str) -> None:
        self.misasked += 1
        # At 1, 2, 4, 8, …: a gateway set up wrongly asks wrongly every time.
        if not self.misasked & (self.misasked - 1):
            log.error("a question was refused (%d so far): %s", self.misasked, why)
