"""What is decided about a request: before quotas the plan, after them the decision."""

from __future__ import annotations

import msgspec

from gateway_guard.types.action import Action
from gateway_guard.types.quota import Charge, Grant


class Restrictions(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What `restrict` takes away; None leaves a thing as the client asked.

    Attributes:
        max_output_tokens: upper bound put on the output cap, tokens, >= 1.
        logprobs: False drops any request for token probabilities.
        n: upper bound on the number of completions, >= 1.
        chat_cap: where that bound is put in a chat of OpenAI's dialect that sets none:
            `max_completion_tokens`, or (None) `max_tokens`.
    """

    max_output_tokens: int | None = None
    logprobs: bool | None = None
    n: int | None = None
    chat_cap: str | None = None


class ShadowHit(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A rule that matched, or a limit (`limit:NAME`) that had no room, but only rehearses."""

    rule: str
    action: Action


class Plan(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The judgement before quotas.

    Attributes:
        action: what the rules say.
        rule: name of the rule that matched; None for the policy's default. Built-in judgements
            (unreadable body, ambiguous path) are named `guard:body`, `guard:path`, …
        reason: why, in words, for the decision log; never sent to the client.
        status: HTTP status of a refusal; None for the action's own.
        where: `file:line` of the rule; None for the default.
        charges: what to reserve; empty when the action refuses (refusals are free).
        rehearsed: what limits that only rehearse are asked for; likewise.
        restrictions: what to take away; None unless the action is `RESTRICT`.
        shadow: rules that matched in rehearsal, in file order.
        enforced: whether the policy (mode, rollout share) acts on this account at all.
        tarpit: seconds to hold a refusal before answering; 0 for none.
        challenge_url: where to verify; None unless the action is `CHALLENGE`.
        retry_after: seconds a `throttle` rule asks to wait; None otherwise.
    """

    action: Action
    rule: str | None = None
    reason: str = ""
    status: int | None = None
    where: str | None = None
    charges: tuple[Charge, ...] = ()
    rehearsed: tuple[Charge, ...] = ()
    restrictions: Restrictions | None = None
    shadow: tuple[ShadowHit, ...] = ()
    enforced: bool = True
    tarpit: float = 0.0
    challenge_url: str | None = None
    retry_after: float | None = None


class Decision(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The judgement after quotas: what the frontend carries out and the log records.

    Attributes:
        action: what the guard decided.
        acted: whether the frontend carries it out. False in shadow: the request is forwarded
            unchanged and no byte of the response changes.
        rule, reason, where: as in `Plan`; a throttle by a limit is named `limit:NAME`.
        status: HTTP status of the refusal; None when the request is forwarded.
        retry_after: seconds, exact; None when a retry is useless or needless.
        grants: every limit's answer, in policy order.
        restrictions: what to take away from the forwarded request; None for nothing.
        shadow: rules that matched in rehearsal, then limits without room in rehearsal.
        tarpit: seconds to hold the refusal.
        challenge_url: where to verify; None unless the action is `CHALLENGE`.
        degraded: names of dependencies that failed and were decided by `on_error`.
        policy: digest of the policy that decided.
    """

    action: Action
    acted: bool = True
    rule: str | None = None
    reason: str = ""
    where: str | None = None
    status: int | None = None
    retry_after: float | None = None
    grants: tuple[Grant, ...] = ()
    restrictions: Restrictions | None = None
    shadow: tuple[ShadowHit, ...] = ()
    tarpit: float = 0.0
    challenge_url: str | None = None
    degraded: tuple[str, ...] = ()
    policy: str = ""

    @property
    def forwards(self) -> bool:
        """Whether the request goes to the upstream."""
        return not (self.acted and self.action.refuses)
