"""`gateway-guard campaign challenge`: have every account of a campaign verify itself."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from gateway_guard.campaigns.casebook import BANNED
from gateway_guard.campaigns.membership import JOIN, confidence
from gateway_guard.campaigns.reviews import Review, Ruling
from gateway_guard.cli import USAGE
from gateway_guard.cli.casefile import (
    ByOption,
    Casefile,
    FileOption,
    ReasonOption,
    author_of,
    bench_of,
    named,
    opened,
    reason_of,
)
from gateway_guard.cli.output import Format, FormatOption, console, print_json
from gateway_guard.cli.post import NamespaceOption, StoreOption, post_of
from gateway_guard.pages.words import many
from gateway_guard.streams.post import Post


def challenge_command(
    name: Annotated[str, typer.Argument(metavar="ID", help="Its name: c_0001, …")],
    reason: ReasonOption,
    by: ByOption = None,
    file: FileOption = None,
    store: StoreOption = None,
    namespace: NamespaceOption = None,
    format: FormatOption = Format.TEXT,
) -> None:
    """Have every account that is in a campaign now verify itself before it goes on."""
    post = post_of(store, namespace, file)
    case = opened(file) if post is None else None
    members = _members(name, post, case)
    bench, why, who = bench_of(post, case), reason_of(reason), author_of(by)
    # Each at its own time: who verified itself meanwhile did that before it.
    reviews = (
        Review(at=time.time(), ruling=Ruling.CHALLENGE, account=account, reason=f"{name}: {why}",
               by=who) for account in members
    )  # fmt: skip
    bench.rule_all(reviews, len(members))
    if format is Format.JSON:
        print_json({"campaign": name, "accounts": members})
        return
    hears = "a running guard knows" if post is None else "every guard of the store knows"
    console().print(
        f"{name}: {many(len(members), 'account')} challenged until verified; {hears} within a "
        "second or two"
    )


def _members(name: str, post: Post | None, case: Casefile | None) -> list[str]:
    """The accounts of a campaign.

    Raises:
        typer.Exit: there is no such campaign.
    """
    found: dict[str, str] = {}
    if post is not None:
        least = confidence(JOIN)  # neighbours, too, are told of, as less sure
        found = {
            account: facts.id
            for account, facts in post.verdicts().items()
            # Who is banned on their own is in none.
            if facts.confidence >= least and facts.id != BANNED
        }
    elif case is not None:
        found = {a: held.id for held in case.linker.campaigns() for a in held.members}
    members = sorted(account for account, campaign in found.items() if campaign == name)
    if not members:
        typer.echo(f"no campaign '{name}' is held ({named(set(found.values()))})", err=True)
        raise typer.Exit(USAGE)
    return members
