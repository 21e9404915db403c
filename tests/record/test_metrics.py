"""Metrics: every documented family, counted right, with labels nobody outside can choose."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from gateway_guard.record.metrics import METRICS, MOST_KEYS, Metrics
from gateway_guard.types import Action, Assessment, Inspection, ShadowHit, Usage
from tests import build


def samples(metrics: Metrics) -> dict[tuple[str, tuple[str, ...]], float]:
    """(sample, values of its labels in alphabetical order of their names) → value."""
    text = metrics.render()[0].decode()
    return {
        (sample.name, tuple(sample.labels[name] for name in sorted(sample.labels))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_every_documented_metric_is_rendered_with_its_text() -> None:
    text = Metrics().render()[0].decode()

    for name, meaning in METRICS.items():
        assert f"# HELP {name} {meaning}" in text
        assert name.endswith(("_total", "_seconds", "_info"))


def test_a_plain_exchange_is_counted_by_action_rule_outcome_and_tokens() -> None:
    metrics = Metrics()
    for _ in range(3):
        metrics.settled(build.exchange(usage=Usage(input_tokens=10, output_tokens=4)))

    seen = samples(metrics)

    assert seen["gateway_guard_decisions_total", ("true", "allow")] == 3
    assert seen["gateway_guard_rule_decisions_total", ("allow", "default")] == 3
    assert seen["gateway_guard_outcomes_total", ("completed",)] == 3
    assert seen["gateway_guard_tokens_total", ("input",)] == 30
    assert seen["gateway_guard_tokens_total", ("output",)] == 12


def test_an_unusual_exchange_counts_limits_signals_shadow_and_failures() -> None:
    metrics = Metrics()
    full = build.grant(charge=build.charge(limit="tokens"), allowed=False)

    metrics.settled(
        build.exchange(
            request=build.request(inspection=Inspection.NOT_JSON),
            assessment=Assessment(signals=(build.signal("volume-shift"),), risk=0.2),
            decision=build.decision(
                action=Action.THROTTLE,
                acted=False,
                rule="limit:tokens",
                grants=(build.grant(), full),
                shadow=(ShadowHit(rule="later", action=Action.DENY),),
                degraded=("store",),
            ),
        )
    )
    seen = samples(metrics)

    assert seen["gateway_guard_decisions_total", ("false", "throttle")] == 1
    assert seen["gateway_guard_limit_refusals_total", ("tokens",)] == 1
    assert seen["gateway_guard_signals_total", ("volume-shift",)] == 1
    assert seen["gateway_guard_shadow_matches_total", ("deny", "later")] == 1
    assert seen["gateway_guard_degraded_total", ("store",)] == 1
    assert seen["gateway_guard_uninspected_total", ("not-json",)] == 1


def test_an_unreadable_body_that_was_let_through_is_counted_too() -> None:
    metrics = Metrics()
    metrics.settled(build.exchange(request=build.request(inspection=Inspection.TOO_LARGE)))

    assert samples(metrics)["gateway_guard_uninspected_total", ("too-large",)] == 1


def test_rule_names_of_a_thousand_reloads_do_not_grow_the_page_for_ever() -> None:
    metrics = Metrics()
    for number in range(MOST_KEYS + 500):
        metrics.settled(build.exchange(decision=build.decision(rule=f"rule-{number}")))

    seen = samples(metrics)

    rules = [key for key in seen if key[0] == "gateway_guard_rule_decisions_total"]
    assert len(rules) == MOST_KEYS + 1
    assert seen["gateway_guard_rule_decisions_total", ("allow", "other")] == 500
    assert seen["gateway_guard_decisions_total", ("true", "allow")] == MOST_KEYS + 500


def test_no_label_holds_an_account_an_address_a_model_or_a_path() -> None:
    metrics = Metrics()
    metrics.settled(build.exchange(usage=Usage()))

    text = metrics.render()[0].decode()

    for secret in ("acct_test", "198.51.100", "apex-4", "/v1/chat"):
        assert secret not in text


def test_the_time_to_decide_is_a_cumulative_histogram() -> None:
    metrics = Metrics()
    for seconds in (0.000_02, 0.000_04, 0.000_04, 7.0):
        metrics.decided(seconds)

    seen = samples(metrics)

    assert seen["gateway_guard_decision_seconds_bucket", ("2.5e-05",)] == 1
    assert seen["gateway_guard_decision_seconds_bucket", ("5e-05",)] == 3
    assert seen["gateway_guard_decision_seconds_bucket", ("+Inf",)] == 4
    assert seen["gateway_guard_decision_seconds_count", ()] == 4


def test_reloads_and_what_others_publish_are_read_when_asked() -> None:
    metrics = Metrics()
    metrics.reloaded(True)
    metrics.reloaded(False)
    metrics.gauge("in_flight", "Under way.", lambda: 7.0)
    metrics.counter("log_dropped", "Lines dropped.", lambda: 3.0)
    metrics.counters("failures", "Failures.", "dependency", lambda: {"store": 2.0})

    seen = samples(metrics)

    assert seen["gateway_guard_reloads_total", ("good",)] == 1
    assert seen["gateway_guard_reloads_total", ("failed",)] == 1
    assert seen["gateway_guard_in_flight", ()] == 7
    assert seen["gateway_guard_log_dropped_total", ()] == 3
    assert seen["gateway_guard_failures_total", ("store",)] == 2
