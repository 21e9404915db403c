"""What one process of the sidecar tells of itself: the metrics of its parts, and its snapshot."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from uvicorn.server import ServerState

from gateway_guard.accounts.http import HttpDirectory
from gateway_guard.frontends.admin import Health
from gateway_guard.frontends.snapshot import Sizes, Snapshot, given_up_of, sizes_of
from gateway_guard.guard import Guard
from gateway_guard.record.log import DecisionLog
from gateway_guard.record.metrics import Metrics
from gateway_guard.settings import Settings
from gateway_guard.stores.published import publish

#: What a snapshot shows as tables.
_TABLES: Final = ("gateway_guard_table_entries", "gateway_guard_table_capacity")


class Instruments:
    """Counts what every part of a process says of itself.

    Args:
        guard: the brain.
        metrics: where it is shown.
        settings: what the environment said.
        decisions: the decision log; None for none.
        connections: most connections of clients.
        draining: whether the process is about to end.
        others: whoever else may have tables (`snapshot.sizes_of`).

    Attributes:
        state: of the server, once there is one.
        late: seconds a timer that runs at least once a second came too late, summed up.
    """

    def __init__(
        self,
        guard: Guard,
        metrics: Metrics,
        settings: Settings,
        *,
        decisions: DecisionLog | None,
        connections: int,
        draining: Callable[[], bool],
        others: tuple[object, ...],
    ) -> None:
        self.state: ServerState | None = None
        self.late = 0.0
        self._guard = guard
        self._metrics = metrics
        self._settings = settings
        self._connections = connections
        self._draining = draining
        self._owners = (metrics, decisions, *others)
        metrics.counter(
            "event_loop_late_seconds",
            "Seconds a timer that runs at least once a second came too late, summed up.",
            lambda: self.late,
        )
        metrics.gauges(
            "table_entries", "Entries of each bounded table.", "table",
            lambda: {name: entries for name, (entries, _) in self._sizes().items()},
        )  # fmt: skip
        metrics.gauges(
            "table_capacity", "Most entries each of them may have.", "table",
            lambda: {name: most for name, (_, most) in self._sizes().items()},
        )  # fmt: skip
        metrics.counters(
            "table_given_up",
            "Entries of a bounded table that went before their time: to make room, or, of "
            "reservations, because nobody settled them.",
            "table",
            lambda: given_up_of(guard),
        )
        if settings.intel_file:
            indicators = guard.indicators
            metrics.gauge(
                "indicators", "Shared indicators that can match.", lambda: indicators.loaded
            )
        if isinstance(guard.accounts, HttpDirectory):
            guard.accounts.publish(metrics)
        if guard.linking is not None:
            guard.linking.publish(metrics)
        if guard.shared is not None:
            publish(guard.shared, metrics)
        if decisions is not None:
            metrics.counter(
                "log_dropped",
                "Decisions not logged: the queue was full.",
                lambda: decisions.dropped,
            )
            metrics.counter(
                "log_lost",
                "Decisions not logged: they could not be written.",
                lambda: decisions.lost,
            )

    def snapshot(self, health: Health) -> Snapshot:
        """Of this process, as it is when it is asked for."""
        linked = self._guard.linking
        return Snapshot(
            self._settings,
            parts={
                "health": lambda: health.state()[1],
                "requests": self._requests,
                "campaigns": linked.position if linked is not None else lambda: None,
                "counts": self._counts,
            },
            sizes=self._sizes,
        )

    def _requests(self) -> dict[str, Any]:
        state = self.state
        connections = list(state.connections) if state is not None else []
        return {
            "connections": len(connections),
            "open": len(state.tasks) if state is not None else 0,
            "streaming": sum(getattr(one, "streaming", False) for one in connections),
            "draining": self._draining(),
        }

    def _counts(self) -> dict[str, float]:
        """What is counted, without what a snapshot shows as tables."""
        counted = self._metrics.flat().items()
        return {k: v for k, v in counted if not k.startswith(_TABLES)}

    def _sizes(self) -> Sizes:
        state, guard = self.state, self._guard
        return {
            "connections": (len(state.connections) if state is not None else 0, self._connections),
            "indicators": (guard.indicators.loaded, self._settings.max_indicators),
            **sizes_of(guard, *self._owners),
        }
