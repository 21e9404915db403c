"""The policy's `identify`, `inspect`, `overload` and `verification` sections, compiled."""

from __future__ import annotations

import ipaddress

import msgspec

from gateway_guard.types.veiled import Veiled

IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


class AccountSource(Veiled, msgspec.Struct, frozen=True, kw_only=True):
    """One place an account may be recognised by; the policy lists them in order, first hit wins.

    Attributes:
        kind: `header` (the whole value; for `authorization` the Bearer token), `jwt` or `state`.
        header: lower-case header name, for `header` and `jwt`.
        claim: JWT claim that names the account, e.g. `sub`.
        verify: False only behind a proxy that has verified the token already; where the policy
            names its proxies, a token that came past them counts for nothing.
        key: PEM public key or shared secret for verification; None when `jwks` is used.
        jwks: URL of a JSON Web Key Set; None when `key` is used.
        issuer, audience: required values; None for any.
        prefix: put in front of the name: two issuers may give one name to two people.
        attributes: (field of `AccountFacts`, claim that holds it).
        algorithms: accepted `alg` values; never `none`.
        state_key: key in `scope["state"]["gateway_guard"]`, for `state`.
    """

    veiled = frozenset(("key",))

    kind: str
    header: str = ""
    claim: str = "sub"
    verify: bool = True
    key: str | None = None
    jwks: str | None = None
    issuer: str | None = None
    audience: str | None = None
    prefix: str = ""
    attributes: tuple[tuple[str, str], ...] = ()
    algorithms: tuple[str, ...] = ("RS256", "ES256", "EdDSA")
    state_key: str = "account"


DEFAULT_ACCOUNT_SOURCES = (
    AccountSource(kind="state"),
    AccountSource(kind="header", header="authorization"),
    AccountSource(kind="header", header="x-api-key"),
    AccountSource(kind="header", header="api-key"),
    AccountSource(kind="header", header="x-goog-api-key"),
)


class Identify(msgspec.Struct, frozen=True, kw_only=True):
    """The policy's `identify` section, compiled.

    Attributes:
        accounts: where accounts are recognised, in order.
        client_ip: `peer`, `x-forwarded-for`, `forwarded` or the lower-case name of a header that
            holds one address.
        trusted: networks whose forwarding headers are believed. Empty: nobody's.
        tls_header: header in which a trusted edge hands over the client's JA4; None for none.
        attributes: (field of `AccountFacts`, lower-case header) in which a trusted edge says what
            it knows of the account.
        model_routes: further path patterns (`/llm/*`) that reach a model.
        trust_unix: whether a peer without an address (a unix socket) is trusted, too.
        fetches: whether a token may need keys that are fetched; always made from `accounts`.
    """

    accounts: tuple[AccountSource, ...] = DEFAULT_ACCOUNT_SOURCES
    client_ip: str = "peer"
    trusted: tuple[IPNetwork, ...] = ()
    tls_header: str | None = None
    attributes: tuple[tuple[str, bytes], ...] = ()
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


class Adaptive(msgspec.Struct, frozen=True, kw_only=True):
    """The policy's `overload.upstream`, compiled: see `core.gradient`.

    Attributes:
        floor: so many may always wait for their first token, >= 1.
        ceiling: most that ever may, >= `floor`.
        tolerance: how many times the usual wait is none too long, > 1.
        window: seconds that are measured together at least, > 0.
    """

    floor: int = 20
    ceiling: int = 1000
    tolerance: float = 1.5
    window: float = 1.0


class Overload(msgspec.Struct, frozen=True, kw_only=True):
    """The policy's `overload` section, compiled: when the excess is told to come back.

    Attributes:
        lag: seconds of CPU the event loop may take for one turn, again and again; None for what
            the frontend is made for (`frontends.admission`).
        upstream: how many may wait for the upstream; None bounds them by connections only.
    """

    lag: float | None = None
    upstream: Adaptive | None = None


class Form(msgspec.Struct, frozen=True, kw_only=True):
    """What the built-in page asks of a visitor.

    Attributes:
        title, intro: shown above it; plain text.
        accept: what must be agreed to, one box each.
        fields: what is asked for in words, e.g. `Organisation`; only a check of one's own reads it.
        codes: digests of the codes that are accepted (`core.codes.code_digest`); None for none
            asked for.
        check: the name of an installed check that has the last word; None for none.
    """

    title: str = "Verify your account"
    intro: str = ""
    accept: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    codes: frozenset[str] | None = None
    check: str | None = None


class Provider(Veiled, msgspec.Struct, frozen=True, kw_only=True):
    """Somebody else who finds out who a visitor is, and says so in a signed callback.

    Attributes:
        url: where visitors are sent.
        key: shared with it, at least 24 bytes; signs callbacks.
    """

    veiled = frozenset(("key",))

    url: str
    key: bytes


class OpenId(Veiled, msgspec.Struct, frozen=True, kw_only=True):
    """A sign-in by OpenID Connect: who signs in there is the subject.

    Attributes:
        issuer: what its tokens name as `iss`; its configuration is found below it.
        client_id: what it calls this guard.
        secret: what it gave this guard; None for a public client.
    """

    veiled = frozenset(("secret",))

    issuer: str
    client_id: str
    secret: str | None = None


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """The policy's `verification` section, compiled: how an account meets a challenge.

    Attributes:
        url: what links begin with, as clients reach this guard; no `/` at the end.
        path: the path of `url`, under which the guard answers visitors.
        expires: seconds a link can be used.
        lasts: seconds an account stays verified.
        accounts: most accounts that one subject may have verified at a time.
        form: the built-in page; None where somebody else asks.
        provider: somebody who calls back; None where that is not how it is done.
        openid: a sign-in; likewise.
    """

    url: str
    path: str
    expires: float = 1800.0
    lasts: float = 30 * 86400.0
    accounts: int = 3
    form: Form | None = None
    provider: Provider | None = None
    openid: OpenId | None = None
