"""Who asks and from where, at the borders: lengths, moments, networks, spellings."""

from __future__ import annotations

import base64
import hashlib
import hmac
import math
import struct

import pytest

from gateway_guard.core import prepared
from gateway_guard.core.callbacks import key_of, sign, signed
from gateway_guard.core.client_ip import Trust
from gateway_guard.core.codes import plain_code
from gateway_guard.core.credentials import Credential, digest, name_digest, read_credential, subkey
from gateway_guard.core.identify import identify
from gateway_guard.core.links import Claims, LinkFault, Purpose, make, read
from gateway_guard.core.paths import canonical
from gateway_guard.core.sections import AccountSource, Identify, Inspect
from gateway_guard.core.tokens import KeySet, header_of, name_of, verify
from gateway_guard.types import CredentialFault, Inspection
from tests import build
from tests.core.test_tokens import SHARED, source, token

NOW = build.NOW
NOBODY = Trust(())


@pytest.mark.parametrize(("size", "read_"), [(16_384, True), (16_385, False)])
def test_a_path_has_16384_bytes(size: int, read_: bool) -> None:
    for letter in (b"a", b"%61", b"<"):
        path = b"/" + letter + b"a" * (size - 1 - len(letter))
        assert len(path) == size
        assert (canonical(path) is not None) is read_


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        (b"/", "/"), (b"", None), (b"a", None), (b"%61/b", None), (b"[a", None),
        (b"//a", None), (b"/a//b", "/a/b"),
        (b"/a/./b", "/a/b"), (b"/a/.", "/a/"), (b"/a/", "/a/"), (b"/.", "/"), (b"/./a", "/a"),
        (b"/a.", None), (b"/a./b", None), (b"/.a", "/.a"), (b"/..", None), (b"/...", None),
        (b"/%20a", None), (b"/a%20", None), (b"/a%20b", "/a b"), (b"/a%2fb", None),
        (b"/a%5cb", None), (b"/a%3bb", None), (b"/a%3fb", None), (b"/a%23b", None),
        (b"/a%00b", None), (b"/a%1fb", None), (b"/a%7fb", None), (b"/a%7eb", "/a~b"),
        (b"/a%2541", None), (b"/a%25", "/a%"), (b"/a%25u", None), (b"/a%4", None), (b"/a%", None),
        (b"/a%c3%a5", "/aå"), (b"/a%c3", None), (b"/%ef%bd%81", "/a"), (b"/%ef%bc%8f", None),
        (b"/%c4%b0", "/i"), (b"/%c4%b1", "/i"), (b"/a\\b", None), (b"/a;b", None),
        (b'/<">[]^`{|}', '/<">[]^`{|}'), (b"/\x7f", None), (b"/\xc3\xa5", None), (b"/a b", None),
    ],
)  # fmt: skip
def test_a_path_is_read_in_one_way_or_not_at_all(raw: bytes, path: str | None) -> None:
    assert canonical(raw) == path


def forged(**changed: object) -> str:
    """A token of a holder of the secret who does not keep to what `make` makes."""
    parts = {
        "version": 1,
        "purpose": 1,
        "expires": NOW + 60,
        "account": b"acct",
        "nonce": b"n" * 12,
    }
    parts |= changed
    body = struct.pack(
        ">BBd12s", parts["version"], parts["purpose"], parts["expires"], parts["nonce"]
    )
    body += parts["account"]  # type: ignore[operator]
    tag = hmac.digest(subkey(build.SECRET, b"verification"), body, hashlib.sha256)
    return base64.urlsafe_b64encode(body + tag).rstrip(b"=").decode()


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, None), ({"account": b"a" * 64}, None), ({"account": b"a"}, None),
        ({"account": b""}, LinkFault.FORGED), ({"account": b"a" * 65}, LinkFault.FORGED),
        ({"version": 0}, LinkFault.PURPOSE), ({"version": 2}, LinkFault.PURPOSE),
        ({"purpose": 2}, LinkFault.PURPOSE), ({"purpose": 0}, LinkFault.PURPOSE),
        ({"expires": NOW - 60.0}, LinkFault.EXPIRED), ({"expires": NOW - 59.9}, None),
        ({"expires": math.nan}, LinkFault.EXPIRED), ({"expires": math.inf}, None),
    ],
)  # fmt: skip
def test_a_signed_link_is_held_to_its_form(
    changed: dict[str, object], expected: LinkFault | None
) -> None:
    found = read(build.SECRET, forged(**changed), purpose=Purpose.VISIT, now=NOW)

    assert (found if isinstance(found, LinkFault) else None) is expected


