"""Rules in file order, first match wins; limits turn a plan that forwards into a throttle."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.core.decide import conclude, decide
from gateway_guard.core.limits import Limit
from gateway_guard.core.policy import Policy
from gateway_guard.core.rollout import chosen
from gateway_guard.core.rules import Condition, Rule
from gateway_guard.core.tokens import RETRY
from gateway_guard.types import (
    Action,
    Assessment,
    CredentialFault,
    Inspection,
    Plan,
    Restrictions,
)
from tests import build

QUIET = Assessment()


def always(name: str, action: Action, **more: object) -> Rule:
    return Rule(name=name, conditions=(), action=action, **more)  # type: ignore[arg-type]


def from_country(name: str, country: str, action: Action) -> Rule:
    condition = Condition(
        field="country", text=country, test=lambda _r, f, _a: f.network.country == country
    )
    return Rule(name=name, conditions=(condition,), action=action)


def policy(*rules: Rule, **more: object) -> Policy:
    return Policy(digest="d", source="p.yaml", enforce=True, rules=rules, **more)  # type: ignore[arg-type]


REQUESTS = Limit(name="requests", per=("account",), unit="requests", quota=60, window=60, burst=60)


def test_the_first_rule_that_matches_decides() -> None:
    rules = (from_country("no", "NO", Action.DENY), always("rest", Action.RESTRICT))

    plan = decide(policy(*rules), build.request(), build.facts(), QUIET)

    assert (plan.rule, plan.action) == ("no", Action.DENY)


def test_without_a_match_the_default_decides() -> None:
    plan = decide(
        policy(from_country("kp", "KP", Action.DENY), default=Action.RESTRICT),
        build.request(),
        build.facts(),
        QUIET,
    )

    assert (plan.rule, plan.action) == (None, Action.RESTRICT)


def test_a_shadow_rule_is_recorded_and_passed_over() -> None:
    rules = (always("rehearsal", Action.DENY, shadow=True), always("real", Action.ALLOW))

    plan = decide(policy(*rules), build.request(), build.facts(), QUIET)

    assert plan.rule == "real"
    assert [(hit.rule, hit.action) for hit in plan.shadow] == [("rehearsal", Action.DENY)]


def test_refusals_charge_nothing_and_forwards_charge_every_limit() -> None:
    refused = decide(
        policy(always("no", Action.DENY), limits=(REQUESTS,)), build.request(), build.facts(), QUIET
    )
    forwarded = decide(policy(limits=(REQUESTS,)), build.request(), build.facts(), QUIET)

    assert refused.charges == ()
    assert [charge.limit for charge in forwarded.charges] == ["requests"]


@pytest.mark.parametrize(
    ("inspection", "status"),
    [
        (Inspection.TOO_LARGE, 413),
        (Inspection.ENCODING, 415),
        (Inspection.CHARSET, 415),
        (Inspection.CONTENT_TYPE, 415),
        (Inspection.NOT_JSON, 400),
        (Inspection.DUPLICATE_KEYS, 400),
    ],
)
def test_a_body_that_cannot_be_read_is_refused_whatever_a_rule_allows(
    inspection: Inspection, status: int
) -> None:
    request = build.request(inspection=inspection, prompt=None)

    plan = decide(policy(always("all", Action.ALLOW)), request, build.facts(), QUIET)

    assert (plan.action, plan.rule, plan.status) == (Action.DENY, "guard:body", status)


def test_a_rule_that_refuses_outranks_the_unreadable_body() -> None:
    request = build.request(inspection=Inspection.NOT_JSON, prompt=None)

    plan = decide(policy(always("all", Action.DENY, status=451)), request, build.facts(), QUIET)

    assert (plan.rule, plan.status) == ("all", 451)


def test_an_ambiguous_path_is_refused_before_any_rule() -> None:
    plan = decide(
        policy(always("all", Action.ALLOW)), build.request(path=None), build.facts(), QUIET
    )

    assert (plan.rule, plan.status) == ("guard:path", 400)


def test_a_credential_that_fails_verification_is_refused() -> None:
    request = build.request(account=None, credential_fault=CredentialFault.EXPIRED)

    plan = decide(policy(), request, build.facts(), QUIET)

    assert (plan.rule, plan.status) == ("guard:credential", 401)
    assert plan.reason == "the credential failed verification: it has expired"


@pytest.mark.parametrize("fault", CredentialFault)
def test_every_fault_has_words_of_its_own_and_asks_to_come_back_only_when_that_helps(
    fault: CredentialFault,
) -> None:
    request = build.request(account=None, credential_fault=fault)

    plan = decide(policy(), request, build.facts(), QUIET)

    assert plan.reason.endswith(f": {fault.meaning}")
    assert len({other.meaning for other in CredentialFault}) == len(CredentialFault)
    assert (plan.retry_after is not None) is (fault is CredentialFault.KEYS_UNREACHABLE)


def test_a_token_nobody_can_verify_now_is_no_fault_of_the_caller() -> None:
    request = build.request(account=None, credential_fault=CredentialFault.KEYS_UNREACHABLE)

    plan = decide(policy(), request, build.facts(), QUIET)

    assert (plan.rule, plan.status, plan.retry_after) == ("guard:jwks", 503, RETRY)


def test_websockets_are_refused_where_the_policy_says_so_and_no_rule_spoke() -> None:
    request = build.request(method="WEBSOCKET", inspection=Inspection.NONE, prompt=None)

    refused = decide(policy(websocket="deny"), request, build.facts(), QUIET)
    allowed = decide(
        policy(always("ws", Action.ALLOW), websocket="deny"), request, build.facts(), QUIET
    )

    assert refused.rule == "guard:websocket"
    assert allowed.rule == "ws"


def test_a_rule_that_restricts_opens_no_socket_that_the_policy_refuses_to_others() -> None:
    rule = always("risky", Action.RESTRICT, restrictions=Restrictions(n=1))
    socket = build.request(method="WEBSOCKET", inspection=Inspection.NONE, prompt=None)

    closed = decide(policy(rule, websocket="deny"), socket, build.facts(), QUIET)
    opened = decide(policy(rule), socket, build.facts(), QUIET)
    chat = decide(policy(rule, websocket="deny"), build.request(), build.facts(), QUIET)

    assert (closed.action, closed.rule, closed.charges) == (Action.DENY, "guard:websocket", ())
    assert (opened.rule, chat.rule) == ("risky", "risky")


@pytest.mark.parametrize("rehearsed", [{"shadow": True}, {"rollout": 1e-9}])
def test_a_challenge_in_rehearsal_is_passed_over_by_those_who_have_met_one_too(
    rehearsed: dict[str, object],
) -> None:
    rules = policy(always("who", Action.CHALLENGE, **rehearsed))

    met = decide(rules, build.request(), build.facts(vouched=True), QUIET)
    others = decide(rules, build.request(), build.facts(), QUIET)

    assert met.shadow == ()
    assert [hit.rule for hit in others.shadow] == ["who"]


def test_shadow_mode_decides_but_does_not_act() -> None:
    shadow = Policy(digest="d", source="p", rules=(always("no", Action.DENY),))

    decision = conclude(shadow, decide(shadow, build.request(), build.facts(), QUIET))

    assert (decision.action, decision.acted, decision.forwards) == (Action.DENY, False, True)


def test_a_full_limit_throttles_with_the_longest_wait() -> None:
    grants = (
        build.grant(allowed=False, retry_after=2.0),
        build.grant(allowed=False, retry_after=7.5, charge=build.charge(limit="tokens")),
        build.grant(),
    )

    decision = conclude(policy(), Plan(action=Action.ALLOW), grants)

    assert (decision.action, decision.status) == (Action.THROTTLE, 429)
    assert (decision.rule, decision.retry_after) == ("limit:tokens", 7.5)


def test_a_tarpit_is_for_what_its_rule_does_and_not_for_a_full_limit() -> None:
    held = conclude(policy(), Plan(action=Action.DENY, tarpit=5.0))
    full = conclude(
        policy(), Plan(action=Action.RESTRICT, tarpit=5.0), (build.grant(allowed=False),)
    )

    assert (held.action, held.tarpit) == (Action.DENY, 5.0)
    assert (full.action, full.tarpit) == (Action.THROTTLE, 0.0)


def test_a_limit_that_never_has_room_names_no_wait() -> None:
    grants = (build.grant(allowed=False, retry_after=math.inf),)

    decision = conclude(policy(), Plan(action=Action.ALLOW), grants)

    assert decision.retry_after is None


def test_a_failed_store_denies_or_passes_as_the_policy_says() -> None:
    plan = Plan(action=Action.ALLOW, charges=(build.charge(),))
    strict = policy()
    lenient = policy(on_error=strict.on_error.__class__(store="allow"))

    denied = conclude(strict, plan, degraded=("store",))
    passed = conclude(lenient, plan, degraded=("store",))

    assert (denied.action, denied.status, denied.rule) == (Action.DENY, 503, "guard:store")
    assert (passed.action, passed.degraded) == (Action.ALLOW, ("store",))


def test_a_failed_store_leaves_it_to_what_one_worker_counts_and_denies_without_that() -> None:
    plan = Plan(action=Action.ALLOW, charges=(build.charge(),))
    local = policy(on_error=policy().on_error.__class__(store="local"))
    full = build.grant(allowed=False, retry_after=2.0)

    passed = conclude(local, plan, (build.grant(),), degraded=("store",))
    throttled = conclude(local, plan, (full,), degraded=("store",))
    denied = conclude(local, plan, (), degraded=("store",))

    assert (passed.action, passed.degraded) == (Action.ALLOW, ("store",))
    assert (throttled.action, throttled.retry_after) == (Action.THROTTLE, 2.0)
    assert (denied.action, denied.status, denied.rule) == (Action.DENY, 503, "guard:store")


def test_restrictions_survive_only_a_decision_that_restricts() -> None:
    plan = Plan(action=Action.RESTRICT, restrictions=Restrictions(n=1))

    restricted = conclude(policy(), plan)
    throttled = conclude(policy(), plan, (build.grant(allowed=False, retry_after=1.0),))

    assert restricted.restrictions == Restrictions(n=1)
    assert throttled.restrictions is None


@pytest.mark.parametrize(
    ("action", "status"), [(Action.CHALLENGE, 403), (Action.THROTTLE, 429), (Action.DENY, 403)]
)
def test_every_refusing_action_has_a_status(action: Action, status: int) -> None:
    decision = conclude(policy(), Plan(action=action))

    assert decision.status == status


def test_a_rollout_takes_its_share_of_accounts_and_keeps_them() -> None:
    requests = [build.request(account=f"acct_{i}") for i in range(4000)]

    taken = [request.account for request in requests if chosen(0.25, "canary", request)]
    again = [request.account for request in requests if chosen(0.25, "canary", request)]

    assert taken == again
    assert 0.22 < len(taken) / len(requests) < 0.28


def test_a_rule_acts_only_on_its_share_and_rehearses_on_the_rest() -> None:
    rules = policy(always("canary", Action.DENY, rollout=0.5))

    plans = [
        decide(rules, build.request(account=f"acct_{i}"), build.facts(), QUIET) for i in range(200)
    ]

    acted = [plan for plan in plans if plan.action is Action.DENY]
    rehearsed = [plan for plan in plans if plan.shadow]
    assert len(acted) + len(rehearsed) == 200
    assert 60 < len(acted) < 140


@given(st.floats(0.01, 0.98), st.floats(0.01, 0.02))
def test_a_wider_rollout_keeps_everybody_the_narrower_one_had(share: float, more: float) -> None:
    requests = [build.request(account=f"acct_{i}") for i in range(50)]

    narrow = {r.account for r in requests if chosen(share, "s", r)}
    wide = {r.account for r in requests if chosen(min(share + more, 1.0), "s", r)}

    assert narrow <= wide


def test_risk_is_looked_at_before_dearer_conditions_and_the_order_changes_nothing() -> None:
    asked: list[str] = []

    def condition(field: str, holds: bool) -> Condition:
        def test(_request: object, _facts: object, _assessment: object) -> bool:
            asked.append(field)
            return holds

        return Condition(field=field, text="", test=test)

    for network in (True, False):
        for risk in (True, False):
            asked.clear()
            rule = Rule(
                name="r",
                conditions=(condition("network", network), condition("risk", risk)),
                action=Action.DENY,
            )

            plan = decide(
                Policy(digest="d", source="s", rules=(rule,)), build.request(), build.facts(), QUIET
            )

            assert (plan.rule == "r") is (network and risk)
            assert rule.matches(build.request(), build.facts(), QUIET) is (network and risk)
            assert asked[0] == "risk"


def test_a_failed_credential_is_refused_only_where_it_reaches_a_model() -> None:
    for fault in (CredentialFault.EXPIRED, CredentialFault.KEYS_UNREACHABLE):
        request = build.request(
            credential_fault=fault, account=None, model_route=False, path="/login"
        )

        assert decide(policy(), request, build.facts(), QUIET).rule is None


def test_a_credential_that_reads_two_ways_is_refused_on_every_path() -> None:
    request = build.request(
        credential_fault=CredentialFault.TWO_CREDENTIALS, account=None, credential="ambiguous",
        model_route=False, path="/files",
    )  # fmt: skip

    plan = decide(policy(), request, build.facts(), QUIET)

    assert (plan.rule, plan.status) == ("guard:credential", 401)


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "", "XYZ"])
def test_where_websockets_are_refused_nothing_else_is(method: str) -> None:
    request = build.request(method=method)

    plan = decide(policy(websocket="deny"), request, build.facts(), QUIET)

    assert (plan.action, plan.rule) == (Action.ALLOW, None)


def test_keys_that_cannot_be_fetched_are_worth_another_try_in_five_seconds() -> None:
    request = build.request(account=None, credential_fault=CredentialFault.KEYS_UNREACHABLE)

    plan = decide(policy(), request, build.facts(), QUIET)

    assert (plan.status, plan.retry_after) == (503, 5.0)
