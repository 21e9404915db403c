"""`gateway-guard demo`: a mock model API, the real sidecar before it, a minute of mixed traffic."""

from __future__ import annotations

import asyncio
import importlib
import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, Final

import httpx
import msgspec
import typer

from gateway_guard.campaigns.report import report_of
from gateway_guard.cli.campaign_text import print_case
from gateway_guard.cli.casefile import opened
from gateway_guard.cli.output import console
from gateway_guard.cli.processes import Children, listener
from gateway_guard.cli.replay import REPLAY_SECRET
from gateway_guard.cli.scratch import scratch
from gateway_guard.cli.screen import COLOURS, Answers, Decisions, print_summary, watch
from gateway_guard.cli.traffic import Malformed, Recorded, Traffic
from gateway_guard.cli.tree import print_tree
from gateway_guard.core.explain import explain_tree
from gateway_guard.errors import SourceError, UpstreamError
from gateway_guard.policy.compile import compile_policy
from gateway_guard.record.read import exchange_of

#: Length of the recorded minute, seconds.
RECORDED: Final = 60.0

#: Where the demonstration's policy lies in its directory: as the one it is made from.
POLICY: Final = "policies/standard.yaml"

#: What `standard.yaml` offers as a comment and the demonstration switches on, line by line, so that
#: every rule stays on its line: the proxy whose X-Forwarded-For is believed, and one embargo.
_SWITCHED_ON: Final = {
    "  # trusted_proxies: [10.0.0.0/8]": "  trusted_proxies: [127.0.0.1/32]",
    "# regions:": "regions:",
    "#   embargoed: [CU, IR, KP, SY]": "  embargoed: [CU, IR, KP, SY]",
    "  # - name: embargo": "  - name: embargo",
    "  #   why: export control": "    why: export control",
    "  #   when: { country: embargoed }": "    when: { country: embargoed }",
    "  #   then: deny": "    then: deny",
    "  #   status: 451": "    status: 451",
}

#: What is added at its end, where the rules are: a minute is too short for the risk that
#: `standard.yaml` waits for, and what restricting does should be seen.
_ADDED: Final = """
  - name: demo-harvesting
    why: only in the demonstration, whose minute is short
    when: { risk: { min: 0.35 } }
    then: restrict
    with: { max_output_tokens: 64, logprobs: false, n: 1 }
"""

#: Serves the mock on a socket this process opened: no port can be taken in between.
_MOCK: Final = """
import socket, sys
sys.path.insert(0, sys.argv[1])
import uvicorn
from mock_upstream import MockUpstream
mock = MockUpstream(latency=0.05, interval=0.005)
server = uvicorn.Server(uvicorn.Config(mock, log_level="warning", timeout_keep_alive=75))
server.run(sockets=[socket.socket(fileno=int(sys.argv[2]))])
"""

#: Keys digests alike in every demonstration, so that the campaign commands read what it saved.
_SIDECAR: Final = """
import os, sys
os.environ.pop("GATEWAY_GUARD_SECRET_FILE", None)
os.environ["GATEWAY_GUARD_SECRET"] = sys.argv.pop(1)
from gateway_guard.cli import main
main()
"""

#: Requests under way at once. Where the machine cannot keep the pace the rest wait here, for as
#: long as it takes, and not in the client's pool, which gives up on them.
AT_ONCE: Final = 64

#: Seconds between two pieces of an answer, and in which a connection must be made.
_PATIENCE: Final = 60.0

#: What the sidecar learnt of campaigns, in the demonstration's directory.
_CAMPAIGNS: Final = "campaigns"


def demo_policy(standard: str) -> str:
    """`standard.yaml` for the demonstration: its own examples on, a rule at its end, no line moved.

    Raises:
        SourceError: the standard policy no longer has one of the lines this changes.
    """
    waiting = dict(_SWITCHED_ON)
    lines = [waiting.pop(line, line) for line in standard.splitlines()]
    if waiting:
        raise SourceError(f"{POLICY}: no line {next(iter(waiting))!r} to switch on")
    return "\n".join(lines) + "\n" + _ADDED


