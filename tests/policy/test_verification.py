"""The section `verification`: what is compiled of it, and what cannot work."""

from __future__ import annotations

import codecs
from pathlib import Path

import pytest

from gateway_guard.core.codes import code_digest
from gateway_guard.core.sections import Verification
from gateway_guard.policy.compile import check_policy

KEY = b"shared with the provider, 32 byte"
FORM = "{ accept: [I am a person] }"


def section(folder: Path, text: str) -> tuple[Verification | None, list[str]]:
    """What becomes of a section, and what is said of it."""
    source = f"version: 1\nverification: {text}\n"
    policy, findings = check_policy(source.encode(), str(folder / "policy.yaml"))
    return policy.verification if policy is not None else None, [f.message for f in findings]


def test_a_form_has_its_defaults(tmp_path: Path) -> None:
    found, said = section(tmp_path, f'{{ url: "https://api.test/a/verify/", form: {FORM} }}')

    assert said == []
    assert found is not None
    assert (found.url, found.path) == ("https://api.test/a/verify", "/a/verify")
    assert (found.expires, found.lasts, found.accounts) == (1_800.0, 30 * 86_400.0, 3)
    assert found.form is not None
    assert found.form.accept == ("I am a person",)
    assert found.form.codes is None


def test_codes_are_kept_as_digests_however_they_are_written(tmp_path: Path) -> None:
    (tmp_path / "codes").write_text("# ours\n\n K7RM-2QPW \nk7rm2qpw\nm3vb 8hzt\n")

    found, _ = section(tmp_path, '{ url: "https://api.test/v", form: { codes_file: codes } }')

    assert found is not None
    assert found.form is not None
    assert found.form.codes == frozenset((code_digest("k7rm2qpw"), code_digest("m3vb8hzt")))


def test_a_byte_order_mark_is_no_part_of_a_code_a_key_or_a_secret(tmp_path: Path) -> None:
    (tmp_path / "codes").write_text("k7rm2qpw\n", "utf-8-sig")
    (tmp_path / "key").write_bytes(codecs.BOM_UTF8 + KEY)

    ways = (
        "form: { codes_file: codes }",
        'provider: { url: "https://kyc.test", key_file: key }',
        'openid: { issuer: "https://login.test", client_id: us, secret_file: key }',
    )
    form, provider, openid = (
        section(tmp_path, f'{{ url: "https://api.test/v", {way} }}')[0] for way in ways
    )

    assert form is not None
    assert form.form is not None
    assert form.form.codes == frozenset((code_digest("k7rm2qpw"),))
    assert provider is not None
    assert provider.provider is not None
    assert provider.provider.key == KEY
    assert openid is not None
    assert openid.openid is not None
    assert openid.openid.secret == KEY.decode()


def test_keys_and_secrets_come_from_files(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(KEY + b"\n")

    provided, _ = section(
        tmp_path,
        '{ url: "http://localhost:1/v", provider: { url: "https://kyc.test", key_file: key } }',
    )
    signed_in, _ = section(
        tmp_path,
        '{ url: "http://[::1]:1/v", openid: { issuer: "https://login.test", client_id: us,'
        " secret_file: key } }",
    )

    assert provided is not None
    assert provided.provider is not None
    assert provided.provider.key == KEY
    assert signed_in is not None
    assert signed_in.openid is not None
    assert signed_in.openid.secret == KEY.decode()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{ form: { accept: [x] } }", "'url' is missing"),
        (f'{{ url: "ftp://api.test/v", form: {FORM} }}', "is no URL of a page"),
        (f'{{ url: "https://api.test:x/v", form: {FORM} }}', "is no URL of a page"),
        (f'{{ url: "https://api.test/v v", form: {FORM} }}', "holds a space"),
        (f'{{ url: "https://api.test/a//b", form: {FORM} }}', "a path of their own"),
        (f'{{ url: "https://api.test/..%2f", form: {FORM} }}', "a path of their own"),
        ('{ url: "https://api.test/v", form: { title: Hello } }', "asks for nothing"),
        ('{ url: "https://api.test/v", form: { codes_file: none } }', "holds no code"),
        ('{ url: "https://api.test/v", form: { codes_file: gone } }', "cannot be read"),
        ('{ url: "https://api.test/v", provider: { url: "https://k.test", key_file: none } }',
         "no key of at least 24 bytes"),
        (f'{{ url: "https://api.test/v", form: {FORM}, accounts: 0 }}', "out of range"),
        ('{ url: "https://api.test/v", form: { accept: ['
         + ", ".join(f"a{n}" for n in range(21)) + "] } }", "more than 20"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_said(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "none").write_text("# nothing\n")

    found, findings = section(tmp_path, text)

    assert found is None
    assert any(said in message for message in findings), findings


def test_a_file_of_codes_may_not_be_endless(tmp_path: Path) -> None:
    with (tmp_path / "codes").open("wb") as file:
        file.truncate(17 * 1024 * 1024)

    found, findings = section(
        tmp_path, '{ url: "https://api.test/v", form: { codes_file: codes } }'
    )

    assert found is None
    assert any("larger than 16 MB" in message for message in findings)
