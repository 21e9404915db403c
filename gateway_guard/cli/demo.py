"""`gateway-guard demo`: a mock model API, the real sidecar before it, a minute of mixed traffic."""

from __future__ import annotations

import asyncio
import signal
import tempfile
import time
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, Final

import httpx
import msgspec
import typer
from rich.live import Live
from rich.table import Table

from gateway_guard.accounts.file import FileDirectory
from gateway_guard.cli.output import console
from gateway_guard.cli.processes import Children, free_port
from gateway_guard.cli.replay import REPLAY_SECRET, Judge
from gateway_guard.cli.traffic import Malformed, Recorded, Traffic
from gateway_guard.core.explain import explain_tree
from gateway_guard.errors import SourceError
from gateway_guard.network.database import NetworkDatabase
from gateway_guard.types import Exchange

#: Length of the recorded minute, seconds.
RECORDED: Final = 60.0

_EMBARGO: Final = """
  # The demonstration refuses one country, to show how that looks.
  - name: demo-embargo
    when: { country: [KP] }
    then: deny
    status: 451
"""


def demo_policy(standard: str) -> str:
    """`standard.yaml` for the demonstration: it believes the load generator's X-Forwarded-For.

    Raises:
        SourceError: the standard policy no longer has the lines this changes.
    """
    out, changed = [], set()
    for line in standard.splitlines():
        if line.lstrip().startswith("# trusted_proxies:"):
            line = "  trusted_proxies: [127.0.0.1/32]"  # noqa: PLW2901
            changed.add("trusted_proxies")
        out.append(line)
        if line.startswith("rules:"):
            out.extend(_EMBARGO.splitlines()[1:])
            changed.add("rules")
    if changed != {"trusted_proxies", "rules"}:
        raise SourceError("policies/standard.yaml: no '# trusted_proxies:' or no 'rules:' line")
    return "\n".join(out) + "\n"


class Material:
    """The files of a demonstration: beside the package in a checkout, inside it in a wheel.

    Raises:
        SourceError: neither place has them.
    """

    def __init__(self, root: Path | None = None) -> None:
        package = Path(__file__).resolve().parent.parent
        places = [root] if root is not None else [package / "data" / "demo", package.parent]
        for place in places:
            self.examples, self.policy = place / "examples", place / "policies" / "standard.yaml"
            if (self.examples / "traffic.jsonl.gz").is_file() and self.policy.is_file():
                return
        raise SourceError(
            "the examples are not here; run `make demo` in a checkout, or name one with --root"
        )

    def exchanges(self) -> list[Recorded]:
        """The recorded minute, sorted by time."""
        traffic = Traffic(self.examples / "traffic.jsonl.gz")
        try:
            exchanges = list(traffic)
        finally:
            traffic.close()
        good = [line for line in exchanges if not isinstance(line, Malformed)]
        if len(good) != len(exchanges):
            raise SourceError("examples/traffic.jsonl.gz: a line is no exchange")
        return good

    def write(self, directory: Path, now: float) -> None:
        """Policy and accounts for a demonstration that starts at `now`, Unix seconds."""
        policy = demo_policy(self.policy.read_text("utf-8"))
        (directory / "demo.yaml").write_text(policy, "utf-8")
        start = self.exchanges()[0].at
        with (directory / "accounts.jsonl").open("wb") as out:
            for line in (self.examples / "accounts.jsonl").read_bytes().splitlines():
                account: dict[str, Any] = msgspec.json.decode(line)
                account["created_at"] += now - start
                out.write(msgspec.json.encode(account) + b"\n")


class Answers:
    """What clients were told: account's role → status → count."""

    def __init__(self) -> None:
        self.roles: dict[str, Counter[str]] = {}
        self.sent = 0

    def add(self, account: str | None, status: str) -> None:
        """Count one answer."""
        role = account.rpartition("-")[0] if account else "no credential"
        self.roles.setdefault(role, Counter())[status] += 1
        self.sent += 1


async def send_all(exchanges: list[Recorded], url: str, seconds: float, answers: Answers) -> None:
    """Send every exchange over HTTP at its recorded moment, the minute squeezed into `seconds`."""
    loop = asyncio.get_running_loop()
    start, first, speed = loop.time(), exchanges[0].at, RECORDED / seconds
    limits = httpx.Limits(max_connections=64, max_keepalive_connections=64)
    async with httpx.AsyncClient(base_url=url, limits=limits, timeout=30.0) as client:
        tasks = set()
        for line in exchanges:
            wait = start + (line.at - first) / speed - loop.time()
            if wait > 0:
                await asyncio.sleep(wait)
            task = asyncio.create_task(_send(client, line, answers))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        if tasks:
            await asyncio.wait(tasks, timeout=35.0)


