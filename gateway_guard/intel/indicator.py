"""One indicator: what it names, who may say it, and what is refused before it can match anybody."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from gateway_guard.errors import IntelError
from gateway_guard.intel.networks import Limits, fit_network
from gateway_guard.types import INDICATOR_KINDS

#: Longest name and id kept, characters.
LONGEST_NAME: Final = 80
LONGEST_ID: Final = 100
#: Longest time an indicator may hold, seconds: a year. What nobody confirms again grows stale.
LONGEST: Final = 366 * 86_400
#: What is understood ends before this, Unix seconds: the year 10000.
_END: Final = 253_402_300_800
#: A digest sealed for a group (`intel.groups`): 24 bytes in hex.
_SEALED: Final = re.compile(r"[0-9a-f]{48}")
_TLS: Final = re.compile(r"[A-Za-z0-9_,.:/+=-]{1,128}", re.ASCII)


class Indicator(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One thing a campaign can be recognised by.

    Attributes:
        id: stable within its source; the same thing said again replaces what was said before.
        kind: one of `types.INDICATOR_KINDS`.
        value: for `network` a CIDR; for `client` and `template` a digest sealed for a group; for
            `tls` a JA4.
        name: what its source calls it, e.g. `c_0012`; policies may name it.
        confidence: how sure the source is, percent, 0 to 100.
        since, until: Unix seconds from when and up to when it holds, `since` <= `until`.
    """

    id: str
    kind: str
    value: str
    name: str
    confidence: int
    since: int
    until: int


def checked(one: Indicator, limits: Limits) -> Indicator:
    """`one` with its value in canonical form.

    Raises:
        IntelError: it makes no sense or would match too many; says what and why.
    """
    label = shown(one.id)
    if not 1 <= len(one.id) <= LONGEST_ID or not one.id.isprintable():
        raise IntelError(f"indicator {label}: an id has 1 to {LONGEST_ID} printable characters")
    if not 1 <= len(one.name) <= LONGEST_NAME or not one.name.isprintable():
        raise IntelError(f"indicator {label}: a name has 1 to {LONGEST_NAME} printable characters")
    if one.kind not in INDICATOR_KINDS:
        known = ", ".join(INDICATOR_KINDS)
        raise IntelError(f"indicator {label}: unknown kind {shown(one.kind)} (one of: {known})")
    if not 0 <= one.confidence <= 100:
        raise IntelError(f"indicator {label}: confidence {one.confidence} is not from 0 to 100")
    if not 0 <= one.since <= one.until < _END:
        raise IntelError(f"indicator {label}: it must begin to hold before it ceases to")
    value = one.value
    if one.kind == "network":
        try:
            value = fit_network(value, limits)
        except IntelError as error:
            raise IntelError(f"indicator {label}: {error}") from None
    elif one.kind == "tls":
        if _TLS.fullmatch(value) is None:
            raise IntelError(f"indicator {label}: {shown(value)} is no TLS fingerprint (JA4)")
    elif _SEALED.fullmatch(value) is None:
        raise IntelError(
            f"indicator {label}: {shown(value)} is no digest sealed for a group (48 hex digits)"
        )
    until = min(one.until, one.since + LONGEST)
    if value == one.value and until == one.until:
        return one
    return msgspec.structs.replace(one, value=value, until=until)


def shown(text: str) -> str:
    """`text` as a message may quote it: at most 60 characters, escaped."""
    return repr(text if len(text) <= 60 else f"{text[:59]}…")


def named(text: object, otherwise: str) -> str:
    """`text` as a name may stand: printable, bounded; `otherwise` when nothing is left of it."""
    if not isinstance(text, str):
        return otherwise
    words = " ".join(text[:400].split())
    return "".join(c for c in words if c.isprintable())[:LONGEST_NAME].strip() or otherwise
