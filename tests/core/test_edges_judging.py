"""Where judging begins and ends: shares, waits, bands, and the words for them."""

from __future__ import annotations

import math

import pytest

from gateway_guard.core.adapt import Adapt, factor, held_risk, hold
from gateway_guard.core.buckets import Bucket, fits, reset_after, wait
from gateway_guard.core.charging import Charging
from gateway_guard.core.decide import conclude, decide
from gateway_guard.core.explain import explain_tree, seconds
from gateway_guard.core.limits import Limit, actuals, charges_for, estimates
from gateway_guard.core.policy import Policy
from gateway_guard.types import (
    Action,
    Assessment,
    Exchange,
    Held,
    Inspection,
    NetworkFacts,
    Outcome,
    Plan,
    Usage,
)
from tests import build

QUIET = Assessment()
POLICY = build.policy(
    """
    mode: enforce
    signals: { template-sweep: { weight: 0.6 } }
    limits: { tokens: { per: account, tokens: 400000/minute } }
    """
)


def tree(exchange: Exchange) -> list[str]:
    return explain_tree(exchange, POLICY)


def test_a_policy_on_trial_is_enforced_for_its_share_of_accounts_and_no_other() -> None:
    half = Policy(digest="d", source="p.yaml", enforce=True, rules=(), rollout=0.5)
    watching = Policy(digest="d", source="p.yaml", enforce=False, rules=(), rollout=1.0)
    requests = [build.request(account=f"acct_{i}") for i in range(400)]

    enforced = [decide(half, one, build.facts(), QUIET).enforced for one in requests]

    assert 140 < sum(enforced) < 260
    assert not any(decide(watching, one, build.facts(), QUIET).enforced for one in requests[:20])


def test_of_equal_waits_the_first_limit_is_named_and_of_others_the_longest() -> None:
    def refused(limit: str, wait: float) -> object:
        return build.grant(charge=build.charge(limit=limit), allowed=False, retry_after=wait)

    plan = Plan(action=Action.ALLOW, enforced=True)

    def named(*grants: object) -> tuple[str | None, float | None]:
        decision = conclude(POLICY, plan, grants)  # type: ignore[arg-type]
        assert (decision.action, decision.status) == (Action.THROTTLE, 429)
        return decision.rule, decision.retry_after

    assert named(refused("a", 5.0), refused("b", 5.0)) == ("limit:a", 5.0)
    assert named(refused("a", 5.0), refused("b", 6.0)) == ("limit:b", 6.0)
    assert named(refused("a", 6.0), refused("b", 5.0)) == ("limit:a", 6.0)
    # A place that may be free at once is refused all the same.
    assert named(refused("a", 0.0)) == ("limit:a", 0.0)
    assert named(refused("a", 5.0), refused("b", math.inf)) == ("limit:b", None)


@pytest.mark.parametrize(
    ("inspection", "status"),
    [
        (Inspection.TOO_LARGE, 413),
        (Inspection.ENCODING, 415),
        (Inspection.CONTENT_TYPE, 415),
        (Inspection.NOT_JSON, 400),
        (Inspection.DUPLICATE_KEYS, 400),
    ],
)
def test_a_body_that_cannot_be_read_is_refused_with_what_http_has_for_it(
    inspection: Inspection, status: int
) -> None:
    policy = build.policy("mode: enforce\non_error: { body: deny }\n")

    plan = decide(policy, build.request(inspection=inspection), build.facts(), QUIET)

    assert (plan.rule, plan.status) == ("guard:body", status)


def test_without_counted_limits_a_caller_is_told_when_to_come_back() -> None:
    policy = build.policy("mode: enforce\non_error: { store: deny }\n")

    plan = Plan(action=Action.ALLOW, enforced=True)
    decisions = [conclude(policy, plan, (), ("store",), *again) for again in ((), (17.0,))]

    assert {(decision.rule, decision.status) for decision in decisions} == {("guard:store", 503)}
    assert [decision.retry_after for decision in decisions] == [1.0, 17.0]


def limit(unit: str, quota: float, adapt: Adapt | None = None) -> Limit:
    return Limit(
        name="x", per=("account",), unit=unit, quota=quota, window=60, burst=quota, adapt=adapt
    )


@pytest.mark.parametrize(
    ("unit", "share", "capacity"),
    # 100 x 0.29 is 28.999999999999996 in doubles.
    [("concurrent", 0.29, 29.0), ("concurrent", 0.299, 29.0), ("concurrent", 0.001, 1.0),
     ("requests", 0.015, 1.5), ("requests", 0.001, 1.0), ("tokens", 0.001, 0.1),
     ("concurrent", 0.0, 0.0), ("requests", 0.0, 0.0), ("requests", 1.0, 100.0)],
)  # fmt: skip
def test_a_share_of_a_hundred(unit: str, share: float, capacity: float) -> None:
    subject = limit(unit, 100.0, Adapt(risk=((0.5, share),)))

    (charge,) = charges_for((subject,), build.request(), build.facts(), Assessment(risk=0.5))

    assert charge.capacity == pytest.approx(capacity)
    assert charge.quota == pytest.approx(100.0 * share)
    assert charge.rate == pytest.approx(100.0 * share / 60.0)


