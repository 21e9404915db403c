"""Refusals in three dialects, to the byte where clients parse them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway_guard.frontends.refusals import refusal, upstream_failure
from gateway_guard.frontends.wording import FORMS
from gateway_guard.types import Action, CampaignFacts, Decision, Dialect, Exchange
from tests import build

ID = "r_test000001"


def refused(dialect: Dialect = Dialect.OPENAI, accept: bytes = b"", **decision: Any) -> Any:
    exchange = build.exchange(
        request=build.request(dialect=dialect), decision=build.decision(**decision)
    )
    return told(exchange, accept)


def told(exchange: Exchange, accept: bytes = b"") -> Any:
    status, headers, body = refusal(exchange, accept=accept)
    assert len(dict(headers)) == len(headers)
    assert dict(headers)[b"content-length"] == str(len(body)).encode()
    assert dict(headers)[b"cache-control"] == b"no-store"
    return status, dict(headers), msgspec.json.decode(body)


DENY: dict[str, Any] = {"action": Action.DENY, "status": 403, "rule": "harvesting"}


def test_a_denial_for_openai() -> None:
    status, headers, body = refused(**DENY)

    assert status == 403
    assert headers[b"content-type"] == b"application/json"
    assert headers[b"x-request-id"] == ID.encode()
    assert headers[b"x-should-retry"] == b"false"
    assert b"retry-after" not in headers
    assert body == {
        "error": {
            "message": "This request was refused.",
            "type": "request_forbidden",
            "param": None,
            "code": "request_refused",
        }
    }


def test_a_denial_for_anthropic() -> None:
    status, headers, body = refused(Dialect.ANTHROPIC, **DENY)

    assert status == 403
    assert headers[b"request-id"] == ID.encode()
    assert headers[b"x-should-retry"] == b"false"
    assert body == {
        "type": "error",
        "error": {"type": "permission_error", "message": "This request was refused."},
        "request_id": ID,
    }


def test_a_denial_for_everybody_else() -> None:
    status, headers, body = refused(Dialect.OTHER, **DENY)

    assert status == 403
    assert headers[b"content-type"] == b"application/problem+json"
    assert body == {
        "type": "about:blank",
        "title": "Forbidden",
        "status": 403,
        "detail": "This request was refused.",
        "instance": f"urn:gateway-guard:{ID}",
    }


@pytest.mark.parametrize("dialect", list(Dialect))
def test_a_denial_says_the_same_whatever_the_reason(dialect: Dialect) -> None:
    reasons: list[dict[str, Any]] = [
        {"rule": "harvesting", "reason": "risk 0.97, template-sweep 0.9"},
        {"rule": "campaign-members", "reason": "campaign c_17", "shadow": ()},
        {"rule": None, "reason": "no rule matched"},
    ]

    answers = [refused(dialect, **DENY | reason) for reason in reasons]

    assert answers[0] == answers[1] == answers[2]
    assert "harvesting" not in repr(answers)
    assert "template" not in repr(answers)


def test_a_legal_refusal_has_openais_own_code() -> None:
    status, _, body = refused(**DENY | {"status": 451})

    assert status == 451
    assert body["error"]["code"] == "unsupported_country_region_territory"
    assert body["error"]["type"] == "request_forbidden"


@pytest.mark.parametrize(
    ("dialect", "said"),
    [
        (Dialect.OPENAI, {"type": "insufficient_quota", "code": "insufficient_quota"}),
        (Dialect.ANTHROPIC, {"type": "billing_error"}),
    ],
)
def test_who_has_not_paid_is_told_so_and_does_not_try_again(
    dialect: Dialect, said: dict[str, str]
) -> None:
    status, headers, body = refused(dialect, **DENY | {"status": 402})

    assert (status, headers[b"x-should-retry"]) == (402, b"false")
    assert body["error"]["message"] == "Payment is required before this account can continue."
    assert said.items() <= body["error"].items()


THROTTLE: dict[str, Any] = {
    "action": Action.THROTTLE,
    "status": 429,
    "rule": "limit:tokens",
    "retry_after": 1.4081,
    "grants": (
        build.grant(),
        build.grant(
            charge=build.charge(limit="tokens", unit="tokens", quota=400_000, capacity=400_000),
            allowed=False,
            remaining=96.0,
            retry_after=1.4081,
            reset=59.9,
        ),
    ),
}


def test_a_throttle_for_openai_names_the_unit_and_the_exact_wait() -> None:
    status, headers, body = refused(**THROTTLE)

    assert status == 429
    assert headers[b"retry-after"] == b"2"
    assert headers[b"retry-after-ms"] == b"1409"
    assert b"x-should-retry" not in headers
    assert headers[b"x-ratelimit-remaining-tokens"] == b"96"
    assert body["error"] == {
        "message": "Rate limit reached for tokens. Please try again in 1.409s.",
        "type": "tokens",
        "param": None,
        "code": "rate_limit_exceeded",
    }


def test_a_throttle_for_anthropic() -> None:
    status, headers, body = refused(Dialect.ANTHROPIC, **THROTTLE)

    assert status == 429
    assert headers[b"retry-after"] == b"2"
    assert headers[b"anthropic-ratelimit-tokens-limit"] == b"400000"
    assert body["error"]["type"] == "rate_limit_error"


def test_a_throttle_as_a_problem_names_the_violated_policies() -> None:
    _, headers, body = refused(Dialect.OTHER, **THROTTLE)

    assert headers[b"retry-after"] == b"2"
    assert b"retry-after-ms" not in headers
    assert body["type"] == "https://iana.org/assignments/http-problem-types#quota-exceeded"
    assert body["title"] == "Request cannot be satisfied as assigned quota has been exceeded"
    assert body["violated-policies"] == ["tokens"]


def test_a_throttle_that_no_wait_can_cure_is_not_to_be_retried() -> None:
    _, headers, _ = refused(action=Action.THROTTLE, status=429, retry_after=None)

    assert headers[b"x-should-retry"] == b"false"
    assert b"retry-after" not in headers


def test_too_many_in_flight_may_be_retried_though_nobody_knows_when() -> None:
    full = build.grant(
        charge=build.charge(limit="in-flight", unit="concurrent", quota=16, window=0),
        allowed=False,
        remaining=0,
        retry_after=float("inf"),
    )
    _, headers, body = refused(action=Action.THROTTLE, status=429, grants=(full,))

    assert b"x-should-retry" not in headers
    assert body["error"]["message"].startswith("Too many requests in flight.")


def test_a_campaigns_limit_is_not_named() -> None:
    charge = build.charge(limit="linked", key="linked:c_17", unit="tokens", hidden=True)
    exchange = build.exchange(
        request=build.request(dialect=Dialect.OTHER),
        facts=build.facts(campaign=CampaignFacts(id="c_17", confidence=0.9)),
        decision=build.decision(
            action=Action.THROTTLE,
            status=429,
            retry_after=5.0,
            grants=(build.grant(charge=charge, allowed=False, retry_after=5.0),),
        ),
    )

    answer = told(exchange)

    assert "linked" not in repr(answer)
    assert answer[2]["detail"] == "Rate limit reached for requests. Please try again in 5s."


def test_the_shortest_wait_is_one_second_and_one_millisecond() -> None:
    _, headers, _ = refused(action=Action.THROTTLE, status=429, retry_after=0.0)

    assert (headers[b"retry-after"], headers[b"retry-after-ms"]) == (b"1", b"1")


@pytest.mark.parametrize("dialect", list(Dialect))
def test_a_challenge_says_where_to_verify(dialect: Dialect) -> None:
    url = "https://verify.example/é?a=<b>"
    status, headers, body = refused(dialect, action=Action.CHALLENGE, status=403, challenge_url=url)

    assert status == 403
    assert headers[b"x-guard-challenge-url"] == b"https://verify.example/%C3%A9?a=%3Cb%3E"
    assert headers[b"link"] == b'<https://verify.example/%C3%A9?a=%3Cb%3E>; rel="help"'
    assert headers[b"x-should-retry"] == b"false"
    assert url in repr(body)


def test_a_url_cannot_smuggle_a_header() -> None:
    _, headers, _ = refused(
        action=Action.CHALLENGE, status=403, challenge_url="https://x/\r\nset-cookie: a=b"
    )

    assert b"\r" not in headers[b"link"]
    assert b"\n" not in headers[b"x-guard-challenge-url"]


@pytest.mark.parametrize(
    ("status", "openai", "anthropic"),
    [
        (400, "invalid_request_error", "invalid_request_error"),
        (401, "invalid_request_error", "authentication_error"),
        (413, "invalid_request_error", "request_too_large"),
        (415, "invalid_request_error", "invalid_request_error"),
        (404, "request_forbidden", "permission_error"),
        (500, "server_error", "api_error"),
        (503, "server_error", "api_error"),
        (529, "server_error", "api_error"),
    ],
)
def test_every_status_has_a_type_in_every_dialect(status: int, openai: str, anthropic: str) -> None:
    decision: dict[str, Any] = {"action": Action.DENY, "status": status}

    assert refused(**decision)[2]["error"]["type"] == openai
    assert refused(Dialect.ANTHROPIC, **decision)[2]["error"]["type"] == anthropic
    assert refused(Dialect.OTHER, **decision)[2]["status"] == status


def test_a_store_that_failed_asks_to_come_back() -> None:
    status, headers, body = refused(
        Dialect.OTHER, action=Action.DENY, status=503, retry_after=1.0, degraded=("store",)
    )

    assert status == 503
    assert headers[b"retry-after"] == b"1"
    assert b"x-should-retry" not in headers
    assert body["type"].endswith("#temporary-reduced-capacity")


def test_a_guard_that_failed_says_nothing_of_it() -> None:
    _, headers, body = refused(
        action=Action.DENY, status=500, rule="guard:error", reason="the guard failed: KeyError"
    )

    assert b"x-should-retry" not in headers
    assert "guard" not in repr(body)
    assert "KeyError" not in repr(body)


@pytest.mark.parametrize(
    ("accept", "problem"),
    [
        (b"application/problem+json", True),
        (b"application/json, application/problem+json", True),
        (b"application/json, application/problem+json;q=0.5", False),
        (b"application/json;q=0.2, Application/Problem+JSON; q=0.5", True),
        # A wildcard stands for the dialect's own form; the most specific range counts.
        (b"application/problem+json;q=0.1, */*", False),
        (b"application/problem+json;q=0.5, application/*", False),
        (b"application/problem+json;q=0.5, application/*;q=0.9, */*;q=0.1", False),
        (b"application/problem+json;q=0.5, application/json;q=0.4, */*", True),
        (b"application/problem+json, */*", True),
        (b"application/problem+json;q=0.5, */*;q=0.1", True),
        (b"application/problem+json;q=0.5, text/*", True),
        (b"application/problem+json;q=0", False),
        (b"application/problem+json;q=zero", False),
        (b"application/json", False),
        (b"*/*", False),
        (b"", False),
    ],
)
def test_problem_details_are_sent_to_whoever_prefers_them(accept: bytes, problem: bool) -> None:
    _, headers, _ = refused(Dialect.OPENAI, accept, **DENY)

    assert (headers[b"content-type"] == b"application/problem+json") is problem


def test_an_invalid_credential_is_challenged_as_http_asks() -> None:
    _, headers, _ = refused(action=Action.DENY, status=401)

    assert headers[b"www-authenticate"] == b'Bearer error="invalid_token"'


@pytest.mark.parametrize(("status", "kind"), [(502, "api_error"), (504, "timeout_error")])
def test_an_upstreams_failure_is_said_in_the_clients_dialect(status: int, kind: str) -> None:
    request = build.request(dialect=Dialect.ANTHROPIC)

    answer, headers, body = upstream_failure(request, status, "The model did not answer.")

    assert answer == status
    assert dict(headers)[b"content-length"] == str(len(body)).encode()
    assert msgspec.json.decode(body)["error"] == {
        "type": kind,
        "message": "The model did not answer.",
    }


@pytest.mark.parametrize(
    ("status", "openai", "anthropic", "title"),
    [
        (400, ("invalid_request_error", None), "invalid_request_error", "Bad Request"),
        (408, ("invalid_request_error", "request_timeout"), "timeout_error", "Request Timeout"),
        (411, ("invalid_request_error", None), "invalid_request_error", "Length Required"),
        (
            413, ("invalid_request_error", "request_too_large"), "request_too_large",
            "Content Too Large",
        ),
        (
            415, ("invalid_request_error", "unsupported_media_type"), "invalid_request_error",
            "Unsupported Media Type",
        ),
        (501, ("server_error", "internal_error"), "api_error", "Not Implemented"),
        (502, ("server_error", "bad_gateway"), "api_error", "Bad Gateway"),
        (504, ("server_error", "timeout"), "timeout_error", "Gateway Timeout"),
        (599, ("server_error", "internal_error"), "api_error", "Refused"),
    ],
)  # fmt: skip
def test_what_could_not_be_forwarded_is_named_by_its_status(
    status: int, openai: tuple[str, str | None], anthropic: str, title: str
) -> None:
    bodies = {}
    for dialect in Dialect:
        answer = upstream_failure(build.request(dialect=dialect), status, "No.")
        assert answer[0] == status
        bodies[dialect] = msgspec.json.decode(answer[2])

    error = bodies[Dialect.OPENAI]["error"]
    assert (error["type"], error["code"]) == openai
    assert bodies[Dialect.ANTHROPIC]["error"]["type"] == anthropic
    assert (bodies[Dialect.OTHER]["title"], bodies[Dialect.OTHER]["status"]) == (title, status)


def test_a_challenge_for_authentication_is_one_in_every_dialect() -> None:
    url = "https://verify.example/"
    told = {
        dialect: refused(dialect, action=Action.CHALLENGE, status=401, challenge_url=url)
        for dialect in Dialect
    }

    for _, headers, _ in told.values():
        assert headers[b"www-authenticate"] == b'Bearer error="insufficient_user_authentication"'
        assert headers[b"x-should-retry"] == b"false"
    assert told[Dialect.OPENAI][2]["error"]["type"] == "invalid_request_error"
    assert told[Dialect.OPENAI][2]["error"]["code"] == "verification_required"
    assert told[Dialect.ANTHROPIC][2]["error"]["type"] == "authentication_error"
    assert told[Dialect.OTHER][2]["verification_url"] == url


@pytest.mark.parametrize(("wait", "useless"), [(1.0, False), (60.0, False), (60.1, True)])
def test_a_wait_longer_than_sdks_keep_is_no_reason_to_retry(wait: float, useless: bool) -> None:
    _, headers, _ = refused(action=Action.THROTTLE, status=429, retry_after=wait)

    assert (headers.get(b"x-should-retry") == b"false") is useless
    assert b"retry-after" in headers


def test_the_request_id_is_where_the_dialect_has_it_in_every_form() -> None:
    _, headers, _ = refused(
        Dialect.ANTHROPIC, b"application/problem+json", action=Action.DENY, status=403
    )

    assert headers[b"content-type"] == b"application/problem+json"
    assert headers[b"request-id"] == ID.encode()


def test_every_dialect_has_a_form() -> None:
    assert set(FORMS) == set(Dialect)


def test_a_decision_without_a_status_is_a_403() -> None:
    exchange = build.exchange(decision=Decision(action=Action.DENY))

    assert refusal(exchange)[0] == 403
