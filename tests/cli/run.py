"""Runs the command line in this process, as its entry point would."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from gateway_guard.cli import main

#: Where examples and policies are: the checkout, or the copy the tests run from.
ROOT = Path(__file__).resolve().parent.parent.parent


class Ran(NamedTuple):
    """What a command left: exit code, standard output, standard error."""

    code: int
    out: str
    err: str


def run(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], *arguments: str | Path
) -> Ran:
    """`gateway-guard ARGUMENTS`."""
    monkeypatch.setattr(sys, "argv", ["gateway-guard", *map(str, arguments)])
    with pytest.raises(SystemExit) as caught:
        main()
    out, err = capfd.readouterr()
    code = caught.value.code
    return Ran(code if isinstance(code, int) else int(code is not None), out, err)
