"""One account: why it is treated as it is. And the way to find one. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from xml.etree.ElementTree import Element

from gateway_guard.campaigns.casebook import BANNED
from gateway_guard.campaigns.known import Known
from gateway_guard.campaigns.membership import JOIN, PRIOR
from gateway_guard.campaigns.reviews import Ruling
from gateway_guard.frontends.dashboard.actions import action_card
from gateway_guard.frontends.dashboard.overview import COUNTED, accounts_table, limit_level
from gateway_guard.frontends.dashboard.shell import (
    HOME,
    Reader,
    account_link,
    ago,
    campaign_link,
    card,
    empty,
    listing,
    notice,
    pill,
    shell,
)
from gateway_guard.frontends.dashboard.traffic import meter, risk_level
from gateway_guard.frontends.dashboard.views import MOST_RULINGS, AccountView, Campaigns, Told
from gateway_guard.pages.campaign_tables import long
from gateway_guard.pages.markup import Child, tag
from gateway_guard.pages.words import date, in_short, instant, many, moment, short, signed, sure
from gateway_guard.record.chain import Entry
from gateway_guard.record.tally import AccountSeen, LimitSeen, Tally
from gateway_guard.types import AccountFacts, CampaignFacts

_HERE: Final = f"{HOME}/accounts"
#: Decisions that are unfolded when the page opens.
_OPEN: Final = 1
#: Rulings, and decisions of people, that are shown before somebody asks for all.
_RULINGS: Final = 20
_ENTRIES: Final = 50
#: Ways to the parts of a long page.
_JUMPS: Final = (
    ("Why: latest decisions", "latest"), ("Decide", "decide"), ("What people decided", "decided"),
)  # fmt: skip


def account_page(view: AccountView, reader: Reader, now: float, *, done: str = "") -> str:
    """Everything about one account, as of `now` (Unix seconds); `done` was just decided."""
    known, part = view.known, view.part
    ruling = known.ruling if known is not None else None
    heading: list[Child] = [tag("code", view.account)]
    if ruling is not None:
        words = "banned" if ruling is Ruling.BAN else "left alone" if _left(known) else "allowed"
        heading.append(pill(words, "bad" if ruling is Ruling.BAN else "good"))
    if part.verdict is not None and part.verdict.id != BANNED:
        heading.append(pill(f"{_where(view)} {part.verdict.id}", "warn"))
    nothing = not part.decisions and known is None and part.verdict is None
    return shell(
        view.account, _HERE, reader,
        notice("", "This account was not seen by these guards, or was forgotten since. It can be "
               "decided on nevertheless.") if nothing else None,
        tag("p", [tag("a", words, href=f"#{where}") for words, where in _JUMPS], cls="jumps"),
        tag(
            "div",
            tag(
                "div",
                card("Now", *_now(view, now)),
                card("Limits", *_limits(part.limits, now)),
            ),
            tag(
                "div",
                card("Campaign", *_campaign(known)),
                card("What is known of it", _facts(view, part.attributes)),
            ),
            cls="grid",
        ),
        card("Latest decisions, and why", *_decisions(part.decisions, now), name="latest"),
        tag(
            "div",
            action_card(reader, "account", done),
            card("What people decided", *_decided(view), name="decided"),
            cls="grid",
        ),
        heading=heading,
    )  # fmt: skip


def accounts_page(
    tally: Tally, campaigns: Campaigns, reader: Reader, *, asked: str = "", why: str = ""
) -> str:
    """A search, who stood out in the last day, and whom people decided on."""
    wanted = asked.strip().lower()
    found = [one for one in tally.day.accounts if wanted in one.account]
    stopped = [one for one in tally.day.stopped if wanted in one.account]
    rulings = [
        (
            tag("th", account_link(one.account), scope="row", cls="w"),
            tag("td", pill("banned", "bad") if one.ruling is Ruling.BAN else
                pill("allowed", "good")),
            tag("td", "for ever" if one.until is None else f"until {date(one.until)}"),
        )
        for one in campaigns.rulings
        if wanted in one.account
    ]  # fmt: skip
    search = tag(
        "form",
        tag("input", name="q", value=asked, aria_label="Account", placeholder="acct_…",
            maxlength=64, spellcheck="false", autocomplete="off"),
        tag("button", "Show", cls="main"),
        method="get", action=_HERE, cls="find", role="search",
    )  # fmt: skip
    return shell(
        "Accounts", _HERE, reader,
        tag("p", "By the digest that logs and metrics name it by. Of an API key: ",
            tag("code", "gateway-guard account show --key-file FILE"), ".", cls="lead"),
        search,
        notice("bad", why) if why else None,
        tag(
            "div",
            card("Riskiest in the last day", *_stood_out(found, tally.now, wanted)),
            card("Stopped most often in the last day", *_stopped(stopped, tally.now, wanted)),
            card("Decided by people", *_ruled(rulings, wanted)),
            cls="grid",
        ),
    )  # fmt: skip


def _ruled(rows: Sequence[tuple[Element, ...]], wanted: str) -> list[Child]:
    if not rows:
        words = f"Of those with {wanted!r} in it nobody" if wanted else "Nobody"
        return [empty(f"{words} is banned or allowed. An account's page has the form for it.")]
    every = listing(("Account", "Ruling", "For how long"), rows, "Rulings in force")
    note = f"The latest {MOST_RULINGS} in force; what is older is in the audit file."
    return [
        long(every, "rulings", _RULINGS),
        tag("p", note, cls="note") if len(rows) >= MOST_RULINGS else None,
    ]


def _stood_out(found: Sequence[AccountSeen], now: float, wanted: str) -> list[Element]:
    if not found:
        words = f"None with {wanted!r} in it stood out" if wanted else "Nobody stood out"
        return [empty(f"{words}: no signal saw anything and nobody was refused.")]
    return [accounts_table(found, now)]


def _stopped(found: Sequence[AccountSeen], now: float, wanted: str) -> list[Element]:
    if not found:
        return [empty(f"None with {wanted!r} in it was." if wanted else "Nobody was refused.")]
    return [accounts_table(found, now, stopped=True), tag("p", COUNTED, cls="note")]


def _now(view: AccountView, now: float) -> list[Element]:
    part = view.part
    latest = part.decisions[0] if part.decisions else None
    facts: list[Child] = []
    if part.risk:
        facts += [
            tag("dt", "Risk held"),
            tag("dd", meter(part.risk, f"risk {part.risk:.2f}", level=risk_level(part.risk)),
                f"{part.risk:.2f}, ", ago(part.risk_at, now),
                "; it fades as the policy's limits recover"),
        ]  # fmt: skip
    else:
        facts += [tag("dt", "Risk held"), tag("dd", "none")]
    if latest is not None:
        facts += [
            tag("dt", "Latest decision"),
            tag("dd", pill(latest.action), " ", ago(latest.at, now),
                f" by {latest.rule or 'the default'}"),
        ]  # fmt: skip
    verdict = part.verdict
    facts += [
        tag("dt", "Guards believe"),
        tag("dd", _belief(view, verdict) if verdict is not None else "that it is in no campaign"),
    ]  # fmt: skip
    if part.challenged:
        facts += [tag("dt", "Verification"), tag("dd", "asked for; it has not verified itself")]
    elif part.verified_until > now:
        facts += [tag("dt", "Verification"),
                  tag("dd", f"verified until {moment(part.verified_until)}")]  # fmt: skip
    return [tag("dl", facts, cls="facts")]


def _belief(view: AccountView, verdict: CampaignFacts) -> list[Child]:
    if verdict.id == BANNED:
        return ["that it is banned: a reviewer says so"]
    words = f"that it is {_where(view)} "
    return [words, campaign_link(verdict.id), f", confidence {sure(verdict.confidence)}"]


def _where(view: AccountView) -> str:
    """Whether the campaign it is told of has it as a member, or it is only near: who is near
    enough to be watched is told of, too.
    """
    held = view.known.membership if view.known is not None else None
    return "near" if held is not None and not held.member else "in"


def _left(known: Known | None) -> bool:
    """Whether it is allowed because its campaign was released, by nobody's word on itself."""
    return known is not None and known.ruling is Ruling.ALLOW and known.until is not None