class Material:
    """The files of a demonstration: beside the package in a checkout, inside it in a wheel.

    Raises:
        SourceError: neither place has them.
    """

    def __init__(self, root: Path | None = None) -> None:
        package = Path(__file__).resolve().parent.parent
        places = [root] if root is not None else [package / "data" / "demo", package.parent]
        for place in places:
            self.examples, self.policy = place / "examples", place / POLICY
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
        policy = directory / POLICY
        policy.parent.mkdir()
        policy.write_text(demo_policy(self.policy.read_text("utf-8")), "utf-8")
        start = self.exchanges()[0].at
        with (directory / "accounts.jsonl").open("wb") as out:
            for line in (self.examples / "accounts.jsonl").read_bytes().splitlines():
                account: dict[str, Any] = msgspec.json.decode(line)
                account["created_at"] += now - start
                out.write(msgspec.json.encode(account) + b"\n")


async def send_all(exchanges: list[Recorded], url: str, seconds: float, answers: Answers) -> None:
    """Send every exchange over HTTP at its recorded moment, the minute squeezed into `seconds`.

    A machine too slow for that takes longer. Returns when every answer has come, or failed.
    """
    loop = asyncio.get_running_loop()
    start, first, speed = loop.time(), exchanges[0].at, RECORDED / seconds
    limits = httpx.Limits(max_connections=AT_ONCE, max_keepalive_connections=AT_ONCE)
    patience = httpx.Timeout(_PATIENCE, pool=None)
    free = asyncio.Semaphore(AT_ONCE)
    # Not through a proxy the environment names: the sidecar is on this machine.
    async with httpx.AsyncClient(
        base_url=url, limits=limits, timeout=patience, trust_env=False
    ) as client:
        tasks: set[asyncio.Task[None]] = set()

        def ended(task: asyncio.Task[None]) -> None:
            tasks.discard(task)
            free.release()

        for line in exchanges:
            wait = start + (line.at - first) / speed - loop.time()
            if wait > 0:
                await asyncio.sleep(wait)
            await free.acquire()
            task = asyncio.create_task(_send(client, line, answers))
            tasks.add(task)
            task.add_done_callback(ended)
        # To the end: closing the client would break off what is under way.
        if tasks:
            await asyncio.wait(tasks)


async def _send(client: httpx.AsyncClient, line: Recorded, answers: Answers) -> None:
    headers = {**dict(line.headers), "content-type": "application/json"}
    if line.client_ip is not None:
        headers["x-forwarded-for"] = line.client_ip
    if line.account is not None:
        name = "x-api-key" if line.path == "/v1/messages" else "authorization"
        headers[name] = line.account if name == "x-api-key" else f"Bearer {line.account}"
    try:
        async with client.stream(
            line.method, line.path, content=line.body, headers=headers
        ) as response:
            async for _ in response.aiter_raw():
                continue
        answers.add(line.account, str(response.status_code))
    except httpx.HTTPError as error:
        answers.add(line.account, type(error).__name__)


