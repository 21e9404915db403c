"""`gateway-guard serve`: the sidecar in front of a model API."""

from __future__ import annotations

import enum
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
import typer

from gateway_guard.cli.fitting import (
    accounts_named,
    check_accounts,
    check_frontends,
    check_log,
    check_loop,
    check_prefix,
    check_verification,
)
from gateway_guard.cli.log_level import log_to_stderr
from gateway_guard.cli.scratch import scratch
from gateway_guard.cli.usage import LONGEST, check_sources, usage
from gateway_guard.errors import SettingsError
from gateway_guard.record.gather import Worker
from gateway_guard.settings import Settings
from gateway_guard.stores.connect import parse_address, require_library

log = logging.getLogger(__name__)

#: Where HAProxy and Envoy ask unless told otherwise.
SPOE: Final = "127.0.0.1:9002"
ENVOY: Final = "127.0.0.1:9003"


class LogFormat(enum.StrEnum):
    """What `--log-format` may say: the log's own schema, or one of `record.exporting.SCHEMAS`."""

    GUARD = "guard"
    ECS = "ecs"
    OCSF = "ocsf"


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("serve")(serve)


def serve(
    policy: str = typer.Option(..., "--policy", "-p", help="The policy file."),
    upstream: str | None = typer.Option(
        None, "--upstream", "-u", help="The model API: http(s)://host:port[/prefix] or unix:/path."
    ),
    frontend: list[str] = typer.Option(  # noqa: B008
        ["proxy"],
        "--frontend",
        help="proxy: forward to --upstream. Or answer gateways and forward nothing, by one or more "
        "of extauth (HTTP, at --port), spoe (HAProxy) and envoy (gRPC); may be repeated.",
    ),
    spoe: str | None = typer.Option(
        None, "--spoe", help=f"Where HAProxy asks: host:port or unix:/path.  [default: {SPOE}]"
    ),
    envoy: str | None = typer.Option(
        None, "--envoy", help=f"Where Envoy asks: host:port or unix:/path.  [default: {ENVOY}]"
    ),
    usage_lease: float = typer.Option(
        0.0,
        "--usage-lease",
        min=0.0,
        max=LONGEST,
        help="Where gateways ask: seconds to report a request's real usage in; 0: none.",
    ),
    host: str = typer.Option("127.0.0.1", "--host", help="Address to listen on."),
    port: int = typer.Option(
        8080, "--port", min=0, max=65535, help="Port to listen on; 0 takes a free one."
    ),
    uds: str | None = typer.Option(None, "--uds", help="Listen on this unix socket instead."),
    admin_host: str = typer.Option("127.0.0.1", "--admin-host", help="Address of the admin port."),
    admin_port: int = typer.Option(
        9901,
        "--admin-port",
        min=-1,
        max=65535,
        help="Port of /healthz, /readyz, /metrics of all workers; -1: none.",
    ),
    dashboard: bool | None = typer.Option(
        None,
        "--dashboard/--no-dashboard",
        help="Pages on the admin port; by default where only this machine or who signs in gets in.",
    ),
    workers: int = typer.Option(
        1, "--workers", min=1, max=64, help="Processes; SIGUSR2 replaces them one by one."
    ),
    store: str | None = typer.Option(
        None, "--store", help="Where limits are counted for all workers: redis://host:6379/0, …"
    ),
    allow_split_limits: bool = typer.Option(
        False, "--allow-split-limits", help="Without --store, let each worker count its own limits."
    ),
    ssl_certfile: str | None = typer.Option(
        None, "--ssl-certfile", help="Serve TLS: PEM chain, read again when it changes."
    ),
    ssl_keyfile: str | None = typer.Option(None, "--ssl-keyfile", help="Its private key."),
    upstream_ca: str | None = typer.Option(
        None, "--upstream-ca", help="Trust only these authorities for the upstream (PEM)."
    ),
    proxy_protocol: bool = typer.Option(
        False,
        "--proxy-protocol",
        help="Require a PROXY header (v1, v2) from the policy's trusted proxies; close all others.",
    ),
    preserve_host: bool = typer.Option(
        False, "--preserve-host", help="Send the client's Host to the upstream."
    ),
    timeout_connect: float = typer.Option(
        5.0, "--timeout-connect", min=0.01, max=LONGEST, help="Seconds to connect to the upstream."
    ),
    timeout_read: float = typer.Option(
        300.0,
        "--timeout-read",
        min=0.01,
        max=LONGEST,
        help="Seconds between two pieces of an answer.",
    ),
    timeout_idle_upstream: float = typer.Option(
        4.0,
        "--timeout-idle-upstream",
        min=0.01,
        max=LONGEST,
        help="Seconds an unused connection is kept.",
    ),
    timeout_header: float = typer.Option(
        10.0,
        "--timeout-header",
        min=0.1,
        max=LONGEST,
        help="Seconds a client may take for a request's head.",
    ),
    timeout_body: float = typer.Option(
        30.0,
        "--timeout-body",
        min=0.1,
        max=LONGEST,
        help="Seconds between two pieces of a request body.",
    ),
    timeout_keep_alive: float = typer.Option(
        75.0,
        "--timeout-keep-alive",
        min=0.1,
        max=LONGEST,
        help="Seconds a client's connection may idle.",
    ),
    timeout_write: float = typer.Option(
        60.0,
        "--timeout-write",
        min=0.1,
        max=LONGEST,
        help="Seconds a client may leave an answer unread.",
    ),
    max_body: int = typer.Option(
        100 * 1024 * 1024, "--max-body", min=0, help="Largest request body, bytes."
    ),
    max_connections: int = typer.Option(
        10_000, "--max-connections", min=1, help="Open connections, on either side."
    ),
    drain: float = typer.Option(
        30.0, "--drain", min=0.0, max=LONGEST, help="Seconds to finish after SIGTERM."
    ),
    drain_delay: float = typer.Option(
        0.5, "--drain-delay", min=0.0, max=LONGEST, help="Seconds to go on accepting after SIGTERM."
    ),
    accounts: str | None = typer.Option(
        None,
        "--accounts",
        help="Account attributes: a file (JSON lines, CSV), or https://host/{account} to ask.",
    ),
    network: list[str] = typer.Option(  # noqa: B008
        [], "--network", help="A further network database (MMDB); may be repeated."
    ),
    campaigns_file: str | None = typer.Option(
        None,
        "--campaigns-file",
        help="What was learnt of campaigns, kept over restarts; empty for nowhere.",
    ),
    decision_log: str | None = typer.Option(
        None, "--decision-log", help="Where decisions are written; - for standard output."
    ),
    verify: str | None = typer.Option(
        None, "--verify", help="Receive visitors who verify an account here, not at --port."
    ),
    log_format: LogFormat = typer.Option(  # noqa: B008
        LogFormat.GUARD,
        "--log-format",
        help="Schema of the decision log: the guard's own, ECS or OCSF (see export).",
    ),
    otel: bool = typer.Option(
        False,
        "--otel",
        help="Send spans and metrics over OTLP/HTTP, as the OTEL_… variables say (extra: otel).",
    ),
    snapshot_dir: str | None = typer.Option(
        None,
        "--snapshot-dir",
        help="Where SIGUSR1 puts snapshot-PID.json; without it, one line on standard error.",
    ),
    core_dumps: bool = typer.Option(
        False,
        "--core-dumps",
        help="Let a crash write memory to disk, and debuggers attach: keys and prompts are in it.",
    ),
    log_level: str = typer.Option("info", "--log-level", help="debug, info, warning or error."),
) -> None:
    """Guard a model API: listen here, decide, forward to --upstream (or answer a gateway)."""
    check_frontends(frontend, upstream, spoe, envoy, usage_lease, workers)
    spoe = spoe or SPOE if "spoe" in frontend else None
    envoy = envoy or ENVOY if "envoy" in frontend else None
    # First of all: what is said from here on is to be seen.
    log_to_stderr(log_level)
    # Heeded once it serves (the last by a supervisor alone); until then they must not end it: logs
    # are rotated without asking who is just starting.
    for early in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(early, signal.SIG_IGN)
    with usage():
        if store:
            parse_address(store)
    check_sources(network)
    if snapshot_dir and not os.access(snapshot_dir, os.W_OK | os.X_OK):
        raise SettingsError(f"--snapshot-dir {snapshot_dir}: no directory this process may write")
    settings = Settings.from_environment()
    store = settings.store if store is None else store
    shared = store is not None and parse_address(store or "memory://").shared
    if workers > 1 and not shared and not allow_split_limits:
        raise typer.BadParameter(
            f"--workers {workers}: without a shared store every worker counts its own limits, so "
            f"an account would get up to {workers} times its quota. Name a store they share, "
            "--store redis://host:6379/0, or run one worker, or say --allow-split-limits and "
            "divide the quotas yourself"
        )
    if shared:
        settings.require_secret()
        require_library()
    from gateway_guard.accounts.file import FileDirectory  # noqa: PLC0415
    from gateway_guard.accounts.seen import Seen  # noqa: PLC0415
    from gateway_guard.frontends import (  # noqa: PLC0415  (an extra)
        coredumps,
        descriptors,
        gathering,
        listen,
        memory,
    )
    from gateway_guard.frontends.access import opens  # noqa: PLC0415
    from gateway_guard.frontends.certificate import Certificate  # noqa: PLC0415
    from gateway_guard.frontends.patience import Limits  # noqa: PLC0415
    from gateway_guard.frontends.server import Options, Sidecar  # noqa: PLC0415
    from gateway_guard.frontends.upstream import Origin, Timeouts  # noqa: PLC0415
    from gateway_guard.frontends.workers import supervise  # noqa: PLC0415
    from gateway_guard.policy.source import PolicySource  # noqa: PLC0415

    if not core_dumps:
        coredumps.forbid()
    settings = msgspec.structs.replace(
        settings,
        store=store or None,
        total_workers=max(settings.total_workers, workers),
        **accounts_named(accounts),
        network_files=(*network, *settings.network_files),
        campaigns_file=settings.campaigns_file if campaigns_file is None else campaigns_file,
        decision_log=decision_log or settings.decision_log,
    )
    check_log(policy, settings)
    host, admin_host = listen.bare(host), listen.bare(admin_host)
    pages = admin_port >= 0 and opens(settings, admin_host, dashboard, usage=usage_lease > 0)
    clients, forwarded = descriptors.room(max_connections, forwards=upstream is not None)
    options = Options(
        policy=policy,
        upstream=upstream,
        spoe=spoe,
        envoy=envoy,
        usage_lease=usage_lease,
        upstream_ca=upstream_ca,
        preserve_host=preserve_host,
        timeouts=Timeouts(connect=timeout_connect, read=timeout_read, idle=timeout_idle_upstream),
        max_connections=clients,
        max_upstream=forwarded,
        max_body=max_body,
        held_bodies=memory.for_bodies(workers),
        limits=Limits(
            head=timeout_header, body=timeout_body, idle=timeout_keep_alive, write=timeout_write
        ),
        proxy_protocol=proxy_protocol,
        drain=drain,
        drain_delay=drain_delay,
        dashboard=pages,
        log_format=log_format.value,
        otel=otel,
        snapshot_dir=snapshot_dir,
        shared=workers > 1,
    )
    if ssl_keyfile and not ssl_certfile:
        raise typer.BadParameter("--ssl-keyfile needs --ssl-certfile")
    with usage():
        for flag, asked in (("--spoe", spoe), ("--envoy", envoy), ("--verify", verify)):
            if asked is not None:
                listen.parse(asked, flag=flag)
        if upstream is not None:
            origin = Origin.parse(upstream)
            check_loop(origin, host, port, uds)
            check_prefix(origin)
            if upstream_ca is not None and not origin.secure:
                raise typer.BadParameter("--upstream-ca is for an --upstream with https")
    tls = Certificate(ssl_certfile, ssl_keyfile) if ssl_certfile else None
    # Everything that can be wrong is wrong here, before the first connection is accepted.
    sidecar: Sidecar | None = None
    if workers == 1:
        sidecar = Sidecar(options, settings)
        policies = sidecar.guard.policies
    else:
        # Each worker builds its own: threads and file offsets do not survive a fork.
        policies = PolicySource(policy)
    policies.warn()
    judge = policies.current
    check_accounts(judge, settings)
    if judge.verification is not None:
        visited = verify is not None or upstream is not None
        check_verification(judge.verification, settings, workers, visited=visited)
    visitors = listen.bind(verify, flag="--verify") if verify is not None else None
    listeners: list[socket.socket] = []
    if "proxy" in frontend or "extauth" in frontend:
        listeners.append(
            listen.bind_unix(uds) if uds else listen.bind_tcp(host, port, flag="--host and --port")
        )
    admin = None
    if admin_port >= 0:
        admin = listen.bind_tcp(admin_host, admin_port, flag="--admin-port")
    scheme = "https" if tls else "http"
    where = [f"unix:{uds}" if uds else f"{scheme}://{listen.shown(one)}" for one in listeners]
    where += [f"{name}://{at}" for name, at in (("spoe", spoe), ("grpc", envoy)) if at]
    typer.echo(
        f"gateway-guard listens on {', '.join(where)}, "
        + (f"forwards to {upstream}, " if upstream is not None else "answers gateways, ")
        + (f"visitors on {scheme}://{listen.shown(visitors)}, " if visitors else "")
        + (f"admin on http://{listen.shown(admin)}, " if admin else "")
        + (f"dashboard on http://{listen.shown(admin)}/dashboard, " if admin and pages else "")
        + f"policy {policy} {judge.digest} {'enforced' if judge.enforce else 'in shadow'}",
        err=True,
    )
    try:
        if sidecar is not None:
            sidecar.run(listeners, admin, tls, visitors=visitors)
            status = 0
        else:
            with scratch("gateway-guard-") as name:
                folder = Path(name)

                seen = Seen()

                def work(worker: Worker, ready: Callable[[], None]) -> None:
                    one = Sidecar(options, settings)
                    if tls is not None:
                        # One that replaces another has it from when the first was started.
                        tls.renew()
                    if isinstance(one.guard.accounts, FileDirectory):
                        one.guard.accounts.beside(seen)
                    if admin is None:
                        one.run(listeners, None, tls, visitors=visitors, ready=ready)
                        return
                    admin.close()
                    ours = listen.bind_unix(str(gathering.socket_of(folder, worker)), mode=0o600)
                    one.run(listeners, ours, tls, visitors=visitors, ready=ready)
                    gathering.leave(folder, worker, one.metrics.render()[0])

                def leave() -> None:
                    for listener in (*listeners, *([visitors] if visitors is not None else [])):
                        listener.close()

                def gather() -> None:
                    if admin is not None:
                        leave()
                        all_of_them = gathering.Workers(folder, workers)
                        gathering.run(admin, all_of_them, settings, dashboard=pages)

                status = supervise(workers, work, beside=gather if admin else None, stopping=leave)
    finally:
        if uds:
            Path(uds).unlink(missing_ok=True)
    sys.exit(status)
