"""What is read of a model API's WebSocket: where a response begins, and what it cost in the end."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.core import usage_socket
from gateway_guard.core.usage_socket import LARGEST, SocketEvent, event_in

COUNTS = {"total_tokens": 275, "input_tokens": 127, "output_tokens": 148}
ENDED = SocketEvent(ends=True, read=127, written=148)


def ending(kind: str = "response.done", **response: object) -> str:
    return json.dumps(
        {"type": kind, "response": {"status": "completed", "usage": COUNTS} | response}
    )


@pytest.mark.parametrize(
    "kind", ["response.done", "response.completed", "response.incomplete", "response.failed"]
)
def test_every_way_a_response_ends_tells_what_it_cost(kind: str) -> None:
    event = event_in(ending(kind))

    assert event == SocketEvent(ends=True, failed=kind.endswith("failed"), read=127, written=148)


def test_a_response_that_failed_says_so_in_its_status_too() -> None:
    event = event_in(ending(status="failed", usage=None))

    assert event == SocketEvent(ends=True, failed=True)


def test_a_beginning_tells_nothing_else() -> None:
    assert event_in(ending("response.created")) == SocketEvent(begins=True)


@pytest.mark.parametrize(
    ("kind", "usage"),
    [
        ("transcription.done", {"prompt_tokens": 10, "completion_tokens": 3}),
        (
            "conversation.item.input_audio_transcription.completed",
            {"type": "tokens", "input_tokens": 10, "output_tokens": 3},
        ),
    ],
)
def test_transcriptions_count_beside_responses(kind: str, usage: dict[str, object]) -> None:
    told = event_in(json.dumps({"type": kind, "usage": usage}))
    silent = event_in(json.dumps({"type": kind, "usage": {"type": "duration", "seconds": 3}}))

    assert told == SocketEvent(read=10, written=3)
    assert silent is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        '{"type":"response.output_text.delta","delta":"response.done"}',
        json.dumps({"type": "response.output_text.delta", "delta": '{"type": "response.done"}'}),
        json.dumps({"type": "session.updated", "tools": [{"type": "response.done"}]}),
        '{"type":"response.output_audio.delta","delta":"' + "A" * 10_000 + '"}',
    ],
)
def test_nothing_else_is_taken_for_one(text: str) -> None:
    assert event_in(text) is None


def test_of_most_messages_only_the_ends_are_looked_at_and_nothing_is_decoded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def never(data: bytes) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr(usage_socket, "_decode", never)
    filling = '"' + "A" * 1000 + '"'

    text = '{"type":"response.output_audio.delta","a":%s,"type":"response.done","b":%s}'
    assert event_in(text % (filling, filling)) is None


def test_the_type_may_stand_last() -> None:
    response = {"output": ["word " * 1000], "usage": COUNTS}

    assert event_in(json.dumps({"response": response, "type": "response.done"})) == ENDED


def test_of_a_message_beyond_the_bound_the_end_is_looked_at() -> None:
    text = json.dumps({"type": "response.done", "response": {"a": "b" * LARGEST, "usage": COUNTS}})

    assert len(text) > LARGEST
    assert event_in(text) == ENDED


def test_a_client_cannot_make_it_unreadable() -> None:
    # What it wrote is repeated before the usage: half a character, which decoders refuse.
    text = ending()[:-1] + "}"
    text = text.replace('"status"', '"instructions": "\\ud800", "status": 7, "x"')

    assert event_in(text) == ENDED


def test_the_bound_itself_is_decoded() -> None:
    filling = LARGEST - len(ending(a="", status="failed"))
    text = ending(a="b" * filling, status="failed")

    event = event_in(text)

    assert len(text) == LARGEST
    assert event is not None
    assert event.failed
    assert not (event_in(text + " ") or event).failed


@given(st.text(), st.text())
def test_it_never_raises(before: str, after: str) -> None:
    event_in(before + '"type":"response.done"' + after)


@given(st.text(alphabet='{}[]":,\\ud800 \udfff', max_size=60))
def test_nor_at_what_is_no_text(garbage: str) -> None:
    event_in('{"type":"response.done","response":' + garbage)
