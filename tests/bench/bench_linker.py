"""What the campaign linker costs on a provider's traffic, and what it finds there.

    python -m tests.bench linker [--scale 0.01|0.1|1] [--profile] [--trace]

The generator's own time and memory are left out. Scale 1 is 16 million exchanges of 24,000 campaign
accounts among 600,000 others (see `stream`) and takes an hour or two. `--profile` says where the
time goes, `--trace` counts bytes with tracemalloc (four times slower).
"""

from __future__ import annotations

import argparse
import gc
import itertools
import resource
import signal
import sys
import time
import tracemalloc
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from gateway_guard.campaigns.linker import Linker
from tests.bench.stream import Scale, Stream
from tests.campaigns.worlds import Counts

_CHUNK = 5_000
_TELL = 20  # chunks between two words of how far a run of an hour or two is


@dataclass(slots=True)
class Seen(Counts):
    """What a run came to, by `campaign` and `others`; seconds and pauses a chunk of the stream."""

    seconds: list[float] = field(default_factory=list)
    chunks: list[int] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)
    wrong: Counter[str] = field(default_factory=Counter)


class Samples:
    """Where the CPU time goes: the stack, sampled every 2 ms while running. Costs next to nothing,
    so that what is measured is what runs."""

    def __init__(self) -> None:
        self.own: Counter[str] = Counter()
        self.within: Counter[str] = Counter()
        signal.signal(signal.SIGPROF, self._take)

    def enable(self) -> None:
        """From now on."""
        signal.setitimer(signal.ITIMER_PROF, 0.002, 0.002)

    def disable(self) -> None:
        """Until here."""
        signal.setitimer(signal.ITIMER_PROF, 0.0)

    def _take(self, _: int, frame: FrameType | None) -> None:
        names = []
        while frame is not None:
            code = frame.f_code
            names.append(f"{Path(code.co_filename).stem}.{code.co_qualname}")
            frame = frame.f_back
        if names:
            self.own[names[0]] += 1
            self.within.update(set(names))

    def print(self, most: int = 24) -> None:
        """The functions with the largest shares, in percent of the samples."""
        every = max(sum(self.own.values()), 1)
        print(f"\n{every:,} samples\n\n| function | own % | with callees % |\n|---|---|---|")
        for name, count in self.own.most_common(most):
            within = 100 * self.within[name] / every
            print(f"| {name} | {100 * count / every:.1f} | {within:.1f} |")


