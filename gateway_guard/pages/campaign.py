"""A campaign report as one HTML file that an investigator can hand on.

It loads nothing, works without a script, and is read as well on paper as on a screen.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Final
from xml.etree.ElementTree import Element

from gateway_guard import __version__
from gateway_guard.campaigns.report import Report
from gateway_guard.pages.campaign_members import members
from gateway_guard.pages.campaign_tables import (
    Ways,
    folded,
    links,
    networks,
    number,
    reviews,
    scroller,
    section,
    table,
    templates,
)
from gateway_guard.pages.graph import MOST_MEMBERS, graph, layout, shape
from gateway_guard.pages.markup import Child, page, tag
from gateway_guard.pages.plots import bars, clock, gauge, timeline
from gateway_guard.pages.style import CSS, JS
from gateway_guard.pages.words import (
    KINDS,
    LIMITS,
    METHOD,
    NO_TEXT,
    SOME_TEXT,
    between,
    date,
    lasting,
    listed,
    many,
    moment,
    odds,
    raised,
    short,
    signed,
    sure,
)

#: All links of the file stay in it.
_WITHIN: Final = Ways()


def render(report: Report) -> str:
    """The document. Equal reports give equal documents."""
    style, script = tag("style", CSS), tag("script", JS)
    root = tag(
        "html",
        tag(
            "head",
            tag("meta", charset="utf-8"),
            tag("meta", http_equiv="Content-Security-Policy", content=_policy()),
            tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
            tag("meta", name="referrer", content="no-referrer"),
            tag("meta", name="robots", content="noindex, nofollow"),
            tag("title", f"Campaign {report.id}: {many(report.size, 'account')}"),
            style,
        ),
        tag("body", _top(report), tag("main", sections(report)), _foot(report), script),
        lang="en",
    )
    return page(root)


def sections(
    report: Report, *, listed: Element | None = None, ways: Ways = _WITHIN
) -> tuple[Element, ...]:  # fmt: skip
    """What the report says, under headings; `listed` stands for the part that lists members."""
    return (
        _did(report), _evidence(report), _timeline(report), _clock(report), _graph(report, ways),
        networks(report), templates(report), members(report) if listed is None else listed,
        *([reviews(report)] if report.reviews else []), _method(report),
    )  # fmt: skip


def _policy() -> str:
    """Nothing may be loaded or run but what is in this file."""

    def digest(text: str) -> str:
        return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()

    return (
        f"default-src 'none'; style-src 'sha256-{digest(CSS)}'; script-src 'sha256-{digest(JS)}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _top(report: Report) -> Element:
    accounts = many(report.size, "account")
    first, last = date(report.first_seen), date(report.last_at)
    when = f"on {first}" if first == last else f"from {first} to {last}"
    return tag(
        "header",
        tag("p", "Campaign report ", tag("span", report.id, cls="name"), cls="over"),
        tag("h1", f"{accounts} acted as one {when}"),
        tag("p", lede(report), cls="lede"),
        figures(report),
    )  # fmt: skip


def figures(report: Report) -> Element:
    """The six figures that matter most."""
    refused = report.refused / report.exchanges if report.exchanges else 0.0
    every = (
        ("Accounts", f"{report.size:,}", f"of {many(report.organisations, 'organisation')}"),
        ("Confidence", sure(report.confidence), "that they act as one"),
        ("Exchanges", f"{report.exchanges:,}", f"{report.share:.1%} of all traffic remembered"),
        ("Refused", f"{refused:.0%}", many(report.refused, "exchange")),
        ("Tokens", short(report.tokens), f"{report.token_share:.1%} of all traffic remembered"),
        ("Alarm after", lasting(report.alarm_at - report.first_seen), "from the first exchange"),
    )
    return tag(
        "dl",
        [
            tag("div", tag("dt", name), tag("dd", value, tag("small", note)))
            for name, value, note in every
        ],
        cls="figures",
    )


def lede(report: Report) -> str:
    """When, and on what evidence, in a few sentences."""
    ties = [weight for weight in report.verdict.weights if weight.log_ratio > 0]
    kinds = [KINDS.get(weight.kind, str(weight.kind)).lower() for weight in ties]
    by = f" What ties them most: {listed(kinds[:3])}." if kinds else ""
    return (
        f"The first was seen on {moment(report.first_seen)}, the alarm was raised on "
        f"{moment(report.alarm_at)}, the latest exchange was on {moment(report.last_at)} (UTC)."
        f"{by} The evidence comes to {odds(report.verdict.total)}, where "
        f"{odds(report.verdict.needed)} is asked for."
    )


def _did(report: Report) -> Element:
    days = max((report.last_at - report.first_seen) / 86400, 1.0)
    rate = report.exchanges / max(report.size, 1) / days
    share = report.before / report.exchanges if report.exchanges else 0.0
    each = report.exchanges / max(report.size, 1)
    lasted = lasting(report.last_at - report.first_seen)
    facts = [
        (
            f"{many(report.exchanges, 'exchange')} in {lasted}: {each:,.0f} for each account, "
            f"{rate:,.1f} a day."
        ),
        (
            f"At least {report.before:,} of them ({share:.0%}) were made before the account was "
            "held to be a member."
        ),
        f"{many(report.refused, 'exchange')} refused, {many(report.tokens, 'token')} in all.",
    ]
    if report.elsewhere:
        facts.append(
            "Accounts last seen in another country than they declared at sign-up: "
            f"{report.elsewhere:,}."
        )
    if report.absorbed:
        facts.append(f"Campaigns that turned out to be this one: {', '.join(report.absorbed)}.")
    return section("What it did", tag("ul", [tag("li", fact) for fact in facts]))


def _evidence(report: Report) -> Element:
    verdict = report.verdict
    rows = [
        (
            tag("th", KINDS.get(weight.kind, str(weight.kind)), scope="row"),
            number(weight.tied),
            number(weight.looked),
            tag("td", gauge(weight.tied / weight.looked if weight.looked else 0.0, weight.chance)),
            number(weight.tied / weight.looked if weight.looked else 0.0, "{:.0%}"),
            number(weight.chance, "{:.0%}"),
            tag("td", signed(weight.log_ratio), cls="n"),
            tag("td", odds(weight.log_ratio), cls="n"),
        )
        for weight in verdict.weights
    ]
    heads = (
        "Kind", "Tied >", "Looked at >", "Share, and by chance", "Share >", "Chance >",
        "Weight >", "Odds for one hand >",
    )  # fmt: skip
    return section(
        "Evidence",
        tag(
            "p", f"Weighed last on {moment(report.examined_at)} UTC, one account of each "
            "organisation counted. A weight is the natural logarithm of the odds; the upright mark "
            "is what chance would give. Together counts what speaks for one hand.", cls="note",
        ),
        table(heads, rows, "Kinds of evidence, strongest first", label="Evidence"),
        tag("h3", "In words"),
        tag("ul", [tag("li", _sentence(sentence)) for sentence in report.evidence]),
    )  # fmt: skip


def _sentence(sentence: str) -> list[Child]:
    """One sentence of the case, what it is about set apart."""
    about, colon, rest = raised(sentence).partition(": ")
    if not colon:
        return [about[:1].upper() + about[1:]]
    name = KINDS.get(about, about[:1].upper() + about[1:])
    return [tag("strong", name), ": ", rest]


def _timeline(report: Report) -> Element:
    plot = timeline(report)
    if plot is None:
        return section("Timeline", tag("p", "No hour of activity is remembered."))
    step, every = bars(report.hours)
    rows = [
        (
            tag("th", moment(one.at), scope="row", cls="w"),
            number(one.active),
            number(one.exchanges),
            number(one.refused),
            number(one.tokens),
        )
        for one in every
    ]
    heads = ("From (UTC)", "Members active >", "Exchanges >", "Refused >", "Tokens >")
    each = "hour" if step == 1 else f"{step} hours"
    legend = tag(
        "ul",
        [
            tag("li", tag("svg", tag("rect", cls=cls, width=12, height=12), width=12, height=12,
                viewBox="0 0 12 12", aria_hidden="true"), words)
            for cls, words in (("bar", "active, answered"), ("refused", "refused"))
        ],
        cls="legend",
    )  # fmt: skip
    return section(
        "Timeline",
        tag(
            "figure",
            scroller(plot, "Timeline"),
            legend,
            tag(
                "figcaption", "Active members are known for the latest week of each account: there "
                "were at least so many. Exchanges are counted from the alarm on. Times are UTC.",
            ),
        ),
        folded(
            f"The same as a table, by {each}", table(heads, rows, label="Timeline as a table")
        ),
    )  # fmt: skip


def _clock(report: Report) -> Element:
    every = sum(report.active)
    rows = [
        (tag("th", f"{hour:02}:00", scope="row"), number(count),
         number(count / every if every else 0.0, "{:.1%}"))
        for hour, count in enumerate(report.active)
    ]  # fmt: skip
    busiest, quietest = max(report.active), min(report.active)
    words = (
        f"Members are active in {sum(n > 0 for n in report.active)} of 24 hours. The busiest hour "
        f"has {busiest / every:.1%} of their activity, the quietest {quietest / every:.1%}; an "
        "even spread would be 4.2%."
        if every
        else "No hour of activity is remembered."
    )
    return section(
        "Hours of the day",
        tag("p", words),
        tag(
            "figure", clock(report.active),
            tag(
                "figcaption", "In how many hours members were active, by hour of the day (UTC), "
                "over the week last watched of each.",
            ),
        ),
        folded(
            "The same as a table",
            table(("Hour (UTC)", "Active >", "Share >"), rows, label="Hours as a table"),
        ),
    )  # fmt: skip


def _graph(report: Report, ways: Ways) -> Element:
    place = {member.account: i for i, member in enumerate(report.members, 1)}
    undrawn, values = layout(report).left_out
    note = (
        "Members stand on the circle, numbered as in the table of members; a larger dot made more "
        "exchanges. What they share stands inside, with a line to each that shares it."
    )
    if undrawn:
        note += f" Only the {MOST_MEMBERS} surest members are drawn; {undrawn:,} are not."
    if values:
        note += f" Shared values that are not drawn, because few share them: {values:,}."
    rows = [
        (
            tag("th", tie.label, scope="row"),
            tag("td", KINDS.get(tie.kind, tie.kind), cls="w"),
            number(tie.size),
            number(tie.outside),
            tag("td", between(tie.first_at, tie.last_at), cls="w"),
            tag("td", links((place[one] for one in tie.members), tie.label, ways)),
        )
        for tie in report.ties
    ]
    heads = ("Label", "Kind", "Members >", "Others, at least >", "Signed up (UTC)", "Which members")
    legend = [
        tag(
            "li", tag("svg", shape(kind, 8 + 8j), width=16, height=16, viewBox="-1 -1 18 18",
            aria_hidden="true"), words,
        )
        for kind, words in KINDS.items()
        if any(tie.kind == kind for tie in report.ties)
    ]  # fmt: skip
    return section(
        "Who shares what",
        tag(
            "figure", tag("ul", legend, cls="legend"), graph(report, ways.member),
            tag("figcaption", note), cls="graph",
        ),
        folded("The same as a table", table(heads, rows, label="Who shares what, as a table")),
    )  # fmt: skip


def _method(report: Report) -> Element:
    text = any(template.sample is not None for template in report.templates)
    return section(
        "How this was found, and what it cannot show",
        tag("h3", "Method"),
        tag("ul", [tag("li", words) for words in METHOD]),
        tag("h3", "Limits"),
        tag("ul", [tag("li", words) for words in (*LIMITS, SOME_TEXT if text else NO_TEXT)]),
    )


def _foot(report: Report) -> Element:
    policy: Child = ("policy ", tag("code", report.policy), ", ") if report.policy else None
    return tag(
        "footer",
        "As of ",
        tag("span", moment(report.made_at)),
        " UTC, ",
        policy,
        f"gateway-guard {__version__}.",
    )
