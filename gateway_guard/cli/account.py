"""`gateway-guard account`: what is known of one account, and what people decide about it."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from gateway_guard.campaigns.casebook import BANNED
from gateway_guard.campaigns.known import Known, known_of
from gateway_guard.campaigns.linker import Linker
from gateway_guard.campaigns.membership import JOIN, PRIOR
from gateway_guard.campaigns.reviews import Review, Ruling
from gateway_guard.campaigns.standing import LASTS as VERIFIED_LASTS
from gateway_guard.campaigns.standing import Standing
from gateway_guard.cli.casefile import (
    ByOption,
    Casefile,
    FileOption,
    NewOption,
    ReasonOption,
    author_of,
    bench_of,
    opened,
    opened_to_decide,
    reason_of,
)
from gateway_guard.cli.output import Format, FormatOption, console, print_json
from gateway_guard.cli.post import NamespaceOption, StoreOption, post_of
from gateway_guard.cli.printable import printable
from gateway_guard.core.credentials import ACCOUNT, digest, key_as_sent, name_digest
from gateway_guard.errors import SettingsError, SourceError
from gateway_guard.pages.words import in_short, many, moment, signed, sure
from gateway_guard.settings import Settings

AccountArgument = Annotated[
    str | None, typer.Argument(metavar="ACCT", help="The digest logs name it by: acct_…")
]
KeyOption = Annotated[
    Path | None,
    typer.Option(
        "--key-file",
        help="Instead of ACCT: a file that holds the API key as sent; - reads "
        "standard input. A key never goes on a command line.",
    ),
]
NameOption = Annotated[
    str | None,
    typer.Option(
        "--name", help="Instead of ACCT: the account's name, where a token or the application says."
    ),
]

_DONE: Final = {
    Ruling.ALLOW: "is never held to be in a campaign",
    Ruling.BAN: "is refused, whatever the rules say, unless the policy is in shadow",
    Ruling.CLEAR: "is judged by the evidence alone again",
    Ruling.NOTE: "has a note",
    Ruling.CHALLENGE: "is challenged until it has verified itself",
    Ruling.VERIFY: f"counts as verified for {VERIFIED_LASTS / 86400:.0f} days",
}


def register(app: typer.Typer) -> None:
    """Add the command group."""
    group = typer.Typer(
        no_args_is_help=True,
        help="One account: what is known of it, and what people decide about it.",
    )
    app.add_typer(group, name="account")

    @group.command("show")
    def show_command(
        account: AccountArgument = None,
        key_file: KeyOption = None,
        name: NameOption = None,
        file: FileOption = None,
        format: FormatOption = Format.TEXT,
    ) -> None:
        """Everything the linker knows of an account, and every review of it; without a snapshot of
        campaigns, how the account of a key or a name is called in logs.
        """
        settings = Settings.from_environment()
        if account is None and file is None and settings.campaigns_file is None:
            case, keyed, secret = None, settings.secret_lasts, settings.secret
        else:
            case = opened(file)
            keyed, secret = case.keyed, case.secret
        who = _digest(keyed, secret, account, key_file, name)
        if case is None:
            typer.echo("no snapshot of campaigns is named: only its name is known here", err=True)
            known = known_of(Linker(), (), who)
        else:
            known = known_of(case.linker, case.reviews, who)
        if format is Format.JSON:
            print_json(known)
        elif case is None:
            console().print(who)
        else:
            print_known(known, console())

    for ruling, doc in (
        (Ruling.ALLOW, "Never hold an account to be in a campaign, whatever it shares."),
        (Ruling.BAN, "Refuse an account, whatever the rules say, unless the policy is in shadow."),
        (
            Ruling.CLEAR,
            "Lift an allow, a ban, a challenge or a verification: policy and evidence decide.",
        ),
        (Ruling.CHALLENGE, "Have an account verify itself before it goes on."),
        (Ruling.VERIFY, "Vouch for an account: no challenge stops it for 30 days."),
        (Ruling.NOTE, "Write down something about an account; changes nothing."),
    ):
        _add(group, ruling, doc)


def _add(group: typer.Typer, ruling: Ruling, doc: str) -> None:
    @group.command(ruling.value, help=doc)
    def command(
        reason: ReasonOption,
        account: AccountArgument = None,
        key_file: KeyOption = None,
        name: NameOption = None,
        by: ByOption = None,
        file: FileOption = None,
        new: NewOption = False,
        store: StoreOption = None,
        namespace: NamespaceOption = None,
        format: FormatOption = Format.TEXT,
    ) -> None:
        post = post_of(store, namespace, file)
        case = opened_to_decide(file, new=new) if post is None else None
        keyed, secret = (True, post.secret) if post is not None else _key_of(case)
        review = Review(
            at=time.time(), ruling=ruling,
            account=_digest(keyed, secret, account, key_file, name),
            reason=reason_of(reason), by=author_of(by),
        )  # fmt: skip
        if case is not None and _stranger(case, review.account or ""):
            typer.echo(
                f"no exchange of {review.account} is in {case.file.path}: is it the one you mean?",
                err=True,
            )
        bench_of(post, case).rule(review)
        if format is Format.JSON:
            print_json({"review": review})
            return
        who = "a running guard knows" if post is None else "every guard of the store knows"
        later = "" if ruling is Ruling.NOTE else f"; {who} within a second or two"
        console().print(f"{review.account} {_DONE[ruling]}{later}")


def _stranger(case: Casefile, account: str) -> bool:
    """Whether accounts were learnt of, and this is none of them."""
    known = case.snapshot.linker.memory.numbers if case.snapshot is not None else {}
    return bool(known) and account not in known


def print_known(known: Known, out: Console) -> None:
    """The same as text."""
    trace, held = known.trace, known.membership
    out.print(known.account, style="bold")
    if trace is None:
        out.print("never seen, or forgotten since")
    else:
        created = "unknown" if trace.created_at is None else f"{moment(trace.created_at)} UTC"
        verified = {None: "not known to be verified", True: "verified", False: "not verified"}
        network = "an unknown network" if trace.asn is None else f"AS{trace.asn}"
        pace = {None: "", True: ", evenly spread over the hours", False: ", in sessions"}
        payer = "unknown" if trace.organisation == known.account else trace.organisation
        out.print(f"organisation {printable(payer)}, signed up {created}, "
                  f"{verified[trace.verified]}")  # fmt: skip
        out.print(printable(f"declared {trace.declared or 'unknown'}, last seen in "
                            f"{trace.country or 'an unknown country'} from {network}"))  # fmt: skip
        out.print(
            f"{many(trace.exchanges, 'exchange')} from {moment(trace.first_at)} to "
            f"{moment(trace.last_at)}{pace[trace.even_pace]}; {trace.refused:,} refused, "
            f"{many(trace.tokens, 'token')}"
        )
    out.print("\ncampaign", style="bold")
    if held is None:
        out.print("  none")
    else:
        word = f"member of {held.campaign}" if held.member else f"near {held.campaign}"
        if held.campaign == BANNED:
            out.print("  in none that is held; banned by a reviewer")
        else:
            out.print(f"  {word}, confidence {sure(held.confidence)}")
        for kind, value in sorted(held.adds.items(), key=lambda item: -item[1]):
            out.print(f"  {kind:<10} {signed(value)}")
        if held.points is not None:
            out.print(f"  {'prior':<10} {signed(PRIOR)}")
            out.print(f"  {'points':<10} {signed(held.points)}  (a member from {signed(JOIN)} on)")
    if known.shares:
        out.print("\nshares", style="bold")
        for line in in_short(known.shares):
            out.print(f"  {line}")
    out.print("\nreviews", style="bold")
    standing = Standing()
    for review in known.reviews:
        standing.heed(review)
    place = standing.places.get(known.account)
    if place is not None and place.challenged:
        out.print("  challenged, and has not verified itself")
    elif place is not None and place.until > time.time():
        out.print(f"  verified until {moment(place.until)} UTC")
    if known.ruling is not None:
        until = f" until {moment(known.until)} UTC" if known.until is not None else ""
        # Only a release ends by itself.
        why = ", as a campaign it was in was released" if known.until is not None else ""
        out.print(f"  in force: {known.ruling.value}{until}{why}")
    for review in known.reviews:
        by = f" by {review.by}" if review.by else ""
        said = printable(f"{review.ruling.value}{by}: {review.reason}")
        out.print(f"  {moment(review.at)} UTC  {said}")
    if not known.reviews and known.ruling is None:
        out.print("  none")


def _key_of(case: Casefile | None) -> tuple[bool, bytes]:
    """Whether the guard's secret is known, and what keys digests meanwhile."""
    return (case.keyed, case.secret) if case is not None else (False, b"")


