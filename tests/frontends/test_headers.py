"""Rate-limit headers, to the byte."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.frontends.headers import _forms, duration, merge, rate_limit_headers, rfc3339
from gateway_guard.types import Action, CampaignFacts, Charge, Dialect, Grant
from tests import build


def grant(
    limit: str, unit: str, quota: float, remaining: float, reset: float, window: float = 60.0
) -> Grant:
    charge = build.charge(
        limit=limit, key=f"{limit}:acct_test", unit=unit, quota=quota, window=window
    )
    return build.grant(charge=charge, remaining=remaining, reset=reset)


GRANTS = (
    grant("requests", "requests", 120, 118.7, 0.65),
    grant("daily", "requests", 1000, 400, 51_840, 86_400),
    grant("tokens", "tokens", 400_000, 96_200.9, 45.57),
    grant("input", "input-tokens", 9_000, 640, 56.2),
    grant("output", "output-tokens", 50_000, 49_600, 0.48),
    grant("in-flight", "concurrent", 16, 13, 0, 0),
)


def headers(dialect: Dialect, *grants: Grant, **decision: object) -> dict[str, str]:
    exchange = build.exchange(
        request=build.request(dialect=dialect),
        decision=build.decision(grants=grants or GRANTS, **decision),
    )
    return {k.decode(): v.decode() for k, v in rate_limit_headers(exchange)}


IETF = {
    "ratelimit-policy": '"requests";q=120;w=60,"daily";q=1000;w=86400,'
    '"tokens";q=400000;qu="tokens";w=60,"input";q=9000;qu="input-tokens";w=60,'
    '"output";q=50000;qu="output-tokens";w=60,"in-flight";q=16;qu="concurrent-requests"',
    "ratelimit": '"requests";r=118;t=1,"daily";r=400;t=51840,"tokens";r=96200;t=46,'
    '"input";r=640;t=57,"output";r=49600;t=1,"in-flight";r=13',
}


def test_another_dialect_gets_the_ietf_form() -> None:
    assert headers(Dialect.OTHER) == IETF


def test_openai_gets_its_own_beside_the_ietf_form() -> None:
    assert headers(Dialect.OPENAI) == IETF | {
        "x-ratelimit-limit-requests": "120",
        "x-ratelimit-remaining-requests": "118",
        "x-ratelimit-reset-requests": "650ms",
        "x-ratelimit-limit-tokens": "400000",
        "x-ratelimit-remaining-tokens": "96200",
        "x-ratelimit-reset-tokens": "45.57s",
    }


def test_anthropic_gets_its_own_beside_the_ietf_form() -> None:
    assert headers(Dialect.ANTHROPIC) == IETF | {
        "anthropic-ratelimit-requests-limit": "120",
        "anthropic-ratelimit-requests-remaining": "118",
        "anthropic-ratelimit-requests-reset": "2026-03-02T12:00:01Z",
        "anthropic-ratelimit-tokens-limit": "400000",
        "anthropic-ratelimit-tokens-remaining": "96000",
        "anthropic-ratelimit-tokens-reset": "2026-03-02T12:00:46Z",
        "anthropic-ratelimit-input-tokens-limit": "9000",
        "anthropic-ratelimit-input-tokens-remaining": "640",
        "anthropic-ratelimit-input-tokens-reset": "2026-03-02T12:00:57Z",
        "anthropic-ratelimit-output-tokens-limit": "50000",
        "anthropic-ratelimit-output-tokens-remaining": "50000",
        "anthropic-ratelimit-output-tokens-reset": "2026-03-02T12:00:01Z",
    }


def test_the_most_restrictive_of_two_limits_is_shown() -> None:
    shown = headers(
        Dialect.OPENAI,
        grant("minute", "requests", 60, 59, 1),
        grant("day", "requests", 1000, 3, 86_000, 86_400),
    )

    assert shown["x-ratelimit-limit-requests"] == "1000"
    assert shown["x-ratelimit-remaining-requests"] == "3"
    assert shown["x-ratelimit-reset-requests"] == "23h53m20s"


def test_a_burst_is_never_more_than_the_limit_in_the_dialects_own() -> None:
    shown = headers(Dialect.OPENAI, grant("burst", "requests", 60, 239, 1))

    assert shown["x-ratelimit-remaining-requests"] == "60"
    assert shown["ratelimit"] == '"burst";r=239;t=1'


def test_less_than_one_a_window_is_one_in_a_longer_one() -> None:
    shown = headers(
        Dialect.OPENAI,
        grant("tenth", "requests", 0.5, 1, 0),
        grant("places", "concurrent", 0.8, 1, 0, 0),
    )

    assert shown["ratelimit-policy"] == '"tenth";q=1;w=120,"places";q=1;qu="concurrent-requests"'
    assert shown["x-ratelimit-limit-requests"] == "1"
    assert shown["x-ratelimit-remaining-requests"] == "1"


def test_what_is_remembered_of_a_limit_follows_its_quota() -> None:
    texts = [
        headers(Dialect.OPENAI, grant("tokens", unit, quota, 5, 1))
        for unit, quota in [("tokens", 100), ("tokens", 50), ("requests", 50), ("tokens", 100)]
    ]

    assert texts[0] == texts[3]
    assert texts[1]["ratelimit-policy"] == '"tokens";q=50;qu="tokens";w=60'
    assert texts[1]["x-ratelimit-limit-tokens"] == "50"
    assert texts[2]["x-ratelimit-limit-requests"] == "50"


def test_a_limits_name_is_never_a_format() -> None:
    assert headers(Dialect.OTHER, grant("a%d", "requests", 9, 5, 1))["ratelimit"] == '"a%d";r=5;t=1'


def test_quotas_without_end_do_not_fill_the_memory() -> None:
    for quota in range(3000):
        headers(Dialect.OTHER, grant("many", "requests", quota + 1, 1, 1))

    assert len(_forms) <= 1024


def test_no_limit_no_header() -> None:
    exchange = build.exchange()

    assert rate_limit_headers(exchange) == []


def test_a_reset_is_never_later_than_retry_after() -> None:
    shown = headers(Dialect.OTHER, action=Action.THROTTLE, retry_after=3.2)

    assert shown["ratelimit"].startswith('"requests";r=118;t=1,"daily";r=400;t=4,')


def test_a_campaign_limit_is_never_shown() -> None:
    campaign = CampaignFacts(id="c_17", confidence=0.9)
    charge = build.charge(
        limit="campaign", key="campaign:c_17", unit="tokens", quota=10, hidden=True
    )
    own = grant("requests", "requests", 120, 118, 1)
    exchange = build.exchange(
        facts=build.facts(campaign=campaign),
        decision=build.decision(grants=(build.grant(charge=charge), own)),
    )
    alone = build.exchange(
        facts=build.facts(campaign=campaign),
        decision=build.decision(grants=(build.grant(charge=charge),)),
    )

    assert not any(b"campaign" in value for _, value in rate_limit_headers(exchange))
    assert rate_limit_headers(alone) == []


def test_whoever_asks_for_a_model_called_like_its_campaign_learns_nothing() -> None:
    own = build.grant(charge=build.charge(limit="model", key="model:acct_test|c_17"))
    decision = build.decision(grants=(own,))
    linked = build.facts(campaign=CampaignFacts(id="c_17", confidence=0.9))
    other = build.facts(campaign=CampaignFacts(id="c_18", confidence=0.9))

    first, second = (
        rate_limit_headers(build.exchange(facts=facts, decision=decision))
        for facts in (linked, other)
    )

    assert first == second != []


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, b"0s"),
        (0.0001, b"1ms"),
        (0.012, b"12ms"),
        (0.9999, b"1s"),
        (1, b"1s"),
        (1.5, b"1.5s"),
        (10, b"10s"),
        (60, b"1m0s"),
        (86.4, b"1m26.4s"),
        (360, b"6m0s"),
        (7203, b"2h0m3s"),
    ],
)
def test_durations_are_written_as_openai_does(seconds: float, text: bytes) -> None:
    assert duration(seconds) == text


@given(st.floats(min_value=0, max_value=1e7))
def test_a_duration_reads_back_at_most_a_millisecond_longer(seconds: float) -> None:
    text = duration(seconds).decode()

    read = 0.0
    if text.endswith("ms"):
        read = int(text[:-2]) / 1000
    else:
        number = ""
        for char in text:
            if char in "hms":
                read += float(number) * {"h": 3600, "m": 60, "s": 1}[char]
                number = ""
            else:
                number += char
    assert -1e-6 <= read - seconds <= 0.001001


def test_infinite_resets_and_huge_quotas_stay_well_formed() -> None:
    huge = Charge(
        limit="huge", key="k", unit="tokens", cost=1, capacity=1e30, rate=0, quota=1e30, window=0.2
    )
    forever = Grant(charge=huge, allowed=True, remaining=1e30, retry_after=0, reset=float("inf"))

    for dialect in Dialect:
        shown = headers(dialect, forever)

        assert shown["ratelimit-policy"] == '"huge";q=999999999999999;qu="tokens";w=1'
        assert shown["ratelimit"] == '"huge";r=999999999999999;t=999999999999999'


def test_times_are_rfc_3339() -> None:
    assert rfc3339(int(build.NOW)) == b"2026-03-02T12:00:00Z"


OURS = [
    (b"ratelimit", b'"requests";r=5;t=1'),
    (b"x-ratelimit-limit-requests", b"10"),
    (b"x-ratelimit-remaining-requests", b"5"),
    (b"x-ratelimit-reset-requests", b"1s"),
]


def upstream(remaining: bytes) -> list[tuple[bytes, bytes]]:
    return [
        (b"content-type", b"text/plain"),
        (b"RateLimit", b'"theirs";r=1;t=9'),
        (b"X-RateLimit-Limit-Requests", b"100"),
        (b"X-RateLimit-Remaining-Requests", remaining),
        (b"X-RateLimit-Reset-Requests", b"6m0s"),
        (b"x-ratelimit-remaining-project-tokens", b"7"),
    ]


def test_a_tighter_family_of_the_upstream_stays_whole() -> None:
    merged = merge(upstream(b"3"), OURS)

    assert merged == [*upstream(b"3"), OURS[0]]


def test_a_looser_family_of_the_upstream_is_replaced_whole() -> None:
    merged = merge(upstream(b"99"), OURS)

    assert merged == [*upstream(b"99")[:2], upstream(b"99")[5], *OURS]


def test_more_digits_than_python_reads_are_more_than_ours() -> None:
    endless = b"9" * 5_000

    merged = merge(upstream(endless), OURS)

    assert merged == [*upstream(endless)[:2], upstream(endless)[5], *OURS]


def test_an_upstream_that_counts_nothing_does_not_hide_what_is_left() -> None:
    merged = merge(upstream(b"-1"), OURS)

    assert merged == [*upstream(b"-1")[:2], upstream(b"-1")[5], *OURS]


def test_what_cannot_be_compared_stays_as_the_upstream_sent_it() -> None:
    assert merge(upstream(b"many"), OURS) == [*upstream(b"many"), OURS[0]]


def test_an_upstream_without_such_headers_gets_ours_appended() -> None:
    plain = [(b"content-type", b"text/plain")]

    assert merge(plain, OURS) == plain + OURS
    assert merge(plain, []) == plain
