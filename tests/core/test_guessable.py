"""Secrets that somebody made up are told from random ones."""

from __future__ import annotations

import base64
import random

import pytest

from gateway_guard.core.guessable import guessable
from tests import build


@pytest.mark.parametrize(
    ("secret", "why"),
    [
        (b"aaaaaaaaaaaaaaaa", "different"),
        (b"1234512345123451234", "different"),
        (b"correct-horse-correct-horse-", "repeats"),
        (b"0123456789abcdef", "follow"),
        (b"ZYXWVUTSRQPONMLKJIHG", "follow"),
        (b"ChangeMe-in-production!", "examples"),
        (b"my-Password-2026-x9", "examples"),
    ],
)
def test_what_somebody_made_up_is_told_by_why_and_not_quoted(secret: bytes, why: str) -> None:
    said = guessable(secret)

    assert said is not None
    assert why in said
    assert secret.decode() not in said


def test_random_keys_pass_however_they_are_written() -> None:
    chance = random.Random(11)
    keys = [chance.randbytes(32) for _ in range(2_000)]

    assert not any(guessable(key) for key in keys)
    assert not any(guessable(key.hex().encode()) for key in keys)
    assert not any(guessable(base64.b64encode(key)) for key in keys)


def test_the_secret_of_these_tests_is_told_of_nowhere() -> None:
    assert guessable(build.SECRET) is None
