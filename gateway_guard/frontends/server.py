"""The sidecar, put together: listener → guard → forward, beside the admin port.

    SIGTERM, SIGINT   drain: not ready any more, answers close their connections, nothing new is
                      accepted, what is in flight finishes within `drain` seconds
    SIGHUP            policy, network data, accounts and certificates are read again, the decision
                      log reopened
    SIGUSR1           a diagnostic snapshot is taken (`snapshot`)

Files are also watched, once a second (`reload`).
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING, Final

import msgspec
import uvicorn
import uvloop
from starlette.types import ASGIApp

from gateway_guard.building import build_guard
from gateway_guard.errors import SettingsError
from gateway_guard.frontends.admin import Health
from gateway_guard.frontends.certificate import Certificate
from gateway_guard.frontends.dashboard.mount import one_guard
from gateway_guard.frontends.extauth.asked import Asked
from gateway_guard.frontends.forwarded import TrustedPeers
from gateway_guard.frontends.forwarding import Forwarding
from gateway_guard.frontends.holding import MOST
from gateway_guard.frontends.inbound import GuardProtocol
from gateway_guard.frontends.instruments import Instruments
from gateway_guard.frontends.parting import Parting
from gateway_guard.frontends.patience import Limits
from gateway_guard.frontends.reload import Reloader
from gateway_guard.frontends.renewed import Renewed
from gateway_guard.frontends.serving import Server, beside
from gateway_guard.frontends.snapshot import OnSignal, Snapshot
from gateway_guard.frontends.sockets import SocketProtocol
from gateway_guard.frontends.sweeping import sweep
from gateway_guard.frontends.upstream import Timeouts
from gateway_guard.guard import Guard, Learner
from gateway_guard.record.exporting import OWN, encoder
from gateway_guard.record.line import Addresses
from gateway_guard.record.log import DecisionLog
from gateway_guard.record.metrics import Metrics
from gateway_guard.record.watching import Watching
from gateway_guard.settings import Settings
from gateway_guard.streams.shared import SharedLinking
from gateway_guard.verification.app import VerificationApp

if TYPE_CHECKING:
    from gateway_guard.frontends.otlp import Otlp

log = logging.getLogger(__name__)

#: Seconds a thread keeps the interpreter while the loop wants it, which it does at each callback of
#: a request. Beside a thread that computes, 99 of 100 echoes of uvloop took up to 0.05 to 0.2 ms
#: with this, up to 0.1 to 10 ms with Python's own 5 ms, in five and six runs.
SWITCH: Final = 0.001
#: Objects made after which the collector looks at them, how many such looks make one at those it
#: looked at before, and how many of these one at everything. It finds next to nothing (4 objects in
#: 300,000 exchanges): what counts is how long requests wait for it, 3 ms at most for a thousand
#: objects, 5 to 20 ms for twenty thousand.
COLLECT: Final = (1_000, 1, 10_000)


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What `serve` was told. Times in seconds, sizes in bytes.

    Attributes:
        policy: path of the policy.
        upstream: URL of the model API (`Origin.parse`); None where gateways only ask.
        spoe, envoy: whether HAProxy asks over SPOE, Envoy over gRPC, too: `host:port`; None for no.
        usage_lease: seconds in which the end of a request that a gateway asked about may be
            reported; 0 for none.
        upstream_ca: PEM file of the only authorities trusted for it; None for the system's.
        preserve_host: whether the upstream sees the client's Host.
        timeouts: how long the upstream may take.
        max_connections, max_upstream: open connections, from clients and to the upstream.
        max_body: largest request body.
        held_bodies: what unfinished ones may take together, bytes.
        limits: what clients may take; its `proxies` come from `proxy_protocol`.
        proxy_protocol: whether connections must begin with a PROXY protocol header; believed from
            the policy's trusted proxies, all others are closed.
        drain: how long requests in flight may go on after SIGTERM.
        drain_delay: how long new requests are still taken after SIGTERM, for a load balancer to
            notice.
        dashboard: whether the admin port has one.
        log_format: schema of the decision log (`record.exporting`).
        otel: whether spans and metrics are sent over OTLP, too.
        snapshot_dir: where a snapshot that SIGUSR1 asks for is put; None for standard error.
        shared: whether other processes accept connections at the same listeners.
    """

    policy: str
    upstream: str | None
    spoe: str | None = None
    envoy: str | None = None
    usage_lease: float = 0.0
    upstream_ca: str | None = None
    preserve_host: bool = False
    timeouts: Timeouts = Timeouts()
    max_connections: int = 10_000
    max_upstream: int = 10_000
    max_body: int = 100 * 1024 * 1024
    held_bodies: int = MOST
    limits: Limits = Limits()
    proxy_protocol: bool = False
    drain: float = 30.0
    drain_delay: float = 0.5
    dashboard: bool = False
    log_format: str = OWN
    otel: bool = False
    snapshot_dir: str | None = None
    shared: bool = False