def _limits(limits: Sequence[LimitSeen], now: float) -> list[Element]:
    if not limits:
        return [empty("No limit was charged in the decisions that are kept.")]
    rows = [
        (
            tag("th", seen.limit, scope="row"),
            tag("td", meter(1.0 - seen.left(now), f"{1.0 - seen.left(now):.0%} used",
                level=limit_level(seen.left(now)))),
            tag("td", f"{seen.left(now):.0%}", cls="n"),
            tag("td", f"{short(round(seen.capacity))} {seen.unit}", cls="n"),
            tag("td", pill("refused", "bad") if seen.refused else None),
        )
        for seen in sorted(limits, key=lambda one: (one.left(now), one.limit))
    ]  # fmt: skip
    note = "As the latest decision left them, with what has drained since."
    return [
        listing(("Limit", "Used", "Left now >", "Of >", ""), rows, "Limits"),
        tag("p", note, cls="note"),
    ]


def _campaign(known: Known | None) -> list[Child]:
    if known is None:
        return [empty("Whoever looks for campaigns does not know this account (yet).")]
    held = known.membership
    found: list[Child] = []
    if held is None:
        found.append(tag("p", "In no campaign."))
    elif held.campaign == BANNED:
        found.append(tag("p", "In none that is held; banned by a reviewer."))
    else:
        words = "Member of " if held.member else "Near "
        found.append(
            tag("p", words, campaign_link(held.campaign), f", confidence {sure(held.confidence)}.")
        )
        rows = [
            (tag("th", kind, scope="row"), tag("td", signed(points), cls="n"))
            for kind, points in sorted(held.adds.items(), key=lambda item: -item[1])
        ]
        if held.points is not None:
            total = (tag("th", f"Points (a member from {signed(JOIN)} on)", scope="row"),
                     tag("td", tag("strong", signed(held.points)), cls="n"))  # fmt: skip
            prior = (tag("th", "What every account starts with", scope="row"),
                     tag("td", signed(PRIOR), cls="n"))  # fmt: skip
            rows += [prior, total]
        found.append(listing(("What speaks for it", "Adds >"), rows, "Evidence"))
    lines = in_short(known.shares)
    if lines:
        found += [tag("h3", "Shares"), tag("ul", [tag("li", line) for line in lines])]
    return found


