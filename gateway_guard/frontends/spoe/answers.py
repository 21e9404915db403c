"""How HAProxy is told what was decided: as variables of the transaction. Pure.

HAProxy acts, the guard only sets variables, and its configuration knows them as `txn.guard.NAME`.
Every one of them is set by every answer, to nothing where there is nothing to say: what a
configuration copies into header fields overwrites what the client sent.

| variable | |
| --- | --- |
| `status` | 200: let it through; else the status to answer with. An integer |
| `action` | what was decided. In shadow `deny` may stand beside 200: act on `status` |
| `body`, `content_type` | of the refusal |
| `retry_after`, `retry_after_ms`, `should_retry`, `authenticate` | its fields |
| `challenge_url`, `link` | where to verify, in the two forms the client reads |
| `request_id`, `account`, `country`, `risk`, `restrict` | facts for the upstream |
| `limits`, `limits_policy` | `RateLimit` and `RateLimit-Policy`, for either answer |
| `dialect` | fields only the client's dialect has, for either answer: a JSON object |
"""

from __future__ import annotations

from typing import Final

import msgspec

from gateway_guard.frontends.extauth.telling import FACTS, Told
from gateway_guard.frontends.spoe.data import STRING, UINT32, string, typed
from gateway_guard.frontends.spoe.frames import set_variable

#: variable → the field of an answer that says the same
_FIELDS: Final[dict[bytes, bytes]] = {
    b"content_type": b"content-type",
    b"retry_after": b"retry-after",
    b"retry_after_ms": b"retry-after-ms",
    b"should_retry": b"x-should-retry",
    b"authenticate": b"www-authenticate",
    b"challenge_url": b"x-guard-challenge-url",
    b"link": b"link",
    b"limits": b"ratelimit",
    b"limits_policy": b"ratelimit-policy",
}
#: variable → the fact it is
_FACTS: Final = {name.replace("-", "_").encode(): name for name in FACTS}
#: Fields only one dialect has: together in one variable, since HAProxy's configuration spells every
#: field it sets, and each answer sets every variable.
_DIALECTS: Final = (b"x-ratelimit-", b"anthropic-ratelimit-", b"x-request-id", b"request-id")
#: Every variable there is.
NAMES: Final = (b"status", *_FACTS, *_FIELDS, b"dialect", b"body")
_STATUS: Final = set_variable(b"status", b"")
#: variable → the beginning of the action that sets it to a string
_STRINGS: Final = {name: set_variable(name, bytes((STRING,))) for name in NAMES[1:]}


def doubtful(status: int, why: str) -> Told:
    """The refusal of a head that was not judged, in a body that both dialects' clients can show."""
    error = {"message": why, "type": "invalid_request_error", "param": None, "code": None}
    return Told(
        status=status,
        headers=[(b"content-type", b"application/json"), (b"x-should-retry", b"false")],
        body=msgspec.json.encode({"type": "error", "error": error}),
        facts={"action": "deny"},
    )


def variables(told: Told, room: int) -> bytes:
    """The actions that set every variable, at most `room` bytes of them.

    Where they are longer, what is longest is left empty first. `room` is at least that of the
    smallest frame, into which the names alone always fit.

    Raises:
        ValueError: not even they do.
    """
    values = {name: told.fact(fact) for name, fact in _FACTS.items()}
    fields = dict(told.headers)
    for name, field in _FIELDS.items():
        values[name] = fields.get(field, b"")
    own = {name: value for name, value in told.headers if name.startswith(_DIALECTS)}
    values[b"dialect"] = _json(own) if own else b""
    values[b"body"] = told.body
    actions = _actions(told.status, values)
    while len(actions) > room:
        longest = max(values, key=lambda name: len(values[name]))
        if not values[longest]:
            raise ValueError(f"{len(actions)} bytes of variables, there is room for {room}")
        values[longest] = b""
        actions = _actions(told.status, values)
    return actions


def _json(fields: dict[bytes, bytes]) -> bytes:
    return msgspec.json.encode(
        {name.decode("ascii"): value.decode("latin-1") for name, value in fields.items()}
    )


def _actions(status: int, values: dict[bytes, bytes]) -> bytes:
    parts = [_STATUS, typed(UINT32, status)]
    for name, value in values.items():
        parts += (_STRINGS[name], string(value))
    return b"".join(parts)
