"""Pages' material, with literals; hostile ones on demand."""

from __future__ import annotations

from typing import Any

from gateway_guard.campaigns.ended import Why
from gateway_guard.campaigns.known import Facts, Known, Membership, Shared
from gateway_guard.campaigns.report import Report
from gateway_guard.campaigns.reviews import Ruling
from gateway_guard.campaigns.roster import Asked, find
from gateway_guard.frontends.dashboard.shell import Reader
from gateway_guard.frontends.dashboard.views import (
    AccountPart,
    AccountView,
    Campaigns,
    CampaignView,
    Held,
    LetGo,
    Overview,
    Ruled,
    Told,
)
from gateway_guard.record.chain import Entry
from gateway_guard.record.tally import AccountSeen, Bar, LimitSeen, NetworkSeen, Seen, Tally, Window
from gateway_guard.types import AccountFacts, CampaignFacts
from tests import build

ACCOUNT = "acct_" + "a" * 16
SUREST = Asked()
REFUSED = "acct_" + "b" * 16
HOSTILE = "</td><script>alert(1)</script><img src=x onerror=alert(2)>\"'&\u202e"
REVIEWER = Reader(name="mia", fixed=True, reviews=True, token="t" * 64, leaves=True)


def report(**fields: Any) -> dict[str, Any]:
    """What `/readyz` says of a guard that is well."""
    network = {"path": "/data/network.mmdb", "type": "bundled", "built": "2026-08-22T00:00",
               "sha256": "ab" * 32, "error": None, "failed_lookups": 0}  # fmt: skip
    return {
        "status": "ok", "troubles": [], "version": "1.2.3", "store": "memory",
        "policy": {"source": "p.yaml", "digest": "0123456789ab", "enforce": True},
        "network": [network], "upstream": {"connections": 2, "retried": 0},
    } | fields  # fmt: skip


def window(word: str = "") -> Window:
    """Five exchanges; `word` stands wherever somebody else chooses what is written."""
    return Window(
        actions=(1, 1, 1, 1, 1),
        rehearsed=1,
        countries={word or "BR": Seen(4, 3), "unknown": Seen(1, 1)},
        networks=(NetworkSeen(64500, word or "Example Ltd", 5, 4),),
        flags={word or "tor": Seen(5, 4)},
        accounts=(AccountSeen(word or ACCOUNT, 0.72, 5, 4, build.NOW, word or "BR", "c_0001"),),
        stopped=(AccountSeen(word or REFUSED, 0.0, 9, 8, build.NOW, word or "BR", ""),),
        bars=(Bar(build.NOW - 60, (0, 0, 0, 0, 0)), Bar(build.NOW, (1, 1, 1, 1, 1))),
    )


def tally(word: str = "") -> Tally:
    """The same in both windows."""
    limit = LimitSeen(word or "tokens", word or ACCOUNT, "tokens", 10.0, 100.0, 0.0, True,
                      build.NOW)  # fmt: skip
    return Tally(now=build.NOW, since=build.NOW - 60, hour=window(word), day=window(word),
                 limits=(limit,))  # fmt: skip


def campaigns(word: str = "") -> Campaigns:
    """One campaign, one let go that was a mistake, one ban."""
    held = Held(
        id=word or "c_0001", members=24, confidence=0.9999, first_seen=build.NOW - 7200,
        alarm_at=build.NOW - 3600, last_at=build.NOW, exchanges=288, refused=3, share=0.1,
        networks={word or "AS64500": 24},
    )  # fmt: skip
    ruled = Ruled(account=word or ACCOUNT, ruling=Ruling.BAN, until=None)
    let_go = LetGo(
        id=word or "c_0002", why=Why.INNOCENT, members=12, alarm_at=build.NOW - 9000,
        ended_at=build.NOW - 1800, exchanges=200, refused=41,
    )  # fmt: skip
    return Campaigns(found=(held,), let_go=(let_go,), rulings=(ruled,), accounts=144)


def campaign(report: Report, asked: Asked = SUREST) -> CampaignView:
    """A report that lists everybody, and those of them `asked` for."""
    return CampaignView(report=report, found=find(report.members, asked))


def overview(word: str = "", **fields: Any) -> Overview:
    """All of it."""
    guard = report(**({"status": word, "troubles": [word], "version": word} if word else {}))
    given = {"tally": tally(word), "guards": (("", 200, guard),), "campaigns": campaigns(word)}
    return Overview(**given | fields)  # type: ignore[arg-type]


def account(word: str = "", **fields: Any) -> AccountView:
    """An account in a campaign."""
    told = Told(
        id=word or "r_1", at=build.NOW, action="deny", acted=True, rule=word or "harvesting",
        risk=0.72, tree=("r_1  POST /v1", f"├ model {word}"), other_policy=word,
    )  # fmt: skip
    limit = LimitSeen(word or "tokens", "", "tokens", 10.0, 100.0, 0.0, False, build.NOW)
    facts = Facts(
        organisation=word or "org", even_pace=True, created_at=build.NOW, first_at=build.NOW,
        last_at=build.NOW, exchanges=12, refused=3, tokens=400, verified=None,
        declared=word or "US",
        country=word or "BR", asn=64500,
    )  # fmt: skip
    membership = Membership(
        campaign=word or "c_0001", member=True, confidence=0.99, points=9.0,
        adds={word or "payment": 5.0},
    )  # fmt: skip
    known = Known(
        account=ACCOUNT, trace=facts, membership=membership, ruling=Ruling.BAN, until=None,
        shares=(Shared(kind=word or "payment", others=3),), reviews=(),
    )  # fmt: skip
    entry = Entry(n=1, at=build.NOW, action=word or "ban", account=ACCOUNT, by=word or "mia",
                  reason=word or "stolen card", via=word or "cli", prev="")  # fmt: skip
    given = {
        "account": ACCOUNT,
        "part": AccountPart(
            decisions=(told,), risk=0.7, risk_at=build.NOW, limits=(limit,),
            attributes=AccountFacts(tier=word or "free", tags=(word or "partner",)),
            verdict=CampaignFacts(id=word or "c_0001", confidence=0.99),
        ),
        "known": known,
        "decided": (entry,),
    }  # fmt: skip
    return AccountView(**given | fields)  # type: ignore[arg-type]