@pytest.mark.parametrize("size", [0, 65])
def test_no_link_is_made_for_an_account_that_does_not_fit(size: int) -> None:
    with pytest.raises(ValueError, match="1 to 64"):
        make(build.SECRET, Claims(account="a" * size, expires=1.0, nonce=b"n" * 12))
    for nonce in (b"n" * 11, b"n" * 13):
        with pytest.raises(ValueError, match="12"):
            make(build.SECRET, Claims(account="a", expires=1.0, nonce=nonce))


KEY = b"k" * 24


def called(now: float = NOW, id: str = "m", stamp: str = str(int(NOW)), **more: str) -> bool:
    number = int(stamp) if stamp.isdigit() else 0
    headers = {
        "webhook-id": id, "webhook-timestamp": stamp,
        "webhook-signature": sign(KEY, id, number, b"x"),
    }  # fmt: skip
    return signed(KEY, headers | {f"webhook-{k}": v for k, v in more.items()}, b"x", now=now)


def test_a_callback_is_five_minutes_old_at_most_or_ahead() -> None:
    assert [called(NOW + off) for off in (300.0, -300.0, 301.0, -301.0)] == [
        True,
        True,
        False,
        False,
    ]
    assert called(now=999_999_999_999.0, stamp="999999999999")
    assert not called(now=1e12, stamp="1000000000000")
    assert not called(stamp="-5")
    assert not called(stamp="")


def test_a_callback_is_named_by_1_to_256_characters_and_signed_by_one_of_eight() -> None:
    good = sign(KEY, "m", int(NOW), b"x")

    assert [called(id=name) for name in ("", "i", "i" * 256, "i" * 257)] == [
        False,
        True,
        True,
        False,
    ]
    assert called(signature=" ".join(["v1,AAAA"] * 7 + [good]))
    assert not called(signature=" ".join(["v1,AAAA"] * 8 + [good]))
    assert called(signature=f"v1,!! {good} v1,AAAA")
    assert not called(signature=good.replace("v1", "v2"))
    assert not called(signature="")


def test_a_key_has_24_bytes() -> None:
    for size in (23, 24):
        plain = b"k" * size
        wrapped = b"whsec_" + base64.b64encode(plain)
        expected = plain if size == 24 else None
        assert key_of(plain) == key_of(wrapped) == key_of(b" " + plain + b"\n") == expected
    assert key_of(b"whsec_!!!!" + b"k" * 40) is None


def test_a_code_has_256_characters_and_no_dashes() -> None:
    assert plain_code(" AB-c\td ") == "abcd"
    assert plain_code("x" * 255 + "yz") == "x" * 255 + "y"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"Bearer abc", Credential(b"abc", "bearer")),
        (b"bearer  abc ", Credential(b"abc", "bearer")),
        (b"Bearer !~", Credential(b"!~", "bearer")),
        (b"Bearer a b", CredentialFault.AMBIGUOUS_SPELLING),
        (b"Bearer a\x7f", CredentialFault.AMBIGUOUS_SPELLING),
        (b"Bearer a\x1f", CredentialFault.AMBIGUOUS_SPELLING),
        (b"Bearer \xe5", CredentialFault.AMBIGUOUS_SPELLING),
        (b"Bearer", None), (b"basic", None), (b"Bearer ", None), (b"", None),
        (b"abc", Credential(b"abc", "authorization")),
        (b"Token abc", Credential(b"abc", "token")),
        (b"Basic YTpi", Credential(b"YTpi", "basic")),
        (b"Basic YTpiYw", Credential(b"YTpiYw==", "basic")),
        (b"Basic YTpiYx==", Credential(b"YTpiYw==", "basic")),
        (b"Basic ====", CredentialFault.AMBIGUOUS_SPELLING),
        (b"Basic !!!!", CredentialFault.AMBIGUOUS_SPELLING),
    ],
)  # fmt: skip
def test_a_credential_has_one_spelling(value: bytes, expected: object) -> None:
    assert read_credential(b"authorization", [value]) == expected


def test_a_key_in_a_header_of_its_own_is_text_that_all_read_alike() -> None:
    def found(value: bytes) -> object:
        read = read_credential(b"x-api-key", [value])
        return read.token if isinstance(read, Credential) else read

    assert found(b" a b ") == b"a b"
    assert found("å".encode()) == "å".encode()
    assert found(b"!~") == b"!~"
    # Its last byte is a blank to who reads Latin-1.
    assert found("åà".encode()) is CredentialFault.AMBIGUOUS_SPELLING
    assert found(b"") is None
    for odd in (b"a\x7fb", b"\xff", "a\u2028".encode(), "\u00a0a".encode(), b"a\xc2\x85"):
        assert found(odd) is CredentialFault.AMBIGUOUS_SPELLING
    assert read_credential(b"x-api-key", [b"a", b"a"]) is CredentialFault.REPEATED_HEADER


