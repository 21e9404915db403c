"""Charges what models cost over one WebSocket while it lasts, which may be an hour.

To the limits of tokens that the handshake was charged to, sized as they were then, in the store in
force. What cannot be counted because the store fails is counted with the next response, or at the
end. In shadow it is counted and noted, and the socket stays.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import msgspec

from gateway_guard.core.tally import BOUNDLESS, TOKENS, Tally, owing, wait_where_used_up
from gateway_guard.types import Action, Charge, Exchange, Grant, Outcome, Usage

if TYPE_CHECKING:
    from gateway_guard.guard import Guard

#: What the client is told; a close frame has room for 123 bytes (RFC 6455 §5.5). No limit is named:
#: it may be one that only a campaign has.
_REASON: Final = "rate_limit_exceeded: token limit used up, try again in {} s"


class Meter:
    """Looks at what one upstream says over one WebSocket.

    Args:
        guard: whose store, clock and policy these are.
        exchange: the handshake, let through.
    """

    __slots__ = ("_charges", "_counts", "_exchange", "_guard", "_last", "_number", "_tally")

    def __init__(self, guard: Guard, exchange: Exchange) -> None:
        self._guard = guard
        self._exchange = exchange
        self._tally = Tally()
        plan, grants = exchange.plan, exchange.decision.grants
        granted = plan is not None and grants and all(grant.allowed for grant in grants)
        #: As `Guard.settle` will charge them.
        self._charges: tuple[Charge, ...] = plan.charges if plan is not None and granted else ()
        self._counts = any(charge.unit in TOKENS for charge in self._charges)
        self._number = 0
        #: How many responses will have ended when those under way have, once a limit is used up.
        self._last: int | None = None

    def hears(self, text: str) -> bool:
        """Look at a message on its way to the client; whether there is something to charge."""
        return self._tally.hear(text) and self._counts

    async def charge(self) -> str | None:
        """Charge what is new. Why the socket is to be closed; None while it stays."""
        tally, plan = self._tally, self._exchange.plan
        full, wait = await self._used_up()
        if full is None:
            self._last = None
            return None
        enforced = plan is not None and plan.enforced
        if self._last is None:
            self._last = tally.ended + tally.open
        if enforced and tally.ended < self._last:
            return None
        self._note(full, wait, acted=enforced)
        return _REASON.format(math.ceil(wait)) if enforced else None

    def usage(self, outcome: Outcome) -> Usage:
        """What the session cost, all together."""
        return self._tally.usage(outcome)

    async def _used_up(self) -> tuple[Charge | None, float]:
        """Charge what is new; the limit that is used up, if one is, and seconds to wait for it."""
        exchange, guard = self._exchange, self._guard
        before = exchange.charged or (0.0,) * len(self._charges)
        due = owing(self._charges, before, self._tally.read, self._tally.written)
        # Before anybody can look again: an application may say several things at once.
        exchange.charged = tuple(map(sum, zip(before, due, strict=True)))
        self._number += 1
        grants: tuple[Grant, ...] = ()
        counting = [charge for charge in self._charges if charge.unit in TOKENS]
        try:
            grants, _ = await guard.charge(
                guard.policy,
                [
                    msgspec.structs.replace(charge, cost=cost, capacity=BOUNDLESS)
                    for charge, cost in zip(self._charges, due, strict=True)
                    if charge.unit in TOKENS
                ],
                id=f"{exchange.request.id}+{self._number}",
                now=guard.clock(),
            )
        except Exception as error:  # noqa: BLE001 - charging must never break a session
            guard.failures.tell("settle", error)
        finally:
            if not grants:
                exchange.charged = tuple(
                    had - cost for had, cost in zip(exchange.charged, due, strict=True)
                )
        full, longest = None, 0.0
        for charge, grant in zip(counting, grants, strict=False):
            wait = wait_where_used_up(charge, grant)
            if wait is not None and wait >= longest:
                full, longest = charge, wait
        return full, longest

    def _note(self, charge: Charge, wait: float, *, acted: bool) -> None:
        """Write down in the decision what became of it in mid-session."""
        exchange = self._exchange
        exchange.decision = msgspec.structs.replace(
            exchange.decision,
            action=Action.THROTTLE,
            acted=acted,
            rule=f"limit:{charge.limit}",
            where=None,
            reason=f"{charge.limit}: used up in mid-session, "
            f"after {self._tally.ended} responses over this WebSocket",
            retry_after=wait,
        )
