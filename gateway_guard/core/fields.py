"""Header fields: the lines of one name, in order of arrival."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

#: (lower-case name, value) as they arrived.
Headers = Sequence[tuple[bytes, bytes]]


def lines(headers: Headers, name: bytes) -> list[bytes]:
    """The values of all lines of one header field."""
    return [value for key, value in headers if key == name]


def lines_of(
    headers: Headers, fields: Mapping[bytes, bytes], repeated: bool, name: bytes
) -> list[bytes]:
    """The same, sooner: `fields` is `dict(headers)`, `repeated` whether that lost any of them."""
    if repeated:
        return lines(headers, name)
    value = fields.get(name)
    return [] if value is None else [value]
