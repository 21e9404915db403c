"""The explain tree: every stage says what it saw, and what was done about it."""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.core.decide import conclude, decide
from gateway_guard.core.explain import explain_tree, seconds
from gateway_guard.types import (
    Action,
    Assessment,
    CampaignFacts,
    CredentialFault,
    Dialect,
    Exchange,
    Inspection,
    NetworkFacts,
    Outcome,
    Plan,
    Restrictions,
    ShadowHit,
    Usage,
)
from tests import build

POLICY = build.policy(
    """
    mode: enforce
    signals:
      template-sweep: { weight: 0.6 }
      volume-shift: { weight: 0.4 }
    limits:
      tokens: { per: account, tokens: 400000/minute }
    rules:
      - name: likely-harvesting
        mode: shadow
        when: { risk: { min: 0.5 } }
        then: restrict
        with: { max_output_tokens: 512 }
    """
)
QUIET = build.policy("mode: enforce\nrules:\n  - { name: x, when: { country: NO }, then: deny }\n")


def tree(exchange: Exchange) -> list[str]:
    return explain_tree(exchange, POLICY)


def test_the_tree_of_a_rehearsed_restriction_reads_as_the_design_says() -> None:
    exchange = build.exchange(
        request=build.request(path="/v1/messages", dialect=Dialect.ANTHROPIC),
        facts=build.facts(
            network=build.network(flags={"hosting"}, country="NL"),
            account=build.account(created_at=build.NOW - 30 * 86_400, tier="build"),
        ),
        assessment=Assessment(
            signals=(
                build.signal("template-sweep", 0.9, "455 fillings"),
                build.signal("volume-shift", 0.35, "3.1 × the median hour"),
            ),
            risk=0.6,
        ),
        decision=build.decision(
            shadow=(ShadowHit(rule="likely-harvesting", action=Action.RESTRICT),),
            grants=(
                build.grant(
                    charge=build.charge(limit="tokens", capacity=98_800.0, cost=2_600.0),
                    remaining=96_200.0,
                ),
            ),
        ),
    )

    where, shrunk = POLICY.rules[0].where, "24.7 % of 400,000 for this account now"
    assert tree(exchange) == [
        "r_test000001  POST /v1/messages  apex-4  acct_test  allow  (shadow: restrict)",
        "├ identify  198.51.100.7, peer · account by bearer · anthropic body: full",
        "├ enrich    NL · hosting AS64500 Example · account 30 days old · tier build · no campaign",
        "├ assess    risk 0.60",
        "│ ├ template-sweep  0.90 × 0.6  455 fillings",
        "│ └ volume-shift    0.35 × 0.4  3.1 × the median hour",
        f"├ decide    likely-harvesting  {where}  would restrict; shadow, passed over",
        "│           default allow",
        f"├ reserve   tokens 96,200 of 98,800 left ({shrunk}), 2,600 reserved",
        "└ act       forwarded unchanged; rehearsed: restrict",
    ]


def test_a_refusal_names_rule_place_status_wait_and_where_to_verify() -> None:
    exchange = build.exchange(
        plan=Plan(action=Action.CHALLENGE, rule="hidden", where="p.yaml:9", reason="behind tor"),
        decision=build.decision(
            action=Action.CHALLENGE, rule="hidden", status=403, retry_after=90.0, tarpit=5.0,
            challenge_url="https://verify.example",
        ),
    )  # fmt: skip

    lines = tree(exchange)

    assert lines[0].endswith("acct_test  challenge 403")
    assert "├ decide    hidden  p.yaml:9  challenge  behind tor" in lines
    assert lines[-1] == (
        "└ act       challenge with 403, retry after 90 s, verify at https://verify.example, "
        "held for 5 s"
    )


def test_a_limit_without_room_says_what_was_asked_and_for_how_long() -> None:
    grant = build.grant(
        charge=build.charge(limit="tokens", cost=500.0, capacity=400_000.0),
        allowed=False, remaining=12.5, retry_after=7_300.0,
    )  # fmt: skip
    exchange = build.exchange(
        decision=build.decision(action=Action.THROTTLE, status=429, grants=(grant,))
    )

    assert "├ reserve   tokens 12.50 of 400,000 left, 500 asked: no room for 2.03 h" in tree(
        exchange
    )


