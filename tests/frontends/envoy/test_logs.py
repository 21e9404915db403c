"""What the access log says of requests that have ended."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.frontends.envoy import api
from gateway_guard.frontends.envoy.logs import ended
from gateway_guard.types import Outcome, Usage
from tests.frontends.envoy.asking import logged


def read(message: Any) -> list[tuple[str, Usage]]:
    return ended(message.SerializeToString())


def usage(**entry: Any) -> Usage:
    ((_, found),) = read(logged(**entry))
    return found


def test_a_request_that_was_answered_has_ended() -> None:
    ((name, found),) = read(logged("r_7"))

    assert name == "r_7"
    assert (found.outcome, found.status) == (Outcome.COMPLETED, 200)
    assert (found.input_tokens, found.output_tokens, found.reported) == (None, None, False)


def test_every_entry_counts() -> None:
    both = logged("r_1")
    both.http_logs.log_entry.extend(logged("r_2").http_logs.log_entry)

    assert [name for name, _ in read(both)] == ["r_1", "r_2"]


@pytest.mark.parametrize(
    "entry",
    [
        {"request_id": None},
        {"request_id": None, "metadata": {"somebody.else": {"request_id": "r_1"}}},
        {"decision": {"status": 403.0}},
        {"intermediate": True},
        {"kind": 4},
        {"kind": 5},
        {"kind": 9},
    ],
)
def test_what_is_no_end_of_an_authorised_request_ends_nothing(entry: dict[str, Any]) -> None:
    assert read(logged(**entry)) == []


def test_an_id_that_only_the_client_wrote_ends_nothing() -> None:
    # Not a field of ours at all, so it is not even read: request properties, with logged headers.
    entry = logged(None).http_logs.log_entry[0].SerializeToString()
    header = b"\x0a\x12x-guard-request-id\x12\x03r_1"
    entry += b"\x1a" + bytes([len(header) + 2]) + b"\x6a" + bytes([len(header)]) + header
    logs = b"\x0a" + bytes([len(entry)]) + entry

    assert ended(b"\x12" + bytes([len(logs)]) + logs) == []


@pytest.mark.parametrize(
    "entry",
    [
        {"metadata": {"gateway_guard": {"input_tokens": 40.0, "output_tokens": 9.0}}},
        {"metadata": {"io.envoy.ai_gateway": {"llm_input_token": 40.0, "llm_output_token": "9"}}},
        {"headers": {"x-guard-input-tokens": "40", "x-guard-output-tokens": "9"}},
        {"trailers": {"x-guard-input-tokens": "40", "x-guard-output-tokens": "9"}},
        {
            "headers": {"x-guard-input-tokens": "40", "x-guard-output-tokens": "1"},
            "trailers": {"x-guard-output-tokens": "9"},
        },
        {
            "metadata": {"gateway_guard": {"input_tokens": 40.0, "output_tokens": 9.0}},
            "headers": {"x-guard-input-tokens": "1", "x-guard-output-tokens": "1"},
        },
    ],
)
def test_tokens_somebody_counted_are_believed(entry: dict[str, Any]) -> None:
    found = usage(**entry)

    assert (found.input_tokens, found.output_tokens, found.reported) == (40, 9, True)


@pytest.mark.parametrize(
    "entry",
    [
        {"metadata": {"io.envoy.ai_gateway": {"llm_total_token": 49.0}}},
        {"metadata": {"gateway_guard": {"total_tokens": "49"}}},
        {"headers": {"x-guard-total-tokens": "49"}},
    ],
)
def test_a_total_alone_is_a_count_too(entry: dict[str, Any]) -> None:
    found = usage(**entry)

    assert (found.input_tokens, found.output_tokens) == (None, None)
    assert (found.total_tokens, found.reported) == (49, True)


def test_no_tokens_and_none_counted_are_not_the_same() -> None:
    assert usage(headers={"x-guard-output-tokens": "0"}).output_tokens == 0
    assert usage(headers={"x-guard-output-tokens": "0"}).input_tokens is None
    assert usage(metadata={"gateway_guard": {"other": 1.0}}).reported is False


@pytest.mark.parametrize("value", ["", "-1", "1.5", "９", "1" * 30, "lots"])
def test_what_is_no_number_of_tokens_counts_nothing(value: str) -> None:
    assert usage(headers={"x-guard-output-tokens": value}).reported is False


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf"), 1e300])
def test_neither_does_a_number_nobody_can_have_used(value: float) -> None:
    assert usage(metadata={"gateway_guard": {"output_tokens": value}}).reported is False


@pytest.mark.parametrize("status", [400, 404, 429, 500, 503])
def test_a_request_the_upstream_refused_costs_nothing(status: int) -> None:
    found = usage(status=status)

    assert (found.input_tokens, found.output_tokens) == (0, 0)
    assert (found.outcome, found.reported) == (Outcome.COMPLETED, False)


@pytest.mark.parametrize(
    ("status", "flags", "outcome"),
    [
        (503, ("no_healthy_upstream",), Outcome.UPSTREAM_ERROR),
        (503, ("upstream_remote_reset",), Outcome.UPSTREAM_ERROR),
        (504, ("upstream_request_timeout",), Outcome.UPSTREAM_ERROR),
        (None, (), Outcome.UPSTREAM_ERROR),
        (200, ("upstream_remote_reset",), Outcome.UPSTREAM_CUT),
        (200, ("stream_idle_timeout",), Outcome.UPSTREAM_CUT),
        (200, ("downstream_connection_termination",), Outcome.CLIENT_GONE),
        (None, ("downstream_remote_reset",), Outcome.CLIENT_GONE),
        (200, ("downstream_remote_reset", "upstream_remote_reset"), Outcome.CLIENT_GONE),
    ],
)
def test_how_it_ended_follows_from_envoys_flags(
    status: int | None, flags: tuple[str, ...], outcome: Outcome
) -> None:
    assert usage(status=status, flags=flags).outcome is outcome


def test_what_an_upstream_that_never_answered_costs() -> None:
    failed = usage(status=503, flags=("upstream_connection_failure",))
    left = usage(status=None, flags=("downstream_connection_termination",))
    cut = usage(status=200, flags=("upstream_remote_reset",))

    assert (failed.input_tokens, failed.output_tokens) == (0, 0)
    assert (left.input_tokens, left.output_tokens) == (None, 0)
    assert (cut.input_tokens, cut.output_tokens) == (None, None)


def test_entries_about_connections_end_nothing() -> None:
    assert ended(api.StreamAccessLogsMessage().SerializeToString()) == []


def test_bytes_that_are_no_log_are_said_to_be_none() -> None:
    with pytest.raises(DecodeError):
        ended(b"\xff")


@given(st.binary(max_size=200))
def test_no_bytes_make_it_raise_anything_else(message: bytes) -> None:
    try:
        ended(message)
    except DecodeError:
        return


def test_a_request_authorised_over_http_is_known_by_the_field_envoy_kept() -> None:
    kept = {"envoy.filters.http.ext_authz": {"x-guard-request-id": "r_7"}}

    assert [name for name, _ in read(logged(None, metadata=kept))] == ["r_7"]
