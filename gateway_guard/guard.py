"""The shell: the only copy of the order of stages, and the only awaits of a decision.

    identify → enrich → assess → decide → reserve → (the frontend acts) → settle → learn

A frontend calls `Guard.decide` before it forwards and `Guard.settle` exactly once afterwards,
whatever happened, in a `finally`.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from operator import attrgetter
from typing import Any

from gateway_guard.accounts.base import AskedDirectory, Directory
from gateway_guard.accounts.jwks import JwtKeys
from gateway_guard.clock import Clock, steady_clock
from gateway_guard.core.adapt import hold
from gateway_guard.core.assess import assess
from gateway_guard.core.credentials import digest
from gateway_guard.core.decide import conclude, decide
from gateway_guard.core.dialects import by_client, route
from gateway_guard.core.identify import identify, needs_body
from gateway_guard.core.limits import actuals
from gateway_guard.core.links import NONCE, linked
from gateway_guard.core.paths import canonical
from gateway_guard.core.policy import Policy
from gateway_guard.core.profile import Profiles, observe, observe_usage
from gateway_guard.core.stated import stated
from gateway_guard.core.unjudged import failed, turned_away
from gateway_guard.enriching import enrich, heard
from gateway_guard.errors import StoreError
from gateway_guard.failures import Failures
from gateway_guard.ids import request_ids
from gateway_guard.intel.file import Indicators
from gateway_guard.linking import Linking
from gateway_guard.network.base import Network
from gateway_guard.policy.source import PolicySource
from gateway_guard.record.mint import LocalMint, Mint
from gateway_guard.record.noticing import Noticing
from gateway_guard.record.register import LocalRegister, Register
from gateway_guard.rehearsing import rehearse, settle_rehearsed, with_hits
from gateway_guard.stores.base import ImmediateStore, Store
from gateway_guard.stores.patience import PatientStore
from gateway_guard.streams.shared import SharedLinking
from gateway_guard.types import (
    Action,
    Assessment,
    CampaignFacts,
    Charge,
    CredentialFault,
    Exchange,
    Grant,
    Outcome,
    Request,
    Usage,
    Wire,
)
from gateway_guard.uncounted import again, uncounted

#: Told of every exchange once it is settled; must not block or raise.
Learner = Callable[[Exchange], None]

_NOT_ASSESSED = Assessment()
#: Looking up a member of an enumeration costs more than comparing with it.
_REFUSED = Outcome.REFUSED
_CHALLENGE = Action.CHALLENGE
_UNREACHABLE = CredentialFault.KEYS_UNREACHABLE
_NO_KEYS: tuple[str, ...] = ("jwks",)
_ALLOWED = attrgetter("allowed")


class Guard:
    """One brain behind every frontend: decides before a request is forwarded, settles after.

    Safe for any number of concurrent requests on one event loop; not for several threads.
    """

    def __init__(
        self,
        *,
        policies: PolicySource,
        network: Network,
        accounts: Directory,
        store: Store,
        profiles: Profiles,
        secret: bytes,
        jwt: JwtKeys,
        campaign_of: Callable[[str], CampaignFacts | None] | None = None,
        linking: Linking | SharedLinking | None = None,
        indicators: Indicators | None = None,
        group_key: bytes | None = None,
        register: Register | None = None,
        mint: Mint | None = None,
        learners: Sequence[Learner] = (),
        clock: Clock | None = None,
    ) -> None:
        self.policies = policies
        self.network = network
        self.accounts = accounts
        self.store = store
        self.profiles = profiles
        self.learners = tuple(learners)
        #: What finds campaigns in this guard's own traffic, or in that of all guards of a store;
        #: None where somebody else says who is in one, or nobody does. Closed with the guard.
        self.linking = linking
        #: What others say of networks, clients and templates; matches nothing when None was given.
        self.indicators = indicators if indicators is not None else Indicators()
        self.clock = clock or steady_clock(store, profiles)
        #: Where accounts that meet a challenge are written down.
        self.register: Register = register or LocalRegister()
        #: Which accounts did, and which were asked to; read with every request.
        self.standing = self.register.standing
        self.standing.erasing.append(profiles.forget)
        #: Failures that were decided by `on_error` or survived, by dependency; for metrics.
        self.failures = Failures()
        #: Applications that were started with it and have not ended; the last of them closes it.
        self.users = 0
        self.closed = False
        #: Called when all else is closed.
        self.closes: list[Callable[[], None]] = []
        self._secret = secret
        #: Keys digests of templates and client software; all others are keyed with the secret.
        self._group_key = group_key
        self._jwt = jwt
        # Why is in the log already, from where it was fetched.
        jwt.on_failure = partial(self.failures.add, "jwks")
        self.campaign_of = campaign_of
        #: The directory, where it knows only what it was told when it was asked.
        self._asked = accounts if isinstance(accounts, AskedDirectory) else None
        #: Who gave no answer to the decision under way; it takes them before it waits for anybody.
        self._silent: list[str] = []
        self._noticing = Noticing()
        #: Where secrets are written down that upstreams made for others, and whose those are.
        self.mint: Mint = mint or LocalMint()
        self.minted = self.mint.minted
        #: Whoever watches files reloads, and whoever asks all guards of a store to: on threads.
        self._reloading = threading.Lock()
        self._next_id = request_ids()
        #: The store, where it answers without a coroutine, which costs as much as six calls.
        self._at_once = store if isinstance(store, ImmediateStore) else None
        #: Shared state, which may fail; None where it cannot, or nobody bounds how long it takes.
        self.shared = store if isinstance(store, PatientStore) else None

    @property
    def policy(self) -> Policy:
        """The policy in force."""
        return self.policies.current

    @property
    def secret(self) -> bytes:
        """Key of every digest and of the links; for what lives beside the guard in its process."""
        return self._secret

    @property
    def key_errors(self) -> Mapping[str, str]:
        """URL of each key set of the policy whose last fetch failed → why; empty: all is well."""
        urls = {source.jwks for source in self.policies.current.identify.accounts}
        return {url: why for url, why in self._jwt.errors.items() if url in urls}

    def account_of(self, token: bytes) -> str:
        """The account of a credential, as `identify` names it."""
        return digest(self._secret, token)

    def needs_body(self, method: str, raw_path: bytes, headers: list[tuple[bytes, bytes]]) -> bool:
        """Whether the frontend must read the body before it asks for a decision."""
        return needs_body(self.policies.current.identify, method, raw_path, headers)

    async def decide(self, wire: Wire) -> Exchange:
        """Identify, then judge. Never raises: `on_error.guard` decides when the guard fails."""
        policy = self.policies.current
        request_id, at = self._next_id(), self.clock()
        try:
            jwt = self._jwt
            if policy.identify.fetches and jwt.needs(wire, policy.identify):
                await jwt.refresh(wire, policy.identify)
            request = identify(
                wire, policy.identify, policy.inspect, id=request_id, at=at, secret=self._secret,
                keys=jwt.keys, group_key=self._group_key,
            )  # fmt: skip
            if self.minted.accounts:
                request = self.minted.owned(request)
        except Exception as error:  # noqa: BLE001 - the last line of defence, decided by on_error
            request = Request(id=request_id, at=at, method=wire.method, path=None)
            return self._failed(policy, request, error)
        noticing = self._noticing
        if noticing.left or noticing.about is not policy:
            noticing.look(wire, request, policy)
        state = stated(wire, policy.identify) if policy.identify.attributes else wire.state
        return await self.judge(request, state=state)

    def unjudged(
        self, wire: Wire, *, rule: str, reason: str, retry_after: Callable[[str], float]
    ) -> Exchange:
        """The refusal (503) of a request that there was no time to look at: nobody is identified,
        nothing charged. `retry_after` gives seconds for the request's id.
        """
        policy = self.policies.current
        path = canonical(wire.raw_path)
        request_id = self._next_id()
        request = Request(
            id=request_id, at=self.clock(), method=wire.method, path=path,
            dialect=(route(path) if path else None) or by_client(path, dict(wire.headers)),
        )  # fmt: skip
        wait = retry_after(request_id)
        decision = turned_away(policy, rule=rule, reason=reason, retry_after=wait)
        return Exchange(request=request, decision=decision)

    def turned_away(self, exchange: Exchange, usage: Usage) -> None:
        """Settle what `unjudged` made: nothing was reserved, so nobody need be waited for."""
        exchange.settled = True
        exchange.usage = usage
        self._learn(exchange)

    async def judge(self, request: Request, *, state: Mapping[str, Any] | None = None) -> Exchange:
        """Everything after `identify`: enrich, assess, decide, reserve. Never raises."""
        policy = self.policies.current
        try:
            asked, account = self._asked, request.account
            unheard = (
                asked is not None and account is not None
                and asked.due(account) and not await heard(self, asked, account)
            )  # fmt: skip
            facts = enrich(self, request, state)
            signals = policy.signals
            assessment = assess(signals, request, facts, self._broken) if signals else _NOT_ASSESSED
            plan = decide(policy, request, facts, assessment)
            # Learned before the answer, not after it: whoever keeps a thousand streams open would
            # otherwise stay unseen until the first of them ends.
            profile = facts.profile
            if profile is not None:
                if assessment.risk > 0.0 and policy.recover:
                    hold(profile.held, assessment.risk, request.at, policy.recover)
                if signals:
                    observe(profile, request, facts)
            charges = plan.charges
            degraded = _NO_KEYS if request.credential_fault is _UNREACHABLE else ()
            if unheard:
                degraded = (*degraded, "accounts")
            if self._silent:
                degraded = (*degraded, *[one for one in self._silent if one not in degraded])
                self._silent.clear()
            if charges:
                store, wait = self._at_once, 1.0
                try:
                    if store is not None:
                        grants = store.reserve_now(charges, id=request.id, now=request.at)
                    else:
                        grants = await self.store.reserve(charges, id=request.id, now=request.at)
                except StoreError as error:
                    self.failures.tell("store", error)
                    # By now: it may have taken long, and the clock been set back.
                    shared, at = self.shared, self.clock()
                    grants = uncounted(shared, policy, charges, id=request.id, now=at)
                    degraded, wait = (*degraded, "store"), again(shared, request.id)
                decision = conclude(policy, plan, grants, degraded, wait)
            else:
                decision = conclude(policy, plan, (), degraded)
                if decision.action is _CHALLENGE and policy.verification is not None:
                    nonce = secrets.token_bytes(NONCE)
                    decision = linked(decision, request, policy.verification, self._secret, nonce)
            exchange = Exchange(
                request=request, facts=facts, assessment=assessment, plan=plan, decision=decision
            )
            if plan.rehearsed and not decision.action.refuses:
                try:
                    hits = await rehearse(self.store, exchange, plan, self.failures.tell)
                except BaseException:
                    # Whoever asked has left meanwhile and is told of no exchange to settle.
                    await self.settle(exchange, Usage(outcome=Outcome.CLIENT_GONE))
                    raise
                exchange.decision = with_hits(decision, hits)
            return exchange
        except Exception as error:  # noqa: BLE001 - the last line of defence, decided by on_error
            return self._failed(policy, request, error)

    async def charge(
        self, policy: Policy, charges: Sequence[Charge], *, id: str, now: float
    ) -> tuple[tuple[Grant, ...], tuple[str, ...]]:
        """Take `charges` for good, all or none: where limits are asked for alone, and nobody will
        say how a request ended. The grants, and what failed: then `on_error.store` stands in.

        `now` is Unix seconds; `id` is nobody else's.
        """
        degraded: tuple[str, ...] = ()
        try:
            grants = await self.store.reserve(charges, id=id, now=now)
        except StoreError as error:
            self.failures.tell("store", error)
            grants = uncounted(self.shared, policy, charges, id=id, now=now)
            degraded = ("store",)
        if grants and all(map(_ALLOWED, grants)):
            try:
                # At its full cost: this frees nothing, and the store need not remember it.
                costs = [charge.cost for charge in charges]
                await self.store.settle(charges, costs, id=id, now=now)
            except StoreError as error:
                self.failures.tell("store", error)
        return grants, degraded

    async def settle(self, exchange: Exchange, usage: Usage, *, now: float | None = None) -> None:
        """Put the real usage in place of the estimate, then learn. A second call does nothing.

        `now` is Unix seconds, the guard's clock when None. Never raises.
        """
        if exchange.settled:
            return
        exchange.settled = True
        exchange.usage = usage
        request, plan, grants = exchange.request, exchange.plan, exchange.decision.grants
        try:
            # What was taken is what the store granted, whatever was decided afterwards: a frontend
            # may still refuse (doubtful framing), and must not leave a slot taken.
            if grants and plan is not None and all(map(_ALLOWED, grants)):
                charges = plan.charges
                costs = actuals(charges, request, usage, exchange.charged)
                if now is None:
                    now = self.clock()
                store = self._at_once
                if store is not None:
                    store.settle_now(charges, costs, id=request.id, now=now)
                else:
                    await self.store.settle(charges, costs, id=request.id, now=now)
        except StoreError as error:
            self.failures.tell("store", error)
        except Exception as error:  # noqa: BLE001 - settling must never break a response
            self.failures.tell("settle", error)
        if exchange.rehearsed:
            at = self.clock() if now is None else now
            await settle_rehearsed(self.store, exchange, usage, now=at, failed=self.failures.tell)
        profile = exchange.facts.profile
        if profile is not None and usage.outcome is not _REFUSED:
            observe_usage(profile, request, usage)
        self._learn(exchange)

    def _learn(self, exchange: Exchange) -> None:
        for learner in self.learners:
            try:
                learner(exchange)
            except Exception as error:  # noqa: BLE001 - a learner must never break a response
                self.failures.tell("learn", error)

    def changed(self) -> bool:
        """Whether a file that `reload` reads has changed, and rests (`files.Files`)."""
        parts = (self.policies, self.network, self.indicators, self.accounts)
        # All are asked: each remembers what it saw. What an application brings may read no file.
        said = [part.changed() for part in parts if hasattr(part, "changed")]
        return any(said)

    def reload(self) -> bool:
        """Read policy, network data, indicators and accounts again; keep the last good of each.

        True when everything could be read; what could not is in the log and in `health`. From any
        thread: who comes while another is reading waits, so that nothing old is put over the new.
        """
        with self._reloading:
            good = self.policies.reload()
            good = self.network.reload() and good
            good = self.indicators.reload() and good
            return self.accounts.reload() and good

    async def close(self) -> None:
        """Release the store, end the linker's thread; the guard is not used afterwards.

        What an application's own store or directory raises is raised once all is closed.
        """
        self.closed = True
        async with contextlib.AsyncExitStack() as closing:
            for close in self.closes:
                closing.callback(close)
            # From the last to the first, each whatever becomes of the others.
            if self.linking is not None:
                # It learns from what waits, which takes a while; other connections may be open.
                closing.push_async_callback(asyncio.to_thread, self.linking.close)
            if self._asked is not None:
                closing.push_async_callback(self._asked.close)
            closing.push_async_callback(self.register.close)
            closing.push_async_callback(self.mint.close)
            closing.push_async_callback(self.store.close)

    def silent(self, what: str, error: Exception) -> None:
        """`what` gave no answer to the decision under way, which goes on without it."""
        self.failures.tell(what, error)
        self._silent.append(what)

    def _broken(self, detector: str, error: Exception) -> None:
        self.failures.tell(f"signal {detector}", error)
        if "signals" not in self._silent:
            self._silent.append("signals")

    def _failed(self, policy: Policy, request: Request, error: Exception) -> Exchange:
        self.failures.tell("guard", error)
        self._silent.clear()
        return Exchange(request=request, decision=failed(policy, error))
