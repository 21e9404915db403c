"""Every way in which gateways ask one guard: over HTTP, SPOE and gRPC, whichever are wanted."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from importlib.util import find_spec

from gateway_guard.errors import SettingsError
from gateway_guard.frontends import listen
from gateway_guard.frontends.extauth.app import ExternalAuth
from gateway_guard.frontends.extauth.desk import Desk
from gateway_guard.frontends.extauth.leases import MOST
from gateway_guard.frontends.extauth.usage import usage_route
from gateway_guard.frontends.renewed import Renewed
from gateway_guard.guard import Guard
from gateway_guard.record.metrics import Metrics


class Asked:
    """The decision endpoints of one guard; requests let through wait for their end in one place.

    Attributes:
        http: the endpoint of `extauth.app`, for the process's listener.
        upstream: None: gateways forward what they ask about.
        public: clients never come to that listener.
        door: None: whoever asks is answered, a gateway would take a refusal for a decision.
        routes: for the admin port.
        renewed: nothing; gateways have the certificates.

    Args:
        guard: decides; closed at the end of `listening`.
        metrics: where what happens here is shown.
        lease: as `Desk` has it.
        spoe, envoy: where HAProxy and Envoy ask, `host:port` or `unix:/path`; None for nowhere.

    Raises:
        SettingsError: the policy believes nobody, so that nobody could ask; or what speaks to
            Envoy is not installed.
    """

    upstream = None
    public = False
    door = None
    renewed: tuple[Renewed, ...] = ()

    def __init__(
        self,
        guard: Guard,
        metrics: Metrics,
        *,
        lease: float = 0.0,
        spoe: str | None = None,
        envoy: str | None = None,
    ) -> None:
        who = guard.policy.identify
        if not (who.trusted or who.trust_unix):
            raise SettingsError(
                "gateways that ask need identify.trusted_proxies in the policy: "
                "nobody else may say whom a request comes from"
            )
        # Looked for, not loaded: before the process says where it listens.
        if envoy is not None and find_spec("grpc") is None:
            raise SettingsError("--frontend envoy needs grpc: pip install '.[envoy]' in a checkout")
        self._metrics = metrics
        self._spoe = spoe
        self._envoy = envoy
        desk = self._desk = Desk(guard, lease=lease, on_decided=metrics.decided)
        self.http = ExternalAuth(desk)
        self.routes = (usage_route(desk.report),)
        leases = desk.leases
        metrics.gauge("leased", "Requests whose end may still be reported.", lambda: len(leases))
        metrics.counter(
            "leases_expired", "Requests whose end nobody reported.", lambda: leases.expired
        )
        metrics.counter(
            "leases_unknown", "Reports about requests that are not waited for.",
            lambda: leases.unknown,
        )  # fmt: skip
        metrics.counter(
            "misasked",
            "Questions refused: the gateway is not trusted, or set up wrongly.",
            lambda: desk.misasked,
        )

    @property
    def sizes(self) -> dict[str, tuple[int, int]]:
        """Table → (entries, most there may be)."""
        return {"leases": (len(self._desk.leases), MOST)}

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Answer over SPOE and gRPC until the block ends; then everything leased is settled.

        Raises:
            SettingsError: an address cannot be listened on, or its extra is not installed.
        """
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(self._desk.close)
            await self._desk.begin()
            if self._spoe is not None:
                await self._start_spoe(self._spoe, stack)
            if self._envoy is not None:
                await self._start_envoy(self._envoy, stack)
            yield

    async def _start_spoe(self, address: str, stack: contextlib.AsyncExitStack) -> None:
        from gateway_guard.frontends.spoe.server import SpoeServer  # noqa: PLC0415

        agent = SpoeServer(self._desk)
        await agent.start(listen.bind(address, flag="--spoe"))
        stack.push_async_callback(agent.close)
        self._metrics.gauge(
            "spoe_connections", "Open connections from HAProxy.", lambda: len(agent.connections)
        )
        self._metrics.counter(
            "spoe_broken",
            "Connections from HAProxy ended because of what was sent over them.",
            lambda: agent.broken,
        )
        self._metrics.counter(
            "spoe_malformed",
            "Requests refused over SPOE: their head can be read in two ways.",
            lambda: agent.malformed,
        )

    async def _start_envoy(self, address: str, stack: contextlib.AsyncExitStack) -> None:
        # Not before the workers are forked: gRPC does not survive it.
        from gateway_guard.frontends.envoy.server import EnvoyServer  # noqa: PLC0415

        server = EnvoyServer(self._desk)
        await server.start(address)
        stack.push_async_callback(server.close)
        counting = server.counting
        self._metrics.counter(
            "envoy_over_limit", "Answers of the rate-limit service that refused.",
            lambda: counting.over,
        )  # fmt: skip
        self._metrics.counter(
            "envoy_descriptors_unknown",
            "Descriptors the rate-limit service did not understand, hence let through.",
            lambda: counting.unknown,
        )
