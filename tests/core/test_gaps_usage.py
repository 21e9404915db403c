"""Usage in streams as nobody means to write them, and some do."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.core import streams
from tests.core.test_usage import read, sse

_ends = st.lists(st.sampled_from([b"\n", b"\r\n"]), min_size=1, max_size=6)


@given(ends=_ends, place=st.integers(0, 5))
@example(ends=[b"\r\n", b"\n", b"\r\n"], place=1)
@example(ends=[b"\n", b"\r\n", b"\n"], place=1)
def test_a_stream_that_mixes_its_line_ends_loses_the_usage_event_and_nothing_else(
    ends: list[bytes], place: int
) -> None:
    place %= len(ends)
    events = [
        streams.event(streams.usage_chunk(3, 4) if at == place else streams.openai_delta("a"),
                      end=end)
        for at, end in enumerate(ends)
    ]  # fmt: skip
    body = b"".join(events)

    passed, usage = read(sse(body), [body], hide=True)

    assert passed == b"".join(one for at, one in enumerate(events) if at != place)
    assert (usage.input_tokens, usage.output_tokens) == (3, 4)


@pytest.mark.parametrize("ends", list(itertools.product([b"\n", b"\r\n"], repeat=3)))
def test_every_delta_of_such_a_stream_counts(ends: tuple[bytes, ...]) -> None:
    body = b"".join(streams.event(streams.openai_delta("a"), end=end) for end in ends)

    _, usage = read(sse(body), [body])

    assert usage.output_tokens == 3


def test_a_stream_that_never_ends_an_event_counts_by_all_of_its_bytes() -> None:
    chunks = [b"x" * 500_000] * 8

    _, usage = read(sse(b""), chunks)

    assert usage.output_tokens == pytest.approx(4_000_000 / 4, rel=0.01)


@pytest.mark.parametrize("size", [4095, 4096])
def test_an_event_of_up_to_four_kilobytes_tells_how_much_of_events_is_text(size: int) -> None:
    event = streams.event(streams.openai_delta("a" * 64))
    padded = event[:-2] + b" " * (size - len(event)) + b"\n\n"

    _, usage = read(sse(b""), [padded] * 4)

    assert len(padded) == size
    assert usage.output_tokens == 64
