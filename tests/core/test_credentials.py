"""One key, one account, whatever the spelling; two keys, none."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.core.credentials import (
    digest,
    key_as_sent,
    name_digest,
    read_credential,
    signed,
)
from gateway_guard.core.identify import identify
from gateway_guard.core.sections import AccountSource, Identify, Inspect
from gateway_guard.types import CredentialFault, Request, Wire
from tests.build import SECRET

KEY = b"sk-test-0123456789"
ACCOUNT = digest(SECRET, KEY)


def seen(
    *headers: tuple[bytes, bytes],
    state: dict[str, object] | None = None,
    accounts: tuple[AccountSource, ...] | None = None,
) -> Request:
    """The request a wire with these headers becomes."""
    wire = Wire(method="GET", raw_path=b"/x", headers=list(headers), peer=None, state=state)
    rules = Identify() if accounts is None else Identify(accounts=accounts)
    return identify(wire, rules, Inspect(), id="r", at=0.0, secret=SECRET, keys={})


def test_an_account_is_a_keyed_digest() -> None:
    assert re.fullmatch(r"acct_[a-z2-7]{16}", ACCOUNT)
    assert digest(SECRET, KEY) == ACCOUNT
    assert digest(SECRET, KEY + b"x") != ACCOUNT
    assert digest(b"another secret, long enough", KEY) != ACCOUNT
    assert digest(SECRET + b"x" * 100, KEY) != digest(SECRET + b"x" * 101, KEY)


def test_a_key_under_a_name_that_some_servers_read_as_the_same_header_names_its_account() -> None:
    assert seen((b"x_api_key", KEY)).account == ACCOUNT
    assert seen((b"x-api-key", KEY), (b"x_api_key", KEY)).account == ACCOUNT

    both = seen((b"x-api-key", KEY), (b"x_api_key", b"sk-another"))

    assert (both.account, both.credential_fault) == (None, CredentialFault.TWO_CREDENTIALS)
    assert seen((b"authorization", b"Bearer a"), (b"x_api_key", KEY)).account is None


def test_a_name_is_never_a_key() -> None:
    assert name_digest(SECRET, KEY) != ACCOUNT


@pytest.mark.parametrize(
    "value",
    [
        b"Bearer " + KEY, b"bearer " + KEY, b"BEARER " + KEY, b"bEaReR " + KEY,
        b"Bearer  " + KEY, b"Bearer\t" + KEY, b"Bearer \t " + KEY, b" Bearer " + KEY,
        b"Bearer " + KEY + b" ", b"Bearer " + KEY + b"\t", b"Bearer " + KEY + b"  \t",
    ],
)  # fmt: skip
def test_spelling_the_header_otherwise_makes_no_new_account(value: bytes) -> None:
    request = seen((b"authorization", value))

    assert (request.account, request.credential) == (ACCOUNT, "bearer")
    assert request.credential_fault is None


@pytest.mark.parametrize(
    "value",
    [
        b"Bearer " + KEY + b" x1", b"Bearer x1 " + KEY, b"Bearer " + KEY + b"\xa0",
        b"Bearer \xa0" + KEY, b"Bearer " + KEY + b"\x0b", b"Bearer " + KEY + b"\0",
        b"Bearer " + KEY + b"\x85", b"Bearer " + KEY + b", Bearer other", b"Bearer Bearer " + KEY,
        b"Bearer " + KEY + b"\xe2\x80\x8b", b"Bearer " + KEY + b"\r\n x", b"Bearer k\xc3\xa9y",
    ],
)  # fmt: skip
def test_a_token_that_readers_split_differently_is_refused(value: bytes) -> None:
    request = seen((b"authorization", value))

    assert request.account is None
    assert request.credential_fault is CredentialFault.AMBIGUOUS_SPELLING


#: As botocore signs, but for what it names.
SIGNED = (
    b"AWS4-HMAC-SHA256 Credential=%b/20261124/eu-west-1/bedrock/aws4_request, "
    b"SignedHeaders=content-type;host;x-amz-date, Signature=%b"
)
KEY_ID = b"AKIAIOSFODNN7EXAMPLE"


@pytest.mark.parametrize(
    "value",
    [
        SIGNED % (KEY_ID, b"a1" * 32),
        SIGNED % (KEY_ID, b"b2" * 32),
        SIGNED.replace(b"AWS4-HMAC", b"aws4-hmac").replace(b", ", b",") % (KEY_ID, b"a1" * 32),
        SIGNED.replace(b"/20261124/eu-west-1/", b"/20261125/us-east-1/") % (KEY_ID, b"a1" * 32),
    ],
)
def test_signed_requests_count_by_the_id_of_their_key(value: bytes) -> None:
    request = seen((b"authorization", value))

    assert (request.account, request.credential) == (digest(SECRET, KEY_ID), "aws4-hmac-sha256")
    assert signed(request.credential)


def test_requests_signed_for_several_regions_count_the_same() -> None:
    value = SIGNED.replace(b"HMAC", b"ECDSA-P256").replace(b"eu-west-1/", b"")

    request = seen((b"authorization", value % (KEY_ID, b"a1" * 70)))

    assert (request.account, request.credential) == (
        digest(SECRET, KEY_ID), "aws4-ecdsa-p256-sha256",
    )  # fmt: skip


@pytest.mark.parametrize(
    "value",
    [
        b"AWS4-HMAC-SHA256 " + KEY_ID,
        SIGNED % (b"", b"a1"),
        SIGNED % (KEY_ID + b"/x", b"a1"),
        SIGNED % (KEY_ID, b"a1") + b", Credential=AKIAIOSFODNN7OTHERS1/20261124/x/y/aws4_request",
        SIGNED % (KEY_ID + b"\xa0", b"a1"),
        SIGNED.replace(b"bedrock/", b"").replace(b"eu-west-1/", b"") % (KEY_ID, b"a1"),
    ],
)
def test_a_signature_that_readers_could_read_otherwise_is_refused(value: bytes) -> None:
    request = seen((b"authorization", value))

    assert (request.account, request.credential) == (None, "ambiguous")
    assert request.credential_fault is CredentialFault.AMBIGUOUS_SPELLING


def test_a_signature_beside_a_key_is_two_credentials() -> None:
    request = seen((b"authorization", SIGNED % (KEY_ID, b"a1")), (b"x-api-key", KEY))

    assert request.credential_fault is CredentialFault.TWO_CREDENTIALS


TWO, REPEATED, SPELLING = (
    CredentialFault.TWO_CREDENTIALS,
    CredentialFault.REPEATED_HEADER,
    CredentialFault.AMBIGUOUS_SPELLING,
)


@pytest.mark.parametrize(
    ("headers", "fault"),
    [
        ([(b"authorization", b"Bearer junk"), (b"authorization", b"Bearer " + KEY)], REPEATED),
        ([(b"authorization", b"Bearer " + KEY), (b"authorization", b"Bearer junk")], REPEATED),
        ([(b"authorization", b"Bearer " + KEY), (b"authorization", b"Bearer " + KEY)], REPEATED),
        ([(b"authorization", b"Bearer " + KEY), (b"authorization", b"")], REPEATED),
        ([(b"x-api-key", KEY), (b"x-api-key", b"other")], REPEATED),
        ([(b"authorization", b"Bearer junk"), (b"x-api-key", KEY)], TWO),
        ([(b"x-api-key", b"junk"), (b"authorization", b"Bearer " + KEY)], TWO),
        ([(b"x-api-key", KEY + b"\xa0")], SPELLING),
        ([(b"x-api-key", KEY + b"\x00")], SPELLING),
        ([(b"x-api-key", b"\xff\xfe")], SPELLING),
    ],
)
def test_conflicting_credentials_are_refused_and_the_conflict_is_named(
    headers: list[tuple[bytes, bytes]], fault: CredentialFault
) -> None:
    request = seen(*headers)

    assert (request.account, request.credential) == (None, "ambiguous")
    assert request.credential_fault is fault


def test_the_same_key_in_two_headers_is_one_account() -> None:
    assert seen((b"x-api-key", KEY)).account == ACCOUNT
    assert seen((b"authorization", b"Bearer " + KEY), (b"x-api-key", KEY)).account == ACCOUNT


@pytest.mark.parametrize("scheme", [b"Bearer ", b"bearer ", b"BEARER \t ", b"Basic ", b"basic\t"])
def test_a_scheme_in_front_of_a_key_makes_no_new_account_in_any_header(scheme: bytes) -> None:
    request = seen((b"x-api-key", scheme + KEY))

    assert (request.account, request.credential) == (ACCOUNT, "x-api-key")
    assert seen((b"authorization", b"Bearer " + KEY), (b"x-api-key", scheme + KEY)).account
    assert key_as_sent(scheme + KEY + b"\n") == KEY


@pytest.mark.parametrize("value", [b"Bearer Bearer " + KEY, b"basic bearer " + KEY, b"Basic basic"])
def test_two_schemes_in_front_of_a_key_are_a_fault_in_any_header(value: bytes) -> None:
    request = seen((b"x-api-key", value))

    assert request.account is None
    assert request.credential_fault is CredentialFault.AMBIGUOUS_SPELLING


def test_a_key_that_only_begins_like_a_scheme_is_left_alone() -> None:
    assert seen((b"x-api-key", b"Bearer-1234")).account == digest(SECRET, b"Bearer-1234")
    assert seen((b"x-api-key", b"basics")).account == digest(SECRET, b"basics")


@pytest.mark.parametrize("header", [b"authorization", b"x-api-key"])
@pytest.mark.parametrize("value", [b"", b" ", b"Bearer", b"bearer ", b"Basic", b"\t"])
def test_an_empty_credential_is_none(header: bytes, value: bytes) -> None:
    request = seen((header, value))

    assert (request.account, request.credential_fault) == (None, None)


def test_other_schemes_are_accounts_too() -> None:
    basic = seen((b"authorization", b"Basic dTpw"))

    assert basic.credential == "basic"
    assert basic.account == seen((b"authorization", b"bAsIc  dTpw ")).account
    assert seen((b"authorization", b"raw-key")).account == digest(SECRET, b"raw-key")


def test_a_named_header_may_hold_text() -> None:
    source = (AccountSource(kind="header", header="x-user"),)

    named = seen((b"x-user", "Zoë van Dam".encode()), accounts=source)

    assert named.credential == "x-user"
    assert named.account == digest(SECRET, "Zoë van Dam".encode())


def test_headers_the_policy_does_not_name_do_not_matter() -> None:
    source = (AccountSource(kind="header", header="x-api-key"),)

    request = seen((b"x-api-key", KEY), (b"authorization", b"Bearer junk"), accounts=source)

    assert request.account == ACCOUNT


def test_the_guards_own_headers_are_never_believed() -> None:
    source = (AccountSource(kind="header", header="x-guard-account"),)

    assert seen((b"x-guard-account", b"acct_aaaaaaaaaaaaaaaa"), accounts=source).account is None


def test_the_application_knows_best() -> None:
    request = seen((b"authorization", b"Bearer " + KEY), state={"account": "alice"})

    assert (request.account, request.credential) == (name_digest(SECRET, b"alice"), "state")
    assert seen(state={"account": 42}).account == name_digest(SECRET, b"42")


@pytest.mark.parametrize("name", [None, "", True, 1.5, ["a"], {"a": 1}, b"alice", "x" * 600])
def test_a_state_that_makes_no_sense_names_nobody(name: object) -> None:
    assert seen((b"x-api-key", KEY), state={"account": name}).account == ACCOUNT


@pytest.mark.parametrize("header", [b"authorization", b"proxy-authorization"])
@pytest.mark.parametrize("padding", [b"=", b"==", b"===="])
def test_a_basic_token_of_nothing_but_padding_is_a_fault_and_no_empty_key(
    header: bytes, padding: bytes
) -> None:
    read = read_credential(header, [b"Basic " + padding])

    assert read is CredentialFault.AMBIGUOUS_SPELLING


@given(st.binary(max_size=60))
def test_no_bytes_make_it_raise(value: bytes) -> None:
    request = seen((b"authorization", value), (b"x-api-key", value))

    assert request.account is None or request.account.startswith("acct_")
    assert "sk-" not in repr(seen((b"authorization", b"Bearer " + KEY)))
