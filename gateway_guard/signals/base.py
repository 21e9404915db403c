"""What a detector is, and what it may read.

A detector is a frozen dataclass: its fields are the parameters policies may set, checked when the
policy loads; its docstring is its manual page (`gateway-guard signal NAME`).
"""

from __future__ import annotations

from typing import ClassVar, Protocol, runtime_checkable

from gateway_guard.types import Facts, Request, Signal


@runtime_checkable
class Detector(Protocol):
    """Pure and total: any request, any facts, never an exception, no state of its own.

    What it needs of the past stands in `facts.profile` (`signals.profile.Profile`).
    """

    name: ClassVar[str]

    def look(self, request: Request, facts: Facts) -> Signal | None:
        """The detector's opinion; a score of 0 for "saw nothing", None for "could not look"."""
        ...
