"""Digests that only guards of one group can compare.

Templates and client software are known to a guard as 64-bit digests keyed with *its own* secret:
two guards never agree on one. Guards that want to compare them share a *group key*. Each then keys
these digests (not those of accounts or addresses) with it, and hands them on sealed with AES-SIV
(RFC 5297) under a key derived from it:

* deterministic: the same template gives the same 24 bytes, so saying it again replaces it;
* authentic: what was sealed for another group does not open, and is refused with that message;
* whoever has not the key learns nothing, and cannot test a guess. Whoever has it can: to a member
  of the group a digest of a well-known text is that text.
"""

from __future__ import annotations

import functools
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from gateway_guard.core.credentials import subkey

_LABELS: Final = {"template": b"gateway-guard template 1", "client": b"gateway-guard client 1"}


class Group:
    """The guards that share one key.

    Attributes:
        id: 12 hex digits that tell one group from another, and nothing else of its key.
    """

    def __init__(self, key: bytes) -> None:
        self.id = subkey(key, b"intel group id")[:6].hex()
        sealing = subkey(key, b"intel seal 1") + subkey(key, b"intel seal 2")
        self._cipher = AESSIV(sealing)

    def seal(self, kind: str, digest: int) -> str:
        """The 64-bit `digest` of a `template` or `client`, as it may be handed on: 48 hex digits.

        Raises:
            KeyError: digests of that kind are not sealed.
        """
        return self._cipher.encrypt(digest.to_bytes(8, "big"), [_LABELS[kind]]).hex()

    def open(self, kind: str, sealed: str) -> int | None:
        """The digest inside; None when it was sealed for another group, or is no such thing."""
        try:
            plain = self._cipher.decrypt(bytes.fromhex(sealed), [_LABELS[kind]])
        except (InvalidTag, ValueError, KeyError):
            return None
        return int.from_bytes(plain, "big") if len(plain) == 8 else None


@functools.lru_cache(maxsize=4)
def group_of(key: bytes) -> Group:
    """The group that shares `key`, at least 16 bytes."""
    return Group(key)
