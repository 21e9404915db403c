"""How HAProxy is told what was decided: as variables of the transaction. Pure.

HAProxy acts, the guard only sets variables, and its configuration knows them as `txn.guard.NAME`.
Every one of them is set by every answer, to nothing where there is nothing to say: what a
configuration copies into header fields overwrites what the client sent.

| variable | |
| --- | --- |
| `status` | 200: let it through; else the status to answer with. An integer |
| `action` | what was decided. In shadow `deny` may stand beside 200: act on `status` |
| `body`, `content_type` | of the refusal |
| `retry_after`, `retry_after_ms`, `should_retry`, `authenticate`, `challenge_url` | its fields |
| `request_id`, `account`, `country`, `risk`, `restrict` | facts for the upstream |
| `limits`, `limits_policy` | `RateLimit` and `RateLimit-Policy`, for either answer |
"""

from __future__ import annotations

from typing import Final

import msgspec

from gateway_guard.frontends.extauth.answers import answer as in_fields
from gateway_guard.frontends.extauth.original import Gateway
from gateway_guard.frontends.refusals import Answer
from gateway_guard.frontends.spoe.data import STRING, UINT32, string, typed
from gateway_guard.frontends.spoe.frames import set_variable
from gateway_guard.types import Exchange

#: variable → the field of an answer to nginx that says the same: its `auth_request`, too, is told
#: everything in fields.
_FIELDS: Final[dict[bytes, bytes]] = {
    b"action": b"x-guard-action",
    b"retry_after": b"retry-after",
    b"retry_after_ms": b"retry-after-ms",
    b"should_retry": b"x-should-retry",
    b"authenticate": b"www-authenticate",
    b"challenge_url": b"x-guard-challenge-url",
    b"content_type": b"content-type",
    b"request_id": b"x-guard-request-id",
    b"account": b"x-guard-account",
    b"country": b"x-guard-country",
    b"risk": b"x-guard-risk",
    b"restrict": b"x-guard-restrict",
    b"limits": b"ratelimit",
    b"limits_policy": b"ratelimit-policy",
}
#: Every variable there is.
NAMES: Final = (b"status", *_FIELDS, b"body")
_STATUS: Final = set_variable(b"status", b"")
#: variable → the beginning of the action that sets it to a string
_STRINGS: Final = {name: set_variable(name, bytes((STRING,))) for name in (*_FIELDS, b"body")}
#: Longest value that is never left out, bytes. What the guard itself writes is far shorter.
_SHORT: Final = 64


def answer(exchange: Exchange, *, tells: bool, accept: bytes = b"") -> Answer:
    """What was decided, as `variables` takes it; arguments as in `extauth.answers.answer`."""
    status, headers, body = in_fields(Gateway.NGINX, exchange, tells=tells, accept=accept)
    said = dict(headers).get(b"x-guard-status")
    return int(said) if said is not None else status, headers, body


def doubtful(status: int, why: str) -> Answer:
    """The refusal of a head that was not judged, in a body that both dialects' clients can show."""
    error = {"message": why, "type": "invalid_request_error", "param": None, "code": None}
    body = msgspec.json.encode({"type": "error", "error": error})
    return status, [
        (b"x-guard-action", b"deny"), (b"content-type", b"application/json"),
        (b"x-should-retry", b"false"),
    ], body  # fmt: skip


def variables(told: Answer, room: int) -> bytes:
    """The actions that set every variable, at most `room` bytes of them.

    Where they are longer, what is longest is left empty first. `room` is at least that of the
    smallest frame: what cannot be left out always fits.
    """
    status, headers, body = told
    fields = dict(headers)
    values = {name: fields.get(field, b"") for name, field in _FIELDS.items()}
    values[b"body"] = body
    actions = _actions(status, values)
    while len(actions) > room:
        longest = max(values, key=lambda name: len(values[name]))
        if len(values[longest]) <= _SHORT:
            raise ValueError(f"{len(actions)} bytes of variables, there is room for {room}")
        values[longest] = b""
        actions = _actions(status, values)
    return actions


def _actions(status: int, values: dict[bytes, bytes]) -> bytes:
    parts = [_STATUS, typed(UINT32, status)]
    for name, value in values.items():
        parts += (_STRINGS[name], string(value))
    return b"".join(parts)