def _facts(view: AccountView, attributes: AccountFacts) -> Element:
    known = view.known.trace if view.known is not None else None
    # Where no attributes are at hand: what was known when it was last seen.
    checked, created = attributes.verified, attributes.created_at
    if known is not None:
        checked = known.verified if checked is None else checked
        created = known.created_at if created is None else created
    verified = {None: "not known", True: "yes", False: "no"}[checked]
    rows: list[tuple[str, str]] = [
        ("Organisation", attributes.organisation or (known.organisation if known else "") or "–"),
        ("Signed up", moment(created) if created else "–"),
        ("Tier", attributes.tier or "–"),
        ("Verified", verified),
        ("Declared country", attributes.country or (known.declared if known else None) or "–"),
        ("Tags", ", ".join(attributes.tags) or "–"),
    ]
    if known is not None:
        network = "an unknown network" if known.asn is None else f"AS{known.asn}"
        pace = {None: "not told yet", True: "even over the hours", False: "in sessions"}
        seen = f"{moment(known.last_at)} in {known.country or 'an unknown country'} from {network}"
        did = f"{many(known.exchanges, 'exchange')}, {known.refused:,} refused"
        rows += [
            ("Last seen", seen),
            ("Since", f"{moment(known.first_at)}: {did}, {many(known.tokens, 'token')}"),
            ("Pace", pace[known.even_pace]),
        ]
    return tag("dl", [(tag("dt", name), tag("dd", value)) for name, value in rows], cls="facts")


def _decisions(decisions: Sequence[Told], now: float) -> list[Element]:
    if not decisions:
        return [
            empty(
                "None is kept. The latest decisions of some thousand accounts are kept in memory, "
                "the most severe first; with a decision log in a file "
                "(GATEWAY_GUARD_DECISION_LOG) older ones are found there."
            )
        ]
    return [_told(one, now, unfolded=i < _OPEN) for i, one in enumerate(decisions)]


def _told(one: Told, now: float, *, unfolded: bool) -> Element:
    shadow = pill("in shadow", "quiet") if not one.acted and one.action != "allow" else None
    other = None
    if one.other_policy:
        other = tag("p", "Decided by another policy, ", tag("code", one.other_policy), ": weights "
                    "and quotas are shown as they are now.", cls="note")  # fmt: skip
    return tag(
        "details",
        tag(
            "summary", pill(one.action), shadow, tag("span", one.rule or "default"),
            tag("span", f"risk {one.risk:.2f}"), ago(one.at, now),
            # Whoever complains says when, and not everybody can point at what is said beside it.
            tag("span", f"{instant(one.at)} UTC"), tag("code", one.id),
        ),
        tag("div", "\n".join(one.tree), cls="tree", tabindex=0, role="region",
            aria_label="Explanation"),
        other,
        cls="told", open="open" if unfolded else None,
    )  # fmt: skip


def _decided(view: AccountView) -> list[Element]:
    found: list[Element] = []
    known = view.known
    if known is not None and known.until is not None and _left(known):
        audit = tag("a", "the audit file", href=f"{HOME}/audit")
        found.append(tag("p", "A campaign it was in was released: it is left alone until "
                         f"{moment(known.until)}. Why is in ", audit, "."))  # fmt: skip
    if view.decided:
        found.append(entries_table(view.decided, about=False))
    return found or [empty("Nobody has decided anything about this account.")]


def entries_table(entries: Sequence[Entry], *, about: bool) -> Element:
    """Decisions of people; `about` says what each is about."""
    rows = []
    for entry in entries:
        cells = [
            tag("td", moment(entry.at), cls="w"),
            tag("td", pill(entry.action, entry.action if entry.action in ("ban", "allow", "failed")
                else "quiet")),
            tag("td", entry.by or "–"),
            tag("td", entry.reason, cls="long"),
            tag("td", entry.via or "–"),
        ]  # fmt: skip
        if about:
            what = (
                account_link(entry.account) if entry.account
                else campaign_link(entry.campaign) if entry.campaign
                else "–"
            )  # fmt: skip
            cells.insert(2, tag("td", what, cls="w"))
        rows.append(tuple(cells))
    heads = ["When (UTC)", "What", "By", "Reason", "?Via"]
    if about:
        heads.insert(2, "About")
    return long(listing(heads, rows, "Decisions of people"), "decisions", _ENTRIES)
