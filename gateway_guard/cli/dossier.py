"""All that lies anywhere of some accounts: what `account export` hands out and `account erase` asks
for first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

import msgspec
import typer

from gateway_guard.accounts.file import FileDirectory
from gateway_guard.campaigns.known import Known, known_of
from gateway_guard.campaigns.linker import Linker
from gateway_guard.campaigns.reviews import Review
from gateway_guard.campaigns.traces import Trace
from gateway_guard.cli.casefile import Casefile, opened, reviews_in
from gateway_guard.cli.logs import progress, say_what_was_left_out
from gateway_guard.errors import SettingsError, StoreError
from gateway_guard.record.audit import Audit
from gateway_guard.record.blanking import parts
from gateway_guard.record.chain import Entry
from gateway_guard.record.finding import Logs
from gateway_guard.record.snapshots import SnapshotFile
from gateway_guard.settings import Settings
from gateway_guard.stores.connect import parse_address
from gateway_guard.stores.survey import Used, used
from gateway_guard.streams.disguise import Disguise
from gateway_guard.streams.post import Post
from gateway_guard.types import AccountFacts
from gateway_guard.types.veiled import Veiled


class Digests(msgspec.Struct, frozen=True, kw_only=True):
    """What is remembered of an account under keys, in hex: only equality can be seen of it.

    Attributes:
        payment: the operator's own id of the instrument; with a shared store a digest of it. Empty
            when unknown.
        addresses, ranges: of the latest addresses and address ranges.
        content: of parts of templates shared with other organisations.
        client: of its software; empty when unknown.
    """

    payment: str
    addresses: tuple[str, ...]
    ranges: tuple[str, ...]
    content: tuple[str, ...]
    client: str


class Dossier(msgspec.Struct, frozen=True, kw_only=True):
    """What is held of one account.

    Attributes:
        account: keyed digest.
        attributes: what the accounts file says; None without a file, or where it does not know it.
        campaigns: what the linker knows and people decided; of a store up to a minute old.
        digests: what it remembers besides; None where it does not know the account.
        verified_until, challenged: in the store; the reviews say it for a file.
        limits: what the store holds.
        audit: entries of the audit file.
        decisions: lines of the decision logs, oldest first as the files have them.
    """

    account: str
    attributes: AccountFacts | None
    campaigns: Known
    digests: Digests | None
    verified_until: float | None
    challenged: bool
    limits: tuple[Used, ...]
    audit: tuple[Entry, ...]
    decisions: tuple[msgspec.Raw, ...]


class Sources(Veiled, msgspec.Struct, kw_only=True):
    """Where it is looked for.

    Attributes:
        post: the guards of a store; None for those of a file, or of neither.
        case: the file; None with a store, or where nothing is kept.
        secret, keyed: the key of the digests, and whether it is the guards'.
        linker: what was learnt; an empty one where nothing was kept.
        reviews: what people decided, as far as a journal lies here.
        audit: None where there is none.
        directory: the accounts file; None where there is none.
        logs: decision logs, with what was rotated away from them.
        missing: what could not be looked into, in words.
    """

    veiled = frozenset(("secret",))

    post: Post | None
    case: Casefile | None
    secret: bytes
    keyed: bool
    linker: Linker
    reviews: list[Review]
    audit: Audit | None
    directory: FileDirectory | None
    logs: list[Path]
    missing: list[str]
    store: str = ""
    namespace: str = ""

    def accounts_of(self, organisation: str) -> list[str]:
        """Every account known to be of `organisation`, the operator's id of it."""
        stored = Disguise(self.secret).organisation(organisation)
        found = {
            trace.account for trace in self.linker.memory.traces.values()
            if trace.organisation in (organisation, stored)
        }  # fmt: skip
        if self.directory is not None:
            found.update(self.directory.of_organisation(organisation))
        for one in self._lines():
            line = _line(one)
            if line.organisation == organisation and line.account is not None:
                found.add(line.account)
        return sorted(found)

    def dossiers(self, accounts: Collection[str]) -> list[Dossier]:
        """What is held of each of `accounts`."""
        decisions: dict[str, list[msgspec.Raw]] = {account: [] for account in accounts}
        for one in self._lines():
            account = _line(one).account
            if account in decisions:
                decisions[account].append(msgspec.Raw(one))
        entries: dict[str, list[Entry]] = {account: [] for account in accounts}
        if self.audit is not None and self.audit.begun():
            for entry in self.audit.entries():
                if entry.account in entries:
                    entries[entry.account].append(entry)
        places = self.post.places() if self.post is not None else {}
        found = []
        for account in accounts:
            place = places.get(account)
            found.append(
                Dossier(
                    account=account,
                    attributes=self._attributes(account),
                    campaigns=known_of(self.linker, self.reviews, account),
                    digests=self._digests(account),
                    verified_until=place.until if place is not None and place.until else None,
                    challenged=place is not None and place.challenged,
                    limits=self._limits(account),
                    audit=tuple(entries[account]),
                    decisions=tuple(decisions[account]),
                )
            )
        return found

    def _lines(self) -> Iterable[bytes]:
        if not self.logs:
            return
        with progress(self.logs) as advance:
            searched = Logs(self.logs, progress=advance)
            for one in searched:
                yield one.text
        say_what_was_left_out(searched)

    def _attributes(self, account: str) -> AccountFacts | None:
        found = self.directory.lookup(account, None) if self.directory is not None else None
        return found if found != AccountFacts() else None

    def _digests(self, account: str) -> Digests | None:
        number = self.linker.memory.numbers.get(account)
        return None if number is None else _of(self.linker.memory.traces[number])

    def _limits(self, account: str) -> tuple[Used, ...]:
        if not self.store:
            return ()
        try:
            return asyncio.run(used(parse_address(self.store), self.namespace, account))
        except StoreError as error:
            # A user of the guards' own may not walk keys; all else can be said and done without.
            self.store = ""
            self.missing.append(f"limits: {error}")
            return ()


