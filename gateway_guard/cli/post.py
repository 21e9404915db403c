"""Which store a command speaks to the guards of."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gateway_guard.cli.usage import usage
from gateway_guard.errors import SettingsError
from gateway_guard.settings import Settings
from gateway_guard.stores.connect import parse_address
from gateway_guard.stores.layout import check_namespace
from gateway_guard.streams.post import Post

#: `--store` and `--namespace`, the same for every command.
StoreOption = Annotated[
    str | None,
    typer.Option(
        "--store",
        help="The shared store, redis://host:6379/0. By default GATEWAY_GUARD_STORE, where a "
        "password is not seen by who lists processes.",
    ),
]
NamespaceOption = Annotated[
    str | None,
    typer.Option("--namespace", "-n", help="By default GATEWAY_GUARD_STORE_NAMESPACE, or gg."),
]


def check_typed(store: str | None, namespace: str | None) -> None:
    """Whether `--store` and `--namespace`, where they were typed, can be such.

    Raises:
        typer.BadParameter: one cannot; says what to write.
    """
    with usage():
        if store and not parse_address(store).shared:
            raise typer.BadParameter(
                f"--store {store} is one process's own memory: no guard would hear of it, and "
                "nothing of it is seen from here"
            )
        if namespace:
            check_namespace(namespace)


def post_of(store: str | None, namespace: str | None, file: Path | None = None) -> Post | None:
    """The post that is meant: `store`, or the one in the settings unless a `file` is named; None
    when there is none.

    Raises:
        typer.BadParameter: both a store and a file were named; or as `check_typed`.
        SettingsError: as `Post`.
    """
    if store and file is not None:
        raise typer.BadParameter(
            "name a --store or a --file: a decision is written into one of them"
        )
    check_typed(store, namespace)
    settings = Settings.from_environment()
    uri = store or (settings.store if file is None else None)
    if not uri:
        return None
    if not settings.secret_lasts:
        raise SettingsError(
            "guards of a store heed only who has their secret: set GATEWAY_GUARD_SECRET or "
            "GATEWAY_GUARD_SECRET_FILE as there"
        )
    return Post(uri, namespace or settings.store_namespace, settings.secret)
