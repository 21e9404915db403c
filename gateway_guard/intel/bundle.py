"""Signed bundles between guards: canonical JSON, Ed25519, a number that only grows.

    {"key": "…", "payload": {…}, "signature": "…"}

What is signed is the payload in canonical form (keys sorted, no white space, integers only: the
subset of RFC 8785 that needs no rule for floats) behind a line that says what it is. A bundle holds
*all* that its guard says now: taking it in replaces what that guard said before.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from gateway_guard.errors import UNDECODABLE, IntelError
from gateway_guard.intel.indicator import Indicator, shown
from gateway_guard.intel.keys import Signer, Trusted
from gateway_guard.intel.table import Source

#: Most bytes and indicators of a bundle.
MAX_BYTES: Final = 64 << 20
MOST_INDICATORS: Final = 100_000
#: Seconds a bundle may be from the future: clocks differ. One from the year 9999 would make every
#: later one of that key a replay.
_AHEAD: Final = 600
_FORMAT: Final = "gateway-guard bundle"
_VERSION: Final = 1
_CONTEXT: Final = b"gateway-guard bundle 1\n"


class Bundle(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one guard says.

    Attributes:
        format, version: fixed.
        number: grows with every bundle of a key; milliseconds since 1970 when it was made.
        until: Unix seconds up to which it may be taken in.
        tlp: how far it may be passed on, a word of `intel.tlp.LEVELS`.
        group: id of the group its digests are sealed for; empty for none.
        indicators: all of them.
    """

    format: str = _FORMAT
    version: int = _VERSION
    number: int
    until: int
    tlp: str
    group: str = ""
    indicators: tuple[Indicator, ...] = ()

    @property
    def made_at(self) -> float:
        """Unix seconds."""
        return self.number / 1000.0


class _Envelope(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    key: str
    payload: Any
    signature: str


def signed(bundle: Bundle, signer: Signer) -> bytes:
    """`bundle` as it is handed on."""
    payload = msgspec.to_builtins(bundle)
    signature = signer.sign(_CONTEXT + _canonical(payload))
    envelope = {
        "key": signer.id,
        "payload": payload,
        "signature": base64.urlsafe_b64encode(signature).decode(),
    }
    return _canonical(envelope) + b"\n"


def verified(
    data: bytes, trusted: Mapping[str, Trusted], *, now: float
) -> tuple[Bundle, Trusted, str]:
    """The bundle, who signed it, and its SHA-256 in hex.

    `now` is Unix seconds; `trusted` as from `keys.read_trusted`.

    Raises:
        IntelError: it is none, was signed by nobody trusted or changed since, has expired or is
            from the future; says which and what to do.
    """
    envelope = _opened(data)
    signer = trusted.get(envelope.key)
    if signer is None:
        known = ", ".join(f"{key.name} ({key.id})" for key in trusted.values()) or "nobody"
        raise IntelError(
            f"the bundle is signed with key {shown(envelope.key)}, which is not trusted (trusted: "
            f"{known}). If you know whose it is, add their line to the list of trusted keys"
        )
    try:
        canonical = _canonical(envelope.payload)
        signature = base64.b64decode(envelope.signature, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError, TypeError, UnicodeEncodeError, RecursionError):
        raise IntelError("the bundle's signature cannot be read; ask for it again") from None
    if not signer.signed(_CONTEXT + canonical, signature):
        raise IntelError(
            f"the bundle was changed after {signer.name} signed it, or somebody else made it: do "
            "not use it, and ask for it again over another way"
        )
    try:
        bundle = msgspec.convert(envelope.payload, Bundle)
    except msgspec.ValidationError as error:
        raise IntelError(f"{signer.name}'s bundle is malformed: {error}") from None
    _fresh(bundle, signer.name, now)
    return bundle, signer, hashlib.sha256(canonical).hexdigest()


def accept(bundle: Bundle, signer: Trusted, digest: str, before: Source | None) -> bool:
    """Whether there is anything new in `bundle`; False when it is the very one taken in last.

    Raises:
        IntelError: it is older than what was taken in of the same key, or has the number of
            another one: an attacker who cannot sign can still send what was true once.
    """
    if before is None or before.key != signer.id:
        return True
    if bundle.number == before.number and digest == before.digest:
        return False
    if bundle.number <= before.number:
        raise IntelError(
            f"{signer.name}'s bundle {bundle.number} is no newer than {before.number}, which was "
            "taken in already: it is a replay, or their clock went back. Ask for a new export"
        )
    return True


def bundle_of(
    indicators: Iterable[Indicator], *, now: float, days: int, tlp: str, group: str
) -> Bundle:
    """A bundle made at `now` (Unix seconds), good for `days`."""
    return Bundle(
        number=int(now * 1000), until=int(now) + days * 86_400, tlp=tlp, group=group,
        indicators=tuple(sorted(indicators, key=lambda one: one.id)),
    )  # fmt: skip


def _opened(data: bytes) -> _Envelope:
    if len(data) > MAX_BYTES:
        raise IntelError(f"a bundle of {len(data):,} bytes: {MAX_BYTES:,} is the most")
    try:
        return msgspec.json.decode(data, type=_Envelope)
    except UNDECODABLE as error:
        raise IntelError(
            "this is no signed bundle (`gateway-guard intel export` writes one): "
            f"{str(error)[:200]}"
        ) from None


def _fresh(bundle: Bundle, name: str, now: float) -> None:
    if bundle.format != _FORMAT or bundle.version != _VERSION:
        raise IntelError(
            f"{name}'s bundle is {shown(bundle.format)} version {bundle.version}; this guard reads "
            f"{_FORMAT!r} version {_VERSION}"
        )
    if len(bundle.indicators) > MOST_INDICATORS:
        raise IntelError(f"{name}'s bundle holds more than {MOST_INDICATORS:,} indicators")
    if bundle.until <= now:
        late = (now - bundle.until) / 86_400
        raise IntelError(f"{name}'s bundle expired {late:.1f} days ago; ask for a new export")
    if bundle.made_at > now + _AHEAD:
        raise IntelError(
            f"{name}'s bundle was made {bundle.made_at - now:.0f} s in the future: set the clocks "
            "right, here or there"
        )


def _canonical(value: object) -> bytes:
    return msgspec.json.encode(value, order="sorted")
