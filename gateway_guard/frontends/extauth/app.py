"""The decision endpoint as an ASGI application: a gateway asks, the guard decides, nothing flows.

    /auth/nginx   /auth/forward   /auth/envoy/…       any method

Who may ask is who may say whom it asks for: the policy's `trusted_proxies`. Anybody else, and a
gateway that is set up wrongly, is refused: an answer like "error" would let requests through
wherever the gateway is told to fail open.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from gateway_guard.frontends.extauth.answers import answer
from gateway_guard.frontends.extauth.desk import Desk
from gateway_guard.frontends.extauth.original import (
    Gateway,
    Headers,
    Misasked,
    apart,
    gateway_of,
    original,
    partial,
    take_body,
)
from gateway_guard.frontends.extauth.telling import ALLOWED, MISASKED, Told
from gateway_guard.frontends.inbox import Inbox
from gateway_guard.frontends.refusals import Answer
from gateway_guard.frontends.scopes import full_path
from gateway_guard.frontends.watch import HAS_LEFT
from gateway_guard.types import Outcome, Usage, Wire

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

#: Of a request that went nowhere, because its gateway had given up the question.
_GIVEN_UP: Final = Usage(input_tokens=0, output_tokens=0, outcome=Outcome.CLIENT_GONE)
_NOT_HERE: Final[Answer] = (
    404,
    [(b"content-type", b"text/plain; charset=utf-8")],
    b"Gateways ask at /auth/nginx, /auth/forward or /auth/envoy/...\n",
)


class ExternalAuth:
    """Answers gateways. Whoever made the `desk` closes it, once nobody asks here any more.

    Args:
        desk: decides.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, ASGI 3.

        Gateways that ask with the client's own `Upgrade` make a handshake of the question: it is
        answered over HTTP like any other.
        """
        kind = scope["type"]
        if kind == "lifespan":
            await _lifespan(receive, send)
            return
        handshake = kind == "websocket"
        status, headers, body = await self._asked(scope, receive)
        if not any(name == b"content-length" for name, _ in headers):
            headers = [*headers, (b"content-length", b"%d" % len(body))]
        if handshake:
            await receive()  # websocket.connect
        elif scope["method"] == "HEAD":
            body = b""
        kind = "websocket.http.response" if handshake else "http.response"
        await send({"type": f"{kind}.start", "status": status, "headers": headers})
        await send({"type": f"{kind}.body", "body": body})

    async def _asked(self, scope: Scope, receive: Receive) -> Answer:
        found = gateway_of(full_path(scope))
        if found is None:
            return _NOT_HERE
        gateway, rest = found
        client = scope.get("client")
        peer: str | None = client[0] if client else None
        desk = self._desk
        why = desk.stranger(peer)
        if why is not None:
            told = desk.refuse(why)
        else:
            told = await desk.safely(self._told(gateway, rest, peer, scope, receive))
            left = scope.get("extensions", {}).get(HAS_LEFT) if len(desk.leases) else None
            if left is not None and told.status == ALLOWED and left():
                # Nobody will say how it ended: it would hold its place until its lease runs out.
                await desk.ended(told.fact("request-id").decode(), _GIVEN_UP)
        return answer(gateway, told)

    async def _told(
        self, gateway: Gateway, rest: bytes, peer: str | None, scope: Scope, receive: Receive
    ) -> Told:
        desk = self._desk
        headers: Headers = list(scope["headers"])
        if gateway is Gateway.ENVOY:
            headers = apart(headers, desk.saying_who)
        method = scope.get("method", "GET")
        wire = original(gateway, method=method, rest=rest, headers=headers, peer=peer)
        if isinstance(wire, Misasked):
            return desk.refuse(f"{gateway}: {wire.why}")
        if desk.guard.needs_body(wire.method, wire.raw_path, wire.headers) and not (
            await self._read(wire, headers, receive)
        ):
            return MISASKED  # nobody is there any more to read it
        return await desk.decide(wire)

    async def _read(self, wire: Wire, headers: Headers, receive: Receive) -> bool:
        """Read what the gateway sends of the body; False when it has gone."""
        inbox = Inbox(receive)
        most = self._desk.guard.policy.inspect.max_body
        body = await inbox.read(dict(headers).get(b"content-length"), most)
        take_body(wire, body or None, most=most, cut=inbox.too_large or partial(headers))
        return not inbox.gone


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
