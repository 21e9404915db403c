"""The guard as a bare ASGI callable around any ASGI application.

    http       read the body where it is needed → decide → forward or refuse → settle
    websocket  decide on the handshake → pass every message through, or refuse before accepting
    lifespan   passed through; the guard closes after the application has shut down
    others     passed through

Settling happens exactly once: right after the last byte of the response, or in `finally` whatever
went wrong. In shadow (policy mode, rollout) no byte of the response changes: no header is added, no
refusal sent, no stream option forced.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import msgspec

from gateway_guard.accounts.base import Directory
from gateway_guard.clock import Clock
from gateway_guard.core.decide import Policy
from gateway_guard.frontends.background import RELOAD_EVERY, Background
from gateway_guard.frontends.inbox import CHECK_AFTER, Inbox, read_body
from gateway_guard.frontends.outbox import Outbox
from gateway_guard.frontends.refusals import refusal
from gateway_guard.frontends.rewriting import rewritten
from gateway_guard.frontends.tarpit import Tarpit
from gateway_guard.frontends.trailers import ambiguous, chunked, may_hold_trailers
from gateway_guard.guard import Guard, Learner, build_guard
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

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
#: Frameworks spell the three arguments differently; any ASGI 3 application fits.
App = Callable[[Any, Any, Any], Awaitable[None]]

#: Where the application finds the `types.Exchange` of its request in the scope. Read only.
EXCHANGE_KEY: Final = "gateway_guard.exchange"

#: Seconds an application gets to notice by itself that its client has gone before it is cancelled.
#: With `inbox.CHECK_AFTER` this stays well below the 2 s in which an upstream must be let go.
GRACE: Final = 1.0


class GuardMiddleware:
    """Lets a request through to `app` only after one decision.

    Attributes:
        app: the application being guarded.
        guard: the brain; shared between several middlewares if you like.
        tarpit: the refusals being held back.

    Raises:
        TypeError: neither or both of `policy` and `guard` were given.
        PolicyError, SettingsError, SourceError: as `guard.build_guard`.
    """

    def __init__(
        self,
        app: App,
        *,
        policy: str | Path | Policy | None = None,
        guard: Guard | None = None,
        grace: float | None = GRACE,
        max_held: int = 100,
        settings: Settings | None = None,
        accounts: Directory | None = None,
        network: Network | None = None,
        store: Store | None = None,
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
            settings, accounts, network, store, campaign_of, learners, clock: as
                `guard.build_guard`; only next to `policy`.
        """
        if policy is not None and guard is None:
            guard = build_guard(
                policy, settings=settings, accounts=accounts, network=network, store=store,
                campaign_of=campaign_of, learners=learners, clock=clock,
            )  # fmt: skip
        elif guard is None or policy is not None:
            raise TypeError("GuardMiddleware needs either policy=… or guard=…")
        elif learners or any((settings, accounts, network, store, campaign_of, clock)):
            raise TypeError("a ready guard=… has its own settings, accounts, network, store, …")
        self.app = app
        self.guard = guard
        self.tarpit = Tarpit(max_held)
        self._grace = grace
        # A ready guard is its owner's to reload.
        self._background = Background(guard, reload_every=None if policy is None else RELOAD_EVERY)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, ASGI 3."""
        kind = scope["type"]
        if kind == "http":
            await self._http(scope, receive, send)
        elif kind == "websocket":
            await self._websocket(scope, receive, send)
        elif kind == "lifespan":
            await self._lifespan(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        guard = self.guard
        self._background.start()
        headers: list[tuple[bytes, bytes]] = list(scope["headers"])
        trailers = False
        if chunked(headers):
            # The list the server holds may still grow by trailers; this copy does not.
            trailers = may_hold_trailers(receive)
            scope = {**scope, "headers": headers}
        method: str = scope["method"]
        raw_path = full_path(scope)
        wire = Wire(
            method=method, raw_path=raw_path, headers=headers,
            peer=_peer(scope), state=_state(scope),
        )  # fmt: skip
        inbox: Inbox | None = None
        unread = False
        if guard.needs_body(method, raw_path, headers):
            body = await read_body(receive, headers, guard.policy.inspect.max_body)
            if body is None:
                return  # gone before it had said what it wants: nobody to answer, nothing to charge
            wire.body = body.data
            wire.body_too_large = unread = body.too_large
            inbox = Inbox(receive, body)
        exchange = await guard.decide(wire)
        if trailers and ambiguous(headers, guard.policy.identify):
            exchange.decision = _framing(exchange)
        decision = exchange.decision
        if not decision.forwards:
            await self._refuse(scope, exchange, headers, receive, send, unread=unread)
            return
        scope[EXCHANGE_KEY] = exchange
        plan = exchange.plan
        enforced = plan is not None and plan.enforced
        outbox = Outbox(self._background, exchange, send, headers=enforced and guard.policy.headers)
        if inbox is None:
            await self._run(scope, receive, outbox, None)
            return
        if enforced and wire.body is not None:
            try:
                scope = rewritten(scope, exchange, wire, inbox, outbox)
            except BaseException:
                await outbox.settle(Outcome.UPSTREAM_ERROR)
                raise
        wire.body = None
        await self._run(scope, inbox.receive, outbox, inbox)

    async def _run(
        self, scope: Scope, receive: Receive, outbox: Outbox, inbox: Inbox | None
    ) -> None:
        """Run the application; settle once, whatever happens."""
        if inbox is not None:
            outbox.inbox = inbox
            if self._grace is not None:
                inbox.guard_against_leaving(self._grace)
        outcome = Outcome.UPSTREAM_CUT
        try:
            await self.app(scope, receive, outbox.send)
        except asyncio.CancelledError:
            outcome = Outcome.CLIENT_GONE
            # Cancelled because the client left: an end, not an error. Any other cancellation is
            # somebody else's and goes on.
            if inbox is None or not inbox.uncancelled():
                raise
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
            if inbox is not None:
                inbox.close()
            if not outbox.exchange.settled:
                await outbox.settle(outcome)

    async def _refuse(
        self, scope: Scope, exchange: Exchange, headers: list[tuple[bytes, bytes]],
        receive: Receive, send: Send, *, unread: bool,
    ) -> None:  # fmt: skip
        decision = exchange.decision
        await self._background.settle(exchange, _refused(decision.status))
        if decision.tarpit > 0.0 and await self.tarpit.hold(decision.tarpit, receive):
            return
        status, answer, body = refusal(exchange, accept=_header(headers, b"accept"))
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
        wire = Wire(
            method="WEBSOCKET", raw_path=full_path(scope), headers=headers,
            peer=_peer(scope), state=_state(scope),
        )  # fmt: skip
        exchange = await self.guard.decide(wire)
        if not exchange.decision.forwards:
            await self._refuse_websocket(scope, exchange, headers, receive, send)
            return
        scope[EXCHANGE_KEY] = exchange
        outcome = Outcome.UPSTREAM_CUT
        try:
            await self.app(scope, receive, send)
            outcome = Outcome.COMPLETED
        except asyncio.CancelledError:
            outcome = Outcome.CLIENT_GONE
            raise
        finally:
            await self._background.settle(exchange, Usage(outcome=outcome))

    async def _refuse_websocket(
        self, scope: Scope, exchange: Exchange, headers: list[tuple[bytes, bytes]],
        receive: Receive, send: Send,
    ) -> None:  # fmt: skip
        decision = exchange.decision
        await self._background.settle(exchange, _refused(decision.status))
        await receive()  # websocket.connect
        if decision.tarpit > 0.0 and await self.tarpit.hold(decision.tarpit, receive):
            return
        if "websocket.http.response" in (scope.get("extensions") or {}):
            status, answer, body = refusal(exchange, accept=_header(headers, b"accept"))
            await send(
                {"type": "websocket.http.response.start", "status": status, "headers": answer}
            )
            await send({"type": "websocket.http.response.body", "body": body, "more_body": False})
        else:
            # Before `accept` servers turn this into a plain 403.
            await send({"type": "websocket.close", "code": 1008, "reason": ""})

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        background = self._background

        async def closing(message: Message) -> None:
            if message["type"] in ("lifespan.shutdown.complete", "lifespan.shutdown.failed"):
                await background.close()
            await send(message)

        await self.app(scope, receive, closing)


def full_path(scope: Scope) -> bytes:
    """The path as the client sent it, percent-encoded, mounts included, no query string.

    `raw_path` stays whole under mounts in every framework tried. A server that does not give it (it
    is optional in ASGI) gets `path` quoted, behind `root_path` where a mount has cut that off.
    """
    raw: bytes | None = scope.get("raw_path")
    if raw:
        # Some servers leave the query string on.
        return raw if b"?" not in raw else raw.partition(b"?")[0]
    path: str = scope["path"]
    root: str = scope.get("root_path") or ""
    if root and not (path == root or path.startswith(root.rstrip("/") + "/")):
        path = root.rstrip("/") + path
    return quote(path, safe="/:@!$&'()*+,;=~-._", errors="surrogateescape").encode("ascii")


def _peer(scope: Scope) -> str | None:
    client = scope.get("client")
    return client[0] if client else None


def _state(scope: Scope) -> Mapping[str, Any] | None:
    state = scope.get("state")
    if not state:
        return None
    ours = (
        state.get("gateway_guard")
        if isinstance(state, Mapping)
        else getattr(state, "gateway_guard", None)
    )
    return ours if isinstance(ours, Mapping) else None


def _header(headers: list[tuple[bytes, bytes]], name: bytes) -> bytes:
    """All lines of a header as one list value; empty when absent."""
    return b", ".join([value for key, value in headers if key == name])


def _refused(status: int | None) -> Usage:
    return Usage(input_tokens=0, output_tokens=0, outcome=Outcome.REFUSED, status=status)


def _framing(exchange: Exchange) -> Any:
    plan = exchange.plan
    return msgspec.structs.replace(
        exchange.decision,
        action=Action.DENY,
        acted=plan.enforced if plan is not None else exchange.decision.acted,
        rule="guard:trailers",
        where=None,
        reason="a repeated header of a chunked request may be a trailer in disguise",
        status=400,
        retry_after=None,
        restrictions=None,
        challenge_url=None,
        tarpit=0.0,
    )


__all__ = ["CHECK_AFTER", "EXCHANGE_KEY", "GRACE", "GuardMiddleware", "full_path"]
