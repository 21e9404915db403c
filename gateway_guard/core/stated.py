"""What the application and a trusted edge say of an account."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway_guard.core import prepared
from gateway_guard.core.fields import lines_of
from gateway_guard.core.origin import origin
from gateway_guard.core.sections import Identify
from gateway_guard.types import Wire


def stated(wire: Wire, identify: Identify) -> Mapping[str, Any] | None:
    """Attributes by name, for `accounts`: of headers from a trusted peer, the application's on top.

    A header that comes twice, or is not UTF-8, says nothing: an edge that adds its own beside what
    a client sent must not be understood as either. What they mean is read elsewhere. Never raises.
    """
    attributes = identify.attributes
    if not attributes:
        return wire.state
    ready = prepared.latest
    if ready.identify is not identify:
        ready = prepared.prepare(identify, prepared.NO_INSPECT)
    headers = wire.headers
    fields = dict(headers)
    repeated = len(fields) != len(headers)
    trusted = origin(wire, ready, fields, repeated)[3]
    if not trusted:
        return wire.state
    said: dict[str, Any] = {}
    for name, header in attributes:
        values = lines_of(headers, fields, repeated, header)
        if len(values) == 1:
            try:
                said[name] = values[0].decode("utf-8")
            except UnicodeDecodeError:
                continue
    return {**said, **wire.state} if wire.state else said
