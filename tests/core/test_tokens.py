"""JSON Web Tokens."""

from __future__ import annotations

import base64
import json
from ipaddress import ip_network
from typing import Any

import jwt
import msgspec
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.core import tokens
from gateway_guard.core.credentials import digest, name_digest
from gateway_guard.core.identify import identify
from gateway_guard.core.sections import AccountSource, Identify, Inspect
from gateway_guard.core.tokens import Keys, KeySet
from gateway_guard.types import CredentialFault as Fault
from gateway_guard.types import Request, Wire
from tests import build
from tests.build import NOW, SECRET

SHARED = "a shared secret that is long enough for SHA-256 and SHA-512, of 64+ bytes"
URL = "https://issuer.test/jwks"
PRIVATE = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PUBLIC = PRIVATE.public_key().public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
)


def verify(text: bytes, source: AccountSource, keys: Keys, at: float) -> str | Fault:
    """The name in a token, or why there is none."""
    found = tokens.verify(text, source, keys, at)
    return found if isinstance(found, Fault) else found.name


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
    ("claims", "fields", "fault"),
    [
        ({"sub": "a", "exp": NOW - 60}, {}, Fault.EXPIRED),
        ({"sub": "a", "nbf": NOW + 60}, {}, Fault.NOT_YET_VALID),
        ({"sub": "a", "exp": "soon"}, {}, Fault.MALFORMED),
        ({"sub": "a", "exp": True}, {}, Fault.MALFORMED),
        ({"sub": "a", "nbf": 10**400}, {}, Fault.NOT_YET_VALID),
        ({"sub": "a", "exp": -(10**400)}, {}, Fault.EXPIRED),
        ({"sub": "a"}, {"issuer": "https://i.test"}, Fault.WRONG_ISSUER),
        ({"sub": "a", "iss": "https://j.test"}, {"issuer": "https://i.test"}, Fault.WRONG_ISSUER),
        ({"sub": "a"}, {"audience": "api"}, Fault.WRONG_AUDIENCE),
        ({"sub": "a", "aud": "other"}, {"audience": "api"}, Fault.WRONG_AUDIENCE),
        ({"sub": "a", "aud": ["other"]}, {"audience": "api"}, Fault.WRONG_AUDIENCE),
        ({"sub": ""}, {}, Fault.CLAIM_MISSING),
        ({}, {}, Fault.CLAIM_MISSING),
        ({"uid": True}, {"claim": "uid"}, Fault.CLAIM_MISSING),
        ({"uid": {"x": 1}}, {"claim": "uid"}, Fault.CLAIM_MISSING),
        ({"uid": "x"}, {"claim": "uid.x"}, Fault.CLAIM_MISSING),
        (b"[]", {}, Fault.MALFORMED),
        (b"{", {}, Fault.MALFORMED),
    ],
)
def test_a_token_with_wrong_claims_says_which(
    claims: dict[str, Any] | bytes, fields: dict[str, Any], fault: Fault
) -> None:
    text = unsigned({"alg": "HS256"}, claims)

    assert verify(text, source(verify=False, **fields), {}, NOW) is fault


def test_claims_are_checked_with_some_leeway() -> None:
    assert verify(token({"sub": "a", "exp": NOW - 10}), source(), {}, NOW) == "a"
    assert verify(token({"sub": "a", "nbf": NOW + 10}), source(), {}, NOW) == "a"
    assert verify(token({"sub": "a", "aud": ["x", "api"]}), source(audience="api"), {}, NOW) == "a"
    assert verify(token({"sub": "a", "aud": "x", "iss": "y"}), source(), {}, NOW) == "a"


