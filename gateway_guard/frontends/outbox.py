"""What goes to the client: the response as the application sends it, measured on its way."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any, Final

import msgspec

from gateway_guard.core.limits import estimates
from gateway_guard.core.usage import KEEP, UsageReader
from gateway_guard.core.usage_encoding import is_plain_json
from gateway_guard.core.usage_untold import least_of_json
from gateway_guard.core.usage_whole import usage_of
from gateway_guard.frontends.admission import Waiting
from gateway_guard.frontends.background import Settle
from gateway_guard.frontends.headers import merge, named, rate_limit_headers
from gateway_guard.frontends.inbox import Inbox
from gateway_guard.frontends.wording import ID_HEADERS
from gateway_guard.types import Exchange, Outcome, Usage

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]


#: Key of a `http.response.start` that the sidecar made because the upstream gave no answer.
UPSTREAM_FAILED: Final = "gateway_guard.upstream_failed"

#: Most digits of a count that is believed.
_DIGITS: Final = 9
#: Where Bedrock counts, and how long these names are: most fields are not worth a second look.
_BEDROCK_READ: Final = b"x-amzn-bedrock-input-token-count"
_BEDROCK_WRITTEN: Final = b"x-amzn-bedrock-output-token-count"
_OF_BEDROCK: Final = (len(_BEDROCK_READ), len(_BEDROCK_WRITTEN))
#: The status of an answer that nobody waits for any more, as nginx has it in its logs.
CLOSED: Final = 499

#: Looking up a member of an enumeration costs more than comparing with it.
_COMPLETED: Final = Outcome.COMPLETED


class Outbox(msgspec.Struct, eq=False):
    """One response under way.

    Attributes:
        exchange: what is being answered.
        inbox: who knows that the client has left.
        tells: whether the client hears of its limits and of its request's name, in headers.
        started: the application has sent its status.
        status: that status; None before.
        hide_usage: the usage at the end of the stream was forced and is not the client's.
        unheard: the application was cancelled, or went on answering, after the client had left.
    """

    # A record, as `Inbox` is.
    exchange: Exchange
    inbox: Inbox
    _send: Send
    _settle: Settle
    tells: bool
    _counts: bool
    hide_usage: bool = False
    started: bool = False
    unheard: bool = False
    status: int | None = None
    _content_encoding: bytes = b""
    _content_type: bytes = b""
    # TGI and Bedrock say beside an answer what it cost, where it does not say so inside.
    _said_read: bytes = b""
    _said_written: bytes = b""
    _said_of_all: bool = False
    _ended: Outcome = _COMPLETED
    _left: bool = False
    _reader: UsageReader | None = None
    _whole: bytes | None = None

    async def send(self, message: Message) -> None:
        """The application's `send`: chunks go on one by one, untouched."""
        inbox = self.inbox
        if inbox.gone and inbox.watched:
            self.unheard = True
            return  # what is sent now reaches nobody and must not be charged as delivered
        kind = message["type"]
        try:
            if kind == "http.response.body":
                more = message.get("more_body", False)
                if self._counts:
                    body = message.get("body", b"")
                    reader = self._reader
                    if (
                        reader is None and not more and type(body) is bytes
                        and is_plain_json(self._content_type, self._content_encoding)
                    ):  # fmt: skip
                        # One piece is read when it has been sent.
                        self._whole = body
                    elif more and body and reader is not None and type(body) is bytes:
                        # As `_measured` for what nearly all messages of a stream are.
                        passed = reader.feed(body)
                        if passed is not body:
                            if not passed:
                                return
                            message = {"type": kind, "body": passed, "more_body": True}
                    else:
                        measured = self._measured(message, bytes(body), more)
                        if measured is None:
                            return
                        message = measured
                await self._send(message)
                if more:
                    return
            elif kind == "http.response.start":
                await self._send(self._start(message))
                self.started = True
                return
            else:
                await self._send(message)
                if kind != "http.response.pathsend" and (
                    kind != "http.response.zerocopysend" or message.get("more_body", False)
                ):
                    return
        except OSError:
            # How servers say that the client has left (ASGI spec version 2.4).
            self._left = True
            raise
        await self.settle(self._ended)

    def _measured(self, message: Message, body: bytes, more: bool) -> Message | None:
        """Look for usage; what to send, None for nothing because all of it is held back."""
        reader = self._reader
        if reader is None:
            reader = self._reader = self._new_reader()
        passed = reader.feed(body) if body else body
        if not more:
            passed += reader.finish()
        if passed is body or passed == body:
            return message
        if more and not passed:
            return None
        return {"type": message["type"], "body": passed, "more_body": more}

    async def end_unheard(self) -> None:
        """Answer a client that left before its answer began; servers pass that over.

        Whoever stands around the guard would take no answer at all for a failure of the
        application: Starlette's `BaseHTTPMiddleware` raises, what counts answers counts a 500.
        """
        if not self.started:
            with suppress(OSError):
                await self._send({"type": "http.response.start", "status": CLOSED, "headers": []})
                await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    def awaits(self, waiting: Waiting) -> None:
        """Tell `waiting` of the first token, and nothing of what comes later."""
        send = self._send

        async def first(message: Message) -> None:
            if waiting.seen(message):
                self._send = send
            await send(message)

        self._send = first

    def settle(self, outcome: Outcome) -> Awaitable[None]:
        """Settle on what was delivered until now. Only the first call counts. To be awaited."""
        inbox = self.inbox
        if self._left or inbox.gone:
            outcome = Outcome.CLIENT_GONE
        inbox.close()
        # Handed on to be awaited: a coroutine around this one would do nothing else.
        return self._settle(self.exchange, self._usage(outcome))

    def _usage(self, outcome: Outcome) -> Usage:
        status = self.status
        if self._counts and status is not None:
            if self._whole is not None:
                usage = usage_of(self._whole, outcome, status)
            else:
                usage = (self._reader or self._new_reader()).usage(outcome, status)
            if not usage.reported and self._said_written:
                usage = self._beside(usage)
            if usage.output_tokens is None and status < 400:
                usage = self._at_least(usage)
            if status < 400 or usage.reported:
                return usage
        if outcome is Outcome.UPSTREAM_ERROR or (status is not None and status >= 400):
            # An upstream that only said no has produced nothing anybody pays for.
            return Usage(input_tokens=0, output_tokens=0, outcome=outcome, status=status)
        if outcome is Outcome.CLIENT_GONE and status is None:
            # The prompt went to the model, so its estimate stands; nothing came back.
            return Usage(output_tokens=0, outcome=outcome)
        return Usage(outcome=outcome, status=status)

    def _of_bedrock(self, name: bytes, value: bytes) -> None:
        """Take note of a field in which Bedrock counts, whatever model it asked."""
        lower = name.lower()
        if lower == _BEDROCK_READ:
            self._said_read = bytes(value)
        elif lower == _BEDROCK_WRITTEN:
            self._said_written, self._said_of_all = bytes(value), True

    def _beside(self, usage: Usage) -> Usage:
        """What the fields say; of several answers, TGI's count the one that was best."""
        read, written = self._said_read, self._said_written
        if not (written.isdigit() and len(written) <= _DIGITS):
            return usage
        prompt = None if self._said_of_all else self.exchange.request.prompt
        return Usage(
            input_tokens=int(read) if read.isdigit() and len(read) <= _DIGITS else None,
            output_tokens=int(written) * (prompt.n if prompt is not None else 1),
            outcome=usage.outcome, status=usage.status, reported=True,
        )  # fmt: skip

    def _at_least(self, usage: Usage) -> Usage:
        """`usage`, of which nobody said what was written: what the answer holds, where that is more
        than its estimate."""
        expected = estimates(self.exchange.request)
        if expected is None or not expected[1]:
            return usage
        if self._whole is not None:
            least = least_of_json(self._whole) if len(self._whole) <= KEEP else 0
        else:
            least = self._reader.least() if self._reader is not None else 0
        if least <= expected[1]:
            return usage
        return msgspec.structs.replace(usage, output_tokens=least)

    def _new_reader(self) -> UsageReader:
        return UsageReader(
            self.exchange.request.dialect,
            content_type=self._content_type,
            content_encoding=self._content_encoding,
            hide_usage_chunk=self.hide_usage,
        )

    def _start(self, message: Message) -> Message:
        self.status = message["status"]
        if UPSTREAM_FAILED in message:
            self._ended = Outcome.UPSTREAM_ERROR
        theirs: bytes | None = None
        if self._counts or self.tells:
            called = ID_HEADERS[self.exchange.request.dialect]
            given = message.get("headers", ())
            if type(given) is not list:
                # Any iterable will do in ASGI, one that can be read only once too.
                given = list(given)
                message = {**message, "headers": given}
            for name, value in given:
                size = len(name)
                if size == 12 or size == 10:
                    lower = name.lower()
                    if lower == b"content-type":
                        self._content_type = bytes(value)
                    elif lower == called:
                        theirs = value
                elif size == 16 and name.lower() == b"content-encoding":
                    self._content_encoding = bytes(value)
                elif size == 18 and name.lower() == b"x-generated-tokens":
                    self._said_written = bytes(value)
                elif size == 15 and name.lower() == b"x-prompt-tokens":
                    self._said_read = bytes(value)
                elif size in _OF_BEDROCK:
                    self._of_bedrock(name, value)
        headers: list[tuple[bytes, bytes]]
        if self.hide_usage and b"event-stream" in self._content_type:
            # What is hidden makes the body shorter than an application may have announced.
            headers = [
                pair for pair in message.get("headers", ()) if pair[0].lower() != b"content-length"
            ]
        elif self.tells:
            headers = list(message.get("headers", ()))
        else:
            return message
        if self.tells:
            exchange = self.exchange
            headers = merge(headers, rate_limit_headers(exchange))
            headers += named(exchange, theirs)
        return {**message, "headers": headers}
