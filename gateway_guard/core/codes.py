"""Codes that an operator hands out: spelled loosely, compared as digests. Pure."""

from __future__ import annotations

import hashlib
from typing import Final

#: Fewest letters and digits of a code. With ten tries an hour for each of 1,000 accounts, eight
#: random ones out of 32 are found in 6,000 years.
SHORTEST_CODE: Final = 8


def plain_code(text: str) -> str:
    """A code without what people add or leave out: white space, dashes, upper case."""
    return "".join(text.split()).replace("-", "").lower()[:256]


def code_digest(code: str) -> str:
    """What is kept of a code in `plain_code`'s spelling, 32 hex digits: looking one up by it tells
    nobody how much of a guess was right.
    """
    return hashlib.blake2b(code.encode("utf-8", "replace"), digest_size=16).hexdigest()
