"""What Envoy asks about: the client's request, put together from a `CheckRequest`. Pure.

Envoy vouches for what it asks. The peer of the request is therefore the address that Envoy says the
client's connection came from, and forwarding headers are believed only where *that* peer is one of
the policy's trusted proxies: a balancer before Envoy, never the client itself.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

import msgspec
from google.protobuf.message import DecodeError

from gateway_guard.frontends.envoy.api import CheckRequest
from gateway_guard.frontends.extauth.original import (
    Gateway,
    Headers,
    Misasked,
    apart,
    original,
    partial,
    take_body,
)
from gateway_guard.frontends.head import imitations
from gateway_guard.types import Wire

#: A peer that is neither an address nor a unix socket: believed about nothing, found nowhere.
_NOBODY: Final = ""


class Question(msgspec.Struct, frozen=True, gc=False):
    """What Envoy asks about.

    Attributes:
        wire: the client's request.
        claimed: names of fields the client sent that only the guard or a proxy may say, for Envoy
            to take away: `X-Guard-*`, and what some upstreams take for those, or for
            `X-Forwarded-*` (`X_Guard_Account`, `X.Forwarded.For`).
    """

    wire: Wire
    claimed: tuple[bytes, ...]


def question(
    message: bytes, most_body: int, saying_who: Collection[bytes] = ()
) -> Question | Misasked:
    """The request a serialised `CheckRequest` is about.

    The body is taken from `raw_body` (the bytes themselves, with `pack_as_bytes`), else from
    `body`, where Envoy has written `!` for what is not UTF-8. One that Envoy has cut, that is
    longer than `most_body` bytes, or that Envoy does not show because the request asks to become
    something else than HTTP, is unknown (`Wire.body_too_large`). Without any body the request is
    judged by the rest, as Envoy sends none unless told to (`with_request_body`).

    `saying_who` names the fields by which accounts are recognised (`original.apart`).

    Malformed is: not a `CheckRequest`, one without an HTTP request or without the client's address
    in it, a method or target that is none (`OPTIONS *`).
    """
    try:
        attributes = CheckRequest.FromString(message).attributes
    except DecodeError:
        return Misasked("the question is no CheckRequest")
    http = attributes.request.http
    if not http.path or not http.method:
        return Misasked("the question names no method and path: is it about a TCP connection?")
    if not attributes.source.HasField("address"):
        return Misasked("the question does not say where the client's connection comes from")
    headers = _headers(http, saying_who)
    wire = original(
        Gateway.ENVOY, method=http.method.decode("ascii", "replace"), rest=http.path,
        headers=headers, peer=_peer(attributes.source.address), whole=True,
    )  # fmt: skip
    if isinstance(wire, Misasked):
        return wire
    # `size` says nothing: it is what Envoy had received when it asked.
    take_body(wire, http.raw_body or http.body or None, most=most_body, cut=partial(headers))
    claimed = tuple(name for name, _ in headers if name[:8] == b"x-guard-")
    return Question(wire, claimed + imitations(headers))


def _headers(http: Any, saying_who: Collection[bytes]) -> Headers:
    """The request's fields, lower-case names. `Host` from `:authority`, as all upstreams see it.

    Field by field and byte for byte where Envoy is told so (`encode_raw_headers`), else one line
    per name, several values joined with commas; those `saying_who` are taken apart again.
    """
    if http.HasField("header_map"):
        found = [(e.key, e.raw_value or e.value) for e in http.header_map.headers]
    else:
        found = apart([(e.key, e.value) for e in http.headers], saying_who)
    named = [field for field in found if field[0][:1] != b":"]
    named += [(b"host", value) for name, value in found if name == b":authority"]
    return named


def _peer(address: Any) -> str | None:
    if address.HasField("pipe"):
        return None
    if not address.HasField("socket_address"):
        return _NOBODY
    said: str = address.socket_address.address.decode("ascii", "replace")
    return said
