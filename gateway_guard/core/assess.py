"""Detectors → signals → risk. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol

from gateway_guard.signals.base import Detector
from gateway_guard.types import Assessment, Facts, Request, Signal


class Believed(Protocol):
    """A detector and how much the policy believes it: `core.policy.Weighted`."""

    @property
    def detector(self) -> Detector: ...

    @property
    def weight(self) -> float: ...


#: Told of a detector that raised or answered with something else than a `Signal`, by its name; must
#: not raise.
Broken = Callable[[str, Exception], None]

NOTHING: Final = Assessment()


def assess(
    weighted: Sequence[Believed], request: Request, facts: Facts, broken: Broken
) -> Assessment:
    """What the detectors think together.

    Signals with a score above 0, strongest contribution (weight x score) first, ties in policy
    order; risk is `1 - product of (1 - weight x score)`, in [0, 1]. A detector that raises is
    left out and `broken` is told: it must not take the request down. Source: noisy-or (Pearl 1988,
    §4.3.2).
    """
    seen: list[tuple[float, Signal]] | None = None
    for one in weighted:
        try:
            signal = one.detector.look(request, facts)
            if signal is None:
                continue
            score = signal.score
            if score > 0.0:
                part = one.weight * score
                if seen is None:
                    seen = []
                seen.append((part, signal))
        except Exception as error:  # noqa: BLE001 - foreign code; see the docstring
            broken(str(getattr(one.detector, "name", type(one.detector).__name__)), error)
    if seen is None:
        return NOTHING
    if len(seen) == 1:
        part, signal = seen[0]
        return Assessment(signals=(signal,), risk=min(1.0, part))
    seen.sort(key=_part, reverse=True)
    clear = 1.0
    for part, _ in seen:
        clear *= 1.0 - part
    return Assessment(signals=tuple([signal for _, signal in seen]), risk=1.0 - max(0.0, clear))


def _part(entry: tuple[float, Signal]) -> float:
    return entry[0]
