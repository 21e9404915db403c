"""Which members are told, in what order, and that everybody can be found."""

from __future__ import annotations

import functools
from collections.abc import Callable

import pytest

from gateway_guard.campaigns.linker import Linker
from gateway_guard.campaigns.report import Report, report_of, told_of
from gateway_guard.campaigns.roster import ORDERS, Asked, Found, Roster, find
from tests.campaigns import ring


@functools.cache
def linker() -> Linker:
    return ring.caught()


@functools.cache
def report() -> Report:
    return report_of(linker(), "c_0001")


def roster() -> Roster:
    return told_of(linker(), "c_0001")[1]


def words() -> list[tuple[str, ...]]:
    """What members can be looked for by, and what nobody has."""
    some = report().members[7]
    labels = [(tie.label.lower(),) for tie in report().ties]
    return [
        (), (some.account,), (some.account[-6:],), (some.organisation.lower(),), ("as64500",),
        ("as64501", "br"), ("us",), ("verified",), ("unknown",), ("zz",), ("p1", "a1"), *labels,
    ]  # fmt: skip


@pytest.mark.parametrize("asked", words(), ids=" ".join)
@pytest.mark.parametrize("by", ORDERS)
def test_all_members_are_found_as_those_a_report_lists_are(asked: tuple[str, ...], by: str) -> None:
    wanted = Asked(words=asked, by=by, most=100)

    assert roster().find(wanted) == find(report().members, wanted)


@pytest.mark.parametrize("by", ORDERS)
def test_pages_follow_each_other_and_leave_nobody_out(by: str) -> None:
    pages = [roster().find(Asked(by=by, start=start, most=7)) for start in (1, 8, 15, 22)]

    whole = roster().find(Asked(by=by, most=100))
    assert [page.start for page in pages] == [1, 8, 15, 22]
    assert tuple(one for page in pages for one in page.members) == whole.members
    assert {page.count for page in pages} == {ring.MEMBERS}


@pytest.mark.parametrize("found", [
    lambda asked: roster().find(asked), lambda asked: find(report().members, asked),
])  # fmt: skip
def test_past_the_end_is_the_last_page(found: Callable[[Asked], Found]) -> None:
    late, nobody = found(Asked(start=900, most=7)), found(Asked(words=("zz",), start=900))

    assert (late.start, len(late.members)) == (22, 3)
    assert (nobody.count, nobody.start, nobody.members) == (0, 1, ())


def test_a_report_names_nobody_whom_it_does_not_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway_guard.campaigns.report.MOST_MEMBERS", 10)

    short, everybody = told_of(linker(), "c_0001")

    listed = {member.account for member in short.members}
    assert (len(listed), short.size, len(everybody)) == (10, ring.MEMBERS, ring.MEMBERS)
    assert all(listed.issuperset(tie.members) for tie in short.ties)
    assert [tie.size for tie in short.ties] == [tie.size for tie in report().ties]
