"""What stands in for shared state where it does not answer, and when to ask for it again."""

from __future__ import annotations

from collections.abc import Sequence

from gateway_guard.core.coming_back import come_back_after
from gateway_guard.core.policy import Policy
from gateway_guard.stores.patience import PatientStore
from gateway_guard.types import Charge, Grant


def uncounted(
    shared: PatientStore | None, policy: Policy, charges: Sequence[Charge], *, id: str, now: float
) -> tuple[Grant, ...]:
    """What stands in for the answer about `charges` by `on_error.store`; empty: nothing does."""
    choice = policy.on_error.store
    if shared is None:
        return ()
    shared.without[choice] += 1
    if choice != "local":
        return ()
    return shared.local.reserve_now(charges, id=id, now=now)


def again(shared: PatientStore | None, id: str) -> float:
    """Seconds until the request `id` may come back that nobody could count."""
    return come_back_after(id, 0.0 if shared is None else shared.away)
