"""Under which values an account stands in which index of the linker's memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from gateway_guard.campaigns.membership import BURST
from gateway_guard.campaigns.memory import Memory
from gateway_guard.campaigns.postings import Postings
from gateway_guard.campaigns.traces import Trace


def indexes(memory: Memory) -> Iterator[tuple[str, Postings[Any]]]:
    """Everything that says who shares a value, by the name of its attribute."""
    for name, value in vars(memory).items():
        if isinstance(value, Postings):
            yield name, value
    yield "shared", memory.templates.shared


#: Index → the values under which an account stands in it. One that is not here is saved whole.
_VALUES: Final[dict[str, Callable[[Trace], Iterable[Any]]]] = {
    "payments": lambda trace: (trace.payment,) if trace.payment else (),
    "subnets": lambda trace: trace.subnets,
    "clients": lambda trace: (trace.client,) if trace.client else (),
    "signups": lambda trace: (int(trace.created_at // BURST),) if trace.created_at else (),
    "shared": lambda trace: trace.shared,
}


def values_of(kind: str) -> Callable[[Trace], Iterable[Any]]:
    """What says under which values an account stands in the index of this name."""
    return _VALUES.get(kind, _nothing)


def _nothing(_: Trace) -> Iterable[Any]:
    return ()
