"""What the log of the process says of campaigns found and let go."""

from __future__ import annotations

import logging

import pytest

from gateway_guard.campaigns.casebook import Casebook
from gateway_guard.campaigns.ended import Ended, Why
from gateway_guard.campaigns.held import Held
from gateway_guard.record.announcing import Announcer
from tests.campaigns.build import NOW
from tests.campaigns.test_casebook import GUILTY, convict, numbers, scene


def said(caplog: pytest.LogCaptureFixture) -> list[tuple[int, str]]:
    found = [(record.levelno, record.getMessage()) for record in caplog.records]
    caplog.clear()
    return found


def find(cases: Casebook, name: str) -> None:
    convict(cases, numbers(cases, name), GUILTY, NOW)


def end(cases: Casebook, name: str, why: Why) -> None:
    cases.end(cases.held[name], why, NOW)


@pytest.fixture(autouse=True)
def _all_of_it(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


def test_a_campaign_is_announced_once(caplog: pytest.LogCaptureFixture) -> None:
    cases = scene("x", "y")
    announcer = Announcer(cases)

    find(cases, "x")
    announcer.announce()
    first = said(caplog)
    announcer.announce()
    again = said(caplog)
    find(cases, "y")
    announcer.announce()

    assert first == [(logging.WARNING, "campaign c_0001 held: 12 accounts")]
    assert again == []
    assert said(caplog) == [(logging.WARNING, "campaign c_0002 held: 12 accounts")]


def test_one_that_turned_out_innocent_is_a_warning_and_every_other_end_is_news(
    caplog: pytest.LogCaptureFixture,
) -> None:
    cases = scene("x", "y")
    find(cases, "x")
    find(cases, "y")
    announcer = Announcer(cases)

    end(cases, "c_0001", Why.INNOCENT)
    end(cases, "c_0002", Why.RELEASED)
    announcer.announce()
    announcer.announce()

    cost = "12 accounts, 0 of 0 exchanges since the alarm refused"
    assert said(caplog) == [
        (logging.WARNING,
         f"campaign c_0001 let go, looked innocent once more of it was known: {cost}"),
        (logging.INFO, f"campaign c_0002 let go, released by a reviewer: {cost}"),
    ]  # fmt: skip


def test_what_was_found_and_let_go_between_two_looks_is_said_to_have_ended(
    caplog: pytest.LogCaptureFixture,
) -> None:
    cases = scene("x")
    announcer = Announcer(cases)

    find(cases, "x")
    end(cases, "c_0001", Why.FADED)
    announcer.announce()

    assert [level for level, _ in said(caplog)] == [logging.INFO]


def test_what_was_known_before_is_no_news(caplog: pytest.LogCaptureFixture) -> None:
    cases = scene("x", "y")
    find(cases, "x")
    end(cases, "c_0001", Why.INNOCENT)
    find(cases, "y")

    Announcer(cases).announce()

    assert said(caplog) == []


def test_notices_are_made_of_what_is_announced() -> None:
    class Noted:
        def __init__(self) -> None:
            self.seen: list[str] = []

        def held(self, held: Held) -> None:
            self.seen.append(f"{held.id} held")

        def ended(self, ended: Ended) -> None:
            self.seen.append(f"{ended.id} {ended.why}")

    cases, noted = scene("x", "y"), Noted()
    announcer = Announcer(cases, noted)

    find(cases, "x")
    announcer.announce()
    announcer.announce()
    end(cases, "c_0001", Why.RELEASED)
    announcer.announce()

    assert noted.seen == ["c_0001 held", "c_0001 released"]
