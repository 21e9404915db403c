"""What all pages have around them and in them: navigation, notices, marks, small numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from urllib.parse import quote
from xml.etree.ElementTree import Element

import msgspec

from gateway_guard import __version__
from gateway_guard.frontends.gate import LOGIN, STYLE
from gateway_guard.pages.markup import Child, page, tag
from gateway_guard.pages.words import moment
from gateway_guard.streams.bench import LONGEST_NAME

HOME: Final = "/dashboard"
_PAGES: Final = (
    ("Overview", HOME),
    ("Accounts", f"{HOME}/accounts"),
    ("Campaigns", f"{HOME}/campaigns"),
    ("Audit", f"{HOME}/audit"),
)


class Reader(msgspec.Struct, frozen=True, kw_only=True):
    """Who a page is made for.

    Attributes:
        name: of the reviewer; empty when unknown.
        fixed: whether that is theirs for certain; else they may say another.
        reviews: whether forms are shown that change things.
        token: what those forms carry.
        leaves: whether there is a session to end.
        locked: why nothing can be changed here; empty where it can.
    """

    name: str = ""
    fixed: bool = False
    reviews: bool = False
    token: str = ""
    leaves: bool = False
    locked: str = ""


def shell(
    title: str, here: str, reader: Reader | None, *body: Child, heading: Child = None
) -> str:  # fmt: skip
    """A whole page. `here` is the address of the one it belongs to; no `reader`: no navigation."""
    top: Child = None
    if reader is not None:
        links = [
            tag("a", word, href=where, aria_current="page" if where == here else None)
            for word, where in _PAGES
        ]
        top = tag(
            "header",
            tag("strong", "gateway_guard"),
            tag("nav", links, aria_label="Pages"),
            tag("div", _who(reader), cls="who"),
            cls="bar-top",
        )
    root = tag(
        "html",
        tag(
            "head",
            tag("meta", charset="utf-8"),
            tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
            tag("meta", name="robots", content="noindex, nofollow"),
            tag("title", f"{title} · gateway_guard"),
            tag("link", rel="icon", href="data:,"),
            tag("link", rel="stylesheet", href=STYLE),
        ),
        tag(
            "body",
            tag("a", "Skip to the content", href="#content", cls="skip"),
            top,
            tag("main", tag("h1", heading or title), body, id="content"),
            tag("footer", f"gateway_guard {__version__}. Times are UTC."),
        ),
        lang="en",
    )
    return page(root)


def _who(reader: Reader) -> list[Child]:
    role = "may review" if reader.reviews else "may only look"
    found: list[Child] = [
        tag("span", f"{reader.name}, {role}" if reader.name else role.capitalize())
    ]
    if reader.leaves:
        found.append(
            tag(
                "form",
                hidden(reader),
                tag("button", "Sign out", cls="plain"),
                method="post",
                action=f"{HOME}/logout",
            )
        )
    return found


def login_page(why: str = "", to: str = "") -> str:
    """Where a token is asked for; `to` is the page that it leads to, empty for the overview."""
    form = tag(
        "form",
        tag("input", type="hidden", name="to", value=to) if to else None,
        tag("label", "Your name, for the audit file", tag("input", name="name",
            maxlength=LONGEST_NAME, required="required", autocomplete="username")),
        tag("label", "Token", tag("input", name="token", type="password", required="required",
            autocomplete="current-password")),
        tag("button", "Sign in", cls="main"),
        method="post", action=LOGIN, cls="login card",
    )  # fmt: skip
    told = notice("bad", why) if why else None
    hint = tag(
        "p", "The token is what GATEWAY_GUARD_ADMIN_TOKEN says where the guard runs, or "
        "GATEWAY_GUARD_ADMIN_READ_TOKEN to look only.", cls="lead",
    )  # fmt: skip
    return shell("Sign in", "", None, told, hint, form)


def message_page(title: str, why: str, reader: Reader) -> str:
    """Something that went wrong, in words."""
    return shell(title, "", reader, notice("bad", why))


def hidden(reader: Reader) -> Element:
    """What makes a form this session's."""
    return tag("input", type="hidden", name="form", value=reader.token)


def notice(kind: str, *children: Child) -> Element:
    """Something to read first; `kind` is `good`, `warn`, `bad` or empty."""
    role = "alert" if kind == "bad" else None
    return tag("div", tag("p", *children), cls=f"notice {kind}".rstrip(), role=role)


def card(title: str, *children: Child, name: str | None = None) -> Element:
    """A part of a page under its heading."""
    return tag("section", tag("h2", title), *children, cls="card", id=name)


def empty(*children: Child) -> Element:
    """What stands where nothing is, and says why or what to do."""
    return tag("p", *children, cls="empty")


def pill(word: str, kind: str | None = None) -> Element:
    """A word with a border; `kind` is its class, by default the word."""
    return tag("span", word, cls=f"pill {kind or word}")


def account_link(account: str) -> Element:
    """An account, as a way to its page."""
    return tag("a", tag("code", account), href=account_path(account))


def account_path(account: str) -> str:
    """The address of an account's page."""
    return f"{HOME}/accounts/{quote(account, safe='')}"


def campaign_path(name: str) -> str:
    """The address of a campaign's page; `name` as `views.Held.path`."""
    return f"{HOME}/campaigns/{quote(name, safe='@')}"


def campaign_link(name: str) -> Element:
    """A campaign, as a way to its page."""
    return tag("a", name, href=campaign_path(name))


def ago(at: float, now: float) -> Element:
    """`5 min ago`, with the exact time when it is pointed at."""
    seconds = max(now - at, 0.0)
    if seconds < 90:
        words = f"{seconds:.0f} s ago"
    elif seconds < 5400:
        words = f"{seconds / 60:.0f} min ago"
    elif seconds < 172_800:
        words = f"{seconds / 3600:.0f} h ago"
    else:
        words = f"{seconds / 86_400:.0f} days ago"
    return tag("time", words, title=f"{moment(at)} UTC")


def listing(
    heads: Sequence[str], rows: Sequence[tuple[Element, ...]], label: str
) -> Element:  # fmt: skip
    """A table. A heading that ends in ` >` stands above numbers; one that begins with `?` is left
    out on narrow screens, with its cells.
    """
    optional = [head.startswith("?") for head in heads]
    for row in rows:
        for cell, out in zip(row, optional, strict=True):
            if out:
                _classed(cell, "opt")
    first = [_head(head) for head in heads]
    table = tag("table", tag("thead", tag("tr", first)), tag("tbody", [tag("tr", r) for r in rows]))
    return tag("div", table, cls="scroll", tabindex=0, role="region", aria_label=label)


def _head(head: str) -> Element:
    words = head.removeprefix("?").removesuffix(" >")
    found = tag("th", words, scope="col", cls="n" if head.endswith(" >") else None)
    return _classed(found, "opt") if head.startswith("?") else found


def _classed(cell: Element, name: str) -> Element:
    cell.set("class", f"{cell.get('class', '')} {name}".strip())
    return cell


def share(part: float, whole: float) -> str:
    """A share in per cent; `–` of nothing."""
    if not whole:
        return "–"
    value = 100 * part / whole
    return f"{value:.0f}%" if value >= 9.5 or not value else f"{value:.1f}%"
