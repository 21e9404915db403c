"""What a report says of a campaign, and what it must never say."""

from __future__ import annotations

import functools
import itertools
from typing import Final

import msgspec
import pytest

from gateway_guard.campaigns import report as module
from gateway_guard.campaigns.evidence import Verdict
from gateway_guard.campaigns.linker import Linker
from gateway_guard.campaigns.membership import BURST, PRIOR
from gateway_guard.campaigns.postings import Postings
from gateway_guard.campaigns.report import Report, report_of
from gateway_guard.campaigns.sharing import Tie
from tests.campaigns.build import learnt
from tests.campaigns.nature import HOUR, START
from tests.campaigns.reported import SECRET, stream

ONLY: Final = "c_0001"


@functools.cache
def linker() -> Linker:
    """Read only: a test that changes one teaches its own."""
    return learnt(stream())


@functools.cache
def report() -> Report:
    return report_of(linker(), ONLY, made_at=1.8e9, policy="3f9a1c22")


def ties(kind: str) -> list[Tie]:
    return [tie for tie in report().ties if tie.kind == kind]


def test_a_report_holds_no_value_that_members_share() -> None:
    text = msgspec.json.encode(report()).decode()

    assert SECRET not in text
    for trace in linker().memory.traces.values():
        for value in (*trace.subnets, *trace.addresses, *trace.shared):
            assert str(value) not in text
            assert f"{value:016x}" not in text


def test_a_campaign_that_is_not_held_has_no_report() -> None:
    with pytest.raises(LookupError, match="no campaign is held by the name 'c_0404'"):
        report_of(linker(), "c_0404")


def test_a_report_is_the_same_twice() -> None:
    again = report_of(learnt(stream()), ONLY, made_at=1.8e9, policy="3f9a1c22")

    assert msgspec.json.encode(again) == msgspec.json.encode(report())


def test_a_report_can_be_read_back() -> None:
    assert msgspec.json.decode(msgspec.json.encode(report()), type=Report) == report()


def test_totals_are_those_of_the_members() -> None:
    accounts = {member.account for member in report().members}
    mine = [seen for seen in stream() if seen.account in accounts]

    assert report().size == len(accounts) > 15
    assert report().organisations == len({seen.organisation for seen in mine})
    assert report().exchanges == len(mine)
    assert report().refused == sum(seen.refused for seen in mine)
    assert report().tokens == sum(seen.tokens for seen in mine)
    assert report().share == len(mine) / len(stream())
    assert report().first_seen == min(seen.at for seen in mine)
    assert report().last_at == max(seen.at for seen in mine)


def test_it_is_as_of_the_latest_exchange_when_no_time_is_given() -> None:
    assert report_of(linker(), ONLY).made_at == linker().held[ONLY].last_at


def test_the_verdict_is_there_in_words_and_in_figures() -> None:
    held = linker().held[ONLY]

    assert report().verdict == held.verdict
    assert isinstance(report().verdict, Verdict)
    assert any(word.startswith("payment: ") for word in report().evidence)
    assert 0.9 < report().confidence <= 1.0


def test_what_each_thing_adds_comes_to_the_points() -> None:
    for member in report().members:
        assert member.points == pytest.approx(PRIOR + sum(member.adds.values()))


def test_members_come_with_the_surest_first() -> None:
    sure = [member.confidence for member in report().members]

    assert sure == sorted(sure, reverse=True)


def test_accounts_of_one_organisation_bear_one_label() -> None:
    home = {seen.account: seen.organisation for seen in stream()}
    labels: dict[str | None, set[str]] = {}
    for member in report().members:
        labels.setdefault(home[member.account], set()).add(member.organisation)

    assert all(len(found) == 1 for found in labels.values())
    assert len({label for found in labels.values() for label in found}) == len(labels)


def test_what_is_not_known_of_a_member_is_none() -> None:
    unknown = [member for member in report().members if member.created_at is None]

    assert len(unknown) == 2
    assert {member.verified for member in unknown} == {None}


def test_members_that_share_a_payment_share_its_label() -> None:
    paid = {seen.account: seen.payment for seen in stream()}

    assert [tie.label for tie in ties("payment")] == ["P1", "P2", "P3", "P4"]
    for tie in ties("payment"):
        assert len({paid[account] for account in tie.members}) == 1
        assert tie.size == len(tie.members)
    sizes = [tie.size for tie in ties("payment")]
    assert sizes == sorted(sizes, reverse=True)


def test_a_value_shared_within_one_organisation_is_no_tie() -> None:
    home = {seen.account: seen.organisation for seen in stream()}
    own = [account for account in home if home[account] == f"{SECRET}-organisation-0"]
    seen = [
        msgspec.structs.replace(one, payment="p_own") if one.account in own else one
        for one in stream()
    ]

    found = report_of(learnt(seen), ONLY)

    assert len(own) == 2
    paying = {account for tie in found.ties if tie.kind == "payment" for account in tie.members}
    assert paying
    assert paying.isdisjoint(own)


def test_every_kind_of_shared_value_is_told() -> None:
    assert len(ties("addresses")) == 6
    assert [tie.size for tie in ties("client")] == [9]
    assert [tie.size for tie in ties("content")] == [report().size]
    assert {label for member in report().members for label in member.ties} == {
        tie.label for tie in report().ties
    }


def test_a_burst_of_sign_ups_has_no_gap_longer_than_half_an_hour() -> None:
    created = {seen.account: seen.created_at or 0.0 for seen in stream()}

    assert len(ties("sign-up")) == 2
    for tie in ties("sign-up"):
        times = sorted(created[account] for account in tie.members)
        assert (times[0], times[-1]) == (tie.first_at, tie.last_at)
        assert all(b - a <= BURST for a, b in itertools.pairwise(times))