@pytest.mark.parametrize(
    ("wait", "said"),
    [
        (2.5141, "retry after 2.515 s"),
        (5_400.25, "retry after 90 min (5,400.25 s)"),
        (inf, "retry after ever"),
    ],
)
def test_a_wait_is_said_as_exactly_as_the_client_was_told(wait: float, said: str) -> None:
    decision = build.decision(action=Action.THROTTLE, status=429, retry_after=wait)

    assert tree(build.exchange(decision=decision))[-1] == f"└ act       throttle with 429, {said}"


@pytest.mark.parametrize(
    ("usage", "said"),
    [
        (Usage(input_tokens=1_400, output_tokens=9, status=200, reported=True),
         "completed · upstream 200 · 1,400 tokens read and 9 written, reported by the upstream"),
        (Usage(output_tokens=9, status=200, outcome=Outcome.CLIENT_GONE),
         "the client left · upstream 200 · unknown tokens read and 9 written, estimated"),
        (Usage(input_tokens=0, output_tokens=0, outcome=Outcome.UPSTREAM_ERROR, status=502),
         "the upstream failed · answered 502 · 0 tokens read and 0 written, estimated"),
        (Usage(outcome=Outcome.UPSTREAM_ERROR),
         ("the upstream failed · no answer of the upstream · tokens unknown, the estimate stays "
         "charged")),
        (Usage(input_tokens=0, output_tokens=0, status=429, outcome=Outcome.REFUSED),
         "refused · nothing reached the upstream, nothing was charged"),
    ],
)  # fmt: skip
def test_what_has_been_settled_says_how_it_ended_and_what_it_cost(usage: Usage, said: str) -> None:
    lines = tree(build.exchange(usage=usage, settled=True))

    assert lines[-2].startswith("├ act ")
    assert lines[-1] == f"└ settle    {said}"


def test_without_the_policy_that_decided_weights_quotas_and_places_are_left_out() -> None:
    exchange = build.exchange(
        assessment=Assessment(signals=(build.signal("template-sweep", 0.9, "seen"),), risk=0.54),
        decision=build.decision(
            shadow=(ShadowHit(rule="likely-harvesting", action=Action.RESTRICT),),
            grants=(build.grant(charge=build.charge(limit="tokens", capacity=9.0), remaining=4.0),),
        ),
    )

    lines = explain_tree(exchange, None)

    assert lines[3:] == [
        "├ assess    risk 0.54",
        "│ └ template-sweep  0.90  seen",
        "├ decide    likely-harvesting  would restrict; shadow, passed over",
        "│           default allow",
        "├ reserve   tokens 4 of 9 left",
        "└ act       forwarded unchanged; rehearsed: restrict",
    ]


def test_shadow_mode_says_what_it_would_have_done() -> None:
    refused = build.exchange(
        decision=build.decision(action=Action.DENY, acted=False, status=403),
    )
    less = build.decision(
        action=Action.RESTRICT, acted=False, restrictions=Restrictions(n=1, logprobs=False)
    )

    assert tree(refused)[-1] == "└ act       forwarded unchanged; would deny with 403"
    assert "(in shadow: forwarded)" in tree(refused)[0]
    assert tree(build.exchange(decision=less))[-1] == (
        "└ act       forwarded unchanged; would restrict: no logprobs, n at most 1"
    )


def test_an_enforced_restriction_says_what_was_taken_away() -> None:
    less = build.decision(action=Action.RESTRICT, restrictions=Restrictions(max_output_tokens=512))
    nothing = build.decision(action=Action.RESTRICT, restrictions=Restrictions())

    assert tree(build.exchange(decision=less))[-1].endswith("output capped at 512 tokens")
    assert tree(build.exchange(decision=nothing))[-1].endswith("forwarded with nothing taken away")


def test_everything_unknown_is_said_to_be_unknown() -> None:
    exchange = build.exchange(
        request=build.request(
            path=None, model=None, account=None, credential=None, client_ip=None, prompt=None,
            model_route=False, inspection=Inspection.CHARSET,
        ),
        facts=build.facts(network=NetworkFacts(known=False)),
        plan=None,
        decision=build.decision(
            action=Action.DENY, status=500, rule="guard:error", reason="the guard failed",
            degraded=("guard",),
        ),
    )  # fmt: skip

    assert explain_tree(exchange, QUIET) == [
        "r_test000001  POST ambiguous path  no account  deny 500",
        "├ identify  no client IP, peer · body: charset",
        "├ enrich    network unknown · no account · no campaign",
        "├ assess    signals are off",
        "├ decide    guard:error  the guard failed",
        "│           guard failed, decided by on_error",
        "└ act       deny with 500",
    ]


