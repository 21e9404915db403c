"""What a gateway asks about: the client's request, put together from the question. Pure.

| gateway | path of the question | method and target of the original |
| --- | --- | --- |
| nginx `auth_request` | `/auth/nginx` | `X-Original-Method`, `X-Original-URI` |
| Traefik, Caddy, APISIX, Kong | `/auth/forward` | `X-Forwarded-Method`, `X-Forwarded-Uri` |
| Envoy `ext_authz` over HTTP | `/auth/envoy` + the original path | the question's own |

Only a gateway may ask, and it writes these fields itself: one that comes twice, or not at all, is a
gateway set up wrongly, and then nothing is let through. `X-Guard-*` is nobody's to send.

A GET that asks to become a WebSocket is a handshake, and judged as one. `Upgrade` says so, or for
gateways that keep that field to themselves `X-Original-Upgrade` (nginx, told so) or the handshake's
key (Traefik). HAProxy's and Envoy's own protocols bring their requests here, too (`request`,
`take_body`).
"""

from __future__ import annotations

import enum
import re
from collections.abc import Collection, Mapping
from typing import Final

import msgspec

from gateway_guard.types import Wire

Headers = list[tuple[bytes, bytes]]


#: Method of a handshake (`Wire.method`).
WEBSOCKET: Final = "WEBSOCKET"


class Gateway(enum.StrEnum):
    """Who asks, and therefore how the answer has to look."""

    NGINX = "nginx"
    FORWARD = "forward"
    ENVOY = "envoy"

    __hash__ = str.__hash__


class Misasked(msgspec.Struct, frozen=True, gc=False):
    """Why a question cannot be about any request: what is wrong with the gateway's set-up."""

    why: str


#: Where each gateway asks.
PREFIX: Final = b"/auth/"
#: gateway → the fields that hold method and target.
_FIELDS: Final = {
    Gateway.NGINX: (b"x-original-method", b"x-original-uri"),
    Gateway.FORWARD: (b"x-forwarded-method", b"x-forwarded-uri"),
}
#: Fields of the question that are none of the original's.
_ASKING: Final = frozenset(
    (b"x-original-method", b"x-original-uri", b"x-original-upgrade", b"x-forwarded-method",
     b"x-forwarded-uri", b"x-envoy-auth-partial-body")
)  # fmt: skip
#: Fields by which a connection becomes another protocol's.
_UPGRADING: Final = frozenset(
    (b"connection", b"upgrade", b"x-original-upgrade", b"sec-websocket-key")
)
_PARTIAL: Final = b"x-envoy-auth-partial-body"
#: Methods whose requests have no body unless they announce one. No model API that we know of reads
#: one behind them.
_BODILESS: Final = frozenset(("GET", "HEAD", "OPTIONS"))
#: RFC 9110 §5.6.2: a token.
_METHOD: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}")


def gateway_of(raw_path: bytes) -> tuple[Gateway, bytes] | None:
    """Who asks at this path, and what is left of the path; None when nobody asks there."""
    if not raw_path.startswith(PREFIX):
        return None
    name, slash, rest = raw_path[len(PREFIX) :].partition(b"/")
    try:
        gateway = Gateway(name.decode("ascii", "replace"))
    except ValueError:
        return None
    if gateway is not Gateway.ENVOY and slash:
        return None
    return gateway, slash + rest


def original(
    gateway: Gateway, *, method: str, rest: bytes, headers: Headers, peer: str | None,
    whole: bool = False,
) -> Wire | Misasked:  # fmt: skip
    """The request a question is about, without its body.

    Args:
        gateway: who asks.
        method: the question's own, upper case.
        rest: what is left of the question's path behind the gateway's prefix (Envoy).
        headers: of the question, lower-case names.
        peer: address of the gateway; None over a unix socket.
        whole: as `request` has it.
    """
    fields = _FIELDS.get(gateway)
    if fields is None:
        found, target = method.encode(), rest or b"/"
    else:
        values = [[value for name, value in headers if name == field] for field in fields]
        for name, said in zip(fields, values, strict=True):
            if len(said) != 1 or not said[0]:
                times = "twice or more" if len(said) > 1 else "not at all"
                return Misasked(f"{name.decode()} comes {times}: the gateway has to set it once")
        (found,), (target,) = values
    if _METHOD.fullmatch(found) is None:
        return Misasked("the original method is no method")
    if not target.startswith(b"/"):
        return Misasked("the original target does not begin with a slash")
    return request(found.decode(), target, headers, peer, whole=whole)


