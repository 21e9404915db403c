"""Dates for times, one word for how many pay, an import: what brings nobody together."""

from __future__ import annotations

from array import array

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.campaigns.linker import Linker
from gateway_guard.campaigns.membership import BURST
from gateway_guard.campaigns.memory import Memory
from gateway_guard.campaigns.postings import Posting
from gateway_guard.campaigns.surroundings import values
from gateway_guard.campaigns.telling import Payments, SignUps, instrument
from gateway_guard.campaigns.ties import Base, Group
from tests.campaigns import build
from tests.campaigns.build import DAY, NOW

#: To the second.
CREATED = NOW - 30 * DAY + 7
KEY = 77


def near(memory: Memory, account: str) -> int:
    """How many accounts are near."""
    return len(memory.near(memory.numbers[account]))


# What pays.


@pytest.mark.parametrize(
    ("shared", "accounts"), [(1, 1), (64, 64), (64, 10), (100, 1000), (256, 2560), (256, 10**6)]
)
def test_a_card_of_some_is_an_instrument(shared: int, accounts: int) -> None:
    assert instrument(shared, accounts)


@pytest.mark.parametrize(
    ("shared", "accounts"), [(65, 64), (65, 649), (101, 1000), (257, 2570), (257, 10**6)]
)
def test_what_a_tenth_or_hundreds_pay_with_is_none(shared: int, accounts: int) -> None:
    assert not instrument(shared, accounts)


def invoiced(count: int) -> Memory:
    """So many accounts that pay by invoice."""
    return build.remembered(
        build.sighting(f"a{n}", organisation=f"o{n}", payment="invoice") for n in range(count)
    )


def test_who_pays_by_invoice_is_near_nobody_who_does() -> None:
    assert near(invoiced(64), "a63") == 63
    assert near(invoiced(65), "a64") == 0
    assert invoiced(64).touching(1)
    assert not invoiced(65).touching(1)


def test_an_invoice_is_evidence_of_nothing_but_that_a_firm_may_pay_so() -> None:
    few, many = invoiced(64), invoiced(65)

    for memory, evidence in ((few, True), (many, False)):
        group = Group(range(1, 9), memory)
        for member in group.views(Base([0, 0], [0, 0]))[0]:
            assert ("payment" in member.has) is evidence
            assert member.paid is True
        assert bool(group.cards) is evidence


def banked(accounts: int, banks: int) -> Memory:
    """So many accounts, on record by one of so many banks."""
    return build.remembered(
        build.sighting(f"a{n}", organisation=f"o{n}", payment=f"bank {n % banks}")
        for n in range(accounts)
    )


@pytest.mark.parametrize(
    ("accounts", "banks", "found"), [(498, 50, 9), (500, 250, 1), (500, 249, 0), (1000, 100, 0)]
)
def test_where_most_share_payments_with_others_what_is_on_record_are_words(
    accounts: int, banks: int, found: int
) -> None:
    memory = banked(accounts, banks)

    assert near(memory, "a7") == found
    assert bool(memory.touching(1)) is bool(found)


def test_seats_of_one_organisation_that_share_its_payment_are_no_sign_of_words() -> None:
    memory = build.remembered(
        build.sighting(f"a{n}", organisation=f"o{n // 20}", payment=f"card {n // 20}")
        for n in range(1000)
    )
    memory.note(build.sighting("b", organisation="o_b", payment="card 3"))

    assert near(memory, "b") == 20


def test_payments_that_were_words_are_so_after_a_restart() -> None:
    saved, again = Payments(), Payments()
    for n in range(600):
        saved.note(f"o{n}", [f"o{n - 60}"] if n >= 60 else [])
    again.restore((f"bank {n % 60}", f"o{n}") for n in range(600))

    assert not saved.tell
    assert not again.tell


# When somebody signed up.


@given(day=st.integers(1, 30_000), zone=st.integers(-48, 56))
def test_a_date_is_no_time_in_any_time_zone(day: int, zone: int) -> None:
    """Zones lie whole quarters of an hour from Greenwich."""
    assert not SignUps().tells(day * 86400.0 + zone * 900.0)


