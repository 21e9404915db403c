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
        ("when: { account_age: 7 days }, then: deny", "write { min: …, max: … }, or unknown"),
        ("when: { campaign: 0.9 }, then: deny", "write { min: …, max: … }, or known or unknown"),
        ("when: { account_age: unknwon }, then: deny", "did you mean 'unknown'?"),
        ("when: { any: [{ country: KP }] }, then: deny", "are a rule each"),
        ("country: KP, then: deny", "when: { country: … }"),
        ("models: [m], then: deny", "when: { model: … }"),
        ("when: { path: '^/v1/.*' }, then: deny", "no regular expressions"),
        ("when: { model: '(small|large)' }, then: deny", "no regular expressions"),
    ],
)
def test_a_word_of_other_tools_is_answered_with_ours(rule: str, hint: str) -> None:
    source = f"version: 1\nmode: enforce\nrules:\n  - {{ name: a, {rule} }}\n".encode()

    _, findings = check_policy(source, "p.yaml")

    assert any(hint in finding.hint for finding in findings)


@pytest.mark.parametrize(
    ("limit", "hint"),
    [
        ("requests: 5/minute, routes: [/v1/embeddings]", "when: { path: … }"),
        ("requests: 5/minute, tier: free", "when: { tier: … }"),
        ("requests: 5/minute, adapt: { tier: { scale: 2 } }", "write 200% or 2%"),
        ("requests: 5/minute, adapt: { unknown_age: 50 }", "write 50%"),
        ("requests: 5/minute, adapt: { unknown_age: 0.5 }", "write 50%"),
    ],
)
def test_so_is_what_stands_at_the_wrong_place_of_a_limit(limit: str, hint: str) -> None:
    source = f"version: 1\nlimits: {{ a: {{ per: account, {limit} }} }}\n".encode()

    _, findings = check_policy(source, "p.yaml")

    assert [hint in finding.hint for finding in findings] == [True]


@pytest.mark.parametrize("pattern", ["apex-4.*", "*-mini", "acme/apex-*"])
def test_a_pattern_that_regular_expressions_have_too_is_one(pattern: str) -> None:
    source = f"version: 1\nrules: [{{ name: a, when: {{ model: '{pattern}' }}, then: deny }}]\n"

    policy, _ = check_policy(source.encode(), "p.yaml")

    assert policy is not None


def test_a_model_without_a_name_is_no_model() -> None:
    source = (
        b"version: 1\nmode: enforce\nrules:\n  - { name: a, when: { model: '' }, then: deny }\n"
    )

    _, findings = check_policy(source, "p.yaml")

    assert [finding.code for finding in findings] == ["GG206"]
