"""What a query says a body is: Google's APIs believe it before Content-Type."""

from __future__ import annotations

from typing import Final

from gateway_guard.core.body import media
from gateway_guard.core.dialects import google
from gateway_guard.core.query import parameters
from gateway_guard.types import Inspection

#: Source: "System parameters", cloud.google.com/apis/docs/system-parameters.
_NAME: Final = "$ct"


def type_in_query(path: str, query: bytes) -> Inspection:
    """`FULL` where a query on the model route at canonical `path` leaves a body the JSON it is said
    to be; why not, where it says that it is something else.
    """
    if b"ct" not in query.lower() and b"%" not in query:
        return Inspection.FULL
    if not google(path):
        return Inspection.FULL
    try:
        pairs = parameters(query, "latin-1")
    except ValueError:
        return Inspection.CONTENT_TYPE
    said = [value.encode("latin-1") for name, value in pairs if name.lower() == _NAME]
    return media(said) if said else Inspection.FULL
