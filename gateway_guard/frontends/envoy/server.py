"""The services Envoy calls, on a gRPC server inside the guard's event loop.

    envoy.service.auth.v3.Authorization/Check                      may this request pass?
    envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit    have these limits room?
    envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs   these requests have ended

Who may call is who may say whom it asks for: the policy's `trusted_proxies`. Nothing of what
anybody else sends is read. A question from elsewhere, or a malformed one, is refused by an answer:
an error would let requests through wherever Envoy is told to fail open.
"""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

import grpc
import grpc.aio
from google.protobuf.message import DecodeError

from gateway_guard.errors import SettingsError
from gateway_guard.frontends import listen
from gateway_guard.frontends.envoy.answers import check_response
from gateway_guard.frontends.envoy.counting import Counting
from gateway_guard.frontends.envoy.limits import MISASKED_RESPONSE
from gateway_guard.frontends.envoy.logs import ended
from gateway_guard.frontends.envoy.peers import address_of
from gateway_guard.frontends.envoy.question import question
from gateway_guard.frontends.extauth.desk import Desk
from gateway_guard.frontends.extauth.original import Misasked
from gateway_guard.frontends.extauth.telling import MISASKED

log = logging.getLogger(__name__)

Messages = AsyncIterator[bytes]
#: `grpc.aio.ServicerContext[bytes, bytes]`, which cannot be subscripted where the program runs.
Context = Any

_MISASKED: Final = check_response(MISASKED)
_OPTIONS: Final = [
    # Two guards on one port would each get some of the questions.
    ("grpc.so_reuseport", 0),
    # How long a question may be is Envoy's to say (`max_request_bytes`). Refused here for its
    # length it would be an error there, and errors may let requests through.
    ("grpc.max_receive_message_length", -1),
    # For the same reason: Envoy may look as often as it likes whether the connection is alive.
    ("grpc.http2.max_ping_strikes", 0),
]


class EnvoyServer:
    """Answers Envoy. Belongs to one event loop. Whoever made the `desk` closes it, afterwards.

    Attributes:
        counting: the rate-limit service.

    Args:
        desk: decides, and hears how requests ended.
    """

    def __init__(self, desk: Desk) -> None:
        self.counting = Counting(desk.guard)
        self._desk = desk
        self._server: grpc.aio.Server | None = None

    async def start(self, address: str, *, tls: grpc.ServerCredentials | None = None) -> str:
        """Listen on `host:port`, `[host]:port` or `unix:/path`; the address with the port taken
        where it said 0. Without `tls` in the clear: questions hold the clients' credentials.

        Raises:
            SettingsError: the address cannot be listened on.
        """
        server = grpc.aio.server(options=_OPTIONS)
        server.add_generic_rpc_handlers(
            tuple(
                grpc.method_handlers_generic_handler(
                    service, {method: grpc.stream_unary_rpc_method_handler(handler)}
                )
                for service, method, handler in (
                    ("envoy.service.auth.v3.Authorization", "Check", self._check),
                    ("envoy.service.ratelimit.v3.RateLimitService", "ShouldRateLimit", self._rate),
                    ("envoy.service.accesslog.v3.AccessLogService", "StreamAccessLogs", self._log),
                )
            )
        )
        path = address.removeprefix("unix:")
        unix = path != address
        if unix:
            # gRPC replaces whatever socket is there, in use or not.
            listen.dead_socket(path)
        try:
            port = (
                server.add_insecure_port(address)
                if tls is None
                else server.add_secure_port(address, tls)
            )
        except (RuntimeError, ValueError):
            port = 0
        if not port:
            raise SettingsError(
                f"cannot listen on {address}: it is taken, or neither host:port nor unix:/path; "
                "see --envoy"
            )
        if unix:
            os.chmod(path, 0o660)  # noqa: PTH101 - no way of Path either waits for a disk
        await server.start()
        self._server = server
        return address if unix else f"{address.rpartition(':')[0]}:{port}"

    async def close(self, *, drain: float = 5.0) -> None:
        """Take no more questions, answer what has been asked.

        Calls that take longer than `drain` seconds are cancelled; the access log's last for ever.
        """
        if self._server is not None:
            await self._server.stop(drain)
            self._server = None

    # Every handler takes a stream of messages, which is the same on the wire as taking one: so a
    # stranger is refused before anything he sends is read into memory.

    async def _check(self, messages: Messages, context: Context) -> bytes:
        return await self._answered(messages, context, self._decided, _MISASKED)

    async def _rate(self, messages: Messages, context: Context) -> bytes:
        return await self._answered(messages, context, self._counted, MISASKED_RESPONSE)

    async def _answered(
        self,
        messages: Messages,
        context: Context,
        answer: Callable[[bytes], Awaitable[bytes | Misasked]],
        refused: bytes,
    ) -> bytes:
        why = self._stranger(context)
        if why is None:
            try:
                async for message in messages:
                    found = await answer(message)
                    if isinstance(found, bytes):
                        return found
                    why = found.why
                    break
                else:
                    why = "a question without a message"
            except Exception as error:  # noqa: BLE001 - an error would let the request through
                why = f"it could not be answered: {type(error).__name__}"
        self._desk.refuse(why)
        return refused

    async def _decided(self, message: bytes) -> bytes | Misasked:
        desk = self._desk
        asked = question(message, desk.guard.policy.inspect.max_body, desk.saying_who)
        if isinstance(asked, Misasked):
            return asked
        return check_response(await desk.decide(asked.wire), claimed=asked.claimed)

    async def _counted(self, message: bytes) -> bytes | Misasked:
        counting, before = self.counting, self.counting.unknown
        found = await counting.answer(message)
        count = counting.unknown
        if count.bit_length() > before.bit_length():
            log.warning(
                "a descriptor was not understood (%d so far), hence OK: %s",
                count, counting.last_unknown,
            )  # fmt: skip
        return found

    async def _log(self, messages: Messages, context: Context) -> bytes:
        await self._turn_away(context)
        async for message in messages:
            # The stream lasts as long as Envoy; the policy may have changed meanwhile.
            await self._turn_away(context)
            try:
                for request_id, usage in ended(message):
                    await self._desk.ended(request_id, usage)
            except DecodeError:
                self._desk.refuse("an entry of the access log cannot be read")
        return b""

    async def _turn_away(self, context: Context) -> None:
        why = self._stranger(context)
        if why is not None:
            self._desk.refuse(why)
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, "not a trusted proxy")

    def _stranger(self, context: Context) -> str | None:
        return self._desk.stranger(address_of(context.peer()))
