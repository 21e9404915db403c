"""The dashboard's pages: what they say, what they escape, and that they load nothing."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import msgspec
import pytest

from gateway_guard.campaigns.ended import Why
from gateway_guard.campaigns.report import report_of
from gateway_guard.campaigns.reviews import Ruling
from gateway_guard.frontends.dashboard.account import account_page, accounts_page
from gateway_guard.frontends.dashboard.audit import audit_page
from gateway_guard.frontends.dashboard.campaigns import campaign_page, campaigns_page
from gateway_guard.frontends.dashboard.health import dependencies
from gateway_guard.frontends.dashboard.overview import overview_page
from gateway_guard.frontends.dashboard.shell import Reader, login_page, message_page
from gateway_guard.frontends.dashboard.style import CSS
from gateway_guard.frontends.dashboard.views import (
    AccountPart,
    AccountView,
    AuditView,
    Campaigns,
    Overview,
)
from gateway_guard.frontends.dashboard.world import PLACES, shade
from gateway_guard.pages.words import instant, moment
from gateway_guard.policy.countries import COUNTRIES
from gateway_guard.record.chain import Checked, Entry, Place
from gateway_guard.record.tally import Tally
from tests import build
from tests.campaigns import ring
from tests.frontends.dashboard import views

LOOKER = Reader()
VOID = {"meta", "link", "input", "line", "rect", "circle", "path"}


class Parsed(HTMLParser):
    """Tags, attributes and text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.words: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def report() -> Any:
    return report_of(ring.caught(), "c_0001")


def pages(report: Any, word: str = "") -> dict[str, str]:
    """Every page there is; `word` stands wherever others choose what is written."""
    reader, now = views.REVIEWER, build.NOW
    entry = Entry(n=1, at=now, action=word or "ban", account=word or views.ACCOUNT, by=word,
                  reason=word, prev="")  # fmt: skip
    audit = AuditView(entries=(entry,), file=word or "/a", checked=Checked(
        entries=1, last=Place(), broken=word or None, why=word))  # fmt: skip
    return {
        "overview": overview_page(views.overview(word), reader),
        "accounts": accounts_page(views.tally(word), views.campaigns(word), reader, asked=word,
                                  why=word),
        "account": account_page(views.account(word), reader, now, done=word),
        "campaigns": campaigns_page(views.campaigns(word), reader, now),
        "campaign": campaign_page(views.campaign(report), word or "c_0001", reader, done=word),
        "audit": audit_page(audit, reader),
        "login": login_page(word),
        "message": message_page(word or "No", word or "no", Reader(name=word, locked=word)),
    }  # fmt: skip


def test_nothing_that_others_choose_becomes_markup(report: Any) -> None:
    plain, hostile = pages(report, "x"), pages(report, views.HOSTILE)

    for name, page in hostile.items():
        parsed = Parsed(page)
        assert sorted(parsed.tags) == sorted(Parsed(plain[name]).tags), name
        assert "script" not in parsed.tags
        assert not [key for key, _ in parsed.attributes if key.startswith("on")]
        assert "\u202e" not in page


def test_no_page_has_a_script_a_style_or_anything_from_elsewhere(report: Any) -> None:
    for name, page in pages(report).items():
        parsed = Parsed(page)
        assert not {"script", "style", "iframe", "object", "img"} & set(parsed.tags), name
        for key, value in parsed.attributes:
            assert key != "style"
            assert not key.startswith("on")
            if key in ("href", "src", "action"):
                assert value is not None
                assert value.startswith(("/", "#", "data:,")), (name, value)


def test_every_heading_and_label_has_its_place(report: Any) -> None:
    for name, page in pages(report).items():
        assert Parsed(page).tags.count("h1") == 1, name
        ids = re.findall(r' id="([^"]+)"', page)
        assert len(ids) == len(set(ids)), name


def test_the_overview_says_what_happened_and_who_stands_out() -> None:
    text = Parsed(overview_page(views.overview(), LOOKER)).text

    for words in (views.ACCOUNT, "0.72", "4 of 5", "c_0001", "24", "Example Ltd", "AS64500",
                  "Brazil", "90%", "refused", "0123456789ab", "1.2.3", "2026-08-22", "enforced",
                  "counted in this process's memory", "Denied", "deny 1"):  # fmt: skip
        assert words in text, words


def test_troubles_and_shadow_are_said_first() -> None:
    guards = (
        ("0", 200, views.report(status="degraded", troubles=["no network data"])),
        ("1", 503, views.report(status="unready", upstream=None, network=[],
         policy={"source": "q.yaml", "digest": "f" * 12, "enforce": False},
         store={"up": False, "trouble": "NOAUTH"})),
    )  # fmt: skip

    text = Parsed(overview_page(views.overview(guards=guards), LOOKER)).text

    assert "no network data" in text
    assert "In shadow" in text
    assert "worker 1: limits down shared store: NOAUTH" in text
    assert "Policy (worker 0)" in text
    assert text.index("worker 1: guard") < text.index("worker 0: limits")


