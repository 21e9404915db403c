"""Which header fields go to the upstream and which come back. Pure.

A request's fields are copied byte for byte except these:

- hop-by-hop fields (RFC 9110 §7.6.1) and those the client names in `Connection`. A client cannot
  use `Connection` to remove what the guard judged or what the guard itself writes (`PROTECTED`):
  otherwise `Connection: Authorization` would forward a request without the key it was admitted
  by.
- everything that claims to come from a proxy (`X-Forwarded-*`, `Forwarded`, `X-Real-IP`, …) is
  dropped and written anew; a trusted peer's `X-Forwarded-For` is continued, anybody else's
  replaced.
- `X-Guard-*`, always the guard's own.
- fields that make an upstream see another method, path or client than was judged (`ALIASES`,
  `CLIENT_ADDRESS`, also its country and scheme): the latter pass from trusted peers, the former
  where the policy knows its accounts by them.
"""

from __future__ import annotations

import functools
import ipaddress
import re
from collections.abc import Collection, Iterable
from typing import Final

from gateway_guard.types import Exchange

Headers = list[tuple[bytes, bytes]]
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

#: Fields about one connection only.
HOP_BY_HOP: Final = frozenset(
    (
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"http2-settings",
    )
)

#: Fields by which an upstream may be told another method, host or path than was judged, or that
#: it has been asked already. (`x-original-url`, `x-rewrite-uri`, `x-http-method-override`, …)
ALIASES: Final = re.compile(
    rb"x-(?:original|originally|rewrite|http)-.*|x-(?:method|host|path|url|uri)(?:-override)?"
    rb"|x-envoy-original-.*|(?:script|path)-(?:name|info)|request-uri|base-url|http-host"
    rb"|forwarded-host|x-middleware-subrequest|x-accel-.*|x-sendfile-type|proxy"
)

#: Fields in which edges hand over the client's address; believed, and passed on, from trusted
#: peers only.
CLIENT_ADDRESS: Final = frozenset(
    (
        b"cf-connecting-ip",
        b"cf-connecting-ipv6",
        b"cf-pseudo-ipv4",
        b"true-client-ip",
        b"x-client-ip",
        b"x-cluster-client-ip",
        b"x-originating-ip",
        b"x-remote-ip",
        b"x-remote-addr",
        b"fastly-client-ip",
        b"fly-client-ip",
        b"do-connecting-ip",
        b"x-azure-clientip",
        b"x-azure-socketip",
        b"x-envoy-external-address",
        b"x-appengine-user-ip",
        b"x-vercel-forwarded-for",
        b"x-original-forwarded-for",
        b"x-proxyuser-ip",
        b"wl-proxy-client-ip",
        b"client-ip",
        b"remote-addr",
        b"forwarded-for",
        b"x-forwarded",
    )
)
#: The same by how they are made: `X-Sucuri-ClientIP`, `Ali-CDN-Real-IP`, `X-Forward-For`, …
_CLIENT_ADDRESS: Final = re.compile(
    rb"(?:.*-)?(?:(?:client|real|remote|source|src|user|peer|origin|viewer|visitor"
    rb"|connecting|connection)-?(?:ip|ips|addr|address)|forward(?:ed)?-for|coming-from)"
    rb"|x-(?:envoy-.*|ips?)|ip"
)
#: Fields in which edges hand over where the client is, by which upstreams refuse countries; and the
#: scheme it came by. Source: Cloudflare's, CloudFront's, App Engine's, Vercel's, Akamai's and
#: Google's documentation; nginx's and ingress-nginx's usual names.
_CLIENT_PLACE: Final = re.compile(
    rb"cf-(?:ip[a-z]+|region|region-code|metro-code|postal-code|timezone)"
    rb"|cloudfront-(?:viewer|forwarded)-.*|x-(?:appengine|vercel-ip)-.*|x-akamai-edgescape"
    rb"|(?:x-)?(?:client-|viewer-|visitor-)?(?:geo|geoip2?)(?:-.*)?"
    rb"|x-(?:client-|viewer-|visitor-|ip-)?country(?:-(?:code|name))?"
    rb"|front-end-https|x-(?:url-)?scheme"
)

#: Fields a client cannot have removed by naming them in `Connection`.
PROTECTED: Final = frozenset(
    (
        b"authorization",
        b"x-api-key",
        b"api-key",
        b"anthropic-version",
        b"cookie",
        b"host",
        b"content-length",
        b"content-type",
        b"content-encoding",
        b"accept-encoding",
    )
)

_OWN: Final = frozenset((b"host", b"content-length", b"expect", b"forwarded", b"x-real-ip"))
_NEVER: Final = HOP_BY_HOP | _OWN
_PREFIXES: Final = (b"x-forwarded-", b"x-guard-")

#: Who may send a field that is passed on: anybody, a trusted peer, or whom the policy knows by it.
_ANYBODY, _TRUSTED, _KNOWN, _NOBODY = range(4)
#: Field names → who; each name is looked up once, as long as it is no longer than real ones are.
_senders: dict[bytes, int] = {}
_MOST_SENDERS: Final = 4096
_LONGEST_NAME: Final = 64


def _sender(name: bytes) -> int:
    if name in _NEVER or name.startswith(_PREFIXES):
        who = _NOBODY
    elif name in CLIENT_ADDRESS:
        who = _TRUSTED
    elif ALIASES.fullmatch(name):
        who = _KNOWN
    else:
        claims = _CLIENT_ADDRESS.fullmatch(name) or _CLIENT_PLACE.fullmatch(name)
        who = _TRUSTED if claims else _ANYBODY
    if len(name) <= _LONGEST_NAME:
        if len(_senders) >= _MOST_SENDERS:
            _senders.clear()
        _senders[name] = who
    return who


