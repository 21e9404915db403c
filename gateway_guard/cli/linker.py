"""`gateway-guard linker`: the process that finds campaigns in what all guards of a store see."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket

import typer
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway_guard.campaigns.erasing import bounds_of
from gateway_guard.cli.log_level import log_to_stderr
from gateway_guard.cli.post import check_typed
from gateway_guard.errors import SettingsError
from gateway_guard.policy.source import PolicySource
from gateway_guard.record.herald import Herald
from gateway_guard.record.metrics import Metrics
from gateway_guard.record.snapshots import SnapshotFile
from gateway_guard.settings import Settings
from gateway_guard.stores.connect import parse_address
from gateway_guard.streams.archive import Archive
from gateway_guard.streams.heart import Heart
from gateway_guard.streams.keys import Keys, fingerprint
from gateway_guard.streams.leading import Leader
from gateway_guard.streams.lease import Lease
from gateway_guard.streams.link import Link, until
from gateway_guard.streams.published import publish_heart, publish_leader

log = logging.getLogger(__name__)

#: Seconds between two looks at the policy file.
_LOOK_EVERY = 2.0


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("linker")(linker)


def linker(
    policy: str = typer.Option(
        ..., "--policy", "-p", help="The policy guards should have; who has another is named."
    ),
    store: str | None = typer.Option(
        None, "--store", help="The store of the guards; by default GATEWAY_GUARD_STORE."
    ),
    namespace: str | None = typer.Option(
        None, "--namespace", help="By default GATEWAY_GUARD_STORE_NAMESPACE, or gg."
    ),
    campaigns_file: str | None = typer.Option(
        None,
        "--campaigns-file",
        help="What was learnt, kept besides in the store: for `campaign` and `account`.",
    ),
    admin_host: str = typer.Option("127.0.0.1", "--admin-host", help="Address of the admin port."),
    admin_port: int = typer.Option(
        -1, "--admin-port", min=-1, max=65535, help="Port of /healthz and /metrics; -1: none."
    ),
    log_level: str = typer.Option("info", "--log-level", help="debug, info, warning or error."),
) -> None:
    """Learn from all guards of a store which accounts act as one, and tell them.

    Start two: one learns, the other takes over within three seconds when it dies. Sidecars of the
    store leave the linking to them.
    """
    log_to_stderr(log_level)
    # Heeded once it works; until then it must not end it.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    check_typed(store, namespace)
    settings = Settings.from_environment()
    uri = store or settings.store
    if not uri or not parse_address(uri).shared:
        raise SettingsError(
            "a linker needs the store of its guards: --store redis://host:6379/0, or "
            "GATEWAY_GUARD_STORE"
        )
    if not settings.secret_lasts:
        raise SettingsError(
            "a linker needs the secret of its guards: set GATEWAY_GUARD_SECRET or "
            "GATEWAY_GUARD_SECRET_FILE as there"
        )
    path = settings.campaigns_file if campaigns_file is None else campaigns_file
    file = SnapshotFile(path) if path else None
    process = Process(
        uri, namespace or settings.store_namespace, settings.secret, PolicySource(policy),
        Archive(file, settings.secret, bounds_of(settings.linker_accounts, settings.linker_days)),
        Herald.configured(settings),
    )  # fmt: skip
    listener = None
    if admin_port >= 0:
        from gateway_guard.frontends import listen  # noqa: PLC0415 - uvicorn is an extra

        listener = listen.bind_tcp(admin_host, admin_port, flag="--admin-port")
    typer.echo(
        f"gateway-guard linker at {parse_address(uri)}, policy {policy} "
        f"{process.policies.current.digest}"
        + (f", admin on http://{admin_host}:{listener.getsockname()[1]}" if listener else ""),
        err=True,
    )
    asyncio.run(process.run(listener))


class Process:
    """One linker, or its standby, until SIGTERM or SIGINT. SIGHUP reads the policy again.

    Raises:
        SettingsError: the store cannot be used.
    """

    def __init__(
        self,
        uri: str,
        namespace: str,
        secret: bytes,
        policies: PolicySource,
        archive: Archive,
        herald: Herald | None = None,
    ) -> None:
        self.policies = policies
        self.herald = herald
        keys, key = Keys(namespace), fingerprint(secret)
        address = parse_address(uri)
        self._links = [Link(address) for _ in range(2)]
        # Renewing the lease must not wait for anything else.
        self.leader = Leader(
            self._links[0], keys, key, secret, Lease(self._links[0], keys, key, dedicated=True),
            archive=archive, tell=herald.tell if herald is not None else None,
        )  # fmt: skip
        self.heart = Heart(self._links[1], keys, key, policy=lambda: self.policies.current.digest)

    async def run(self, listener: socket.socket | None) -> None:
        """Work until told to stop; /healthz and /metrics on `listener`."""
        stop, look = asyncio.Event(), asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        loop.add_signal_handler(signal.SIGHUP, look.set)
        async with contextlib.AsyncExitStack() as stack:
            if listener is not None:
                from gateway_guard.frontends.serving import beside  # noqa: PLC0415

                await stack.enter_async_context(beside(self._app(), listener))
            await asyncio.gather(
                self.leader.run(stop), self.heart.run(stop, b""), self._reload(stop, look)
            )
            for link in self._links:
                await link.close()
            if self.herald is not None:
                await asyncio.to_thread(self.herald.close)

    async def _reload(self, stop: asyncio.Event, look: asyncio.Event) -> None:
        while not await until(stop, _LOOK_EVERY):
            if look.is_set() or await asyncio.to_thread(self.policies.changed):
                look.clear()
                good = await asyncio.to_thread(self.policies.reload)
                log.info("policy reloaded" if good else "reload failed, last good one stays")

    def _app(self) -> Starlette:
        metrics = Metrics()
        publish_leader(metrics, self.leader)
        publish_heart(metrics, self.heart)
        if self.herald is not None:
            self.herald.publish(metrics)

        async def healthz(request: Request) -> Response:  # noqa: ARG001
            leader, mine = self.leader, self.policies.current.digest
            return JSONResponse(
                {
                    "status": "ok",
                    "linker": "active" if leader.lease.held else "standby",
                    "caught_up": leader.caught_up,
                    "lag_milliseconds": leader.lag,
                    "trouble": leader.trouble,
                    "policy": mine,
                    "guards": [
                        {
                            "guard": peer.beat.label,
                            "policy": peer.beat.policy,
                            "same_policy": peer.beat.policy == mine,
                            "version": peer.beat.version,
                            "seen_seconds_ago": peer.age,
                        }
                        for peer in self.heart.peers
                    ],
                }
            )

        async def scrape(request: Request) -> Response:  # noqa: ARG001
            body, kind = metrics.render()
            return Response(body, headers={"content-type": kind})

        return Starlette(routes=[Route("/healthz", healthz), Route("/metrics", scrape)])
