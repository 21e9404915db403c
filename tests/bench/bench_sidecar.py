"""CPU of the sidecar per request and per stream, beside nginx in the same run.

    python -m tests.bench.bench_sidecar [--policy policies/standard.yaml] [--rounds 5]

CPU is user + system time of the proxy's process, so the load generator and the upstream cost
nothing here. Rounds are interleaved and the median is printed, as the machine is shared. Needs
Linux and Debian's nginx. Where redis-server is installed, a third target counts its limits there
and shares what it learns with other guards; of it is also said how much of the throughput of one
core is left, in the middle and at worst and at best of the rounds. `python -m tests.peers` has the
other proxies.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import statistics
import sys
import tempfile
from pathlib import Path

import uvloop

from tests import servers
from tests.e2e.servers import Sidecar
from tests.peers import processes
from tests.peers.catalogue import PROXIES
from tests.peers.environments import CannotInstallError
from tests.peers.load import FailedError, Load
from tests.peers.proxies import EVENTS, SECONDS, Running
from tests.peers.upstream import Upstream


async def measure(
    targets: dict[str, tuple[int, int]], rounds: int
) -> dict[str, tuple[list[float], list[float]]]:
    """Per target (µs per request, µs per stream) of each round; a target is its port and process.

    Raises:
        SystemExit: a request was not answered as it should be.
    """
    out: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in targets}
    loads = {name: Load(port) for name, (port, _) in targets.items()}
    for turn in range(rounds + 1):
        for name, (_, pid) in targets.items():
            load = loads[name]
            pids = processes.tree(pid)
            spent = [processes.cpu(pids)]
            try:
                count = await load.requests(SECONDS)
                spent.append(processes.cpu(pids))
                events = await load.streams(EVENTS)
                spent.append(processes.cpu(pids))
            except (FailedError, TimeoutError) as error:
                raise SystemExit(f"{name}: {error!r}") from None
            if turn:  # the first round warms up
                out[name][0].append(1e6 * (spent[1] - spent[0]) / count)
                out[name][1].append(1e6 * (spent[2] - spent[1]) / events * EVENTS)
    return out


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--policy", default="policies/standard.yaml")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    uvloop.run(_run(Path(arguments.policy).read_text(), arguments.rounds))


async def _run(policy: str, rounds: int) -> None:
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", 0)
    upstream = server.sockets[0].getsockname()[1]
    nginx = next(proxy for proxy in PROXIES if proxy.name == "nginx")
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        try:
            beside = Running(nginx, upstream, folder, None)
        except CannotInstallError:
            sys.exit("nginx is not installed: apt-get install nginx-light")
        stack.enter_context(beside.child)
        await beside.ready()
        url = f"http://127.0.0.1:{upstream}"
        sidecar = stack.enter_context(Sidecar(folder, url, policy=policy))
        targets = {
            "nginx": (beside.port, beside.child.process.pid),
            "sidecar": (sidecar.port, sidecar.process.pid),
        }
        if servers.REDIS is not None:
            redis = stack.enter_context(servers.Server())
            flags = ("--store", f"redis://127.0.0.1:{redis.port}")
            # What is measured is work: a machine that is busy elsewhere, so that the answer is
            # late, must not turn it into refusals.
            os.environ["GATEWAY_GUARD_STORE_BUDGET"] = "5000"
            shared = stack.enter_context(Sidecar(folder, url, *flags, policy=policy))
            targets["with store"] = shared.port, shared.process.pid
        _print(await measure(targets, rounds))


def _print(found: dict[str, tuple[list[float], list[float]]]) -> None:
    print(f"{'':12}{'µs/request':>12}{'ratio':>8}{'µs/stream':>12}{'ratio':>8}")
    base = [statistics.median(kind) for kind in found["nginx"]]
    for name, kinds in found.items():
        plain, stream = (statistics.median(kind) for kind in kinds)
        print(f"{name:12}{plain:12.0f}{plain / base[0]:8.1f}{stream:12.0f}{stream / base[1]:8.2f}")
    if "with store" in found:
        for what, alone, shared in zip(
            ("requests", "streams"), found["sidecar"], found["with store"], strict=True
        ):
            left = sorted(100.0 * one / other for one, other in zip(alone, shared, strict=True))
            print(
                f"{what} per second of CPU with store: {statistics.median(left):.0f} % of those "
                f"without ({left[0]:.0f} to {left[-1]:.0f} % in {len(left)} rounds)"
            )


if __name__ == "__main__":
    main()
