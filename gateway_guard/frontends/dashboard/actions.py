"""Forms that decide something, and what is read from them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final
from xml.etree.ElementTree import Element

import msgspec

from gateway_guard.campaigns.reviews import Review, Ruling
from gateway_guard.errors import SettingsError
from gateway_guard.frontends.dashboard.shell import Reader, card, empty, hidden, notice
from gateway_guard.pages.markup import tag
from gateway_guard.streams.bench import LONGEST_NAME, LONGEST_REASON, name_of, reason_of

#: As the linker names campaigns.
CAMPAIGN: Final = re.compile(r"c_[0-9]{1,12}(@[0-9]{1,3})?")

#: What can be decided about an account and about a campaign, as words on buttons.
FOR_ACCOUNTS: Final = {
    Ruling.BAN: "Ban",
    Ruling.ALLOW: "Allow",
    Ruling.CHALLENGE: "Ask to verify",
    Ruling.VERIFY: "Vouch for it",
    Ruling.CLEAR: "Clear ruling",
    Ruling.NOTE: "Add note",
}
FOR_CAMPAIGNS: Final = {
    Ruling.RELEASE: "Release campaign",
    Ruling.CHALLENGE: "Ask all to verify",
    Ruling.NOTE: "Add note",
}
_DANGEROUS: Final = frozenset((Ruling.BAN, Ruling.RELEASE))
#: What was done, said on the page that is shown next.
DONE: Final = {
    Ruling.BAN: "Banned: each of its requests is refused, unless the policy is in shadow. “Clear "
    "ruling” takes that back.",
    Ruling.ALLOW: "Allowed: it is never held to be in a campaign. “Clear ruling” takes that back.",
    Ruling.CLEAR: "Cleared: it is judged by the evidence alone again.",
    Ruling.NOTE: "The note is in the audit file.",
    Ruling.RELEASE: "Released: its accounts are left alone for 30 days.",
    Ruling.CHALLENGE: "Asked to verify: every request is challenged until that is done.",
    Ruling.VERIFY: "Vouched for: no challenge stops it for 30 days.",
}
_HELP: Final = {
    "account": "Ban: each request is refused, whatever the rules say, unless the policy is in "
    "shadow. Allow: never in a campaign; other rules and limits go on. Ask to verify: each request "
    "is challenged until it has. Vouch: no challenge stops it for 30 days. Clear lifts all of "
    "these.",
    "campaign": "Until somebody decides, the policy treats each member by its own confidence. "
    "Release lets the campaign go and leaves its accounts alone for 30 days: other rules and "
    "limits go on. Ask all to verify: each of {whom} is challenged until it has. Either is taken "
    "back account by account, with “Clear ruling” on its page, where it can be banned, too.",
}


def action_card(reader: Reader, what: str, done: str = "", *, whom: str = "") -> Element:
    """The form for an `account` or a `campaign`, of `whom` as its members; `done` is the
    ruling that was just made.
    """
    words = {str(ruling): words for ruling, words in DONE.items()}.get(done)
    told = notice("good", words, " Every guard knows within a second or two.") if words else None
    if reader.locked:
        body = empty(reader.locked)
    elif not reader.reviews:
        body = empty("You may only look. Whoever decides needs GATEWAY_GUARD_ADMIN_TOKEN, or a "
                     "group of GATEWAY_GUARD_ADMIN_REVIEWERS.")  # fmt: skip
    else:
        body = _form(reader, what, whom)
    return card("Decide", told, body, name="decide")


def review_of(
    form: Mapping[str, str], what: str, name: str, at: float, *, known_as: str
) -> Review:  # fmt: skip
    """The decision in a form about the account or campaign `name`; `known_as` is the reviewer's
    name where that is not theirs to choose.

    Raises:
        SettingsError: it is none; says what is missing.
    """
    choices = FOR_ACCOUNTS if what == "account" else FOR_CAMPAIGNS
    try:
        ruling = Ruling(form.get("ruling", ""))
    except ValueError:
        ruling = None
    if ruling not in choices:
        raise SettingsError("say what is decided: use one of the buttons")
    return Review(
        at=at,
        ruling=ruling,
        account=name if what == "account" else None,
        campaign=name if what == "campaign" else None,
        reason=reason_of(form.get("reason", "")),
        by=name_of(known_as or form.get("by", "")),
    )


def each_of(review: Review, members: Sequence[str]) -> list[Review]:
    """`review` itself; where it asks a campaign to verify itself, one for each of its `members`."""
    if review.campaign is None or review.ruling is not Ruling.CHALLENGE:
        return [review]
    reason = f"{review.campaign}: {review.reason}"
    return [
        msgspec.structs.replace(review, campaign=None, account=account, reason=reason)
        for account in members
    ]


def _form(reader: Reader, what: str, whom: str) -> Element:
    choices = FOR_ACCOUNTS if what == "account" else FOR_CAMPAIGNS
    fixed = "readonly" if reader.fixed else None
    # Enter in a field presses the first button of a form: this one, which does nothing, and not the
    # one that bans or releases.
    none = tag("button", type="submit", disabled="disabled", hidden="hidden")
    return tag(
        "form",
        none,
        hidden(reader),
        tag(
            "label", "Reason, for whoever looks at it next (no secrets)",
            tag("textarea", name="reason", rows=2, maxlength=LONGEST_REASON, required="required"),
        ),
        tag(
            "label", "Who decides",
            tag("input", name="by", value=reader.name, maxlength=LONGEST_NAME,
                required="required", autocomplete="name", readonly=fixed),
        ),
        tag(
            "div",
            [
                tag("button", words, type="submit", name="ruling", value=ruling.value,
                    cls="danger" if ruling in _DANGEROUS else None)
                for ruling, words in choices.items()
            ],
            cls="buttons",
        ),
        tag("p", _HELP[what].format(whom=whom), cls="note"),
        method="post", cls="act",
    )  # fmt: skip
