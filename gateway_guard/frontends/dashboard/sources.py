"""Who the dashboard asks: the guard of this process, or workers on their private sockets.

/desk/state               `State`
/desk/account/ACCT        `AccountPart`; `?search` also reads the decision log
/desk/known/ACCT          `Known`, or null
/desk/campaigns           `Campaigns`
/desk/campaign/NAME       `CampaignView`, or null; `?asked=` is which members, an `Asked` as JSON
POST /desk/review         puts a `Review` in force
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, Protocol, TypeVar
from urllib.parse import urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway_guard.campaigns.known import Known, known_of
from gateway_guard.campaigns.linker import Linker
from gateway_guard.campaigns.report import told_of
from gateway_guard.campaigns.reviews import Review
from gateway_guard.campaigns.roster import Asked, find
from gateway_guard.campaigns.summary import summaries
from gateway_guard.core.explain import explain_tree
from gateway_guard.errors import SourceError, StoreError
from gateway_guard.frontends.dashboard.cases import Cases, HereCases
from gateway_guard.frontends.dashboard.views import (
    MOST_RULINGS,
    AccountPart,
    Campaigns,
    CampaignView,
    Held,
    LetGo,
    Ruled,
    State,
    Told,
)
from gateway_guard.guard import Guard
from gateway_guard.linking import Linking
from gateway_guard.record.encoding import encoded
from gateway_guard.record.read import exchange_of
from gateway_guard.record.search import latest_lines
from gateway_guard.record.tally import LimitSeen
from gateway_guard.record.watching import Watching
from gateway_guard.types import Exchange

T = TypeVar("T")

#: Decisions shown of an account.
MOST_TOLD: Final = 20
_MOST_LET_GO: Final = 50
#: What is said where nothing looks for campaigns.
_NO_LINKER: Final = "Nothing looks for campaigns here: the application says who is in one."
_NOT_SAVED: Final = (
    "The campaigns of a shared store are shown as its linker saved them last, once a minute; it "
    "has not saved anything yet."
)


class Source(Protocol):
    """One guard.

    Attributes:
        label: what tells it from others; empty where there is one.
    """

    label: str

    async def state(self) -> State | None: ...

    async def account(self, account: str, *, search: bool) -> AccountPart | None: ...

    async def known(self, account: str) -> Known | None: ...

    async def campaigns(self) -> Campaigns | None: ...

    async def campaign(self, name: str, asked: Asked) -> CampaignView | None: ...

    async def review(self, review: Review) -> bool: ...


class Casebook:
    """The three questions about campaigns, to whoever has the answers."""

    def __init__(self, cases: Cases | None) -> None:
        self._cases = cases

    async def known(self, account: str) -> Known | None:
        """What is known of `account`; None where it was never met."""
        if self._cases is None:
            return None
        found = await self._cases.ask(lambda linker, _: known_of(linker, (), account))
        return found if found is not None and (found.trace or found.ruling) else None

    async def campaigns(self) -> Campaigns:
        """Every campaign held, or why there are none."""
        if self._cases is None:
            return Campaigns(off=_NO_LINKER)
        try:
            found = await self._cases.ask(_campaigns)
        except StoreError as error:
            return Campaigns(off=f"The shared store does not answer: {error}")
        return found if found is not None else Campaigns(off=_NOT_SAVED)

    async def campaign(self, name: str, asked: Asked) -> CampaignView | None:
        """One of them, and the members `asked` for; None where it is not held."""
        if self._cases is None:
            return None

        def ask(linker: Linker, at: float | None) -> CampaignView | None:
            try:
                report, roster = told_of(linker, name, made_at=at)
            except LookupError:
                return None
            whole = len(report.members) == report.size
            found = find(report.members, asked) if whole else roster.find(asked)
            return CampaignView(report=report, found=found)

        return await self._cases.ask(ask)


class Here:
    """The guard of this process.

    Args:
        guard: itself.
        watching: what it saw.
        report: HTTP status and body of its `/readyz`.
        log: the decision log, where one is written to a file; else None.
    """

    label = ""

    def __init__(
        self,
        guard: Guard,
        watching: Watching,
        report: Callable[[], Awaitable[tuple[int, dict[str, Any]]]],
        log: str | None,
    ) -> None:
        self._guard = guard
        self._watching = watching
        self._report = report
        self._log = log
        linking = guard.linking
        local = linking if isinstance(linking, Linking) else None
        self._linking = local
        self._casebook = Casebook(HereCases(local) if local is not None else None)
        self.known = self._casebook.known
        self.campaigns = self._casebook.campaigns
        self.campaign = self._casebook.campaign

    async def state(self) -> State:
        """As `State`."""
        status, report = await self._report()
        tally = await asyncio.to_thread(self._watching.tally)
        return State(tally=tally, report=report, status=status)

    async def account(self, account: str, *, search: bool) -> AccountPart:
        """As `AccountPart`; `search` reads the decision log, too."""
        lines = await asyncio.to_thread(self._lines, account, search)
        guard = self._guard
        exchanges = _readable(lines)
        held = guard.profiles.get(account).held if account in guard.profiles else None
        linking, place = guard.linking, guard.standing.places.get(account)
        attributes = guard.accounts.lookup(account, None)
        if not any(getattr(attributes, name) for name in attributes.__struct_fields__):
            # Trusted headers and the application's state are only known with a request.
            attributes = exchanges[0].facts.account if exchanges else attributes
        return AccountPart(
            decisions=tuple(_told(guard, exchange) for exchange in exchanges[:MOST_TOLD]),
            attributes=attributes,
            risk=held.risk if held is not None else 0.0,
            risk_at=held.at if held is not None else 0.0,
            verdict=linking.facts(account) if linking is not None else None,
            limits=_limits(exchanges),
            challenged=place.challenged if place is not None else False,
            verified_until=place.until if place is not None else 0.0,
        )

    async def review(self, review: Review) -> bool:
        """Put a decision in force in this process alone; False where nobody heeds it."""
        if self._linking is None:
            return False
        await asyncio.to_thread(self._linking.review, review)
        return True

    def _lines(self, account: str, search: bool) -> list[bytes]:
        lines = self._watching.lines(account)
        if search and self._log is not None:
            lines += latest_lines(self._log, account, MOST_TOLD)
        return lines


class Remote:
    """A worker on its private socket; what it does not answer is None.

    Args:
        label: its number.
        call: `call(method, path, body)` gives the body of a 200, else None.
    """

    def __init__(
        self, label: str, call: Callable[[str, str, bytes], Awaitable[bytes | None]]
    ) -> None:
        self.label = label
        self._call = call

    async def state(self) -> State | None:
        """As `State`."""
        return await self._get("/desk/state", State)

    async def account(self, account: str, *, search: bool) -> AccountPart | None:
        """As `AccountPart`."""
        return await self._get(f"/desk/account/{account}{'?search' if search else ''}", AccountPart)

    async def known(self, account: str) -> Known | None:
        """What its own linker knows."""
        return await self._get(f"/desk/known/{account}", Known)

    async def campaigns(self) -> Campaigns | None:
        """What its own linker holds."""
        return await self._get("/desk/campaigns", Campaigns)

    async def campaign(self, name: str, asked: Asked) -> CampaignView | None:
        """One of them."""
        query = urlencode({"asked": msgspec.json.encode(asked)})
        return await self._get(f"/desk/campaign/{name}?{query}", CampaignView)

    async def review(self, review: Review) -> bool:
        """Put a decision in force there."""
        done = await self._call("POST", "/desk/review", msgspec.json.encode(review))
        return done == b"true"

    async def _get(self, path: str, kind: type[T]) -> T | None:
        body = await self._call("GET", path, b"")
        return None if body is None else msgspec.json.decode(body, type=kind | None)


def desk_routes(here: Here) -> list[Route]:
    """What `Remote` asks. Only for a socket that nobody else can connect to."""

    async def state(_: Request) -> Response:
        return _json(await here.state())

    async def account(request: Request) -> Response:
        search = "search" in request.query_params
        return _json(await here.account(request.path_params["account"], search=search))

    async def known(request: Request) -> Response:
        return _json(await here.known(request.path_params["account"]))

    async def campaigns(_: Request) -> Response:
        return _json(await here.campaigns())

    async def campaign(request: Request) -> Response:
        asked = msgspec.json.decode(request.query_params["asked"], type=Asked)
        return _json(await here.campaign(request.path_params["name"], asked))

    async def review(request: Request) -> Response:
        return _json(await here.review(msgspec.json.decode(await request.body(), type=Review)))

    return [
        Route("/desk/state", state),
        Route("/desk/account/{account}", account),
        Route("/desk/known/{account}", known),
        Route("/desk/campaigns", campaigns),
        Route("/desk/campaign/{name}", campaign),
        Route("/desk/review", review, methods=["POST"]),
    ]


def _campaigns(linker: Linker, at: float | None) -> Campaigns:
    traces = linker.memory.traces
    found = summaries(linker, sum(trace.exchanges for trace in traces.values()))
    rulings = list(linker.cases.reviews.rulings.items())[-MOST_RULINGS:]
    ended = list(linker.cases.endings.latest)[-_MOST_LET_GO:]
    return Campaigns(
        found=tuple(
            Held(**msgspec.structs.asdict(one))
            for one in sorted(found, key=lambda one: (-one.members, one.id))
        ),
        let_go=tuple(LetGo(**msgspec.structs.asdict(one)) for one in reversed(ended)),
        rulings=tuple(
            Ruled(account=account, ruling=ruling, until=until if until < float("inf") else None)
            for account, (ruling, until) in reversed(rulings)
        ),
        accounts=len(traces),
        as_of=at,
    )


def _readable(lines: Iterable[bytes]) -> list[Exchange]:
    """Newest first, each request once."""
    found: dict[str, Exchange] = {}
    for line in lines:
        try:
            exchange = exchange_of(line)
        except SourceError:
            continue
        found.setdefault(exchange.request.id, exchange)
    return sorted(found.values(), key=lambda one: -one.request.at)


def _told(guard: Guard, exchange: Exchange) -> Told:
    request, decision, policy = exchange.request, exchange.decision, guard.policy
    return Told(
        id=request.id, at=request.at, action=decision.action.word, acted=decision.acted,
        rule=decision.rule or "", risk=exchange.assessment.risk,
        tree=tuple(explain_tree(exchange, policy)),
        other_policy="" if decision.policy == policy.digest else decision.policy,
    )  # fmt: skip


def _limits(exchanges: Iterable[Exchange]) -> tuple[LimitSeen, ...]:
    """Every limit as the latest decision that asked it left it."""
    found: dict[str, LimitSeen] = {}
    for exchange in exchanges:
        for grant in exchange.decision.grants:
            charge = grant.charge
            rate = charge.quota / charge.window if charge.window else 0.0
            found.setdefault(
                charge.limit,
                LimitSeen(
                    charge.limit, "", charge.unit, grant.remaining, charge.capacity, rate,
                    not grant.allowed, exchange.request.at,
                ),
            )  # fmt: skip
    return tuple(found.values())


def _json(value: object) -> Response:
    return Response(encoded(value), media_type="application/json")
