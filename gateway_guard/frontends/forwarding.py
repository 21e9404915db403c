"""The guard in front of a model API: what clients ask for is judged, and forwarded.

`extauth.asked` is the other thing a process can do with requests; both have the same names for what
a server needs of them.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from starlette.routing import Route

from gateway_guard.frontends.admission import SIDECAR_LAG, publish_admission
from gateway_guard.frontends.asgi import GuardMiddleware
from gateway_guard.frontends.authorities import Authorities
from gateway_guard.frontends.door import Door
from gateway_guard.frontends.holding import Holding
from gateway_guard.frontends.proxy import Forward
from gateway_guard.frontends.upstream import Origin, Timeouts, Upstream, tls_context
from gateway_guard.guard import Guard
from gateway_guard.record.metrics import Metrics


class Forwarding:
    """One guard's way to one upstream.

    Attributes:
        http: for the process's listener.
        upstream: the connections to the model API.
        public: clients themselves come to that listener.
        routes: for the admin port; none.
        renewed: the authorities of `ca`.

    Args:
        guard: decides.
        metrics: where what happens here is shown.
        url: of the model API (`Origin.parse`).
        ca: PEM file of the only authorities trusted for it; None for the system's.
        preserve_host: whether it sees the client's Host.
        timeouts: how long it may take.
        max_connections: to it, open at once.
        max_body: largest request body, bytes.
        held_bodies: most of unfinished ones together, bytes.

    Raises:
        SettingsError: `url` or `ca` cannot be used.
    """

    public = True
    routes: tuple[Route, ...] = ()

    def __init__(
        self,
        guard: Guard,
        metrics: Metrics,
        *,
        url: str,
        ca: str | None,
        preserve_host: bool,
        timeouts: Timeouts,
        max_connections: int,
        max_body: int,
        held_bodies: int,
    ) -> None:
        origin = Origin.parse(url)
        self._most = max_connections
        upstream = self.upstream = Upstream(
            origin,
            timeouts=timeouts,
            tls=tls_context(ca) if origin.secure else None,
            max_connections=max_connections,
        )
        self.renewed = [Authorities(ca, upstream)] if ca and origin.secure else []
        forward = Forward(
            upstream, policy=lambda: guard.policy, preserve_host=preserve_host, max_body=max_body
        )
        middleware = self.http = GuardMiddleware(
            forward, guard=guard, lag=SIDECAR_LAG, on_decided=metrics.decided
        )
        middleware.admission.holding = Holding(held_bodies)
        publish_admission(middleware.admission, metrics)
        self.door = Door(guard, middleware.admission)
        metrics.gauge(
            "upstream_connections", "Open connections to the upstream.", lambda: upstream.open
        )
        metrics.counter(
            "upstream_retries", "Requests sent to the upstream twice.", lambda: upstream.retried
        )
        metrics.counter(
            "abandoned",
            "Requests whose client left before the body was complete; not judged.",
            lambda: middleware.abandoned,
        )

    @property
    def sizes(self) -> dict[str, tuple[int, int]]:
        """Table → (entries, most there may be)."""
        tarpit = self.http.tarpit
        return {
            "upstream_connections": (self.upstream.open, self._most),
            "refusals_held": (tarpit.held, tarpit.capacity),
        }

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Forward until the block ends."""
        try:
            yield
        finally:
            self.upstream.close()
