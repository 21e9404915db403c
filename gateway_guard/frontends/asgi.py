"""The guard as a bare ASGI callable around any ASGI application.

    http       read the body where it is needed → decide → forward or refuse → settle
    websocket  decide on the handshake → pass every message through, or refuse before accepting;
               on model routes what they tell of tokens is charged (`metering`)
    lifespan   passed through; the guard closes after the application has shut down, the last of
               those that share it. Of an application without one (Django) the guard has it alone
    others     passed through

Settling happens exactly once: right after the last byte of the response, or in `finally` whatever
went wrong. In shadow (policy mode, rollout) no byte of the response changes: no header is added, no
refusal sent, no stream option forced.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from pathlib import Path
from time import perf_counter
from types import EllipsisType
from typing import Any, Final

from gateway_guard.accounts.base import Directory
from gateway_guard.clock import Clock
from gateway_guard.core.fields import lines
from gateway_guard.core.minted import mints
from gateway_guard.core.policy import Policy
from gateway_guard.frontends.admission import CROWDED, PROCESS, Admission, Waiting
from gateway_guard.frontends.background import RELOAD_EVERY, Background
from gateway_guard.frontends.door import LET_IN
from gateway_guard.frontends.handshake import answering, turn_down
from gateway_guard.frontends.inbox import Inbox
from gateway_guard.frontends.lifespan import lifespan
from gateway_guard.frontends.lookout import LOOK_EVERY, Lookout
from gateway_guard.frontends.making import Recipe, settings_or
from gateway_guard.frontends.minting import minting
from gateway_guard.frontends.outbox import Outbox
from gateway_guard.frontends.overruling import overruled
from gateway_guard.frontends.refusals import OVERLOADED, refusal
from gateway_guard.frontends.rewriting import rewritten
from gateway_guard.frontends.scopes import Scope, full_path, peer_of
from gateway_guard.frontends.stating import Stating
from gateway_guard.frontends.tarpit import Tarpit
from gateway_guard.frontends.trailers import DISGUISED, ambiguous, may_hold_trailers
from gateway_guard.guard import Guard, Learner
from gateway_guard.network.base import Network
from gateway_guard.settings import Settings
from gateway_guard.stores.base import Store
from gateway_guard.types import (
    Action,
    CampaignFacts,
    Exchange,
    Outcome,
    Usage,
    Wire,
)

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
#: Frameworks spell the three arguments differently; any ASGI 3 application fits.
App = Callable[[Any, Any, Any], Awaitable[None]]

#: Where the application finds the `types.Exchange` of its request in the scope. Read only.
EXCHANGE_KEY: Final = "gateway_guard.exchange"
#: Where the sidecar's own application leaves there how a WebSocket ended, a `types.Outcome`.
OUTCOME_KEY: Final = "gateway_guard.outcome"

#: As `Decision.forwards` and `Action.refuses` have it: properties, and members of enumerations,
#: cost more than what is done with them.
_REFUSALS: Final = Action.CHALLENGE
_CUT: Final = Outcome.UPSTREAM_CUT

#: Seconds an application gets to notice by itself that its client has gone before it is cancelled.
#: Twice `lookout.LOOK_EVERY` and this stay well below the 2 s in which an upstream must be let go.
GRACE: Final = 1.0


class GuardMiddleware:
    """Lets a request through to `app` only after one decision.

    Attributes:
        app: the application being guarded.
        guard: the brain; shared between several middlewares if you like
            (`GuardMiddleware(other, guard=first.guard)`). Another one when the application starts
            again after it ended.
        tarpit: the refusals being held back.
        admission: what is turned away because there is too much of it.
        abandoned: requests whose client left before its body was complete, since the start. They
            are not judged, so they cost no quota and the decision log does not know them.

    Raises:
        TypeError: neither or both of `policy` and `guard` were given, or something of the wrong
            kind.
        PolicyError, SettingsError, SourceError: as `building.build_guard`.
    """

    def __init__(
        self,
        app: App,
        *,
        policy: str | Path | Policy | None = None,
        guard: Guard | None = None,
        grace: float | None = GRACE,
        max_held: int = 100,
        lag: float | None = None,
        reload_every: float | EllipsisType | None = ...,
        on_decided: Callable[[float], None] | None = None,
        settings: Settings | None = None,
        accounts: Directory | None = None,
        network: Network | None = None,
        store: Store | str | None = None,
        campaign_of: Callable[[str], CampaignFacts | None] | None = None,
        learners: Sequence[Learner] = (),
        clock: Clock | None = None,
    ) -> None:
        """Guard `app` by `policy` (a file or a compiled one), or by a ready `guard`.

        Args:
            app: any ASGI 3 application.
            policy: what to build a guard from; a file is read again when it changes.
            guard: a ready guard, instead of `policy`.
            grace: seconds an application on a model route may go on after its client has left
                before it is cancelled; None never cancels it.
            max_held: most refusals held in the tarpit at once; more are answered at once.
            lag: seconds of CPU one turn of the event loop may take, again and again, before
                requests are turned away (503); the policy's `overload.lag` goes before it. None for
                any number.
            reload_every: seconds between two looks at the files; None never looks. By default
                `background.RELOAD_EVERY` next to `policy`, and never for a ready `guard`, which is
                its owner's to reload.
            on_decided: told how long each decision took, seconds (`Metrics.decided`).
            settings, accounts, network, store, campaign_of, learners, clock: as
                `building.build_guard`; only next to `policy`. Where the settings name a decision
                log (`GATEWAY_GUARD_DECISION_LOG`), it is written.
        """
        self._recipe: Recipe | None = None
        if not callable(app):
            raise TypeError(f"app is no ASGI application but {type(app).__name__}")
        if policy is not None and guard is None:
            self._recipe = Recipe(
                policy=policy, settings=settings_or(settings), accounts=accounts, network=network,
                store=store, campaign_of=campaign_of, learners=learners, clock=clock,
            )  # fmt: skip
            guard = self._recipe.guard()
        elif guard is None or policy is not None:
            raise TypeError("GuardMiddleware needs either policy=… or guard=…")
        elif learners or any(
            option is not None  # an empty store is falsy
            for option in (settings, accounts, network, store, campaign_of, clock)
        ):
            raise TypeError("a ready guard=… has its own settings, accounts, network, store, …")
        elif not callable(getattr(guard, "decide", None)):
            raise TypeError(f"guard=… is what build_guard made, not {type(guard).__name__}")
        self.app = app
        self.guard = guard
        self.tarpit = Tarpit(max_held)
        self.admission = Admission(lag)
        self.abandoned = 0
        self._lag = lag
        self._grace = grace
        self._lookout = Lookout()
        self._stating = Stating()
        self._on_decided = on_decided
        if isinstance(reload_every, EllipsisType):
            reload_every = None if policy is None else RELOAD_EVERY
        self._reload_every = reload_every
        self._background = Background(guard, reload_every=reload_every)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, ASGI 3."""
        kind = scope["type"]
        if kind != "http":
            if kind == "websocket":
                await self._websocket(scope, receive, send)
            elif kind == "lifespan":
                if self.guard.closed and self._recipe is not None and self._recipe.again:
                    self._begin_again(self._recipe)
                await lifespan(
                    self.app, scope, receive, send,
                    background=self._background, close=self.admission.close,
                )  # fmt: skip
            else:
                await self.app(scope, receive, send)
            return
        # Here and not in a method of its own: a coroutine costs as much as six calls.
        guard = self.guard
        self._background.start()
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        fields = dict(headers)
        trailers = False
        if b"transfer-encoding" in fields:
            # Chunked, the only framing that can have trailers. The list the server holds may still
            # grow by them; this copy does not.
            headers = list(headers)
            trailers = may_hold_trailers(receive)
            scope = {**scope, "headers": headers}
        elif type(headers) is not list:
            headers = list(headers)
        method: str = scope["method"]
        if method == "WEBSOCKET":
            # A client may call its method so; ours is a handshake's, which has no body to read.
            method = "websocket"
        raw = scope.get("raw_path")
        client = scope.get("client")
        wire = Wire(
            method=method,
            raw_path=raw if raw and 0x3F not in raw else full_path(scope),
            headers=headers,
            peer=client[0] if client else None,
            state=self._stating.of(scope, guard.policies.current) if scope.get("state") else None,
            query=scope.get("query_string") or b"",
        )
        inbox = Inbox(receive)
        overload = guard.policies.current.overload
        admission = self.admission
        if LET_IN not in scope and admission.turns_away(overload):
            exchange = guard.unjudged(
                wire, rule=OVERLOADED, reason=PROCESS, retry_after=admission.come_back
            )
            if exchange.decision.acted:
                await self._refuse(scope, exchange, headers, receive, send, unread=False)
                return
        if guard.needs_body(method, wire.raw_path, headers):
            cap = guard.policies.current.inspect.max_body
            wire.body = await inbox.read(fields.get(b"content-length"), cap, admission.holding)
            if inbox.gone:
                # Gone before it had said what it wants: nobody to answer, nothing to charge.
                self.abandoned += 1
                return
            if inbox.crowded:
                exchange = guard.unjudged(
                    wire, rule=OVERLOADED, reason=CROWDED, retry_after=admission.come_back
                )
                if exchange.decision.acted:
                    await self._refuse(scope, exchange, headers, receive, send, unread=True)
                    return
            wire.body_too_large = inbox.too_large
        if self._on_decided is None:
            exchange = await guard.decide(wire)
        else:
            began = perf_counter()
            exchange = await guard.decide(wire)
            self._timed(perf_counter() - began)
        if trailers and ambiguous(headers, guard.policy.identify):
            exchange.decision = overruled(
                exchange, rule="guard:trailers", reason=DISGUISED, status=400
            )
        decision = exchange.decision
        if decision.acted and decision.action >= _REFUSALS:
            await self._refuse(scope, exchange, headers, receive, send, unread=inbox.too_large)
            return
        model_route = exchange.request.model_route
        waiting: Waiting | None = None
        if model_route and overload.upstream is not None:
            waiting = admission.enter(exchange, overload.upstream)
            if waiting is None and not exchange.decision.forwards:
                await self._refuse(scope, exchange, headers, receive, send, unread=False)
                return
        scope[EXCHANGE_KEY] = exchange
        plan = exchange.plan
        enforced = plan is not None and plan.enforced
        tells = enforced and guard.policies.current.headers
        if model_route and mints(exchange.request):
            send = minting(guard, exchange, send)
        outbox = Outbox(exchange, inbox, send, self._background.settle, tells, model_route)
        if waiting is not None:
            outbox.awaits(waiting)
        if wire.body is not None:
            if enforced:
                try:
                    scope = rewritten(scope, exchange, wire, inbox, outbox)
                except BaseException:
                    if waiting is not None:
                        waiting.end()
                    await outbox.settle(Outcome.UPSTREAM_ERROR)
                    raise
            wire.body = None
        if self._grace is not None and model_route:
            inbox.guard_against_leaving(self._lookout, self._grace)
        outcome = _CUT
        try:
            await self.app(scope, inbox.receive, outbox.send)
        except asyncio.CancelledError:
            outcome = Outcome.CLIENT_GONE
            # Cancelled because the client left: an end, not an error. Any other cancellation is
            # somebody else's and goes on.
            if not inbox.uncancelled():
                raise
            outbox.unheard = True
        except BaseException:
            # Re-raised, so that the server cuts the connection: a broken stream must never look
            # like a complete one.
            if not outbox.started:
                outcome = Outcome.UPSTREAM_ERROR
            raise
        else:
            if not outbox.started:
                outcome = Outcome.UPSTREAM_ERROR
        finally:
            if waiting is not None:
                waiting.end()
            if not exchange.settled:
                await outbox.settle(outcome)
        if outbox.unheard:
            await outbox.end_unheard()

    def _begin_again(self, recipe: Recipe) -> None:
        """As after a restart, for an application that starts a second time, as in each test of
        some: what was kept in memory is forgotten.
        """
        self.guard = recipe.guard()
        self.admission = Admission(self._lag)
        self._background = Background(self.guard, reload_every=self._reload_every)

    async def _refuse(
        self, scope: Scope, exchange: Exchange, headers: list[tuple[bytes, bytes]],
        receive: Receive, send: Send, *, unread: bool,
    ) -> None:  # fmt: skip
        decision = exchange.decision
        await self._background.settle(exchange, _refused(decision.status))
        if decision.tarpit > 0.0 and await self.tarpit.hold(decision.tarpit, receive):
            return
        status, answer, body = refusal(exchange, accept=b", ".join(lines(headers, b"accept")))
        if unread and scope.get("http_version", "1.1") in ("1.0", "1.1"):
            # Nobody will read the rest of that body: say so instead of taking it in.
            answer.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": status, "headers": answer})
        if scope["method"] == "HEAD":
            body = b""
        await send({"type": "http.response.body", "body": body, "more_body": False})

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._background.start()
        headers: list[tuple[bytes, bytes]] = list(scope["headers"])
        guard, admission = self.guard, self.admission
        wire = Wire(
            method="WEBSOCKET", raw_path=full_path(scope), headers=headers, peer=peer_of(scope),
            state=self._stating.of(scope, guard.policies.current),
            query=scope.get("query_string") or b"",
        )  # fmt: skip
        if LET_IN not in scope and admission.turns_away(guard.policies.current.overload):
            exchange = guard.unjudged(
                wire, rule=OVERLOADED, reason=PROCESS, retry_after=admission.come_back
            )
            if exchange.decision.acted:
                await self._refuse_websocket(scope, exchange, receive, send)
                return
        began = perf_counter()
        exchange = await guard.decide(wire)
        self._timed(perf_counter() - began)
        if not exchange.decision.forwards:
            await self._refuse_websocket(scope, exchange, receive, send)
            return
        scope[EXCHANGE_KEY] = exchange
        handshake = answering(guard, exchange, send)
        outcome = Outcome.UPSTREAM_CUT
        try:
            await handshake.serve(self.app, scope, receive)
            outcome = Outcome.COMPLETED
        except asyncio.CancelledError:
            outcome = Outcome.CLIENT_GONE
            raise
        finally:
            outcome = scope.get(OUTCOME_KEY, outcome)
            await self._background.settle(exchange, handshake.usage(outcome))

    async def _refuse_websocket(
        self, scope: Scope, exchange: Exchange, receive: Receive, send: Send
    ) -> None:
        decision = exchange.decision
        await self._background.settle(exchange, _refused(decision.status))
        await receive()  # websocket.connect
        if decision.tarpit > 0.0 and await self.tarpit.hold(decision.tarpit, receive):
            return
        await turn_down(scope, exchange, send)

    def _timed(self, seconds: float) -> None:
        if self._on_decided is not None:
            try:
                self._on_decided(seconds)
            except Exception as error:  # noqa: BLE001 - foreign; what was reserved must be settled
                self.guard.failures.tell("on_decided", error)


def _refused(status: int | None) -> Usage:
    return Usage(input_tokens=0, output_tokens=0, outcome=Outcome.REFUSED, status=status)


__all__ = ["EXCHANGE_KEY", "GRACE", "LOOK_EVERY", "GuardMiddleware", "Scope"]
