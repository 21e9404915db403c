"""What Envoy is told of a decision: a `CheckResponse`. Pure.

The client's answer is the same as everywhere else, with one exception: Envoy's list of status codes
has no 451 and refuses an answer with a status it does not know, so that it is said as 403, with the
body of the 451. The upstream is told by the same `X-Guard-*` fields as behind every other gateway.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from gateway_guard.frontends.envoy.api import CheckResponse
from gateway_guard.frontends.extauth.answers import FIELDS
from gateway_guard.frontends.extauth.telling import ALLOWED, Told

#: `google.rpc.Code`.
_OK, _PERMISSION_DENIED = 0, 7
#: `envoy.config.core.v3.HeaderValueOption.HeaderAppendAction`.
_APPEND, _ADD_IF_ABSENT, _OVERWRITE = 0, 1, 2
#: `envoy.type.v3.StatusCode`, from 400 on. Envoy takes an answer with any other for an error, and
#: lets the request through where it is told to do so with errors.
STATUSES: Final = frozenset(
    (*range(400, 418), 421, 422, 423, 424, 426, 428, 429, 431, *range(500, 509), 510, 511)
)
#: Fields of which a response may have several: ours stand beside the upstream's.
_LISTS: Final = frozenset((b"ratelimit", b"ratelimit-policy"))
#: Fields Envoy writes itself.
FRAMING: Final = frozenset((b"content-length", b"connection", b"transfer-encoding"))


def check_response(told: Told, *, claimed: Iterable[bytes] = ()) -> bytes:
    """The serialised `CheckResponse` for what is told.

    Where it forwards: every `X-Guard-*` field overwrites the client's, those without a value and
    all others the client `claimed` are taken away; limits are told to the client if it may hear of
    them, never loosening what the upstream says. Where it refuses: the answer in the
    client's dialect. Both carry the decision as dynamic metadata, for Envoy's access log and
    filters (`envoy.filters.http.ext_authz`):

        request_id, account, action    strings; no account: empty
        risk                           number in [0, 1]; left out where nothing was judged
        status                         number, the status meant (451, where 403 is said); refusals
                                       only
    """
    response = CheckResponse()
    if told.status == ALLOWED:
        _allow(response, told, claimed)
    else:
        _refuse(response, told)
    _metadata(response.dynamic_metadata, told)
    serialised: bytes = response.SerializeToString()
    return serialised


def _allow(response: Any, told: Told, claimed: Iterable[bytes]) -> None:
    response.status.code = _OK
    allowed = response.ok_response
    for name, value in told.headers:
        action = _APPEND if name in _LISTS else _ADD_IF_ABSENT
        _add(allowed.response_headers_to_add, name, value, action)
    removed = set(claimed)
    for fact, name in FIELDS.items():
        value = told.fact(fact)
        if value:
            removed.discard(name)
            _add(allowed.headers, name, value, _OVERWRITE)
        else:
            # Envoy drops a field without a value, and leaves the client's.
            removed.add(name)
    allowed.headers_to_remove.extend(sorted(removed))


def _refuse(response: Any, told: Told) -> None:
    response.status.code = _PERMISSION_DENIED
    denied = response.denied_response
    denied.status.code = spoken(told.status)
    denied.body = told.body
    for name, value in told.headers:
        if name not in FRAMING:
            _add(denied.headers, name, value, _OVERWRITE)


def spoken(status: int) -> int:
    """The status Envoy can say for `status`, a refusal's: 451 and other unknown ones become 403,
    above 499 503."""
    if status in STATUSES:
        return status
    return 403 if status < 500 else 503


def _add(fields: Any, name: bytes, value: bytes, action: int) -> None:
    field = fields.add()
    field.header.key = name
    # As text: Envoy takes `raw_value` where `value` is empty only.
    field.header.value = value
    field.append_action = action


def _metadata(struct: Any, told: Told) -> None:
    for key, fact in (("request_id", "request-id"), ("account", "account"), ("action", "action")):
        struct.fields.add(key=key.encode()).value.string_value = told.fact(fact)
    risk = told.facts.get("risk")
    if risk is not None:
        struct.fields.add(key=b"risk").value.number_value = float(risk)
    if told.status != ALLOWED:
        struct.fields.add(key=b"status").value.number_value = float(told.status)
