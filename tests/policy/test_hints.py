"""What somebody writes who knows another tool is answered with the word to write."""

from __future__ import annotations

import pytest

from gateway_guard.policy.compile import check_policy


@pytest.mark.parametrize(
    ("rule", "hint"),
    [
        ("when: { ip: 192.0.2.7 }, then: deny", "did you mean 'client_ip'?"),
        ("when: { org: o_1 }, then: deny", "did you mean 'organisation'?"),
        ("when: { country: KP }, then: block", "did you mean 'deny'?"),
        ("if: { country: KP }, then: deny", "did you mean 'when'?"),
        ("when: { time: 9-17 }, then: deny", "rules do not know the time of day"),
        ("when: { model: { not: [m] } }, then: deny", "not: { KEY: VALUES }"),
        ("when: { organisation: known }, then: deny", "write not: { organisation: unknown }"),
        ("when: { country: known }, then: deny", "not: { KEY: unknown }"),
        ("when: { network: known }, then: deny", "not: { KEY: unknown }"),
        ("when: { account_age: known }, then: deny", "not: { KEY: unknown }"),
        ("when: { verified: known }, then: deny", "not: { KEY: unknown }"),
        ("when: { model: known }, then: deny", "write not: { model: unknown }"),
        ("when: { organisation: 'acme-*' }, then: deny", "no patterns"),
        ("when: { tier: ' free' }, then: deny", "write 'free'"),
    ],
)
def test_a_word_of_other_tools_is_answered_with_ours(rule: str, hint: str) -> None:
    source = f"version: 1\nmode: enforce\nrules:\n  - {{ name: a, {rule} }}\n".encode()

    _, findings = check_policy(source, "p.yaml")

    assert any(hint in finding.hint for finding in findings)


def test_a_model_without_a_name_is_no_model() -> None:
    source = (
        b"version: 1\nmode: enforce\nrules:\n  - { name: a, when: { model: '' }, then: deny }\n"
    )

    _, findings = check_policy(source, "p.yaml")

    assert [finding.code for finding in findings] == ["GG206"]