class Sidecar:
    """One process serving one listener.

    Attributes:
        guard: the brain.
        starting: whether no connection is accepted yet.
        draining: whether SIGTERM has come.
        instruments: what this process tells of itself.

    Raises:
        PolicyError, SettingsError, SourceError: as `build_guard`, `Origin.parse`.
    """

    def __init__(self, options: Options, settings: Settings) -> None:
        self.options = options
        self.starting = True
        self.draining = False
        self.metrics = Metrics()
        self._log = DecisionLog.configured(settings, encoder(options.log_format))
        learners: list[Learner] = [self.metrics.settled]
        if self._log is not None:
            learners.append(self._log.write)
        self._settings = settings
        self._watching: Watching | None = None
        if options.dashboard:
            self._watching = Watching(addresses=Addresses(settings.log_addresses))
            learners.append(self._watching.write)
        self.guard: Guard = build_guard(options.policy, settings=settings, learners=learners)
        if self._watching is not None:
            self.guard.standing.erasing.append(self._watching.forget)
        trusted = self.guard.policy.identify.trusted
        if options.proxy_protocol and not trusted:
            raise SettingsError(
                "--proxy-protocol needs identify.trusted_proxies in the policy: "
                "nobody else's header is believed"
            )
        self._front = self._opened(options)
        self._otlp = _exporting() if options.otel else None
        self.instruments = Instruments(
            self.guard, self.metrics, settings, decisions=self._log,
            connections=options.max_connections, draining=lambda: self.draining,
            others=(self._watching, self._front),
        )  # fmt: skip

    def _opened(self, options: Options) -> Forwarding | Asked:
        """What this process does with requests. Whether it has an upstream is asked only here."""
        if options.upstream is None:
            return Asked(
                self.guard, self.metrics, lease=options.usage_lease, spoe=options.spoe,
                envoy=options.envoy,
            )  # fmt: skip
        return Forwarding(
            self.guard, self.metrics, url=options.upstream, ca=options.upstream_ca,
            preserve_host=options.preserve_host, timeouts=options.timeouts,
            max_connections=options.max_upstream, max_body=options.max_body,
            held_bodies=options.held_bodies,
        )  # fmt: skip

    def _visitors(self, otherwise: ASGIApp | None) -> VerificationApp:
        """Where accounts meet a challenge, in front of `otherwise`."""
        visitors = VerificationApp(self.guard, otherwise)
        self.metrics.counters(
            "verifications",
            "Visits by which an account was to be verified, by how they ended.",
            "outcome",
            lambda: visitors.office.outcomes,
        )
        return visitors

    @contextlib.asynccontextmanager
    async def _receiving(
        self, listener: socket.socket, protocol: type[GuardProtocol], tls: Certificate | None
    ) -> AsyncIterator[None]:
        """Receive visitors on a listener of their own until the block ends."""
        server = self._server(self._visitors(None), protocol, tls)
        server.announce = False
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        sweeping = asyncio.create_task(sweep(server, self._limits()))
        try:
            yield
        finally:
            server.should_exit = True
            await serving
            sweeping.cancel()

    def run(
        self,
        listeners: Sequence[socket.socket],
        admin: socket.socket | None,
        tls: Certificate | None,
        *,
        visitors: socket.socket | None = None,
        ready: Callable[[], None] | None = None,
    ) -> None:
        """Serve until a signal says stop; `ready` is called once connections are accepted.

        `visitors` is where accounts meet a challenge; None: at `listeners`, where requests are
        forwarded, and nowhere, where gateways only ask.
        """
        sys.setswitchinterval(SWITCH)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self.serve(listeners, admin, tls, visitors=visitors, ready=ready))

    async def serve(
        self,
        listeners: Sequence[socket.socket],
        admin: socket.socket | None,
        tls: Certificate | None,
        *,
        visitors: socket.socket | None = None,
        ready: Callable[[], None] | None = None,
    ) -> None:
        """As `run`, inside a running loop."""
        front = self._front
        parting = Parting() if self.options.shared and front.public else None
        protocol = GuardProtocol.bound(
            self._limits(), front.door, asked=not front.public, parting=parting
        )
        app: ASGIApp = front.http
        if visitors is None and front.public:
            app = self._visitors(app).route
        if self._otlp is not None:
            app = self._otlp.traced(app, self.guard)
        main = self._server(app, protocol, tls)

        def serving_now() -> None:
            self.starting = False
            if ready is not None:
                ready()

        main.ready = serving_now
        loop = asyncio.get_running_loop()

        def reloaded(good: bool) -> None:
            self.metrics.reloaded(good)
            # Whose PROXY header is believed follows the policy.
            protocol.limits = self._limits()

        renewed: list[Renewed] = [*front.renewed, *([tls] if tls is not None else [])]
        reloader = Reloader(self.guard, reloaded, renewed=renewed)

        def hang_up() -> None:
            if self._log is not None:
                self._log.reopen()
            reloader.ask()

        linking = self.guard.linking
        if isinstance(linking, SharedLinking):
            linking.reload = lambda: loop.call_soon_threadsafe(reloader.ask) is not None
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        loop.add_signal_handler(signal.SIGHUP, hang_up)
        self.instruments.state = main.server_state
        health = Health(self.guard, front.upstream, self, renewed=renewed, decisions=self._log)
        snapshot = self.instruments.snapshot(health)
        async with contextlib.AsyncExitStack() as stack:
            if admin is not None:
                app = self.admin_app(admin, health, snapshot)
                await stack.enter_async_context(beside(app, admin))
            await stack.enter_async_context(front.listening())
            stack.callback(OnSignal(snapshot, loop, self.options.snapshot_dir).close)
            if visitors is not None:
                await stack.enter_async_context(self._receiving(visitors, protocol, tls))
            for work in (sweep(main, self._limits(), self._missed), reloader.run()):
                stack.callback(loop.create_task(work).cancel)
            serving = asyncio.create_task(main.serve(sockets=list(listeners)))
            stopping = asyncio.create_task(stop.wait())
            # What exists now lives as long as the process: the collector need not look at it again.
            gc.collect()
            gc.freeze()
            gc.set_threshold(*COLLECT)
            await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not serving.done():
                await self._drain(main, protocol)
            stopping.cancel()
            # Raises what kept it from serving: whoever started it is to hear of it.
            await serving
        if self._log is not None:
            self._log.close()
        if self._otlp is not None:
            await asyncio.to_thread(self._otlp.close)
        if self._watching is not None:
            self._watching.close()

    def admin_app(self, listener: socket.socket, health: Health, snapshot: Snapshot) -> ASGIApp:
        """What answers on the admin port at `listener`."""
        shown = self._settings
        if self.options.log_format != OWN:
            # Pages read the log's own schema only.
            shown = msgspec.structs.replace(shown, decision_log=None)
        more = [*self._front.routes, snapshot.route()]
        return one_guard(listener, self.guard, health, self.metrics, self._watching, shown, more)

    def _limits(self) -> Limits:
        proxies = TrustedPeers(self.guard.policy.identify.trusted)
        return msgspec.structs.replace(
            self.options.limits,
            connections=self.options.max_connections,
            proxies=proxies if self.options.proxy_protocol else None,
        )

    def _server(
        self, app: ASGIApp, protocol: type[GuardProtocol], tls: Certificate | None
    ) -> Server:
        config = uvicorn.Config(
            app,
            interface="asgi3",
            http=protocol,
            ws=SocketProtocol,
            ws_per_message_deflate=False,
            lifespan="on",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=max(1, round(self.options.drain)),
        )
        config.load()
        config.ssl = tls.context if tls is not None else None
        server = Server(config)
        server.announce = True
        return server

    async def _drain(self, main: Server, protocol: type[GuardProtocol]) -> None:
        self.draining = protocol.draining = True
        log.info("draining connections=%s", len(main.server_state.connections))
        await asyncio.sleep(self.options.drain_delay)
        main.should_exit = True

    def _missed(self, seconds: float) -> None:
        self.instruments.late += seconds


def _exporting() -> Otlp:
    """Who sends spans and metrics; loaded only where somebody wants it.

    Raises:
        SettingsError: the extra is not installed, or a variable says what it does not take.
    """
    try:
        from gateway_guard.frontends.otlp import Otlp  # noqa: PLC0415

        return Otlp()
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"--otel needs {error.name}: pip install '.[otel]' in a checkout"
        ) from None
    except ValueError as error:
        raise SettingsError(
            f"--otel: OpenTelemetry does not take what one of its variables (OTEL_…) says: {error}"
        ) from error
