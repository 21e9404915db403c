"""The answer to a WebSocket's handshake: what it tells the client, and whether anything flows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

import msgspec

from gateway_guard.core.fields import lines
from gateway_guard.frontends.headers import merge, named, rate_limit_headers
from gateway_guard.frontends.refusals import refusal
from gateway_guard.frontends.scopes import Scope
from gateway_guard.frontends.wording import ID_HEADERS
from gateway_guard.types import Exchange, Outcome, Usage

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]

#: What servers make of a close before anything was accepted.
_CLOSED: Final = 403


class Handshake(msgspec.Struct, eq=False):
    """What the application sends over one WebSocket, looked at until the handshake is answered.

    Attributes:
        exchange: what is being answered.
        tells: whether the client hears of its limits and of its request's name, in headers.
        accepted: whether messages may flow.
        status: of the refusal; None where there was none.
    """

    exchange: Exchange
    _send: Send
    tells: bool
    accepted: bool = False
    status: int | None = None

    async def send(self, message: Message) -> None:
        """The application's `send`."""
        if self.accepted or self.status is not None:
            await self._send(message)
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
        """What it cost: nothing where nothing flowed, else the estimate, as nobody counts that."""
        if self.accepted:
            return Usage(outcome=outcome)
        return Usage(input_tokens=0, output_tokens=0, outcome=outcome, status=self.status)

    def _telling(self, message: Message) -> Message:
        exchange = self.exchange
        called = ID_HEADERS[exchange.request.dialect]
        theirs = list(message.get("headers") or ())
        headers = merge(theirs, rate_limit_headers(exchange))
        name = next((value for name, value in theirs if name.lower() == called), None)
        return {**message, "headers": headers + named(exchange, name)}


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
