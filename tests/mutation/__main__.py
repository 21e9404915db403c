"""`python -m tests.mutation`: a sample of changes to the core, each of which a test must notice.

A change is *killed* when a test fails, *timeout* when the tests no longer end (which a test run
notices as well), and *survived* when every quick test passes. First the tests that import the
module are run, then, where they all pass, every quick one: a survivor has survived all of them.
"""

from __future__ import annotations

import argparse
import difflib
import os
import random
import re
import shutil
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Final

from tests.mutation.concerned import DESELECT, concerned, quick
from tests.mutation.running import prepare, run
from tests.mutation.score import Count, table
from tests.mutation.sites import Mutant, compiles, modules, mutants_of, sampled

ROOT: Final = Path(__file__).resolve().parent.parent.parent
PARTS: Final = ("gateway_guard", "tests", "policies", "examples", "pyproject.toml", "README.md")
#: Times what all unchanged tests take before a run counts as never ending.
SLOWER: Final = 2.0
#: Of pytest's exit codes.
PASSED: Final = 0
FAILED: Final = 1
NO_TESTS: Final = 5


def main() -> int:
    options = _options()
    draw = random.Random(options.seed)
    texts = {path: (ROOT / path).read_text("utf-8") for path in modules(ROOT)}
    every = [one for path, code in texts.items() for one in mutants_of(path, code, draw)]
    if options.only:
        every = [one for one in every if any(word in one.path for word in options.only)]
    sample = sampled(every, options.sample, draw)
    # So that what was tried is a fair sample whenever time is up.
    draw.shuffle(sample)
    until = time.monotonic() + options.minutes * 60
    print(f"{len(sample)} of {len(every)} changes, seed {options.seed}", flush=True)
    prepare()
    counts: dict[str, Count] = defaultdict(Count)
    survivors: list[str] = []
    with tempfile.TemporaryDirectory(prefix="gg-mutants-") as name:
        folder = Path(name)
        for part in PARTS:
            copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
            copy(ROOT / part, folder / part)
        trial = Trial(folder, thorough=not options.quickly)
        for number, mutant in enumerate(sample, 1):
            if time.monotonic() > until:
                print(f"time is up after {number - 1} changes")
                break
            before = texts[mutant.path]
            after = mutant.source(before)
            if not compiles(after):
                continue  # noticed by everybody, without a test
            outcome = trial.outcome(mutant, after)
            counts[mutant.path].add(outcome)
            if outcome == "survived":
                survivors.append(_diff(mutant, before, after))
                print(survivors[-1], flush=True)
            elif options.verbose:
                print(
                    f"{number}/{len(sample)} {outcome} {mutant.path}:{mutant.place[0]} "
                    f"{mutant.operator}",
                    flush=True,
                )
    print(table(counts))
    out = ROOT / "build" / "mutants"
    out.mkdir(parents=True, exist_ok=True)
    (out / "survivors.diff").write_text("\n".join(survivors), "utf-8")
    total = sum(counts.values(), Count())
    return 0 if total.score >= options.least / 100 else 1


class Trial:
    """Judges changes in a copy of the tree.

    First every quick test runs without a change: what fails by itself is left out, and what takes
    much longer than all of them did does not end.
    """

    def __init__(self, folder: Path, *, thorough: bool) -> None:
        self._folder = folder
        self._thorough = thorough
        self._every = quick(folder)
        self._left_out: list[str] = []
        ran = run(folder, [*self._every, "-k", DESELECT], 1200.0)
        if ran.code not in (PASSED, FAILED):
            sys.exit(f"the tests do not run:\n{ran.said[-4000:]}")
        for name in re.findall(r"^(?:FAILED|ERROR) (\S+)", ran.said, re.MULTILINE):
            print(f"fails without any change, and is left out: {name}", flush=True)
            self._left_out += ["--deselect", name]
        self._most = ran.cpu * SLOWER

    def outcome(self, mutant: Mutant, text: str) -> str:
        """`killed`, `timeout` or `survived`."""
        near, further = concerned(self._folder, mutant.path)
        # The few that are near need no more than a part of the time.
        stages = [(near, self._most / 4), (further, self._most)]
        if self._thorough or not (near or further):
            stages.append((self._every, self._most))
        for tests, most in stages:
            if not tests:
                continue
            words = [*tests, "-k", DESELECT, *self._left_out]
            ran = run(self._folder, words, most, (mutant.path, text))
            if ran.code is None:
                return "timeout"
            if ran.code not in (PASSED, NO_TESTS):
                return "killed"
        return "survived"


def _diff(mutant: Mutant, before: str, after: str) -> str:
    lines = difflib.unified_diff(
        before.splitlines(), after.splitlines(), mutant.path, mutant.operator, n=2, lineterm=""
    )
    return "\n".join(lines)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("--sample", type=int, default=300, help="changes tried (default 300)")
    parser.add_argument("--seed", type=int, default=1, help="which ones (default 1)")
    parser.add_argument("--minutes", type=float, default=1e6, help="stop after so long")
    parser.add_argument(
        "--quickly", action="store_true", help="only tests that import the module: a lower bound"
    )
    parser.add_argument("--least", type=float, default=90.0, help="percent that must be killed")
    parser.add_argument("--verbose", action="store_true", help="a line for each change")
    parser.add_argument("only", nargs="*", help="modules: a part of their path")
    return parser.parse_args()


if __name__ == "__main__":
    os.nice(3)
    sys.exit(main())
