"""What memory keeps of one key of one limit."""

from __future__ import annotations

import msgspec


class Bucket(msgspec.Struct, gc=False):
    """As `core.buckets.Bucket`, with what eviction goes by: the key, and the rate and capacity of
    the last charge asked for, granted or not.

    A record and no row of arrays of numbers: looking into those costs more than twice as much.
    """

    key: str
    used: float
    at: float
    rate: float
    capacity: float