_SIMPLE: Final = frozenset((b"close", b"keep-alive", b""))
#: Fields of an answer that concern the connection to the upstream only; say where else it is
#: served, where nobody guards it; or have a server in front of the guard fetch something else.
_RESPONSE_DROPPED: Final = (HOP_BY_HOP - {b"proxy-authenticate"}) | {
    b"alt-svc", b"x-accel-redirect", b"x-sendfile", b"x-lighttpd-send-file", b"x-reproxy-url",
}  # fmt: skip


def named_in_connection(headers: Headers, protected: Collection[bytes]) -> frozenset[bytes]:
    """Names the client lists in `Connection`, without those it may not remove."""
    names: set[bytes] = set()
    for name, value in headers:
        if name == b"connection":
            for token in value.lower().split(b","):
                word = token.strip(b" \t")
                if word not in _SIMPLE and word not in PROTECTED and word not in protected:
                    names.add(word)
    return frozenset(names)


def request_fields(
    headers: Headers, *, trusted: bool, protected: Collection[bytes] = ()
) -> list[bytes]:
    """The client's own fields as the upstream gets them, each `name: value CRLF`.

    `trusted`: the peer is a proxy whose word about the client is believed. `protected`: further
    names the policy judges by, lower case.
    """
    most = _TRUSTED if trusted else _ANYBODY
    named: frozenset[bytes] = frozenset()
    out = []
    for field in headers:
        name = field[0]
        who = _senders.get(name)
        if who is None:
            who = _sender(name)
        if who > most and (who != _KNOWN or name not in protected):
            if name == b"connection" and field[1].lower() not in _SIMPLE:
                named = named_in_connection(headers, protected)
            continue
        out.append(b"%b: %b\r\n" % field)
    if named:
        out = [line for line in out if line.partition(b":")[0] not in named]
    return out


def forwarding_fields(
    headers: Headers,
    *,
    peer: str | None,
    scheme: str,
    trusted: bool,
    client_ip: str | None,
) -> list[bytes]:
    """The guard's own `X-Forwarded-*` and `X-Real-IP`, each `name: value CRLF`.

    `peer` is the address the request came from, None for a unix socket; `client_ip` the address the
    guard judged, None when unknown.
    """
    chain: tuple[bytes, ...] = ()
    host = proto = b""
    for name, value in headers:
        if name == b"host":
            host = host or value
        elif trusted and name[:12] == b"x-forwarded-":
            if name == b"x-forwarded-for":
                chain += (value,)
            elif name == b"x-forwarded-proto":
                if value in (b"http", b"https"):
                    proto = value
            elif name == b"x-forwarded-host":
                host = value
    write = _introduction if trusted else _remembered
    return [write(chain, peer, proto or scheme.encode(), host, client_ip or peer)]


def _introduction(
    chain: tuple[bytes, ...], peer: str | None, proto: bytes, host: bytes, real: str | None
) -> bytes:
    if peer is not None:
        chain = (*chain, peer.encode())
    out = b"x-forwarded-for: %b\r\n" % b", ".join(chain) if chain else b""
    out += b"x-forwarded-proto: %b\r\n" % proto
    if host:
        out += b"x-forwarded-host: %b\r\n" % host
    if real is not None:
        out += b"x-real-ip: %b\r\n" % real.encode()
    return out


#: One client's requests hardly differ in this. Not for trusted peers: what they hand on may be
#: 64 KiB long and is rarely the same twice.
_remembered: Final = functools.lru_cache(maxsize=1024)(_introduction)


def guard_fields(exchange: Exchange) -> list[bytes]:
    """What the upstream is told of the decision, as `X-Guard-…` fields.

    `X-Guard-Request-Id`, `-Action`, `-Account` (a keyed
    digest), `-Country` and `-Risk` (two decimals), each `name: value CRLF`. Unknown ones are
    left out.
    """
    request = exchange.request
    out = (
        f"x-guard-request-id: {request.id}\r\nx-guard-action: {exchange.decision.action.word}\r\n"
        f"x-guard-risk: {exchange.assessment.risk:.2f}\r\n"
    )
    if request.account is not None:
        out += f"x-guard-account: {request.account}\r\n"
    country = exchange.facts.network.country
    if country is not None:
        out += f"x-guard-country: {country}\r\n"
    return [out.encode()]


def response_fields(headers: Headers) -> Headers:
    """The upstream's fields as the client gets them: without hop-by-hop and `X-Guard-*` ones, and
    those that lead around the guard.
    """
    out = [
        field
        for field in headers
        if field[0] not in _RESPONSE_DROPPED and field[0][:8] != b"x-guard-"
    ]
    if len(out) == len(headers):
        return out
    named: set[bytes] = set()
    for name, value in headers:
        if name == b"connection":
            named.update(token.strip() for token in value.lower().split(b","))
    named -= _SIMPLE | PROTECTED
    return [field for field in out if field[0] not in named] if named else out


class TrustedPeers:
    """Whether a peer is one of the proxies a policy trusts, remembered per address."""

    __slots__ = ("_believes", "networks")

    def __init__(self, networks: Iterable[IPNetwork]) -> None:
        self.networks = tuple(networks)
        self._believes = functools.lru_cache(maxsize=4096)(self._ask)

    def __contains__(self, peer: object) -> bool:
        return bool(self.networks) and isinstance(peer, str) and self._believes(peer)

    def _ask(self, peer: str) -> bool:
        try:
            address = ipaddress.ip_address(peer)
        except ValueError:
            return False
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self.networks)
