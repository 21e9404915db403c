"""The keys of the digests texts and clients are known by."""

from __future__ import annotations

import functools

import msgspec

from gateway_guard.core.credentials import subkey


class Seeds(msgspec.Struct, frozen=True, gc=False):
    """Keys of the 64-bit digests, one per use, so that a head never equals a fragment."""

    head: int
    tail: int
    skeleton: int
    fragment: int
    agent: int


@functools.lru_cache(maxsize=16)
def seeds(secret: bytes) -> Seeds:
    """The digest keys derived from `secret`."""
    key = subkey(secret, b"shapes")
    return Seeds(*(int.from_bytes(key[at : at + 6], "big") for at in range(0, 30, 6)))