@pytest.mark.parametrize(
    ("forged", "fault"),
    [
        (unsigned({"alg": "none"}, {"sub": "alice"}), Fault.ALGORITHM_NOT_ALLOWED),
        (unsigned({"alg": "None"}, {"sub": "alice"}), Fault.ALGORITHM_NOT_ALLOWED),
        (unsigned({"alg": "HS256"}, {"sub": "alice"}), Fault.BAD_SIGNATURE),
        (unsigned({}, {"sub": "alice"}), Fault.ALGORITHM_NOT_ALLOWED),
        (unsigned({"alg": ["HS256"]}, {"sub": "alice"}), Fault.ALGORITHM_NOT_ALLOWED),
        (
            token(key="another secret that is long enough for the algorithm, 64 bytes long"),
            Fault.BAD_SIGNATURE,
        ),
        (token(alg="HS512"), Fault.ALGORITHM_NOT_ALLOWED),
        (token()[:-2] + b"AA", Fault.BAD_SIGNATURE),
        (token(crit=["exp"], exp=1), Fault.CRITICAL_EXTENSION),
        (token(b64=False), Fault.CRITICAL_EXTENSION),
    ],
)
def test_a_forged_token_names_nobody_and_says_why(forged: bytes, fault: Fault) -> None:
    assert verify(forged, source(), {}, NOW) is fault


def test_a_forged_token_is_not_judged_by_what_it_claims() -> None:
    late = token({"sub": "a", "exp": NOW - 60})[:-2] + b"AA"

    assert verify(late, source(), {}, NOW) is Fault.BAD_SIGNATURE


def test_a_public_key_is_never_a_shared_secret() -> None:
    header, claims, _ = unsigned({"alg": "HS256"}, {"sub": "alice"}).split(b".")
    import hashlib
    import hmac

    signature = hmac.new(PUBLIC, header + b"." + claims, hashlib.sha256).digest()
    forged = b".".join((header, claims, base64.urlsafe_b64encode(signature).rstrip(b"=")))

    for algorithms in (("RS256",), ("RS256", "HS256")):
        rules = source(key=PUBLIC.decode(), algorithms=algorithms)
        assert isinstance(verify(forged, rules, {}, NOW), Fault)


def test_duplicate_claims_name_nobody() -> None:
    twice = unsigned({"alg": "HS256"}, b'{"sub":"alice","sub":"bob"}')

    assert verify(twice, source(verify=False), {}, NOW) is Fault.MALFORMED


@pytest.mark.parametrize(
    "text", [b"", b"sk-x", b"a.b", b"a.b.c", b"a.b.c.d", b"..", b"e30=.e30.x", b"x" * 20_000]
)
def test_what_is_no_token_is_said_to_be_none(text: bytes) -> None:
    assert verify(text, source(), {}, NOW) is Fault.NOT_A_JWT


def test_keys_are_chosen_by_their_id() -> None:
    rules = source(key=None, jwks=URL, algorithms=("RS256",))
    key = jwt.PyJWK(
        json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(PRIVATE.public_key())) | {"alg": "RS256"}
    )
    signed = token(alg="RS256", key=PRIVATE, kid="one")
    other, stale = KeySet({"two": key}), KeySet({"two": key}, current=False)

    assert verify(signed, rules, {URL: KeySet({"one": key})}, NOW) == "alice"
    assert verify(signed, rules, {URL: other}, NOW) is Fault.UNKNOWN_KEY
    assert verify(signed, rules, {URL: stale}, NOW) is Fault.KEYS_UNREACHABLE
    assert verify(signed, rules, {}, NOW) is Fault.KEYS_UNREACHABLE
    assert verify(token(alg="RS256", key=PRIVATE), rules, {URL: stale}, NOW) == "alice"


def seen(value: bytes, *sources: AccountSource) -> Request:
    wire = Wire(method="GET", raw_path=b"/", headers=[(b"authorization", value)], peer=None)
    rules = Identify(accounts=sources)
    return identify(wire, rules, Inspect(), id="r", at=NOW, secret=SECRET, keys={})


def test_a_token_becomes_an_account() -> None:
    request = seen(b"Bearer " + token(), source())

    assert (request.account, request.credential) == (name_digest(SECRET, b"alice"), "jwt")


