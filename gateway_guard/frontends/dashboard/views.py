"""What pages are made of: plain records, so that they travel between processes and into tests."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from gateway_guard.campaigns.ended import Ended
from gateway_guard.campaigns.known import Known
from gateway_guard.campaigns.report import Report
from gateway_guard.campaigns.reviews import Ruling
from gateway_guard.campaigns.roster import Found
from gateway_guard.campaigns.summary import Summary
from gateway_guard.record.chain import Checked, Entry
from gateway_guard.record.tally import LimitSeen, Tally
from gateway_guard.types import AccountFacts, CampaignFacts


class State(msgspec.Struct, frozen=True, kw_only=True):
    """One guard, or several.

    Attributes:
        tally: what it saw.
        report: what its `/readyz` says.
        status: the HTTP status of that.
    """

    tally: Tally
    report: dict[str, Any]
    status: int


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """One decision, explained.

    Attributes:
        id: of the request.
        at: Unix seconds.
        action: in words; `acted` is False where it was in shadow.
        rule: that decided; empty for the default.
        risk: in [0, 1].
        tree: lines of `core.explain`.
        other_policy: digest of the policy that decided where it is no longer the one in force: its
            weights and quotas may have been others; empty where it is the same.
    """

    id: str
    at: float
    action: str
    acted: bool
    rule: str
    risk: float
    tree: tuple[str, ...]
    other_policy: str = ""


class AccountPart(msgspec.Struct, frozen=True, kw_only=True):
    """What one guard knows of an account.

    Attributes:
        decisions: its latest, newest first.
        attributes: what the operator says of it.
        risk: the highest of late, as it was held at `risk_at` (Unix seconds); 0 for none.
        verdict: the campaign the guard acts on; None for none.
        limits: as they were after the latest of its decisions.
        challenged: whether somebody asked it to verify itself, and it has not.
        verified_until: it has, and that counts before this moment, Unix seconds; 0 when it has not.
    """

    decisions: tuple[Told, ...] = ()
    attributes: AccountFacts = AccountFacts()
    risk: float = 0.0
    risk_at: float = 0.0
    verdict: CampaignFacts | None = None
    limits: tuple[LimitSeen, ...] = ()
    challenged: bool = False
    verified_until: float = 0.0


class AccountView(msgspec.Struct, frozen=True, kw_only=True):
    """One account.

    Attributes:
        account: keyed digest.
        part: what the guards know of it.
        known: what the linker does; None where there is none, or it never met it.
        decided: what people did, newest first.
    """

    account: str
    part: AccountPart = AccountPart()
    known: Known | None = None
    decided: tuple[Entry, ...] = ()


class Held(Summary, frozen=True, kw_only=True):
    """One campaign. `worker` says whose, where each worker finds its own; empty otherwise."""

    worker: str = ""

    @property
    def path(self) -> str:
        """Its name in an address."""
        return _path(self.id, self.worker)


class LetGo(Ended, frozen=True, kw_only=True):
    """One campaign held no longer; `worker` as `Held.worker`."""

    worker: str = ""

    @property
    def path(self) -> str:
        """Its name in an address, while it was held."""
        return _path(self.id, self.worker)


def _path(name: str, worker: str) -> str:
    return f"{name}@{worker}" if worker else name


#: Rulings in force that are shown; the latest.
MOST_RULINGS: Final = 100


class Ruled(msgspec.Struct, frozen=True, kw_only=True):
    """An account a person decided on. `until` is Unix seconds, None for ever."""

    account: str
    ruling: Ruling
    until: float | None


class Campaigns(msgspec.Struct, frozen=True, kw_only=True):
    """Every campaign held, and those let go lately.

    Attributes:
        found: the largest first.
        let_go: the latest first; at most fifty of each guard.
        rulings: bans and allowances in force, the latest first; at most `MOST_RULINGS`.
        accounts: accounts remembered to find campaigns among.
        as_of: Unix seconds it is true at; None for now.
        off: why none are looked for; empty where they are.
    """

    found: tuple[Held, ...] = ()
    let_go: tuple[LetGo, ...] = ()
    rulings: tuple[Ruled, ...] = ()
    accounts: int = 0
    as_of: float | None = None
    off: str = ""


class CampaignView(msgspec.Struct, frozen=True, kw_only=True):
    """One campaign.

    Attributes:
        report: what is known of it.
        found: the members that were asked for, of all there are.
        decided: what people did about the campaign as a whole since it is held, newest first.
    """

    report: Report
    found: Found
    decided: tuple[Entry, ...] = ()


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    """The first page.

    Attributes:
        tally: of all guards together.
        guards: each guard's name (empty for a single one), status and readiness.
        campaigns: the campaigns.
    """

    tally: Tally
    guards: tuple[tuple[str, int, dict[str, Any]], ...]
    campaigns: Campaigns


class AuditView(msgspec.Struct, frozen=True, kw_only=True):
    """The audit file.

    Attributes:
        entries: the latest first.
        checked: whether the chain is whole; None when there is no file yet.
        file: its path; empty where none is kept.
        off: why none is; empty otherwise.
    """

    entries: tuple[Entry, ...] = ()
    checked: Checked | None = None
    file: str = ""
    off: str = ""
