"""One virtual environment per peer, made with pip as its users do, and kept."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec

from tests.evaluate.sets import ROOT

BUILD = ROOT / "build" / "peers"


class CannotInstallError(Exception):
    """A peer is not to be had here; says why."""


class Environment(msgspec.Struct, frozen=True):
    """What to install.

    Attributes:
        name: of its folder.
        packages: as pip takes them, each pinned; the first is the peer itself.
        interpreter: of an environment that somebody else makes; empty for one of its own.
    """

    name: str
    packages: tuple[str, ...]
    interpreter: str = ""

    @property
    def version(self) -> str:
        """Of the peer; empty where it is not installed from an index."""
        return self.packages[0].partition("==")[2] if self.packages else ""

    def python(self) -> Path:
        """The interpreter of the environment, made now if it is not there.

        Raises:
            CannotInstallError: pip could not, or nobody has made it.
        """
        if self.interpreter:
            if not Path(self.interpreter).exists():
                raise CannotInstallError(f"`make {self.name}` has not been run")
            return Path(self.interpreter)
        folder = BUILD / self.name
        stamp, python = folder / "installed", folder / "bin" / "python"
        wanted = "\n".join(self.packages)
        if stamp.exists() and stamp.read_text() == wanted:
            return python
        shutil.rmtree(folder, ignore_errors=True)
        _run(sys.executable, "-m", "venv", str(folder))
        _run(str(python), "-m", "pip", "install", "--quiet", *self.packages)
        # Written last: an interrupted installation is begun anew.
        stamp.write_text(wanted)
        return python


def program(name: str) -> str:
    """The program, from the environment this runs in or from the system.

    Raises:
        CannotInstallError: there is none.
    """
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"], "/usr/sbin"))
    found = shutil.which(name, path=path)
    if found is None:
        raise CannotInstallError(f"{name} is not installed")
    return found


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        raise CannotInstallError((lines or ["pip failed without a word"])[-1])
