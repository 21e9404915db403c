"""`gateway-guard serve`: the sidecar in front of a model API."""

from __future__ import annotations

import logging
import os
import socket
import sys

import msgspec
import typer

from gateway_guard.errors import SettingsError
from gateway_guard.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("serve")(serve)


def serve(
    policy: str = typer.Option(..., "--policy", "-p", help="The policy file."),
    upstream: str = typer.Option(
        ..., "--upstream", "-u", help="The model API: http(s)://host:port[/prefix] or unix:/path."
    ),
    host: str = typer.Option("127.0.0.1", "--host", help="Address to listen on."),
    port: int = typer.Option(8080, "--port", help="Port to listen on; 0 takes a free one."),
    uds: str | None = typer.Option(None, "--uds", help="Listen on this unix socket instead."),
    admin_host: str = typer.Option("127.0.0.1", "--admin-host", help="Address of the admin port."),
    admin_port: int = typer.Option(
        9901, "--admin-port", help="Port of /healthz, /readyz, /metrics; worker N adds N; -1: none."
    ),
    workers: int = typer.Option(1, "--workers", min=1, max=64, help="Processes."),
    allow_split_limits: bool = typer.Option(
        False, "--allow-split-limits", help="Let each worker count its own limits."
    ),
    ssl_certfile: str | None = typer.Option(None, "--ssl-certfile", help="Serve TLS: PEM chain."),
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
        5.0, "--timeout-connect", min=0.01, help="Seconds to connect to the upstream."
    ),
    timeout_read: float = typer.Option(
        300.0, "--timeout-read", min=0.01, help="Seconds between two pieces of an answer."
    ),
    timeout_idle_upstream: float = typer.Option(
        4.0, "--timeout-idle-upstream", min=0.01, help="Seconds an unused connection is kept."
    ),
    timeout_header: float = typer.Option(
        10.0, "--timeout-header", min=0.1, help="Seconds a client may take for a request's head."
    ),
    timeout_body: float = typer.Option(
        30.0, "--timeout-body", min=0.1, help="Seconds between two pieces of a request body."
    ),
    timeout_keep_alive: float = typer.Option(
        75.0, "--timeout-keep-alive", min=0.1, help="Seconds a client's connection may idle."
    ),
    timeout_write: float = typer.Option(
        60.0, "--timeout-write", min=0.1, help="Seconds a client may leave an answer unread."
    ),
    max_body: int = typer.Option(
        100 * 1024 * 1024, "--max-body", min=0, help="Largest request body, bytes."
    ),
    max_connections: int = typer.Option(
        10_000, "--max-connections", min=1, help="Open connections, on either side."
    ),
    drain: float = typer.Option(30.0, "--drain", min=0.0, help="Seconds to finish after SIGTERM."),
    drain_delay: float = typer.Option(
        0.5, "--drain-delay", min=0.0, help="Seconds to go on accepting after SIGTERM."
    ),
    accounts: str | None = typer.Option(
        None, "--accounts", help="Account attributes, JSON lines or CSV."
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
    log_level: str = typer.Option("info", "--log-level", help="debug, info, warning or error."),
) -> None:
    """Guard a model API: listen here, decide, forward to --upstream."""
    if workers > 1 and not allow_split_limits:
        raise SettingsError(
            f"--workers {workers}: without a shared store every worker counts its own limits, so "
            f"an account would get up to {workers} times its quota. Run one worker, or say "
            "--allow-split-limits and divide the quotas yourself"
        )
    _log_to_stderr(log_level)
    from gateway_guard.frontends import listen  # noqa: PLC0415  (uvicorn is an extra)
    from gateway_guard.frontends.patience import Limits  # noqa: PLC0415
    from gateway_guard.frontends.server import Options, Sidecar  # noqa: PLC0415
    from gateway_guard.frontends.upstream import Origin, Timeouts  # noqa: PLC0415
    from gateway_guard.frontends.workers import supervise  # noqa: PLC0415
    from gateway_guard.policy.compile import load_policy  # noqa: PLC0415

    settings = Settings.from_environment()
    settings = msgspec.structs.replace(
        settings,
        accounts_file=accounts or settings.accounts_file,
        network_files=(*network, *settings.network_files),
        campaigns_file=settings.campaigns_file if campaigns_file is None else campaigns_file,
        decision_log=decision_log or settings.decision_log,
    )
    options = Options(
        policy=policy,
        upstream=upstream,
        upstream_ca=upstream_ca,
        preserve_host=preserve_host,
        timeouts=Timeouts(connect=timeout_connect, read=timeout_read, idle=timeout_idle_upstream),
        max_connections=max_connections,
        max_body=max_body,
        limits=Limits(
            head=timeout_header, body=timeout_body, idle=timeout_keep_alive, write=timeout_write
        ),
        proxy_protocol=proxy_protocol,
        drain=drain,
        drain_delay=drain_delay,
    )
    if ssl_keyfile and not ssl_certfile:
        raise SettingsError("--ssl-keyfile needs --ssl-certfile")
    tls = listen.server_tls(ssl_certfile, ssl_keyfile) if ssl_certfile else None
    listener = (
        listen.bind_unix(uds) if uds else listen.bind_tcp(host, port, flag="--host and --port")
    )
    admins = [
        listen.bind_tcp(admin_host, admin_port + i if admin_port else 0, flag="--admin-port")
        for i in range(workers if admin_port >= 0 else 0)
    ]
    # Everything that can be wrong is wrong here, before the first connection is accepted.
    sidecar: Sidecar | None = None
    if workers == 1:
        sidecar = Sidecar(options, settings)
        judge = sidecar.guard.policy
    else:
        # Each worker builds its own: threads and file offsets do not survive a fork.
        Origin.parse(upstream)
        judge = load_policy(policy)
    scheme = "https" if tls else "http"
    where = f"unix:{uds}" if uds else f"{scheme}://{_address(listener)}"
    typer.echo(
        f"gateway-guard listens on {where}, forwards to {upstream}, "
        + "".join(f"admin on http://{_address(admin)}, " for admin in admins)
        + f"policy {policy} {judge.digest} {'enforced' if judge.enforce else 'in shadow'}",
        err=True,
    )
    try:
        if sidecar is not None:
            sidecar.run([listener], admins[0] if admins else None, tls)
            status = 0
        else:
            status = supervise(
                workers,
                lambda i: Sidecar(options, settings).run(
                    [listener], admins[i] if admins else None, tls
                ),
                stopping=listener.close,
            )
    finally:
        if uds:
            _remove(uds)
    sys.exit(status)


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _remove(path: str) -> None:
    try:
        os.unlink(path)  # noqa: PTH108
    except FileNotFoundError:
        return


def _log_to_stderr(level: str) -> None:
    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        raise SettingsError(f"--log-level {level!r}: write debug, info, warning or error")
    logging.basicConfig(
        level=number, format="%(asctime)s %(levelname)s %(name)s %(message)s", stream=sys.stderr
    )
    logging.getLogger("uvicorn").setLevel(max(number, logging.WARNING))
    logging.getLogger("websockets").setLevel(max(number, logging.WARNING))
