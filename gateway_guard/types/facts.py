"""What is known about a request beyond what it says."""

from __future__ import annotations

from typing import Any, Final

import msgspec

#: What network facts may be flagged with, in the order they are printed.
NETWORK_FLAGS: Final = ("hosting", "proxy", "relay", "residential", "tor", "vpn")

#: What a shared indicator may name, in the order policies list them: an address range, the digest
#: of what client software shows of itself, that of a prompt's template, a TLS fingerprint (JA4).
INDICATOR_KINDS: Final = ("network", "client", "template", "tls")

#: A fact nobody could establish. A matchable value in policies; never an exception.
UNKNOWN: Final = "unknown"


class AccountFacts(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What the operator knows of an account. None means *unknown*, which policies can match.

    Attributes:
        organisation: who pays, as a digest or opaque id.
        created_at: Unix seconds.
        country: ISO 3166-1 alpha-2 declared at sign-up.
        payment: digest of the payment instrument.
        programme: e.g. `edu`, `research`, `startup`.
        tier: e.g. `free`.
        verified: whether somebody checked who they are.
        tags: operator's own labels, e.g. `partner`.
    """

    organisation: str | None = None
    created_at: float | None = None
    country: str | None = None
    payment: str | None = None
    programme: str | None = None
    tier: str | None = None
    verified: bool | None = None
    tags: tuple[str, ...] = ()


class NetworkFacts(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What the network database says of an address.

    Attributes:
        country: ISO 3166-1 alpha-2 where the address is used; None when unknown.
        asn: autonomous system number; None when unknown.
        as_org: its operator's name; None when unknown.
        flags: subset of `NETWORK_FLAGS`. Empty means "looked, nothing flagged".
        known: False when no database could answer (missing, corrupt, bad address); then nothing
            above means anything and `network: unknown` matches.
    """

    country: str | None = None
    asn: int | None = None
    as_org: str | None = None
    flags: frozenset[str] = frozenset()
    known: bool = True


class CampaignFacts(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The campaign an account is held to belong to.

    Attributes:
        id: its name.
        confidence: how sure that is, in [0, 1]; 1 when `banned`, less when only evidence says so.
        banned: whether a reviewer banned the account: it is refused, whatever the rules say.
    """

    id: str
    confidence: float
    banned: bool = False


class IndicatorFacts(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A shared indicator that matches a request: what somebody else says, not what was seen here.

    Attributes:
        name: what its source calls it, e.g. a campaign (`c_0012`) or a scenario.
        source: who said so, by the name the operator gave them.
        kind: one of `INDICATOR_KINDS`.
        confidence: how sure the source is, in [0, 1].
        at: Unix seconds since when it holds; a request's `at` minus this is its age.
    """

    name: str
    source: str
    kind: str
    confidence: float
    at: float


class Held(msgspec.Struct, kw_only=True, gc=False):
    """The highest recent risk of an account, kept so that a quota recovers slowly.

    Attributes:
        risk: in [0, 1], at time `at`; it decays linearly to 0 over a limit's `recover`.
        at: Unix seconds.
    """

    risk: float = 0.0
    at: float = 0.0


class Facts(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What is known about a request beyond what it says.

    Attributes:
        network: the client IP's facts.
        account: attributes of the account; all-None when the directory does not know it.
        profile: the account's own history, or None for a request without an account. Its type is
            `signals.profile.Profile`; only detectors read it.
        held: highest recent risk of the account; None when there is no account.
        campaign: the campaign verdict; None when the account is in none.
        indicators: shared indicators that match, the surest first, at most 8.
        vouched: whether the account met a challenge, and that still counts.
        challenged: whether a person asked the account to verify itself, and it has not.
    """

    network: NetworkFacts = NetworkFacts(known=False)
    account: AccountFacts = AccountFacts()
    profile: Any = None
    held: Held | None = None
    campaign: CampaignFacts | None = None
    indicators: tuple[IndicatorFacts, ...] = ()
    vouched: bool = False
    challenged: bool = False