def test_of_a_cap_16384_tokens_are_reserved_unless_it_is_a_batch() -> None:
    def reserved(cap: int, n: int = 1, batch: int = 0) -> object:
        return estimates(
            build.request(prompt=build.prompt(max_output_tokens=cap, n=n, batch=batch))
        )

    assert reserved(16_384) == (10, 16_384)
    assert reserved(16_385) == (10, 16_384)
    assert reserved(20_000, n=2) == (10, 32_768)
    assert reserved(20_000, batch=1) == (10, 20_000)
    assert reserved(1) == (10, 1)


def test_a_body_nobody_read_is_taken_for_1024_tokens_each_way() -> None:
    socket = build.request(prompt=None, inspection=Inspection.NONE, method="WEBSOCKET")

    assert estimates(socket) == (1024, 1024)
    assert estimates(build.request()) == (10, 1024)


def test_what_was_refused_after_all_costs_nothing_of_any_unit() -> None:
    subject = [build.charge(unit=unit, cost=7.0) for unit in ("requests", "tokens", "concurrent")]
    refused = Usage(input_tokens=5, output_tokens=6, outcome=Outcome.REFUSED, status=429)

    assert actuals(subject, build.request(), refused) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("read", "written", "reported", "expected"),
    [
        (5, 6, True, (7.0, 11.0, 0.0, 5.0, 6.0)),
        # What nobody counted stays as estimated: 10 read, 50 x 2 written.
        (None, 6, True, (7.0, 16.0, 0.0, 10.0, 6.0)),
        (5, None, False, (7.0, 105.0, 0.0, 5.0, 100.0)),
        (0, 0, True, (7.0, 0.0, 0.0, 0.0, 0.0)),
        # An estimate of what was delivered is no more than was allowed; a report may be.
        (5, 101, False, (7.0, 105.0, 0.0, 5.0, 100.0)),
        (5, 100, False, (7.0, 105.0, 0.0, 5.0, 100.0)),
        (5, 99, False, (7.0, 104.0, 0.0, 5.0, 99.0)),
        (5, 101, True, (7.0, 106.0, 0.0, 5.0, 101.0)),
    ],
)
def test_what_was_counted_is_charged_by_unit(
    read: int | None, written: int | None, reported: bool, expected: tuple[float, ...]
) -> None:
    units = ("requests", "tokens", "concurrent", "input-tokens", "output-tokens")
    subject = [build.charge(unit=unit, cost=7.0) for unit in units]
    request = build.request(prompt=build.prompt(max_output_tokens=50, n=2))
    usage = Usage(
        input_tokens=read, output_tokens=written, outcome=Outcome.COMPLETED, status=200,
        reported=reported,
    )  # fmt: skip

    assert actuals(subject, request, usage) == expected


def test_what_may_write_nothing_has_written_nothing_unless_it_is_reported() -> None:
    request = build.request(prompt=build.prompt(max_output_tokens=0))
    written = Usage(
        input_tokens=5, output_tokens=3, outcome=Outcome.COMPLETED, status=200, reported=False
    )

    assert actuals([build.charge(unit="output-tokens")], request, written) == (0.0,)


def test_ages_and_risks_fall_into_the_band_that_begins_with_them() -> None:
    adapt = Adapt(risk=((0.3, 0.5), (0.6, 0.25)), age=((100.0, 0.2), (200.0, 0.6)), unknown_age=0.7)

    def share(risk: float, age: float | None) -> float:
        created = None if age is None else build.NOW - age
        facts = build.facts(account=build.account(created_at=created))
        return factor(adapt, facts, risk, build.NOW)

    assert [share(risk, 300.0) for risk in (0.29, 0.3, 0.59, 0.6, 1.0)] == [1, 0.5, 0.5, 0.25, 0.25]
    assert [share(0.0, age) for age in (0.0, 99.0, 100.0, 199.0, 200.0)] == [0.2, 0.2, 0.6, 0.6, 1]
    assert share(0.0, None) == 0.7
    assert share(0.3, 0.0) == pytest.approx(0.1)


