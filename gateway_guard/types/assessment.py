"""What is suspected of a request: the detectors' opinions, and the risk they add up to."""

from __future__ import annotations

import msgspec


class Signal(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One detector's opinion of one request: evidence, not a verdict.

    Attributes:
        name: the detector's name as policies spell it, e.g. `template-sweep`.
        score: strength of the evidence, dimensionless, in [0, 1]. 0 is "looked, saw
            nothing"; a detector that could not look returns no signal at all.
        evidence: one sentence an operator can check, with the measured value and the
            threshold. No prompt text, no credential.

    Raises:
        ValueError: `score` is outside [0, 1] or NaN.
    """

    name: str
    score: float
    evidence: str = ""

    def __post_init__(self) -> None:
        if not 0.0 <= self.score <= 1.0:
            raise ValueError(f"score of signal {self.name!r} is {self.score!r}, not in [0, 1]")


class Assessment(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What the detectors think together.

    Attributes:
        signals: those with a score above 0, strongest contribution first.
        risk: 1 - product of (1 - weight x score), in [0, 1]. Source: noisy-or of independent
            causes (Pearl 1988, §4.3.2).
    """

    signals: tuple[Signal, ...] = ()
    risk: float = 0.0