def test_everything_known_of_account_network_and_campaign_is_named() -> None:
    exchange = build.exchange(
        facts=build.facts(
            network=NetworkFacts(),
            account=build.account(created_at=build.NOW - 5_400.0, verified=True, tags=("partner",)),
            campaign=CampaignFacts(id="c_7", confidence=0.91),
            indicators=(build.indicator(),),
        )
    )
    unverified = build.exchange(
        facts=build.facts(account=build.account(created_at=build.NOW + 60.0, verified=False))
    )

    assert tree(exchange)[2] == (
        "├ enrich    country unknown · no flags AS unknown · account 90 min old · verified · "
        "tags partner · campaign c_7 0.91 · network indicator c_0012 from acme 0.95, 2 days old"
    )
    assert "account not yet a day old" in tree(unverified)[2]
    assert "not verified" in tree(unverified)[2]


def test_a_long_account_is_cut_and_a_day_is_one_day() -> None:
    exchange = build.exchange(
        request=build.request(account="acct_k3v7abcdefghijk"),
        facts=build.facts(account=build.account(created_at=build.NOW - 86_400.0)),
        assessment=Assessment(),
    )

    lines = tree(exchange)

    assert "acct_k3v7ab…" in lines[0]
    assert "account 1 day old" in lines[2]
    assert lines[3] == "├ assess    risk 0.00, nothing seen"


def test_a_bucket_without_an_end_is_printed_as_infinite() -> None:
    grant = build.grant(remaining=inf, retry_after=inf, allowed=False)

    line = tree(build.exchange(decision=build.decision(grants=(grant,))))[5]

    assert line == "├ reserve   requests ∞ of 60 left, 1 asked: no room for ever"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.5, "0.5 s"),
        (119.0, "119 s"),
        (120.0, "2 min"),
        (7_200.0, "2 h"),
        (172_800.0, "2 days"),
        (94_608_000.0, "1095 days"),
    ],
)
def test_durations_are_told_in_the_unit_people_would_choose(value: float, text: str) -> None:
    assert seconds(value) == text


@given(st.floats(0.0, 1e12))
def test_every_duration_has_a_number_and_a_unit(value: float) -> None:
    number, unit = seconds(value).split()

    assert float(number) >= 0.0
    assert unit in ("s", "min", "h", "days")


def test_inspecting_nothing_and_taking_away_everything_are_both_said() -> None:
    exchange = build.exchange(
        request=build.request(model_route=False, inspection=Inspection.NONE),
        decision=build.decision(
            action=Action.RESTRICT,
            restrictions=Restrictions(max_output_tokens=9, logprobs=False, n=1),
        ),
    )

    lines = tree(exchange)

    assert lines[1] == "├ identify  198.51.100.7, peer · account by bearer"
    assert lines[-1].endswith("output capped at 9 tokens, no logprobs, n at most 1")


def test_a_request_that_costs_one_unit_says_only_what_is_left() -> None:
    exchange = build.exchange(decision=build.decision(grants=(build.grant(),)))

    assert "├ reserve   requests 59 of 60 left" in tree(exchange)


def test_a_failed_credential_says_why_in_a_word_and_in_words() -> None:
    request = build.request(
        account=None, credential="jwt", credential_fault=CredentialFault.EXPIRED
    )
    plan = decide(QUIET, request, build.facts(), Assessment())
    exchange = build.exchange(request=request, plan=plan, decision=conclude(QUIET, plan))

    lines = explain_tree(exchange, QUIET)

    assert "peer · jwt credential failed: expired · openai body" in lines[1]
    assert lines[4] == (
        "├ decide    guard:credential  deny  the credential failed verification: it has expired"
    )


def test_a_key_set_out_of_reach_is_said_not_to_be_the_callers_fault() -> None:
    request = build.request(
        account=None, credential="jwt", credential_fault=CredentialFault.KEYS_UNREACHABLE
    )
    plan = decide(QUIET, request, build.facts(), Assessment())
    exchange = build.exchange(
        request=request, plan=plan, decision=conclude(QUIET, plan, (), ("jwks",))
    )

    text = "\n".join(explain_tree(exchange, QUIET))

    assert "guard:jwks  deny  the credential cannot be verified: the key set" in text
    assert "jwks failed, no key at hand verifies the token" in text
    assert "deny with 503, retry after 5 s" in text
