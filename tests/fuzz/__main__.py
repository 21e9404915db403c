"""`make fuzz`: every target for a while, guided by coverage where atheris is installed.

    python -m tests.fuzz [TARGET…] [--seconds N] [--blind]

What is found is shrunk and kept in the corpus as `found-…`: `make test` fails from then on, until
it is mended. Exit 0: nothing found; 1: something was; 2: no such target.
"""

from __future__ import annotations

import argparse
import importlib.util
import logging
import random
import re
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

from tests.fuzz import registry
from tests.fuzz.mutate import mutated
from tests.fuzz.shrink import fault_of, shrunk

_DONE = re.compile(r"^(?:Done |#)([0-9]+)(?: runs in|\s+DONE)", re.MULTILINE)
_COVERED = re.compile(r"cov: ([0-9]+) ft: ([0-9]+) corp: ([0-9]+)")
#: What coverage made worth trying again: the next run goes on from there.
_GROWN = registry.CORPUS.parents[2] / "build" / "fuzz"
#: Seconds and MB one input may take.
_TIMEOUT = 5
_MEMORY = 2048


def guided(name: str, seconds: int) -> tuple[str, list[bytes]]:
    """Coverage-guided: what was done in words, and inputs that broke a property."""
    with tempfile.TemporaryDirectory() as folder:
        bad, words = Path(folder, "bad"), Path(folder, "words")
        bad.mkdir()
        grown = _GROWN / name
        grown.mkdir(parents=True, exist_ok=True)
        words.write_text("".join(f'"{_escaped(word)}"\n' for word in registry.words(name)))
        run = subprocess.run(
            [sys.executable, "-m", "tests.fuzz.guided", name,
             f"-max_total_time={seconds}", f"-timeout={_TIMEOUT}", f"-rss_limit_mb={_MEMORY}",
             f"-dict={words}", f"-artifact_prefix={bad}/", f"-max_len={registry.LONGEST}",
             "-verbosity=1", "-print_final_stats=0", str(grown), str(registry.CORPUS / name)],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
            check=False, cwd=registry.CORPUS.parents[2],
        )  # fmt: skip
        found = [path.read_bytes() for path in sorted(bad.iterdir())]
        if run.returncode and not found:
            raise SystemExit(f"{name}: atheris ended with {run.returncode}:\n{run.stdout[-2000:]}")
        runs = _DONE.findall(run.stdout)
        covered = _COVERED.findall(run.stdout)
        branches = covered[-1][0] if covered else "?"
        return f"{runs[-1] if runs else '?'} runs, {branches} edges", found


def _escaped(word: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word)


def blind(name: str, seconds: int) -> tuple[str, list[bytes]]:
    """Guided by nothing: mutations of what is kept."""
    target, words = registry.load(name), registry.words(name)
    kept = list(registry.kept(name).values()) or [b""]
    luck = random.Random()
    runs, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        data = mutated(luck.choice(kept), kept, words, luck)[: registry.LONGEST]
        runs += 1
        if fault_of(target, data) is not None:
            return f"{runs} runs, blindly", [data]
    return f"{runs} runs, blindly", []


def main() -> int:
    """Run the targets asked for, one after the other."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="all of them unless named")
    parser.add_argument("--seconds", type=int, default=60, help="for each target (60)")
    parser.add_argument("--blind", action="store_true", help="not guided by coverage")
    asked = parser.parse_args()
    logging.disable()
    unknown = set(asked.targets) - set(registry.NAMES)
    if unknown:
        print(f"no such target: {', '.join(sorted(unknown))}", file=sys.stderr)
        return 2
    by_coverage = not asked.blind and importlib.util.find_spec("atheris") is not None
    if not by_coverage:
        print("BLIND: no coverage guides what is tried (atheris is not installed, or --blind)")
    broken = 0
    for name in asked.targets or registry.NAMES:
        said, found = (guided if by_coverage else blind)(name, asked.seconds)
        print(f"{name:18} {said}", flush=True)
        for data in found:
            broken += 1
            _report(name, data)
    return 1 if broken else 0


def _report(name: str, data: bytes) -> None:
    target = registry.load(name)
    fault = fault_of(target, data)
    if fault is None:
        # Too slow, too large, or only in another process: kept as it is.
        print(f"  kept as it is: {registry.keep(name, data, 'slow')}")
        return
    small = shrunk(target, data)
    print(f"  {registry.keep(name, small, 'found')}: {small[:200]!r}")
    traceback.print_exception(fault, limit=-4)


if __name__ == "__main__":
    sys.exit(main())
