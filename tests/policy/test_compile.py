"""What a good policy becomes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway_guard.core.limits import PARTS
from gateway_guard.core.sections import DEFAULT_ACCOUNT_SOURCES
from gateway_guard.errors import PolicyError
from gateway_guard.policy.compile import check_policy, compile_policy
from gateway_guard.policy.countries import COUNTRIES, bad_code
from gateway_guard.policy.schema import KEYS, SCHEMA
from gateway_guard.signals import DETECTORS
from gateway_guard.types import Action
from tests import build


def test_a_limit_in_rehearsal_may_count_what_another_counts() -> None:
    text = b"""version: 1
limits:
  tokens: { per: account, tokens: 100/minute }
  fewer: { per: account, tokens: 50/minute, mode: shadow }
  fewest: { per: account, tokens: 10/minute, mode: shadow }
"""

    policy = compile_policy(text, "p.yaml")

    assert list(check_policy(text, "p.yaml")[1]) == []
    assert [limit.name for limit in policy.charged] == ["tokens"]
    assert [limit.name for limit in policy.rehearsed] == ["fewer", "fewest"]


def test_the_smallest_policy_watches_and_allows() -> None:
    policy = compile_policy(b"version: 1", "p.yaml")

    assert not policy.enforce
    assert policy.default is Action.ALLOW
    assert policy.headers
    assert policy.identify.accounts == DEFAULT_ACCOUNT_SOURCES
    assert policy.identify.client_ip == "peer"
    assert (policy.signals, policy.limits, policy.rules) == ((), (), ())


def test_a_byte_order_mark_is_no_part_of_the_policy() -> None:
    policy = compile_policy(b"\xef\xbb\xbfversion: 1\nmode: enforce\n", "p.yaml")

    assert policy.enforce


def test_warnings_do_not_keep_a_policy_from_loading() -> None:
    policy, findings = check_policy(
        b"version: 1\nrules:\n  - { name: a, when: { country: [KP, KP] }, then: deny }\n", "p"
    )

    assert policy is not None
    assert [finding.code for finding in findings] == ["GG217"]


def test_limits_are_compiled_with_their_adaptation() -> None:
    policy = build.policy(
        """
        regions: { high-risk: [KP, CU], worse: [KP] }
        signals: { template-sweep: { weight: 0.9 } }
        limits:
          tokens:
            per: [account, model]
            tokens: 5 per 10 seconds
            burst: 20
            adapt:
              risk: { 0.6: 25%, 0.3: 100% }
              region: { high-risk: 25%, worse: 10%, SE: 50% }
              age: { 30 days: 60%, 7 days: 20% }
              unknown_age: 50%
              tier: { scale: 400% }
              recover: 1 hour
            when: { path: /v1/** }
          in-flight: { per: account, concurrent: 16 }
        """
    )

    tokens, in_flight = policy.limits
    adapt = tokens.adapt
    assert adapt is not None
    assert (tokens.per, tokens.unit, tokens.quota) == (("account", "model"), "tokens", 5)
    assert (tokens.window, tokens.burst, tokens.conditions[0].field) == (10, 20, "path")
    assert adapt.risk == ((0.3, 1.0), (0.6, 0.25))
    assert adapt.age == ((604800.0, 0.2), (2592000.0, 0.6))
    assert adapt.region == {"KP": 0.1, "CU": 0.25, "SE": 0.5}
    assert (adapt.unknown_age, adapt.tier, adapt.recover) == (0.5, {"scale": 4.0}, 3600)
    assert policy.recover == 3600
    assert (in_flight.unit, in_flight.quota, in_flight.window, in_flight.burst) == (
        "concurrent", 16, 0, 16,
    )  # fmt: skip


def test_a_region_may_hold_regions_above_it_and_a_quota_know_the_unknown_country() -> None:
    policy = build.policy(
        """
        regions: { benelux: [BE, LU, NL], west: [benelux, FR] }
        limits:
          requests:
            per: account
            requests: 100/minute
            adapt: { region: { west: 50%, benelux: 20%, unknown: 10% } }
        rules: [{ name: far, when: { not: { country: west } }, then: deny }]
        """
    )

    (limit,) = policy.limits
    assert policy.regions["west"] == {"BE", "LU", "NL", "FR"}
    assert limit.adapt is not None
    assert limit.adapt.region == {"BE": 0.2, "LU": 0.2, "NL": 0.2, "FR": 0.5, "unknown": 0.1}


def test_signals_are_built_with_their_parameters() -> None:
    policy = build.policy("signals: { template-sweep: { weight: 0.6, floor: 80 } }\n")

    assert policy.signals[0].weight == 0.6
    assert policy.signals[0].detector == DETECTORS["template-sweep"](floor=80.0)  # type: ignore[call-arg]


def test_who_is_asking(tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_text(
        "-----BEGIN PUBLIC KEY-----\nMCow\n-----END PUBLIC KEY-----\n"
    )
    text = b"""version: 1
identify:
  account:
    - { state: who }
    - { header: X-Api-Key }
    - { jwt: { key_file: key.pem, claim: org, issuer: me, audience: you, algorithms: EdDSA,
             prefix: "org:", attributes: { tier: plan, organisation: org.id } } }
    - { jwt: { header: x-token, verify: false } }
  client_ip: CF-Connecting-IP
  trusted_proxies: [10.0.0.0/8, "2001:db8::/32"]
  tls_fingerprint: { header: X-JA4 }
  model_routes: [/llm/*]
inspect: { max_body: 512 KB, default_output_tokens: 99, keep_samples: 200 characters }
on_error: { store: allow, guard: allow, body: allow, path: allow }
"""

    policy = compile_policy(text, str(tmp_path / "p.yaml"))

    state, header, jwt, trusted = policy.identify.accounts
    assert (state.kind, state.state_key) == ("state", "who")
    assert (header.kind, header.header) == ("header", "x-api-key")
    assert (jwt.claim, jwt.issuer, jwt.audience, jwt.algorithms) == ("org", "me", "you", ("EdDSA",))
    assert jwt.attributes == (("organisation", "org.id"), ("tier", "plan"))
    assert (jwt.prefix, trusted.prefix) == ("org:", "")
    assert jwt.key is not None
    assert jwt.key.startswith("-----BEGIN PUBLIC KEY-----")
    assert (trusted.header, trusted.verify) == ("x-token", False)
    assert policy.identify.client_ip == "cf-connecting-ip"
    assert len(policy.identify.trusted) == 2
    assert (policy.identify.tls_header, policy.identify.model_routes) == ("x-ja4", ("/llm/*",))
    assert (policy.inspect.max_body, policy.inspect.default_output_tokens) == (524288, 99)
    assert policy.inspect.keep_samples == 200
    assert (policy.on_error.store, policy.on_error.network) == ("allow", "unknown")


@pytest.mark.parametrize("choice", ["deny", "allow", "local"])
def test_a_policy_says_what_counts_while_the_store_does_not_answer(choice: str) -> None:
    policy = build.policy(f"on_error: {{ store: {choice} }}\n")

    assert policy.on_error.store == choice


def test_whoever_connects_over_a_unix_socket_can_be_trusted() -> None:
    policy = build.policy("identify: { trusted_proxies: [unix, 10.0.0.0/8] }\n")

    assert policy.identify.trust_unix
    assert len(policy.identify.trusted) == 1
    assert policy.identify.client_ip == "x-forwarded-for"


def test_trusted_proxies_alone_mean_x_forwarded_for() -> None:
    policy = build.policy("identify: { trusted_proxies: [10.0.0.0/8] }\n")

    assert policy.identify.client_ip == "x-forwarded-for"


def test_a_shadow_rule_shades_nothing() -> None:
    build.policy(
        """
        rules:
          - { name: a, then: deny, mode: shadow }
          - { name: b, then: deny, rollout: 50% }
          - { name: c, when: { country: KP }, then: deny }
        """
    )


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("{ country: NO }", "{ country: [NO, SE] }"),
        ("{ country: NO, method: GET }", "{ country: NO }"),
        ("{ path: /admin }", "{ path: /admin/** }"),
        ("{ client_ip: 10.1.0.0/16 }", "{ client_ip: 10.0.0.0/8 }"),
        ("{ account_age: { max: 7 days } }", "{ account_age: [unknown, { max: 1 day }] }"),
        ("{ account: known }", "{ account: [unknown, acct_aaaaaaaaaaaaaaaa] }"),
        ("{ not: { country: [NO, SE] } }", "{ not: { country: NO } }"),
        ("{ network: [tor, vpn] }", "{ network: unknown }"),
        ("{ body: full }", "{ body: unknown }"),
        ("{ model: apex-* }", "{ model: '*' }"),
    ],
)
def test_a_wider_or_different_rule_is_reachable(earlier: str, later: str) -> None:
    rules = [f"- {{name: {n}, when: {w}, then: deny}}" for n, w in (("a", earlier), ("b", later))]
    text = "\n".join(["rules:", *rules])

    policy = build.policy(text)

    assert len(policy.rules) == 2


def test_the_schema_names_every_part_of_a_key_and_documents_every_key() -> None:
    assert set(KEYS["limit"]["per"].words) == set(PARTS)
    for section, keys in SCHEMA.items():
        assert len({key.name for key in keys}) == len(keys)
        for key in keys:
            assert key.doc, (section, key.name)
            assert not key.of or key.of in SCHEMA
            assert re.fullmatch(r"[a-z][a-z0-9_]*", key.name)


def test_there_are_249_countries_and_kosovo() -> None:
    assert len(COUNTRIES) == 250
    assert all(re.fullmatch("[A-Z]{2}", code) for code in COUNTRIES)
    assert bad_code("NO") is None
    assert bad_code("UK") == "the United Kingdom is 'GB'"


def test_a_threshold_counts_each_signal_at_its_highest_score() -> None:
    text = (
        "signals: {{ reasoning-elicitation: {{ weight: 0.6{} }} }}\n"
        "rules:\n"
        "  - {{ name: r, when: {{ risk: {{ min: 0.5 }} }}, then: restrict, with: {{ n: 1 }} }}\n"
    )

    with pytest.raises(PolicyError, match=r"reach 0\.36 at most"):
        build.policy(text.format(""))
    assert build.policy(text.format(", ceiling: 0.9")).rules


def test_headers_of_a_trusted_proxy_say_what_it_knows_of_accounts() -> None:
    policy = build.policy(
        """
        identify:
          trusted_proxies: [10.0.0.0/8]
          attributes: { tier: X-Account-Tier, organisation: x-org }
        """
    )

    assert policy.identify.attributes == (("organisation", b"x-org"), ("tier", b"x-account-tier"))


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("attributes: { tier: x-tier }", "GG602"),
        ("trusted_proxies: [10.0.0.0/8], attributes: { tier: x-guard-tier }", "GG220"),
        ("trusted_proxies: [10.0.0.0/8], attributes: { tier: 'x tier' }", "GG220"),
        ("trusted_proxies: [10.0.0.0/8], attributes: { teir: x-tier }", "GG201"),
    ],
)
def test_headers_nobody_may_set_are_no_source_of_attributes(text: str, code: str) -> None:
    _, findings = check_policy(f"version: 1\nidentify: {{ {text} }}\n".encode(), "p.yaml")

    assert [finding.code for finding in findings] == [code]
