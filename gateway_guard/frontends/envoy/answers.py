"""What Envoy is told of a decision: a `CheckResponse`. Pure.

The client's answer is the same as everywhere else, with one exception: Envoy's list of status codes
has no 451 and refuses an answer with a status it does not know, so that it is said as 403, with the
body of the 451. The upstream is told by the same `X-Guard-*` fields as behind every other gateway.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from gateway_guard.frontends.envoy.api import CheckResponse
from gateway_guard.frontends.extauth.answers import MISASKED, answer
from gateway_guard.frontends.extauth.original import Gateway
from gateway_guard.types import Exchange

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
#: Envoy writes these itself.
_FRAMING: Final = frozenset((b"content-length", b"connection", b"transfer-encoding"))


def check_response(
    exchange: Exchange, *, claimed: Iterable[bytes] = (), tells: bool, accept: bytes = b""
) -> bytes:
    """The serialised `CheckResponse` for `exchange`.

    Where it forwards: every `X-Guard-*` field overwrites the client's, those without a value and
    all others the client `claimed` are taken away; limits are told to the client if it may hear of
    them (`tells`), never loosening what the upstream says. Where it refuses: the answer in the
    client's dialect. Both carry the decision as dynamic metadata, for Envoy's access log and
    filters (`envoy.filters.http.ext_authz`):

        request_id, account, action    strings; no account: empty
        risk                           number in [0, 1]
        status                         number, the status meant (451, where 403 is said); refusals
                                       only
    """
    status, headers, body = answer(Gateway.ENVOY, exchange, tells=tells, accept=accept)
    response = CheckResponse()
    if exchange.decision.forwards:
        _allow(response, headers, claimed)
    else:
        _refuse(response, status, headers, body)
    _metadata(response.dynamic_metadata, exchange)
    serialised: bytes = response.SerializeToString()
    return serialised


def _allow(response: Any, told: Iterable[tuple[bytes, bytes]], claimed: Iterable[bytes]) -> None:
    response.status.code = _OK
    allowed = response.ok_response
    said = set()
    for name, value in told:
        if name[:8] != b"x-guard-":
            action = _APPEND if name in _LISTS else _ADD_IF_ABSENT
            _add(allowed.response_headers_to_add, name, value, action)
        elif value:
            said.add(name)
            _add(allowed.headers, name, value, _OVERWRITE)
        else:
            # Envoy drops a field without a value, and leaves the client's.
            allowed.headers_to_remove.append(name)
    allowed.headers_to_remove.extend(sorted(set(claimed) - said - {*allowed.headers_to_remove}))


def _refuse(
    response: Any, status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes
) -> None:
    response.status.code = _PERMISSION_DENIED
    denied = response.denied_response
    denied.status.code = spoken(status)
    denied.body = body
    for name, value in headers:
        if name not in _FRAMING:
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


def _metadata(struct: Any, exchange: Exchange) -> None:
    request, decision = exchange.request, exchange.decision
    texts = (
        ("request_id", request.id),
        ("account", request.account or ""),
        ("action", decision.action.word),
    )
    for key, text in texts:
        field = struct.fields.add(key=key.encode())
        field.value.string_value = text.encode()
    struct.fields.add(key=b"risk").value.number_value = exchange.assessment.risk
    if not decision.forwards:
        struct.fields.add(key=b"status").value.number_value = float(decision.status or 403)


def _misasked() -> bytes:
    status, headers, body = MISASKED
    response = CheckResponse()
    _refuse(response, status, [f for f in headers if f[0][:8] != b"x-guard-"], body)
    serialised: bytes = response.SerializeToString()
    return serialised


#: The answer to a question nobody should have asked: refused whatever Envoy does with errors.
MISASKED_RESPONSE: Final = _misasked()
