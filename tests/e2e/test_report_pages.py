"""An exported report of many members, in a real browser: folded, found, sorted, linked, printed."""

from __future__ import annotations

from pathlib import Path

import pytest
from selenium.webdriver import Keys

from gateway_guard.pages.campaign import render
from gateway_guard.pages.campaign_members import FIRST
from tests.e2e.browser import Browser, needs_browser
from tests.pages.test_campaign import crowd

pytestmark = pytest.mark.e2e

SIZE = 400
_SHOWN = """
  return [...document.querySelectorAll(".members tbody tr")]
    .filter((row) => row.offsetParent !== null).map((row) => row.cells[0].textContent);
"""
#: What is scrolled sideways, by its name.
_SCROLLED = """
  return [...document.querySelectorAll(".scroll")]
    .filter((one) => one.scrollWidth > one.clientWidth).map((one) => one.ariaLabel);
"""
#: What stands above the cells of a row, as it is shown.
_LABELS = """
  return [...arguments[0].cells].map((cell) => getComputedStyle(cell, "::before").content);
"""


@pytest.fixture
def opened(browser: Browser, tmp_path: Path) -> Browser:
    """The report, on the screen."""
    where = tmp_path / "report.html"
    where.write_text(render(crowd(SIZE)), "utf-8")
    browser.open(where.as_uri())
    return browser


def shown(browser: Browser) -> list[str]:
    return [str(number) for number in browser.run(_SHOWN)]


@needs_browser
def test_many_members_are_shown_when_asked_for(opened: Browser) -> None:
    first = shown(opened)
    opened.find(".members .unfold input[type=checkbox]").send_keys(Keys.SPACE)

    assert first == [str(i) for i in range(1, FIRST + 1)]
    assert len(shown(opened)) == SIZE
    assert opened.complaints() == []


@needs_browser
def test_a_member_far_down_is_found_and_the_others_come_back(opened: Browser) -> None:
    field = opened.find(".members .unfold input[type=search]")

    field.send_keys("000388")
    found, said = shown(opened), opened.find(".members .unfold output").text
    field.clear()
    field.send_keys("x", Keys.BACKSPACE)

    assert (found, said) == (["389"], f"1 of {SIZE}")
    assert len(shown(opened)) == FIRST


@needs_browser
def test_sorting_shows_the_first_of_all_and_not_of_those_shown_before(opened: Browser) -> None:
    head = opened.find(".members th button")

    head.click()
    head.click()

    assert shown(opened) == [str(i) for i in range(SIZE, SIZE - FIRST, -1)]


@needs_browser
def test_a_link_to_a_member_that_is_folded_away_shows_it(opened: Browser) -> None:
    opened.run("location.hash = '#m350'")
    opened.wait(lambda: "350" in shown(opened), "it is shown")

    top = opened.run("return document.querySelector('#m350').getBoundingClientRect().top")
    assert 0 <= float(top) < 900


@needs_browser
def test_all_members_are_on_paper(opened: Browser) -> None:
    opened.command("Emulation.setEmulatedMedia", media="print")

    assert len(shown(opened)) == SIZE
    opened.command("Emulation.setEmulatedMedia", media="")


@needs_browser
@pytest.mark.parametrize("width", [360, 1024, 1440])
def test_nothing_is_wider_than_the_page(opened: Browser, width: int) -> None:
    opened.size(width)

    assert opened.fits()


@needs_browser
@pytest.mark.parametrize("width", [320, 390])
def test_on_a_phone_no_table_is_scrolled_sideways_and_cells_say_what_they_are(
    opened: Browser, width: int
) -> None:
    opened.size(width)
    opened.run("for (const one of document.querySelectorAll('details')) one.open = true")
    opened.find(".members .unfold input[type=search]").send_keys("000388")

    assert opened.run(_SCROLLED) == ["Timeline"]
    assert shown(opened) == ["389"]
    row = opened.find(".members tbody tr:has(#m389)")
    assert "Exchanges" in str(opened.run(_LABELS, row))
