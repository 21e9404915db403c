"""Verification links: what was made is read back, and nothing else is."""

from __future__ import annotations

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.core.links import LEEWAY, NONCE, Claims, LinkFault, Purpose, make, read
from tests import build

ACCOUNT = "acct_k3vx2hqwzr7m5tdn"
CLAIMS = Claims(account=ACCOUNT, expires=build.NOW + 1_800, nonce=b"n" * NONCE)

claims = st.builds(
    Claims,
    account=st.text(st.characters(codec="ascii"), min_size=1, max_size=64),
    expires=st.floats(build.NOW, 1e11),
    nonce=st.binary(min_size=NONCE, max_size=NONCE),
    purpose=st.sampled_from(Purpose),
)


@given(claims)
def test_a_link_says_what_it_was_made_of(said: Claims) -> None:
    token = make(build.SECRET, said)

    assert read(build.SECRET, token, purpose=said.purpose, now=build.NOW) == said


@given(claims, st.data())
def test_a_link_with_any_bit_flipped_is_refused(said: Claims, data: st.DataObject) -> None:
    token = bytearray(make(build.SECRET, said).encode())
    at = data.draw(st.integers(0, len(token) * 8 - 1))
    token[at // 8] ^= 1 << at % 8

    found = read(build.SECRET, token.decode("latin-1"), purpose=said.purpose, now=build.NOW)

    assert found is LinkFault.FORGED


@given(st.text(max_size=400))
def test_no_text_makes_reading_raise(text: str) -> None:
    assert read(build.SECRET, text, purpose=Purpose.VISIT, now=build.NOW) is LinkFault.FORGED


def test_a_text_that_is_too_long_is_not_even_read() -> None:
    token = "A" * 257

    assert read(build.SECRET, token, purpose=Purpose.VISIT, now=build.NOW) is LinkFault.FORGED


def test_a_link_of_another_secret_is_forged() -> None:
    token = make(b"another secret, as long as it", CLAIMS)

    assert read(build.SECRET, token, purpose=Purpose.VISIT, now=build.NOW) is LinkFault.FORGED


def test_a_link_ends_a_minute_late_for_clocks_that_differ() -> None:
    token = make(build.SECRET, CLAIMS)
    end = CLAIMS.expires + LEEWAY

    just = read(build.SECRET, token, purpose=Purpose.VISIT, now=end - 0.001)

    assert just == CLAIMS
    assert read(build.SECRET, token, purpose=Purpose.VISIT, now=end) is LinkFault.EXPIRED


def test_a_link_without_a_number_for_its_end_has_ended() -> None:
    token = make(build.SECRET, msgspec.structs.replace(CLAIMS, expires=math.nan))

    assert read(build.SECRET, token, purpose=Purpose.VISIT, now=build.NOW) is LinkFault.EXPIRED


@pytest.mark.parametrize(("made", "asked"), [(Purpose.VISIT, Purpose.RETURN), (2, Purpose.VISIT)])
def test_a_link_is_taken_for_its_own_purpose_only(made: int, asked: Purpose) -> None:
    token = make(build.SECRET, msgspec.structs.replace(CLAIMS, purpose=Purpose(made)))

    assert read(build.SECRET, token, purpose=asked, now=build.NOW) is LinkFault.PURPOSE


@pytest.mark.parametrize("changed", [{"account": ""}, {"account": "a" * 65}, {"nonce": b"short"}])
def test_what_does_not_fit_is_never_made(changed: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="64 bytes"):
        make(build.SECRET, msgspec.structs.replace(CLAIMS, **changed))


def test_a_link_holds_the_accounts_digest_and_no_secret() -> None:
    token = make(build.SECRET, CLAIMS)

    assert len(token) < 120
    assert "sk-" not in token


@pytest.mark.parametrize("account", ["a", "a" * 64, "ü" * 32])
def test_an_account_of_up_to_64_bytes_fits_into_a_link(account: str) -> None:
    said = Claims(account=account, expires=build.NOW, nonce=b"n" * NONCE)

    link = make(build.SECRET, said)

    assert read(build.SECRET, link, purpose=Purpose.VISIT, now=build.NOW) == said


def test_an_account_is_measured_in_bytes() -> None:
    with pytest.raises(ValueError, match="64 bytes"):
        make(build.SECRET, Claims(account="ü" * 33, expires=build.NOW, nonce=b"n" * NONCE))