async def _send(client: httpx.AsyncClient, line: Recorded, answers: Answers) -> None:
    headers = {**line.headers, "content-type": "application/json"}
    if line.client_ip is not None:
        headers["x-forwarded-for"] = line.client_ip
    if line.account is not None:
        name = "x-api-key" if line.path == "/v1/messages" else "authorization"
        headers[name] = line.account if name == "x-api-key" else f"Bearer {line.account}"
    try:
        async with client.stream(
            line.method, line.path, content=bytes(line.body), headers=headers
        ) as response:
            async for _ in response.aiter_raw():
                continue
        answers.add(line.account, str(response.status_code))
    except httpx.HTTPError as error:
        answers.add(line.account, type(error).__name__)


class Decisions:
    """The sidecar's decision log, read as it grows."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self.last: list[dict[str, Any]] = []
        self.actions: Counter[str] = Counter()
        self.rules: Counter[tuple[str, str]] = Counter()

    def read(self) -> list[dict[str, Any]]:
        """The decisions written since the last call."""
        if not self._path.exists():
            return []
        with self._path.open("rb") as file:
            file.seek(self._offset)
            text = file.read()
        whole = text[: text.rfind(b"\n") + 1]
        self._offset += len(whole)
        fresh = [msgspec.json.decode(line) for line in whole.splitlines()]
        for decision in fresh:
            self.actions[decision["action"]] += 1
            self.rules[decision.get("rule", "default"), decision["action"]] += 1
        self.last = (self.last + fresh)[-12:]
        return fresh


async def _watch(decisions: Decisions, started: float, done: asyncio.Event) -> None:
    """Show decisions until `done`: a live table on a terminal, else a line a second."""
    out = console()
    if out.is_terminal:
        with Live(console=out, refresh_per_second=8, transient=True) as live:
            while not done.is_set():
                decisions.read()
                live.update(_live(decisions, time.monotonic() - started))
                await _pause(done, 0.2)
        return
    seen: set[tuple[str, str]] = set()
    while not done.is_set():
        for one in decisions.read():
            what = (one.get("rule", "default"), one["action"])
            if what not in seen:
                seen.add(what)
                out.print(f"  first {_sentence(one)}")
        if seen:
            counts = "  ".join(f"{word} {n:,}" for word, n in decisions.actions.most_common())
            out.print(f"{time.monotonic() - started:4.0f} s  {counts}")
        await _pause(done, 5.0 if seen else 0.5)


async def _pause(done: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await done.wait()
    except TimeoutError:
        return


def _sentence(one: dict[str, Any]) -> str:
    place = " ".join([one.get("country", "unknown"), *one.get("network", [])])
    status = f" {one['status']}" if "status" in one else ""
    rule = one.get("rule", "default")
    return f"{one['action']}{status}  {rule}  {place}  risk {one['risk']:.2f}"


def _live(decisions: Decisions, elapsed: float) -> Table:
    counts = "  ".join(f"{word} {count:,}" for word, count in decisions.actions.most_common())
    table = Table(title=f"{elapsed:.0f} s   {counts}", title_justify="left", expand=True)
    for name in ("action", "rule", "account", "from", "risk"):
        table.add_column(name, no_wrap=True)
    for one in decisions.last:
        place = " ".join([one.get("country", "unknown"), *one.get("network", [])])
        account = one.get("account", "none")[:14]
        colour = "green" if one["action"] == "allow" else "red"
        table.add_row(
            f"[{colour}]{one['action']}[/]", one.get("rule", "default"), account, place,
            f"{one['risk']:.2f}",
        )  # fmt: skip
    return table


def example(material: Material, directory: Path) -> list[str]:
    """Why the harvester was stopped: the same traffic through the same guard, in this process."""
    judge = Judge(
        directory / "demo.yaml",
        FileDirectory(material.examples / "accounts.jsonl", secret=REPLAY_SECRET),
        NetworkDatabase.bundled(),
    )
    chosen: Exchange | None = None
    for line in material.exchanges():
        exchange = judge.judge(judge.identify(line), line)
        if chosen is None or _telling(exchange) > _telling(chosen):
            chosen = exchange
    return [] if chosen is None else explain_tree(chosen, judge.guard.policy)


def _telling(exchange: Exchange) -> tuple[bool, float]:
    return exchange.decision.action.refuses, exchange.assessment.risk


def _summary(answers: Answers, decisions: Decisions, seconds: float) -> None:
    out = console()
    decided = sum(decisions.actions.values())
    out.print(f"\n{answers.sent:,} requests sent in {seconds:.0f} s, {decided:,} decided")
    table = Table(box=None, pad_edge=False)
    for name in ("who", "sent", "answered", "refused", "with"):
        table.add_column(name, justify="left" if name in ("who", "with") else "right")
    for role, counts in answers.roles.items():
        refused = Counter({s: n for s, n in counts.items() if not s.startswith("2")})
        reasons = ", ".join(f"{status} × {n:,}" for status, n in sorted(refused.items()))
        total = counts.total()
        done = total - refused.total()
        table.add_row(role, f"{total:,}", f"{done:,}", f"{refused.total():,}", reasons)
    out.print(table)
    table = Table(box=None, pad_edge=False)
    for name in ("rule", "action", "requests"):
        table.add_column(name, justify="right" if name == "requests" else "left")
    for (rule, action), count in decisions.rules.most_common():
        table.add_row(rule, action, f"{count:,}")
    out.print()
    out.print(table)


async def _run(material: Material, directory: Path, seconds: float, forever: bool) -> None:
    out = console()
    ports = [free_port() for _ in range(3)]
    url, admin = f"http://127.0.0.1:{ports[1]}", f"http://127.0.0.1:{ports[2]}"
    material.write(directory, time.time())
    log = directory / "decisions.jsonl"
    async with Children(directory) as children:
        children.start(
            "mock", str(material.examples / "mock_upstream.py"),
            f"--port={ports[0]}", "--latency=0.05", "--interval=0.005",
        )  # fmt: skip
        children.start(
            "sidecar", "-m", "gateway_guard.cli", "serve",
            f"--policy={directory / 'demo.yaml'}", f"--upstream=http://127.0.0.1:{ports[0]}",
            f"--port={ports[1]}", f"--admin-port={ports[2]}", f"--decision-log={log}",
            f"--accounts={directory / 'accounts.jsonl'}", "--log-level=warning",
        )  # fmt: skip
        await children.until_ready(f"http://127.0.0.1:{ports[0]}/v1/models", f"{admin}/readyz")
        out.print(f"mock model API  http://127.0.0.1:{ports[0]}")
        out.print(f"sidecar         {url}  with policies/standard.yaml and one embargo")
        out.print(f"admin           {admin}/metrics  /healthz  /readyz\n")
        answers, decisions, done = Answers(), Decisions(log), asyncio.Event()
        started = time.monotonic()
        watcher = asyncio.create_task(_watch(decisions, started, done))
        try:
            await send_all(material.exchanges(), url, seconds, answers)
        finally:
            done.set()
            await watcher
        took = time.monotonic() - started
        await asyncio.sleep(0.5)  # the log writes a few times a second
        decisions.read()
        _summary(answers, decisions, took)
        tree = example(material, directory)
        out.print("\nWhy the riskiest refused request was refused (the same traffic, replayed):")
        for line in tree:
            out.print(line, markup=False)
        if forever:
            out.print(f"\nStays up: {url} and {admin}/metrics; stop with Ctrl-C")
            await children.wait()


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""

    @app.command("demo")
    def command(
        seconds: Annotated[
            float,
            typer.Option("--seconds", min=1.0, max=600.0, envvar="DEMO_SECONDS", help="Length."),
        ] = RECORDED,
        forever: Annotated[
            bool, typer.Option("--forever", envvar="DEMO_FOREVER", help="Stay up afterwards.")
        ] = False,
        root: Annotated[
            Path | None, typer.Option("--root", help="A checkout with examples/ and policies/.")
        ] = None,
    ) -> None:
        """Guard a mock model API for a minute of mixed traffic, and show every kind of decision."""
        material = Material(root)
        signal.signal(signal.SIGTERM, _interrupt)
        with tempfile.TemporaryDirectory(prefix="gateway-guard-demo-") as name:
            asyncio.run(_run(material, Path(name), seconds, forever))


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    # As Ctrl-C: so that the children are stopped and the directory is removed.
    raise KeyboardInterrupt
