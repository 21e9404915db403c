"""What HAProxy is told: every variable, every time, and never more than fits."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.frontends.extauth.telling import MISASKED, Told, tell
from gateway_guard.frontends.spoe.answers import NAMES, doubtful, variables
from gateway_guard.frontends.spoe.frames import OVERHEAD, read_actions
from gateway_guard.frontends.spoe.protocol import LEAST
from gateway_guard.types import Action, Dialect, Exchange, Restrictions
from tests import build

ROOM = 16_000


def told(answer: Told, room: int = ROOM) -> dict[str, Any]:
    """Variables by name; strings decoded."""
    found = read_actions(variables(answer, room))
    return {
        name.decode(): value.decode() if isinstance(value, bytes) else value
        for name, (_, value) in found.items()
    }


def refused(action: Action = Action.DENY, status: int = 403, **decision: object) -> Exchange:
    return build.exchange(decision=build.decision(action=action, status=status, **decision))


def test_an_allowed_request_comes_with_what_the_upstream_may_know() -> None:
    exchange = build.exchange(decision=build.decision(grants=(build.grant(),)))

    found = told(tell(exchange, tells=True))

    assert (found["status"], found["action"], found["body"]) == (200, "allow", "")
    assert (found["account"], found["country"], found["risk"]) == ("acct_test", "NO", "0.00")
    assert found["request_id"] == exchange.request.id
    assert found["limits"].startswith('"requests"')
    assert found["limits_policy"].startswith('"requests";q=60')
    assert found["retry_after"] == ""


@pytest.mark.parametrize("status", [401, 403, 413, 429, 451, 503])
def test_a_refusal_comes_with_the_clients_answer(status: int) -> None:
    found = told(tell(refused(status=status, retry_after=1.2), tells=True))

    assert (found["status"], found["action"]) == (status, "deny")
    assert (found["retry_after"], found["retry_after_ms"]) == ("2", "1200")
    assert found["content_type"] == "application/json"
    assert "error" in msgspec.json.decode(found["body"])
    assert bool(found["authenticate"]) is (status == 401)


def test_a_challenge_says_where_to_verify() -> None:
    url = "https://verify.example/a"
    found = told(tell(refused(Action.CHALLENGE, challenge_url=url), tells=True))

    assert (found["action"], found["challenge_url"]) == ("challenge", url)


@pytest.mark.parametrize(
    ("dialect", "names"),
    [(Dialect.OPENAI, ["x-request-id", "x-ratelimit-limit-requests",
                       "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"]),
     (Dialect.ANTHROPIC, ["request-id", "anthropic-ratelimit-requests-limit",
                          "anthropic-ratelimit-requests-remaining",
                          "anthropic-ratelimit-requests-reset"])],
)  # fmt: skip
def test_a_refusal_brings_the_fields_of_the_clients_dialect(
    dialect: Dialect, names: list[str]
) -> None:
    decision = build.decision(
        action=Action.THROTTLE, status=429, grants=(build.grant(allowed=False, remaining=0.0),)
    )
    exchange = build.exchange(request=build.request(dialect=dialect), decision=decision)
    answer = tell(exchange, tells=True)

    found = msgspec.json.decode(told(answer)["dialect"])

    assert list(found) == names
    assert all(answer.header(name.encode()) == value.encode() for name, value in found.items())


def test_in_shadow_the_status_lets_through_whatever_was_decided() -> None:
    found = told(tell(refused(acted=False), tells=False))

    assert (found["status"], found["action"]) == (200, "deny")


def test_what_is_to_be_taken_away_is_said() -> None:
    limits = Restrictions(max_output_tokens=64, logprobs=False)
    exchange = build.exchange(decision=build.decision(action=Action.RESTRICT, restrictions=limits))

    found = told(tell(exchange, tells=True))

    assert (found["status"], found["restrict"]) == (200, "max-output-tokens=64, logprobs=?0")


ANSWERS = {
    "allowed": tell(build.exchange(), tells=True),
    "nobody": tell(build.exchange(request=build.request(account=None)), tells=True),
    "refused": tell(refused(), tells=True),
    "throttled": tell(refused(status=429, retry_after=3.0), tells=True),
    "misasked": MISASKED,
    "doubtful": doubtful(400, "the header fields are malformed"),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_every_variable_is_set_by_every_answer(name: str) -> None:
    assert set(told(ANSWERS[name])) == {variable.decode() for variable in NAMES}


@pytest.mark.parametrize("name", ANSWERS)
def test_every_answer_fits_into_the_smallest_frame(name: str) -> None:
    found = told(ANSWERS[name], LEAST - OVERHEAD)

    assert found["status"] == ANSWERS[name].status


def test_a_question_nobody_should_have_asked_is_refused() -> None:
    found = told(MISASKED)

    assert (found["status"], found["action"]) == (403, "deny")


def test_a_doubtful_head_is_refused_in_words_any_client_can_show() -> None:
    found = told(doubtful(431, "more than 100 header fields"))

    assert (found["status"], found["should_retry"]) == (431, "false")
    body = msgspec.json.decode(found["body"])
    assert body["error"]["message"] == "more than 100 header fields"


def test_where_not_everything_fits_the_longest_is_left_empty() -> None:
    url = "https://verify.example/" + "a" * 900
    long = tell(refused(Action.CHALLENGE, challenge_url=url), tells=True)

    found = told(long, LEAST - OVERHEAD)

    assert (found["status"], found["action"], found["body"]) == (403, "challenge", "")
    assert told(long)["challenge_url"] == url


@given(st.integers(LEAST - OVERHEAD, 4000), st.integers(0, 3000), st.integers(0, 3000))
def test_an_answer_never_has_more_bytes_than_there_is_room_for(
    room: int, body: int, limits: int
) -> None:
    headers = [(b"ratelimit", b"l" * limits)]
    answer = Told(status=403, headers=headers, body=b"b" * body, facts={"action": "deny"})

    assert len(variables(answer, room)) <= room


def test_room_below_that_of_the_smallest_frame_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="room for 100"):
        variables(ANSWERS["refused"], 100)
