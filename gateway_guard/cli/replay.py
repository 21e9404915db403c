"""`gateway-guard replay`: what a policy would have done to recorded traffic."""

from __future__ import annotations

import ipaddress
import sys
import time
from collections.abc import Callable, Coroutine
from contextlib import ExitStack, closing
from heapq import heappop, heappush
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import msgspec
import typer
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from gateway_guard.accounts.base import Directory
from gateway_guard.accounts.file import FileDirectory
from gateway_guard.accounts.none import NoDirectory
from gateway_guard.building import build_guard
from gateway_guard.campaigns.digests import sighting_of
from gateway_guard.campaigns.erasing import bounds_of
from gateway_guard.campaigns.linker import Linker
from gateway_guard.cli import CLEAN, FINDINGS
from gateway_guard.cli.labels import read_labels
from gateway_guard.cli.output import Format, FormatOption, console, print_json
from gateway_guard.cli.outputs import check_outputs
from gateway_guard.cli.replay_files import DecidedLine, Sink, write_campaigns, write_snapshot
from gateway_guard.cli.report import Outcomes, campaigns_of, print_report, report_of
from gateway_guard.cli.tally import Tally
from gateway_guard.cli.traffic import Malformed, Recorded, Traffic, as_recorded
from gateway_guard.core.credentials import ACCOUNT
from gateway_guard.core.identify import identify
from gateway_guard.errors import SourceError
from gateway_guard.guard import Guard
from gateway_guard.linking import address_key
from gateway_guard.network.base import Network
from gateway_guard.network.database import NetworkDatabase
from gateway_guard.settings import Settings
from gateway_guard.types import Exchange, Outcome, Request, Usage

T = TypeVar("T")

#: Every replay keys its digests alike, so that two replays of one file choose the same accounts for
#: rollouts. Nothing here is secret: the account ids stand in the file that is read.
REPLAY_SECRET: Final = b"gateway_guard replay, a key that is not secret"

