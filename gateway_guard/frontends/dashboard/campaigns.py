"""The campaigns held and let go, and one of them as its report has it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gateway_guard.campaigns.ended import WORDS, Why
from gateway_guard.campaigns.report import Report
from gateway_guard.frontends.dashboard.account import entries_table
from gateway_guard.frontends.dashboard.actions import action_card
from gateway_guard.frontends.dashboard.members import Wanted, members_card, ways
from gateway_guard.frontends.dashboard.shell import (
    HOME,
    Reader,
    ago,
    campaign_path,
    card,
    empty,
    listing,
    pill,
    shell,
)
from gateway_guard.frontends.dashboard.views import Campaigns, CampaignView, LetGo
from gateway_guard.pages.campaign import figures, lede, sections
from gateway_guard.pages.campaign_tables import long, number
from gateway_guard.pages.markup import Child, tag
from gateway_guard.pages.words import lasting, let_go, many, moment, sure

_HERE: Final = f"{HOME}/campaigns"
_NETWORKS: Final = 3
#: Campaigns held, and let go, that are shown before somebody asks for all.
_HELD: Final = 30
_ENDED: Final = 20
#: A space at which no line breaks.
_HOLD: Final = "\N{NO-BREAK SPACE}"
_ALL: Final = Wanted()
#: Parts of a report that come before the form: what it did, and the evidence.
_FIRST: Final = 2
#: Ways to the parts of a long page.
_JUMPS: Final = (
    ("Evidence", "evidence"), ("Decide", "decide"), ("Timeline", "timeline"),
    ("Graph", "who-shares-what"), ("Members", "members"),
)  # fmt: skip


def campaigns_page(view: Campaigns, reader: Reader, now: float) -> str:
    """Every campaign, the largest first; below, those let go lately."""
    as_of = "" if view.as_of is None else f", as of {moment(view.as_of)}"
    return shell(
        "Campaigns", _HERE, reader,
        tag("p", f"Accounts that act as one: {len(view.found):,} held among "
            f"{many(view.accounts, 'account')} remembered{as_of}.", cls="lead"),
        card("Held now", *_listed(view, now)),
        card("Let go lately", *_let_go(view.let_go, now), name="let-go") if view.let_go else None,
    )  # fmt: skip


def campaign_page(
    view: CampaignView, path: str, reader: Reader, *, done: str = "", asked: Wanted = _ALL
) -> str:  # fmt: skip
    """One campaign at `path` (`views.Held.path`): evidence, time, graph, members."""
    report = view.report
    parts = sections(
        report, listed=members_card(report, path, asked, view.found), ways=ways(path, view.found)
    )
    for part in parts:
        part.set("class", f"card {part.get('class', '')}".strip())
    return shell(
        f"Campaign {report.id}", _HERE, reader,
        tag("p", lede(report), cls="lead"),
        figures(report),
        tag("p", [tag("a", words, href=f"#{where}") for words, where in _JUMPS], cls="jumps"),
        parts[:_FIRST],
        action_card(reader, "campaign", done, whom=_whom(report)),
        card("What people decided", entries_table(view.decided, about=False), name="decided")
        if view.decided else None,
        parts[_FIRST:],
        heading=(f"Campaign {path} ", tag("small", many(report.size, "account"))),
    )  # fmt: skip


def _whom(report: Report) -> str:
    """Whom a decision about all members reaches."""
    listed = len(report.members)
    return f"the {listed:,} surest members" if listed < report.size else many(listed, "member")


def ending(view: Campaigns, path: str) -> str:
    """What became of the campaign at `path`, in a sentence, where it is not held."""
    one = next((one for one in view.let_go if path in (one.path, one.id)), None)
    if one is None:
        return "No campaign of that name is held (any more)."
    into = next(
        (held.path for held in view.found
         if one.id in held.absorbed and held.worker == one.worker), "",
    )  # fmt: skip
    return let_go(one, one.path, into)


def _listed(view: Campaigns, now: float) -> list[Child]:
    if view.off:
        return [empty(view.off)]
    if not view.found:
        return [
            empty(
                "None. A campaign is held when accounts of different organisations share more than "
                "one thing (payment, addresses, sign-up, template, client, pace) beyond what "
                "chance and ordinary life would give. The policy must ask for it: by a rule or a "
                "limit with ",
                tag("code", "campaign"), ".",
            )
        ]  # fmt: skip
    rows = []
    for one in view.found:
        names = list(one.networks.items())
        networks = ", ".join(f"{name}{_HOLD}{count:,}" for name, count in names[:_NETWORKS])
        if len(names) > _NETWORKS:
            networks += f", {len(names) - _NETWORKS} more"
        rows.append(
            (
                tag("th", tag("a", one.path, href=campaign_path(one.path)), scope="row", cls="w"),
                number(one.members),
                tag("td", sure(one.confidence), cls="n"),
                number(one.exchanges),
                number(one.share, "{:.1%}"),
                number(one.refused),
                tag("td", moment(one.first_seen), cls="w"),
                tag("td", moment(one.alarm_at), cls="w"),
                tag("td", ago(one.last_at, now)),
                tag("td", networks, cls="long"),
            )
        )
    heads = ("Campaign", "Accounts >", "Sure >", "?Exchanges >", "?Of all >", "?Refused >",
             "?First seen", "?Alarm", "Last seen", "?Networks")  # fmt: skip
    return [long(listing(heads, rows, "Campaigns, the largest first"), "campaigns", _HELD)]


def _let_go(ended: Sequence[LetGo], now: float) -> list[Child]:
    mistaken = [one for one in ended if one.mistaken]
    note: Child = None
    if mistaken:
        was = "was a mistake" if len(mistaken) == 1 else "were mistakes"
        refused = sum(one.refused for one in mistaken)
        note = tag(
            "p", f"{len(mistaken):,} of {len(ended):,} {was}: what was held {WORDS[Why.INNOCENT]}. "
            f"{many(refused, 'exchange')} of members {'was' if refused == 1 else 'were'} refused "
            "meanwhile.",
            cls="note",
        )  # fmt: skip
    rows = [
        (
            tag("th", one.path, scope="row", cls="w"),
            tag("td", _mistaken(one), WORDS[one.why], cls="long"),
            number(one.members),
            number(one.exchanges),
            number(one.refused),
            tag("td", lasting(one.ended_at - one.alarm_at), cls="n"),
            tag("td", moment(one.alarm_at), cls="w"),
            tag("td", ago(one.ended_at, now)),
        )
        for one in ended
    ]
    heads = ("Campaign", "Why", "?Accounts >", "?Exchanges >", "Refused >", "?Held for >",
             "?Alarm", "Let go")  # fmt: skip
    every = listing(heads, rows, "Campaigns let go, the latest first")
    return [note, long(every, "campaigns let go", _ENDED)]


def _mistaken(one: LetGo) -> list[Child]:
    return [pill("mistake", "bad"), " "] if one.mistaken else []