async def _run(material: Material, directory: Path, seconds: float, forever: bool) -> None:
    main = asyncio.current_task()
    if main is not None:
        # In the loop's own time: raised wherever the signal finds it, an exception may get lost.
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, main.cancel)
    out = console()
    material.write(directory, time.time())
    log = directory / "decisions.jsonl"
    async with Children(directory) as children:
        with listener() as kept:
            mock = f"http://127.0.0.1:{kept.getsockname()[1]}"
            number = str(kept.fileno())
            children.start("mock", "-c", _MOCK, str(material.examples), number, keep=[kept])
        children.start(
            "sidecar", "-c", _SIDECAR, REPLAY_SECRET.decode(), "serve", f"--policy={POLICY}",
            f"--upstream={mock}", "--port=0", "--admin-port=0", f"--decision-log={log}",
            "--accounts=accounts.jsonl", f"--campaigns-file={_CAMPAIGNS}", "--log-level=warning",
        )  # fmt: skip
        (url,) = await children.printed("sidecar", r"listens on (http://[\d.:]+)")
        (admin,) = await children.printed("sidecar", r"admin on (http://[\d.:]+)")
        await children.until_ready(f"{mock}/v1/models", f"{admin}/readyz")
        out.print(f"mock model API  {mock}")
        out.print(f"sidecar         {url}  {POLICY} and 2 rules more")
        out.print(f"admin           {admin}/metrics  /healthz  /readyz")
        out.print(f"dashboard       {admin}/dashboard\n")
        answers, decisions, done = Answers(), Decisions(log), asyncio.Event()
        started = time.monotonic()
        watcher = asyncio.create_task(watch(decisions, seconds, out, done))
        try:
            await send_all(material.exchanges(), url, seconds, answers)
        finally:
            done.set()
            await watcher
        took = time.monotonic() - started
        await _settled(decisions, answers.sent)
        print_summary(answers, decisions, took, out)
        if answers.failed:
            raise UpstreamError(f"{answers.failed:,} of {answers.sent:,} requests got no answer")
        _print_reason(decisions, directory)
        if not forever:
            # It saves what it learnt as it ends.
            await children.stop("sidecar")
            _print_campaigns(directory / _CAMPAIGNS)
        _print_next(material, forever)
        if forever:
            out.print(
                f"\nCampaigns, saved once a minute: "
                f"gateway-guard campaign list --file {directory / _CAMPAIGNS}",
                soft_wrap=True,
            )
            out.print(f"\nStays up: {url} and {admin}/dashboard; stop with Ctrl-C")
            await children.wait()


async def _settled(decisions: Decisions, sent: int) -> None:
    """Read the log until it holds every decision; it is written a few times a second."""
    for _ in range(300):
        decisions.read()
        if sum(decisions.actions.values()) >= sent:
            return
        await asyncio.sleep(0.1)


def _print_reason(decisions: Decisions, directory: Path) -> None:
    if not decisions.telling:
        return
    exchange = exchange_of(decisions.telling)
    policy = compile_policy((directory / POLICY).read_bytes(), POLICY)
    out = console()
    out.print("\nThe riskiest of those not allowed, explained from the sidecar's decision log:\n")
    word = exchange.decision.action.word
    print_tree(explain_tree(exchange, policy), out, word=word, colour=COLOURS[word])


def _print_campaigns(file: Path) -> None:
    case, out = opened(file), console()
    for campaign in case.linker.campaigns():
        out.print("\nAccounts that acted as one, as `gateway-guard campaign show` has it:\n")
        print_case(report_of(case.linker, campaign.id), out)


def _print_next(material: Material, forever: bool) -> None:
    command, here = Path(sys.argv[0]), Path.cwd()
    name = str(command) if not command.is_absolute() and command.is_file() else "gateway-guard"
    policy, examples = (
        path.relative_to(here) if path.is_relative_to(here) else path
        for path in (material.policy.resolve(), material.examples.resolve())
    )
    out = console()
    out.print("\nTry next:")
    out.print(f"  {name} explain -p {policy} {examples}/requests/sweep.json", soft_wrap=True)
    out.print(f"  {name} signal template-sweep", soft_wrap=True)
    out.print(f"  {name} lookup 185.220.101.1", soft_wrap=True)
    out.print(f"  {name} serve -p {policy} --upstream http://YOUR-MODEL-API", soft_wrap=True)
    if not forever:
        out.print(f"  {name} demo --forever     keeps it up for your own requests", soft_wrap=True)


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
        # Before anything starts: the servers are other processes, which could only fail.
        importlib.import_module("uvicorn")
        material = Material(root)
        signal.signal(signal.SIGTERM, _interrupt)
        with scratch("gateway-guard-demo-") as name:
            try:
                asyncio.run(_run(material, Path(name), seconds, forever))
            except asyncio.CancelledError:
                raise KeyboardInterrupt from None


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    # As Ctrl-C: so that the children are stopped and the directory is removed.
    raise KeyboardInterrupt
