"""The command line: `gateway-guard COMMAND`. One command a file, each named in `COMMANDS`.

Exit codes: 0 clean, 1 findings, 2 usage (flags that are wrong or do not fit together), 3 cannot
work (a policy that does not load, a port that is taken, a file that cannot be read or written),
130 interrupted, 141 whoever read the output went away.
"""

from __future__ import annotations

import errno
import importlib
import io
import os
import sys
from pathlib import Path
from typing import Final

import typer

from gateway_guard import __version__
from gateway_guard.cli.manual import add_pages
from gateway_guard.cli.printable import lines_printable, printable
from gateway_guard.cli.reading import leave_reading_to_commands
from gateway_guard.errors import GuardError

#: Every command, in the order `--help` lists them; each has a module of its name in this package.
COMMANDS: Final = (
    "serve",
    "demo",
    "check",
    "test",
    "explain",
    "decision",
    "summary",
    "replay",
    "lookup",
    "network",
    "campaign",
    "account",
    "audit",
    "export",
    "intel",
    "linker",
    "guards",
    "store",
    "signal",
    "rule",
    "schema",
)

CLEAN: Final = 0
FINDINGS: Final = 1
USAGE: Final = 2
CANNOT_WORK: Final = 3
INTERRUPTED: Final = 130
#: 128 + SIGPIPE, as shells say it of other tools that `| head` cut short. Neither 0 nor 1, because
#: what was found was not told to the end: a script must not take it for clean.
UNREAD: Final = 141

#: What the extra `sidecar` installs: everything that serves needs it, nothing else does.
_SIDECAR: Final = frozenset(("httptools", "uvicorn", "uvloop", "websockets"))


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"gateway-guard {__version__}")
        raise typer.Exit


def build_app(*commands: str) -> typer.Typer:
    """The typer application with `commands`, or with every command when none is named."""
    app = typer.Typer(
        name="gateway-guard",
        help="Decides, before a request reaches a model API, whether it should, and says why.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    @app.callback()
    def root(
        version: bool = typer.Option(
            False, "--version", callback=_version, is_eager=True, help="Print the version."
        ),
    ) -> None:
        """Decides, before a request reaches a model API, whether it should, and says why."""

    for name in commands or COMMANDS:
        importlib.import_module(f"gateway_guard.cli.{name}").register(app)
    add_pages(app)
    leave_reading_to_commands(app)
    return app


#: Characters of a file name that are shown.
_LONGEST: Final = 200
#: What the system says where no more files can be opened.
_SCARCE: Final = frozenset((errno.EMFILE, errno.ENFILE))
#: What the system says of a file that takes no more.
_FULL: Final = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EPIPE))


def main() -> None:
    """Run the command named in `sys.argv`; the only module loaded is that command's own."""
    _take_any_text()
    try:
        try:
            _run()
        except SystemExit as ended:
            # typer and rich turn it into exit 1, which means findings.
            if isinstance(ended.__context__, BrokenPipeError):
                raise ended.__context__ from None
            sys.stdout.flush()
            raise
    except OSError as error:
        if error.errno in _SCARCE:
            typer.echo(
                f"gateway-guard: {error.strerror}: raise the limit (ulimit -n, LimitNOFILE)",
                err=True,
            )
            sys.exit(CANNOT_WORK)
        if error.errno not in _FULL and error.filename is not None:
            # A name nobody foresaw: too long, a loop of links, a part that is no directory.
            name = printable(str(error.filename))
            shown = name if len(name) <= _LONGEST else f"{name[:_LONGEST]}…"
            typer.echo(f"gateway-guard: {shown}: {error.strerror}", err=True)
            sys.exit(CANNOT_WORK)
        if error.errno not in _FULL:
            raise
        _write_no_more()
        if error.errno == errno.EPIPE:
            sys.exit(UNREAD)
        typer.echo(f"gateway-guard: cannot write: {error.strerror}", err=True)
        sys.exit(CANNOT_WORK)


def _run() -> None:
    name = next((word for word in sys.argv[1:] if not word.startswith("-")), None)
    try:
        app = build_app(name) if name in COMMANDS else build_app()
        app(prog_name="gateway-guard")
    except GuardError as error:
        # It may repeat what a feed, a file or a server said.
        typer.echo(lines_printable(f"gateway-guard: {error}"), err=True)
        sys.exit(CANNOT_WORK)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in _SIDECAR:
            raise
        typer.echo(
            f"gateway-guard: {name} starts servers, which need {error.name}: "
            "pip install '.[sidecar]' in a checkout",
            err=True,
        )
        sys.exit(CANNOT_WORK)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _take_any_text() -> None:
    """Print `?` for what the terminal's encoding has no character for; print nowhere if closed."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115


def _write_no_more() -> None:
    """Let what is still buffered go nowhere, or Python would fail once more when it ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
