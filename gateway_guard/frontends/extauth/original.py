"""What a gateway asks about: the client's request, put together from the question. Pure.

| gateway | path of the question | method and target of the original |
| --- | --- | --- |
| nginx `auth_request` | `/auth/nginx` | `X-Original-Method`, `X-Original-URI` |
| Traefik, Caddy, APISIX, Kong | `/auth/forward` | `X-Forwarded-Method`, `X-Forwarded-Uri` |
| Envoy `ext_authz` over HTTP | `/auth/envoy` + the original path | the question's own |

Only a gateway may ask, and it writes these fields itself: one that comes twice, or not at all, is a
gateway set up wrongly, and then nothing is let through. `X-Guard-*` is nobody's to send.
"""

from __future__ import annotations

import enum
import re
from typing import Final

import msgspec

from gateway_guard.types import Wire

Headers = list[tuple[bytes, bytes]]


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
    (b"x-original-method", b"x-original-uri", b"x-forwarded-method", b"x-forwarded-uri",
     b"x-envoy-auth-partial-body")
)  # fmt: skip
_PARTIAL: Final = b"x-envoy-auth-partial-body"
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
    gateway: Gateway, *, method: str, rest: bytes, headers: Headers, peer: str | None
) -> Wire | Misasked:
    """The request a question is about, without its body.

    Args:
        gateway: who asks.
        method: the question's own, upper case.
        rest: what is left of the question's path behind the gateway's prefix (Envoy).
        headers: of the question, lower-case names.
        peer: address of the gateway; None over a unix socket.
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
    return Wire(
        method=found.decode().upper(),
        raw_path=target.partition(b"?")[0],
        headers=[
            field for field in headers if field[0] not in _ASKING and field[0][:8] != b"x-guard-"
        ],
        peer=peer,
    )


def partial(headers: Headers) -> bool:
    """Whether the gateway says that it sends the beginning of the body only."""
    return any(name == _PARTIAL and value.strip().lower() == b"true" for name, value in headers)
