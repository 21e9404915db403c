"""The policy's `overload` section: when what is too much is told to come back."""

from __future__ import annotations

from gateway_guard.core.sections import Adaptive, Overload
from gateway_guard.policy.reader import Findings
from gateway_guard.policy.values import Section


def compile_overload(found: Findings, section: Section | None) -> Overload:
    """The compiled section; the default's where it says nothing, or something faulty."""
    if section is None:
        return Overload()
    return Overload(lag=section.read("lag"), upstream=_adaptive(found, section.section("upstream")))


def _adaptive(found: Findings, section: Section | None) -> Adaptive | None:
    if section is None:
        return None
    standard = Adaptive()
    least, most = section.read("min"), section.read("max")
    # Only what was written can be the wrong way round: one bound moves the other's default.
    if least is not None and most is not None and least > most:
        found.at(
            "GG222",
            section.place("min"),
            f"`min: {least}` is more than `max: {most}`",
            hint="at least `min` and at most `max` requests may wait: swap them",
        )
    floor = min(standard.floor, most or standard.floor) if least is None else least
    return Adaptive(
        floor=floor,
        ceiling=max(floor, most or standard.ceiling),
        tolerance=section.read("tolerance") or standard.tolerance,
        window=section.read("window") or standard.window,
    )
