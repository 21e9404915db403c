"""Where every way of asking comes together: who may ask, one decision a question, and its end.

HTTP (`app`), SPOE and gRPC read a question and write an answer; what lies between is here, once.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from time import perf_counter

from gateway_guard.frontends.background import Background
from gateway_guard.frontends.extauth.leases import Leases
from gateway_guard.frontends.extauth.settling import Settling
from gateway_guard.frontends.extauth.telling import MISASKED, Told, tell
from gateway_guard.frontends.extauth.usage import Report
from gateway_guard.frontends.forwarded import TrustedPeers
from gateway_guard.guard import Guard
from gateway_guard.types import Usage, Wire

log = logging.getLogger(__name__)


class Desk:
    """One guard, as gateways meet it. Belongs to one event loop; closes the guard at the end.

    Attributes:
        guard: the brain.
        misasked: questions refused because whoever asks is not trusted or set up wrongly, or
            because the guard could not answer, since the start.

    Args:
        guard: decides.
        lease: seconds for a report of the real usage; 0 settles every request at once by its
            estimate: then a limit on concurrency counts nothing.
        on_decided: told how long each decision took, seconds; must not raise.
        clock: seconds on any clock that never runs backwards, for the lease.
    """

    def __init__(
        self,
        guard: Guard,
        *,
        lease: float = 0.0,
        on_decided: Callable[[float], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.guard = guard
        self.misasked = 0
        self._on_decided = on_decided
        self._background = Background(guard, reload_every=None)
        self._settling = Settling(Leases(lease), self._background.settle, clock)
        self._peers = TrustedPeers(())

    @property
    def leases(self) -> Leases:
        """Requests let through whose end may still be reported."""
        return self._settling.leases

    @property
    def saying_who(self) -> frozenset[bytes]:
        """Names of the header fields by which the policy recognises accounts, lower case."""
        accounts = self.guard.policy.identify.accounts
        return frozenset(source.header.encode() for source in accounts if source.header)

    def stranger(self, peer: str | None) -> str | None:
        """Why `peer` (an address, None for a unix socket) may not ask; None when it may.

        Who may ask is who may say whom it asks for: the policy's `trusted_proxies`. Asked for each
        question: the policy may have changed since the peer connected.
        """
        identify = self.guard.policy.identify
        if peer is None:
            trusted = identify.trust_unix
        else:
            if self._peers.networks != tuple(identify.trusted):
                self._peers = TrustedPeers(identify.trusted)
            trusted = peer in self._peers
        name = "a unix socket" if peer is None else peer or "a peer without an address"
        return None if trusted else f"{name} is not in identify.trusted_proxies"

    def refuse(self, why: str) -> Told:
        """Count a question that cannot be answered; the answer. `why` is for the operator.

        A refusal and no error: gateways that are told to fail open let requests through on errors.
        """
        self.misasked += 1
        # At 1, 2, 4, 8, …: a gateway set up wrongly asks wrongly every time.
        if not self.misasked & (self.misasked - 1):
            log.error("a question was refused (%d so far): %s", self.misasked, why)
        return MISASKED

    async def decide(self, wire: Wire) -> Told:
        """Decide, and see to it that what was reserved is settled."""
        began = perf_counter()
        exchange = await self.guard.decide(wire)
        if self._on_decided is not None:
            self._on_decided(perf_counter() - began)
        wire.body = None
        plan = exchange.plan
        tells = plan is not None and plan.enforced and self.guard.policy.headers
        # Nothing may come between the decision and whoever settles it, should the call end here.
        await self._settling.decided(exchange)
        accept = b", ".join(value for name, value in wire.headers if name == b"accept")
        return tell(exchange, tells=tells, accept=accept)

    async def safely(self, answer: Awaitable[Told]) -> Told:
        """`answer`, or a refusal where it cannot be had. Raises only when cancelled."""
        try:
            return await answer
        except Exception as error:  # noqa: BLE001 - an error would let the request through
            return self.refuse(f"it could not be answered: {type(error).__name__}")

    async def ended(self, request_id: str, usage: Usage) -> bool:
        """Settle a request by what it really cost; False when it is not waited for (any more)."""
        return await self._settling.ended(request_id, usage)

    async def report(self, report: Report) -> bool:
        """As `ended`, by a report of `POST /v1/usage`."""
        return await self.ended(report.request_id, report.usage())

    async def begin(self) -> None:
        """See whether shared state answers and hear of its verdicts, for as long as a proxy would:
        who is banned is so from the first question on.
        """
        await self._background.begin()

    async def close(self) -> None:
        """Settle everything leased by its estimate, then close the guard."""
        await self._settling.close()
        await self._background.close()
