"""What a webhook is sent of campaigns."""

from __future__ import annotations

import msgspec

from gateway_guard.campaigns.ended import Ended, Why
from gateway_guard.record.notices import MOST_MEMBERS, of_ended, of_held
from gateway_guard.types import Campaign

AT = 1_772_436_660.5
CAMPAIGN = Campaign(
    id="c_0009",
    members={"acct_b": 0.97, "acct_a": 0.999, "acct_c": 0.97},
    evidence=("payment: 17 of 19", "together 1,000 to 1"),
    confidence=0.999,
    first_seen=1_772_427_000.0,
    alarm_at=AT,
)
ENDED = Ended(
    id="c_0009", why=Why.INNOCENT, members=3, alarm_at=1_772_436_660.5, ended_at=1_772_440_000.0,
    exchanges=40, refused=7,
)  # fmt: skip


def test_of_a_campaign_held_who_and_why() -> None:
    notice = of_held(CAMPAIGN, AT)

    assert msgspec.json.decode(notice.body) == {
        "type": "campaign.held",
        "timestamp": "2026-03-02T07:31:00Z",
        "text": "campaign c_0009 held: 3 accounts. payment: 17 of 19; together 1,000 to 1",
        "data": {
            "campaign": "c_0009",
            "at": 1_772_436_660.5,
            "confidence": 0.999,
            "first_seen": 1_772_427_000.0,
            "accounts": 3,
            "members": [
                {"account": "acct_a", "confidence": 0.999},
                {"account": "acct_b", "confidence": 0.97},
                {"account": "acct_c", "confidence": 0.97},
            ],
            "evidence": ["payment: 17 of 19", "together 1,000 to 1"],
        },
    }


def test_of_one_let_go_why_and_what_it_cost() -> None:
    notice = of_ended(ENDED)

    said = msgspec.json.decode(notice.body)
    assert said["type"] == "campaign.ended"
    assert said["text"] == (
        "campaign c_0009 let go, looked innocent once more of it was known: 3 accounts, "
        "7 of 40 exchanges since the alarm refused"
    )
    assert said["data"]["why"] == "innocent"
    assert (said["data"]["exchanges"], said["data"]["refused"]) == (40, 7)


def test_the_same_event_has_the_same_name_and_no_other_has_it() -> None:
    assert of_held(CAMPAIGN, AT).id == of_held(msgspec.structs.replace(CAMPAIGN, members={}), AT).id
    assert len({of_held(CAMPAIGN, AT).id, of_held(CAMPAIGN, AT + 1.0).id, of_ended(ENDED).id}) == 3


def test_only_the_surest_of_many_members_are_named() -> None:
    many = {f"acct_{number:05}": number / 10_000 for number in range(MOST_MEMBERS + 5)}

    data = msgspec.json.decode(of_held(msgspec.structs.replace(CAMPAIGN, members=many), AT).body)[
        "data"
    ]

    assert data["accounts"] == MOST_MEMBERS + 5
    assert len(data["members"]) == MOST_MEMBERS
    assert data["members"][0]["account"] == f"acct_{MOST_MEMBERS + 4:05}"