def test_what_is_empty_says_why_and_what_to_do() -> None:
    nothing = Tally(now=build.NOW, since=build.NOW)
    view = Overview(tally=nothing, guards=(), campaigns=Campaigns())

    text = Parsed(overview_page(view, LOOKER)).text
    one = Parsed(account_page(AccountView(account=views.ACCOUNT), LOOKER, build.NOW)).text
    none = Parsed(campaigns_page(Campaigns(), LOOKER, build.NOW)).text
    audit = Parsed(audit_page(AuditView(), LOOKER)).text

    assert "point clients at the guard's port" in text
    assert "No guard of this host answers" in text
    assert "was not seen by these guards" in one
    assert "GATEWAY_GUARD_DECISION_LOG" in one
    assert "must ask for it" in none
    assert "Nobody has decided anything yet" in audit


def test_every_dependency_has_its_row_the_failing_ones_first() -> None:
    report = views.report(
        accounts={"error": "file is gone"}, campaigns={"error": None},
        keys={"https://idp/jwks": "timed out"}, indicators={"loaded": 3, "error": None},
    )  # fmt: skip

    rows = [(one.name, one.state) for one in dependencies((("", 200, report),))]

    assert rows[:2] == [
        ("account attributes", "degraded"),
        ("key set https://idp/jwks", "degraded"),
    ]
    assert {name for name, state in rows if state == "ok"} == {
        "guard", "limits", "network.mmdb", "campaigns", "shared indicators", "upstream"
    }  # fmt: skip


def test_who_is_asked_to_verify_is_said() -> None:
    asked = AccountPart(challenged=True)
    vouched = AccountPart(verified_until=build.NOW + 60)

    for part, words in ((asked, "has not verified itself"), (vouched, "verified until")):
        view = AccountView(account=views.ACCOUNT, part=part)
        assert words in account_page(view, LOOKER, build.NOW)


def test_one_account_says_why() -> None:
    text = Parsed(account_page(views.account(), views.REVIEWER, build.NOW)).text

    for words in ("banned", "in c_0001", "0.70", "harvesting", "├ model", "Member of c_0001",
                  "payment +5.0", "with 3 other accounts", "free", "partner", "stolen card", "mia",
                  "10%"):  # fmt: skip
        assert words in text, words


def test_who_is_only_near_a_campaign_is_not_said_to_be_in_it() -> None:
    view = views.account()
    assert view.known is not None
    assert view.known.membership is not None
    held = msgspec.structs.replace(view.known.membership, member=False, confidence=0.8)
    near = views.account(known=msgspec.structs.replace(view.known, membership=held))

    html = account_page(near, views.REVIEWER, build.NOW)

    assert "in c_0001" in account_page(view, views.REVIEWER, build.NOW)
    assert "in c_0001" not in html
    assert "near c_0001" in html


def test_who_is_left_alone_because_of_a_release_is_told_from_who_was_allowed() -> None:
    view = views.account(decided=())
    assert view.known is not None
    allowed = msgspec.structs.replace(view.known, ruling=Ruling.ALLOW, until=None)
    left = msgspec.structs.replace(allowed, until=build.NOW + 86400.0)

    pages = [
        account_page(msgspec.structs.replace(view, known=known), views.REVIEWER, build.NOW)
        for known in (allowed, left)
    ]

    assert ["left alone" in page for page in pages] == [False, True]
    assert "A campaign it was in was released: it is left alone until 3 Mar 2026" in pages[1]
    assert "Nobody has decided" not in pages[1]


def test_a_decision_says_to_the_second_when_it_was() -> None:
    """Whoever complains says when, and there is no pointing at things on a phone."""
    text = Parsed(account_page(views.account(), views.REVIEWER, build.NOW + 7200)).text

    assert f"2 h ago {instant(build.NOW)} UTC r_1" in text


def test_who_is_stopped_most_is_shown_whatever_the_risk() -> None:
    pages = (
        overview_page(views.overview(), views.REVIEWER),
        accounts_page(views.tally(), views.campaigns(), views.REVIEWER),
        accounts_page(views.tally(), views.campaigns(), views.REVIEWER, asked=views.REFUSED),
    )
    other = accounts_page(views.tally(), views.campaigns(), views.REVIEWER, asked="acct_c")

    for page in pages:
        assert f'href="/dashboard/accounts/{views.REFUSED}"' in page
        assert "8 of 9" in Parsed(page).text
    assert views.REFUSED not in other


def test_who_may_only_look_gets_no_form_and_a_reason() -> None:
    look = account_page(views.account(), LOOKER, build.NOW)
    locked = account_page(
        views.account(), Reader(reviews=True, locked="Nothing can be changed here: x."), build.NOW
    )

    assert "<textarea" not in look
    assert "You may only look" in look
    assert "<textarea" not in locked
    assert "Nothing can be changed here: x." in locked