def _digest(
    keyed: bool, secret: bytes, account: str | None, key_file: Path | None, name: str | None
) -> str:
    """The account that is meant, as a digest.

    Raises:
        typer.BadParameter: none or several ways to say it were used, or it is no digest.
        SettingsError: a key or a name cannot be digested without the guard's secret.
        SourceError: the file cannot be read or holds no key.
    """
    given = [value is not None for value in (account, key_file, name)]
    if sum(given) != 1:
        raise typer.BadParameter("name one account: ACCT, --key-file FILE or --name NAME")
    if account is not None:
        if not ACCOUNT.fullmatch(account):
            # Not quoted: it may be a key.
            raise typer.BadParameter(
                "that is no account: write acct_ and its 16 characters, as the decision log does. "
                "A key does not belong on a command line, where others can read it: put it in a "
                "file and name that with --key-file, or give - and pipe it in"
            )
        return account
    if not keyed:
        raise SettingsError(
            "the digest of a key or a name needs the guard's secret: set GATEWAY_GUARD_SECRET or "
            "GATEWAY_GUARD_SECRET_FILE as there"
        )
    if name is not None:
        if not name.strip():
            raise typer.BadParameter("--name: no name is empty")
        try:
            return name_digest(secret, name.encode())
        except UnicodeEncodeError:
            raise typer.BadParameter("--name: it is not UTF-8") from None
    assert key_file is not None  # noqa: S101 - one of the three was given
    if str(key_file) == "-":
        key = sys.stdin.buffer.read(65_536)
    else:
        try:
            key = key_file.read_bytes()
        except OSError as error:
            raise SourceError(f"{key_file}: {error.strerror}") from error
    key = key_as_sent(key)
    if not key or len(key.splitlines()) > 1:
        raise SourceError(f"{key_file}: holds no key, or more than one line")
    return digest(secret, key)
