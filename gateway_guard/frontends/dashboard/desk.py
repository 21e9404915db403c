"""The dashboard's questions and decisions, put to all guards of this host and made one answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from gateway_guard.campaigns.known import Known
from gateway_guard.campaigns.reviews import Review
from gateway_guard.campaigns.roster import Asked
from gateway_guard.errors import SettingsError, SourceError
from gateway_guard.frontends.dashboard.cases import SharedCases
from gateway_guard.frontends.dashboard.sources import MOST_TOLD, Casebook, Source
from gateway_guard.frontends.dashboard.views import (
    AccountPart,
    AccountView,
    AuditView,
    Campaigns,
    CampaignView,
    Held,
    LetGo,
    Overview,
)
from gateway_guard.record.audit import Audit
from gateway_guard.record.chain import Entry
from gateway_guard.record.reviews import Journal
from gateway_guard.record.snapshots import SnapshotFile
from gateway_guard.record.tally import LimitSeen
from gateway_guard.record.windows import merged
from gateway_guard.settings import Settings
from gateway_guard.stores.connect import parse_address
from gateway_guard.streams.bench import Bench
from gateway_guard.streams.post import Post

C = TypeVar("C", Held, LetGo)

#: Entries of the audit file shown.
MOST_ENTRIES: Final = 200
_SUREST: Final = Asked()


class Desk:
    """Answers pages.

    Attributes:
        locked: why nothing can be changed here; empty where it can.

    Args:
        sources: the guards, as of now.
        settings: theirs.
    """

    def __init__(self, sources: Callable[[], Sequence[Source]], settings: Settings) -> None:
        self._sources = sources
        self._settings = settings
        shared = bool(
            settings.store and settings.secret_lasts and parse_address(settings.store).shared
        )
        self._shared = Casebook(SharedCases(settings)) if shared else None
        self._post = (
            Post(settings.store, settings.store_namespace, settings.secret)
            if shared and settings.store
            else None
        )
        file = settings.campaigns_file
        self._journal = SnapshotFile(file).reviews if file else None
        self._audit: Audit | None = None
        self.locked = ""
        try:
            self._audit = Audit.configured(settings, file)
        except SettingsError as error:
            self.locked = f"Nothing can be changed here: {error}."

    async def overview(self) -> Overview:
        """The first page."""
        sources = self._sources()
        states = await asyncio.gather(*(source.state() for source in sources))
        found = [(s.label, state) for s, state in zip(sources, states, strict=True) if state]
        return Overview(
            tally=merged([state.tally for _, state in found], time.time()),
            guards=tuple((label, state.status, state.report) for label, state in found),
            campaigns=await self.campaigns(),
        )

    async def campaigns(self) -> Campaigns:
        """Every campaign."""
        if self._shared is not None:
            return await self._shared.campaigns()
        sources = self._sources()
        found = await asyncio.gather(*(source.campaigns() for source in sources))
        parts = [(s.label, part) for s, part in zip(sources, found, strict=True) if part]
        if len(parts) == 1:
            return parts[0][1]
        held = [_of(one, label) for label, part in parts for one in part.found]
        let_go = [_of(one, label) for label, part in parts for one in part.let_go]
        return Campaigns(
            found=tuple(sorted(held, key=lambda one: (-one.members, one.path))),
            let_go=tuple(sorted(let_go, key=lambda one: (-one.ended_at, one.path))),
            rulings=tuple(dict.fromkeys(one for _, part in parts for one in part.rulings)),
            accounts=sum(part.accounts for _, part in parts),
            off=next((part.off for _, part in parts if part.off), "" if parts else "No guard "
                     "answers."),
        )  # fmt: skip

    async def campaign(self, path: str, asked: Asked = _SUREST) -> CampaignView | None:
        """The campaign at `path` (`Held.path`), and the members `asked` for; None where it is not
        held.
        """
        name = path.partition("@")[0]
        view = await self._campaign(path, asked)
        if view is None:
            return None
        # Names begin anew when a linker does.
        since = view.report.alarm_at
        said = await asyncio.to_thread(self._decided, campaign=name)
        decided = tuple(entry for entry in said if entry.at >= since)
        return msgspec.structs.replace(view, decided=decided)

    async def _campaign(self, path: str, asked: Asked) -> CampaignView | None:
        name, _, label = path.partition("@")
        if self._shared is not None:
            return await self._shared.campaign(name, asked)
        for source in self._sources():
            if label in ("", source.label):
                view = await source.campaign(name, asked)
                if view is not None:
                    return view
        return None

    async def account(self, account: str) -> AccountView:
        """One account."""
        sources = self._sources()
        # One of them reads the decision log, which all write.
        parts = await asyncio.gather(
            *(source.account(account, search=not i) for i, source in enumerate(sources))
        )
        known: Known | None = None
        if self._shared is not None:
            known = await self._shared.known(account)
        else:
            for source in sources:
                found = await source.known(account)
                if found is not None and (known is None or found.membership is not None):
                    known = found
        return AccountView(
            account=account,
            part=_joined([part for part in parts if part is not None]),
            known=known,
            decided=await asyncio.to_thread(self._decided, account),
        )

    async def audit(self) -> AuditView:
        """The audit file, checked."""
        audit = self._audit
        if audit is None:
            return AuditView(off=self.locked)

        def look() -> AuditView:
            try:
                checked = audit.verify() if audit.begun() else None
            except SourceError as error:
                return AuditView(file=str(audit.path), off=str(error))
            entries = tuple(reversed(audit.latest(MOST_ENTRIES)))
            return AuditView(entries=entries, checked=checked, file=str(audit.path))

        return await asyncio.to_thread(look)

    async def decide(self, *reviews: Review, worker: str = "") -> Entry:
        """Write each of `reviews` down and put it in force, in order; the last entry.

        What is about a campaign is told only to its `worker` (`Held.worker`): others may hold
        another one by that name.

        Raises:
            SettingsError: nothing can be changed here.
            SourceError, StoreError: it could not be written down, or nobody could be told.
        """
        if self._audit is None:
            raise SettingsError(self.locked)
        loop = asyncio.get_running_loop()

        def tell(one: Review) -> None:
            whom = worker if one.campaign is not None else ""
            asyncio.run_coroutine_threadsafe(self._tell(one, whom), loop).result()

        bench = Bench(
            via="dashboard", audit=self._audit, post=self._post, journal=self._journal, tell=tell
        )
        entries = await asyncio.to_thread(bench.rule_all, reviews, len(reviews))
        entry = entries[-1]
        assert entry is not None  # noqa: S101 - there is an audit file
        return entry

    async def _tell(self, review: Review, worker: str) -> None:
        whom = [one for one in self._sources() if worker in ("", one.label)]
        done = await asyncio.gather(*(source.review(review) for source in whom))
        if not done or not all(done):
            raise SourceError("not every guard of this host could be told")

    def _decided(
        self, account: str | None = None, campaign: str | None = None
    ) -> tuple[Entry, ...]:  # fmt: skip
        """What people did about an account or a campaign, newest first: by the audit file, and
        before there was one by the journal of reviews.
        """
        found: list[Entry] = []
        if self._audit is not None:
            try:
                found = self._audit.latest(MOST_ENTRIES, account=account, campaign=campaign)
            except SourceError:
                found = []
        if self._journal is not None:
            known = {(entry.at, entry.action) for entry in found}
            journal = Journal(Path(self._journal), complain=lambda *_: None)
            found += [
                Entry(n=0, at=review.at, action=review.ruling.value, account=account,
                      campaign=campaign, reason=review.reason, by=review.by, prev="")
                for review in journal.new()
                if (review.account, review.campaign) == (account, campaign)
                and (review.at, review.ruling.value) not in known
            ]  # fmt: skip
        return tuple(sorted(found, key=lambda entry: -entry.at))


def _of(one: C, label: str) -> C:
    return msgspec.structs.replace(one, worker=label)


def _joined(parts: Sequence[AccountPart]) -> AccountPart:
    """What several guards know of one account."""
    if len(parts) <= 1:
        return parts[0] if parts else AccountPart()
    told = {one.id: one for part in parts for one in part.decisions}
    decisions = sorted(told.values(), key=lambda one: -one.at)[:MOST_TOLD]
    limits: dict[str, LimitSeen] = {}
    for seen in sorted((s for part in parts for s in part.limits), key=lambda one: one.at):
        limits[seen.limit] = seen
    riskiest = max(parts, key=lambda part: part.risk)
    verdicts = [part.verdict for part in parts if part.verdict is not None]
    latest = max(parts, key=lambda part: part.decisions[0].at if part.decisions else 0.0)
    return AccountPart(
        decisions=tuple(decisions), attributes=latest.attributes, risk=riskiest.risk,
        risk_at=riskiest.risk_at, verdict=verdicts[0] if verdicts else None,
        limits=tuple(limits.values()), challenged=any(part.challenged for part in parts),
        verified_until=max(part.verified_until for part in parts),
    )  # fmt: skip
