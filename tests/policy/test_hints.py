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
        ("when: { model: “apex-4” }, then: deny", "write 'apex-4'"),
        ("when: { country: [‘KP’] }, then: deny", "write 'KP'"),
        ("when: { country: 'KP ' }, then: deny", "write 'KP'"),
        ("when: { path: 'https://api.example.com/v1/chat?x=1' }, then: deny", "alone: /v1/chat"),
        ("when: { user_agent: curl }, then: deny", "conditions see no headers"),
        ("when: { max_tokens: 100 }, then: deny", "one of: account, account_age"),
        ("when: { country: KP }, then: { deny: 451 }", "one of: allow, challenge, deny"),
        ("when: { country: KP }, then: deny, status: 429", "429 is what `then: throttle` answers"),
        ("when: { country: KP }, then: deny, message: no", "`why` is for the decision log"),
        ("when: { country: KP }, then: deny, until: 2026-12-24", "nor the date"),
        ("when: { country: KP }, then: restrict, n: 1", "`n` stands in the `with` of a rule"),
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
        ("requests: 5/minute, recover: 1 hour", "`recover` stands in the `adapt` of a limit"),
        ("requests: 20/min", "write 20/minute"),
        ("requests: 20 rpm", "write 20/minute"),
        ("requests: 100/week", "write 100 per 7 days"),
        ("requests: 1.5/second", "write 3 per 2 seconds"),
        ("requests: 20/30s", "write 20 per 30 seconds"),
        ("tokens: 50k/day", "write 50000/day"),
        ("tokens: 1.5M tokens per month", "write 1500000/month"),
        ("tokens: 50_000/day", "write 50000/day"),
        ("tokens: '50,000/day'", "write 50000/day"),
        ("tokens: 1e6/day", "write 1000000/day"),
        ("requests: unlimited", "leave it out"),
        ("requests: 0/minute", "write a rule: then: deny"),
        ("requests: 5 m", "write e.g. 120/minute"),
        ("tokens: 999999999999k/day", "write e.g. 120/minute"),
        ("requests: 1.23456/second", "write e.g. 120/minute"),
    ],
)
def test_so_is_what_stands_at_the_wrong_place_of_a_limit(limit: str, hint: str) -> None:
    source = f"version: 1\nlimits: {{ a: {{ per: account, {limit} }} }}\n".encode()

    _, findings = check_policy(source, "p.yaml")

    assert [hint in finding.hint for finding in findings] == [True]


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("trusted_proxies: [10.0.0.0/8]", "`trusted_proxies` stands in `identify`"),
        ("when: { country: KP }", "`when` stands in a rule or a limit"),
        ("limits: { a: { per: header, requests: 5/minute } }", "nothing is counted by a header"),
    ],
)
def test_what_stands_too_far_out_is_told_where_it_belongs(line: str, hint: str) -> None:
    _, findings = check_policy(f"version: 1\n{line}\n".encode(), "p.yaml")

    assert any(hint in finding.hint for finding in findings)


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
