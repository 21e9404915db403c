"""The decision endpoint as an ASGI application: a gateway asks, the guard decides, nothing flows.

    /auth/nginx   /auth/forward   /auth/envoy/…       any method

Who may ask is who may say whom it asks for: the policy's `trusted_proxies`. Anybody else, and a
gateway that is set up wrongly, is refused: an answer like "error" would let requests through
wherever the gateway is told to fail open.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, MutableMapping
from time import perf_counter
from typing import Any, Final

from gateway_guard.frontends.asgi import full_path
from gateway_guard.frontends.background import Background
from gateway_guard.frontends.extauth.answers import MISASKED, answer
from gateway_guard.frontends.extauth.leases import Leases
from gateway_guard.frontends.extauth.original import (
    Gateway,
    Headers,
    Misasked,
    gateway_of,
    original,
    partial,
)
from gateway_guard.frontends.extauth.settling import Settling
from gateway_guard.frontends.extauth.usage import Report
from gateway_guard.frontends.forwarded import TrustedPeers
from gateway_guard.frontends.inbox import Inbox
from gateway_guard.frontends.refusals import Answer
from gateway_guard.guard import Guard
from gateway_guard.types import Wire

log = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_NOT_HERE: Final[Answer] = (
    404,
    [(b"content-type", b"text/plain; charset=utf-8")],
    b"Gateways ask at /auth/nginx, /auth/forward or /auth/envoy/...\n",
)


class ExternalAuth:
    """Answers gateways.

    Attributes:
        guard: the brain.
        leases: requests let through whose usage may still be reported.
        misasked: questions refused because the gateway is not trusted or set up wrongly.

    Args:
        guard: decides.
        lease: seconds for a report of the real usage; 0 settles every request at once by its
            estimate: then a limit on concurrency counts nothing.
        leases: where requests wait for it, perhaps beside another frontend's; instead of `lease`.
        background: of the guard, where other frontends use it, too. None: its own.
        on_decided: told how long each decision took, seconds.
    """

    def __init__(
        self,
        guard: Guard,
        *,
        lease: float = 0.0,
        leases: Leases | None = None,
        background: Background | None = None,
        on_decided: Callable[[float], None] | None = None,
    ) -> None:
        self.guard = guard
        self.leases = Leases(lease) if leases is None else leases
        self.misasked = 0
        self._on_decided = on_decided
        self._settling = Settling(guard, self.leases, background)
        self._peers = TrustedPeers(())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, ASGI 3."""
        kind = scope["type"]
        if kind == "lifespan":
            await self._lifespan(receive, send)
        elif kind == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": ""})
        else:
            status, headers, body = await self._asked(scope, receive)
            silent = scope["method"] == "HEAD"
            if not any(name == b"content-length" for name, _ in headers):
                headers = [*headers, (b"content-length", b"%d" % len(body))]
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": b"" if silent else body})

    async def report(self, report: Report) -> bool:
        """Settle a request by what it really cost; False when it is not waited for (any more)."""
        return await self._settling.ended(report.request_id, report.usage())

    async def _asked(self, scope: Scope, receive: Receive) -> Answer:
        found = gateway_of(full_path(scope))
        if found is None:
            return _NOT_HERE
        gateway, rest = found
        headers: Headers = list(scope["headers"])
        client = scope.get("client")
        peer = client[0] if client else None
        if not self._may_ask(peer):
            return self._refused(f"{peer or 'a unix socket'} is not in identify.trusted_proxies")
        wire = original(gateway, method=scope["method"], rest=rest, headers=headers, peer=peer)
        if isinstance(wire, Misasked):
            return self._refused(f"{gateway}: {wire.why}")
        if self.guard.needs_body(wire.method, wire.raw_path, wire.headers) and not await self._read(
            wire, headers, receive
        ):
            return MISASKED  # nobody is there any more to read it
        return await self._decided(gateway, wire)

    async def _read(self, wire: Wire, headers: Headers, receive: Receive) -> bool:
        """Read what the gateway sends of the body; False when it has gone."""
        inbox = Inbox(receive)
        announced = dict(headers).get(b"content-length")
        body = await inbox.read(announced, self.guard.policy.inspect.max_body)
        wire.body_too_large = inbox.too_large or partial(headers)
        wire.body = None if wire.body_too_large else body
        wire.unseen = not body
        return not inbox.gone

    async def _decided(self, gateway: Gateway, wire: Wire) -> Answer:
        began = perf_counter()
        exchange = await self.guard.decide(wire)
        if self._on_decided is not None:
            self._on_decided(perf_counter() - began)
        accept = next((value for name, value in wire.headers if name == b"accept"), b"")
        plan = exchange.plan
        tells = plan is not None and plan.enforced and self.guard.policy.headers
        told = answer(gateway, exchange, tells=tells, accept=accept)
        wire.body = None
        await self._settling.decided(exchange)
        return told

    def _may_ask(self, peer: str | None) -> bool:
        identify = self.guard.policy.identify
        if peer is None:
            return identify.trust_unix
        if self._peers.networks != tuple(identify.trusted):
            self._peers = TrustedPeers(identify.trusted)
        return peer in self._peers

    def _refused(self, why: str) -> Answer:
        self.misasked += 1
        # At 1, 2, 4, 8, …: a gateway set up wrongly asks wrongly every time.
        if not self.misasked & (self.misasked - 1):
            log.error("a question was refused (%d so far): %s", self.misasked, why)
        return MISASKED

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            else:
                await self._settling.close()
                await send({"type": "lifespan.shutdown.complete"})
                return
