"""A line of the decision log, read back: the same tree as the exchange itself gives."""

from __future__ import annotations

from math import inf
from typing import Any

import pytest

from gateway_guard.core.explain import explain_tree
from gateway_guard.errors import SourceError
from gateway_guard.record.line import line
from gateway_guard.record.read import exchange_of
from gateway_guard.types import (
    Action,
    Assessment,
    CampaignFacts,
    CredentialFault,
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
from tests.record.test_line import full

POLICY = """
    signals: { template-sweep: { weight: 0.6 } }
    limits: { requests: { per: account, requests: 60/minute } }
    rules:
      - name: embargo
        when: { country: KP }
        then: deny
      - name: rehearsed
        mode: shadow
        when: { tier: free }
        then: challenge
"""


def restricted() -> Exchange:
    rule: dict[str, Any] = {
        "action": Action.RESTRICT, "rule": "harvesting", "where": "policy.yaml:9",
        "reason": "several signals", "restrictions": Restrictions(max_output_tokens=64, n=1),
    }  # fmt: skip
    return build.exchange(
        facts=build.facts(
            network=build.network(flags={"vpn"}),
            account=build.account(
                created_at=build.NOW - 86_400.0 * 9, tier="free", verified=False, tags=("new",)
            ),
            campaign=CampaignFacts(id="c_1", confidence=0.5),
            indicators=(build.indicator(name="seen-elsewhere"),),
        ),
        assessment=Assessment(signals=(build.signal(),), risk=0.3),
        plan=Plan(**rule),
        decision=build.decision(
            **rule, grants=(build.grant(),),
            shadow=(ShadowHit(rule="rehearsed", action=Action.CHALLENGE),),
        ),
        usage=Usage(outcome=Outcome.COMPLETED, status=200),
    )  # fmt: skip


def refused() -> Exchange:
    return build.exchange(
        request=build.request(
            account=None, credential=None, inspection=Inspection.DUPLICATE_KEYS, prompt=None,
            model_route=True, model=None,
        ),
        facts=build.facts(network=NetworkFacts()),
        plan=None,
        decision=build.decision(
            action=Action.DENY, rule="guard:body", reason="cannot be read", status=400
        ),
    )  # fmt: skip


@pytest.mark.parametrize("exchange", [build.exchange(), restricted(), refused()])
def test_the_tree_of_a_line_is_the_tree_of_its_exchange(exchange: Exchange) -> None:
    policy = build.policy(POLICY)

    again = exchange_of(line(exchange))

    assert explain_tree(again, policy) == explain_tree(exchange, policy)
    assert again.settled


def test_reading_and_writing_again_gives_the_same_line() -> None:
    for exchange in (full(), restricted(), refused()):
        text = line(exchange)

        assert line(exchange_of(text)) == text


def test_lines_of_0_1_0_are_read() -> None:
    # As it wrote them, after three requests of a limit of 3/minute, and of one with a burst.
    text = (
        b'{"time":"2026-11-23T22:07:59.883735Z","id":"r_ph889jth000001","action":"allow",'
        b'"acted":true,"reason":"no rule matched","account":"acct_35mespdymg6a2c2r",'
        b'"credential":"bearer","client_ip":"127.0.0.1","ip_source":"peer","method":"POST",'
        b'"path":"/v1/chat/completions","dialect":"openai","model":"gpt-4o","inspection":"full",'
        b'"risk":0.0,"limits":[{"limit":"requests","unit":"requests","allowed":true,"cost":1.0,'
        b'"remaining":2.0,"quota":3.0,"window":60.0},{"limit":"more","unit":"requests",'
        b'"allowed":true,"cost":1.0,"remaining":239.0,"quota":120.0,"window":60.0}],'
        b'"outcome":"completed","upstream_status":200,"input_tokens":60,"output_tokens":40,'
        b'"usage_reported":true,"policy":"a18b96123434"}\n'
    )

    exchange = exchange_of(text)

    assert [grant.charge.capacity for grant in exchange.decision.grants] == [3.0, 239.0]
    assert "requests 2 of 3 left" in str(explain_tree(exchange, None))


def test_a_limit_that_never_has_room_waits_for_ever() -> None:
    exchange = build.exchange(
        decision=build.decision(
            action=Action.THROTTLE, rule="limit:requests", status=429,
            grants=(build.grant(allowed=False, retry_after=inf),),
        )
    )  # fmt: skip

    (grant,) = exchange_of(line(exchange)).decision.grants

    assert grant.retry_after == inf


@pytest.mark.parametrize(
    "text",
    [
        b"", b"{", b"[]", b"\xff", b"{}", line(build.exchange()).replace(b"allow", b"maybe"),
        line(build.exchange()).replace(b'"ip_source"', b'"account_age":1e300,"ip_source"'),
    ],
)  # fmt: skip
def test_what_is_no_line_is_refused(text: bytes) -> None:
    with pytest.raises(SourceError, match="not a line"):
        exchange_of(text)


def test_why_a_credential_failed_survives_the_log() -> None:
    request = build.request(credential="jwt", credential_fault=CredentialFault.UNKNOWN_KEY)

    read = exchange_of(line(build.exchange(request=request)))

    assert read.request.credential_fault is CredentialFault.UNKNOWN_KEY


def test_where_an_account_stands_is_read_back() -> None:
    exchange = build.exchange(facts=build.facts(vouched=True, challenged=True))

    read = exchange_of(line(exchange)).facts

    assert (read.vouched, read.challenged) == (True, True)
