"""What gateways are told: the facts for the upstream, and refusals in the form each understands."""

from __future__ import annotations

import msgspec
import pytest

from gateway_guard.frontends.extauth import answers
from gateway_guard.frontends.extauth.original import Gateway
from gateway_guard.frontends.extauth.telling import MISASKED, tell
from gateway_guard.frontends.refusals import Answer
from gateway_guard.types import Action, Exchange, Restrictions
from tests import build


def refused(action: Action = Action.DENY, status: int = 403, **decision: object) -> Exchange:
    return build.exchange(decision=build.decision(action=action, status=status, **decision))


def answer(gateway: Gateway, exchange: Exchange, *, tells: bool) -> Answer:
    return answers.answer(gateway, tell(exchange, tells=tells))


@pytest.mark.parametrize("gateway", Gateway)
def test_an_allowed_request_is_answered_200_with_what_the_upstream_may_know(
    gateway: Gateway,
) -> None:
    exchange = build.exchange(request=build.request(account="acct_a"))

    status, headers, body = answer(gateway, exchange, tells=True)

    told = dict(headers)
    assert (status, body) == (200, b"")
    assert told[b"x-guard-action"] == b"allow"
    assert told[b"x-guard-account"] == b"acct_a"
    assert told[b"x-guard-request-id"] == exchange.request.id.encode()


@pytest.mark.parametrize("gateway", Gateway)
def test_every_fact_is_named_so_that_it_overwrites_what_a_client_sent(gateway: Gateway) -> None:
    known = answer(gateway, build.exchange(), tells=False)[1]
    unknown = answer(gateway, build.exchange(request=build.request(account=None)), tells=False)[1]

    assert {n for n, _ in known if n.startswith(b"x-guard-")} == {
        n for n, _ in unknown if n.startswith(b"x-guard-")
    }
    assert dict(unknown)[b"x-guard-account"] == b""


def test_limits_are_told_when_clients_may_hear_of_them() -> None:
    exchange = build.exchange(decision=build.decision(grants=(build.grant(),)))

    assert b"ratelimit" in dict(answer(Gateway.FORWARD, exchange, tells=True)[1])
    assert b"ratelimit" not in dict(answer(Gateway.FORWARD, exchange, tells=False)[1])


@pytest.mark.parametrize("gateway", [Gateway.FORWARD, Gateway.ENVOY])
@pytest.mark.parametrize("status", [401, 403, 429, 451, 503])
def test_gateways_that_pass_on_any_answer_get_the_clients(gateway: Gateway, status: int) -> None:
    told, headers, body = answer(gateway, refused(status=status), tells=True)

    assert told == status
    assert "error" in msgspec.json.decode(body)
    assert not [name for name, _ in headers if name.startswith(b"x-guard-")]
    assert dict(headers)[b"content-length"] == b"%d" % len(body)


@pytest.mark.parametrize(
    ("status", "spoken"), [(401, 401), (403, 403), (429, 403), (451, 403), (503, 403), (500, 403)]
)
def test_nginx_is_told_in_the_two_words_it_knows_and_the_rest_in_fields(
    status: int, spoken: int
) -> None:
    told, headers, body = answer(Gateway.NGINX, refused(status=status, retry_after=1.2), tells=True)

    fields = dict(headers)
    assert told == spoken
    assert fields[b"x-guard-status"] == b"%d" % status
    assert fields[b"x-guard-retry-after"] == b"2"
    assert fields[b"x-guard-body"] == body
    assert (b"www-authenticate" in fields) is (status == 401)


def test_a_body_that_fits_no_field_is_left_out() -> None:
    url = "https://verify.example/" + "a" * 3000
    _, headers, _ = answer(Gateway.NGINX, refused(Action.CHALLENGE, challenge_url=url), tells=True)

    assert b"x-guard-body" not in dict(headers)


def test_what_is_to_be_taken_away_is_said_to_whoever_can() -> None:
    limits = Restrictions(max_output_tokens=1024, logprobs=False, n=1)
    exchange = build.exchange(decision=build.decision(action=Action.RESTRICT, restrictions=limits))
    shadow = build.exchange(
        decision=build.decision(action=Action.RESTRICT, restrictions=limits, acted=False)
    )

    status, headers, _ = answer(Gateway.FORWARD, exchange, tells=True)

    assert status == 200
    assert dict(headers)[b"x-guard-restrict"] == b"max-output-tokens=1024, logprobs=?0, n=1"
    assert dict(answer(Gateway.FORWARD, shadow, tells=True)[1])[b"x-guard-restrict"] == b""


@pytest.mark.parametrize("gateway", Gateway)
def test_in_shadow_a_refusal_lets_through(gateway: Gateway) -> None:
    assert answer(gateway, refused(acted=False), tells=False)[0] == 200


def test_a_question_nobody_should_have_asked_is_refused_and_only_nginx_hears_it_in_fields() -> None:
    for gateway in Gateway:
        status, headers, _ = answers.answer(gateway, MISASKED)

        assert status == 403
        assert (b"x-guard-status" in dict(headers)) is (gateway is Gateway.NGINX)
