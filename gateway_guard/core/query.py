"""The parameters of a request's query."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qsl

#: Most parameters read; the APIs have a handful.
_MOST: Final = 100


def parameters(query: bytes, encoding: str) -> list[tuple[str, str]]:
    """Names and values in their order, empty values too; escaped bytes are read in `encoding`.

    Raises:
        ValueError: there are more than a hundred.
    """
    return parse_qsl(
        query.decode("latin-1"), keep_blank_values=True, encoding=encoding, max_num_fields=_MOST
    )