def resident() -> int:
    """Bytes of memory this process holds right now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def run(size: Scale, linker: Linker, profile: Samples | None = None) -> Seen:
    """Show `linker` the whole stream, asking its verdict before each exchange."""
    seen = Seen()
    known: dict[str, set[int]] = {"campaign": set(), "others": set()}
    held: dict[str, set[int]] = {"campaign": set(), "others": set()}
    stream = iter(Stream(size))
    facts, learn, clock = linker.facts, linker.learn, time.perf_counter
    while chunk := list(itertools.islice(stream, _CHUNK)):
        longest, found = 0.0, []
        if profile:
            profile.enable()
        started = time.process_time()  # slow to ask: once a chunk
        before = clock()
        for sighting, _ in chunk:
            found.append(facts(sighting.account))
            learn(sighting)
            now = clock()
            if now - before > longest:
                longest = now - before
            before = now
        took = time.process_time() - started
        if profile:
            profile.disable()
        seen.seconds.append(took)
        seen.chunks.append(len(chunk))
        seen.pauses.append(longest)
        for (sighting, campaign), verdict in zip(chunk, found, strict=True):
            side = "others" if campaign is None else "campaign"
            who = int(sighting.account[6:])
            known[side].add(who)
            seen.exchanges[side] += 1
            if verdict is not None:
                held[side].add(who)
                seen.refused[side] += 1
        if len(seen.chunks) % _TELL == 0:
            print(f"{sum(seen.chunks):,} exchanges", end="\r", file=sys.stderr, flush=True)
    seen.accounts.update({side: len(who) for side, who in known.items()})
    seen.held.update({side: len(who) for side, who in held.items()})
    seen.wrong.update(Stream.kind(who) for who in held["others"])
    return seen


def weigh(root: Linker) -> dict[str, int]:
    """Bytes reachable from each attribute of `root`; what several reach counts for the first."""
    done: set[int] = set()

    def size(thing: object) -> int:
        total, todo = 0, [thing]
        while todo:
            one = todo.pop()
            if id(one) in done or isinstance(one, type):
                continue
            done.add(id(one))
            total += sys.getsizeof(one)
            if isinstance(one, dict):
                todo.extend(one.keys())
                todo.extend(one.values())
            elif isinstance(one, (list, tuple, set, frozenset)):
                todo.extend(one)
            else:
                for name in getattr(one, "__struct_fields__", ()):
                    todo.append(getattr(one, name))
                todo.extend(getattr(one, "__dict__", {}).values())
                for name in getattr(one, "__slots__", ()):
                    todo.append(getattr(one, name, None))
        return total

    parts = {"memory." + name: value for name, value in vars(root.memory).items()}
    parts |= vars(root)
    return {name: size(value) for name, value in parts.items()}


def _print(seen: Seen, linker: Linker, grown: int) -> None:
    total, seconds = sum(seen.chunks), sum(seen.seconds)
    live = len(linker.memory.traces)
    print("| what | measured | target |\n|---|---|---|")
    print(f"| exchanges | {total:,} ({seen.exchanges['campaign']:,} of campaigns) | |")
    print(f"| linker, one core | {total / seconds:,.0f} exchanges/s | ≥ 5,000 |")
    tenth = max(len(seen.seconds) // 10, 1)
    rates = [
        sum(seen.chunks[i : i + tenth]) / sum(seen.seconds[i : i + tenth])
        for i in range(0, len(seen.seconds), tenth)
    ]
    print(f"| by tenths of the stream | {', '.join(f'{r:,.0f}' for r in rates)} | |")
    print(f"| longest single call, wall | {max(seen.pauses) * 1e3:,.0f} ms | |")
    print(f"| live accounts | {live:,} | |")
    print(f"| bytes a live account, by RSS | {grown / max(live, 1):,.0f} | ≤ 2,048 |")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(f"| peak RSS | {peak / 2**20:,.0f} MiB | ≤ 4,096 at scale 1 |")
    for side in ("campaign", "others"):
        held, every = seen.held[side], seen.accounts[side]
        print(
            f"| {side} accounts held | {held:,} of {every:,} ({100 * held / max(every, 1):.2f} %) "
            f"| {'0 %' if side == 'others' else ''} |"
        )
    for kind, count in seen.wrong.most_common():
        print(f"| – {kind} | {count:,} | 0 |")
    took = 1 - seen.refused["campaign"] / max(seen.exchanges["campaign"], 1)
    print(f"| campaign exchanges before containment | {100 * took:.1f} % | |")
    print(f"| groups held at the end | {len(linker.held)} | |")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=0.01)
    parser.add_argument("--profile", action="store_true", help="where the time goes")
    parser.add_argument("--trace", action="store_true", help="count bytes with tracemalloc")
    chosen = parser.parse_args()
    size = Scale(scale=chosen.scale)
    profile = Samples() if chosen.profile else None
    gc.collect()
    before = resident()
    if chosen.trace:
        tracemalloc.start()
    linker = Linker()
    seen = run(size, linker, profile)
    gc.collect()
    print(f"Scale {chosen.scale}: {size.harvesters:,} campaign accounts, {size.others:,} others\n")
    _print(seen, linker, resident() - before)
    if chosen.trace:
        files = tracemalloc.take_snapshot().statistics("lineno")[:12]
        print("\ntracemalloc, largest first:")
        for stat in files:
            frame = stat.traceback[0]
            where = f"{Path(frame.filename).name}:{frame.lineno}"
            print(f"  {where:28}{stat.size / 2**20:9.1f} MiB {stat.count:>10,} blocks")
        tracemalloc.stop()
    weights, live = weigh(linker), max(len(linker.memory.traces), 1)
    print(f"\nsys.getsizeof, {sum(weights.values()) / live:,.0f} B an account:")
    for name, weight in sorted(weights.items(), key=lambda item: -item[1])[:10]:
        print(f"  {name:20}{weight / 2**20:9.1f} MiB {weight / live:8.0f} B an account")
    if profile:
        profile.print()


if __name__ == "__main__":
    main()
