"""Work that can be put down between two steps, and taken up where it was."""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeAlias, TypeVar

T = TypeVar("T")

#: Yields after each step, a few ten microseconds to some milliseconds; returns what came of it.
Steps: TypeAlias = Generator[None, None, T]


def finish(work: Steps[T]) -> T:
    """What comes of `work`, done in one go."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            result: T = end.value
            return result