@pytest.mark.parametrize(("gap", "bursts"), [(BURST, 1), (BURST + 1.0, 2)])
def test_a_burst_ends_where_half_an_hour_passes_without_a_sign_up(gap: float, bursts: int) -> None:
    # All on one second, but the last few that signed up: those come `gap` later.
    late = START - 3 * 86400.0
    seen = [
        one
        if one.created_at is None or "stranger" in one.account
        else msgspec.structs.replace(
            one, created_at=START - 9e6 + (gap if one.created_at > late else 0.0)
        )
        for one in stream()
    ]

    found = report_of(learnt(seen), ONLY)

    assert len([tie for tie in found.ties if tie.kind == "sign-up"]) == bursts


def test_others_with_the_same_value_are_counted_as_far_as_they_are_remembered() -> None:
    seen = stream()
    frame = next(one.keys[0] for one in seen if not one.account.startswith("a_stranger"))
    taught_so = learnt(
        [
            msgspec.structs.replace(one, keys=(*one.keys, frame))
            if one.account == "a_stranger0001"
            else one
            for one in seen
        ]
    )

    with_it, without = report_of(taught_so, ONLY), report()

    assert sum(template.outside for template in without.templates) == 0
    assert sum(template.outside for template in with_it.templates) == 1
    taught_so.memory.payments = Postings(values=1, most=1)
    assert {t.outside for t in report_of(taught_so, ONLY).ties if t.kind == "payment"} == {0}


def test_keys_that_the_same_members_share_are_one_template() -> None:
    (template,) = report().templates

    assert template.parts == 3
    assert template.members == report().size
    assert 0 < template.exchanges <= report().exchanges
    assert template.shortest == 700
    assert template.longest == 900
    assert len(template.digest) == 12


def test_a_template_that_is_not_counted_has_no_length() -> None:
    taught_so = learnt(stream())
    taught_so.held[ONLY].templates.clear()

    (template,) = report_of(taught_so, ONLY).templates

    assert (template.exchanges, template.shortest, template.longest) == (0, None, None)


def test_before_the_alarm_activity_is_known_and_exchanges_are_not() -> None:
    alarm = report().alarm_at
    before = [hour for hour in report().hours if hour.at + HOUR <= alarm]
    after = [hour for hour in report().hours if hour.at > alarm]

    assert before
    assert all(hour.exchanges is None and hour.active > 0 for hour in before)
    assert all(hour.exchanges is not None for hour in after)
    counted = sum(hour.exchanges or 0 for hour in report().hours)
    assert counted + report().before == report().exchanges
    times = [hour.at for hour in report().hours]
    assert times == sorted(set(times))


def test_an_hour_after_the_alarm_in_which_no_member_was_counted_had_none() -> None:
    taught_so = learnt(stream())
    held = taught_so.held[ONLY]
    number = sorted(held.hours)[30]
    del held.hours[number]

    (hour,) = [one for one in report_of(taught_so, ONLY).hours if one.at == number * HOUR]

    assert (hour.exchanges, hour.refused, hour.tokens) == (0, 0, 0)


def test_hours_of_the_day_are_counted_in_utc() -> None:
    by_hour = [0] * 24
    for member in report().members:
        hours = {int(s.at // HOUR) for s in stream() if s.account == member.account}
        assert sum(member.active) == len(hours)
        for hour in hours:
            by_hour[hour % 24] += 1

    assert list(report().active) == by_hour


def test_networks_say_who_declared_another_country() -> None:
    assert sum(network.members for network in report().networks) == report().size
    assert sum(network.exchanges for network in report().networks) == report().exchanges
    assert all(network.elsewhere == network.members for network in report().networks)
    assert {network.country for network in report().networks} <= {"VN", "SG"}


def test_who_is_seen_where_they_said_is_not_elsewhere() -> None:
    seen = [msgspec.structs.replace(one, declared="VN") for one in stream()]

    found = report_of(learnt(seen), ONLY)

    assert {n.country: n.elsewhere == n.members for n in found.networks} == {
        "VN": False,
        "SG": True,
    }
    assert all(n.elsewhere == 0 for n in found.networks if n.country == "VN")


def test_where_no_country_was_declared_none_is_another() -> None:
    seen = [msgspec.structs.replace(one, declared=None) for one in stream()]

    found = report_of(learnt(seen), ONLY)

    assert sum(network.elsewhere for network in found.networks) == 0


def test_members_beyond_the_bound_are_counted_and_not_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MOST_MEMBERS", 5)

    found = report_of(linker(), ONLY)

    named = {member.account for member in found.members}
    assert len(named) == 5
    assert (found.size, found.exchanges) == (report().size, report().exchanges)
    assert [tie.size for tie in found.ties] == [tie.size for tie in report().ties]
    assert all(named.issuperset(tie.members) for tie in found.ties)


def test_networks_beyond_the_bound_count_towards_who_is_elsewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MOST_NETWORKS", 1)

    found = report_of(linker(), ONLY)

    assert found.networks == report().networks[:1]
    assert found.elsewhere == report().elsewhere == report().size


def test_campaigns_that_turned_out_to_be_this_one_are_named() -> None:
    taught_so = learnt(stream())
    taught_so.held[ONLY].absorbed.append("c_0000")

    assert report_of(taught_so, ONLY).absorbed == ("c_0000",)
