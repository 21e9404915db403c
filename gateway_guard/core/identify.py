"""Wire → Request: who is asking, from where, for what. Pure and total: no bytes make it raise."""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from gateway_guard.core import body as bodies
from gateway_guard.core import client_ip, dialects, hints, members, paths, prompt, shapes, tokens
from gateway_guard.core.address import subnet_of
from gateway_guard.core.credentials import (
    AMBIGUOUS,
    CONFLICT,
    VISIBLE,
    digest,
    name_digest,
    read_credential,
)
from gateway_guard.core.phrases import Phrases
from gateway_guard.types import Dialect, Inspection, Request, Wire

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
    """

    max_body: int = 8 * 1024 * 1024
    phrases: tuple[str, ...] = ()
    default_output_tokens: int = 1024
    shapes: bool = True


#: kid → verified key material, per JWKS URL; filled by `accounts.jwks`.
Keys = Mapping[str, Mapping[str, object]]

Headers = Sequence[tuple[bytes, bytes]]


#: Longest path remembered with what it means, bytes, and most of them.
_LONGEST_REMEMBERED: Final = 256
_MOST_REMEMBERED: Final = 4096


class _Compiled:
    """What a policy's `identify` and `inspect` need at every request, built once."""

    __slots__ = (
        "_places", "_routes", "by_peer", "identify", "inspect", "phrases", "sources", "tls",
        "trust",
    )  # fmt: skip

    def __init__(self, identify: Identify, inspect: Inspect) -> None:
        self.identify = identify
        self.inspect = inspect
        self.trust = client_ip.Trust(identify.trusted)
        self.tls = identify.tls_header.lower().encode() if identify.tls_header else None
        self.phrases = (
            Phrases((phrase, phrase) for phrase in inspect.phrases) if inspect.phrases else None
        )
        #: Nobody is believed about anything, so the peer is the client.
        self.by_peer = not identify.trusted and not identify.trust_unix
        # The guard's own headers are never believed from outside.
        self.sources = tuple(
            (source, source.header.encode(), source.header == "authorization")
            for source in identify.accounts
            if source.kind == "state" or not source.header.startswith("x-guard-")
        )
        self._routes = dialects.compile_routes(identify.model_routes)
        self._places: dict[bytes, tuple[str | None, Dialect | None, str | None]] = {}

    def place(self, raw_path: bytes) -> tuple[str | None, Dialect | None, str | None]:
        """(canonical path, dialect of the model route, model the path decides on) of a request
        target; None for none.
        """
        place = self._places.get(raw_path)
        if place is None:
            path = paths.canonical(raw_path)
            place = (
                path,
                None if path is None else dialects.route(path, self._routes),
                None if path is None else dialects.model_by_path(path),
            )
            if len(raw_path) <= _LONGEST_REMEMBERED:
                if len(self._places) >= _MOST_REMEMBERED:
                    self._places.clear()
                self._places[raw_path] = place
        return place


#: By identity of the two sections: they are frozen, and hashing them would cost more than the
#: request. An entry keeps its sections alive, so an id cannot come to mean another object.
_compiled: dict[tuple[int, int], _Compiled] = {}
_MOST_COMPILED: Final = 16
_NO_INSPECT: Final = Inspect()
#: The one used last: a process has one policy in force.
_latest = _Compiled(Identify(), _NO_INSPECT)


def _compile(identify: Identify, inspect: Inspect) -> _Compiled:
    global _latest
    key = (id(identify), id(inspect))
    ready = _compiled.get(key)
    if ready is None:
        if len(_compiled) >= _MOST_COMPILED:
            _compiled.clear()
        ready = _compiled[key] = _Compiled(identify, inspect)
    _latest = ready
    return ready


