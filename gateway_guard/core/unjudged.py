"""Decisions about requests that nobody judged: the guard failed, or had no time to look. Pure."""

from __future__ import annotations

from gateway_guard.core.policy import Policy
from gateway_guard.types import Action, Decision


def failed(policy: Policy, error: Exception) -> Decision:
    """What `on_error.guard` makes of a request the guard failed at. Of `error` its type is told
    only: its text may quote what it choked on.
    """
    allow = policy.on_error.guard == "allow"
    return Decision(
        action=Action.ALLOW if allow else Action.DENY,
        acted=policy.enforce or allow,
        rule="guard:error",
        reason=f"the guard failed: {type(error).__name__}",
        status=None if allow else 500,
        degraded=("guard",),
        policy=policy.digest,
    )


def turned_away(policy: Policy, *, rule: str, reason: str, retry_after: float) -> Decision:
    """The refusal (503) of a request nobody looked at, who may come again in `retry_after` seconds.

    Not acted upon in shadow, nor where the policy acts for some accounts only: whose it is nobody
    knows.
    """
    return Decision(
        action=Action.DENY, acted=policy.enforce and policy.rollout >= 1.0, rule=rule,
        reason=reason, status=503, retry_after=retry_after, policy=policy.digest,
    )  # fmt: skip