def test_a_region_and_a_tier_that_nobody_knows_have_a_share_of_their_own() -> None:
    adapt = Adapt(region={"NO": 0.5, "unknown": 0.25}, tier={"gold": 2.0, "unknown": 0.5})

    def share(country: str | None, tier: str | None) -> float:
        network = NetworkFacts(country=country)
        facts = build.facts(network=network, account=build.account(tier=tier))
        return factor(adapt, facts, 0.0, build.NOW)

    assert share("NO", "gold") == 1.0
    assert share("SE", "silver") == 1.0
    assert share(None, None) == 0.125


def test_a_risk_is_forgotten_in_a_line_and_no_sooner_by_a_clock_set_back() -> None:
    held = Held()
    hold(held, 0.8, 1000.0, 100.0)

    assert held_risk(held, 0.0, 1000.0, 100.0) == 0.8
    assert held_risk(held, 0.0, 1040.0, 100.0) == pytest.approx(0.4)
    assert held_risk(held, 0.0, 1090.0, 100.0) == 0.0
    assert held_risk(held, 0.0, 900.0, 100.0) == 0.8
    assert held_risk(held, 0.0, 1000.0, 0.0) == 0.0
    assert held_risk(held, 0.9, 1000.0, 100.0) == 0.9
    hold(held, 0.5, 1010.0, 100.0)
    assert (held.risk, held.at) == (0.8, 1000.0)
    hold(held, 0.8, 990.0, 100.0)
    assert (held.risk, held.at) == (0.8, 1000.0)
    hold(held, 0.0, 5000.0, 100.0)
    assert (held.risk, held.at) == (0.8, 1000.0)
    hold(held, 0.45, 1040.0, 100.0)
    assert (held.risk, held.at) == (0.45, 1040.0)


@pytest.mark.parametrize(
    ("value", "text"),
    [(119.9, "120 s"), (120.0, "2 min"), (7_199.0, "120 min"), (7_200.0, "2 h"),
     (172_799.0, "48 h"), (172_800.0, "2 days"), (90_000.0, "25 h"), (0.0, "0 s"),
     (math.inf, "ever")],
)  # fmt: skip
def test_a_duration_changes_its_unit_at_two_of_the_next(value: float, text: str) -> None:
    assert seconds(value) == text


@pytest.mark.parametrize(
    ("age", "text"),
    [(-1.0, "not yet a day old"), (0.0, "0 s old"), (86_399.0, "24 h old"), (86_400.0, "1 day old"),
     (172_799.0, "1 day old"), (172_800.0, "2 days old")],
)  # fmt: skip
def test_an_account_is_so_many_whole_days_old(age: float, text: str) -> None:
    facts = build.facts(account=build.account(created_at=build.NOW - age))

    assert f"account {text}" in tree(build.exchange(facts=facts))[2]


@pytest.mark.parametrize(
    ("left", "text"),
    [(99.4, "99.40"), (99.0, "99"), (100.4, "100"), (1234.5, "1,234"), (0.0, "0"), (math.inf, "∞")],
)
def test_small_numbers_keep_their_fraction(left: float, text: str) -> None:
    grant = build.grant(remaining=left)

    line = tree(build.exchange(decision=build.decision(grants=(grant,))))[5]

    assert line == f"├ reserve   requests {text} of 60 left"


@pytest.mark.parametrize(
    ("account", "text"), [("a" * 12, "a" * 12), ("a" * 13, "a" * 11 + "…"), (None, "no account")]
)
def test_an_account_of_more_than_twelve_characters_is_cut(account: str | None, text: str) -> None:
    line = tree(build.exchange(request=build.request(account=account)))[0]

    assert line.split("  ")[3] == text


def test_a_status_is_shown_of_what_refuses_and_has_one() -> None:
    def shown(action: Action, status: int | None) -> str:
        return tree(build.exchange(decision=build.decision(action=action, status=status)))[0]

    assert shown(Action.DENY, 403).endswith("acct_test  deny 403")
    assert shown(Action.DENY, None).endswith("acct_test  deny")
    assert shown(Action.ALLOW, 200).endswith("acct_test  allow")


def test_of_a_model_s_name_64_characters_are_shown() -> None:
    line = tree(build.exchange(request=build.request(model="m" * 64 + "n")))[0]

    assert line.split("  ")[2] == "m" * 64


def test_an_indicator_from_the_future_has_no_age() -> None:
    facts = build.facts(indicators=(build.indicator(at=build.NOW + 10.0),))

    assert tree(build.exchange(facts=facts))[2].endswith("0.95, 0 s old")


def test_nothing_is_reserved_where_another_limit_had_no_room() -> None:
    took = build.grant(charge=build.charge(cost=5.0))
    refused = build.grant(charge=build.charge(limit="other", cost=5.0), allowed=False)

    alone = tree(build.exchange(decision=build.decision(grants=(took,))))
    beside = tree(build.exchange(decision=build.decision(grants=(took, refused))))

    assert alone[5] == "├ reserve   requests 59 of 60 left, 5 reserved"
    assert beside[5] == "├ reserve   requests 59 of 60 left"
    assert beside[6] == "│           other 59 of 60 left, 5 asked: no room for 0 s"


