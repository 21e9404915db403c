"""`python -m tests.peers`: the guard and its peers, installed and measured side by side."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from tests.evaluate import readme
from tests.evaluate.sets import ROOT
from tests.peers import in_process, proxies
from tests.peers.catalogue import IN_PROCESS, PROXIES
from tests.peers.environments import BUILD
from tests.peers.figures import Results
from tests.peers.plot import picture
from tests.peers.table import page

#: The markers in README.md, and the picture that stands beside the table.
NAME = "peers"
PICTURE = ROOT / "examples" / "bench" / "peers.svg"
#: Turns in process for each round of proxies: they take a tenth of a second, not ten.
TURNS = 3
RESULTS = BUILD / "results.json"


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """What is asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.peers", description=__doc__)
    parser.add_argument(
        "--only", nargs="+", default=(), metavar="WORD", help="peers with one of these in the name"
    )
    parser.add_argument(
        "--part", choices=("in-process", "proxies"), help="only middlewares, or only proxies"
    )
    parser.add_argument("--rounds", type=int, default=5, help="default: %(default)s")
    parser.add_argument(
        "--readme", action="store_true", help="write table and picture to README.md and examples"
    )
    parser.add_argument(
        "--again", action="store_true", help="measure nothing: the results of the last whole run"
    )
    asked = parser.parse_args(words)
    if asked.rounds < 1:
        parser.error("--rounds must be at least 1")
    if asked.readme and (asked.only or asked.part):
        parser.error("--readme goes with a whole comparison only")
    return asked


def machine(cpuinfo: str, processors: int | None) -> str:
    """The machine in a few words."""
    models = [line for line in cpuinfo.splitlines() if line.startswith("model name")]
    model = models[0].partition(":")[2].strip() if models else platform.machine()
    return f"{processors or 1} processors ({model}), Python {platform.python_version()}"


def say(text: str) -> None:
    """Progress, beside the table."""
    print(text, file=sys.stderr, flush=True)


def compare(asked: argparse.Namespace) -> Results:
    """Measure what is asked for."""
    # Not at the top: benchmarks are not everywhere these files are tested.
    from tests.bench.bench_middleware import body

    def chosen(name: str) -> bool:
        return not asked.only or any(word in name for word in asked.only)

    found = Results(
        state=readme.state(), machine=machine(Path("/proc/cpuinfo").read_text(), os.cpu_count())
    )
    if asked.part != "proxies":
        peers = [peer for peer in IN_PROCESS if chosen(peer.name)]
        bodies = [body(turn) for turn in range(400)]
        rows = in_process.measure(peers, bodies, asked.rounds * TURNS, say)
        found = msgspec.structs.replace(found, in_process=rows)
    if asked.part != "in-process":
        servers = [proxy for proxy in PROXIES if chosen(proxy.name)]
        rows = proxies.measure(servers, asked.rounds, say)
        found = msgspec.structs.replace(found, proxies=rows)
    return found


def main(words: Sequence[str] | None = None) -> None:
    """Measure, print, and write where that is asked for."""
    asked = arguments(words)
    if asked.again:
        results = msgspec.json.decode(RESULTS.read_bytes(), type=Results)
    else:
        results = compare(asked)
        if not (asked.only or asked.part):
            RESULTS.write_bytes(msgspec.json.encode(results))
    print(page(results))
    if asked.readme:
        PICTURE.parent.mkdir(exist_ok=True)
        PICTURE.write_text(picture(results), "utf-8")
        readme.write(page(results), name=NAME)


if __name__ == "__main__":
    main()
