"""How gateways that ask over HTTP are told what was decided. Pure.

An allowed request is answered with 200 and `X-Guard-*` fields to hand to the upstream. A refusal is
the client's answer as it is, except for nginx: its `auth_request` passes on 401 and 403 only, makes
a 500 of everything else and shows no field, so the real status, wait and body travel in fields that
its configuration reads.
"""

from __future__ import annotations

from typing import Final

from gateway_guard.frontends.extauth.original import Gateway
from gateway_guard.frontends.extauth.telling import ALLOWED, FACTS, Told
from gateway_guard.frontends.refusals import Answer

#: Longest body that travels in a header field; nginx reads a head into 4 KiB by default.
_MOST_BODY: Final = 2048
#: Fact → the field that says it.
FIELDS: Final = {name: b"x-guard-" + name.encode() for name in FACTS}


def answer(gateway: Gateway, told: Told) -> Answer:
    """Status, headers and body for the gateway."""
    status, headers, body = told.status, told.headers, told.body
    if status == ALLOWED:
        return status, [*_facts(told), *headers], b""
    if gateway is not Gateway.NGINX:
        # The client reads every field of it: nothing of what was found may be among them.
        return status, headers, body
    said = [*_facts(told), (b"x-guard-status", b"%d" % status)]
    wait = told.header(b"retry-after")
    if wait:
        said.append((b"x-guard-retry-after", wait))
    if len(body) <= _MOST_BODY and all(0x20 <= byte < 0x7F for byte in body):
        said.append((b"x-guard-body", body))
    return 401 if status == 401 else 403, said + headers, body


def _facts(told: Told) -> list[tuple[bytes, bytes]]:
    return [(field, told.fact(name)) for name, field in FIELDS.items()]
