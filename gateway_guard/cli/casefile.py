"""What `campaign` and `account` work on: a snapshot of campaigns and the journal of reviews."""

from __future__ import annotations

import difflib
import getpass
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer

from gateway_guard.campaigns.journal import apply
from gateway_guard.campaigns.linker import Linker
from gateway_guard.campaigns.reviews import Review
from gateway_guard.campaigns.snapshot import Snapshot
from gateway_guard.cli.printable import printable
from gateway_guard.cli.replay import REPLAY_SECRET
from gateway_guard.cli.usage import usage
from gateway_guard.errors import ForeignSnapshotError, SettingsError, SourceError
from gateway_guard.record.audit import Audit
from gateway_guard.record.reviews import Journal
from gateway_guard.record.snapshots import LOCK, REVIEWS, SnapshotFile
from gateway_guard.settings import Settings
from gateway_guard.streams import bench
from gateway_guard.streams.bench import Bench
from gateway_guard.streams.post import Post
from gateway_guard.types.veiled import Veiled

#: Campaigns named where one is asked for that is not held.
_NAMED: Final = 12
#: `--file`, the same for every command.
FileOption = Annotated[
    Path | None,
    typer.Option(
        "--file",
        help="The snapshot of campaigns; by default the one GATEWAY_GUARD_CAMPAIGNS_FILE names.",
    ),
]
ReasonOption = Annotated[
    str, typer.Option("--reason", help="Why, for whoever looks at it next; no secrets.")
]
ByOption = Annotated[
    str | None, typer.Option("--by", help="Who decided; by default who runs the command.")
]
NewOption = Annotated[
    bool,
    typer.Option(
        "--new",
        help="Decide although no guard has kept anything in --file yet: for one that will.",
    ),
]


class Casefile(Veiled, msgspec.Struct, kw_only=True):
    """A snapshot with every review in force that was written since.

    Attributes:
        file: where it lies.
        secret: the key of its digests.
        keyed: whether that is the guard's, not one that was made up for want of it.
        snapshot: None when there is none yet.
        reviews: all there are, oldest first.
    """

    veiled = frozenset(("secret",))

    file: SnapshotFile
    secret: bytes
    keyed: bool
    snapshot: Snapshot | None
    reviews: list[Review]

    @property
    def linker(self) -> Linker:
        """What is known.

        Raises:
            SourceError: nothing was saved yet.
        """
        if self.snapshot is None:
            raise SourceError(
                f"{self.file.path}: there is no snapshot{_near(self.file)}. A guard that runs with "
                "GATEWAY_GUARD_CAMPAIGNS_FILE writes one, each minute and when it ends, once there "
                "is something to keep: what it learnt, while its policy asks for `campaign`, of "
                "an account's exchange with a model, or a review. `gateway-guard replay --snapshot "
                "FILE` writes one of recorded traffic"
            )
        return self.snapshot.linker


def opened(path: Path | None) -> Casefile:
    """The casefile at `path`, or where the settings say.

    Raises:
        SettingsError: neither names one; or its secret is not known here.
        SnapshotError: it cannot be read; says why.
    """
    settings = Settings.from_environment()
    where = path or settings.campaigns_file
    if not where:
        raise SettingsError(
            "no snapshot of campaigns is named: use --file FILE or set GATEWAY_GUARD_CAMPAIGNS_FILE"
        )
    file = SnapshotFile(where)
    secret, snapshot = _load(file, settings)
    reviews = reviews_in(file)
    if snapshot is not None:
        later = Journal(file.reviews, snapshot.applied, complain=lambda *_: None)
        for review in later.new():
            apply(snapshot.linker, review)
    return Casefile(
        file=file, secret=secret, keyed=settings.secret_lasts or snapshot is not None,
        snapshot=snapshot, reviews=reviews,
    )  # fmt: skip


def reviews_in(file: SnapshotFile) -> list[Review]:
    """Every review in the journal beside `file`, oldest first; what is none is told of.

    Raises:
        SourceError: it cannot be read.
    """
    journal = Journal(file.reviews, complain=lambda number, why: typer.echo(
        f"{file.reviews}:{number}: skipped: {why}", err=True))  # fmt: skip
    reviews = journal.new()
    if journal.error is not None:
        raise SourceError(f"{file.reviews}: {journal.error}")
    return reviews


