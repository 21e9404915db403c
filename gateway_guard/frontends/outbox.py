"""What goes to the client: the response as the application sends it, measured on its way."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any

from gateway_guard.core.usage import UsageReader
from gateway_guard.frontends.headers import merge, rate_limit_headers
from gateway_guard.types import Exchange, Outcome, Usage

if TYPE_CHECKING:
    from gateway_guard.frontends.background import Background
    from gateway_guard.frontends.inbox import Inbox

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]


class Outbox:
    """One response under way.

    Attributes:
        exchange: what is being answered.
        inbox: who tells that the client has left; None where nobody asks.
        started: the application has sent its status.
        status: that status; None before.
        hide_usage: the usage at the end of the stream was forced and is not the client's.
    """

    __slots__ = (
        "_background", "_headers", "_left", "_reader", "_send", "exchange", "hide_usage", "inbox",
        "started", "status",
    )  # fmt: skip

    def __init__(
        self, background: Background, exchange: Exchange, send: Send, *, headers: bool
    ) -> None:
        self.exchange = exchange
        self.inbox: Inbox | None = None
        self.started = False
        self.status: int | None = None
        self.hide_usage = False
        self._left = False
        self._background = background
        self._headers = headers
        self._reader: UsageReader | None = None
        self._send = send

    async def send(self, message: Message) -> None:
        """The application's `send`: chunks go on one by one, untouched."""
        if self.inbox is not None and self.inbox.gone:
            return  # what is sent now reaches nobody and must not be charged as delivered
        kind = message["type"]
        if kind == "http.response.body":
            reader = self._reader
            more = message.get("more_body", False)
            if reader is not None:
                body = message.get("body", b"")
                if type(body) is not bytes:
                    body = bytes(body)
                passed = reader.feed(body) if body else body
                if not more:
                    passed += reader.finish()
                if passed is not body and passed != body:
                    if more and not passed:
                        return  # all of it was hidden or is held back
                    message = {"type": kind, "body": passed, "more_body": more}
            try:
                await self._send(message)
            except OSError:
                # How servers say that the client has left (ASGI spec version 2.4).
                self._left = True
                raise
            if not more:
                await self.settle(Outcome.COMPLETED)
        elif kind == "http.response.start":
            await self._send(self._start(message))
            self.started = True
        else:
            await self._send(message)
            if kind == "http.response.pathsend" or (
                kind == "http.response.zerocopysend" and not message.get("more_body", False)
            ):
                await self.settle(Outcome.COMPLETED)

    async def settle(self, outcome: Outcome) -> None:
        """Settle on what was delivered until now. Only the first call counts."""
        if self._left or (self.inbox is not None and self.inbox.gone):
            outcome = Outcome.CLIENT_GONE
        if self.inbox is not None:
            self.inbox.close()
        await self._background.settle(self.exchange, self._usage(outcome))

    def _usage(self, outcome: Outcome) -> Usage:
        status = self.status
        if self._reader is not None:
            usage = self._reader.usage(outcome, status or 0)
            if status is None or status < 400 or usage.reported:
                return usage
        if outcome is Outcome.UPSTREAM_ERROR or (status is not None and status >= 400):
            # An upstream that only said no has produced nothing anybody pays for.
            return Usage(input_tokens=0, output_tokens=0, outcome=outcome, status=status)
        if outcome is Outcome.CLIENT_GONE and status is None:
            # The prompt went to the model, so its estimate stands; nothing came back.
            return Usage(output_tokens=0, outcome=outcome)
        return Usage(outcome=outcome, status=status)

    def _start(self, message: Message) -> Message:
        self.status = message["status"]
        request = self.exchange.request
        if not request.model_route and not self._headers:
            return message
        headers: list[tuple[bytes, bytes]] = list(message.get("headers", ()))
        content_type = content_encoding = b""
        if request.model_route:
            for name, value in headers:
                size = len(name)
                if size == 12 and name.lower() == b"content-type":
                    content_type = value
                elif size == 16 and name.lower() == b"content-encoding":
                    content_encoding = value
            self._reader = UsageReader(
                request.dialect,
                content_type=content_type,
                content_encoding=content_encoding,
                hide_usage_chunk=self.hide_usage,
            )
        if self.hide_usage and b"event-stream" in content_type:
            # What is hidden makes the body shorter than an application may have announced.
            headers = [pair for pair in headers if pair[0].lower() != b"content-length"]
        elif not self._headers:
            return message
        if self._headers:
            headers = merge(headers, rate_limit_headers(self.exchange))
        return {**message, "headers": headers}
