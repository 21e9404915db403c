"""The answer to a WebSocket's handshake, and what flows behind it until a limit is used up."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

import msgspec

from gateway_guard.core.fields import lines
from gateway_guard.frontends.headers import merge, named, rate_limit_headers
from gateway_guard.frontends.refusals import refusal
from gateway_guard.frontends.scopes import Scope
from gateway_guard.frontends.wording import ID_HEADERS
from gateway_guard.guard import Guard
from gateway_guard.metering import Meter
from gateway_guard.types import Exchange, Outcome, Usage

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
Receive = Callable[[], Awaitable[Message]]
App = Callable[[Any, Any, Any], Awaitable[None]]

#: What servers make of a close before anything was accepted.
_CLOSED: Final = 403
#: What a client is told whose token limit is used up: "try again later" (IANA's registry of close
#: codes), a WebSocket's 429. 1008 would say that it did what the policy forbids, and to stay away.
TRY_AGAIN_LATER: Final = 1013


class Handshake(msgspec.Struct, eq=False):
    """What the application sends over one WebSocket.

    Everything is looked at until the handshake is answered; then, on model routes, what it tells of
    its cost, on its way and unchanged.

    Attributes:
        exchange: what is being answered.
        tells: whether the client hears of its limits and of its request's name, in headers.
        accepted: whether messages may flow.
        status: of the refusal; None where there was none.
        meter: charges what flows; None where no model is reached.
        over: whether it was closed because a limit is used up.
    """

    exchange: Exchange
    _send: Send
    tells: bool
    accepted: bool = False
    status: int | None = None
    meter: Meter | None = None
    over: bool = False

    async def serve(self, app: App, scope: Scope, receive: Receive) -> None:
        """Run the application. What it makes of being told that it is over is no error."""
        try:
            await app(scope, receive, self.send)
        except OSError:
            if not self.over:
                raise

    async def send(self, message: Message) -> None:
        """The application's `send`."""
        if self.accepted or self.status is not None:
            if self.over:
                # As servers say it (ASGI, WebSocket 2.4).
                raise OSError("the guard has closed this WebSocket: a token limit is used up")
            meter = self.meter
            text = message.get("text") if meter is not None else None
            counts = text is not None and meter is not None and meter.hears(text)
            await self._send(message)
            if counts and meter is not None:
                await self._charge(meter)
            return
        kind = message["type"]
        accepts = kind == "websocket.accept"
        if kind == "websocket.close":
            self.status = _CLOSED
        elif kind == "websocket.http.response.start":
            self.status = message["status"]
            if self.tells:
                message = self._telling(message)
        elif accepts and self.tells:
            message = self._telling(message)
        await self._send(message)
        self.accepted = accepts

    def usage(self, outcome: Outcome) -> Usage:
        """What it cost: nothing where nothing flowed; the estimate where nobody said more."""
        if self.over:
            outcome = Outcome.COMPLETED
        if self.accepted:
            return Usage(outcome=outcome) if self.meter is None else self.meter.usage(outcome)
        return Usage(input_tokens=0, output_tokens=0, outcome=outcome, status=self.status)

    async def _charge(self, meter: Meter) -> None:
        reason = await meter.charge()
        if reason is not None and not self.over:
            self.over = True
            await self._send({"type": "websocket.close", "code": TRY_AGAIN_LATER, "reason": reason})

    def _telling(self, message: Message) -> Message:
        exchange = self.exchange
        called = ID_HEADERS[exchange.request.dialect]
        theirs = list(message.get("headers") or ())
        headers = merge(theirs, rate_limit_headers(exchange))
        name = next((value for name, value in theirs if name.lower() == called), None)
        return {**message, "headers": headers + named(exchange, name)}


def answering(guard: Guard, exchange: Exchange, send: Send) -> Handshake:
    """What answers the handshake `exchange`, which is let through."""
    plan = exchange.plan
    tells = plan is not None and plan.enforced and guard.policy.headers
    meter = Meter(guard, exchange) if exchange.request.model_route else None
    return Handshake(exchange, send, tells, meter=meter)


async def turn_down(scope: Scope, exchange: Exchange, send: Send) -> None:
    """Answer a handshake with the refusal that `exchange.decision` asks for."""
    if "websocket.http.response" in (scope.get("extensions") or {}):
        accept = b", ".join(lines(scope["headers"], b"accept"))
        status, answer, body = refusal(exchange, accept=accept)
        await send({"type": "websocket.http.response.start", "status": status, "headers": answer})
        await send({"type": "websocket.http.response.body", "body": body, "more_body": False})
    else:
        # Before `accept` servers turn this into a plain 403.
        await send({"type": "websocket.close", "code": 1008, "reason": ""})
