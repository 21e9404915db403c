"""The admin port: is it alive, is it ready, what has it counted. Loopback unless told otherwise.

/healthz   200 while the process answers
/readyz    200 `ok`, or `degraded` (a reload failed, a database is missing, an issuer of keys does
           not answer: the last good serves; campaigns cannot be saved);
           503 `unready` (upstream unreachable) or `draining`
/metrics   Prometheus text
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway_guard import __version__
from gateway_guard.errors import UpstreamError
from gateway_guard.frontends.upstream import Upstream
from gateway_guard.guard import Guard
from gateway_guard.record.metrics import Metrics

#: Seconds for which one look at the upstream counts: probes must not become load.
CHECK_EVERY = 2.0


class Draining(Protocol):
    """Whoever knows that the process is about to stop."""

    @property
    def draining(self) -> bool: ...


class Health:
    """Readiness, with its reasons."""

    def __init__(
        self,
        guard: Guard,
        upstream: Upstream,
        state: Draining,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._guard = guard
        self._upstream = upstream
        self._state = state
        self._clock = clock
        self._checked = float("-inf")
        self._failure: str | None = None

    async def report(self) -> tuple[int, dict[str, Any]]:
        """HTTP status and body of `/readyz`."""
        await self._look()
        policies = self._guard.policies
        policy = policies.current
        network = self._guard.network.describe()
        troubles = []
        if policies.error is not None:
            troubles.append("the policy on disk does not load; the last good one is in force")
        troubles += [f"network data: {entry['error']}" for entry in network if entry.get("error")]
        troubles += [
            f"key set {url} not fetched: {why}" for url, why in self._guard.key_errors.items()
        ]
        keeper = linking.keeper if (linking := self._guard.linking) is not None else None
        if keeper is not None and keeper.trouble is not None:
            troubles.append(keeper.trouble)
        if not network:
            troubles.append("no network data: every address is unknown")
        if self._state.draining:
            status, word = 503, "draining"
        elif self._failure is not None:
            status, word = 503, "unready"
            troubles.append(self._failure)
        else:
            status, word = 200, "degraded" if troubles else "ok"
        return status, {
            "status": word,
            "troubles": troubles,
            "version": __version__,
            "policy": {"source": policy.source, "digest": policy.digest, "enforce": policy.enforce},
            "network": network,
            "upstream": {
                "connections": self._upstream.open,
                "retried": self._upstream.retried,
            },
        }

    async def _look(self) -> None:
        now = self._clock()
        if now - self._checked < CHECK_EVERY:
            return
        self._checked = now
        try:
            await self._upstream.check()
        except UpstreamError as error:
            self._failure = str(error)
        else:
            self._failure = None


def admin_app(health: Health, metrics: Metrics) -> Starlette:
    """The three routes."""

    async def healthz(request: Request) -> Response:  # noqa: ARG001
        return _json(200, {"status": "ok", "version": __version__})

    async def readyz(request: Request) -> Response:  # noqa: ARG001
        return _json(*await health.report())

    async def scrape(request: Request) -> Response:  # noqa: ARG001
        body, content_type = metrics.render()
        return Response(body, media_type=None, headers={"content-type": content_type})

    return Starlette(
        routes=[
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            Route("/metrics", scrape),
        ]
    )


def _json(status: int, value: dict[str, Any]) -> Response:
    body = msgspec.json.encode(value, enc_hook=str)
    return Response(body, status, media_type="application/json")