def test_a_bad_token_is_a_failed_authentication() -> None:
    plain = AccountSource(kind="header", header="authorization")

    forged = seen(b"Bearer " + token()[:-2] + b"AA", source(), plain)

    assert (forged.account, forged.credential) == (None, "jwt")
    assert forged.credential_fault is Fault.BAD_SIGNATURE
    assert seen(b"Bearer sk-x", source()).credential_fault is Fault.NOT_A_JWT


def test_what_somebody_else_verifies_counts_only_where_the_policys_proxies_brought_it() -> None:
    trusting = Identify(
        accounts=(source(key=None, verify=False),), trusted=(ip_network("10.0.0.0/8"),)
    )
    nobody_named = msgspec.structs.replace(trusting, trusted=())
    wire = build.wire(key=token().decode())

    def found(peer: str | None, rules: Identify = trusting, **more: Any) -> Any:
        here = msgspec.structs.replace(wire, peer=peer, **more)
        request = identify(here, rules, Inspect(), id="r", at=NOW, secret=SECRET, keys={})
        return request.account, request.credential_fault

    alice = (name_digest(SECRET, b"alice"), None)
    assert found("10.0.0.1") == alice
    assert found("192.0.2.1", asked=True) == alice
    assert found("192.0.2.1") == found(None) == (None, Fault.UNVERIFIED)
    assert found("192.0.2.1", msgspec.structs.replace(trusting, trust_unix=True))[0] is None
    assert found(None, msgspec.structs.replace(trusting, trust_unix=True)) == alice
    assert found("192.0.2.1", nobody_named) == alice, "and the policy is warned of"
    offered = [(b"sec-websocket-protocol", b"bearer, " + token())]
    assert found("192.0.2.1", method="WEBSOCKET", headers=offered) == (None, Fault.UNVERIFIED)


def test_a_plain_key_passes_on_to_the_next_source() -> None:
    plain = AccountSource(kind="header", header="authorization")

    assert seen(b"Bearer sk-x", source(), plain).account == digest(SECRET, b"sk-x")


@given(st.lists(st.binary(max_size=40).map(base64.urlsafe_b64encode), min_size=3, max_size=3))
def test_no_bytes_make_it_raise(parts: list[bytes]) -> None:
    for verified in (True, False):
        assert isinstance(verify(b".".join(parts), source(verify=verified), {}, NOW), Fault | str)


OTHER = "another secret, of another issuer, as long as the first one is"
A = source(issuer="https://a.test")
B = source(issuer="https://b.test", key=OTHER, prefix="b:")


def of_a(**claims: Any) -> bytes:
    return token({"iss": "https://a.test", "sub": "alice"} | claims)


def of_b(**claims: Any) -> bytes:
    return token({"iss": "https://b.test", "sub": "alice"} | claims, key=OTHER)


@pytest.mark.parametrize("order", [(A, B), (B, A)], ids=["a first", "b first"])
def test_each_of_two_issuers_names_its_accounts(order: tuple[AccountSource, ...]) -> None:
    by_a, by_b = seen(b"Bearer " + of_a(), *order), seen(b"Bearer " + of_b(), *order)

    assert by_a.account == name_digest(SECRET, b"alice")
    assert by_b.account == name_digest(SECRET, b"b:alice")


@pytest.mark.parametrize("order", [(A, B), (B, A)], ids=["a first", "b first"])
def test_the_issuer_a_token_names_says_why_it_is_refused(order: tuple[AccountSource, ...]) -> None:
    def why(value: bytes) -> Any:
        return seen(b"Bearer " + value, *order).credential_fault

    assert why(of_b(exp=NOW - 60)) is Fault.EXPIRED
    assert why(of_a(exp=NOW - 60)) is Fault.EXPIRED
    assert why(token({"iss": "https://b.test", "sub": "alice"})) is Fault.BAD_SIGNATURE
    assert why(token({"iss": "https://c.test", "sub": "alice"})) is Fault.WRONG_ISSUER
    assert why(b"sk-x") is Fault.NOT_A_JWT


