"""The admin port of one process, and of several: probes for everybody, all else behind the gate."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence

from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import ASGIApp

from gateway_guard.frontends.access import Access
from gateway_guard.frontends.admin import Health, admin_app
from gateway_guard.frontends.dashboard.desk import Desk
from gateway_guard.frontends.dashboard.routes import Dashboard
from gateway_guard.frontends.dashboard.sources import Here, Source, desk_routes
from gateway_guard.frontends.gate import Gate
from gateway_guard.guard import Guard
from gateway_guard.record.metrics import Metrics
from gateway_guard.record.watching import Watching
from gateway_guard.settings import Settings


def one_guard(
    listener: socket.socket,
    guard: Guard,
    health: Health,
    metrics: Metrics,
    watching: Watching | None,
    settings: Settings,
    more: Sequence[Route],
) -> ASGIApp:
    """The admin port of this process, with `more` routes; without `watching` it has no dashboard.

    On a unix socket it is a worker's: only who gathers for all workers asks there, and shows pages.
    """
    here: Here | None = None
    if watching is not None:
        log = settings.decision_log
        here = Here(guard, watching, health.report, log if log != "-" else None)
    private = listener.family == socket.AF_UNIX
    if private:
        return admin_app(health, metrics, [*more, *(desk_routes(here) if here else ())])
    found: list[Source] = [here] if here is not None else []
    access = Access(settings, listener.getsockname()[0])
    pages = _pages(lambda: found, access, settings) if here is not None else []
    return Gate(admin_app(health, metrics, [*more, *pages]), access)


def several_guards(
    listener: socket.socket,
    app: Starlette,
    sources: Callable[[], Sequence[Source]] | None,
    settings: Settings,
) -> ASGIApp:
    """`app`, the admin port for all workers, with pages; without `sources` it has no dashboard."""
    access = Access(settings, listener.getsockname()[0])
    if sources is not None:
        app.router.routes.extend(_pages(sources, access, settings))
    return Gate(app, access)


def _pages(
    sources: Callable[[], Sequence[Source]], access: Access, settings: Settings
) -> list[Route]:
    return Dashboard(Desk(sources, settings), access).routes()
