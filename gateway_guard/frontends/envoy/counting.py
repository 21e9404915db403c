"""Envoy's rate-limit service, answered from the guard's store."""

from __future__ import annotations

import asyncio

from gateway_guard.accounts.base import AskedDirectory
from gateway_guard.core.decide import conclude
from gateway_guard.core.policy import Policy
from gateway_guard.core.rollout import chosen
from gateway_guard.frontends.envoy.answers import FRAMING
from gateway_guard.frontends.envoy.limits import Asked, asked, limit_response
from gateway_guard.frontends.extauth.original import Misasked
from gateway_guard.frontends.refusals import refusal
from gateway_guard.guard import Guard
from gateway_guard.ids import request_ids
from gateway_guard.types import Action, Exchange, Facts, Grant, NetworkFacts, Plan, Request
from gateway_guard.uncounted import again

_UNKNOWN_NETWORK = NetworkFacts(known=False)


class Counting:
    """Charges what descriptors ask for. What is charged stays charged: nobody reports an end.

    Attributes:
        guard: whose policy, store and facts are used. Rules are not asked, and nothing is learnt.
        over: questions refused because a limit had no room, since the start.
        unknown: descriptors that were not understood, hence OK, since the start.
        last_unknown: what was not understood of the latest of them; empty when there is none.
    """

    def __init__(self, guard: Guard) -> None:
        self.guard = guard
        self.over = 0
        self.unknown = 0
        self.last_unknown = ""
        self._next_id = request_ids()
        accounts = guard.accounts
        self._directory = accounts if isinstance(accounts, AskedDirectory) else None

    async def answer(self, message: bytes) -> bytes | Misasked:
        """The serialised answer to a serialised `RateLimitRequest`."""
        guard = self.guard
        policy = guard.policy
        question, at = self._next_id(), guard.clock()
        strange: set[str] = set()

        def enrich(request: Request) -> Facts:
            account, directory = request.account, self._directory
            if directory is not None and account is not None and directory.due(account):
                strange.add(account)
            return self._enrich(request)

        found = asked(message, policy, enrich, id=question, at=at, account_of=guard.account_of)
        heard = await self._heard(strange)
        if heard:
            found = asked(
                message, policy, self._enrich, id=question, at=at, account_of=guard.account_of
            )
        if isinstance(found, Misasked):
            return found
        unknown = found.unknown
        if unknown:
            self.unknown += len(unknown)
            self.last_unknown = unknown[-1]
        if not found.charges:
            return limit_response(found, (), over=False)
        grants, degraded = await guard.charge(policy, found.charges, id=found.id, now=at)
        if strange and not heard:
            degraded = ("accounts", *degraded)
        exchange = _concluded(policy, found, grants, degraded, again(guard.shared, found.id))
        if exchange.decision.forwards:
            return limit_response(found, grants, over=False)
        self.over += 1
        _, headers, body = refusal(exchange)
        told = [field for field in headers if field[0] not in FRAMING]
        return limit_response(found, grants, over=True, headers=told, body=body)

    async def _heard(self, accounts: set[str]) -> bool:
        """Ask the directory about `accounts`; whether it has said something of any of them."""
        directory = self._directory
        if directory is None or not accounts:
            return False
        return any(await asyncio.gather(*(directory.ask(account) for account in accounts)))

    def _enrich(self, request: Request) -> Facts:
        """What the guard knows of an address and an account; no campaign."""
        guard, address, account = self.guard, request.client_ip, request.account
        network = guard.network.lookup(address) if address is not None else _UNKNOWN_NETWORK
        if account is None:
            return Facts(network=network)
        return Facts(
            network=network,
            account=guard.accounts.lookup(account, None),
            held=guard.profiles.get(account).held,
        )


def _concluded(
    policy: Policy, found: Asked, grants: tuple[Grant, ...], degraded: tuple[str, ...], wait: float
) -> Exchange:
    """The decision, about the first descriptor that was refused, or else the first understood."""
    refused = {grant.charge.key for grant in grants if not grant.allowed}
    rows = [row for row in found.rows if row.charge is not None and row.request is not None]
    row = next((row for row in rows if row.charge and row.charge.key in refused), rows[0])
    request = row.request
    assert request is not None  # noqa: S101 - rows without one were left out
    enforced = policy.enforce and chosen(policy.rollout, "policy", request)
    plan = Plan(action=Action.ALLOW, charges=found.charges, enforced=enforced)
    decision = conclude(policy, plan, grants, degraded, wait)
    return Exchange(request=request, plan=plan, decision=decision)
