"""What traffic made to keep the linker busy costs it, beside a provider's ordinary traffic.

    python -m tests.bench webs [--exchanges 40000] [--profile] [NAME…]

One process each, one after the other. *Ratio* is to the exchanges/s of the ordinary stream of
`bench_linker` in the same run. *Longest* is CPU time of this thread in one call of `learn`.
*Hidden* is the campaign in each hostile stream: its accounts held at the end, and how many of its
exchanges there were before half of them were.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import subprocess
import sys
import time
from collections.abc import Iterator

import msgspec

from gateway_guard.campaigns.linker import Linker
from gateway_guard.campaigns.sighting import Sighting
from tests.bench.bench_linker import Samples, resident
from tests.bench.hostile import HIDDEN, NOISES, stream
from tests.bench.stream import Scale, Stream

_ORDINARY = "ordinary"


class Figures(msgspec.Struct):
    """Of one stream; seconds of CPU, bytes of resident memory."""

    exchanges: int
    seconds: float
    longest: float
    over: int
    grown: int
    accounts: int
    members: int
    hidden: int
    until_half: int | None


def _stream(name: str, exchanges: int) -> Iterator[Sighting]:
    if name == _ORDINARY:
        return (seen for seen, _ in itertools.islice(Stream(Scale(scale=0.01)), exchanges))
    return stream(NOISES[name], exchanges)


def measured(name: str, exchanges: int, profile: Samples | None = None) -> Figures:
    """Show a new linker one stream."""
    linker, clock = Linker(), time.thread_time
    learn, facts = linker.learn, linker.facts
    hidden = [f"acct_h{n}" for n in range(HIDDEN)] if name != _ORDINARY else []
    seconds, longest, over, asked, until = 0.0, 0.0, 0, 0, None
    chunks = _stream(name, exchanges)
    gc.collect()
    before = resident()
    while chunk := list(itertools.islice(chunks, 2_000)):
        if profile:
            profile.enable()
        for seen in chunk:
            start = clock()
            learn(seen)
            took = clock() - start
            seconds += took
            longest = max(longest, took)
            over += took > 0.02
            if hidden and seen.account.startswith("acct_h"):
                asked += 1
                if until is None and 2 * sum(facts(one) is not None for one in hidden) >= HIDDEN:
                    until = asked
        if profile:
            profile.disable()
    return Figures(
        exchanges=exchanges, seconds=seconds, longest=longest, over=over,
        grown=resident() - before, accounts=len(linker.memory.traces),
        members=len(linker.cases.member_of),
        hidden=sum(facts(one) is not None for one in hidden), until_half=until,
    )  # fmt: skip


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help=f"{_ORDINARY}, {', '.join(NOISES)}")
    parser.add_argument("--exchanges", type=int, default=40_000)
    parser.add_argument("--profile", action="store_true", help="where the time goes")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.one:
        profile = Samples() if chosen.profile else None
        found = measured(chosen.names[0], chosen.exchanges, profile)
        sys.stdout.buffer.write(msgspec.json.encode(found) + b"\n")
        sys.stdout.flush()
        if profile:
            profile.print()
        return
    print("| stream | exchanges/s of CPU | ratio | longest call | calls over 20 ms | ", end="")
    print("memory | members | hidden held | after |\n|---|---|---|---|---|---|---|---|---|")
    usual = None
    for name in chosen.names or [_ORDINARY, *NOISES]:
        command = [sys.executable, "-m", "tests.bench.bench_webs", name, "--one"]
        command += ["--exchanges", str(chosen.exchanges)] + ["--profile"] * chosen.profile
        said = subprocess.run(command, check=True, capture_output=True).stdout
        line, _, rest = said.partition(b"\n")
        one = msgspec.json.decode(line, type=Figures)
        rate = one.exchanges / one.seconds
        usual = rate if name == _ORDINARY else usual
        ratio = f"{rate / usual:.2f}" if usual else "–"
        hidden = "–" if name == _ORDINARY else f"{one.hidden} of {HIDDEN}"
        print(
            f"| {name} | {rate:,.0f} | {ratio} | {one.longest * 1e3:,.0f} ms | {one.over} "
            f"| {one.grown / 2**20:,.0f} MiB, {one.accounts:,} accounts | {one.members:,} "
            f"| {hidden} | {one.until_half or '–'} |",
            flush=True,
        )
        sys.stdout.write(rest.decode())


if __name__ == "__main__":
    main()
