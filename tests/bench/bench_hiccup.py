"""The sidecar after a moment of too much: does it serve again what it served before?

    python -m tests.bench hiccup [--rate 2000]

Two stories, told second by second. In the first, requests come in bunches at a steady `--rate`, and
for 2.5 s processes that only compute take all cores. In the second, clients ask again the moment
they are answered, whatever the answer, and for a second there are seven times as many.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from tests.e2e.servers import Sidecar
from tests.soak.asking import Asking, Seen
from tests.soak.policies import database, variant
from tests.soak.world import said

#: Seconds of each story, until the moment comes, and that it lasts.
SECONDS, BEFORE, BUSY, CROWD = 26.0, 5.0, 2.5, 1.0
#: Processes that compute, for each core; and times as many clients as before.
BURNING: Final = 3
MORE: Final = 6


@contextlib.contextmanager
def sidecar(folder: Path) -> Iterator[Asking]:
    """Clients of a sidecar before a model API that answers at once."""
    (folder / "own.mmdb").write_bytes(database(0))
    with (
        said("tests.soak.upstream") as (_, upstream),
        Sidecar(
            folder, f"http://127.0.0.1:{upstream}", "--network", str(folder / "own.mmdb"),
            policy=variant(0).text,
        ) as server,
    ):  # fmt: skip
        yield Asking(server.port, folder)


def busy_machine(folder: Path, rate: float) -> list[Seen]:
    """What clients that come in bunches saw while others had the cores, and afterwards."""
    with sidecar(folder) as asking, asking.begin(rate, SECONDS) as process:
        time.sleep(BEFORE)
        burning = [
            subprocess.Popen([sys.executable, "-c", "while True: pass"])
            for _ in range(BURNING * (os.cpu_count() or 1))
        ]
        time.sleep(BUSY)
        for one in burning:
            one.kill()
            one.wait()
        return asking.end(process)


def asking_again(folder: Path) -> list[Seen]:
    """What clients saw that ask again at once, while there were more of them, and afterwards."""
    with (
        sidecar(folder) as asking,
        asking.begin(0, SECONDS) as process,
        contextlib.ExitStack() as more,
    ):
        time.sleep(BEFORE)
        others = []
        for number in range(1, MORE + 1):
            own = folder / str(number)
            own.mkdir()
            other = Asking(asking.port, own)
            other.next = number * 1_000_000
            others.append((other, more.enter_context(other.begin(0, CROWD))))
        for other, theirs in others:
            other.end(theirs)
        return asking.end(process)


def told(title: str, seen: Sequence[Seen]) -> None:
    """Print what became of the requests of each second."""
    seconds: defaultdict[int, Counter[str]] = defaultdict(Counter)
    first = min(one.at for one in seen)
    for one in seen:
        word = "turned away" if one.status == 503 else "served" if one.status else "neither"
        seconds[int(one.at - first)][word] += 1
    print(f"{title}\n\n| second | served | turned away | neither |\n|---|---|---|---|")
    for second in sorted(seconds)[: int(SECONDS)]:
        count = seconds[second]
        print(f"| {second} | {count['served']} | {count['turned away']} | {count['neither']} |")
    print()


def main() -> None:
    """Print the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=2000.0)
    rate = parser.parse_args().rate
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        until = BEFORE + BUSY
        told(
            f"{rate:.0f} a second in bunches; others have the cores from {BEFORE:g} to {until:g} s",
            busy_machine(Path(one), rate),
        )
        told(
            f"Clients that ask again at once; {MORE + 1} times as many from {BEFORE:g} s on",
            asking_again(Path(other)),
        )


if __name__ == "__main__":
    main()
