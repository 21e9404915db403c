"""`POST /`: a model route of TGI's and TEI's, and of anybody else the front page.

Only the body tells. That of a request which could be meant for a model is read, and where it is
none nothing is kept of it: forms, JSON-RPC and what else is posted there stays no model route. What
cannot be read in one way might be read by the model, so it counts as what it may be.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from gateway_guard.core.fields import Headers
from gateway_guard.types import Inspection

#: Nothing, nothing these servers take for JSON, and JSON that is no object.
_NEVER: Final = (Inspection.NONE, Inspection.CONTENT_TYPE, Inspection.SHAPE)


def may_ask(method: str, headers: Headers) -> bool:
    """Whether a request of the path `/` could be for a model: both refuse what is not said to be
    JSON.
    """
    return method == "POST" and any(
        name == b"content-type" and b"json" in value.lower() for name, value in headers
    )


def asks(inspection: Inspection, document: Collection[str] | None) -> bool:
    """Whether one is, by its body: `document`, or why there is none."""
    return "inputs" in document if document is not None else inspection not in _NEVER
