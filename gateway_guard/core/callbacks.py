"""Callbacks of a provider: signed as Standard Webhooks has it. Pure.

    webhook-id: any text · webhook-timestamp: Unix seconds
    webhook-signature: v1,BASE64 [v1,BASE64 …]   HMAC-SHA-256 of `id.timestamp.body`

Source: the Standard Webhooks specification, https://www.standardwebhooks.com
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from typing import Final

#: Fewest bytes of a key; the specification's own bound.
SHORTEST_KEY: Final = 24
#: Seconds a callback may be old, or ahead: clocks differ, and deliveries wait.
TOLERANCE: Final = 300.0
#: Most signatures looked at: one for each key while keys change.
_MOST: Final = 8
_LONGEST_ID: Final = 256


def key_of(data: bytes) -> bytes | None:
    """The key in a file: `whsec_` and base64, or the text itself; None when it is too short."""
    text = data.strip()
    if text.startswith(b"whsec_"):
        try:
            text = base64.b64decode(text.removeprefix(b"whsec_"), validate=True)
        except (ValueError, binascii.Error):
            return None
    return text if len(text) >= SHORTEST_KEY else None


def sign(key: bytes, id: str, timestamp: int, body: bytes) -> str:
    """The `webhook-signature` of a callback."""
    return "v1," + base64.b64encode(_digest(key, id, timestamp, body)).decode()


def signed(key: bytes, headers: Mapping[str, str], body: bytes, *, now: float) -> bool:
    """Whether the holder of `key` sent `body` just now. Never raises.

    `headers` have lower-case names; `now` is Unix seconds.
    """
    name, moment = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not 0 < len(name) <= _LONGEST_ID or not (moment.isascii() and moment.isdigit()):
        return False
    if len(moment) > 12 or abs(now - int(moment)) > TOLERANCE:
        return False
    wanted = _digest(key, name, int(moment), body)
    good = False
    for entry in headers.get("webhook-signature", "").split()[:_MOST]:
        version, _, text = entry.partition(",")
        try:
            found = base64.b64decode(text.encode("ascii"), validate=True)
        except (ValueError, binascii.Error):
            continue
        good |= version == "v1" and hmac.compare_digest(found, wanted)
    return good


def _digest(key: bytes, id: str, timestamp: int, body: bytes) -> bytes:
    text = f"{id}.{timestamp}.".encode("utf-8", "surrogateescape") + body
    return hmac.digest(key, text, hashlib.sha256)
