"""Long tables of a report: the first rows are shown, none is lost."""

from __future__ import annotations

import re

import msgspec
import pytest

from gateway_guard.pages.campaign import render
from gateway_guard.pages.campaign_members import FIRST
from gateway_guard.pages.campaign_tables import Ways, links, long, table
from gateway_guard.pages.markup import page, tag
from tests.pages.test_campaign import changed, crowd, report


def text(count: int) -> str:
    rows = [(tag("td", i),) for i in range(count)]
    return page(long(table(("#",), rows, label="Things"), "things", 10))


@pytest.mark.parametrize(("count", "folded"), [(0, 0), (10, 0), (15, 0), (16, 6), (1000, 990)])
def test_what_is_folded_is_worth_it_and_still_there(count: int, folded: int) -> None:
    html = text(count)

    assert html.count("<td>") == count
    assert html.count('<tr class="rest">') == folded
    assert (f"Show all {count:,} things, not only the first 10" in html) is bool(folded)


def test_every_table_can_be_scrolled_by_keys_and_has_a_name() -> None:
    html = render(report())

    places = re.findall(r'<div class="scroll[^>]*>', html)
    assert len(places) > 5
    assert all('tabindex="0"' in one and 'aria-label="' in one for one in places)


def test_a_report_of_a_thousand_members_lists_all_and_shows_the_surest() -> None:
    html = render(crowd(1000))

    assert len(re.findall(r' id="m\d+"', html)) == 1000
    shown = re.findall(r'<tr><td class="n" data-v="\d+" id="m(\d+)"', html)
    assert shown == [str(i) for i in range(1, FIRST + 1)]


def test_a_member_that_shares_a_hundred_things_has_a_short_row_that_is_found_by_each() -> None:
    labels = tuple(f"T{i}" for i in range(1, 101))
    members = tuple(msgspec.structs.replace(one, ties=labels) for one in report().members)

    html = render(changed(members=members))

    assert ">T1 T2 T3 T4 T5 T6 T7 T8 and 92 more</td>" in html
    assert f'data-all="{" ".join(labels)}"' in html


def test_a_value_that_hundreds_share_names_the_surest_of_them() -> None:
    every = page(tag("td", links(range(500, 0, -1), "T1", Ways())))
    led = page(tag("td", links(range(500, 0, -1), "T1", Ways(sharing="?find={}".format))))

    assert every.count("<a ") == 40
    assert '<a href="#m40">40</a> and 460 more' in every
    assert '<a href="?find=T1">460 more</a>' in led
