"""Envoy's messages: a request with the peer Envoy names and none of the guard's own fields, or why
not; limits asked and costs told are whole and not negative."""

from __future__ import annotations

import contextlib
import re
from typing import Final

from google.protobuf.message import DecodeError

from gateway_guard.core.policy import Policy
from gateway_guard.frontends.envoy.api import (
    CheckRequest,
    RateLimitRequest,
    StreamAccessLogsMessage,
)
from gateway_guard.frontends.envoy.limits import Asked, asked
from gateway_guard.frontends.envoy.logs import ended
from gateway_guard.frontends.envoy.question import Question, question
from gateway_guard.frontends.extauth.original import (
    Gateway,
    Misasked,
    gateway_of,
    original,
)
from gateway_guard.policy.compile import compile_policy
from gateway_guard.types import Facts, Wire
from tests.fuzz.taken import Taken

WORDS = (
    b"POST", b"/v1/messages", b"192.0.2.1", b"x-guard-account", b":authority", b"api.test",
    b"gateway-guard", b"limit", b"requests", b"account", b"acct_aaaaaaaaaaaaaaaa", b"credential",
    b"Bearer x", b"remote_address", b"request_id", b"r_1", b"envoy.filters.http.ext_authz",
    b"x-envoy-auth-partial-body", b"true", b"\x0a\x02", b"\x12\x04", b"\x1a\x03", b"\x22\x00",
    b"\xff\xff\xff\xff\x0f", b"content-length", b"3", b"x-original-uri", b"x-forwarded-method",
    b"/auth/nginx", b"/auth/envoy/v1/messages", b"sec-websocket-key", b"upgrade",
)  # fmt: skip
_POLICY: Final[Policy] = compile_policy(
    b"version: 1\nlimits:\n  requests: { per: account, requests: 60/minute }\n"
    b"  near: { per: client_ip, requests: 5/minute }\n  all: { per: everyone, tokens: 9/minute }\n",
    "fuzz.yaml",
)
_GATEWAYS: Final = tuple(Gateway)


def check_request(method: bytes, path: bytes, peer: bytes, body: bytes) -> bytes:
    """A sound question."""
    message = CheckRequest()
    http = message.attributes.request.http
    http.method, http.path, http.raw_body = method, path, body
    message.attributes.source.address.socket_address.address = peer
    field = http.headers.add()
    field.key, field.value = b"x-guard-account", b"me"
    made: bytes = message.SerializeToString()
    return made


#: Names that only the guard, a proxy or the framing may say.
_CLAIMS: Final = re.compile(
    rb"x-guard-|x-forwarded|forwarded$|x-real-ip$|transfer-encoding$|content-length$|authorization$"
    rb"|host$|connection$"
)


def target(data: bytes) -> None:
    """A method's, path's and peer's length, then those and a body; and the same as raw messages."""
    taken = Taken(data)
    method, path, peer, rest = taken.some(), taken.some(), taken.some(), taken.rest()

    for message in (data, rest, check_request(method, path, peer, rest)):
        found = question(message, 64)
        if isinstance(found, Question):
            _sound(found.wire)
            # What some upstreams read as such a name, too: `X_Guard_Account`.
            assert all(_CLAIMS.match(re.sub(rb"[^a-z0-9]", b"-", name)) for name in found.claimed)
        else:
            assert found.why
    for message in (data, rest, _limit_request(method, path, peer)):
        told = asked(
            message, _POLICY, lambda _: Facts(), id="r", at=1e9, account_of=lambda _: "acct_x"
        )
        if isinstance(told, Asked):
            assert len(told.charges) <= len(told.rows)
            assert all(charge.cost >= 0 for charge in told.charges)
            assert len({charge.key for charge in told.charges}) == len(told.charges)
    for message in (data, rest, _log(method, path, rest)):
        with contextlib.suppress(DecodeError):
            for _, usage in ended(message):
                for count in (usage.input_tokens, usage.output_tokens):
                    assert count is None or 0 <= count <= 1 << 53
    headers = [
        (name.strip().lower(), value.strip())
        for name, _, value in (line.partition(b":") for line in rest.split(b"\n")[:50])
    ]
    where = gateway_of(path)
    gateway, left = where if where is not None else (taken.pick(_GATEWAYS), path)
    answer = original(
        gateway, method=method.decode("latin-1").upper(), rest=left, headers=headers, peer=None
    )
    if isinstance(answer, Wire):
        _sound(answer)
    else:
        assert isinstance(answer, Misasked)


def _sound(wire: Wire) -> None:
    assert wire.raw_path.startswith(b"/")
    assert b"?" not in wire.raw_path
    assert wire.method == wire.method.upper()
    assert not any(name.startswith(b"x-guard-") for name, _ in wire.headers)
    assert wire.body is None or (len(wire.body) <= 64 and not wire.body_too_large)


def _limit_request(limit: bytes, account: bytes, address: bytes) -> bytes:
    message = RateLimitRequest()
    message.domain = b"gateway-guard"
    for name in (limit, b"requests", b"near", b"all"):
        entries = message.descriptors.add().entries
        for key, value in ((b"limit", name), (b"account", account), (b"remote_address", address)):
            entry = entries.add()
            entry.key, entry.value = key, value
    made: bytes = message.SerializeToString()
    return made


def _log(name: bytes, count: bytes, more: bytes) -> bytes:
    message = StreamAccessLogsMessage()
    entry = message.http_logs.log_entry.add()
    metadata = entry.common_properties.metadata.filter_metadata.add()
    metadata.key = b"envoy.filters.http.ext_authz"
    field = metadata.value.fields.add()
    field.key, field.value.string_value = b"request_id", name
    for key in (b"x-guard-input-tokens", b"x-guard-output-tokens", more[:20]):
        header = entry.response.response_headers.add()
        header.key, header.value = key, count
    made: bytes = message.SerializeToString()
    return made
