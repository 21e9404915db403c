"""Limits in rehearsal: counted as if each were in force beside those that are, and told nobody.

Each is asked by itself, so that two that are compared do not stand in each other's way, and under a
name of its own, so that none of it is mixed up with what was really reserved. A store that fails
here decides nothing: the request goes on, and is not counted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from gateway_guard.core.limits import actuals
from gateway_guard.errors import StoreError
from gateway_guard.stores.base import ImmediateStore, Store
from gateway_guard.types import (
    Action,
    Charge,
    Decision,
    Exchange,
    Plan,
    Request,
    ShadowHit,
    Usage,
)

#: Told of the dependency that failed, and how.
Failed = Callable[[str, Exception], None]


async def rehearse(
    store: Store, exchange: Exchange, plan: Plan, failed: Failed
) -> tuple[ShadowHit, ...]:
    """Ask limits that only rehearse about a request that the others let through.

    A hit for each limit that would have throttled it, which takes nothing. What the others took is
    in `exchange.rehearsed` as soon as it is taken, to be settled whatever comes next. All are asked
    at once: a shared store is waited for one round trip longer.
    """

    request, charges = exchange.request, plan.rehearsed

    async def has_room(charge: Charge) -> bool | None:
        try:
            grants = await store.reserve((charge,), id=_name(request, charge), now=request.at)
        except StoreError as error:
            failed("store", error)
            return None
        allowed = all(grant.allowed for grant in grants)
        if allowed:
            exchange.rehearsed = (*exchange.rehearsed, charge)
        return allowed

    if isinstance(store, ImmediateStore):
        room = [await has_room(charge) for charge in charges]
    else:
        room = await asyncio.gather(*map(has_room, charges))
    return tuple(
        ShadowHit(rule=f"limit:{charge.limit}", action=Action.THROTTLE)
        for charge, answer in zip(charges, room, strict=True)
        if answer is False
    )


def with_hits(decision: Decision, hits: tuple[ShadowHit, ...]) -> Decision:
    """The decision, and what limits in rehearsal would have made of it."""
    if not hits:
        return decision
    return msgspec.structs.replace(decision, shadow=(*decision.shadow, *hits))


async def settle_rehearsed(
    store: Store, exchange: Exchange, usage: Usage, *, now: float, failed: Failed
) -> None:
    """Put real usage in place of the estimates that `rehearse` took. Never raises."""
    request, taken = exchange.request, exchange.rehearsed
    try:
        for charge, cost in zip(taken, actuals(taken, request, usage), strict=True):
            await store.settle((charge,), (cost,), id=_name(request, charge), now=now)
    except StoreError as error:
        failed("store", error)
    except Exception as error:  # noqa: BLE001 - settling must never break a response
        failed("settle", error)


def _name(request: Request, charge: Charge) -> str:
    return f"{request.id}~{charge.limit}"