_EVERYWHERE: Final = (ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0"))
_REFUSED: Final = Usage(outcome=Outcome.REFUSED)
_STEP: Final = 256
_GAVE_UP: Final = 20


class Judge:
    """One policy over the traffic: the guard itself, driven without an event loop.

    What is forwarded stays in flight for the time its answer is assumed to have taken
    (`Recorded.duration`), so that concurrency limits and usage count as they would have.
    """

    def __init__(self, policy: Path, accounts: Directory, network: Network) -> None:
        settings = msgspec.structs.replace(
            Settings.from_environment(), secret=REPLAY_SECRET, decision_log=None, store=None
        )
        # On this thread, at once: what one exchange taught counts for the next, as it would live.
        self.linker = Linker(bounds=bounds_of(settings.linker_accounts, settings.linker_days))
        key = address_key(REPLAY_SECRET)

        def learn(exchange: Exchange) -> None:
            seen = sighting_of(exchange, key)
            if seen is not None:
                self.linker.learn(seen)

        self.guard: Guard = build_guard(
            policy, settings=settings, accounts=accounts, network=network, clock=lambda: 0.0,
            campaign_of=self.linker.facts,
        )  # fmt: skip
        if self.guard.policy.campaigns:
            self.guard.learners = (learn,)
        self.tally = Tally(self.guard.policy)
        self._identify = as_recorded(self.guard.policy.identify, _EVERYWHERE)
        self._identified = 0
        #: Account digest → the account as it stands in the traffic.
        self.recorded: dict[str, str] = {}
        #: (end, number, exchange, usage) of what is in flight: a heap, the next to end first.
        self._in_flight: list[tuple[float, int, Exchange, Usage]] = []
        self._forwarded = 0

    def identify(self, line: Recorded) -> Request:
        """The recorded exchange, identified as this policy asks."""
        policy = self.guard.policy
        # A number of our own: recorded ids may repeat, and reservations are held by it.
        self._identified += 1
        request = identify(
            line.wire(policy.inspect.max_body), self._identify, policy.inspect,
            id=f"r{self._identified}", at=line.at, secret=REPLAY_SECRET, keys={},
        )  # fmt: skip
        if line.account is not None and ACCOUNT.fullmatch(line.account):
            # A digest as logs show it is one already, here as in the accounts file.
            request = msgspec.structs.replace(request, account=line.account)
        return request

    def reads_like(self, other: Judge) -> bool:
        """Whether both policies read a request the same way, so that reading it once is enough."""
        return (
            self._identify == other._identify
            and self.guard.policy.inspect == other.guard.policy.inspect
        )

    def judge(self, request: Request, line: Recorded) -> Exchange:
        """Settle what has ended by now, decide, count."""
        in_flight, at = self._in_flight, line.at
        while in_flight and in_flight[0][0] <= at:
            end, _, ended, usage = heappop(in_flight)
            finish(self.guard.settle(ended, usage, now=end))
        exchange = finish(self.guard.judge(request))
        if exchange.decision.action.refuses:
            finish(self.guard.settle(exchange, _REFUSED, now=at))
        else:
            self._forwarded += 1
            end = at + line.duration()
            heappush(in_flight, (end, self._forwarded, exchange, line.settlement()))
        if request.account is not None and line.account is not None:
            self.recorded[request.account] = line.account
        self.tally.add(line.account or "", exchange)
        return exchange

    def finish(self) -> None:
        """Settle what is still in flight after the last exchange."""
        while self._in_flight:
            end, _, ended, usage = heappop(self._in_flight)
            finish(self.guard.settle(ended, usage, now=end))


def finish(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that never waits: stores in memory answer at once."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    coroutine.close()
    raise SourceError("replay needs limits kept in memory: this store waits for a network")


def replay(
    traffic: Traffic,
    judge: Judge,
    against: Judge | None = None,
    *,
    decided: Callable[[DecidedLine], None] | None = None,
    complain: Callable[[Malformed], None] = lambda _: None,
    progress: Callable[[int], None] = lambda _: None,
    limit: int | None = None,
) -> Outcomes:
    """Run every exchange through `judge` (and `against`), in file order, on the recorded clock."""
    seen = Outcomes()
    same = against is not None and judge.reads_like(against)
    last = float("-inf")
    started = time.perf_counter()
    for line in traffic:
        if isinstance(line, Malformed):
            seen.malformed += 1
            complain(line)
            continue
        if limit is not None and seen.exchanges >= limit:
            break
        if line.at < last:
            seen.disordered += 1
        else:
            last = line.at
        request = judge.identify(line)
        if line.client_ip and request.client_ip is None:
            seen.unread_addresses += 1
        exchange = judge.judge(request, line)
        seen.exchanges += 1
        if decided is not None:
            decision, campaign = exchange.decision, exchange.facts.campaign
            decided(
                DecidedLine(
                    line.id, decision.action.word, exchange.assessment.risk, decision.rule,
                    campaign.id if campaign is not None else None,
                )
            )  # fmt: skip
        if against is not None:
            other = against.judge(request if same else against.identify(line), line)
            if other.decision.action is not exchange.decision.action:
                judge.tally.accounts[line.account or ""].changed += 1
        if seen.exchanges % _STEP == 0:
            progress(traffic.read())
    for part in (judge, against):
        if part is not None:
            part.finish()
    seen.seconds = time.perf_counter() - started
    return seen


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command("replay")
    def command(
        traffic: Annotated[
            Path,
            typer.Argument(
                metavar="TRAFFIC", help="Recorded exchanges, JSON lines, gzipped or not."
            ),
        ],
        policy: Annotated[Path, typer.Option("--policy", "-p", help="The policy to try.")],
        accounts: Annotated[
            Path | None, typer.Option("--accounts", help="Account attributes, JSON lines or CSV.")
        ] = None,
        against: Annotated[
            Path | None,
            typer.Option("--against", help="A second policy: whom do the two treat differently?"),
        ] = None,
        decisions: Annotated[
            Path | None,
            typer.Option("--decisions", help="Write one decision a line here (.gz: gzipped)."),
        ] = None,
        campaigns: Annotated[
            Path | None, typer.Option("--campaigns", help="Write campaigns held at the end here.")
        ] = None,
        snapshot: Annotated[
            Path | None,
            typer.Option(
                "--snapshot",
                help="Write what was learnt of campaigns here, for `campaign` and `account`.",
            ),
        ] = None,
        labels: Annotated[
            Path | None,
            typer.Option(
                "--labels",
                help="CSV with account and label (attack or benign; or a reviewer's ban or allow), "
                "and perhaps class and scenario: precision, recall, cost to the others.",
            ),
        ] = None,
        limit: Annotated[
            int | None, typer.Option("--limit", min=1, help="Stop after so many exchanges.")
        ] = None,
        format: FormatOption = Format.TEXT,
    ) -> None:
        """Try a policy on recorded traffic: the same code as live, on the recorded clock.

        Shows what the policy decides even where it is in shadow mode. An answer is assumed to take
        a second for every 50 output tokens, at most ten minutes. Exit 1 when a line is no exchange;
        the others are replayed all the same.
        """
        check_outputs(
            {"--decisions": decisions, "--campaigns": campaigns, "--snapshot": snapshot},
            traffic, policy, against, accounts, labels,
        )  # fmt: skip
        classes = read_labels(labels) if labels is not None else None
        directory = (
            FileDirectory(accounts, secret=REPLAY_SECRET, kinds=False)
            if accounts is not None
            else NoDirectory()
        )
        network = NetworkDatabase.bundled(Settings.from_environment().network_files)
        judge = Judge(policy, directory, network)
        other = Judge(against, directory, network) if against is not None else None
        complain = _Complaints(traffic)
        with ExitStack() as stack:
            source = stack.enter_context(closing(Traffic(traffic)))
            sink = stack.enter_context(closing(Sink(decisions))) if decisions is not None else None
            advance = stack.enter_context(_progress(source))
            seen = replay(
                source, judge, other,
                decided=sink.write if sink is not None else None,
                complain=complain, progress=advance, limit=limit,
            )  # fmt: skip
        complain.finish()
        if classes is not None:
            # A reviewer's list may have the digests that `campaign` shows of a snapshot.
            classes = {judge.recorded.get(one, one): label for one, label in classes.items()}
            if seen.exchanges and classes.keys().isdisjoint(judge.tally.accounts):
                typer.echo(
                    f"{labels} names no account of {traffic}: write them as `account` is there,"
                    " or as `campaign show` of this replay's --snapshot has them",
                    err=True,
                )
        if campaigns is not None:
            write_campaigns(campaigns, judge.linker, judge.recorded)
        if snapshot is not None:
            write_snapshot(snapshot, judge.linker, REPLAY_SECRET)
        failures = judge.guard.failures
        if not seen.exchanges:
            raise SourceError(
                f"{traffic}: holds no exchange: replay reads JSON lines in UTF-8, gzipped or not, "
                'one object a line, {"at","method","path","headers","body","account",…}'
            )
        report = report_of(
            seen, judge.tally, other.tally if other is not None else None, classes,
            accounts_known=accounts is not None,
        )  # fmt: skip
        report["failures"] = failures
        for part, tried in zip(report["policies"], (judge, other), strict=False):
            if tried is not None and tried.guard.policy.campaigns:
                part["campaigns"] = campaigns_of(tried.linker)
        if format is Format.JSON:
            print_json(report)
        else:
            print_report(report, console())
        raise typer.Exit(FINDINGS if seen.malformed or failures else CLEAN)


class _Complaints:
    """Malformed lines on standard error: the first ones in full, then their number."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._count = 0

    def __call__(self, line: Malformed) -> None:
        self._count += 1
        if self._count <= _GAVE_UP:
            typer.echo(f"{self._path}:{line.number}: error: {line.reason}", err=True)

    def finish(self) -> None:
        if self._count > _GAVE_UP:
            typer.echo(f"{self._path}: {self._count - _GAVE_UP} more lines are wrong", err=True)


class _progress:  # noqa: N801 - reads as the function it stands for
    """A progress bar on standard error, shown only on a terminal."""

    def __init__(self, source: Traffic) -> None:
        self._bar = Progress(
            TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(),
            TimeRemainingColumn(), console=console(stderr=True), disable=not sys.stderr.isatty(),
            transient=True,
        )  # fmt: skip
        self._task = self._bar.add_task(f"replaying {source.path.name}", total=source.size or None)

    def __enter__(self) -> Callable[[int], None]:
        self._bar.start()
        return lambda done: self._bar.update(self._task, completed=done)

    def __exit__(self, *_: object) -> None:
        self._bar.stop()