def test_issuers_without_names_are_told_apart_by_their_keys() -> None:
    both = (source(), source(key=OTHER))

    assert seen(b"Bearer " + of_b(), *both).account == name_digest(SECRET, b"alice")
    expired = seen(b"Bearer " + of_b(exp=NOW - 60), *both)
    assert (expired.account, expired.credential_fault) == (None, Fault.EXPIRED)


def test_while_one_issuers_keys_are_not_to_be_had_its_tokens_are_no_fault_of_the_callers() -> None:
    away = source(issuer="https://a.test", key=None, jwks=URL)

    assert seen(b"Bearer " + of_a(), away, B).credential_fault is Fault.KEYS_UNREACHABLE
    assert seen(b"Bearer " + of_b(), away, B).account == name_digest(SECRET, b"b:alice")
    assert seen(b"Bearer " + of_b(), away).credential_fault is Fault.WRONG_ISSUER


def test_claims_of_one_issuer_may_differ() -> None:
    people, services = source(), source(claim="client_id")

    assert seen(b"Bearer " + token({"sub": "x"}), people, services).account
    assert seen(b"Bearer " + token({"client_id": "x"}), people, services).account
    neither = seen(b"Bearer " + token({"uid": "x"}), people, services)
    assert neither.credential_fault is Fault.CLAIM_MISSING


def test_no_token_passes_unverified_that_a_source_could_have_verified() -> None:
    proxied = source(key=None, verify=False)
    rules = Identify(accounts=(A, proxied), trusted=(ip_network("10.0.0.0/8"),))

    def found(value: bytes, peer: str = "10.0.0.1") -> Any:
        wire = build.wire(key=value.decode(), peer=peer)
        request = identify(wire, rules, Inspect(), id="r", at=NOW, secret=SECRET, keys={})
        return request.credential_fault or request.account

    assert found(of_b()) == name_digest(SECRET, b"alice"), "the proxies verified it"
    assert found(of_b(), "192.0.2.1") is Fault.UNVERIFIED
    assert found(of_a(exp=NOW - 60)) is Fault.EXPIRED
    assert found(token({"iss": "https://a.test", "sub": "alice"}, key=OTHER)) is Fault.BAD_SIGNATURE


def test_a_token_may_say_what_is_known_of_its_account() -> None:
    said = source(attributes=(("organisation", "org.id"), ("tier", "plan"), ("tags", "labels")))
    org = {"org": {"id": "o_17"}, "plan": "scale"}

    request = seen(b"Bearer " + token({"sub": "alice"} | org), said)

    assert request.said == {"organisation": "o_17", "tier": "scale", "tags": None}
    assert seen(b"Bearer " + token(), source()).said is None
    forged = token({"sub": "alice"} | org, key=OTHER)
    assert seen(b"Bearer " + forged, said).said is None
    offered = {"sec-websocket-protocol": f"bearer, {token({'sub': 'alice'} | org).decode()}"}
    wire = build.wire(method="WEBSOCKET", headers=offered, key=None)
    socket = identify(
        wire, Identify(accounts=(said,)), Inspect(), id="r", at=NOW, secret=SECRET, keys={}
    )
    assert socket.said == request.said


def test_tokens_of_two_issuers_in_two_headers_are_two_credentials() -> None:
    other = msgspec.structs.replace(B, header="x-token")
    headers = [(b"authorization", b"Bearer " + of_a()), (b"x-token", of_b())]
    wire = Wire(method="GET", raw_path=b"/", headers=headers, peer=None)
    rules = Identify(accounts=(A, other))

    request = identify(wire, rules, Inspect(), id="r", at=NOW, secret=SECRET, keys={})

    assert request.credential_fault is Fault.TWO_CREDENTIALS


def test_a_fault_is_never_a_name() -> None:
    assert not any(isinstance(fault, str) for fault in Fault)