def test_a_form_carries_its_session_and_a_name_that_is_certain_cannot_be_changed() -> None:
    sure = account_page(views.account(), views.REVIEWER, build.NOW)
    unsure = account_page(views.account(), Reader(name="mia", reviews=True), build.NOW)

    assert sure.count('name="form" value="' + "t" * 64) == 2
    assert 'value="mia" maxlength="120" required="required" autocomplete="name" readonly' in sure
    assert "readonly" not in unsure


def test_a_campaign_has_its_report_and_its_members_lead_to_their_pages(report: Any) -> None:
    page = campaign_page(views.campaign(report), "c_0001", views.REVIEWER)

    for words in ("Evidence", "Timeline", "Who shares what", "Members", "Release campaign"):
        assert words in Parsed(page).text
    assert f'href="/dashboard/accounts/{report.members[0].account}"' in page


def test_campaigns_let_go_are_shown_with_what_they_cost_and_mistakes_stand_out() -> None:
    (mistake,) = views.campaigns().let_go
    faded = msgspec.structs.replace(mistake, id="c_0003", why=Why.FADED, refused=1)
    view = msgspec.structs.replace(views.campaigns(), let_go=(mistake, faded))

    page = campaigns_page(view, LOOKER, build.NOW)
    text = Parsed(page).text

    assert (
        "Let go lately 1 of 2 was a mistake: what was held looked innocent once more of it was "
        "known. 41 exchanges of members were refused meanwhile."
    ) in text
    assert (
        "c_0002 mistake looked innocent once more of it was known 12 200 41 2.0 hours "
        f"{moment(mistake.alarm_at)} 30 min ago"
    ) in text
    assert "c_0003 its evidence faded 12 200 1" in text
    assert page.count("pill bad") == 1


def test_the_overview_says_how_many_were_let_go_of_late_and_by_mistake() -> None:
    (mistake,) = views.campaigns().let_go
    old = msgspec.structs.replace(mistake, ended_at=build.NOW - 8 * 86_400)
    campaigns = msgspec.structs.replace(views.campaigns(), let_go=(mistake, old))

    text = Parsed(overview_page(views.overview(campaigns=campaigns), LOOKER)).text
    none_held = msgspec.structs.replace(campaigns, found=(), let_go=(mistake,) * 2)
    none = Parsed(overview_page(views.overview(campaigns=none_held), LOOKER)).text

    assert "Let go in the last week: 1 1 mistake" in text
    assert "Let go in the last week: 2 2 mistakes" in none
    assert "Let go" not in Parsed(overview_page(views.overview(campaigns=Campaigns()), LOOKER)).text


def test_a_broken_record_is_said_loudly() -> None:
    checked = Checked(entries=2, last=Place(), broken="/a:3", why="it was changed")

    page = audit_page(AuditView(checked=checked, file="/a"), LOOKER)

    assert 'class="notice bad"' in page
    assert "/a:3" in page


def test_every_square_of_the_map_is_a_country_of_its_own() -> None:
    assert set(PLACES) <= set(COUNTRIES)
    assert len(set(PLACES.values())) == len(PLACES) > 180


@pytest.mark.parametrize(
    ("count", "most", "expected"), [(0, 9, 0), (1, 10**6, 1), (10**6, 10**6, 5), (5, 0, 0)]
)
def test_shades_follow_the_logarithm(count: int, most: int, expected: int) -> None:
    assert shade(count, most) == expected


def palettes() -> dict[str, dict[str, str]]:
    """Variable → colour, of either scheme, as the style sheet ends up."""
    found: dict[str, dict[str, str]] = {"light": {}, "dark": {}}
    for block in re.finditer(r"(@media [^{]*\{\s*)?:root \{([^}]*)\}", CSS):
        media = block[1] or ""
        colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{3,6})\b", block[2]))
        if "print" in CSS[max(block.start() - 200, 0) : block.start()].rpartition("}")[2]:
            continue
        if "dark" in media:
            found["dark"].update(colours)
        elif not media:
            found["light"].update(colours)
    return found


def contrast(one: str, other: str) -> float:
    """As WCAG 2 has it."""

    def luminance(colour: str) -> float:
        text = colour.lstrip("#")
        text = "".join(c * 2 for c in text) if len(text) == 3 else text
        parts = [int(text[i : i + 2], 16) / 255 for i in (0, 2, 4)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_in_both_schemes(scheme: str) -> None:
    colours = palettes()["light"] | (palettes()["dark"] if scheme == "dark" else {})
    words = ("ink", "soft", "accent", "good", "warn", "bad", "restrict-text", "challenge")
    pairs = [(word, paper) for word in words for paper in ("card", "paper")]
    pairs += [("ink", "wash"), ("soft", "wash"), ("paper", "ink"), ("card", "accent")]
    pairs += [(f"on{i}", f"q{i}") for i in range(6)]

    weak = {
        pair: round(contrast(colours[pair[0]], colours[pair[1]]), 2)
        for pair in pairs
        if contrast(colours[pair[0]], colours[pair[1]]) < 4.5
    }

    assert not weak
