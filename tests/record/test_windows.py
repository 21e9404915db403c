"""What was seen of late: counted in windows, in a fixed room, by one guard and by several."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.record.tally import LimitSeen, Tally
from gateway_guard.record.top import Top
from gateway_guard.record.windows import (
    DAY,
    HOUR,
    MOST_ACCOUNTS,
    MOST_LIMITS,
    SHOWN,
    Windows,
    merged,
)
from gateway_guard.types import Action, Assessment, Exchange
from tests import build

NOW = build.NOW


def exchange(
    at: float = NOW, *, action: Action = Action.ALLOW, risk: float = 0.0, account: str = "acct_a",
    acted: bool = True, network: dict[str, Any] | None = None, grants: Any = (),
) -> Exchange:  # fmt: skip
    return build.exchange(
        request=build.request(at=at, account=account),
        facts=build.facts(network=build.network(**(network or {}))),
        assessment=Assessment(risk=risk),
        decision=build.decision(action=action, acted=acted, grants=grants),
    )


def seen(*exchanges: Exchange, now: float = NOW, since: float = NOW - 2 * DAY) -> Tally:
    windows = Windows(since)
    for one in exchanges:
        windows.take(one)
    return windows.tally(now)


def test_an_exchange_counts_in_both_windows_and_leaves_them_when_it_is_old() -> None:
    once = exchange(NOW)

    for later, hour, day in ((0.0, 1, 1), (0.9 * HOUR, 1, 1), (1.2 * HOUR, 0, 1),
                             (0.9 * DAY, 0, 1), (1.1 * DAY, 0, 0)):  # fmt: skip
        tally = seen(once, now=NOW + later)
        assert (tally.hour.all, tally.day.all) == (hour, day), later


def test_actions_countries_networks_and_flags_are_counted() -> None:
    tally = seen(
        exchange(network={"flags": ["tor", "vpn"]}, action=Action.DENY),
        exchange(network={"flags": []}, action=Action.THROTTLE, acted=False),
        exchange(network={"country": None, "asn": None, "as_org": None}),
        exchange(network={"known": False}),
    )

    window = tally.hour
    assert window.actions == (2, 0, 0, 1, 1)
    assert window.rehearsed == 1
    assert {name: (one.all, one.stopped) for name, one in window.countries.items()} == {
        "NO": (2, 2), "unknown": (2, 0)
    }  # fmt: skip
    assert {name: one.all for name, one in window.flags.items()} == {
        "tor": 1, "vpn": 1, "none": 2, "unknown": 1
    }  # fmt: skip
    assert next((one.asn, one.all) for one in window.networks) == (64500, 2)


def test_bars_have_no_gaps_and_end_now() -> None:
    tally = seen(exchange(NOW - 120), exchange(NOW, action=Action.DENY))

    assert len(tally.hour.bars) == 60
    assert len(tally.day.bars) == 96
    assert tally.hour.bars[-1].actions == (0, 0, 0, 0, 1)
    assert tally.hour.bars[-3].actions == (1, 0, 0, 0, 0)
    assert sum(sum(bar.actions) for bar in tally.day.bars) == 2
    steps = {b.at - a.at for a, b in zip(tally.hour.bars, tally.hour.bars[1:], strict=False)}
    assert steps == {60.0}


def test_accounts_are_ranked_by_risk_and_ordinary_ones_are_left_out() -> None:
    tally = seen(
        exchange(account="acct_low", risk=0.2),
        exchange(account="acct_high", risk=0.8),
        exchange(account="acct_high", risk=0.1),
        exchange(account="acct_refused", action=Action.DENY),
        exchange(account="acct_ordinary"),
    )

    found = [(one.account, one.risk, one.all, one.stopped) for one in tally.hour.accounts]
    assert found == [
        ("acct_high", 0.8, 2, 0), ("acct_low", 0.2, 1, 0), ("acct_refused", 0.0, 1, 1)
    ]  # fmt: skip


def test_who_is_refused_without_any_risk_is_found_among_all_who_are_risky() -> None:
    """A rule about a country, or a limit, refuses them: they call and ask why."""
    risky = [exchange(account=f"acct_{number}", risk=0.5) for number in range(2 * SHOWN)]
    refused = [exchange(account="acct_refused", action=Action.DENY) for _ in range(3)]
    once = exchange(account="acct_once", action=Action.THROTTLE)

    tally = seen(*risky, *refused, once)

    assert [(one.account, one.stopped) for one in tally.hour.stopped] == [
        ("acct_refused", 3), ("acct_once", 1)
    ]  # fmt: skip
    assert "acct_refused" not in [one.account for one in tally.hour.accounts]


def test_who_is_stopped_most_is_known_over_several_guards() -> None:
    risky = [exchange(account=f"acct_{number}", risk=0.5) for number in range(2 * SHOWN)]
    one, other = (
        seen(*risky, exchange(account="acct_refused", action=Action.DENY)) for _ in range(2)
    )

    both = merged([one, other], NOW)

    assert [(found.account, found.stopped) for found in both.hour.stopped] == [("acct_refused", 2)]


def test_a_flood_of_accounts_takes_no_more_room_and_hides_nobody_riskier() -> None:
    windows = Windows(NOW)
    windows.take(exchange(account="acct_worst", risk=0.9))
    for _ in range(2):
        windows.take(exchange(account="acct_refused", action=Action.DENY))
    for number in range(20 * MOST_ACCOUNTS):
        windows.take(exchange(NOW + number / 100, account=f"acct_{number}", risk=0.5))

    tally = windows.tally(NOW + 60)

    assert tally.hour.accounts[0].account == "acct_worst"
    assert [one.account for one in tally.hour.stopped] == ["acct_refused"]
    assert len(tally.hour.accounts) == SHOWN
    assert len(windows._pane.accounts) <= 2 * MOST_ACCOUNTS


def test_limits_with_little_left_are_shown_until_they_have_drained() -> None:
    def charged(key: str, remaining: float, *, allowed: bool = True) -> Exchange:
        charge = build.charge(key=f"requests:{key}")
        grant = build.grant(charge=charge, remaining=remaining, allowed=allowed)
        return exchange(account=key, grants=(grant,))

    windows = Windows(NOW)
    for one in (charged("acct_a", 50.0), charged("acct_b", 12.0),
                charged("acct_c", 0.0, allowed=False)):  # fmt: skip
        windows.take(one)

    assert [(s.who, s.refused) for s in windows.tally(NOW).limits] == [
        ("acct_c", True), ("acct_b", False)
    ]  # fmt: skip
    # It regains one a second, of 60.
    assert [s.who for s in windows.tally(NOW + 20).limits] == ["acct_c"]
    assert windows.tally(NOW + 40).limits == ()
    windows.take(charged("acct_c", 59.0))
    assert [s.who for s in windows.tally(NOW).limits] == ["acct_b"]


def test_what_was_in_flight_is_not_believed_for_long() -> None:
    flying = LimitSeen("in-flight", "acct_a", "concurrent", 1.0, 10.0, 0.0, False, NOW)

    assert flying.left(NOW + 59) == 0.1
    assert flying.left(NOW + 61) == 1.0


def test_an_address_is_shown_only_where_the_log_may_hold_it() -> None:
    request = build.request(client_ip="198.51.100.7", subnet="198.51.100.0/24")
    grant = build.grant(charge=build.charge(limit="strangers", key="strangers:198.51.100.0/24"),
                        remaining=0.0)  # fmt: skip
    one = build.exchange(request=request, decision=build.decision(grants=(grant,)))
    shown, hidden = Windows(NOW), Windows(NOW, addresses=False)
    shown.take(one)
    hidden.take(one)

    assert shown.tally(NOW).limits[0].who == "198.51.100.0/24"
    assert hidden.tally(NOW).limits[0].who == ""


def test_an_account_is_shown_without_what_stands_before_it_in_the_key() -> None:
    charge = build.charge(limit="fair", key="fair/tokens:acct_a", unit="tokens")
    windows = Windows(NOW)
    windows.take(exchange(grants=(build.grant(charge=charge, remaining=0.0),)))

    assert windows.tally(NOW).limits[0].who == "acct_a"


def test_a_flood_of_limits_takes_no_more_room() -> None:
    windows = Windows(NOW)
    for number in range(20 * MOST_LIMITS):
        charge = build.charge(key=f"requests:acct_{number}")
        windows.take(exchange(grants=(build.grant(charge=charge, remaining=1.0),)))

    assert len(windows._limits) <= 2 * MOST_LIMITS


@given(st.lists(st.integers(0, 40), max_size=400))
def test_the_most_frequent_are_found_and_never_overcounted(keys: list[int]) -> None:
    top: Top[int] = Top(4)
    for key in keys:
        top.add(key)

    found = {key: count for key, count, _ in top.found()}
    assert len(found) <= 8
    for key, count in found.items():
        assert count <= keys.count(key)
    # Space-saving: whoever has more than one part in so many is in it.
    for key in set(keys):
        if keys.count(key) > len(keys) / 4:
            assert key in found


def test_several_guards_are_one() -> None:
    a = seen(exchange(account="acct_a", risk=0.3), exchange(account="acct_b", risk=0.2))
    b = seen(exchange(account="acct_a", risk=0.6, action=Action.DENY), since=NOW - 5)

    both = merged([a, b], NOW)

    assert both.since == NOW - 5
    assert both.hour.actions == (2, 0, 0, 0, 1)
    assert [(one.account, one.risk, one.all) for one in both.hour.accounts] == [
        ("acct_a", 0.6, 2), ("acct_b", 0.2, 1)
    ]  # fmt: skip
    assert both.hour.countries["NO"].all == 3
    assert both.hour.networks[0].all == 3
    assert len(both.hour.bars) == 60
    assert sum(sum(bar.actions) for bar in both.hour.bars) == 3
    assert merged([], NOW).day.all == 0


@pytest.mark.parametrize("order", [1, -1])
def test_one_guards_view_of_a_limit_counts_when_it_is_the_latest(order: int) -> None:
    old = LimitSeen("tokens", "acct_a", "tokens", 1.0, 10.0, 0.0, True, NOW - 5)
    new = LimitSeen("tokens", "acct_a", "tokens", 2.0, 10.0, 0.0, False, NOW)
    tallies = [Tally(now=NOW, since=NOW, limits=(one,)) for one in (old, new)][::order]

    assert merged(tallies, NOW).limits == (new,)


def test_a_clock_that_goes_back_loses_nothing() -> None:
    tally = seen(exchange(NOW), exchange(NOW - 500))

    assert tally.hour.all == 2
