"""What is counted of shared state, for `/metrics`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway_guard.core.breaker import State
from gateway_guard.stores.patience import PatientStore

if TYPE_CHECKING:
    from gateway_guard.record.metrics import Metrics


def publish(store: PatientStore, metrics: Metrics) -> None:
    """Have everything `store` counts read whenever somebody asks for `metrics`."""
    arrears, breaker, mender = store.arrears, store.breaker, store.mender
    metrics.gauge(
        "store_up",
        "Whether shared state answers; 0 while the breaker is not closed.",
        lambda: float(breaker.state is State.CLOSED),
    )
    metrics.gauges(
        "store_breaker",
        "The breaker in front of shared state; 1 for the state it is in.",
        "state",
        lambda: {state.value: float(state is breaker.state) for state in State},
    )
    metrics.counters(
        "store_failures",
        "Decisions that shared state took no part in, by cause.",
        "cause",
        lambda: store.failures,
    )
    metrics.counters(
        "store_without",
        "The same by what on_error.store made of them; allow is a fail-open.",
        "on_error",
        lambda: store.without,
    )
    for name, text, count in (
        ("opened", "Times the breaker opened.", lambda: breaker.opened),
        ("given_back", "Reservations undone: their answer came too late.",
         lambda: mender.given_back + getattr(store.store, "abandoned", 0)),
        ("delivered", "Settlements delivered after an outage.", lambda: mender.delivered),
        ("reconciled", "Keys charged with what was counted locally.", lambda: mender.reconciled),
        ("dropped", "Settlements and keys given up: too many waited.", lambda: arrears.dropped),
        ("undelivered", "Settlements the store itself gave up.",
         lambda: getattr(store.store, "undelivered", 0)),
    ):  # fmt: skip
        metrics.counter(f"store_{name}", text, count)
    for name, text, size in (
        ("calls", "Calls of shared state under way.", lambda: store.calls),
        ("waiting_settlements", "Settlements to be delivered.", lambda: arrears.settlements),
        ("waiting_keys", "Keys to be charged with local use.", lambda: arrears.debts),
    ):
        metrics.gauge(f"store_{name}", text, size)
