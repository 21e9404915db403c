"""Request ids: short, unique over processes, sortable within one."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Callable

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def request_ids() -> Callable[[], str]:
    """A function that makes ids such as `r_7k2m9q0x0000a1`: 40 random bits, then a counter.

    Two processes share a prefix with probability 2**-40 per pair.
    """
    prefix = "r_" + "".join(secrets.choice(_ALPHABET) for _ in range(8))
    count = itertools.count(1).__next__

    def make() -> str:
        return f"{prefix}{count():06x}"

    return make
