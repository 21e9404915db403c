"""`gateway-guard guards`: the guards of a shared store: who is there, and have them reload."""

from __future__ import annotations

import msgspec
import typer
from rich import box
from rich.table import Table

from gateway_guard.cli.output import Format, FormatOption, console, print_json
from gateway_guard.cli.post import NamespaceOption, StoreOption, post_of
from gateway_guard.cli.printable import printable
from gateway_guard.errors import SettingsError
from gateway_guard.pages.words import many
from gateway_guard.streams.post import Post


class Listed(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One line of `list`.

    Attributes:
        guard: host and process.
        policy: digest of its policy in force.
        version: of the guard.
        seen: seconds since its last sign of life.
        same_secret: whether it is keyed as this command is; else nothing it learns is shared.
    """

    guard: str
    policy: str
    version: str
    seen: float
    same_secret: bool


def register(app: typer.Typer) -> None:
    """Add the command group."""
    group = typer.Typer(
        no_args_is_help=True, help="The guards of a shared store: who is there; have them reload."
    )
    app.add_typer(group, name="guards")

    @group.command("list")
    def list_command(
        store: StoreOption = None,
        namespace: NamespaceOption = None,
        format: FormatOption = Format.TEXT,
    ) -> None:
        """Every guard that gave a sign of life within 20 seconds, and its policy.

        Exit 1 when their policies or their secrets differ.
        """
        found = listed(_post(store, namespace))
        policies = {one.policy for one in found}
        alike = len(policies) < 2 and all(one.same_secret for one in found)
        if format is Format.JSON:
            print_json({"guards": found, "alike": alike})
        else:
            table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
            for title in ("guard", "policy", "version", "seen", "secret"):
                table.add_column(title)
            for one in found:
                table.add_row(
                    *map(printable, (one.guard, one.policy[:12], one.version)),
                    f"{one.seen:.0f} s ago",
                    "the same" if one.same_secret else "another",
                )  # fmt: skip
            out = console()
            if found:
                out.print(table)
            word = "policy" if len(policies) == 1 else "policies"
            out.print(f"{many(len(found), 'guard')}, {len(policies)} {word}")
        if not alike:
            raise typer.Exit(1)

    @group.command("reload")
    def reload_command(store: StoreOption = None, namespace: NamespaceOption = None) -> None:
        """Have every guard read its policy and its data files again, as SIGHUP does one."""
        post = _post(store, namespace)
        there = len(post.guards())
        post.reload()
        console().print(
            f"told {many(there, 'guard')}; `gateway-guard guards list` shows their policies"
        )


def listed(post: Post) -> list[Listed]:
    """What `list` says."""
    return [
        Listed(
            guard=peer.beat.label,
            policy=peer.beat.policy,
            version=peer.beat.version,
            seen=peer.age,
            same_secret=peer.beat.key == post.key,
        )
        for peer in post.guards()
    ]


def _post(store: str | None, namespace: str | None) -> Post:
    post = post_of(store, namespace)
    if post is None:
        raise SettingsError(
            "name the store of the guards: --store redis://host:6379/0, or GATEWAY_GUARD_STORE"
        )
    return post
