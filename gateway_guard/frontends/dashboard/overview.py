"""The first page: is all well, what is happening, who stands out. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from xml.etree.ElementTree import Element

from gateway_guard.frontends.dashboard.health import Dependency, data, dependencies, policies
from gateway_guard.frontends.dashboard.shell import (
    HOME,
    Reader,
    account_link,
    ago,
    campaign_link,
    campaign_path,
    card,
    empty,
    listing,
    notice,
    pill,
    share,
    shell,
)
from gateway_guard.frontends.dashboard.traffic import legend, meter, risk_level, traffic
from gateway_guard.frontends.dashboard.views import Campaigns, Overview
from gateway_guard.frontends.dashboard.world import PLACES, world
from gateway_guard.pages.campaign_tables import number
from gateway_guard.pages.markup import Child, tag
from gateway_guard.pages.words import instant, many, moment, short, sure
from gateway_guard.policy.countries import COUNTRIES
from gateway_guard.record.tally import AccountSeen, LimitSeen, Seen, Tally, Window

_COUNTRIES: Final = 10
_CAMPAIGNS: Final = 6
#: Seconds for which a campaign let go is spoken of.
_LATELY: Final = 7 * 86_400.0
_FEWEST_BARS: Final = 15
#: How many of those stopped most often are shown.
_STOPPED: Final = 6
#: What the figures of `accounts_table` are of.
COUNTED: Final = (
    "Stopped: refused or challenged, in shadow as well; of all its exchanges since it first stood "
    "out."
)
_KIND: Final = {"ok": "good", "degraded": "warn"}


def overview_page(view: Overview, reader: Reader, *, day: bool = False, still: bool = False) -> str:
    """The page: of the last hour, or of the last day."""
    tally = view.tally
    window = tally.day if day else tally.hour
    now = tally.now
    span = "the last day" if day else "the last hour"
    return shell(
        "Overview", HOME, reader,
        _lead(tally, still=still, day=day),
        _trouble(view),
        _figures(window, view.campaigns),
        card("Decisions over time", *_timeline(window, tally.since, span)),
        tag(
            "div",
            card("Accounts, the riskiest first", *_accounts(window, now, span)),
            tag(
                "div",
                card("Accounts, the most often stopped first", *_stopped(window, now, span)),
                card("Campaigns", *_campaigns(view.campaigns, now)),
                card("Limits near exhaustion", *_limits(tally.limits, now)),
            ),
            cls="grid",
        ),
        card("Countries", *_countries(window, span)),
        card("Networks", *_networks(window, span)),
        tag(
            "div",
            card("Health", *_health(dependencies(view.guards))),
            card("Policy and data", *_versions(view.guards)),
            cls="grid",
        ),
        heading=("Overview ", _switch(day), _state(view.guards)),
    )  # fmt: skip


def _switch(day: bool) -> Element:
    links = [
        tag("a", words, href=where, aria_current="true" if on else None)
        for words, where, on in (
            ("Last hour", HOME, not day),
            ("Last day", f"{HOME}?window=day", day),
        )
    ]
    return tag("span", links, cls="switch")


def _state(guards: Sequence[tuple[str, int, dict[str, Any]]]) -> Element:
    words = {str(report.get("status", "unknown")) for _, _, report in guards}
    if not guards:
        return pill("no guard answers", "bad")
    word = next(iter(words)) if len(words) == 1 else "degraded" if "ok" in words else "unready"
    return pill(word, _KIND.get(word, "bad"))


def _lead(tally: Tally, *, still: bool, day: bool) -> Element:
    window = "window=day" if day else ""
    there = f"{HOME}?{window}" if window else HOME
    if still:
        link = tag("a", "refresh every 30 seconds", href=there)
    else:
        more = f"{window}&still" if window else "still"
        link = tag("a", "stop refreshing", href=f"{HOME}?{more}")
    since = f"As of {instant(tally.now)} UTC, counted since {moment(tally.since)}; "
    return tag("p", since, link, ".", cls="lead")


def _trouble(view: Overview) -> list[Element]:
    found = []
    troubles: dict[str, None] = {}
    for _, _, report in view.guards:
        troubles.update(dict.fromkeys(map(str, report.get("troubles", ()))))
    if troubles:
        bad = any(status >= 500 for _, status, _ in view.guards)
        found.append(
            tag(
                "div",
                tag("ul", [tag("li", words) for words in troubles]),
                cls="notice bad" if bad else "notice warn",
                role="alert" if bad else None,
            )
        )
    if not view.guards:
        found.append(notice("bad", "No guard of this host answers."))
    if view.tally.dropped:
        found.append(
            notice("warn", f"{many(view.tally.dropped, 'exchange')} not counted on this page: "
                   "they came faster than they could be counted.")
        )  # fmt: skip
    shadow = {p.source for p in policies(view.guards) if not p.enforce}
    if shadow:
        found.append(
            notice("", "In shadow: decisions are made and logged, nothing is refused. ",
                   tag("code", "mode: enforce"), " in the policy acts on them.")
        )  # fmt: skip
    return found


def _figures(window: Window, campaigns: Campaigns) -> Element:
    allow, restrict, challenge, throttle, deny = window.actions
    every = window.all
    members = sum(one.members for one in campaigns.found)
    cells = (
        ("Exchanges", short(every), "decided"),
        ("Denied", short(deny), share(deny, every)),
        ("Throttled", short(throttle), share(throttle, every)),
        ("Challenged", short(challenge), share(challenge, every)),
        ("Restricted", short(restrict), share(restrict, every)),
        ("Allowed", short(allow), share(allow, every)),
        ("Rehearsed", short(window.rehearsed), "of these, in shadow"),
        ("Campaigns", f"{len(campaigns.found):,}", many(members, "account")),
    )
    return tag(
        "dl",
        [
            tag("div", tag("dt", name), tag("dd", value, tag("small", note)))
            for name, value, note in cells
        ],
        cls="figures",
    )


def _timeline(window: Window, since: float, span: str) -> list[Element]:
    if not window.all:
        return [
            empty(
                f"No exchange in {span}. Requests show up here within a second of their end: point "
                "clients at the guard's port, or a gateway at its decision endpoint."
            )
        ]
    # What was before anything was counted is left out, but for a little.
    known = sum(bar.at >= since - 60 for bar in window.bars)
    bars = window.bars[-max(known, _FEWEST_BARS) :]
    # Narrow screens scroll it, and begin at its end.
    plot = tag("div", traffic(bars), cls="scroll late", tabindex=0, role="region",
               aria_label="Decisions over time")  # fmt: skip
    each = round(bars[1].at - bars[0].at) // 60 if len(bars) > 1 else 1
    long = "minute" if each == 1 else f"{each} minutes"
    words = f"Exchanges decided in every {long}, by action. Times are UTC."
    return [plot, legend(window.actions), tag("p", words, cls="note")]


def _accounts(window: Window, now: float, span: str) -> list[Element]:
    if not window.accounts:
        return [
            empty(
                f"No account stood out in {span}: no signal saw anything and nobody was refused. "
                "Any account can be looked up under ",
                tag("a", "Accounts", href=f"{HOME}/accounts"),
                ".",
            )
        ]
    return [accounts_table(window.accounts[:12], now)]


def _stopped(window: Window, now: float, span: str) -> list[Element]:
    if not window.stopped:
        return [empty(f"Nobody was refused in {span}.")]
    return [
        accounts_table(window.stopped[:_STOPPED], now, stopped=True),
        tag("p", COUNTED, cls="note"),
    ]


def accounts_table(found: Sequence[AccountSeen], now: float, *, stopped: bool = False) -> Element:
    """Accounts that stood out, as they come: by risk, or by how often they were `stopped`."""
    rows = [
        (
            tag("th", account_link(one.account), scope="row", cls="w"),
            tag("td", meter(one.risk, f"risk {one.risk:.2f}", level=risk_level(one.risk))),
            number(one.risk, "{:.2f}"),
            tag("td", f"{one.stopped:,} of {one.all:,}", cls="n"),
            tag("td", campaign_link(one.campaign) if one.campaign else "–"),
            tag("td", ago(one.at, now), cls="w"),
        )
        for one in found
    ]
    # Narrow screens show what they are ordered by.
    figures = ("?Risk >", "Stopped >") if stopped else ("Risk >", "?Stopped >")
    heads = ("Account", "?", *figures, "Campaign", "?Latest")
    return listing(heads, rows, "Accounts by refusals" if stopped else "Accounts by risk")


def _campaigns(campaigns: Campaigns, now: float) -> list[Child]:
    if campaigns.off:
        return [empty(campaigns.off)]
    let_go = _let_go(campaigns, now)
    if not campaigns.found:
        return [
            empty(
                f"No campaign is held. {many(campaigns.accounts, 'account')} "
                f"{'is' if campaigns.accounts == 1 else 'are'} remembered to find some among; it "
                "takes several accounts that share more than one thing."
            ),
            let_go,
        ]
    rows = [
        (
            tag("th", tag("a", one.path, href=campaign_path(one.path)), scope="row", cls="w"),
            number(one.members),
            tag("td", sure(one.confidence), cls="n"),
            number(one.exchanges),
            tag("td", share(one.share, 1.0), cls="n"),
            tag("td", ago(one.last_at, now), cls="w"),
        )
        for one in campaigns.found[:_CAMPAIGNS]
    ]
    heads = ("Campaign", "Accounts >", "Sure >", "?Exchanges >", "Of all >", "?Last seen")
    found: list[Child] = [listing(heads, rows, "Campaigns by size")]
    rest = len(campaigns.found) - _CAMPAIGNS
    if rest > 0:
        found.append(tag("p", tag("a", f"{rest:,} more", href=f"{HOME}/campaigns")))
    return [*found, let_go]


def _let_go(campaigns: Campaigns, now: float) -> Element | None:
    lately = [one for one in campaigns.let_go if now - one.ended_at < _LATELY]
    if not lately:
        return None
    mistaken = sum(one.mistaken for one in lately)
    words = many(mistaken, "mistake")
    return tag(
        "p", tag("a", "Let go", href=f"{HOME}/campaigns#let-go"), f" in the last week: "
        f"{len(lately):,} ", pill(words, "bad") if mistaken else None, cls="note",
    )  # fmt: skip


def _limits(limits: Sequence[LimitSeen], now: float) -> list[Element]:
    if not limits:
        return [empty("Nobody has used more than half of a limit, or it has drained since.")]
    rows = [_limit(seen, now) for seen in limits[:12]]
    heads = ("Limit", "Whose", "?", "Left now >", "?Of >", "")
    return [listing(heads, rows, "Limits, the least left first")]


def _limit(seen: LimitSeen, now: float) -> tuple[Element, ...]:
    left = seen.left(now)
    account = seen.who.startswith("acct_")
    # An element without children is falsy.
    whose: Child = account_link(seen.who) if account else seen.who or "an address"
    return (
        tag("th", seen.limit, scope="row"),
        tag("td", whose, cls="w" if account else "long"),
        tag("td", meter(1.0 - left, f"{1.0 - left:.0%} used", level=limit_level(left))),
        tag("td", f"{left:.0%}", cls="n"),
        tag("td", f"{short(round(seen.capacity))} {seen.unit}", cls="n"),
        tag("td", pill("refused", "bad") if seen.refused else None),
    )


def limit_level(left: float) -> int:
    """1 to 3, by the share of a limit that is left; only a colour."""
    return 3 if left < 0.1 else 2 if left < 0.3 else 1


def _networks(window: Window, span: str) -> list[Element]:
    if not window.networks:
        return [empty(f"No exchange in {span}.")]
    rows = [
        (
            tag("th", "unknown" if one.asn is None else f"AS{one.asn}", scope="row", cls="w"),
            tag("td", one.org or "–", cls="long"),
            number(one.all),
            tag("td", share(one.all, window.all), cls="n"),
            tag("td", share(one.stopped, one.all), cls="n"),
        )
        for one in window.networks[:8]
    ]
    heads = ("Network", "?Operator", "Seen >", "Of all >", "Stopped >")
    flags = sorted(window.flags.items(), key=lambda item: (-item[1].all, item[0]))
    items = [
        tag("li", pill(name, "quiet"), f" {seen.all:,}, {share(seen.stopped, seen.all)} stopped")
        for name, seen in flags
    ]
    return [
        listing(heads, rows, "Networks, the busiest first"),
        tag("ul", items, cls="legend"),
    ]


def _countries(window: Window, span: str) -> list[Child]:
    if not window.countries:
        return [empty(f"No exchange in {span}.")]
    ranked = sorted(window.countries.items(), key=lambda item: (-item[1].all, item[0]))
    rows = [_country(code, seen, window.all) for code, seen in ranked[:_COUNTRIES]]
    heads = ("Country", "Seen >", "Of all >", "Stopped >")
    off = [code for code in window.countries if code not in PLACES and code != "unknown"]
    note: Child = None
    if off:
        note = tag("p", f"Not on the map: {', '.join(sorted(off))}.", cls="note")
    return [
        tag(
            "div",
            tag("figure", world(window.countries), note),
            listing(heads, rows, "Countries, the busiest first"),
            cls="grid map",
        )
    ]


def _country(code: str, seen: Seen, every: int) -> tuple[Element, ...]:
    return (
        tag("th", COUNTRIES.get(code, code), scope="row"),
        number(seen.all),
        tag("td", share(seen.all, every), cls="n"),
        tag("td", share(seen.stopped, seen.all), cls="n"),
    )


def _health(every: Sequence[Dependency]) -> list[Element]:
    rows = [
        (
            tag("th", one.name, scope="row"),
            tag("td", pill(one.state, _KIND.get(one.state, "bad"))),
            tag("td", one.detail, cls="long"),
        )
        for one in every
    ]
    return [listing(("What", "State", "Detail"), rows, "Health of every dependency")]


def _versions(guards: Sequence[tuple[str, int, dict[str, Any]]]) -> list[Child]:
    found: list[Child] = []
    used = policies(guards)
    facts: list[Child] = []
    for policy in used:
        where = f" ({policy.who})" if len(used) > 1 else ""
        mode = "enforced" if policy.enforce else "in shadow"
        facts += [
            tag("dt", f"Policy{where}"),
            tag("dd", policy.source, ", ", tag("code", policy.digest), f", {mode}"),
        ]
    versions = sorted({str(report.get("version", "")) for _, _, report in guards})
    facts += [tag("dt", "Guard"), tag("dd", ", ".join(versions) or "–")]
    found.append(tag("dl", facts, cls="facts"))
    rows = [
        (
            tag("th", one.name, scope="row", cls="long"),
            tag("td", one.built or "–", cls="w"),
            tag("td", tag("code", one.digest) if one.digest else "–"),
        )
        for one in data(guards)
    ]
    if rows:
        found.append(listing(("Data", "Built", "?SHA-256"), rows, "Versions of the data"))
    return found