def test_a_quota_as_large_as_the_policy_has_it_needs_no_second_figure() -> None:
    def line(capacity: float) -> str:
        charge = build.charge(limit="tokens", capacity=capacity)
        return tree(build.exchange(decision=build.decision(grants=(build.grant(charge=charge),))))[
            5
        ]

    assert line(400_000.0) == "├ reserve   tokens 59 of 400,000 left"
    assert line(300_000.0) == (
        "├ reserve   tokens 59 of 300,000 left (75 % of 400,000 for this account now)"
    )
    assert line(800_000.0) == (
        "├ reserve   tokens 59 of 800,000 left (200 % of 400,000 for this account now)"
    )
    assert line(4_000_000.0) == (
        "├ reserve   tokens 59 of 4,000,000 left (1,000 % of 400,000 for this account now)"
    )


def test_signals_stand_in_columns_and_one_nobody_weighs_weighs_nothing() -> None:
    assessment = Assessment(
        signals=(build.signal("template-sweep", 0.5, "a"), build.signal("odd", 0.25, "b")), risk=0.3
    )

    assert tree(build.exchange(assessment=assessment))[3:6] == [
        "├ assess    risk 0.30",
        "│ ├ template-sweep  0.50 × 0.6  a",
        "│ └ odd             0.25 × 0  b",
    ]


def test_a_bucket_fits_to_the_brim_and_says_when_it_is_empty() -> None:
    charge = build.charge(capacity=10.0, cost=4.0, rate=2.0)

    assert [fits(level, charge) for level in (0.0, 6.0, 6.00001, 10.0)] == [
        True,
        True,
        False,
        False,
    ]
    assert [wait(level, charge) for level in (1.0, 6.0, 7.0, 10.0)] == [0.0, 0.0, 0.5, 2.0]
    assert [reset_after(level, charge) for level in (0.0, 1.0, 10.0)] == [0.0, 0.5, 5.0]
    still = build.charge(rate=0.0)
    assert reset_after(0.0, still) == 0.0
    assert reset_after(0.5, still) == float("inf")
    assert reset_after(5.0, build.charge(unit="concurrent", rate=0.0)) == 0.0
    assert wait(5.0, build.charge(unit="concurrent", rate=0.0)) == 1.0
    bucket = Bucket(used=5.0, at=100.0)
    assert [bucket.level(1.0, now) for now in (99.0, 100.0, 102.0, 105.0, 106.0)] == [5, 5, 3, 0, 0]
    assert [bucket.level(1.0, now) for now in (99.5, 100.5, 104.5, 105.5)] == [5, 4.5, 0.5, 0]
    bucket.set(-1.0, 99.0)
    assert (bucket.used, bucket.at) == (0.0, 100.0)
    bucket.set(0.5, 101.0)
    assert (bucket.used, bucket.at) == (0.5, 101.0)
    bucket.set(-0.5, 101.5)
    assert (bucket.used, bucket.at) == (0.0, 101.5)
    for level, over in ((6.5, 0.25), (6.0, 0.0), (5.5, 0.0), (16.0, 5.0)):
        assert wait(level, charge) == over
    # What could never fit waits for an empty bucket, and a suspended quota for ever.
    assert wait(3.0, build.charge(capacity=10.0, cost=50.0, rate=2.0)) == 1.5
    assert wait(0.0, build.charge(capacity=0.0)) == math.inf
    assert wait(0.0, build.charge(rate=0.0)) == math.inf
    assert wait(60.0, build.charge(rate=0.5)) == 2.0
    assert not fits(0.0, build.charge(capacity=0.0, cost=0.0))
    assert fits(0.0, build.charge(capacity=0.5, cost=5.0))


def test_what_is_remembered_of_an_account_is_what_it_would_be_asked_at_any_risk() -> None:
    policy = build.policy(
        """
        mode: enforce
        signals: { template-sweep: { weight: 0.9 } }
        limits:
          tokens: { per: account, tokens: 1000/minute, adapt: { risk: { 0.2: 90%, 0.6: 10% } } }
        """
    )
    remembered = Charging(policy.limits)
    facts = build.facts(held=Held())

    for risk in (0.0, 0.1, 0.2, 0.5, 0.6, 0.95, 0.0, 0.19):
        seen = Assessment(risk=risk)
        found = remembered.charges(build.request(), facts, seen)
        assert found == charges_for(policy.limits, build.request(), facts, seen)
