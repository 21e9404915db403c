"""Signed bundles: whose, unchanged, fresh, and never an old one again."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway_guard.errors import IntelError
from gateway_guard.intel.bundle import Bundle, accept, bundle_of, signed, verified
from gateway_guard.intel.keys import Signer, Trusted, read_trusted, source_name
from gateway_guard.intel.table import Source
from tests import build
from tests.intel import cases

# Fixed, because they are in the names of tests.
SIGNER = Signer(Ed25519PrivateKey.from_private_bytes(b"1" * 32))
OTHER = Signer(Ed25519PrivateKey.from_private_bytes(b"2" * 32))


def trusted(*signers: Signer) -> dict[str, Trusted]:
    names = ("acme", "other")
    lines = [f"{name} {one.public}  # a note" for name, one in zip(names, signers, strict=False)]
    return read_trusted("# who\n\n" + "\n".join(lines), "keys")


def made(now: float = build.NOW, **fields: Any) -> Bundle:
    bundle = bundle_of([cases.indicator()], now=now, days=30, tlp="amber", group="")
    return msgspec.structs.replace(bundle, **fields)


def changed(data: bytes, **payload: object) -> bytes:
    document = msgspec.json.decode(data)
    document["payload"] |= payload
    return msgspec.json.encode(document)


def source_of(bundle: Bundle, digest: str, key: str = SIGNER.id) -> Source:
    return Source(kind="guard", taken_at=1, key=key, number=bundle.number, digest=digest)


def test_a_bundle_comes_back_as_it_was_signed() -> None:
    bundle, signer, digest = verified(signed(made(), SIGNER), trusted(SIGNER), now=build.NOW)

    assert bundle == made()
    assert signer.name == "acme"
    assert len(digest) == 64


def test_how_json_is_laid_out_does_not_matter_what_it_says_does() -> None:
    data = signed(made(), SIGNER)
    laid_out = msgspec.json.format(data, indent=4)

    assert verified(laid_out, trusted(SIGNER), now=build.NOW)[0] == made()
    with pytest.raises(IntelError, match="changed after acme signed it"):
        verified(changed(data, tlp="clear"), trusted(SIGNER), now=build.NOW)


def test_a_key_said_twice_is_what_was_verified() -> None:
    data = signed(made(), SIGNER)
    doubled = data.replace(b'"tlp":"amber"', b'"tlp":"clear","tlp":"amber"')
    turned = data.replace(b'"tlp":"amber"', b'"tlp":"amber","tlp":"clear"')

    assert verified(doubled, trusted(SIGNER), now=build.NOW)[0].tlp == "amber"
    with pytest.raises(IntelError, match="changed after"):
        verified(turned, trusted(SIGNER), now=build.NOW)


def test_a_strangers_signature_is_refused_and_who_is_trusted_is_said() -> None:
    with pytest.raises(IntelError, match=rf"not trusted \(trusted: acme \({SIGNER.id}\)\)"):
        verified(signed(made(), OTHER), trusted(SIGNER), now=build.NOW)
    with pytest.raises(IntelError, match="trusted: nobody"):
        verified(signed(made(), OTHER), {}, now=build.NOW)


def test_one_trusted_key_cannot_speak_for_another() -> None:
    document = msgspec.json.decode(signed(made(), OTHER))
    document["key"] = SIGNER.id

    with pytest.raises(IntelError, match="changed after acme signed it"):
        verified(msgspec.json.encode(document), trusted(SIGNER, OTHER), now=build.NOW)


@pytest.mark.parametrize(
    ("bundle", "part"),
    [
        (made(until=int(build.NOW) - 3 * 86_400), "expired 3.0 days ago"),
        (made(now=build.NOW + 3_600.0), "in the future"),
        (made(version=2), "this guard reads"),
        (made(format="something"), "this guard reads"),
    ],
)
def test_a_bundle_that_is_not_fresh_is_refused(bundle: Bundle, part: str) -> None:
    with pytest.raises(IntelError, match=part):
        verified(signed(bundle, SIGNER), trusted(SIGNER), now=build.NOW)


@pytest.mark.parametrize(
    "payload",
    [{"number": "one"}, {"indicators": [{}]}, {"more": 1}, {"number": 1.5}, {"until": None}],
)
def test_a_signed_bundle_that_is_malformed_is_refused(payload: dict[str, object]) -> None:
    fields = msgspec.to_builtins(made()) | payload
    envelope = msgspec.json.decode(signed(made(), SIGNER)) | {"payload": fields}
    body = b"gateway-guard bundle 1\n" + msgspec.json.encode(fields, order="sorted")
    import base64

    envelope["signature"] = base64.urlsafe_b64encode(SIGNER.sign(body)).decode()

    with pytest.raises(IntelError, match="acme's bundle is malformed"):
        verified(msgspec.json.encode(envelope), trusted(SIGNER), now=build.NOW)


def test_the_very_same_bundle_again_is_nothing_new() -> None:
    bundle, signer, digest = verified(signed(made(), SIGNER), trusted(SIGNER), now=build.NOW)

    assert accept(bundle, signer, digest, None)
    assert not accept(bundle, signer, digest, source_of(bundle, digest))


def test_an_older_bundle_of_the_same_key_is_a_replay() -> None:
    old, signer, digest = verified(signed(made(), SIGNER), trusted(SIGNER), now=build.NOW)
    new = made(now=build.NOW + 1.0)

    with pytest.raises(IntelError, match="is a replay, or their clock went back"):
        accept(old, signer, digest, source_of(new, "d"))
    with pytest.raises(IntelError, match="no newer than"):
        accept(old, signer, "another digest", source_of(old, digest))
    assert accept(new, signer, "d", source_of(old, digest))


def test_a_new_key_under_an_old_name_begins_anew() -> None:
    old, signer, digest = verified(signed(made(), SIGNER), trusted(SIGNER), now=build.NOW)
    newer = made(now=build.NOW + 1.0)

    assert accept(old, signer, digest, source_of(newer, "d", key=OTHER.id))


def test_a_private_key_comes_back_from_its_file() -> None:
    assert Signer.read(SIGNER.pem, "key").id == SIGNER.id


@pytest.mark.parametrize("pem", [b"", b"-----BEGIN PRIVATE KEY-----\nAAAA\n", b"\xff" * 64])
def test_something_else_is_no_private_key(pem: bytes) -> None:
    with pytest.raises(IntelError, match="intel keygen FILE"):
        Signer.read(pem, "key")


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("acme", "keys:1: write a name and a key"),
        ("acme rsa:AAAA", "write a name and a key"),
        ("acme ed25519:AAAA", "no Ed25519 public key"),
        ("acme ed25519:***", "no Ed25519 public key"),
        (f"-acme {SIGNER.public}", "no name for a source"),
        (f"known {SIGNER.public}", "no name for a source"),
        (f"acme {SIGNER.public}\nacme {OTHER.public}", "keys:2: acme stands in line 1"),
        (f"acme {SIGNER.public}\nother {SIGNER.public}", "keys:2: this is acme's key"),
    ],
)
def test_a_list_of_keys_says_which_line_is_wrong(line: str, part: str) -> None:
    with pytest.raises(IntelError, match=part):
        read_trusted(line, "keys")


def test_a_source_is_called_as_policies_can_write_it() -> None:
    assert source_name("acme-2.eu_west", "--as") == "acme-2.eu_west"