class _Line(msgspec.Struct, gc=False):
    account: str | None = None
    organisation: str | None = None


_line: Any = msgspec.json.Decoder(_Line).decode


def _of(trace: Trace) -> Digests:
    def hexes(values: Iterable[int]) -> tuple[str, ...]:
        return tuple(f"{value:016x}" for value in values)

    return Digests(
        payment=trace.payment, addresses=hexes(trace.addresses), ranges=hexes(trace.subnets),
        content=hexes(trace.shared), client=f"{trace.client:016x}" if trace.client else "",
    )  # fmt: skip


def sources(
    post: Post | None, store: str | None, namespace: str | None, file: Path | None, logs: list[Path]
) -> Sources:
    """Where to look: among the guards of `post`, or in the campaigns `file` (or the settings'), and
    in decision `logs`, or the one the settings name, with what lies rotated beside them.

    Raises:
        SettingsError, SnapshotError, SourceError, StoreError: what is named cannot be read.
    """
    settings = Settings.from_environment()
    missing: list[str] = []
    case = None
    kept = file or settings.campaigns_file
    if post is None and kept:
        case = opened(file)
    snapshot = post.snapshot() if post is not None else case.snapshot if case is not None else None
    reviews = case.reviews if case is not None else []
    if post is not None and settings.campaigns_file:
        reviews = reviews_in(SnapshotFile(settings.campaigns_file))
    if snapshot is None:
        missing.append(
            "campaigns: the store holds no snapshot" if post is not None
            else f"campaigns: {kept} holds none" if kept
            else "campaigns: neither a file nor a store is named (--file, --store)"
        )  # fmt: skip
    audit = None
    try:
        audit = Audit.configured(settings, case.file.path if case else settings.campaigns_file)
    except SettingsError as error:
        missing.append(f"audit: {error}")
    directory = None
    if settings.accounts_file:
        directory = FileDirectory(settings.accounts_file, secret=settings.secret)
    elif settings.accounts_url:
        missing.append("attributes: the directory they are asked for is yours to look into")
    return Sources(
        post=post, case=case, secret=case.secret if case is not None else settings.secret,
        keyed=case.keyed if case is not None else settings.secret_lasts,
        linker=snapshot.linker if snapshot is not None else Linker(), reviews=reviews,
        audit=audit, directory=directory, logs=_logs(logs, settings, missing), missing=missing,
        store=(store or settings.store or "") if post is not None else "",
        namespace=namespace or settings.store_namespace,
    )  # fmt: skip


def _logs(named: list[Path], settings: Settings, missing: list[str]) -> list[Path]:
    """The decision logs that are there.

    Raises:
        typer.BadParameter: one that was named is not.
    """
    if named:
        found = []
        for path in named:
            beside = parts(path)
            if not beside:
                raise typer.BadParameter(f"--log {path}: neither it nor {path.name}.1 is there")
            found += beside
        return list(dict.fromkeys(found))
    configured = settings.decision_log
    if configured is None or configured == "-":
        where = "is standard output: whoever keeps that has it" if configured else "is named"
        missing.append(f"decisions: {'it' if configured else 'no log'} {where} (--log FILE)")
        return []
    found = parts(Path(configured))
    if not found:
        missing.append(f"decisions: there is no {configured}")
    return found
