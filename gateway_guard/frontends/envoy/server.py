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
import socket
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import grpc
import grpc.aio
from google.protobuf.message import DecodeError

from gateway_guard.errors import SettingsError
from gateway_guard.frontends.background import Background
from gateway_guard.frontends.envoy import answers, limits
from gateway_guard.frontends.envoy.answers import check_response
from gateway_guard.frontends.envoy.counting import Counting
from gateway_guard.frontends.envoy.logs import ended
from gateway_guard.frontends.envoy.peers import Askers
from gateway_guard.frontends.envoy.question import question
from gateway_guard.frontends.extauth.leases import Leases
from gateway_guard.frontends.extauth.original import Misasked
from gateway_guard.frontends.extauth.settling import Settling
from gateway_guard.frontends.extauth.usage import Report
from gateway_guard.guard import Guard

log = logging.getLogger(__name__)

Messages = AsyncIterator[bytes]
#: `grpc.aio.ServicerContext[bytes, bytes]`, which cannot be subscripted where the program runs.
Context = Any

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
    """Answers Envoy. Belongs to one event loop.

    Attributes:
        guard: the brain.
        counting: the rate-limit service.
        misasked: questions refused because who asked is not trusted, or set up wrongly.

    Args:
        guard: decides.
        lease: seconds for a request to end and be logged, or reported; 0 settles every request at
            once by its estimate: then a limit on concurrency counts nothing.
        leases: another frontend's, of whose requests the access log speaks as well; None: its own,
            of `lease` seconds.
        secret: the guard's, for `credential` in descriptors of the rate-limit service; None: they
            are not understood.
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
        secret: bytes | None = None,
        background: Background | None = None,
        on_decided: Callable[[float], None] | None = None,
    ) -> None:
        self.guard = guard
        self.counting = Counting(guard, secret)
        self.misasked = 0
        leases = Leases(lease) if leases is None else leases
        self._settling = Settling(guard, leases, background)
        self._on_decided = on_decided
        self._askers = Askers()
        self._server: grpc.aio.Server | None = None

    @property
    def leases(self) -> Leases:
        """Requests let through whose end may still be reported."""
        return self._settling.leases

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
            _make_room(path)
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
                f"cannot listen on {address} for Envoy: it is taken, or no host:port or unix:/path"
            )
        if unix:
            os.chmod(path, 0o660)  # noqa: PTH101 - no way of Path either waits for a disk
        await server.start()
        self._server = server
        return address if unix else f"{address.rpartition(':')[0]}:{port}"

    async def close(self, *, drain: float = 5.0) -> None:
        """Take no more questions, answer what has been asked, settle what is leased.

        Calls that take longer than `drain` seconds are cancelled; the access log's last for ever.
        """
        if self._server is not None:
            await self._server.stop(drain)
            self._server = None
        await self._settling.close()

    async def report(self, report: Report) -> bool:
        """Settle a request by what it really cost; False when it is not waited for (any more)."""
        return await self._settling.ended(report.request_id, report.usage())

    # Every handler takes a stream of messages, which is the same on the wire as taking one: so a
    # stranger is refused before anything he sends is read into memory.

    async def _check(self, messages: Messages, context: Context) -> bytes:
        refused = answers.MISASKED_RESPONSE
        return await self._answered(messages, context, self._decided, refused)

    async def _rate(self, messages: Messages, context: Context) -> bytes:
        refused = limits.MISASKED_RESPONSE
        return await self._answered(messages, context, self._counted, refused)

    async def _answered(
        self,
        messages: Messages,
        context: Context,
        answer: Callable[[bytes], Awaitable[bytes | Misasked]],
        refused: bytes,
    ) -> bytes:
        why = self._refuses(context)
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
                why = f"the question could not be read: {type(error).__name__}"
        self._misasked(why)
        return refused

    async def _decided(self, message: bytes) -> bytes | Misasked:
        guard = self.guard
        asked = question(message, guard.policy.inspect.max_body)
        if isinstance(asked, Misasked):
            return asked
        began = perf_counter()
        exchange = await guard.decide(asked.wire)
        if self._on_decided is not None:
            self._on_decided(perf_counter() - began)
        plan = exchange.plan
        tells = plan is not None and plan.enforced and guard.policy.headers
        # Nothing may be left between the decision and whoever settles it, should the call end here.
        await self._settling.decided(exchange)
        return check_response(exchange, claimed=asked.claimed, tells=tells, accept=asked.accept)

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
                    await self._settling.ended(request_id, usage)
            except DecodeError:
                self._misasked("an entry of the access log cannot be read")
        return b""

    async def _turn_away(self, context: Context) -> None:
        why = self._refuses(context)
        if why is not None:
            self._misasked(why)
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, "not a trusted proxy")

    def _refuses(self, context: Context) -> str | None:
        return self._askers.refuses(context.peer(), self.guard.policy.identify)

    def _misasked(self, why: str) -> None:
        self.misasked += 1
        # At 1, 2, 4, 8, …: a gateway set up wrongly asks wrongly every time.
        if not self.misasked & (self.misasked - 1):
            log.error("a question was refused (%d so far): %s", self.misasked, why)


def _make_room(path: str) -> None:
    """Nothing listens at `path`. gRPC replaces whatever socket is there, in use or not.

    Raises:
        SettingsError: somebody listens there, or it is something else.
    """
    where = Path(path)
    if not where.exists():
        return
    if not stat.S_ISSOCK(where.stat().st_mode):
        raise SettingsError(f"cannot listen on {path}: it exists and is no socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        if probe.connect_ex(path) == 0:
            raise SettingsError(f"cannot listen on {path}: another process does")
