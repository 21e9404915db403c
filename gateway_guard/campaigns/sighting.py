"""What the linker is told of one exchange: digests, times and counts; no text unless asked to."""

from __future__ import annotations

from typing import Final

import msgspec

#: Most content keys of one exchange.
MOST_KEYS: Final = 16


class Sighting(msgspec.Struct, frozen=True, gc=False):
    """One exchange as the linker sees it.

    Name what you give. Only `digests.sighting_of` goes by the order: one is made for each request,
    and CPython passes more than 15 named members in a dict, which costs ten times the record.

    Attributes:
        at: arrival, Unix seconds.
        account: keyed digest of the credential.
        organisation: who pays; None when unknown: the account then counts as its own organisation.
        payment: the payment instrument's digest; None when unknown.
        created_at: sign-up, Unix seconds; None when unknown.
        verified: whether somebody checked who they are; None when unknown.
        address: 64-bit keyed digest of the client IP; 0 when unknown.
        subnet: the same of its /24 or /64.
        country, asn: of the client IP; None when unknown.
        flags: network flags of the client IP.
        declared: country declared at sign-up; None when unknown.
        client: 64-bit digest of what the client software shows of itself (user agent, SDK, TLS
            fingerprint); 0 when it shows nothing.
        model: the model asked for; None when unknown.
        keys: 64-bit keyed digests of what the prompt shares with others of its template: ends,
            skeleton, sampled fragments; at most `MOST_KEYS`, each once.
        chars: characters of the prompt, all roles; >= 0.
        tokens: input and output together, as far as known; >= 0.
        refused: whether the guard refused it.
        sample: how the last user text begins; None unless the policy says `keep_samples`.
    """

    at: float
    account: str
    organisation: str | None = None
    payment: str | None = None
    created_at: float | None = None
    verified: bool | None = None
    address: int = 0
    subnet: int = 0
    country: str | None = None
    asn: int | None = None
    flags: frozenset[str] = frozenset()
    declared: str | None = None
    client: int = 0
    model: str | None = None
    keys: tuple[int, ...] = ()
    chars: int = 0
    tokens: int = 0
    refused: bool = False
    sample: str | None = None
