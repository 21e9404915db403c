"""`gateway-guard …` timed, with the linker varied, off, or replaced by a recorder.

`python -m tests.evaluate.child [--cpu FILE] [--vary NAME=VALUE]… [--unlinked | --record FILE] --
replay …`
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from tests.evaluate.vary import install


def switch_off() -> None:
    """From now on the linker learns nothing, so that it finds no campaign."""
    from gateway_guard.campaigns.linker import Linker

    def deaf(self: Linker, seen: object) -> None:
        pass

    setattr(Linker, "learn", deaf)  # noqa: B010 - a method, replaced on purpose


def main() -> None:
    """Run the command line after it."""
    parser = argparse.ArgumentParser(prog="tests.evaluate.child")
    parser.add_argument("--cpu", type=Path, help="write the seconds of CPU it took here")
    parser.add_argument("--unlinked", action="store_true", help="without the linker")
    parser.add_argument("--record", type=Path, help="write what it would have learnt here instead")
    parser.add_argument("--vary", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("command", nargs="+")
    asked = parser.parse_args()
    # Before anything of the linker is imported.
    install({name: number(value) for name, _, value in (v.partition("=") for v in asked.vary)})
    if asked.unlinked:
        switch_off()
    if asked.record is not None:
        from tests.evaluate.recording import record

        record(asked.record)

    from gateway_guard.cli import main as gateway_guard

    sys.argv = ["gateway-guard", *asked.command]
    started = time.process_time()
    try:
        gateway_guard()
    finally:
        if asked.cpu is not None:
            asked.cpu.write_text(repr(time.process_time() - started))


def number(text: str) -> float:
    """A whole number stays one: some are sizes."""
    try:
        return int(text)
    except ValueError:
        return float(text)


if __name__ == "__main__":
    main()
