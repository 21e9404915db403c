"""No input makes loading a policy slow, large, or fail with anything but its findings."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gateway_guard.policy.compile import check_policy, read_source
from gateway_guard.policy.schema import SCHEMA
from tests.costs import within

V = b"version: 1\n"


def _bomb() -> bytes:
    levels = [b"a: &a [x,x,x,x,x,x,x,x,x]"]
    for i in range(12):
        name, below = chr(98 + i).encode(), chr(97 + i).encode()
        levels.append(b"%s: &%s [%s]" % (name, name, b",".join([b"*" + below] * 9)))
    return V + b"\n".join(levels)


HOSTILE = {
    "alias bomb": _bomb(),
    "keys": V + b"".join(b"k%d: 1\n" % i for i in range(90_000)),
    "list": V + b"regions: {a: [" + b"KP," * 300_000 + b"KP]}",
    "depth": V + b"a: " + b"[" * 500_000,
    "braces": V + b"a: " + b"{a: " * 200_000,
    "open quote": V + b'a: "' + b"x" * 1_000_000,
    "one word": b"x" * 1_000_000,
    "question marks": V + b"? " * 300_000,
    "addresses": V
    + b"rules: [{name: a, then: deny, when: {client_ip: ["
    + b",".join(b"10.%d.%d.0/24" % (i // 256, i % 256) for i in range(20_000))
    + b"]}}]",
    "rules": V
    + b"rules:\n"
    + b"".join(b"- {name: r%d, when: {asn: %d}, then: deny}\n" % (i, i) for i in range(4_000)),
    "limits": V
    + b"limits:\n"
    + b"".join(
        b"  l%d: {per: account, requests: 5/minute, when: {asn: %d}}\n" % (i, i) for i in range(490)
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_no_text_of_a_megabyte_takes_a_second(name: str) -> None:
    source = HOSTILE[name]

    # 0.2 to 0.6 s on a quiet machine.
    _, findings = within(1.5, lambda: check_policy(source, "hostile.yaml"))

    assert len(findings) <= 201


def test_ten_megabytes_are_refused_in_no_time(tmp_path: Path) -> None:
    path = tmp_path / "large.yaml"
    path.write_bytes(b"a: b\n" * 2_000_000)

    source, findings = within(1.0, lambda: read_source(str(path)))

    assert source is None
    assert [finding.code for finding in findings] == ["GG102"]


def test_the_alias_bomb_names_its_aliases_and_expands_none() -> None:
    policy, findings = check_policy(_bomb(), "bomb.yaml")

    assert policy is None
    assert {"GG106"} <= {finding.code for finding in findings}


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
@example(b"\xef\xbb\xbfversion: 1\n")
@example(b"\x00")
@example(b"%YAML 9.9\n---\nversion: 1")
@example(b"%TAG ! tag:x,2000:\n--- !a\nversion: 1")
@example(b"? [a]\n: b")
@example(b"{a: b}: c")
@example(b"version: 1\r\nmode: x\r\n")
@example("version: 1\u2028mode: x".encode())
@example("version: 1\x85mode: x".encode())
def test_any_bytes_give_a_policy_or_findings(source: bytes) -> None:
    policy, findings = check_policy(source, "any.yaml")

    assert policy is not None or findings
    for finding in findings:
        assert str(finding)


WORDS = sorted({key.name for keys in SCHEMA.values() for key in keys})
VALUES = [
    "1", "0", "-1", ".nan", "1e400", "true", "false", "yes", "~", "''", "[]", "{}", "7 days",
    "25%", "120/minute", "8 MB", "enforce", "shadow", "deny", "allow", "restrict", "challenge",
    "KP", "NO", "kp", "unknown", "known", "10.0.0.0/8", "10.0.0.1/8", "/v1/**", "**", "*", "&a b",
    "*a", "!x y", "template-sweep", "a", '"', "'", "[a, [b]]", "{a: b}", "{ min: 0.5 }",
    "{ max: 7 days }", "é", "\t", "- a", "? a", "<<", "0.5", "high-risk", "[KP, KP]", "999999999",
]  # fmt: skip


@st.composite
def documents(draw: st.DrawFn) -> str:
    """Text that looks like a policy: known keys, plausible and implausible values, any nesting."""
    lines = ["version: 1"]
    for _ in range(draw(st.integers(0, 14))):
        indent = "  " * draw(st.integers(0, 4))
        dash = draw(st.sampled_from(["", "", "- "]))
        key = draw(st.sampled_from([*WORDS, "template-sweep", "requests", "a"]))
        value = draw(st.sampled_from(["", *VALUES]))
        if draw(st.booleans()):
            inner = draw(st.sampled_from(WORDS))
            value = f"{{ {inner}: {value} }}"
        lines.append(f"{indent}{dash}{key}: {value}")
    return "\n".join(lines)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(documents())
def test_anything_like_a_policy_gives_a_policy_or_findings(text: str) -> None:
    policy, findings = check_policy(text.encode(), "like.yaml")

    assert policy is not None or findings
    for finding in findings:
        assert str(finding)
        assert finding.line <= text.count("\n") + 2


KEYED = {section: [key.name for key in keys] for section, keys in SCHEMA.items()}


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.tuples(st.sampled_from(KEYED["when"]), st.sampled_from(VALUES)), min_size=1, max_size=4
    ),
    st.sampled_from(KEYED["limit"]),
    st.sampled_from(KEYED["adapt"]),
    st.sampled_from(KEYED["jwt"]),
    st.sampled_from(VALUES),
)
def test_any_value_under_any_key_gives_a_policy_or_findings(
    when: list[tuple[str, str]], limit: str, adapt: str, jwt: str, value: str
) -> None:
    conditions = "".join(f"\n      {key}: {text}" for key, text in when)
    text = (
        "version: 1\n"
        f"identify:\n  account:\n    jwt:\n      {jwt}: {value}\n"
        "signals: { template-sweep: { weight: 0.9 } }\n"
        f"limits:\n  a:\n    per: account\n    {limit}: {value}\n"
        f"    adapt:\n      {adapt}: {value}\n"
        f"rules:\n  - name: a\n    then: deny\n    when:{conditions}\n"
    )

    policy, findings = check_policy(text.encode(), "any.yaml")

    assert policy is not None or findings


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_the_byte_that_is_no_utf_8_is_named_behind_a_byte_order_mark_too(mark: bytes) -> None:
    _, (finding,) = check_policy(mark + b"version: 1\nmode: \xc0\n", "x.yaml")

    assert (finding.line, finding.column) == (2, 7)
    assert "0xc0" in finding.message


@pytest.mark.parametrize("source", [b"si\n\n%", b'version: "1\n\n2"\n', b"mode: 'a\x7f\n\nb'"])
def test_a_message_is_one_line_whatever_it_quotes(source: bytes) -> None:
    _, findings = check_policy(source, "x.yaml")

    assert findings
    assert all(finding.message.isprintable() for finding in findings)
