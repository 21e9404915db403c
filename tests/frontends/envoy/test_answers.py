"""What Envoy is told: fields for the upstream, refusals for the client, metadata for itself."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway_guard.frontends.envoy import api
from gateway_guard.frontends.envoy.answers import check_response
from gateway_guard.frontends.extauth.telling import MISASKED, tell
from gateway_guard.types import Action, Assessment, Dialect, Exchange
from tests import build

APPEND, ADD_IF_ABSENT, OVERWRITE = 0, 1, 2


def told(
    exchange: Exchange, *, tells: bool = True, claimed: tuple[bytes, ...] = (), accept: bytes = b""
) -> Any:
    said = tell(exchange, tells=tells, accept=accept)
    return api.CheckResponse.FromString(check_response(said, claimed=claimed))


def refused(status: int, **decision: Any) -> Exchange:
    action = decision.pop("action", Action.DENY)
    return build.exchange(decision=build.decision(action=action, status=status, **decision))


def fields(options: Any) -> dict[bytes, tuple[bytes, int]]:
    return {o.header.key: (o.header.value, o.append_action) for o in options}


def metadata(response: Any) -> dict[bytes, Any]:
    return {
        field.key: field.value.number_value
        if field.value.HasField("number_value")
        else field.value.string_value
        for field in response.dynamic_metadata.fields
    }


def test_an_allowed_request_overwrites_what_the_client_said_of_the_guard() -> None:
    exchange = build.exchange(request=build.request(account="acct_a"))

    response = told(exchange, claimed=(b"x-guard-account", b"x-guard-own"))

    assert response.HasField("ok_response")
    assert response.status.code == 0
    given = fields(response.ok_response.headers)
    assert given[b"x-guard-account"] == (b"acct_a", OVERWRITE)
    assert given[b"x-guard-request-id"] == (exchange.request.id.encode(), OVERWRITE)
    assert {action for _, action in given.values()} == {OVERWRITE}


def test_what_is_unknown_or_nobodys_is_taken_away() -> None:
    exchange = build.exchange(request=build.request(account=None))

    response = told(exchange, claimed=(b"x-guard-own", b"x-guard-account", b"x-guard-action"))

    removed = list(response.ok_response.headers_to_remove)
    assert sorted(removed) == sorted(set(removed))
    assert {b"x-guard-account", b"x-guard-own"} <= set(removed)
    assert b"x-guard-action" not in removed
    assert all(value for value, _ in fields(response.ok_response.headers).values())


def test_limits_stand_beside_the_upstreams_and_never_replace_them() -> None:
    exchange = build.exchange(decision=build.decision(grants=(build.grant(),)))

    given = fields(told(exchange).ok_response.response_headers_to_add)

    assert given[b"ratelimit"][1] == APPEND
    assert given[b"ratelimit-policy"][1] == APPEND
    assert given[b"x-ratelimit-remaining-requests"][1] == ADD_IF_ABSENT
    assert not told(exchange, tells=False).ok_response.response_headers_to_add


@pytest.mark.parametrize(
    ("status", "spoken"),
    [(401, 401), (402, 402), (403, 403), (429, 429), (451, 403), (418, 403), (503, 503),
     (599, 503)],
)  # fmt: skip
def test_a_refusal_is_the_clients_answer_with_a_status_envoy_knows(
    status: int, spoken: int
) -> None:
    response = told(refused(status))

    assert response.HasField("denied_response")
    assert response.status.code != 0
    denied = response.denied_response
    assert denied.status.code == spoken
    assert "error" in msgspec.json.decode(denied.body)
    given = fields(denied.headers)
    assert given[b"content-type"] == (b"application/json", OVERWRITE)
    assert b"content-length" not in given
    assert not [name for name in given if name.startswith(b"x-guard-")]


def test_a_451_keeps_its_body() -> None:
    body = msgspec.json.decode(told(refused(451)).denied_response.body)

    assert body["error"]["code"] == "unsupported_country_region_territory"


def test_a_throttle_says_when_to_come_back() -> None:
    exchange = refused(429, action=Action.THROTTLE, retry_after=20.0)

    assert fields(told(exchange).denied_response.headers)[b"retry-after"][0] == b"20"


@pytest.mark.parametrize(
    ("dialect", "field"),
    [(Dialect.OPENAI, b"x-ratelimit-remaining-requests"),
     (Dialect.ANTHROPIC, b"anthropic-ratelimit-requests-remaining")],
)  # fmt: skip
def test_a_throttle_shows_the_limits_in_the_clients_dialect(dialect: Dialect, field: bytes) -> None:
    exchange = build.exchange(
        request=build.request(dialect=dialect),
        decision=build.decision(
            action=Action.THROTTLE, status=429, retry_after=20.0,
            grants=(build.grant(allowed=False, remaining=0.0),),
        ),
    )  # fmt: skip

    assert fields(told(exchange).denied_response.headers)[field] == (b"0", OVERWRITE)


def test_a_refusal_speaks_problem_details_to_whoever_asks_for_them() -> None:
    response = told(refused(403), accept=b"application/problem+json")

    given = fields(response.denied_response.headers)
    assert given[b"content-type"][0] == b"application/problem+json"


def test_a_decision_is_told_to_envoys_other_filters_and_its_log() -> None:
    exchange = build.exchange(
        request=build.request(account="acct_a"), assessment=Assessment(risk=0.25)
    )

    assert metadata(told(exchange)) == {
        b"request_id": exchange.request.id.encode(), b"account": b"acct_a", b"action": b"allow",
        b"risk": 0.25,
    }  # fmt: skip


def test_a_risk_of_nothing_is_said() -> None:
    assert metadata(told(build.exchange()))[b"risk"] == 0.0


def test_a_refusal_tells_them_the_status_that_was_meant() -> None:
    assert metadata(told(refused(451)))[b"status"] == 451.0
    assert b"status" not in metadata(told(build.exchange()))


def test_a_shadow_decision_lets_through() -> None:
    exchange = refused(403, acted=False)

    response = told(exchange, tells=False)

    assert response.HasField("ok_response")
    assert fields(response.ok_response.headers)[b"x-guard-action"][0] == b"deny"


def test_a_question_nobody_should_have_asked_is_refused() -> None:
    response = api.CheckResponse.FromString(check_response(MISASKED))

    assert response.status.code != 0
    assert response.denied_response.status.code == 403
    assert not [o for o in response.denied_response.headers if o.header.key[:8] == b"x-guard-"]
