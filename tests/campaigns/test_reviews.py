"""What people decided stands until it is lifted or its time is over."""

from __future__ import annotations

from gateway_guard.campaigns.reviews import Reviews, Ruling
from tests.build import NOW


def reviews(account: str = "a", ruling: Ruling = Ruling.ALLOW, **more: float) -> Reviews:
    made = Reviews()
    made.rule(account, ruling, **more)
    return made


def test_nothing_is_ruled_on_an_account_nobody_reviewed() -> None:
    assert Reviews().of("a", NOW) is None


def test_a_ruling_without_an_end_stands_for_ever() -> None:
    assert reviews(ruling=Ruling.BAN).of("a", 1e300) is Ruling.BAN


def test_a_ruling_ends_at_its_time_and_is_forgotten() -> None:
    made = reviews(until=NOW)

    before, after = made.of("a", NOW - 1), made.of("a", NOW)

    assert (before, after) == (Ruling.ALLOW, None)
    assert not made.rulings


def test_a_later_ruling_replaces_the_earlier_one() -> None:
    made = reviews(ruling=Ruling.BAN)

    made.rule("a", Ruling.ALLOW)

    assert made.of("a", NOW) is Ruling.ALLOW


def test_clearing_lifts_a_ruling() -> None:
    made = reviews(ruling=Ruling.BAN)

    made.rule("a", Ruling.CLEAR)

    assert made.of("a", NOW) is None


def test_clearing_what_was_never_ruled_changes_nothing() -> None:
    made = reviews("a")

    made.rule("b", Ruling.CLEAR)

    assert list(made.rulings) == ["a"]


def test_the_oldest_rulings_go_when_there_are_too_many() -> None:
    made = Reviews()

    for n in range(100_500):
        made.rule(f"a_{n}", Ruling.BAN)

    assert len(made.rulings) == 100_000
    assert made.of("a_0", NOW) is None
    assert made.of("a_100499", NOW) is Ruling.BAN
