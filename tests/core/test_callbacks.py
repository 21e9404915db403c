"""Callbacks of a provider: signed, just now, with the provider's key."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.core.callbacks import TOLERANCE, key_of, sign, signed
from gateway_guard.core.codes import SHORTEST_CODE, code_digest, plain_code

KEY = b"shared with the provider, 32 byte"
NOW = 1_772_452_800
BODY = b'{"state": "x", "subject": "ada"}'


def headers(**changed: str) -> dict[str, str]:
    good = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(NOW),
        "webhook-signature": sign(KEY, "msg_1", NOW, BODY),
    }
    return good | {name.replace("_", "-"): value for name, value in changed.items()}


def test_a_callback_of_the_provider_is_taken() -> None:
    assert signed(KEY, headers(), BODY, now=NOW)


def test_the_specifications_own_example_is_taken() -> None:
    key = key_of(b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n")

    assert key is not None
    assert signed(
        key,
        {
            "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "webhook-timestamp": "1614265330",
            "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        },
        b'{"test": 2432232314}',
        now=1_614_265_330,
    )


def test_while_keys_change_one_good_signature_is_enough() -> None:
    other = sign(b"the old key, also long enough to be one", "msg_1", NOW, BODY)
    both = f"{other} {sign(KEY, 'msg_1', NOW, BODY)}"

    assert signed(KEY, headers(webhook_signature=both), BODY, now=NOW)
    assert not signed(KEY, headers(webhook_signature=other), BODY, now=NOW)


@pytest.mark.parametrize("late", [-TOLERANCE - 1, TOLERANCE + 1])
def test_a_callback_of_another_time_is_refused(late: float) -> None:
    assert not signed(KEY, headers(), BODY, now=NOW + late)


@pytest.mark.parametrize(
    "changed",
    [
        {"webhook_id": ""},
        {"webhook_id": "msg_2"},
        {"webhook_id": "m" * 300},
        {"webhook_timestamp": ""},
        {"webhook_timestamp": str(NOW + 1)},
        {"webhook_timestamp": "９" * 10},
        {"webhook_timestamp": "9" * 400},
        {"webhook_signature": ""},
        {"webhook_signature": "v1,"},
        {"webhook_signature": "v1,ä"},
        {"webhook_signature": sign(KEY, "msg_1", NOW, BODY).replace("v1", "v2")},
    ],
)
def test_a_callback_that_was_touched_is_refused(changed: dict[str, str]) -> None:
    assert not signed(KEY, headers(**changed), BODY, now=NOW)


@given(st.integers(0, len(BODY) * 8 - 1))
def test_a_body_with_any_bit_flipped_is_refused(at: int) -> None:
    body = bytearray(BODY)
    body[at // 8] ^= 1 << at % 8

    assert not signed(KEY, headers(), bytes(body), now=NOW)


@pytest.mark.parametrize("data", [b"", b"too short", b"whsec_", b"whsec_not base64!", b" \n"])
def test_what_is_no_key_is_none(data: bytes) -> None:
    assert key_of(data) is None


def test_a_key_is_read_as_providers_show_it_or_as_it_is() -> None:
    shown = b"whsec_" + base64.b64encode(KEY)

    assert key_of(shown) == KEY
    assert key_of(KEY + b"\n") == KEY


def test_a_code_is_the_same_however_it_is_written() -> None:
    spellings = {"k7rm-2qpw-x9td", " K7RM 2QPW X9TD ", "k7rm2qpwx9td"}

    assert {plain_code(text) for text in spellings} == {"k7rm2qpwx9td"}
    assert len({code_digest(plain_code(text)) for text in spellings}) == 1
    assert len(plain_code("x" * 10_000)) == 256
    assert SHORTEST_CODE == 8
