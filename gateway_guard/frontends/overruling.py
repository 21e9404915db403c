"""A refusal after all: what becomes of a decision to forward when a frontend finds a reason."""

from __future__ import annotations

import msgspec

from gateway_guard.types import Action, Decision, Exchange


def overruled(
    exchange: Exchange, *, rule: str, reason: str, status: int, retry_after: float | None = None
) -> Decision:
    """The refusal in place of `exchange.decision`, acted upon where the policy is enforced.

    Args:
        exchange: what was decided to be forwarded; its grants stay, so that they are given back.
        rule: what the decision log calls it, `guard:…`.
        reason: why, for the decision log.
        status: what the client is told, 400 to 599.
        retry_after: seconds until it may come back; None for no word of that.
    """
    plan = exchange.plan
    return msgspec.structs.replace(
        exchange.decision,
        action=Action.DENY,
        acted=plan.enforced if plan is not None else exchange.decision.acted,
        rule=rule,
        where=None,
        reason=reason,
        status=status,
        retry_after=retry_after,
        restrictions=None,
        challenge_url=None,
        tarpit=0.0,
    )
