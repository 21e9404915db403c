"""The members of a large campaign: a page at a time, in several orders, and those looked for."""

from __future__ import annotations

import asyncio
import re
from typing import TypeVar, cast

import msgspec
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from gateway_guard.campaigns.report import Report, report_of
from gateway_guard.campaigns.roster import Asked
from gateway_guard.frontends.dashboard.account import account_page
from gateway_guard.frontends.dashboard.campaigns import campaign_page
from gateway_guard.frontends.dashboard.cases import Question
from gateway_guard.frontends.dashboard.members import asked_of
from gateway_guard.frontends.dashboard.sources import Casebook, Here, Remote, desk_routes
from tests.campaigns import ring
from tests.frontends.dashboard import views

T = TypeVar("T")

SIZE = 130


@pytest.fixture(scope="module")
def report() -> Report:
    """Of a ring, grown to `SIZE` members, the later ones with more exchanges and less sure."""
    small = report_of(ring.caught(), "c_0001")
    members = tuple(
        msgspec.structs.replace(
            small.members[i % small.size], account=ring.account("a", i), exchanges=i,
            refused=SIZE - i, last_at=small.last_at - i % 7, verified=i == 77,
            asn=64999 if i in (3, 100) else 64500, country="BR" if i == 3 else "NL",
        )
        for i in range(SIZE)
    )  # fmt: skip
    ties = tuple(
        msgspec.structs.replace(
            tie, size=SIZE, members=tuple(m.account for m in members if tie.label in m.ties)
        )
        for tie in small.ties
    )
    return msgspec.structs.replace(small, size=SIZE, members=members, ties=ties)


class Held:
    """Whoever holds the campaign of `ring`."""

    async def ask(self, question: Question[T]) -> T | None:
        return question(ring.caught(), None)


def page(report: Report, **query: str) -> str:
    asked = asked_of(query)
    view = views.campaign(report, asked.members)
    return campaign_page(view, "c_0001", views.REVIEWER, asked=asked)


def rows(html: str) -> list[int]:
    """Numbers of the members listed, in order."""
    return [int(i) for i in re.findall(r' id="m([0-9]+)"', html)]


def test_a_large_campaign_lists_its_surest_members_and_says_how_many_there_are(
    report: Report,
) -> None:
    html = page(report)

    assert rows(html) == list(range(1, 26))
    assert "1 to 25 of 130 members, surest first." in html


def test_every_member_is_on_one_page_and_pages_lead_to_each_other(report: Report) -> None:
    found: list[int] = []
    query: dict[str, str] = {}
    for _ in range(6):
        html = page(report, **query)
        found += rows(html)
        after = re.search(r'href="/dashboard/campaigns/c_0001\?from=(\d+)#members">Next', html)
        query = {"from": after[1]} if after is not None else query

    assert found == list(range(1, SIZE + 1))
    assert ">Next</a>" not in html


def test_a_small_campaign_has_no_pages_and_no_search(report: Report) -> None:
    small = msgspec.structs.replace(report, size=9, members=report.members[:9], ties=())

    html = page(small)

    assert rows(html) == list(range(1, 10))
    assert 'role="search"' not in html
    assert "Pages of members" not in html


@pytest.mark.parametrize(
    ("by", "first"),
    [("doubtful", SIZE), ("busiest", SIZE), ("refused", 1), ("latest", 1), ("surest", 1),
     ("no such order", 1)],
)  # fmt: skip
def test_the_most_telling_can_be_had_first(report: Report, by: str, first: int) -> None:
    assert rows(page(report, by=by))[0] == first


@pytest.mark.parametrize(
    ("find", "expected"),
    [
        ("AS64999", [4, 101]),
        ("as64999 BR", [4]),
        ("verified", [78]),
        (ring.account("a", 42), [43]),
        (ring.account("a", 42)[-8:], [43]),
        ("zz", []),
    ],
)
def test_members_are_found_by_what_is_known_of_them(
    report: Report, find: str, expected: list[int]
) -> None:
    html = page(report, find=find)

    assert rows(html) == expected
    if not expected:
        assert "None of the 130 members has all of these words." in html