def needs_body(identify: Identify, method: str, raw_path: bytes, headers: Headers) -> bool:  # noqa: ARG001
    """Whether the frontend must read the body before `identify`: on every model route.

    Whatever the method and whatever the headers say of a body: an upstream may read one that comes
    with GET, and HTTP/2 announces none. An ambiguous path needs none; it is refused, not read.
    """
    if method == "WEBSOCKET":
        return False
    ready = _latest
    if ready.identify is not identify:
        ready = _compile(identify, _NO_INSPECT)
    return ready.place(raw_path)[1] is not None


def identify(
    wire: Wire,
    policy_identify: Identify,
    inspect: Inspect,
    *,
    id: str,
    at: float,
    secret: bytes,
    keys: Keys,
) -> Request:
    """Everything later stages may know of what arrived. Never raises, whatever the bytes.

    `at` is Unix seconds; `secret` keys every digest; `keys` are the JWKS at hand. Header names are
    lower case, as ASGI has them.
    """
    ready = _latest
    if ready.identify is not policy_identify or ready.inspect is not inspect:
        ready = _compile(policy_identify, inspect)
    headers = wire.headers
    fields = dict(headers)
    repeated = len(fields) != len(headers)

    path, dialect, placed = ready.place(wire.raw_path)
    model_route = dialect is not None

    if ready.by_peer:
        address, subnet = _peer(wire.peer)
        source, trusted = _PEER if address is not None else _NO_PEER, False
    else:
        address, source, trusted = _client_ip(wire, ready, fields, repeated)
        subnet = _subnet_of(address) if address is not None else None
    account, credential, authenticated = _account(wire, ready, fields, repeated, at, secret, keys)
    seeds = shapes.seeds(secret)
    tls = fields.get(ready.tls) if trusted and ready.tls is not None else None

    inspection, model, shape = Inspection.NONE, None, None
    if dialect is None:
        dialect = dialects.by_headers(fields)
    elif wire.body_too_large:
        inspection = Inspection.TOO_LARGE
    elif wire.body:
        inspection, document = bodies.read(
            wire.body,
            lines(headers, b"content-type") if repeated else _one(fields, b"content-type"),
            lines(headers, b"content-encoding") if repeated else _one(fields, b"content-encoding"),
            inspect.max_body,
        )
        if document is not None:
            try:
                # Where the path decides upstream, what the body says is an ornament.
                model = members.model_of(document)
                model = placed or model or dialects.model_in_path(path or "")
                shape = prompt.shape(
                    document,
                    seeds,
                    ready.phrases,
                    digests=inspect.shapes,
                    assumed_output_tokens=inspect.default_output_tokens,
                )
            except members.Misshapen:
                inspection, model = Inspection.SHAPE, None
            if dialect is Dialect.OTHER:
                dialect = dialects.by_headers(fields)
                if dialect is Dialect.OTHER:
                    dialect = dialects.by_body(document)
    return Request(
        id=id,
        at=at,
        method=wire.method,
        path=path,
        dialect=dialect,
        model_route=model_route,
        model=model,
        client_ip=address,
        ip_source=source,
        subnet=subnet,
        account=account,
        credential=credential,
        authenticated=authenticated,
        client=hints.client(fields, tls, seeds),
        inspection=inspection,
        prompt=shape,
    )


def lines(headers: Headers, name: bytes) -> list[bytes]:
    """The values of all lines of one header field, in order of arrival."""
    return [value for key, value in headers if key == name]


def _one(fields: Mapping[bytes, bytes], name: bytes) -> list[bytes]:
    value = fields.get(name)
    return [] if value is None else [value]


_PEER: Final = "peer"
_NO_PEER: Final = "the peer has no address"
_subnet_of: Final = functools.lru_cache(maxsize=8192)(subnet_of)


def _peer(peer: str | None) -> tuple[str | None, str | None]:
    """The address of the other end of the connection and its subnet; None when unknown."""
    if peer is None or len(peer) > _LONGEST_PEER:
        address = client_ip.peer_address(peer)
        return address, None if address is None else subnet_of(address)
    return _peer_remembered(peer)


