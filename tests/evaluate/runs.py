"""One replay, scored: a guard over a set, in a process of its own, two at a time."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from tests.evaluate.ever import ever_refused
from tests.evaluate.scores import Score
from tests.evaluate.sets import ROOT, CannotWorkError, LabelledSet

T = TypeVar("T")
R = TypeVar("R")

STANDARD: Final = ROOT / "policies" / "standard.yaml"
FIXED: Final = ROOT / "tests" / "evaluate" / "fixed-limit.yaml"

#: Replays at a time: each takes a core.
AT_ONCE: Final = 2


class Replayed(msgspec.Struct):
    """What `gateway-guard replay --format json` says of itself."""

    exchanges: int
    malformed: int
    failures: dict[str, int] = {}


class Run(msgspec.Struct, frozen=True):
    """One guard's result over one set.

    Attributes:
        score: the scorer's report.
        refused: the accounts of which at least one exchange was refused, whatever for.
        rate: exchanges a second of CPU, reading the traffic included; None for a baseline that is
            no replay.
        trouble: what the replay could not do, in words; empty when all went well.
    """

    score: Score
    refused: frozenset[str] = frozenset()
    rate: int | None = None
    trouble: str = ""


class Variation(msgspec.Struct, frozen=True):
    """What is different from a plain replay.

    Attributes:
        thresholds: name → value, as `tests.evaluate.vary` spells them.
        linked: whether the linker learns. Without it no campaign is ever found.
    """

    thresholds: Mapping[str, float] = {}
    linked: bool = True


PLAIN: Final = Variation()


def replay(data: LabelledSet, policy: Path, scorer: Path, variation: Variation = PLAIN) -> Run:
    """`gateway-guard replay` over a set, and its score."""
    with tempfile.TemporaryDirectory(prefix="evaluate-") as name:
        out = Path(name)
        cpu = out / "cpu.txt"
        command = [sys.executable, "-m", "tests.evaluate.child", "--cpu", str(cpu)]
        for threshold, value in variation.thresholds.items():
            command += ["--vary", f"{threshold}={value!r}"]
        if not variation.linked:
            command.append("--unlinked")
        command.append("--")
        said = _call(
            [
                *command, "replay", data.traffic, "--accounts", data.accounts, "--policy", policy,
                "--decisions", out / "decisions.jsonl", "--campaigns", out / "campaigns.json",
                "--format", "json",
            ],
            good=(0, 1),
        )  # fmt: skip
        replayed = msgspec.json.decode(said, type=Replayed)
        seconds = float(cpu.read_text())
        score = _score(data, out, scorer)
        refused = ever_refused(data.traffic, out / "decisions.jsonl")
    return Run(score, refused, round(replayed.exchanges / seconds), _trouble(replayed))


def width(data: LabelledSet, scorer: Path) -> Run:
    """The baseline of template width over a set, and its score."""
    with tempfile.TemporaryDirectory(prefix="evaluate-") as name:
        out = Path(name)
        _call(
            [
                sys.executable, "-m", "tests.evaluate.width", data.traffic, data.accounts,
                out / "decisions.jsonl", out / "campaigns.json",
            ]
        )  # fmt: skip
        refused = ever_refused(data.traffic, out / "decisions.jsonl")
        return Run(_score(data, out, scorer), refused)


def _trouble(replayed: Replayed) -> str:
    """What a replay could not do, in words; empty when all went well."""
    trouble = [f"{count} failures of {what}" for what, count in replayed.failures.items()]
    if replayed.malformed:
        trouble.append(f"{replayed.malformed} lines could not be read")
    return ", ".join(trouble)


def record(data: LabelledSet, policy: Path, path: Path) -> Path:
    """`path`, after a replay has written to it what a linker would be shown of a set.

    Raises:
        CannotWorkError: part of the set could not be replayed, so that it would not be what it is.
    """
    said = _call(
        [
            sys.executable, "-m", "tests.evaluate.child", "--record", path, "--", "replay",
            data.traffic, "--accounts", data.accounts, "--policy", policy, "--format", "json",
        ],
        good=(0, 1),
    )  # fmt: skip
    trouble = _trouble(msgspec.json.decode(said, type=Replayed))
    if trouble:
        raise CannotWorkError(f"{data.name}: {trouble}")
    return path


@contextlib.contextmanager
def recorded(
    sets: Sequence[LabelledSet], record: Callable[[LabelledSet, Path], Path]
) -> Iterator[dict[str, Path]]:
    """Name of each set → what `record(set, file)` wrote, for as long as it is worked with."""
    with tempfile.TemporaryDirectory(prefix="evaluate-") as folder:
        done = in_parallel(sets, lambda one: record(one, Path(folder) / f"{one.name}.msgpack"))
        yield {one.name: path for one, path in done}


def in_parallel(
    jobs: Iterable[T], work: Callable[[T], R], *, processes: bool = False
) -> Iterator[tuple[T, R]]:
    """(job, result) in the order of the jobs, `AT_ONCE` at a time; a line on stderr for each.

    `processes` is for work that computes here, not in a process it starts: it and the jobs must be
    such as can be sent to one.
    """
    todo = list(jobs)
    with _pool(processes) as pool:
        try:
            for done, (job, result) in enumerate(zip(todo, pool.map(work, todo), strict=True), 1):
                print(f"evaluate: {done} of {len(todo)}", file=sys.stderr, flush=True)
                yield job, result
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _pool(processes: bool) -> Executor:
    if processes:
        # Not forked: there are threads.
        return ProcessPoolExecutor(AT_ONCE, mp_context=multiprocessing.get_context("spawn"))
    return ThreadPoolExecutor(AT_ONCE)


def _score(data: LabelledSet, out: Path, scorer: Path) -> Score:
    said = _call(
        [
            sys.executable, scorer, "--json", "--labels", data.labels, "--traffic", data.traffic,
            "--accounts", data.accounts, "--decisions", out / "decisions.jsonl",
            "--campaigns", out / "campaigns.json",
        ]
    )  # fmt: skip
    try:
        return msgspec.json.decode(said, type=Score)
    except msgspec.DecodeError as error:
        raise CannotWorkError(f"{scorer} printed no report this can read: {error}") from None


def _call(command: list[str | Path], good: tuple[int, ...] = (0,)) -> bytes:
    """What a command prints; its environment is this one's without the guard's own settings."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GATEWAY_GUARD_")}
    done = subprocess.run(
        [str(word) for word in command], cwd=ROOT, env=environment, capture_output=True, check=False
    )
    if done.returncode not in good:
        last = done.stderr.decode("utf-8", "replace").strip().splitlines()[-5:]
        words = " ".join(str(word) for word in command[1:5])
        raise CannotWorkError(f"{words} … ended with {done.returncode}:\n" + "\n".join(last))
    return done.stdout