def test_members_whom_the_report_leaves_out_are_on_pages_and_found_as_well(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def html(**query: str) -> str:
        asked = asked_of(query)
        view = asyncio.run(Casebook(Held()).campaign("c_0001", asked.members))
        assert view is not None
        return campaign_page(view, "c_0001", views.REVIEWER, asked=asked)

    every = report_of(ring.caught(), "c_0001")
    last = every.members[-1]
    monkeypatch.setattr("gateway_guard.campaigns.report.MOST_MEMBERS", 10)
    monkeypatch.setattr("gateway_guard.frontends.dashboard.members.FIRST", 5)

    assert rows(html(**{"from": "21"})) == [21, 22, 23, 24]
    assert rows(html(by="doubtful"))[0] == every.size
    assert rows(html(find=last.account)) == [every.size]
    assert f"1 of {every.size} have “{last.account}”" in html(find=last.account)
    assert "not listed" not in html()


def test_another_worker_is_asked_for_the_same_members() -> None:
    here = cast("Here", Casebook(Held()))
    client = TestClient(Starlette(routes=desk_routes(here)))

    async def call(method: str, path: str, body: bytes) -> bytes | None:
        return client.request(method, path, content=body).content

    asked = Asked(words=("as64501", "br"), by="busiest", start=3, most=2)
    remote = asyncio.run(Remote("1", call).campaign("c_0001", asked))

    assert remote is not None
    assert remote == asyncio.run(here.campaign("c_0001", asked))
    assert (remote.found.start, len(remote.found.members)) == (3, 2)


def test_a_label_finds_all_who_share_it_and_no_other(report: Report) -> None:
    (label,) = {tie.label for tie in report.ties if tie.label == "P1"}
    expected = [i for i, m in enumerate(report.members, 1) if label in m.ties]

    html = page(report, find=label)

    assert rows(html) == expected[:25]
    assert f"1 to 25 of {len(expected)}" in html


def test_what_may_be_a_key_is_not_shown_again(report: Report) -> None:
    html = page(report, find="sk-live_51Hxyz")

    assert "51Hxyz" not in html.lower()
    assert "51hxyz" not in html
    assert "A key does not belong here." in html
    assert rows(html) == list(range(1, 26))


@pytest.mark.parametrize("start", ["0", "-1", "x", "9999999999", "131", "1e3", "٣"])
def test_a_page_that_is_none_is_a_page_there_is(report: Report, start: str) -> None:
    assert rows(page(report, **{"from": start}))


def test_every_link_to_a_member_leads_to_its_row(report: Report) -> None:
    html = page(report, **{"from": "26"})

    linked = re.findall(r'href="((?:/[^"#]*)?)#m(\d+)"', html)
    assert len({number for _, number in linked}) > 25
    for address, number in linked:
        start = re.search(r"from=(\d+)", address)
        query = {"from": "26"} if not address else {"from": start[1]} if start else {}
        assert int(number) in rows(page(report, **query))


def test_a_value_that_all_share_names_the_surest_and_leads_to_the_others(report: Report) -> None:
    html = page(report)

    (all_,) = {tie.label for tie in report.ties if len(tie.members) == SIZE and tie.label == "T1"}
    assert f'<a href="/dashboard/campaigns/c_0001?find={all_.lower()}#members">90 more</a>' in html


def test_who_asks_all_to_verify_knows_how_many_that_are(report: Report) -> None:
    more = msgspec.structs.replace(report, size=SIZE + 2000)

    assert "each of 130 members is challenged" in page(report)
    assert "each of the 130 surest members is challenged" in page(more)


def test_the_order_is_kept_while_looking_for_others(report: Report) -> None:
    html = page(report, by="busiest", find="P1")

    assert '<input type="hidden" name="by" value="busiest">' in html
    assert "?find=p1&amp;by=busiest&amp;from=26#members" in html


@pytest.mark.parametrize("what", ["account", "campaign"])
def test_enter_in_a_field_of_a_form_decides_nothing(report: Report, what: str) -> None:
    html = (
        page(report) if what == "campaign" else account_page(views.account(), views.REVIEWER, 0.0)
    )

    form = html[html.index('<form method="post" class="act">') :]
    first = re.search(r"<(?:button|input type=.submit)[^>]*>", form)
    assert first is not None
    assert " disabled" in first[0]


def test_the_weights_of_an_account_come_to_its_points() -> None:
    text = account_page(views.account(), views.REVIEWER, 0.0)

    assert "What every account starts with" in text
    assert "−5.0" in text
