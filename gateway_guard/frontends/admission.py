"""Whether a request may begin at all: not where this process or the upstream cannot keep up.

    the process   its event loop takes too long for each turn, again and again (`turnstile`): what
                  is too much for a turn is turned away before anybody looks at it
    the upstream  more wait for their first token than it gives in time (`core.gradient`): those
                  above the bound are turned away once they have been judged, and charged nothing
    bodies        those that are still coming take too much memory (`holding`): the oldest of them
                  are turned away

Each is a 503 with `Retry-After`, in the decision log as `guard:overload`. What the policy denies
or throttles is told that instead, where there is time to look. In shadow nobody is turned away.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from time import monotonic
from typing import Any, Final

import msgspec

from gateway_guard.core.coming_back import come_back
from gateway_guard.core.gradient import Gradient
from gateway_guard.core.sections import Adaptive, Overload
from gateway_guard.frontends.holding import Holding
from gateway_guard.frontends.memory import for_bodies
from gateway_guard.frontends.overruling import overruled
from gateway_guard.frontends.refusals import OVERLOADED
from gateway_guard.frontends.turnstile import Turnstile
from gateway_guard.record.metrics import Metrics
from gateway_guard.types import Action, Exchange, ShadowHit

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]

#: What the sidecar's loop may take for one turn, seconds of CPU: nothing but the guard runs there,
#: and a request takes about four turns. Hundreds of clients that each wait for their answer before
#: they ask again stay below it. An application's own loop may be as slow as it likes.
SIDECAR_LAG: Final = 0.02
PROCESS: Final = "this process has more to do than it can"
CROWDED: Final = "bodies that are still coming take more memory than they may"


class Waiting:
    """One request that waits for its first token. `end` counts once, whoever calls it first."""

    __slots__ = ("_gradient", "_kind", "_over", "_place", "_since", "_status")

    def __init__(self, gradient: Gradient, kind: str, since: float, place: int) -> None:
        self._gradient = gradient
        self._kind = kind
        self._since = since
        self._place = place
        self._status = 0
        self._over = False

    def end(self, *, answered: bool = False) -> None:
        """It waits no longer."""
        if not self._over:
            self._over = True
            self._gradient.leave(
                self._since, monotonic(), place=self._place, answered=answered, kind=self._kind
            )

    def seen(self, message: Message) -> bool:
        """Look at what goes to the client; True once nothing more needs to be looked at."""
        if message["type"] == "http.response.start":
            self._status = message["status"]
        elif message.get("body") or not message.get("more_body", False):
            # An upstream that says no does so at once, however busy it is.
            self.end(answered=200 <= self._status < 400)
            return True
        return False


class Admission:
    """Turns requests away that would only make all others wait.

    Attributes:
        lag: seconds of CPU a turn of the loop may take unless the policy says; None for any number.
        turnstile: what this process takes.
        gradient: what the upstream takes; None until a policy asks for a bound.
        holding: what memory takes.

    Args:
        lag: as above.
    """

    def __init__(self, lag: float | None = None) -> None:
        self.lag = lag
        self.turnstile = Turnstile()
        self.gradient: Gradient | None = None
        self.holding = Holding(for_bodies())

    def come_back(self, id: str) -> float:
        """Seconds until a request that is turned away now should be tried again."""
        return come_back(id, self.turnstile.shedding.share)

    def turns_away(self, overload: Overload) -> bool:
        """Whether the request that has just come is one too many for this process."""
        lag = overload.lag
        if lag is None:
            lag = self.lag
        return lag is not None and self.turnstile.turns_away(lag)

    def enter(self, exchange: Exchange, setting: Adaptive) -> Waiting | None:
        """Send `exchange` to the upstream, or overrule its decision and return None.

        In shadow the decision only notes what would have become of it.
        """
        gradient = self.gradient
        if gradient is None:
            gradient = self.gradient = Gradient(setting)
        elif gradient.setting is not setting:
            gradient.change(setting)
        now = monotonic()
        if place := gradient.enter(now):
            request = exchange.request
            kind = f"{request.model}|{'stream' if request.prompt and request.prompt.stream else ''}"
            return Waiting(gradient, kind, now, place)
        plan = exchange.plan
        if plan is not None and plan.enforced:
            exchange.decision = overruled(
                exchange, rule=OVERLOADED, status=503,
                retry_after=self.come_back(exchange.request.id),
                reason=f"{gradient.waiting} requests wait for the upstream's first token, "
                f"{gradient.ratio:.1f} times as long as usual; at most {int(gradient.bound)} may",
            )  # fmt: skip
        else:
            hit = ShadowHit(rule=OVERLOADED, action=Action.DENY)
            exchange.decision = msgspec.structs.replace(
                exchange.decision, shadow=(*exchange.decision.shadow, hit)
            )
        return None

    def close(self) -> None:
        """Measure no more."""
        self.turnstile.close()


def publish_admission(admission: Admission, metrics: Metrics) -> None:
    """Show what is turned away, and why."""
    shedding = admission.turnstile.shedding

    def refused() -> dict[str, float]:
        gradient = admission.gradient
        return {
            "process": shedding.refused,
            "upstream": 0 if gradient is None else gradient.refused,
            "bodies": admission.holding.refused,
        }

    def of_upstream(read: Callable[[Gradient], float], otherwise: float) -> Callable[[], float]:
        return lambda: otherwise if admission.gradient is None else read(admission.gradient)

    metrics.counters(
        "overload", "Requests turned away with 503, by what was too much.", "cause", refused
    )
    metrics.gauge(
        "overload_taken", "Share of requests this process takes; below 1 where it cannot keep up.",
        lambda: shedding.share,
    )  # fmt: skip
    metrics.gauge(
        "loop_turn_seconds", "CPU of a turn of the event loop, the last that was looked at.",
        lambda: shedding.turn,
    )  # fmt: skip
    metrics.gauge(
        "upstream_waiting", "Requests that wait for the upstream's first token, where bounded.",
        of_upstream(lambda gradient: gradient.waiting, 0.0),
    )  # fmt: skip
    metrics.gauge(
        "upstream_bound", "Most that may; 0 where the policy has no bound.",
        of_upstream(lambda gradient: gradient.bound, 0.0),
    )  # fmt: skip