def request(method: str, target: bytes, headers: Headers, peer: str | None, *, whole: bool) -> Wire:
    """A client's request, without its body.

    A handshake that may hide a body, which gateways do not show then, is a request whose body
    nobody could read.

    Args:
        method: as the client spelled it.
        target: path, perhaps with a query.
        headers: lower-case names.
        peer: who is believed or not about the client's address.
        whole: whether `headers` include those about the client's own connection. A question over
            HTTP has a connection of its own, and only traces of the client's.
    """
    method = method.upper()
    if method == WEBSOCKET:
        method = "websocket"  # a client's own word for its method is no handshake
    path, _, query = target.partition(b"?")
    wire = Wire(
        method=method,
        raw_path=path,
        headers=[
            field for field in headers if field[0] not in _ASKING and field[0][:8] != b"x-guard-"
        ],
        peer=peer,
        query=query,
        asked=True,
    )
    if _upgrades(headers, whole=whole):
        if method == "GET" and not _bodied(headers):
            wire.method = WEBSOCKET
        else:
            wire.body_too_large = True
    return wire


def apart(headers: Headers, names: Collection[bytes]) -> Headers:
    """`headers`, where a gateway has joined those of one name with commas: those in `names`, which
    say who asks, one by one again. Their upstream may get them one by one, too.
    """
    if not any(name in names and b"," in value for name, value in headers):
        return headers
    return [
        (name, one)
        for name, value in headers
        for one in (value.split(b",") if name in names else (value,))
    ]


def take_body(wire: Wire, shown: bytes | None, *, most: int, cut: bool = False) -> None:
    """Put what the gateway shows of the body into `wire`.

    Args:
        wire: from `request`.
        shown: None where the gateway shows no bodies.
        most: the policy's `inspect.max_body`, bytes.
        cut: whether the gateway says that there is more of it.
    """
    if wire.method == WEBSOCKET or wire.body_too_large:
        return
    if shown is None:
        wire.body_too_large, wire.unseen = cut, not cut and _may_have_body(wire)
        return
    wire.body_too_large = cut or len(shown) > most or not _whole(wire.headers, shown)
    if not wire.body_too_large:
        wire.body, wire.unseen = shown, not shown and _may_have_body(wire)


def partial(headers: Headers) -> bool:
    """Whether the gateway says that it sends the beginning of the body only."""
    return any(name == _PARTIAL and value.strip().lower() == b"true" for name, value in headers)


def _upgrades(headers: Headers, *, whole: bool) -> bool:
    """Whether the connection is to become a WebSocket. HTTP/2's handshakes arrive in this form."""
    fields: dict[bytes, bytes] = {}
    for name, value in headers:
        if name in _UPGRADING:
            fields[name] = fields.get(name, b"") + b"," + value.lower()
    if not fields:
        return False
    if whole:
        return b"upgrade" in _tokens(fields, b"connection") and (
            b"websocket" in _tokens(fields, b"upgrade")
        )
    return b"sec-websocket-key" in fields or any(
        b"websocket" in _tokens(fields, name) for name in (b"upgrade", b"x-original-upgrade")
    )


def _tokens(fields: Mapping[bytes, bytes], name: bytes) -> list[bytes]:
    """Of a list; a protocol's version (`websocket/13`) is left out."""
    return [word.partition(b"/")[0].strip(b" \t") for word in fields.get(name, b"").split(b",")]


def _may_have_body(wire: Wire) -> bool:
    """Whether nothing shown may be something kept back. A preflight, a listing or a probe that
    announces no body asks nothing of a model, whatever its path.
    """
    return wire.method not in _BODILESS or _bodied(wire.headers)


def _bodied(headers: Headers) -> bool:
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and value.strip(b"0 \t"))
        for name, value in headers
    )


def _whole(headers: Headers, body: bytes) -> bool:
    """Whether `body` is all that the head announces; one without an announced length is."""
    announced = {value for name, value in headers if name == b"content-length"}
    if announced:
        (length, *others) = announced
        return not others and length.isdigit() and len(length) < 19 and int(length) == len(body)
    # A chunked body is sent on as it is: nothing of it here means that nobody waited for it.
    return bool(body) or not any(name == b"transfer-encoding" for name, _ in headers)
