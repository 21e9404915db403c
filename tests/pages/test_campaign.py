"""The report an investigator gets: self-contained, safe to open, true to its figures."""

from __future__ import annotations

import base64
import functools
import hashlib
import itertools
import math
import re
from html.parser import HTMLParser
from typing import Any, Final

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.campaigns.report import Hour, Report, report_of
from gateway_guard.pages.campaign import render
from gateway_guard.pages.graph import MOST_MEMBERS, RINGS, layout
from gateway_guard.pages.markup import clean, tag
from gateway_guard.pages.plots import bars, scale
from gateway_guard.pages.style import CSS, JS
from gateway_guard.pages.words import between, moment, odds, short, sure
from tests.campaigns.build import learnt
from tests.campaigns.nature import HOUR, START
from tests.campaigns.reported import SECRET, stream

VOID: Final = frozenset(("meta", "br", "link", "img", "input", "hr", "base"))
HOSTILE: Final = (
    "</title></style></script><script>alert(1)</script><img src=x onerror='alert(2)'>\"&amp;"
)


class Document(HTMLParser):
    """A document as elements and text; fails on what is not closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        assert len(dict(attrs)) == len(attrs)
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        for name in self._open[-1:]:
            self.text.setdefault(name, []).append(data)

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def said(self, tag: str) -> str:
        return "".join(self.text.get(tag, ()))


@functools.cache
def report() -> Report:
    return report_of(learnt(stream()), "c_0001", policy="3f9a1c22")


def changed(**fields: Any) -> Report:
    return msgspec.structs.replace(report(), **fields)


def crowd(size: int) -> Report:
    """A report with more members than are drawn, each sharing what one of the true ones shares."""
    members = tuple(
        msgspec.structs.replace(report().members[i % report().size], account=f"a_{i:06}")
        for i in range(size)
    )
    ties = tuple(
        msgspec.structs.replace(
            tie, members=tuple(m.account for m in members if tie.label in m.ties), size=size
        )
        for tie in report().ties
    )
    return changed(members=members, size=size, ties=ties)


@functools.cache
def document() -> Document:
    return Document(render(report()))


def test_the_headline_says_who_and_when() -> None:
    assert document().said("h1") == (
        f"{report().size} accounts acted as one from 2 March 2026 to 7 March 2026"
    )


def test_the_headline_names_a_single_day_once() -> None:
    short = msgspec.structs.replace(report(), last_at=report().first_seen + 60.0)

    assert Document(render(short)).said("h1") == (
        f"{report().size} accounts acted as one on 2 March 2026"
    )


def test_equal_reports_give_equal_documents() -> None:
    again = report_of(learnt(stream()), "c_0001", policy="3f9a1c22")

    assert render(again) == render(report())


def test_nothing_is_loaded_from_elsewhere() -> None:
    html = render(report())

    assert "://" not in html
    assert "@import" not in html
    assert "url(" not in html
    names = {name for name, _ in document().elements}
    assert names.isdisjoint(("link", "img", "iframe", "object", "embed", "base", "form", "image"))
    for _, attributes in document().elements:
        assert attributes.keys().isdisjoint(("src", "srcset", "action", "style", "xlink:href"))
        assert not any(name.startswith("on") for name in attributes)
        assert (attributes.get("href") or "#").startswith("#")


def test_only_its_own_style_and_script_may_run() -> None:
    (policy,) = [
        attributes["content"] or ""
        for attributes in document().named("meta")
        if attributes.get("http-equiv") == "Content-Security-Policy"
    ]

    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    directives = [directive.split()[0] for directive in policy.split("; ")]
    assert directives == ["default-src", "style-src", "script-src", "base-uri", "form-action"]
    for name, text in (("style", CSS), ("script", JS)):
        assert document().text[name] == [text]
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{name}-src 'sha256-{digest}'" in policy


def test_every_link_leads_to_a_place_in_the_document() -> None:
    places = [attributes["id"] for _, attributes in document().elements if "id" in attributes]

    assert len(set(places)) == len(places)
    for attributes in document().named("a"):
        assert (attributes["href"] or "")[1:] in places


def test_hostile_names_stay_text() -> None:
    member = msgspec.structs.replace(
        report().members[0], account=HOSTILE, declared=HOSTILE, country=HOSTILE,
        organisation=HOSTILE, adds={HOSTILE: 1.0}, ties=(HOSTILE,),
    )  # fmt: skip
    tie = msgspec.structs.replace(report().ties[0], label=HOSTILE, members=(HOSTILE,) * 2)
    network = msgspec.structs.replace(report().networks[0], country=HOSTILE)
    template = msgspec.structs.replace(report().templates[0], label=HOSTILE, digest=HOSTILE)
    verdict = msgspec.structs.replace(report().verdict, explanation=HOSTILE)

    html = render(
        changed(
            id=HOSTILE, policy=HOSTILE, evidence=(HOSTILE, f"{HOSTILE}: x"), verdict=verdict,
            members=(member,), ties=(tie,), networks=(network,), templates=(template,),
            absorbed=(HOSTILE,),
        )
    )  # fmt: skip

    found = Document(html)
    assert "<script>alert" not in html
    assert len(found.named("script")) == 1
    assert found.text["script"] == [JS]
    assert found.text["style"] == [CSS]
    assert not found.named("img")
    assert not any("onerror" in attributes for _, attributes in found.elements)
    for where in ("title", "span", "li", "code", "td", "th"):
        assert HOSTILE in found.said(where), where


@pytest.mark.parametrize("unseen", ["\u202e", "\x00", "\x1b", "\u200b", "\ud800", "\x7f"])
def test_what_cannot_be_seen_is_shown_to_be_there(unseen: str) -> None:
    html = render(changed(policy=f"be{unseen}fore"))

    assert "be\N{REPLACEMENT CHARACTER}fore" in html
    assert unseen not in html
    html.encode()


@given(st.text())
def test_any_text_comes_back_from_the_document_as_it_was_cleaned(text: str) -> None:
    from gateway_guard.pages.markup import page

    found = Document(page(tag("p", text, title=text)))

    assert found.said("p") == clean(text)
    assert found.named("p")[0]["title"] == clean(text)


def test_no_value_that_members_share_is_in_the_document() -> None:
    html = render(report())

    assert SECRET not in html
    for one in stream():
        assert str(one.subnet) not in html
        assert f"{one.subnet:016x}" not in html


def test_without_samples_it_says_that_it_holds_no_text() -> None:
    assert "It holds no text of a prompt." in document().said("li")
    assert "Begins with" not in document().said("th")


def test_samples_are_shown_as_text_and_warned_of() -> None:
    (template,) = report().templates
    sampled = msgspec.structs.replace(template, sample=HOSTILE)

    found = Document(render(changed(templates=(sampled, template))))

    assert HOSTILE in found.said("td")
    assert "It holds the beginning of some prompts" in found.said("li")
    assert "no text of a prompt" not in found.said("li")


def test_the_alarm_is_marked_on_the_timeline() -> None:
    lines = [a for a in document().named("line") if a.get("class") == "alarm"]
    places = {line["x1"] for line in lines}

    assert len(lines) == 3
    assert len(places) == 1
    # The place is that of the alarm's time between the first hour and the end of the last.
    first, last = report().hours[0].at, report().hours[-1].at + HOUR
    share = (report().alarm_at - first) / (last - first)
    assert float(places.pop() or 0) == pytest.approx(52 + (960 - 52 - 12) * share, abs=0.01)
    assert f"alarm {moment(report().alarm_at)}" in document().said("text")


def test_every_exchange_counted_is_in_the_table_beside_the_timeline() -> None:
    _, every = bars(report().hours)

    assert sum(one.exchanges or 0 for one in every) == report().exchanges - report().before
    assert sum(one.refused or 0 for one in every) == report().refused


@pytest.mark.parametrize(("days", "step"), [(1, 1), (10, 1), (11, 2), (45, 6), (52, 6), (200, 24)])
def test_a_timeline_has_no_more_bars_than_can_be_told_apart(days: int, step: int) -> None:
    hours = [
        Hour(at=int(START) + i * 3600, active=i % 7, exchanges=2, refused=1, tokens=10)
        for i in range(days * 24)
    ]

    found, every = bars(hours)

    assert found == step
    assert len(every) <= 241
    assert sum(one.exchanges or 0 for one in every) == 2 * len(hours)
    assert max(one.active for one in every) == 6


@given(st.integers(0, 10**12))
def test_a_scale_has_a_few_round_numbers_and_reaches_the_top(top: int) -> None:
    ticks = scale(top)

    assert ticks[0] == 0
    assert ticks[-1] >= top
    assert 2 <= len(ticks) <= 5
    assert len({b - a for a, b in itertools.pairwise(ticks)}) == 1


def test_every_plot_has_a_title_and_figures_beside_it() -> None:
    html = render(report())

    assert html.count("<figure") == 3
    assert len(re.findall(r"</figure><details><summary>The same as a table", html)) == 3
    pictures = re.findall(r"<svg[^>]*>(?:<title>)?", html)
    assert all("<title>" in one or 'aria-hidden="true"' in one for one in pictures)


def test_every_member_has_a_row_and_a_place_on_the_circle() -> None:
    rows = [a["id"] for a in document().named("td") if (a.get("id") or "").startswith("m")]
    drawn = [a for a in document().named("circle") if a.get("class") == "member"]

    assert rows == [f"m{i}" for i in range(1, report().size + 1)]
    assert len(drawn) == report().size


def test_no_two_things_are_drawn_in_one_place() -> None:
    for one in (report(), crowd(MOST_MEMBERS)):
        places = layout(one)
        points = [*places.members.values(), *places.values.values()]
        near = min(abs(a - b) for i, a in enumerate(points) for b in points[:i])

        assert near > 10
        assert all(abs(abs(place) - 300) < 1e-9 for place in places.members.values())


def test_members_that_pay_together_stand_together() -> None:
    order = list(layout(report()).members)
    paid = {m.account: [t for t in m.ties if t.startswith("P")] for m in report().members}

    changes = sum(paid[a] != paid[b] for a, b in itertools.pairwise(order))
    assert changes == len({tuple(labels) for labels in paid.values()}) - 1


def test_only_the_surest_members_are_drawn_and_the_rest_is_owned_up_to() -> None:
    html = render(crowd(300))
    found = Document(html)

    assert len([a for a in found.named("circle") if a.get("class") == "member"]) == MOST_MEMBERS
    assert f"Only the {MOST_MEMBERS} surest members are drawn; 180 are not." in html


def test_only_the_most_shared_values_are_drawn_and_the_rest_is_owned_up_to() -> None:
    (first, *_) = [tie for tie in report().ties if tie.kind == "payment"]
    most = RINGS["payment"][1]
    ties = tuple(msgspec.structs.replace(first, label=f"P{i}") for i in range(most + 7))

    places = layout(changed(ties=ties))

    assert len(places.values) == most
    assert places.left_out == (0, 7)


def test_members_not_listed_are_counted() -> None:
    html = render(changed(size=report().size + 1000))

    assert "1,000 more accounts not listed." in html
    assert "smaller networks, with 1,000 members together, are left out" in html


def test_a_report_of_next_to_nothing_is_still_a_report() -> None:
    html = render(
        changed(
            members=(), ties=(), hours=(), active=(0,) * 24, networks=(), templates=(), size=0,
            exchanges=0, evidence=(), policy="",
        )
    )  # fmt: skip

    found = Document(html)
    assert "No hour of activity is remembered." in found.said("p")
    assert "No content is shared by several members." in found.said("p")


def test_nothing_is_ever_a_hundred_per_cent_sure() -> None:
    assert sure(1.0) == "> 99.9%"
    assert sure(0.953) == "95.3%"


def test_odds_are_written_as_by_hand() -> None:
    assert odds(math.log(100)) == "100 to 1"
    assert odds(45 * math.log(10)) == "10⁴⁵ to 1"
    assert odds(-45 * math.log(10)) == "1 to 10⁴⁵"


def test_a_year_between_two_days_of_one_name_is_said() -> None:
    first = 1_772_447_280.0

    same, later = between(first, first + 1_380.0), between(first, first + 365 * 86_400.0)

    assert same == "2 Mar 2026, 10:28–10:51"
    assert later == "2 Mar 2026, 10:28 – 2 Mar 2027, 10:28"


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (999, "999"), (1_000, "1.0 k"), (12_345, "12.3 k"), (999_949, "999.9 k"),
        (999_950, "1.0 M"), (999_999_999, "1.0 G"),
    ],
)  # fmt: skip
def test_a_count_that_rounds_up_to_the_next_unit_is_told_in_it(count: int, text: str) -> None:
    assert short(count) == text
