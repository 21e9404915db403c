"""Two sidecars that act as one guard, as plain processes: what `compose.yaml` starts in containers.

    python examples/cluster/run.py                     start everything, drive a load, say what held
    python examples/cluster/run.py accounts FILE       write what is known of the load's accounts
    python examples/cluster/run.py load URL URL        drive the load over guards that run already

It needs redis-server or valkey-server, and `pip install '.[sidecar,redis]'` in the checkout.
Everything listens on loopback or a socket file in a temporary directory, and ends with the script.
The exit status is 0 when all that is promised held:

  - a burst of 60 over both sidecars admits exactly the 40 of the limit;
  - so do 60 requests in the middle of which one sidecar is killed (SIGKILL) and started again;
  - 24 accounts that act as one, spread over both sidecars, are refused by both soon after;
  - nobody else is refused.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path

import httpx

HERE = Path(__file__).resolve().parent
POLICY = HERE / "policy.yaml"
MOCK = HERE.parent / "mock_upstream.py"

LIMIT = 40
ASKED = 60
MEMBERS = 24
OTHERS = 60
ROUNDS = 8
#: Seconds anything may take to become ready.
PATIENCE = 60.0


def accounts() -> Iterator[dict[str, object]]:
    """What the operator knows: members share three cards and signed up within minutes."""
    now = time.time()
    for number in range(MEMBERS):
        yield {
            "account": f"sk-member-{number}",
            "organisation": f"o-member-{number}",
            "payment": f"card-{number % 3}",
            "created_at": now - 5 * 3600 + 20 * number,
            "country": "US",
            "verified": False,
        }
    for number in range(OTHERS):
        yield {
            "account": f"sk-other-{number}",
            "organisation": f"o-other-{number}",
            "payment": f"own-{number}",
            "created_at": now - (9 + number) * 86400,
            "country": "NO",
            "verified": True,
        }


def write_accounts(path: Path) -> None:
    """`accounts` as JSON lines."""
    path.write_text("".join(json.dumps(one) + "\n" for one in accounts()), "utf-8")


class Load:
    """Clients that send every second request to the other sidecar, and go to whoever answers."""

    def __init__(self, client: httpx.AsyncClient, urls: Sequence[str]) -> None:
        self._client = client
        self.urls = urls
        self.broken = 0

    async def ask(self, key: str, address: str, turn: int, *, only: bool = False) -> int:
        """The status of one chat."""
        body = {
            "model": "mock-large",
            "messages": [{"role": "user", "content": f"Question {turn} of {key}: what is next?"}],
        }
        headers = {"authorization": f"Bearer {key}", "x-forwarded-for": address}
        urls = self.urls[turn % 2 :] + self.urls[: turn % 2]
        for url in urls[:1] if only else urls:
            try:
                answer = await self._client.post(
                    f"{url}/v1/chat/completions", json=body, headers=headers
                )
            except httpx.TransportError:
                # What a load balancer does. The request may have been counted before it broke.
                self.broken += 1
                continue
            return answer.status_code
        return 0

    async def burst(self, key: str, count: int, start: int = 0) -> int:
        """How many of `count` requests at once are admitted."""
        answers = await asyncio.gather(
            *(self.ask(key, "192.0.2.1", start + turn) for turn in range(count))
        )
        return answers.count(200)

    async def round(self, turn: int) -> Counter[tuple[str, int]]:
        """One exchange of everybody: (who, status) → how often."""
        seen: Counter[tuple[str, int]] = Counter()
        for first in range(0, OTHERS, 12):
            some = range(first * MEMBERS // OTHERS, (first + 12) * MEMBERS // OTHERS)
            names = [(n, f"sk-member-{n}", f"198.18.{(n + turn) % 8}.{n}") for n in some]
            names += [(n, f"sk-other-{n}", f"198.19.{n}.7") for n in range(first, first + 12)]
            answers = await asyncio.gather(
                *(self.ask(key, address, turn + n) for n, key, address in names)
            )
            seen.update((key.split("-")[1], status) for (_, key, _), status in
                        zip(names, answers, strict=True))  # fmt: skip
        return seen

    async def refused(self) -> list[list[int]]:
        """The statuses each sidecar gives the members."""
        return [
            await asyncio.gather(
                *(self.ask(f"sk-member-{n}", f"198.18.{n % 8}.{n}", side, only=True)
                  for n in range(MEMBERS))
            )
            for side in range(2)
        ]  # fmt: skip


async def drive(urls: Sequence[str], disturb: Callable[[], Awaitable[float]] | None) -> bool:
    """Send the load, print what came of it; whether everything held.

    `disturb` kills one sidecar and starts it again; it returns how long that took, seconds.
    """
    limits = httpx.Limits(max_connections=64, max_keepalive_connections=0)
    async with httpx.AsyncClient(timeout=20.0, trust_env=False, limits=limits) as client:
        load = Load(client, urls)
        held = []

        def say(kept: bool, text: str) -> None:
            held.append(kept)
            print(("ok    " if kept else "FAIL  ") + text, flush=True)

        # Keys of their own each time: the limit is for a day.
        tag = secrets.token_hex(4)
        admitted = await load.burst(f"sk-burst-{tag}", ASKED)
        say(admitted == LIMIT, f"a burst of {ASKED} over both sidecars: {admitted} admitted, "
                               f"the limit is {LIMIT}")  # fmt: skip
        before = await load.burst(f"sk-killed-{tag}", ASKED // 3)
        others: Counter[int] = Counter()
        members: Counter[int] = Counter()
        began = time.monotonic()
        contained_in = 0.0
        for turn in range(ROUNDS):
            work: list[Awaitable[object]] = [load.round(turn)]
            if turn == 1 and disturb is not None:
                work.append(disturb())
            seen, *rest = await asyncio.gather(*work)
            assert isinstance(seen, Counter)
            if rest:
                print(f"      one sidecar killed and started again within {rest[0]:.1f} s; "
                      f"{load.broken} requests sent to it went to the other")  # fmt: skip
            for (who, status), count in seen.items():
                (members if who == "member" else others)[status] += count
            if not contained_in and seen["member", 403] == MEMBERS:
                contained_in = time.monotonic() - began
        after = await load.burst(f"sk-killed-{tag}", ASKED - ASKED // 3, 1)
        say(before + after == LIMIT, f"the same over a kill: {before} admitted before it, {after} "
                                     f"after it")  # fmt: skip
        by_side = await load.refused()
        deadline = time.monotonic() + PATIENCE
        while any({*side} != {403} for side in by_side) and time.monotonic() < deadline:
            # A machine that does everything at once may still be learning.
            await asyncio.sleep(0.2)
            by_side = await load.refused()
        shown = " and ".join(f"{side.count(403)} of {MEMBERS}" for side in by_side)
        say(all(side.count(403) == MEMBERS for side in by_side),
            f"a campaign of {MEMBERS} accounts: {members[200]} exchanges answered, all refused "
            f"after {contained_in:.1f} s; now {shown} refused by each sidecar")  # fmt: skip
        say(set(others) == {200}, f"{OTHERS} other accounts: {others[200]} of "
                                  f"{others.total()} exchanges answered")  # fmt: skip
    return all(held)


class Cluster:
    """Redis, a model API, a linker and two sidecars, as child processes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._environment = {
            **os.environ,
            "GATEWAY_GUARD_SECRET": secrets.token_hex(16),
            # Exact figures on a machine that does everything at once; 50 ms is the default.
            "GATEWAY_GUARD_STORE_BUDGET": "2000",
            "GATEWAY_GUARD_STORE": f"redis+unix://{folder}/redis",
            "PYTHONUNBUFFERED": "1",
        }

    def start(self, name: str, *command: str) -> None:
        """Start a process; what it prints goes to a file."""
        with (self._folder / f"{name}.out").open("wb") as out:
            self._running[name] = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                cwd=self._folder, env=self._environment,
            )  # fmt: skip

    async def said(self, name: str, pattern: str) -> str:
        """The first group of `pattern` once `name` has printed it.

        Raises:
            RuntimeError: it ends, or does not within a minute; with what it printed.
        """
        deadline = time.monotonic() + PATIENCE
        while True:
            text = (self._folder / f"{name}.out").read_text("utf-8", "replace")
            found = re.search(pattern, text)
            if found is not None:
                return found[found.lastindex or 0]
            if self._running[name].poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{name} does not work:\n{text}")
            await asyncio.sleep(0.05)

    def kill(self, name: str) -> None:
        """As a power failure does."""
        self._running[name].send_signal(signal.SIGKILL)
        self._running[name].wait()

    def stop(self) -> None:
        """End everything, whoever uses something before it."""
        for process in reversed(self._running.values()):
            process.terminate()
            try:
                process.wait(10.0)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    async def sidecar(self, name: str, port: str = "0") -> str:
        """Start a sidecar; its URL once it serves."""
        self.start(
            name, sys.executable, "-m", "gateway_guard", "serve", "--policy", str(POLICY),
            "--upstream", f"unix:{self._folder}/upstream", "--port", port, "--admin-port", "-1",
            "--accounts", str(self._folder / "accounts.jsonl"),
        )  # fmt: skip
        url = await self.said(name, r"listens on (http://\S+),")
        await self.said(name, r"\bserving\b")
        return url

    async def up(self) -> list[str]:
        """Start everything; the sidecars' URLs.

        Raises:
            RuntimeError: something does not start; says what.
        """
        server = shutil.which("redis-server") or shutil.which("valkey-server")
        if server is None:
            raise RuntimeError("redis-server is not installed: apt-get install redis-server")
        write_accounts(self._folder / "accounts.jsonl")
        self.start("redis", server, "--port", "0", "--save", "", "--unixsocket", "redis",
                   "--dir", str(self._folder))  # fmt: skip
        await self.said("redis", "ready to accept|Ready to accept")
        self.start("upstream", sys.executable, "-m", "uvicorn", "--app-dir", str(MOCK.parent),
                   "--uds", f"{self._folder}/upstream", "mock_upstream:app")  # fmt: skip
        await self.said("upstream", "Application startup complete")
        self.start("linker", sys.executable, "-m", "gateway_guard", "linker", "--policy",
                   str(POLICY), "--campaigns-file", str(self._folder / "campaigns"))  # fmt: skip
        await self.said("linker", "caught up")
        return [await self.sidecar("sidecar-1"), await self.sidecar("sidecar-2")]


async def everything() -> bool:
    """Start it, drive the load, end it; whether everything held."""
    with tempfile.TemporaryDirectory(prefix="gg-cluster-") as folder:
        cluster = Cluster(Path(folder))
        try:
            urls = await cluster.up()
            print(f"      redis, a mock model API, a linker, sidecars {' '.join(urls)}", flush=True)

            async def disturb() -> float:
                await asyncio.sleep(0.1)
                cluster.kill("sidecar-2")
                began = time.monotonic()
                await cluster.sidecar("sidecar-2", urls[1].rpartition(":")[2])
                return time.monotonic() - began

            return await drive(urls, disturb)
        finally:
            cluster.stop()


def main(arguments: Sequence[str]) -> int:
    """The exit status."""
    match arguments:
        case []:
            return not asyncio.run(everything())
        case ["accounts", path]:
            write_accounts(Path(path))
            return 0
        case ["load", one, other]:
            return not asyncio.run(drive([one, other], None))
    print(__doc__)
    return 2


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except RuntimeError as error:
        print(error, file=sys.stderr)
        sys.exit(3)
