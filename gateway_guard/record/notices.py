"""What somebody who wants to be told of campaigns is sent: JSON, one notice for each event. Pure.

    {"type": "campaign.held", "timestamp": "2026-03-02T07:31:00Z", "text": "…", "data": {…}}

`type`, `timestamp` and `data` as in the Standard Webhooks specification
(https://www.standardwebhooks.com); `text` is what incoming webhooks of Slack and Mattermost show.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any, Final

import msgspec

from gateway_guard.campaigns.ended import WORDS, Ended
from gateway_guard.campaigns.held import Held
from gateway_guard.campaigns.linker import Linker
from gateway_guard.types import Campaign

#: Members named in a notice, the surest; `campaign show` has all.
MOST_MEMBERS: Final = 1_000


class Notice(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One event.

    Attributes:
        id: the same for the same event, whoever tells of it: who takes over from another linker
            may tell of the last minute once more.
        body: JSON.
    """

    id: str
    body: bytes


#: Takes a notice to be sent. Never waits, never raises.
Tell = Callable[[Notice], None]


class Notices:
    """Makes notices of what becomes of a linker's campaigns, and hands them to `tell`."""

    def __init__(self, linker: Linker, tell: Tell) -> None:
        self._linker = linker
        self._tell = tell

    def held(self, held: Held) -> None:
        """`held` is held from now on."""
        self._tell(of_held(self._linker.campaign(held), held.alarm_at))

    def ended(self, ended: Ended) -> None:
        """A campaign was let go."""
        self._tell(of_ended(ended))


def of_held(campaign: Campaign, at: float) -> Notice:
    """The notice that `campaign` is held since `at`, Unix seconds."""
    surest = sorted(campaign.members.items(), key=lambda member: (-member[1], member[0]))
    text = f"campaign {campaign.id} held: {len(surest)} accounts. {'; '.join(campaign.evidence)}"
    return _notice(
        "campaign.held", campaign.id, at, text,
        confidence=campaign.confidence,
        first_seen=campaign.first_seen,
        accounts=len(surest),
        members=[
            {"account": account, "confidence": sure} for account, sure in surest[:MOST_MEMBERS]
        ],
        evidence=campaign.evidence,
    )  # fmt: skip


def of_ended(ended: Ended) -> Notice:
    """The notice that a campaign was let go."""
    text = (
        f"campaign {ended.id} let go, {WORDS[ended.why]}: {ended.members} accounts, "
        f"{ended.refused} of {ended.exchanges} exchanges since the alarm refused"
    )
    return _notice(
        "campaign.ended", ended.id, ended.ended_at, text,
        why=ended.why.value,
        alarm_at=ended.alarm_at,
        accounts=ended.members,
        exchanges=ended.exchanges,
        refused=ended.refused,
    )  # fmt: skip


def _notice(kind: str, campaign: str, at: float, text: str, **data: Any) -> Notice:
    moment = dt.datetime.fromtimestamp(at, dt.UTC)
    body = {
        "type": kind,
        "timestamp": moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "text": text,
        "data": {"campaign": campaign, "at": at, **data},
    }
    # Names of campaigns begin anew where what was learnt was given up; times do not.
    name = f"{kind}.{campaign}.{at:.3f}"
    return Notice(id=name, body=msgspec.json.encode(body))
