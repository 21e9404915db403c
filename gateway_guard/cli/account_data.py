"""`gateway-guard account export` and `erase`: what is held of somebody, and an end to that."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer

from gateway_guard import __version__
from gateway_guard.campaigns.reviews import Review, Ruling
from gateway_guard.cli import FINDINGS
from gateway_guard.cli.casefile import (
    ByOption,
    FileOption,
    NewOption,
    ReasonOption,
    author_of,
    bench_of,
    opened_to_decide,
    reason_of,
)
from gateway_guard.cli.dossier import Dossier, Sources, sources
from gateway_guard.cli.output import Format, FormatOption, console, print_json
from gateway_guard.cli.outputs import check_outputs
from gateway_guard.cli.post import NamespaceOption, StoreOption, post_of
from gateway_guard.cli.printable import printable
from gateway_guard.cli.which_account import AccountArgument, KeyOption, NameOption, digest_of
from gateway_guard.errors import SourceError
from gateway_guard.files import write_whole
from gateway_guard.pages.words import many
from gateway_guard.record.blanking import blank
from gateway_guard.record.schema import FIELDS
from gateway_guard.settings import Settings

OrganisationOption = Annotated[
    str | None,
    typer.Option(
        "--organisation",
        help="Instead of one account: all that are known to be of it, by your own id.",
    ),
]
LogOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--log",
        help="A decision log, with what was rotated away from it beside it (its name and more, "
        "gzipped or not); several times for several. By default GATEWAY_GUARD_DECISION_LOG.",
    ),
]

#: What commands cannot ask running guards for; the dashboard shows what can be shown of it.
_MEMORY: Final = (
    "what running guards keep in memory alone: what was learnt of the account in the last minute, "
    "its habits (counts and sketches), its latest decisions for the dashboard, what it used of "
    "limits that are not in a store"
)
#: What no command can reach, for whoever has to answer for it.
_ELSEWHERE: Final = (
    "copies: backups, logs moved elsewhere, what was sent to a SIEM, to a webhook or in a report",
    "your own systems: accounts file or directory, model API, identity and verification providers",
)
#: Keys of an export → what they mean; those of decisions are `record.schema`'s.
_MEANING: Final = {
    "attributes": "what your accounts file says of it",
    "campaigns": "what was learnt of it to find accounts that act as one, whether it is held to be "
    "in a campaign and why, and what people decided of it; times are Unix seconds",
    "digests": "what is remembered of its addresses, software and texts: keyed digests, which show "
    "whether two are equal and nothing else",
    "verified_until": "until when it counts as verified, Unix seconds",
    "challenged": "whether it is asked to verify itself",
    "limits": "what it has used of limits counted in the store",
    "audit": "decisions of people about it, as they were written down",
    "decisions": "one line for each of its requests, from the decision logs",
}


def register(group: typer.Typer) -> None:
    """Add both commands to `account`."""
    group.command("export")(_export)
    group.command("erase")(_erase)


def _export(
    account: AccountArgument = None,
    key_file: KeyOption = None,
    name: NameOption = None,
    organisation: OrganisationOption = None,
    log: LogOption = None,
    names: Annotated[
        bool,
        typer.Option("--names", help="With the names of those who decided: they are people, too."),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Where it is written; by default standard output."),
    ] = None,
    file: FileOption = None,
    store: StoreOption = None,
    namespace: NamespaceOption = None,
) -> None:
    """Everything that is held of an account, as JSON: for who asks what is known of them.

    From the campaigns (file or store), the audit file, the decision logs, the accounts file and, of
    a store, the limits; what could not be looked into, and what no command can reach, is named in
    it. Read it before you hand it on: it says what the account is suspected of, and why.

    Exit 0 something is held, 1 nothing is, 2 usage, 3 something cannot be read.
    """
    check_outputs({"--out": out}, *(log or ()), file)
    held = sources(post_of(store, namespace, file), store, namespace, file, log or [])
    found = held.dossiers(_meant(held, account, key_file, name, organisation))
    said: dict[str, Any] = {
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "made_by": f"gateway-guard {__version__}",
        "accounts": [_told(one, names=names) for one in found],
        "meaning": {**_MEANING, "decisions": {"": _MEANING["decisions"]} | _fields(found)},
        "not_looked_into": held.missing,
        "not_in_it": (_MEMORY, *_ELSEWHERE),
    }
    if out is None:
        print_json(said)
    else:
        try:
            write_whole(out, msgspec.json.format(msgspec.json.encode(said), indent=2) + b"\n")
        except OSError as error:
            raise SourceError(f"{out}: {error.strerror}") from error
    for why in held.missing:
        typer.echo(f"not looked into: {why}", err=True)
    if not any(map(_anything, found)):
        typer.echo("nothing is held of it, as far as was looked", err=True)
        raise typer.Exit(FINDINGS)


def _erase(
    reason: ReasonOption,
    account: AccountArgument = None,
    key_file: KeyOption = None,
    name: NameOption = None,
    organisation: OrganisationOption = None,
    log: LogOption = None,
    by: ByOption = None,
    file: FileOption = None,
    new: NewOption = False,
    store: StoreOption = None,
    namespace: NamespaceOption = None,
    format: FormatOption = Format.TEXT,
) -> None:
    """Forget an account: what was learnt of it, and its lines in decision logs.

    What people decided of it stays, in force (a ban, too: `account clear` lifts it first) and
    written down, this erasure included; so do limits, until they have drained. What is kept, and
    why, is said. Let it send nothing any more: it is learnt of anew from the next request on.

    Exit 0 done, 2 usage, 3 not done, or not all of it, which is said.
    """
    post = post_of(store, namespace, file)
    settings = Settings.from_environment()
    case = None
    if post is None and (file or settings.campaigns_file):
        case = opened_to_decide(file, new=new)
    held = sources(post, store, namespace, file, log or [])
    accounts = _meant(held, account, key_file, name, organisation)
    before = held.dossiers(accounts)
    why, who = reason_of(reason), author_of(by)
    bench = bench_of(post, case)
    reviews = [Review(at=time.time(), ruling=Ruling.ERASE, account=one, reason=why, by=who)
               for one in accounts]  # fmt: skip
    bench.rule_all(reviews, len(reviews))
    lines = {}
    for path in held.logs:
        try:
            lines[str(path)] = blank(path, set(accounts))
        except SourceError as error:
            raise SourceError(f"{error}. All else is erased: mend that, and erase again") from error
    heard = post is not None or case is not None
    told: dict[str, Any] = {
        "erased": accounts, "lines": lines, "kept": _kept(held, before, bench.audit is not None),
        "not_looked_into": held.missing,
        "not_reached": _ELSEWHERE if heard else (_MEMORY, *_ELSEWHERE),
    }  # fmt: skip
    if format is Format.JSON:
        print_json(told)
        return
    out = console()
    for one in accounts:
        out.print(f"{one} erased")
    if heard:
        out.print("guards and their linker forget it within a second or two, the snapshot of "
                  "campaigns a minute later at most, or when a guard runs again")  # fmt: skip
    for log_path, count in lines.items():
        out.print(printable(f"{log_path}: {many(count, 'line')} taken out"))
    for title, words in (
        ("kept", told["kept"]), ("not looked into", held.missing),
        ("not reached", told["not_reached"]),
    ):  # fmt: skip
        if words:
            out.print(f"\n{title}", style="bold")
            for word in words:
                out.print(printable(f"  {word}"))


def _meant(
    held: Sources,
    account: str | None,
    key_file: Path | None,
    name: str | None,
    organisation: str | None,
) -> list[str]:
    """The accounts that are meant.

    Raises:
        typer.BadParameter: none, or both an account and an organisation, or one nobody knows.
    """
    if organisation is None:
        return [digest_of(held.keyed, held.secret, account, key_file, name)]
    if any(one is not None for one in (account, key_file, name)):
        raise typer.BadParameter("name an account or an --organisation, not both")
    found = held.accounts_of(organisation)
    if not found:
        raise typer.BadParameter(
            f"no account of --organisation {printable(organisation)} is known: ids are those of "
            "your accounts file, or of whatever else says who pays"
        )
    return found


def _kept(held: Sources, before: list[Dossier], audited: bool) -> list[str]:
    """What stays of the accounts, and why."""
    kept = []
    for one in before:
        ruling, where = one.campaigns.ruling, one.account
        if ruling is not None:
            kept.append(f"{where}: {ruling.value} by a reviewer is in force, whatever is erased; "
                        "`account clear` lifts it")  # fmt: skip
        if one.verified_until is not None:
            kept.append(f"{where}: a digest of who verified it, in the store, until they verify "
                        "again, 400 days at most")  # fmt: skip
        if one.challenged:
            kept.append(f"{where}: it is asked to verify itself; `account clear` lifts that")
        if one.limits:
            ends = max(limit.gone_in for limit in one.limits)
            kept.append(f"{where}: what it used of {many(len(one.limits), 'limit')}, in the store: "
                        f"it drains, and is gone in {ends:,.0f} s")  # fmt: skip
        if one.attributes is not None and held.directory is not None:
            kept.append(f"{where}: its line in {held.directory.path}, which is yours to take out")
    if held.case is not None:
        kept.append(f"decisions of people in {held.case.file.reviews}: they are in force by it")
    if held.post is not None:
        kept.append("decisions of people in the store, the last 10,000 of all accounts")
    if audited and held.audit is not None:
        kept.append(f"decisions of people in {held.audit.path}, this one included: they say who "
                    "decided what, and are chained")  # fmt: skip
    return kept


def _anything(one: Dossier) -> bool:
    """Whether anything is held."""
    known = one.campaigns
    return bool(
        one.attributes or known.trace or known.membership or known.ruling or known.reviews
        or one.verified_until or one.challenged or one.limits or one.audit or one.decisions
    )  # fmt: skip


def _told(one: Dossier, *, names: bool) -> dict[str, Any]:
    """A dossier as it is handed out."""
    found: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(one))
    if not names:
        for part in (*found["audit"], *found["campaigns"]["reviews"]):
            part.pop("by", None)
    return found


def _fields(found: list[Dossier]) -> dict[str, str]:
    """The fields of decision-log lines that occur, with what they mean."""
    there: set[str] = set()
    for one in found:
        for line in one.decisions:
            decoded = msgspec.json.decode(line)
            there.update(decoded)
            for key, value in decoded.items():
                if isinstance(value, list) and value and isinstance(value[0], dict):
                    there.update(f"{key}[].{inner}" for inner in value[0])
    return {field.name: field.meaning for field in FIELDS if field.name in there}
