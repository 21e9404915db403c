"""The largest body that is read, to the byte."""

from __future__ import annotations

import gzip

import pytest

from gateway_guard.core.body import parse, read
from gateway_guard.types import Inspection

BODY = b'{"model": "apex-4"}'
JSON = [b"application/json"]


@pytest.mark.parametrize(
    ("limit", "seen"),
    [
        (len(BODY) + 1, Inspection.FULL),
        (len(BODY), Inspection.FULL),
        (len(BODY) - 1, Inspection.TOO_LARGE),
        (1, Inspection.TOO_LARGE),
    ],
)
def test_a_body_of_exactly_the_limit_is_read_and_one_byte_more_is_not(
    limit: int, seen: Inspection
) -> None:
    plain = read(BODY, JSON, [], limit)
    coded = read(gzip.compress(BODY), JSON, [b"gzip"], max(limit, 1))

    assert plain[0] is seen
    assert coded[0] is seen
    assert (plain[1] is not None) is (seen is Inspection.FULL)


@pytest.mark.parametrize(
    ("size", "seen"), [(256 * 1024, Inspection.FULL), (256 * 1024 + 1, Inspection.TOO_LARGE)]
)
def test_what_grows_more_than_twentyfold_unpacks_to_256_kib_and_no_further(
    size: int, seen: Inspection
) -> None:
    plain = b'{"a":"' + b"a" * (size - 8) + b'"}'

    found, _ = read(gzip.compress(plain), JSON, [b"gzip"], 1 << 20)

    assert len(plain) == size
    assert found is seen


def test_what_grows_less_unpacks_up_to_the_limit() -> None:
    import random

    letters = random.Random(1).randbytes(200_000).hex().encode()
    plain = b'{"a":"' + letters + b'"}'

    found, _ = read(gzip.compress(plain), JSON, [b"gzip"], 1 << 20)

    assert found is Inspection.FULL


@pytest.mark.parametrize(
    ("escapes", "seen"),
    [
        (rb"\ud83d\ude00", "\U0001f600"),
        (rb"\uD83D\uDE00", "\U0001f600"),
        (rb"\ud7ff\ue000", "\ud7ff\ue000"),
        (rb"\ud83d", Inspection.CHARSET),
        (rb"\uDE00", Inspection.CHARSET),
        (rb"\ude00\ud83d", Inspection.CHARSET),
    ],
)
def test_both_halves_of_a_character_make_one_and_a_half_makes_none(
    escapes: bytes, seen: object
) -> None:
    # The colon that is written as an escape takes the body to the reader that looks twice.
    for more in (b"", rb" \u003a"):
        found = parse(b'{"a":"' + escapes + more + b'"}')

        assert (found["a"].rstrip(" :") if isinstance(found, dict) else found) == seen
