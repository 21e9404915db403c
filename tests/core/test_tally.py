"""What a session over a WebSocket has cost so far, and what is charged of it while it lasts."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.core.limits import DEFAULT_INPUT_TOKENS, DEFAULT_OUTPUT_TOKENS, actuals
from gateway_guard.core.tally import Tally, owing, wait_where_used_up
from gateway_guard.types import Charge, Outcome, Usage
from tests import build

CREATED = '{"type":"response.created","response":{"usage":null}}'
DELTA = '{"type":"response.output_text.delta","delta":"a"}'
SILENT = '{"type":"response.done","response":{"status":"completed"}}'
FAILED = '{"type":"response.failed","response":{"usage":null}}'


def done(read: int, written: int) -> str:
    usage = {"input_tokens": read, "output_tokens": written}
    return json.dumps({"type": "response.done", "response": {"usage": usage}})


def heard(*texts: str) -> Tally:
    tally = Tally()
    for text in texts:
        tally.hear(text)
    return tally


def cost(*texts: str) -> tuple[int | None, int | None, bool]:
    usage = heard(*texts).usage(Outcome.COMPLETED)
    return usage.input_tokens, usage.output_tokens, usage.reported


def test_responses_add_up() -> None:
    assert cost(CREATED, DELTA, done(10, 3), CREATED, done(20, 4)) == (30, 7, True)


def test_what_costs_is_what_ends() -> None:
    tally = Tally()

    assert [tally.hear(text) for text in (CREATED, DELTA, done(1, 1))] == [False, False, True]


def test_a_session_in_which_nothing_was_seen_to_begin_costs_the_estimate() -> None:
    assert heard("hello", DELTA).usage(Outcome.CLIENT_GONE) == Usage(outcome=Outcome.CLIENT_GONE)


def test_a_response_whose_end_was_not_seen_costs_the_estimate_or_what_was_delivered() -> None:
    estimate = (DEFAULT_INPUT_TOKENS, DEFAULT_OUTPUT_TOKENS, False)
    many = DEFAULT_OUTPUT_TOKENS + 7

    assert cost(CREATED, DELTA) == estimate
    assert cost(CREATED, *[DELTA] * many) == (DEFAULT_INPUT_TOKENS, many, False)
    assert cost(CREATED, *[DELTA] * many, done(5, 6), CREATED) == (
        5 + DEFAULT_INPUT_TOKENS, 6 + DEFAULT_OUTPUT_TOKENS, False,
    )  # fmt: skip


def test_a_response_nobody_counted_costs_an_estimate_and_what_was_delivered() -> None:
    assert cost(CREATED, DELTA, DELTA, SILENT) == (DEFAULT_INPUT_TOKENS, 2, False)


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"input_tokens": 5}, (5, 2, False)),
        ({"output_tokens": 7}, (DEFAULT_INPUT_TOKENS, 7, False)),
        ({"input_tokens": 0, "output_tokens": 0}, (0, 0, True)),
    ],
)
def test_half_a_count_is_completed_and_an_explicit_0_is_0(
    usage: dict[str, int], expected: tuple[int, int, bool]
) -> None:
    ended = json.dumps({"type": "response.done", "response": {"usage": usage}})

    assert cost(CREATED, DELTA, DELTA, ended) == expected


def test_a_response_that_failed_uncounted_costs_nothing() -> None:
    assert cost(CREATED, DELTA, FAILED) == (0, 0, False)


def test_what_stands_beside_responses_ends_none() -> None:
    aside = '{"type":"transcription.done","usage":{"prompt_tokens":5,"total_tokens":5}}'

    tally = heard(CREATED, aside)

    assert (tally.read, tally.written, tally.open, tally.ended) == (5, 0, 1, 1)


def test_more_ends_than_beginnings_leave_none_open() -> None:
    assert heard(done(1, 1), done(1, 1)).open == 0


def tokens(unit: str = "tokens", **fields: object) -> Charge:
    defaults = {"limit": "tokens", "unit": unit, "cost": 2048.0, "capacity": 6000.0, "rate": 100.0}
    return build.charge(**defaults | fields)


def test_only_what_is_beyond_the_reservation_is_owed() -> None:
    charges = (tokens(), tokens("input-tokens", cost=1024.0), tokens("output-tokens", cost=1024.0))
    nothing = (0.0, 0.0, 0.0)

    assert owing(charges, nothing, 1000, 1000) == nothing
    assert owing(charges, nothing, 2000, 1000) == (952.0, 976.0, 0.0)
    assert owing(charges, (952.0, 976.0, 0.0), 2010, 1000) == (10.0, 10.0, 0.0)


def test_requests_and_places_in_flight_are_not_charged_again() -> None:
    charges = (build.charge(), build.charge(unit="concurrent", rate=0.0))

    assert owing(charges, (0.0, 0.0), 9000, 9000) == (0.0, 0.0)


def test_an_estimate_above_the_capacity_was_taken_as_the_capacity() -> None:
    assert owing((tokens(capacity=500.0),), (0.0,), 600, 0) == (100.0,)


@given(
    st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 5000)), min_size=1, max_size=8),
    st.sampled_from(["tokens", "input-tokens", "output-tokens"]),
    st.integers(1, 4000),
)
def test_all_together_is_charged_once(
    responses: list[tuple[int, int]], unit: str, capacity: int
) -> None:
    charges = (tokens(unit, capacity=float(capacity)),)
    tally, charged = Tally(), (0.0,)

    for read, written in responses:
        tally.hear(done(read, written))
        (due,) = owing(charges, charged, tally.read, tally.written)
        charged = (charged[0] + due,)
    usage = tally.usage(Outcome.COMPLETED)
    (rest,) = actuals(charges, build.request(), usage, charged)

    read, written = map(sum, zip(*responses, strict=True))
    used = {"tokens": read + written, "input-tokens": read, "output-tokens": written}[unit]
    assert charged[0] + rest == used
    assert 0.0 <= rest <= min(2048, capacity)


def test_a_limit_is_used_up_when_its_bucket_is_full() -> None:
    charge = tokens()  # a full one drains in 60 s

    assert wait_where_used_up(charge, build.grant(reset=59.9)) is None
    assert wait_where_used_up(charge, build.grant(reset=60.0)) == pytest.approx(20.48)
    assert wait_where_used_up(charge, build.grant(reset=90.0)) == pytest.approx(50.48)


def test_a_limit_that_regains_nothing_cannot_be_waited_for() -> None:
    assert wait_where_used_up(tokens(rate=0.0), build.grant(reset=math.inf)) is None