def opened_to_decide(path: Path | None, *, new: bool) -> Casefile:
    """As `opened`, for a review that is written before anything else is known of the file.

    Where nothing shows that a guard keeps its campaigns there, nobody may ever read the review:
    that is refused, unless it is `new` or the settings name the file, which are the guard's own.

    Raises:
        SourceError: there is neither a snapshot nor a lock nor a review of that name.
    """
    case = opened(path)
    file = case.file
    marks = (file.path, Path(f"{file.path}{LOCK}"), file.reviews)
    if any(mark.exists() for mark in marks):
        return case
    named = Settings.from_environment().campaigns_file
    if named is not None and Path(named) == file.path:
        typer.echo(
            f"{file.path}: no guard has kept anything there yet{_near(file)}; this is for one that "
            "runs with that file", err=True,
        )  # fmt: skip
    elif not new:
        raise SourceError(
            f"{file.path}: nothing shows that a guard keeps its campaigns there, neither a "
            f"snapshot nor {LOCK} nor {REVIEWS} beside it{_near(file)}. Nothing was written: name "
            "the file the guard runs with (GATEWAY_GUARD_CAMPAIGNS_FILE, --campaigns-file). If "
            "it is this one and the guard has kept nothing yet, add --new"
        )
    return case


def _near(file: SnapshotFile) -> str:
    """Which files beside it have a name much like its own, as the end of a sentence."""
    found = set()
    try:
        for other in file.path.absolute().parent.iterdir():
            name = other.name.removesuffix(LOCK).removesuffix(REVIEWS)
            if other.is_file() and name != file.path.name and ".audit" not in name:
                found.add(name)
    except OSError:
        return ""
    near = difflib.get_close_matches(file.path.name, sorted(found), n=3)
    names = " or ".join(printable(str(file.path.with_name(name))) for name in near)
    return f" (did you mean {names}?)" if near else ""


def _load(file: SnapshotFile, settings: Settings) -> tuple[bytes, Snapshot | None]:
    try:
        return settings.secret, file.load(settings.secret)
    except ForeignSnapshotError as error:
        # Of a replay, in the end; then what is wrong with it is said of it.
        with suppress(ForeignSnapshotError):
            return REPLAY_SECRET, file.load(REPLAY_SECRET)
        if not settings.secret_lasts:
            raise SettingsError(
                f"{file.path} cannot be read without the secret of the guard that wrote it: set "
                "GATEWAY_GUARD_SECRET or GATEWAY_GUARD_SECRET_FILE as there"
            ) from error
        raise


def bench_of(post: Post | None, case: Casefile | None) -> Bench:
    """Where a command decides: among the guards of `post`, or for those that use the file of
    `case`. Without a place for an audit file that is said, and done without. What is decided of
    recorded traffic concerns nobody, and is not audited: everybody knows the secret.
    """
    if case is not None and case.secret is REPLAY_SECRET:
        return Bench(via="cli", audit=None, journal=case.file.reviews)
    settings = Settings.from_environment()
    beside = settings.campaigns_file if case is None else case.file.path
    audit = None
    try:
        audit = Audit.configured(settings, beside)
    except SettingsError as error:
        typer.echo(f"not audited: {error}", err=True)
    journal = None if case is None else case.file.reviews
    return Bench(via="cli", audit=audit, post=post, journal=journal)


def reason_of(text: str) -> str:
    """`--reason` as a reason.

    Raises:
        typer.BadParameter: it is empty, far too long or was not typed in UTF-8.
    """
    with usage("--reason"):
        return bench.reason_of(text)


def author_of(name: str | None) -> str:
    """Who decides: `name`, or who runs this process; empty when that cannot be told.

    Raises:
        typer.BadParameter: it is empty, far too long, or cannot be printed.
    """
    if name is not None:
        with usage("--by"):
            return bench.name_of(name)
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return ""


def named(held: Collection[str]) -> str:
    """Which campaigns there are, where somebody meant another: a few of them by name."""
    names = sorted(held)
    more = f" and {len(names) - _NAMED:,} more: `campaign list`" if len(names) > _NAMED else ""
    return f"held: {', '.join(names[:_NAMED]) or 'none'}{more}"