@functools.lru_cache(maxsize=8192)
def _peer_remembered(peer: str) -> tuple[str | None, str | None]:
    address = client_ip.peer_address(peer)
    return address, None if address is None else subnet_of(address)


#: Longest spelling of a peer that is remembered, characters: an IPv6 address with a zone.
_LONGEST_PEER: Final = 64


def _client_ip(
    wire: Wire, ready: _Compiled, fields: Mapping[bytes, bytes], repeated: bool
) -> tuple[str | None, str, bool]:
    """The client's address, where it came from, and whether the peer is trusted."""
    peer, _ = _peer(wire.peer)
    trust = ready.trust
    if peer is None:
        trusted = ready.identify.trust_unix and wire.peer is None
    else:
        trusted = trust.anybody and trust.covers(peer)
    how = ready.identify.client_ip
    if how == "peer" or not trusted:
        return peer, _PEER if peer is not None else _NO_PEER, trusted
    name = how.encode()
    found = lines(wire.headers, name) if repeated else _one(fields, name)
    if how == "x-forwarded-for":
        if not found:
            return peer, "peer, trusted, without x-forwarded-for", True
        address, source = client_ip.forwarded_for(found, trust)
    elif how == "forwarded":
        if not found:
            return peer, "peer, trusted, without forwarded", True
        address, source = client_ip.forwarded(found, trust)
    else:
        address, source = client_ip.single(found, how)
    return address, source, True


def _account(
    wire: Wire,
    ready: _Compiled,
    fields: Mapping[bytes, bytes],
    repeated: bool,
    at: float,
    secret: bytes,
    keys: Keys,
) -> tuple[str | None, str | None, bool]:
    """(account, how it was recognised, authenticated): the first source that names one wins.

    Two credentials that differ, in two headers, are a conflict: the upstream might bill either, so
    rotating the other must not buy a fresh account. It counts as failed authentication. A key and
    a token conflict in either order; what stands in one and the same header cannot.
    """
    plain: bytes | None = None
    origin = b""
    named: str | None = None
    kind: str | None = None
    for source, header, schemed in ready.sources:
        if source.kind == "state":
            if wire.state:
                text = tokens.name_of(wire.state.get(source.state_key))
                if text is not None and plain is None and named is None:
                    return name_digest(secret, text.encode("utf-8", "replace")), "state", True
            continue
        value = fields.get(header)
        if value is None:
            continue
        token = value[7:]
        if (
            schemed and not repeated and plain is None and source.kind == "header" and token
            and value[:7] == b"Bearer " and not token.translate(None, VISIBLE)
        ):  # fmt: skip
            # As `read_credential` reads nearly all of them.
            plain, kind, origin = token, "bearer", header
            continue
        if header == origin:
            continue
        read = read_credential(header, lines(wire.headers, header) if repeated else [value])
        if read is None:
            continue
        if read is CONFLICT:
            return None, AMBIGUOUS, False
        if source.kind == "jwt":
            if named is not None:
                continue
            verdict = tokens.verify(read.token, source, keys, at)
            if verdict is tokens.NOT_A_TOKEN and (
                plain is not None or _read_later(ready.identify, source)
            ):
                continue
            if not isinstance(verdict, str):
                return None, "jwt", False
            if plain is not None and plain != read.token:
                return None, AMBIGUOUS, False
            named = verdict
        elif plain is not None and plain != read.token:
            return None, AMBIGUOUS, False
        if plain is None:
            plain, kind, origin = read.token, read.kind, header
    if named is not None:
        return name_digest(secret, named.encode("utf-8", "replace")), "jwt", True
    if plain is None:
        return None, None, True
    return digest(secret, plain), kind, True


def _read_later(identify: Identify, source: AccountSource) -> bool:
    """Whether a plain header source reads what is not a token in the header of a JWT source."""
    return any(
        other.kind == "header" and other.header == source.header for other in identify.accounts
    )
