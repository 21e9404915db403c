"""JSON Web Tokens."""

from __future__ import annotations

import base64
import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.core.credentials import digest, name_digest
from gateway_guard.core.identify import AccountSource, Identify, Inspect, identify
from gateway_guard.core.tokens import NO_KEY, NOT_A_TOKEN, NotAName, verify
from gateway_guard.types import Request, Wire
from tests.build import NOW, SECRET

SHARED = "a shared secret that is long enough for SHA-256 and SHA-512, of 64+ bytes"
URL = "https://issuer.test/jwks"
PRIVATE = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PUBLIC = PRIVATE.public_key().public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
)


def source(**fields: Any) -> AccountSource:
    return AccountSource(
        **{"kind": "jwt", "header": "authorization", "key": SHARED, "algorithms": ("HS256",)}
        | fields
    )


def token(
    claims: dict[str, Any] | None = None, alg: str = "HS256", key: Any = SHARED, **header: Any
) -> bytes:
    claims = {"sub": "alice", "exp": NOW + 60} if claims is None else claims
    return jwt.encode(claims, key, algorithm=alg, headers=header or None).encode()


def unsigned(
    header: dict[str, Any], claims: dict[str, Any] | bytes, signature: bytes = b""
) -> bytes:
    def part(value: Any) -> bytes:
        text = value if isinstance(value, bytes) else json.dumps(value).encode()
        return base64.urlsafe_b64encode(text).rstrip(b"=")

    return b".".join((part(header), part(claims), signature))


def test_a_good_token_names_its_account() -> None:
    assert verify(token(), source(), {}, NOW) == "alice"
    assert verify(token({"uid": 7}), source(claim="uid"), {}, NOW) == "7"
    assert verify(token({"r": {"a": "x"}}), source(claim="r.a"), {}, NOW) == "x"
    assert (
        verify(token({"https://x.test/id": "x"}), source(claim="https://x.test/id"), {}, NOW) == "x"
    )


def test_an_asymmetric_key_verifies() -> None:
    signed = token(alg="RS256", key=PRIVATE)

    assert verify(signed, source(key=PUBLIC.decode(), algorithms=("RS256",)), {}, NOW) == "alice"


@pytest.mark.parametrize(
    ("claims", "fields"),
    [
        ({"sub": "a", "exp": NOW - 60}, {}),
        ({"sub": "a", "nbf": NOW + 60}, {}),
        ({"sub": "a", "exp": "soon"}, {}),
        ({"sub": "a", "exp": True}, {}),
        ({"sub": "a"}, {"issuer": "https://i.test"}),
        ({"sub": "a", "iss": "https://j.test"}, {"issuer": "https://i.test"}),
        ({"sub": "a"}, {"audience": "api"}),
        ({"sub": "a", "aud": "other"}, {"audience": "api"}),
        ({"sub": "a", "aud": ["other"]}, {"audience": "api"}),
        ({"sub": ""}, {}),
        ({}, {}),
        ({"uid": True}, {"claim": "uid"}),
        ({"uid": {"x": 1}}, {"claim": "uid"}),
        ({"uid": "x"}, {"claim": "uid.x"}),
    ],
)
def test_a_token_with_wrong_claims_names_nobody(
    claims: dict[str, Any], fields: dict[str, Any]
) -> None:
    assert isinstance(
        verify(unsigned({"alg": "HS256"}, claims), source(verify=False, **fields), {}, NOW),
        NotAName,
    )


def test_claims_are_checked_with_some_leeway() -> None:
    assert verify(token({"sub": "a", "exp": NOW - 10}), source(), {}, NOW) == "a"
    assert verify(token({"sub": "a", "nbf": NOW + 10}), source(), {}, NOW) == "a"
    assert verify(token({"sub": "a", "aud": ["x", "api"]}), source(audience="api"), {}, NOW) == "a"
    assert verify(token({"sub": "a", "aud": "x", "iss": "y"}), source(), {}, NOW) == "a"


