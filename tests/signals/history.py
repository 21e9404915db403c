"""Accounts with a past: requests sent one after the other, and the profile they leave behind."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

from gateway_guard.core.profile import observe
from gateway_guard.signals.base import Detector
from gateway_guard.signals.profile import Profile
from gateway_guard.types import (
    AccountFacts,
    Facts,
    Held,
    NetworkFacts,
    PromptShape,
    Request,
    RoleShape,
    Signal,
)
from tests import build

HOUR = 3600.0
DAY = 86400.0
NORWAY = build.network()
#: 12:00 UTC, so that an hour of history lies within one clock hour.
NOON = build.NOW


def digest(*parts: object) -> int:
    """A 64-bit digest of anything, as `core.prompt` would make one of text."""
    raw = hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()
    return int.from_bytes(raw, "big")


def shape(text: str, *, head: str = "", tail: str = "", role: str = "user") -> RoleShape:
    """One role's text that begins with `head` and ends with `tail`; with neither, all its own."""
    return RoleShape(
        role=role,
        head=digest("head", head or text),
        tail=digest("tail", tail or text),
        skeleton=digest("skeleton", text),
        chars=len(text),
    )


def prompt(
    text: str, *, head: str = "", tail: str = "", system: str = "", **fields: Any
) -> PromptShape:
    """A prompt of one user text, each word a fragment, and perhaps a system text."""
    roles = (shape(system, role="system"),) if system else ()
    return build.prompt(
        roles=(*roles, shape(text, head=head, tail=tail)),
        **{"shingles": tuple(digest("shingle", word) for word in text.split())} | fields,
    )


def request(at: float, text: str = "", **fields: Any) -> Request:
    """A request at `at` (Unix seconds); `text` makes a prompt unless one is given."""
    return build.request(at=at, **{"prompt": prompt(text)} | fields)


def facts(
    profile: Profile | None,
    network: NetworkFacts = NORWAY,
    account: AccountFacts | None = None,
) -> Facts:
    """What is known of a request whose account has this past."""
    return Facts(network=network, account=account or AccountFacts(), profile=profile)


def lived(requests: Iterable[Request], network: NetworkFacts = NORWAY) -> Profile:
    """The profile that `requests`, all from one network, leave behind."""
    profile = Profile(held=Held())
    for one in requests:
        observe(profile, one, facts(profile, network))
    return profile


def travelled(visits: Sequence[tuple[float, NetworkFacts]]) -> Profile:
    """The profile that requests at these times from these networks leave behind."""
    profile = Profile(held=Held())
    for at, network in visits:
        observe(profile, request(at), facts(profile, network))
    return profile


def look(detector: Detector, one: Request, known: Facts) -> Signal:
    """The detector's signal; fails when it could not look."""
    signal = detector.look(one, known)
    assert signal is not None
    return signal
