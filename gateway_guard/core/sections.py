"""The policy's `identify` and `inspect` sections, compiled."""

from __future__ import annotations

import ipaddress

import msgspec

IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


class AccountSource(msgspec.Struct, frozen=True, kw_only=True):
    """One place an account may be recognised by; the policy lists them in order, first hit wins.

    Attributes:
        kind: `header` (the whole value; for `authorization` the Bearer token), `jwt` or `state`.
        header: lower-case header name, for `header` and `jwt`.
        claim: JWT claim that names the account, e.g. `sub`.
        verify: False only behind a proxy that has verified the token already.
        key: PEM public key or shared secret for verification; None when `jwks` is used.
        jwks: URL of a JSON Web Key Set; None when `key` is used.
        issuer, audience: required values; None for any.
        algorithms: accepted `alg` values; never `none`.
        state_key: key in `scope["state"]["gateway_guard"]`, for `state`.
    """

    kind: str
    header: str = ""
    claim: str = "sub"
    verify: bool = True
    key: str | None = None
    jwks: str | None = None
    issuer: str | None = None
    audience: str | None = None
    algorithms: tuple[str, ...] = ("RS256", "ES256", "EdDSA")
    state_key: str = "account"


DEFAULT_ACCOUNT_SOURCES = (
    AccountSource(kind="state"),
    AccountSource(kind="header", header="authorization"),
    AccountSource(kind="header", header="x-api-key"),
)


class Identify(msgspec.Struct, frozen=True, kw_only=True):
    """The policy's `identify` section, compiled.

    Attributes:
        accounts: where accounts are recognised, in order.
        client_ip: `peer`, `x-forwarded-for`, `forwarded` or the lower-case name of a header that
            holds one address.
        trusted: networks whose forwarding headers are believed. Empty: nobody's.
        tls_header: header in which a trusted edge hands over the client's JA4; None for none.
        model_routes: further path patterns (`/llm/*`) that reach a model.
        trust_unix: whether a peer without an address (a unix socket) is trusted, too.
        fetches: whether a token may need keys that are fetched; always made from `accounts`.
    """

    accounts: tuple[AccountSource, ...] = DEFAULT_ACCOUNT_SOURCES
    client_ip: str = "peer"
    trusted: tuple[IPNetwork, ...] = ()
    tls_header: str | None = None
    model_routes: tuple[str, ...] = ()
    trust_unix: bool = False
    fetches: bool = False

    def __post_init__(self) -> None:
        fetches = any(
            source.kind == "jwt" and source.verify and source.jwks is not None
            for source in self.accounts
        )
        msgspec.structs.force_setattr(self, "fetches", fetches)


class Inspect(msgspec.Struct, frozen=True, kw_only=True):
    """The policy's `inspect` section, compiled.

    Attributes:
        max_body: most bytes of a body read, on the wire and after decoding.
        phrases: lower-case phrases the rules ask for (`when: { prompt: … }`), all rules together.
        default_output_tokens: output tokens assumed when the client sets no cap.
        shapes: whether anybody reads a prompt's digests; without detectors only its counts are
            taken, which is half the cost.
        keep_samples: characters of the last user text that are kept, for reports on campaigns; in
            [0, 400], 0 keeps no text at all.
    """

    max_body: int = 8 * 1024 * 1024
    phrases: tuple[str, ...] = ()
    default_output_tokens: int = 1024
    shapes: bool = True
    keep_samples: int = 0
