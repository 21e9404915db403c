"""The decision log in other schemas: as it is written, or line by line afterwards."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from gateway_guard.errors import UNDECODABLE, SourceError
from gateway_guard.record.ecs import ecs
from gateway_guard.record.line import Addresses, Line, line
from gateway_guard.record.ocsf import ocsf
from gateway_guard.types import Exchange

#: Name of a schema → one line, decoded, in it.
SCHEMAS: Final[Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]]] = {
    "ecs": ecs,
    "ocsf": ocsf,
}
#: The decision log's own.
OWN: Final = "guard"

#: Makes the bytes of one exchange, a newline at their end.
Encode = Callable[[Exchange, Addresses], bytes]

_decode: Final = msgspec.json.Decoder(Line).decode
_encode: Final = msgspec.json.Encoder().encode


def exported(text: bytes, schema: str) -> bytes:
    """One line of a decision log in a schema of `SCHEMAS`, a newline at its end.

    Raises:
        SourceError: this is no line of a decision log.
    """
    try:
        return _encode(SCHEMAS[schema](msgspec.to_builtins(_decode(text)))) + b"\n"
    except (*UNDECODABLE, KeyError, ValueError, StopIteration, OverflowError) as error:
        raise SourceError(f"not a line of a decision log: {error}") from None


def encoder(schema: str) -> Encode:
    """What writes decisions in a schema of `SCHEMAS`, or in the log's own (`OWN`)."""
    if schema == OWN:
        return line
    # By way of the line, so that the two are never told different things.
    return lambda exchange, addresses: exported(line(exchange, addresses), schema)
