"""The admin port: is it alive, is it ready, what has it counted. Loopback unless told otherwise.

/healthz   200 while the process answers; says whether shared state does
/readyz    200 `ok`, or `degraded` (a reload failed, a database is missing, an issuer of keys does
           not answer: the last good serves; campaigns cannot be saved, or their verdicts not
           followed; decisions cannot be logged; shared state does not answer);
           503 `starting` (nothing is accepted yet: shared verdicts are waited for, shortly),
           `unready` (upstream unreachable) or `draining`
/metrics   Prometheus text
/v1/usage  where gateways ask: what requests really cost (`extauth.usage`)
/debug/snapshot  how the process is, for diagnosis (`snapshot`)
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Protocol

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway_guard import __version__
from gateway_guard.errors import PolicyError, UpstreamError
from gateway_guard.frontends.renewed import Renewed
from gateway_guard.frontends.upstream import Upstream
from gateway_guard.guard import Guard
from gateway_guard.policy.diagnostics import CODES, Diagnostic, Severity
from gateway_guard.record.encoding import encoded
from gateway_guard.record.log import DecisionLog
from gateway_guard.record.metrics import Metrics

#: Seconds for which one look at the upstream counts: probes must not become load.
CHECK_EVERY = 2.0


class Phase(Protocol):
    """Whoever knows whether the process accepts nothing yet, or is about to stop."""

    @property
    def starting(self) -> bool: ...

    @property
    def draining(self) -> bool: ...


class Health:
    """Readiness, with its reasons."""

    def __init__(
        self,
        guard: Guard,
        upstream: Upstream | None,
        state: Phase,
        *,
        renewed: Sequence[Renewed] = (),
        decisions: DecisionLog | None = None,
    ) -> None:
        self._guard = guard
        self._renewed = renewed
        self._decisions = decisions
        self._upstream = upstream
        self._state = state
        self._checked = float("-inf")
        self._failure: str | None = None

    async def report(self) -> tuple[int, dict[str, Any]]:
        """HTTP status and body of `/readyz`."""
        await self._look()
        return self.state()

    def state(self) -> tuple[int, dict[str, Any]]:
        """As `report`, by the latest look at the upstream; from any thread."""
        policies = self._guard.policies
        policy = policies.current
        network = self._guard.network.describe()
        troubles = []
        if policies.error is not None:
            troubles.append(
                f"the policy on disk does not load ({_first(policies.error)}); the last good one "
                "is in force"
            )
        troubles += [f"network data: {entry['error']}" for entry in network if entry.get("error")]
        troubles += [
            f"key set {url} not fetched: {why}" for url, why in self._guard.key_errors.items()
        ]
        # A directory of an application's own may not say.
        accounts = getattr(self._guard.accounts, "trouble", None)
        if accounts is not None:
            troubles.append(f"account attributes: {accounts}")
        indicators = self._guard.indicators
        if indicators.error is not None:
            troubles.append(f"shared indicators: {indicators.error}")
        linking = self._guard.linking
        if linking is not None and linking.trouble is not None:
            troubles.append(linking.trouble)
        logged = self._decisions.trouble if self._decisions is not None else None
        if logged is not None:
            troubles.append(f"decision log: {logged}")
        store = shared.health() if (shared := self._guard.shared) is not None else None
        if store is not None and store.down_for is not None:
            troubles.append(
                f"shared state has not answered for {store.down_for:.1f} s ({store.trouble}): "
                f"on_error.store, {policy.on_error.store}, decides"
            )
        troubles += [f"{one.error}; {one.kept}" for one in self._renewed if one.error is not None]
        if not network:
            troubles.append("no network data: every address is unknown")
        if self._state.draining:
            status, word = 503, "draining"
        elif self._state.starting:
            status, word = 503, "starting"
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
            "store": "memory" if store is None else msgspec.structs.asdict(store),
            "network": network,
            "indicators": indicators.describe(),
            "accounts": {"error": accounts},
            "keys": dict(self._guard.key_errors),
            "campaigns": {"error": linking.trouble} if linking is not None else None,
            "decision_log": {"error": logged} if self._decisions is not None else None,
            "upstream": {
                "connections": self._upstream.open,
                "retried": self._upstream.retried,
            }
            if self._upstream is not None
            else None,
        }

    def alive(self) -> dict[str, Any]:
        """Body of `/healthz`. Shared state that is down is no reason to start this process anew."""
        shared = self._guard.shared
        store = "memory" if shared is None else "up" if shared.health().up else "down"
        return {"status": "ok", "version": __version__, "store": store}

    async def _look(self) -> None:
        if self._upstream is None:
            return
        now = time.monotonic()
        if now - self._checked < CHECK_EVERY:
            return
        self._checked = now
        try:
            await self._upstream.check()
        except UpstreamError as error:
            self._failure = str(error)
        else:
            self._failure = None


def admin_app(health: Health, metrics: Metrics, more: Sequence[Route] = ()) -> Starlette:
    """The three routes, and `more`."""

    async def healthz(request: Request) -> Response:  # noqa: ARG001
        return json_response(200, health.alive())

    async def readyz(request: Request) -> Response:  # noqa: ARG001
        return json_response(*await health.report())

    async def scrape(request: Request) -> Response:  # noqa: ARG001
        body, content_type = metrics.render()
        return Response(body, media_type=None, headers={"content-type": content_type})

    return Starlette(
        routes=[
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            Route("/metrics", scrape),
            *more,
        ]
    )


def _first(error: PolicyError) -> str:
    """The place and kind of a policy's first mistake. Not the word: `/readyz` asks nobody."""
    for one in error.diagnostics:
        if isinstance(one, Diagnostic) and one.severity is Severity.ERROR:
            return f"{one.place}: {one.code}, {CODES[one.code].title}"
    return "the log says why"


def json_response(status: int, value: dict[str, Any]) -> Response:
    """`value` as a JSON answer."""
    return Response(encoded(value), status, media_type="application/json")