def test_digests_are_sixteen_letters_and_names_are_no_keys() -> None:
    key, name = digest(build.SECRET, b"alice"), name_digest(build.SECRET, b"alice")

    assert key != name
    for account in (key, name):
        assert account[:5] == "acct_"
        assert len(account) == 21
        assert set(account[5:]) <= set("abcdefghijklmnopqrstuvwxyz234567")
    # All 80 bits are in it: a base32 of the keyed digest itself.
    raw = hashlib.blake2b(b"alice", key=subkey(build.SECRET, b"account"), digest_size=10).digest()
    assert key == "acct_" + base64.b32encode(raw).decode().lower()


@pytest.mark.parametrize(
    ("value", "name"),
    [("a", "a"), ("", None), ("a" * 512, "a" * 512), ("a" * 513, None), (0, "0"), (-5, "-5"),
     ((1 << 63) - 1, str((1 << 63) - 1)), (1 << 63, None), (-(1 << 63), None), (True, None),
     (1.0, None), (None, None)],
)  # fmt: skip
def test_an_account_is_named_by_a_short_text_or_a_number(value: object, name: str | None) -> None:
    assert name_of(value) == name


@pytest.mark.parametrize(
    ("claims", "fault"),
    [
        ({"exp": NOW - 29.9}, None), ({"exp": NOW - 30}, CredentialFault.EXPIRED),
        ({"nbf": NOW + 30}, None), ({"nbf": NOW + 30.1}, CredentialFault.NOT_YET_VALID),
        ({"nbf": NOW - 1000}, None), ({"exp": NOW + 1000}, None),
        ({"exp": "soon"}, CredentialFault.MALFORMED), ({"nbf": True}, CredentialFault.MALFORMED),
        ({"exp": None, "nbf": None}, None),
    ],
)  # fmt: skip
def test_a_token_is_taken_for_thirty_seconds_more_on_either_side(
    claims: dict[str, object], fault: CredentialFault | None
) -> None:
    found = verify(token({"sub": "a"} | claims), source(), {}, NOW)

    assert found == (("a", None) if fault is None else fault)


def test_eight_keys_are_tried_for_a_token_that_names_none() -> None:
    url = AccountSource(
        kind="jwt", header="authorization", jwks="https://x.test", algorithms=("HS256",)
    )
    others = {str(number): f"{number}" + SHARED for number in range(8)}

    for at, expected in ((7, ("alice", None)), (8, CredentialFault.BAD_SIGNATURE)):
        keys = dict([*list(others.items())[:at], ("mine", SHARED)])
        assert verify(token(), url, {"https://x.test": KeySet(keys)}, NOW) == expected


def test_a_token_has_16384_bytes_and_two_dots() -> None:
    head = b"eyJhIjoxfQ"

    assert header_of(head + b".x." + b"y" * (16_384 - 13)) == {"a": 1}
    assert header_of(head + b".x." + b"y" * (16_384 - 12)) is None
    assert header_of(head + b".x") is None
    assert header_of(head + b".x.y.z") is None
    for odd in (b"=", b"+", b"/"):
        assert header_of(head + odd + b".x.y") is None


def test_a_key_beside_two_spellings_of_one_token_is_a_second_credential() -> None:
    mine = Identify(
        accounts=(
            source(), source(header="x-token"), AccountSource(kind="header", header="x-api-key")
        )
    )  # fmt: skip
    sent = token().decode()

    def fault(**more: str) -> CredentialFault | None:
        headers = {"authorization": f"Bearer {sent}", "x-token": sent}
        wire = build.wire(headers=headers | {k.replace("_", "-"): v for k, v in more.items()})
        request = identify(wire, mine, Inspect(), id="r", at=NOW, secret=build.SECRET, keys={})
        return request.credential_fault

    assert fault() is None
    assert fault(x_api_key=sent) is None
    assert fault(x_api_key="another") is CredentialFault.TWO_CREDENTIALS
    assert fault(x_token="another") is CredentialFault.TWO_CREDENTIALS


def test_another_section_of_the_policy_is_heeded_though_the_first_is_the_same() -> None:
    mine, wire = Identify(), build.wire()

    def inspected(inspect: Inspect) -> Inspection:
        return identify(
            wire, mine, inspect, id="r", at=NOW, secret=build.SECRET, keys={}
        ).inspection

    known = Inspect(phrases=("capital of norway",))
    assert inspected(Inspect()) is Inspection.FULL
    found = identify(wire, mine, known, id="r", at=NOW, secret=build.SECRET, keys={})
    assert found.prompt is not None
    assert found.prompt.phrases == ("capital of norway",)
    assert prepared.latest.inspect is known
    assert prepared.latest.identify is mine