@given(st.integers(1, 2_000_000_000).filter(lambda second: second % 900))
def test_another_second_is_one(second: int) -> None:
    assert SignUps().tells(float(second))
    assert SignUps().tells(second + 0.25)


def at_once(count: int, created: float = CREATED) -> Memory:
    """So many accounts made in one second, with content in common."""
    return build.remembered(
        build.sighting(
            f"a{n}", organisation=f"o{n}", created_at=created + n / 100, keys=(KEY,)
        )
        for n in range(count)
    )  # fmt: skip


def test_who_was_taken_over_in_one_second_signed_up_with_nobody() -> None:
    assert near(at_once(12), "a11") == 11
    assert near(at_once(13), "a12") == 0
    assert near(at_once(13), "a0") == 0


def test_a_later_sign_up_is_not_near_an_import_by_its_time() -> None:
    memory = at_once(13)
    later = build.sighting("b", organisation="o_b", created_at=CREATED + 60, keys=(KEY,))

    memory.note(later)

    assert near(memory, "a0") == 0


@pytest.mark.parametrize(
    ("others", "together", "tells"), [(32, 64, True), (32, 65, False), (200, 65, True)],
    ids=["so few may be a burst", "a third of all and more", "a burst among many"],
)  # fmt: skip
def test_who_was_taken_over_within_minutes_signed_up_with_nobody(
    others: int, together: int, tells: bool
) -> None:
    before = [build.sighting(f"b{n}", created_at=CREATED - (1 + n) * DAY) for n in range(others)]
    then = [
        build.sighting(f"a{n}", organisation=f"o{n}", created_at=CREATED + 10 * n, keys=(KEY,))
        for n in range(together)
    ]

    memory = build.remembered([*before, *then])

    assert (near(memory, "a0") > 0) is tells


def test_dates_and_imports_make_no_group() -> None:
    linker = Linker()
    for one in (
        *(build.sighting(f"d{n}", organisation=f"o_d{n}", created_at=NOW - DAY) for n in range(5)),
        *(build.sighting(f"i{n}", organisation=f"o_i{n}", created_at=CREATED) for n in range(13)),
        *(build.sighting(f"t{n}", organisation=f"o_t{n}", created_at=NOW - 61) for n in range(3)),
        *(build.sighting(f"p{n}", organisation=f"o_p{n}", payment="free") for n in range(65)),
    ):  # fmt: skip
        linker.learn(one)

    grouped = {
        n for sharing in values(linker.memory, linker.memory.traces).values() for n in sharing
    }

    assert {linker.memory.traces[n].account for n in grouped} == {"t0", "t1", "t2"}


def test_seconds_of_imports_are_found_anew_in_what_was_saved() -> None:
    saved, again = SignUps(), SignUps()
    times = [CREATED] * 13 + [CREATED + 60.0] * 12 + [0.0] * 40
    for n, time in enumerate(times):
        saved.note(time, times[:n])
    again.restore(times)

    for one in (saved, again):
        assert not one.tells(CREATED)
        assert one.tells(CREATED + 60)


def test_only_the_latest_of_such_seconds_are_remembered() -> None:
    signups = SignUps()
    signups.restore(CREATED + 10 * n for n in range(10_001) for _ in range(13))

    assert signups.tells(CREATED)
    assert not signups.tells(CREATED + 10)


# How many sign up.


def test_more_sign_ups_than_are_remembered_of_a_half_hour_are_counted_all_the_same() -> None:
    bounds = msgspec.structs.replace(build.TINY, accounts=10_000, most=2)
    memory = build.remembered(
        (build.sighting(f"a{n}", created_at=CREATED + n / 10) for n in range(500)), bounds
    )

    assert memory.signed_up_at.near(CREATED) == 500


def test_a_half_hour_of_which_nobody_is_remembered_counts_nobody() -> None:
    memory = build.remembered([build.sighting("a", created_at=CREATED)])
    memory.signups.put(int(CREATED // BURST), Posting(3, array("Q"), NOW, NOW))

    assert memory.signed_up_at.near(CREATED) == 0
