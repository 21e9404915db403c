"""`Forward`: the ASGI application that passes a request on to the upstream and its answer back.

The sidecar is `GuardMiddleware(Forward(upstream))`. Paths are forwarded byte for byte (the guard
has refused the ambiguous ones); bodies stream in both directions, each piece as it arrives, and
each side waits for the other when that one is slow. An upstream that fails before its answer
began gives 502 or 504 in the client's dialect; one that fails later makes `Forward` raise, which
cuts the client's connection: a broken answer never looks complete. A client that goes away takes
its upstream connection with it at once.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Final

from starlette.types import Message, Receive, Scope, Send

from gateway_guard.core.fields import lines
from gateway_guard.core.policy import Policy
from gateway_guard.errors import UpstreamError, UpstreamTimeoutError
from gateway_guard.frontends.asgi import EXCHANGE_KEY, OUTCOME_KEY
from gateway_guard.frontends.cycle import BODY_FOLLOWS
from gateway_guard.frontends.forwarded import (
    TrustedPeers,
    forwarding_fields,
    guard_fields,
    request_fields,
    response_fields,
)
from gateway_guard.frontends.outbox import UPSTREAM_FAILED
from gateway_guard.frontends.refusals import Answer, upstream_failure
from gateway_guard.frontends.upstream import Upstream
from gateway_guard.frontends.upstream_head import UpstreamResponse
from gateway_guard.frontends.upstream_wire import UpstreamConnection
from gateway_guard.frontends.watch import ClientGoneError, Watch
from gateway_guard.frontends.websocket import refuse, tunnel
from gateway_guard.types import Exchange, Outcome, Request

log = logging.getLogger(__name__)

#: Methods whose requests announce a length even when the body is empty (RFC 9110 §8.6).
_EXPECT_BODY: Final = frozenset(("POST", "PUT", "PATCH"))
#: Methods whose requests have no body as a rule. An upstream that reads none there would take what
#: is in it for the next request, which nobody has judged: with one, it is a connection's last.
_BODILESS: Final = frozenset(("GET", "HEAD", "OPTIONS", "DELETE"))


class BodyTooLargeError(UpstreamError):
    """The client sent more than `Forward.max_body`."""


class Forward:
    """Forwards everything to one upstream.

    Attributes:
        upstream: its connections.
        policy: gives the current policy, for whom to trust and what to protect; None trusts nobody.
        preserve_host: whether the upstream sees the client's `Host`.
        max_body: most bytes of a request body; more is answered with 413.
        max_message: largest WebSocket message, bytes.
    """

    def __init__(
        self,
        upstream: Upstream,
        *,
        policy: Callable[[], Policy] | None = None,
        preserve_host: bool = False,
        max_body: int = 100 * 1024 * 1024,
        max_message: int = 16 * 1024 * 1024,
    ) -> None:
        self.upstream = upstream
        self.policy = policy
        self.preserve_host = preserve_host
        self.max_body = max_body
        self.max_message = max_message
        self._seen: Policy | None = None
        self._trusted = TrustedPeers(())
        self._protected: frozenset[bytes] = frozenset()

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        # Not itself a coroutine around another: every message of a stream would pass through it.
        if scope["type"] == "http":
            return self._http(scope, receive, send)
        return self._other(scope, receive, send)

    async def _other(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        else:
            raise RuntimeError(f"Forward cannot serve a {scope['type']!r} scope")

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            scope[OUTCOME_KEY] = await tunnel(
                scope,
                receive,
                send,
                upstream=self.upstream,
                target=self._target(scope),
                fields=self._fields(scope),
                preserve_host=self.preserve_host,
                max_message=self.max_message,
            )
        except UpstreamError as error:
            log.warning("upstream-failed reason=%s", error)
            scope[OUTCOME_KEY] = Outcome.UPSTREAM_ERROR
            status, headers, body = _failure(scope, error)
            await refuse(scope, send, status, headers, body)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                self.upstream.close()
                await send({"type": "lifespan.shutdown.complete"})
                return
            await send({"type": "lifespan.startup.complete"})

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        announced = _announced(scope)
        if announced is not None and announced > self.max_body:
            await _fail(
                scope, send, BodyTooLargeError(f"the body is larger than {self.max_body} bytes")
            )
            return
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError("the client left before its request was complete")
        watch = Watch(scope, receive)
        # A list and not one or None: compiled, the last block takes None for one that is there.
        used: list[UpstreamConnection] = []
        body: bytes = message.get("body", b"")
        more: bool = message.get("more_body", False)
        last = scope["method"] in _BODILESS and (more or len(body) > 0)
        try:
            try:
                if more:
                    head = self._head(scope, announced, last=last)
                    connection = await self.upstream.begin(
                        head, method=scope["method"], attach=watch.attach
                    )
                    used.append(connection)
                    watch.pump(self._upload(connection, watch, receive, body, announced))
                    answer = await connection.head()
                else:
                    length = len(body)
                    known = length or announced is not None or scope["method"] in _EXPECT_BODY
                    head = self._head(scope, length if known else None, whole=True, last=last)
                    watch.start()
                    connection, answer = await self.upstream.exchange(
                        head + body, method=scope["method"], attach=watch.attach
                    )
                    used.append(connection)
                    # An answer may take minutes, and its request is read by then.
                    message, body = {}, b""
            except UpstreamError as error:
                if watch.gone:
                    await watch.told()
                    raise ClientGoneError("the client left before the answer") from None
                error = watch.error or error
                log.warning("upstream-failed reason=%s", error)
                await _fail(scope, send, error)
                return
            await self._answer(connection, answer, watch, send)
        finally:
            unread = watch.stop()
            for done in used:
                if unread or last:
                    done.close()
                self.upstream.release(done)

    async def _answer(
        self,
        connection: UpstreamConnection,
        answer: UpstreamResponse,
        watch: Watch,
        send: Send,
    ) -> None:
        start: Message = {
            "type": "http.response.start",
            "status": answer.status,
            "headers": response_fields(answer.headers),
        }
        if connection.arrived:
            start[BODY_FOLLOWS] = True
        await send(start)
        try:
            while True:
                data, more = await connection.read()
                await send({"type": "http.response.body", "body": data, "more_body": more})
                if not more:
                    return
        except UpstreamError:
            if watch.gone:
                await watch.told()
                raise ClientGoneError("the client left in the middle of the answer") from None
            raise

    async def _upload(
        self,
        connection: UpstreamConnection,
        watch: Watch,
        receive: Receive,
        data: bytes,
        announced: int | None,
    ) -> None:
        """Pass the request body on by pieces: `announced` bytes exactly, or chunked when None."""
        total = 0
        more = True
        while True:
            total += len(data)
            if total > (self.max_body if announced is None else announced):
                watch.error = BodyTooLargeError(f"the body is larger than {self.max_body} bytes")
                connection.fail("the body is too large")
                return
            if announced is not None:
                piece = data
            else:
                piece = b"%x\r\n%b\r\n" % (len(data), data) if data else b""
                if not more:
                    piece += b"0\r\n\r\n"
            if piece:
                await connection.write(piece)
            if not more:
                if announced is not None and total != announced:
                    connection.fail("the body is shorter than announced")
                return
            message = await receive()
            if message["type"] == "http.disconnect":
                watch.client_gone()
                return
            data = message.get("body", b"")
            more = message.get("more_body", False)

    def _head(
        self, scope: Scope, length: int | None, *, whole: bool = False, last: bool = False
    ) -> bytes:
        """Request line and fields; `length` None means chunked, or no body at all when `whole`.

        `last`: no other request follows on the connection.
        """
        parts = [scope["method"].encode(), b" ", self._target(scope), b" HTTP/1.1\r\nhost: "]
        parts.append(self._host(scope))
        parts.append(b"\r\n")
        parts += self._fields(scope)
        if last:
            parts.append(b"connection: close\r\n")
        if length is not None:
            parts.append(b"content-length: %d\r\n\r\n" % length)
        else:
            parts.append(b"\r\n" if whole else b"transfer-encoding: chunked\r\n\r\n")
        return b"".join(parts)

    def _fields(self, scope: Scope) -> list[bytes]:
        """Every field but `Host` and the framing, each `name: value CRLF`."""
        policy = self.policy() if self.policy is not None else None
        if policy is not self._seen and policy is not None:
            self._learn(policy)
        client = scope.get("client")
        peer: str | None = client[0] if client else None
        trusted = peer in self._trusted
        headers = scope["headers"]
        exchange: Exchange | None = scope.get(EXCHANGE_KEY)
        fields = request_fields(headers, trusted=trusted, protected=self._protected)
        fields += forwarding_fields(
            headers,
            peer=peer,
            scheme=scope.get("scheme", "http"),
            trusted=trusted,
            client_ip=exchange.request.client_ip if exchange is not None else None,
        )
        if exchange is not None:
            fields += guard_fields(exchange)
        return fields

    def _learn(self, policy: Policy) -> None:
        self._seen = policy
        identify = policy.identify
        if identify.trusted != self._trusted.networks:
            self._trusted = TrustedPeers(identify.trusted)
        names = {source.header for source in identify.accounts} | {identify.client_ip}
        if identify.tls_header:
            names.add(identify.tls_header)
        self._protected = frozenset(name.encode() for name in names if name)

    def _target(self, scope: Scope) -> bytes:
        query: bytes = scope["query_string"]
        path: bytes = self.upstream.origin.prefix + scope["raw_path"]
        return b"%b?%b" % (path, query) if query else path

    def _host(self, scope: Scope) -> bytes:
        if self.preserve_host:
            for name, value in scope["headers"]:
                if name == b"host" and value:
                    return bytes(value)
        return self.upstream.origin.authority


def _announced(scope: Scope) -> int | None:
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value)
    return None


async def _fail(scope: Scope, send: Send, error: UpstreamError) -> None:
    status, headers, body = _failure(scope, error)
    start: Message = {"type": "http.response.start", "status": status, "headers": headers}
    if status >= 500:
        start[UPSTREAM_FAILED] = True
    await send(start)
    await send({"type": "http.response.body", "body": body, "more_body": False})


def _failure(scope: Scope, error: UpstreamError) -> Answer:
    """The answer for an upstream that gave none, in the client's dialect where it is known."""
    if isinstance(error, BodyTooLargeError):
        status, message = 413, str(error)
    elif isinstance(error, UpstreamTimeoutError):
        status, message = 504, "The model API did not answer in time."
    else:
        status, message = 502, "The model API could not be reached."
    exchange: Exchange | None = scope.get(EXCHANGE_KEY)
    if exchange is not None:
        request = exchange.request
    else:
        request = Request(id="", at=0.0, method=scope.get("method", "WEBSOCKET"), path=None)
    accept = b", ".join(lines(scope["headers"], b"accept"))
    return upstream_failure(request, status, message, accept=accept)
