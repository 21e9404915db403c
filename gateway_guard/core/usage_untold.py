"""The least an answer costs that does not say what it cost. Pure and total.

Some APIs let the client choose what an answer consists of (a mask of fields, another form): who
leaves its counts out must not have as many tokens as it likes for the price of an estimate.
"""

from __future__ import annotations

from typing import Final

import msgspec

from gateway_guard.core.texts import texts_and_files
from gateway_guard.errors import UNDECODABLE

#: Characters, or bytes of what cannot be read, per token. As `usage_estimate` has it.
_PER_TOKEN: Final = 4
#: Types of answers that are text, or hold little else: JSON in a coding that nobody reads here,
#: JSON as a script, protocol buffers.
_TEXTUAL: Final = (b"text/", b"json", b"javascript", b"protobuf")

_decode: Final = msgspec.json.Decoder().decode


def least_of_json(body: bytes) -> int:
    """Tokens in the text of a whole JSON answer, files left out; 0 for what is no JSON."""
    try:
        found = _decode(body)
    except UNDECODABLE:
        return 0
    return sum(map(len, texts_and_files(found)[0])) // _PER_TOKEN


def least_of_bytes(content_type: bytes, size: int) -> int:
    """Tokens in so many bytes of an answer that cannot be read; 0 for sounds, images and files."""
    kind = content_type.lower()
    return size // _PER_TOKEN if any(one in kind for one in _TEXTUAL) else 0
