"""A model in a request's query: where sockets name theirs, and some gateways believe it before the
body's."""

from __future__ import annotations

from typing import Final

from gateway_guard.core.members import Misshapen, model_of
from gateway_guard.core.query import parameters

#: OpenAI's sockets and LiteLLM's routes; Azure's sockets.
_NAMES: Final = frozenset(("model", "deployment"))


def model_in_query(query: bytes) -> str | None:
    """The model a query names; None when it names none.

    Raises:
        Misshapen: it names two, or what is no name.
    """
    low = query.lower()
    if b"model" not in low and b"deployment" not in low and b"%" not in low:
        return None
    try:
        pairs = parameters(query, "utf-8")
    except ValueError:
        raise Misshapen from None
    found = {model_of({"model": value}) for name, value in pairs if name.lower() in _NAMES}
    if len(found) > 1:
        raise Misshapen
    return next(iter(found), None) or None


def agreed(body: str | None, query: bytes) -> str | None:
    """The model that body and query name; None when neither does.

    Raises:
        Misshapen: they name different ones, or as `model_in_query`.
    """
    named = model_in_query(query)
    if body and named and body.casefold() != named.casefold():
        raise Misshapen
    return body or named
