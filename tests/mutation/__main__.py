"""`python -m tests.mutation`: a sample of changes to the core, each of which a test must notice.

A change is *killed* when a test fails, *timeout* when the tests no longer end (which a test run
notices as well), and *survived* when every quick test passes. First the tests that reach the
statement are run, in a process that has loaded them before; then, where they all pass, every quick
one in a process of its own: a survivor has survived all of them. It is *equivalent*, and does not
count, where `tests.mutation.arguments` says why nobody could notice.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import os
import random
import shutil
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.mutation.arguments import TABLE
from tests.mutation.concerned import DESELECT, concerned, quick
from tests.mutation.equivalent import argued
from tests.mutation.reach import reached
from tests.mutation.running import prepare, run
from tests.mutation.score import Count, table
from tests.mutation.sites import Mutant, compiles, modules, mutants_of, sampled
from tests.mutation.warm import BROKEN, Warm, changed_functions, statement

ROOT: Final = Path(__file__).resolve().parent.parent.parent
PARTS: Final = ("gateway_guard", "tests", "policies", "examples", "pyproject.toml", "README.md")
#: Times what all unchanged tests take before a run counts as never ending.
SLOWER: Final = 2.0
#: Seconds of CPU more, for loading the tests.
LOADING: Final = 20.0
#: Of pytest's exit codes.
PASSED: Final = 0
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
            if (ROOT / part).is_dir():
                # What is compiled would be run in place of what is changed.
                without = shutil.ignore_patterns("*.so", "*.pyd", "__pycache__")
                shutil.copytree(ROOT / part, folder / part, ignore=without)
            else:
                shutil.copy(ROOT / part, folder / part)
        trial = Trial(folder, texts, thorough=not options.quickly)
        for number, mutant in enumerate(sample, 1):
            if time.monotonic() > until:
                print(f"time is up after {number - 1} changes")
                break
            before = texts[mutant.path]
            after = mutant.source(before)
            if not compiles(after):
                continue  # noticed by everybody, without a test
            outcome = trial.outcome(mutant, after)
            if (why := argued(mutant.path, before, after, TABLE)) is not None:
                if outcome == "survived":
                    outcome = "equivalent"
                else:
                    print(f"noticed, though it is argued that nobody can: {why}", flush=True)
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

    First every quick test runs without a change: what fails by itself is left out, what takes much
    longer than all of them did does not end, and a change is tried first with the tests that came
    by the statement that it is in.
    """

    def __init__(self, folder: Path, texts: dict[str, str], *, thorough: bool) -> None:
        self._folder = folder
        self._texts = texts
        self._trees = {path: ast.parse(text) for path, text in texts.items()}
        self._thorough = thorough
        self._every = quick(folder)
        every = [*self._every, "-k", DESELECT]
        self._reach, self._cpu = reached(folder, every, list(texts), 1800.0)
        self._left_out: list[str] = []
        for name in self._reach.failed:
            print(f"fails without any change, and is left out: {name}", flush=True)
            self._left_out += ["--deselect", name]
        self._warm = Warm(folder, [*every, *self._left_out])
        print(f"{self._warm.tests} tests, {self._cpu:.0f} s of CPU", flush=True)

    def outcome(self, mutant: Mutant, text: str) -> str:
        """`killed`, `timeout` or `survived`."""
        for code in self._codes(mutant, text):
            if code is None:
                return "timeout"
            if code not in (PASSED, NO_TESTS):
                return "killed"
        return "survived"

    def _codes(self, mutant: Mutant, text: str) -> Iterator[int | None]:
        """pytest's exit codes, of few tests first."""
        path = mutant.path
        where = statement(self._trees[path], mutant.place[0])
        functions = changed_functions(self._texts[path], text, str(self._folder / path))
        if functions is not None:
            names = self._reach.tests(path, *where)
            code = self._warm.run(functions, {name: self._reach.seconds[name] for name in names})
            if code != BROKEN:
                yield code
        if functions is None or self._reach.when_loaded(path, *where):
            for tests in concerned(self._folder, path):
                if tests:
                    yield self._cold(tests, self._reach.of_files(tests), (path, text))
        if self._thorough:
            yield self._cold(self._every, self._cpu, (path, text))

    def _cold(self, tests: list[str], cpu: float, changed: tuple[str, str]) -> int | None:
        words = [*tests, "-k", DESELECT, *self._left_out]
        return run(self._folder, words, LOADING + cpu * SLOWER, changed).code


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
        "--quickly",
        action="store_true",
        help="only tests that reach the statement or import the module: a lower bound",
    )
    parser.add_argument("--least", type=float, default=90.0, help="percent that must be killed")
    parser.add_argument("--verbose", action="store_true", help="a line for each change")
    parser.add_argument("only", nargs="*", help="modules: a part of their path")
    return parser.parse_args()


if __name__ == "__main__":
    os.nice(3)
    sys.exit(main())
