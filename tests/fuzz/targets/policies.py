"""A policy loads, or every finding has a place in the text, a code and a message; the same text
gives the same findings, and never more than there is room for."""

from __future__ import annotations

import re

from gateway_guard.policy.compile import check_policy
from gateway_guard.policy.diagnostics import CODES, Severity
from gateway_guard.policy.reader import MAX_FINDINGS
from gateway_guard.policy.schema import SCHEMA

WORDS = (
    *sorted({key.name.encode() for keys in SCHEMA.values() for key in keys}), b"version: 1\n",
    b"rules:\n  - name: a\n    then: deny\n", b"    when: { country: [KP] }\n",
    b"limits:\n  a: { per: account, requests: 5/minute }\n",
    b"signals: { campaign: { weight: 0.9 } }\n", b"mode: shadow\n", b"- ", b": ", b"{ ", b" }",
    b"[", b"]", b"&a ", b"*a", b"!x ", b"? ", b"<<: ", b"%YAML 1.1\n---\n", b"\xc2\x85",
    b"\xe2\x80\xa8", b"\xef\xbb\xbf", b"|\n  ", b">-\n ", b'"\\x41"', b"7 days", b"25%",
    b"120/minute", b"10.0.0.0/8", b".nan", b"~", b"# ", b"\t", b"'", b'"', b"\x00",
)  # fmt: skip
#: What YAML 1.1 calls a line break.
_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")


def target(data: bytes) -> None:
    """A policy file."""
    policy, findings = check_policy(data, "fuzz.yaml")

    assert policy is not None or findings
    assert (policy is None) == any(one.severity is Severity.ERROR for one in findings)
    assert len(findings) <= MAX_FINDINGS + 1
    assert list(findings) == sorted(
        findings, key=lambda one: (one.line, one.column, one.code, one.message)
    )
    lines = _BREAK.split(data.decode("utf-8-sig", "replace"))
    for one in findings:
        assert one.code in CODES
        assert one.message
        assert "\n" not in one.message
        assert 0 <= one.line <= len(lines) + 1, (one, len(lines))
        assert one.line == 0 or one.column >= 1
        assert one.source == "" or one.source in lines[one.line - 1], one
        assert len(str(one)) < 4000, str(one)
        assert str(one).startswith("fuzz.yaml")
    again, same = check_policy(data, "fuzz.yaml")
    assert list(same) == list(findings)
    if policy is not None and again is not None:
        assert policy.digest == again.digest
