"""`python -m tests.evaluate`: labelled traffic replayed, scored and set beside two baselines."""

from __future__ import annotations

import argparse
import functools
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from gateway_guard.cli.output import print_json
from tests.evaluate import leave_out, readme, sweep, together, worse
from tests.evaluate.page import LIMIT, OURS, WIDTH, Result, page
from tests.evaluate.runs import (
    AT_ONCE,
    FIXED,
    STANDARD,
    Run,
    Variation,
    in_parallel,
    record,
    replay,
    width,
)
from tests.evaluate.sets import DATA, SCORER, CannotWorkError, LabelledSet, find_sets, groups_of
from tests.evaluate.vary import thresholds

#: Sets smaller than this have only their overall lines in the README.
_LARGE = 1000


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.evaluate", description=__doc__)
    environment = os.environ
    parser.add_argument(
        "--data", type=Path, default=Path(environment.get("EVALUATE_DATA") or DATA),
        help="directory of labelled sets, or one set (or EVALUATE_DATA; default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--score", type=Path, default=Path(environment.get("EVALUATE_SCORE") or SCORER),
        help="the scorer (or EVALUATE_SCORE; default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--policy", type=Path, default=STANDARD, help="instead of standard.yaml")
    parser.add_argument("--sets", nargs="+", default=(), metavar="SET", help="only these")
    parser.add_argument(
        "--readme",
        action="store_true",
        help="write the tables into README.md, those of slower studies into files of their own",
    )
    parser.add_argument("--json", action="store_true", help="scores as JSON instead of tables")
    slow = parser.add_argument_group(f"slower studies ({AT_ONCE} at a time)")
    slow.add_argument("--leave-out", action="store_true", help=_summary(leave_out))
    slow.add_argument(
        "--fit", nargs="?", const=leave_out.USUAL_FIT, metavar="NAME=v1,v2,…",
        help=f"with --leave-out: what to choose each time (default: {leave_out.USUAL_FIT})",
    )  # fmt: skip
    slow.add_argument("--worse", action="store_true", help=_summary(worse))
    slow.add_argument("--together", action="store_true", help=_summary(together))
    slow.add_argument(
        "--attackers", nargs="+", default=(), metavar="SET",
        help="with --together: of the other sets only the customers",
    )  # fmt: skip
    slow.add_argument(
        "--sweep", action="append", default=[], metavar="NAME=v1,v2,…", help=_summary(sweep)
    )
    slow.add_argument("--thresholds", action="store_true", help="list what --sweep can vary")
    asked = parser.parse_args(words)
    if asked.readme and (asked.json or asked.sweep or asked.sets or asked.together):
        parser.error("--readme goes with a whole evaluation, --leave-out or --worse only")
    if asked.fit and not asked.leave_out:
        parser.error("--fit goes with --leave-out")
    if asked.attackers and not asked.together:
        parser.error("--attackers goes with --together")
    return asked


def _summary(module: object) -> str:
    return (module.__doc__ or "").partition("\n\n")[0].replace("%", "%%")


def evaluate(sets: Sequence[LabelledSet], policy: Path, scorer: Path) -> list[Result]:
    """Every guard over every set."""
    guards = {
        OURS: functools.partial(replay, policy=policy, scorer=scorer),
        LIMIT: functools.partial(
            replay, policy=FIXED, scorer=scorer, variation=Variation(linked=False)
        ),
        WIDTH: functools.partial(width, scorer=scorer),
    }
    jobs = [(one, guard) for guard in guards for one in sets]
    runs: dict[str, dict[str, Run]] = {one.name: {} for one in sets}
    for (one, guard), run in in_parallel(jobs, lambda job: guards[job[1]](job[0])):
        runs[one.name][guard] = run
    return [Result(one.name, groups_of(one.labels), runs[one.name]) for one in sets]


def main(words: Sequence[str] | None = None) -> int:
    """0 when everything asked was done, 3 when something it needs is missing."""
    asked = _arguments(words)
    try:
        if asked.thresholds:
            for name, value in thresholds().items():
                print(f"{name} = {value}")
            return 0
        _run(asked)
    except CannotWorkError as error:
        print(f"evaluate: {error}", file=sys.stderr)
        return 3
    return 0


def _run(asked: argparse.Namespace) -> None:
    sweeps = [sweep.asked(text) for text in asked.sweep]
    fit = leave_out.fit(asked.fit) if asked.fit else None
    sets = find_sets(asked.data, asked.sets)
    scorer, policy = asked.score.resolve(), asked.policy.resolve()
    if not scorer.is_file():
        raise CannotWorkError(
            f"no scorer {scorer}: it does not come with this repository.\n"
            "Name the file: make evaluate SCORE=score.py"
        )

    def once(one: LabelledSet, variation: Variation) -> Run:
        return replay(one, policy, scorer, variation)

    def recorded(one: LabelledSet, path: Path) -> Path:
        return record(one, policy, path)

    if asked.leave_out or asked.worse or asked.together or sweeps:
        if asked.together:
            print(f"{together.report(sets, recorded, asked.attackers)}\n")
        if asked.leave_out:
            study = leave_out.report(sets, recorded, fit)
            print(f"{study}\n")
            if asked.readme:
                block = f"{readme.state()}.\n\n{study}"
                readme.write(block, readme.LEFT_OUT_FILE, name=readme.LEFT_OUT)
        if asked.worse:
            study = worse.report(sets, recorded)
            print(f"{study}\n")
            if asked.readme:
                block = f"{readme.state()}.\n\n{study}"
                readme.write(block, readme.WORSE_FILE, name=readme.WORSE)
        for one in sweeps:
            print(f"{sweep.report(sets, one, once)}\n")
        return
    started = time.monotonic()
    results = evaluate(sets, policy, scorer)
    state = f"{readme.state()}, {policy.name}, {time.monotonic() - started:.0f} s"
    if asked.json:
        print_json({"state": state, "sets": {one.name: one.runs for one in results}})
        return
    print(f"{state}\n\n{page(results)}")
    if asked.readme:
        large = [r.name for r in results if r.runs[OURS].score.fpr.overall.n >= _LARGE]
        readme.write(f"{readme.state()}.\n\n{page(results, detailed=large)}")


if __name__ == "__main__":
    sys.exit(main())
