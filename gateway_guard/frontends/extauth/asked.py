"""Every way in which gateways ask one guard: HTTP always, SPOE and gRPC beside it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from gateway_guard.frontends import listen
from gateway_guard.frontends.background import Background
from gateway_guard.frontends.extauth.app import ExternalAuth
from gateway_guard.frontends.extauth.leases import Leases
from gateway_guard.frontends.extauth.usage import usage_route
from gateway_guard.guard import Guard
from gateway_guard.record.metrics import Metrics


class Asked:
    """The decision endpoints of one guard; requests let through wait for their end in one place.

    Attributes:
        http: the endpoint of `extauth.app`, for the process's listener.
        routes: for the admin port.

    Args:
        guard: decides.
        metrics: where what happens here is shown.
        lease: as `ExternalAuth` has it.
        spoe, envoy: where HAProxy and Envoy ask, `host:port` or `unix:/path`; None for nowhere.
    """

    def __init__(
        self,
        guard: Guard,
        metrics: Metrics,
        *,
        lease: float = 0.0,
        spoe: str | None = None,
        envoy: str | None = None,
    ) -> None:
        self._guard = guard
        self._metrics = metrics
        self._spoe = spoe
        self._envoy = envoy
        self._leases = Leases(lease)
        self._background = Background(guard, reload_every=None)
        self.http = ExternalAuth(
            guard, leases=self._leases, background=self._background, on_decided=metrics.decided
        )
        self.routes = (usage_route(self.http.report),)
        leases = self._leases
        metrics.gauge("leased", "Requests whose end may still be reported.", lambda: len(leases))
        metrics.counter(
            "leases_expired", "Requests whose end nobody reported.", lambda: leases.expired
        )
        metrics.counter(
            "misasked",
            "Questions refused: the gateway is not trusted, or set up wrongly.",
            lambda: self.http.misasked,
        )

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Answer over SPOE and gRPC until the block ends; then everything leased is settled.

        Raises:
            SettingsError: an address cannot be listened on, or its extra is not installed.
        """
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(self._background.close)
            if self._spoe is not None:
                from gateway_guard.frontends.spoe.server import SpoeServer  # noqa: PLC0415

                agent = SpoeServer(
                    self._guard, leases=self._leases, background=self._background,
                    on_decided=self._metrics.decided,
                )  # fmt: skip
                await agent.start(listen.bind(self._spoe, flag="--spoe"))
                stack.push_async_callback(agent.close)
            if self._envoy is not None:
                # Not before the workers are forked: gRPC does not survive it.
                from gateway_guard.frontends.envoy.server import EnvoyServer  # noqa: PLC0415

                server = EnvoyServer(
                    self._guard, leases=self._leases, background=self._background,
                    on_decided=self._metrics.decided,
                )  # fmt: skip
                await server.start(self._envoy)
                stack.push_async_callback(server.close)
            yield
