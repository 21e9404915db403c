"""A whole request, whatever its head: never an exception, one spelling of everything kept, nothing
of the credential in it; forwarding headers of strangers change nothing."""

from __future__ import annotations

import ipaddress
from typing import Final

import msgspec

from gateway_guard.core.hints import client  # noqa: F401 - instrumented, too
from gateway_guard.core.identify import identify, needs_body
from gateway_guard.core.sections import Identify, Inspect
from gateway_guard.types import Request, Wire
from tests.fuzz.taken import Taken

WORDS = (
    b"authorization: Bearer sk-abcdef", b"x-api-key: sk-abcdef", b"x-forwarded-for: 203.0.113.9",
    b"forwarded: for=203.0.113.9", b"content-type: application/json", b"content-encoding: gzip",
    b"user-agent: a/1.2.3", b"x-stainless-lang: python", b"accept-language: de-AT", b"x-ja4: t13d",
    b"anthropic-version: 1", b"x-guard-account: acct_x", b"\n", b": ", b"\n\n",
    b"/v1/chat/completions", b"/v1/messages", b"10.0.0.1", b"192.0.2.1", b"::ffff:10.0.0.1",
    b"fe80::1%eth0", b"POST", b"GET", b'{"model":"m","messages":[{"role":"user","content":"hi"}]}',
    b"WEBSOCKET", b"x-timezone: +01:00",
)  # fmt: skip
_SECRET: Final = b"0123456789abcdef"
_TRUSTED: Final = (ipaddress.ip_network("10.0.0.0/8"),)
_RULES: Final = tuple(
    Identify(client_ip=how, trusted=_TRUSTED, tls_header="x-ja4", trust_unix=unix)
    for how in ("x-forwarded-for", "forwarded", "cf-connecting-ip", "peer")
    for unix in (False, True)
)
_INSPECT: Final = Inspect(phrases=("hi",))
_FORWARDING: Final = (b"x-forwarded-for", b"forwarded", b"cf-connecting-ip", b"x-ja4")


def seen(wire: Wire, rules: Identify) -> Request:
    """As the guard sees it."""
    return identify(wire, rules, _INSPECT, id="r_1", at=1e9, secret=_SECRET, keys={})


def target(data: bytes) -> None:
    """Which rules; then lines: method, path, peer, fields; then, behind a blank line, a body."""
    taken = Taken(data)
    rules = taken.pick(_RULES)
    head, blank, body = taken.rest().partition(b"\n\n")
    method, path, peer, *fields = (head + b"\n\n\n").split(b"\n")[:60]
    headers = [
        (name.strip().lower(), value.strip(b" \t"))
        for name, colon, value in (field.partition(b":") for field in fields)
        if colon
    ]
    wire = Wire(
        method=method.decode("latin-1").upper(), raw_path=path, headers=headers,
        peer=peer.decode("latin-1") or None, body=body if blank else None,
    )  # fmt: skip

    needs_body(rules, wire.method, wire.raw_path, wire.headers)
    request = seen(wire, rules)

    assert seen(wire, rules) == request
    assert (request.client_ip is None) == (request.subnet is None)
    if request.client_ip is not None:
        assert str(ipaddress.ip_address(request.client_ip)) or True
    if request.account is not None:
        assert request.account.startswith("acct_")
        assert request.credential_fault is None
    shown = msgspec.json.encode(request).decode()
    for name, value in headers:
        if name in (b"authorization", b"x-api-key") and len(value) > 12 and value.isalnum():
            assert value.decode("latin-1") not in shown or value in path + head.replace(
                value, b"", 1
            )
    # A stranger's word about addresses is nobody's.
    stranger = msgspec.structs.replace(wire, peer="192.0.2.77")
    bare = msgspec.structs.replace(
        stranger, headers=[field for field in headers if field[0] not in _FORWARDING]
    )
    told, untold = seen(stranger, rules), seen(bare, rules)
    assert told.client_ip == untold.client_ip == "192.0.2.77"
    assert told.client == untold.client
    assert told.account == untold.account