@pytest.mark.parametrize(
    "forged",
    [
        unsigned({"alg": "none"}, {"sub": "alice"}),
        unsigned({"alg": "None"}, {"sub": "alice"}),
        unsigned({"alg": "HS256"}, {"sub": "alice"}),
        unsigned({}, {"sub": "alice"}),
        unsigned({"alg": ["HS256"]}, {"sub": "alice"}),
        token(key="another secret that is long enough for the algorithm, 64 bytes long"),
        token(alg="HS512"),
        token()[:-2] + b"AA",
        token(crit=["exp"], exp=1),
        token(b64=False),
    ],
)
def test_a_forged_token_names_nobody(forged: bytes) -> None:
    assert isinstance(verify(forged, source(), {}, NOW), NotAName)


def test_a_public_key_is_never_a_shared_secret() -> None:
    header, claims, _ = unsigned({"alg": "HS256"}, {"sub": "alice"}).split(b".")
    import hashlib
    import hmac

    signature = hmac.new(PUBLIC, header + b"." + claims, hashlib.sha256).digest()
    forged = b".".join((header, claims, base64.urlsafe_b64encode(signature).rstrip(b"=")))

    for algorithms in (("RS256",), ("RS256", "HS256")):
        rules = source(key=PUBLIC.decode(), algorithms=algorithms)
        assert isinstance(verify(forged, rules, {}, NOW), NotAName)


def test_duplicate_claims_name_nobody() -> None:
    twice = unsigned({"alg": "HS256"}, b'{"sub":"alice","sub":"bob"}')

    assert isinstance(verify(twice, source(verify=False), {}, NOW), NotAName)


@pytest.mark.parametrize(
    "text", [b"", b"sk-x", b"a.b", b"a.b.c", b"a.b.c.d", b"..", b"e30=.e30.x", b"x" * 20_000]
)
def test_what_is_no_token_is_said_to_be_none(text: bytes) -> None:
    assert verify(text, source(), {}, NOW) is NOT_A_TOKEN


def test_keys_are_chosen_by_their_id() -> None:
    rules = source(key=None, jwks=URL, algorithms=("RS256",))
    key = jwt.PyJWK(
        json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(PRIVATE.public_key())) | {"alg": "RS256"}
    )
    signed = token(alg="RS256", key=PRIVATE, kid="one")

    assert verify(signed, rules, {URL: {"one": key}}, NOW) == "alice"
    assert verify(signed, rules, {URL: {"two": key}}, NOW) is NO_KEY
    assert verify(signed, rules, {}, NOW) is NO_KEY
    assert verify(token(alg="RS256", key=PRIVATE), rules, {URL: {"two": key}}, NOW) == "alice"


def seen(value: bytes, *sources: AccountSource) -> Request:
    wire = Wire(method="GET", raw_path=b"/", headers=[(b"authorization", value)], peer=None)
    rules = Identify(accounts=sources)
    return identify(wire, rules, Inspect(), id="r", at=NOW, secret=SECRET, keys={})


def test_a_token_becomes_an_account() -> None:
    request = seen(b"Bearer " + token(), source())

    assert (request.account, request.credential) == (name_digest(SECRET, b"alice"), "jwt")


def test_a_bad_token_is_a_failed_authentication() -> None:
    plain = AccountSource(kind="header", header="authorization")

    assert not seen(b"Bearer " + token()[:-2] + b"AA", source(), plain).authenticated
    assert not seen(b"Bearer sk-x", source()).authenticated


def test_a_plain_key_passes_on_to_the_next_source() -> None:
    plain = AccountSource(kind="header", header="authorization")

    assert seen(b"Bearer sk-x", source(), plain).account == digest(SECRET, b"sk-x")


@given(st.lists(st.binary(max_size=40).map(base64.urlsafe_b64encode), min_size=3, max_size=3))
def test_no_bytes_make_it_raise(parts: list[bytes]) -> None:
    for verified in (True, False):
        assert isinstance(
            verify(b".".join(parts), source(verify=verified), {}, NOW), NotAName | str
        )
