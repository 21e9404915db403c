"""The judgement before quotas, and after. Pure."""

from __future__ import annotations

import math

from gateway_guard.core.amounts import amount
from gateway_guard.core.charging import charges_of
from gateway_guard.core.credentials import AMBIGUOUS
from gateway_guard.core.policy import Policy
from gateway_guard.core.rollout import chosen
from gateway_guard.core.rules import Rule
from gateway_guard.core.tokens import RETRY
from gateway_guard.types import (
    Action,
    Assessment,
    Charge,
    CredentialFault,
    Decision,
    Facts,
    Grant,
    Inspection,
    Plan,
    Request,
    ShadowHit,
)

_BODY_STATUS = {
    Inspection.TOO_LARGE: 413,
    Inspection.ENCODING: 415,
    Inspection.CHARSET: 415,
    Inspection.CONTENT_TYPE: 415,
}


def decide(policy: Policy, request: Request, facts: Facts, assessment: Assessment) -> Plan:
    """What the rules say, and what the limits are to be charged for it.

    A body or path that cannot be read is judged by `on_error`, because no rule can be trusted to
    have seen what the upstream would see. A credential that failed verification is refused on model
    routes (and ambiguous paths) before any rule; elsewhere its account is merely unknown, because
    clients send the expired token along when they ask for another. Where the keys that verify it
    cannot be fetched, the refusal says to come back (503). Credentials that two readers would read
    differently (two lines, two that differ, inner white space) are refused everywhere.
    Then rules in file order, first match wins. Rules that challenge are passed over for an account
    that has met a challenge; what stands below them judges it. An account that a person banned is
    denied, unless a rule does so in its own way. One that a person asked to verify itself is
    challenged unless a rule refuses it anyway, by more than its campaign: what a person decides of
    an account stands above what is believed of its company.
    """
    enforced = policy.enforce and (
        policy.rollout >= 1.0 or chosen(policy.rollout, "policy", request)
    )
    if request.path is None and policy.on_error.path == "deny":
        return Plan(
            action=Action.DENY, rule="guard:path", status=400, enforced=enforced,
            reason="the path's spelling is ambiguous",
        )  # fmt: skip
    fault = request.credential_fault
    if fault is not None and (
        request.model_route or request.path is None or request.credential == AMBIGUOUS
    ):
        if fault is CredentialFault.KEYS_UNREACHABLE:
            return Plan(
                action=Action.DENY, rule="guard:jwks", status=503, enforced=enforced,
                reason=f"the credential cannot be verified: {fault.meaning}", retry_after=RETRY,
            )  # fmt: skip
        return Plan(
            action=Action.DENY, rule="guard:credential", status=401, enforced=enforced,
            reason=f"the credential failed verification: {fault.meaning}",
        )  # fmt: skip
    shadow: tuple[ShadowHit, ...] = ()
    matched: Rule | None = None
    campaign = facts.campaign
    if campaign is not None:
        rules = policy.rules
    else:
        rules = policy.alone if assessment.risk or assessment.signals else policy.quiet
    for rule in rules:
        for test in rule.tests:
            if not test(request, facts, assessment):
                break
        else:
            if facts.vouched and rule.action is _CHALLENGE:
                continue
            if rule.shadow or not chosen(rule.rollout, rule.name, request):
                shadow = (*shadow, ShadowHit(rule=rule.name, action=rule.action))
                continue
            matched = rule
            break
    if campaign is not None and campaign.banned and (matched is None or matched.action < _DENY):
        return Plan(
            action=Action.DENY, rule="guard:ban", enforced=enforced, shadow=shadow,
            reason="a reviewer banned this account",
        )  # fmt: skip
    inspection = request.inspection
    if (
        inspection is not _FULL
        and inspection.unknown
        and policy.on_error.body == "deny"
        and not (matched is not None and matched.action.refuses)
    ):
        return Plan(
            action=Action.DENY, rule="guard:body", enforced=enforced, shadow=shadow,
            status=_BODY_STATUS.get(inspection, 400),
            reason=f"the body cannot be inspected: {inspection.value}",
        )  # fmt: skip
    if facts.challenged and (matched is None or not matched.action.refuses or not matched.alone):
        return Plan(
            action=Action.CHALLENGE, rule="guard:challenge", enforced=enforced, shadow=shadow,
            reason="a reviewer asked this account to verify itself",
        )  # fmt: skip
    # A socket cannot be restricted: whoever would be, must not pass where others do not.
    if (
        request.method == "WEBSOCKET"
        and policy.websocket == "deny"
        and (matched is None or matched.action is _RESTRICT)
    ):
        return Plan(
            action=Action.DENY, rule="guard:websocket", enforced=enforced, shadow=shadow,
            reason="the policy refuses WebSocket connections (websocket: deny)",
        )  # fmt: skip
    if matched is None:
        action = policy.default
        return Plan(
            action=action,
            reason="no rule matched",
            charges=()
            if action >= _REFUSALS
            else charges_of(policy.charged, request, facts, assessment),
            rehearsed=_rehearsed(policy, action, request, facts, assessment)
            if policy.rehearsed
            else (),
            shadow=shadow,
            enforced=enforced,
        )
    action = matched.action
    return Plan(
        action=action,
        rule=matched.name,
        reason=matched.why or ", ".join(f"{c.field}: {c.text}" for c in matched.conditions),
        where=matched.where,
        status=matched.status,
        charges=() if action.refuses else charges_of(policy.charged, request, facts, assessment),
        rehearsed=_rehearsed(policy, action, request, facts, assessment)
        if policy.rehearsed
        else (),
        restrictions=matched.restrictions,
        shadow=shadow,
        enforced=enforced,
        tarpit=matched.tarpit,
        challenge_url=matched.challenge_url,
        retry_after=matched.retry_after,
    )


def _rehearsed(
    policy: Policy, action: Action, request: Request, facts: Facts, assessment: Assessment
) -> tuple[Charge, ...]:
    """What limits that only rehearse are asked for; nothing where the rules refuse."""
    if action >= _REFUSALS:
        return ()
    return charges_of(policy.rehearsed, request, facts, assessment)


#: Properties, and members of enumerations, cost more than the comparison.
_FULL = Inspection.FULL
_ALLOW = Action.ALLOW
_RESTRICT = Action.RESTRICT
_CHALLENGE = Action.CHALLENGE
_DENY = Action.DENY
#: As `Action.refuses` has it.
_REFUSALS = Action.CHALLENGE
#: Of refusals whose rule names no status.
STATUS = {Action.CHALLENGE: 403, Action.THROTTLE: 429, Action.DENY: 403}


def conclude(
    policy: Policy,
    plan: Plan,
    grants: tuple[Grant, ...] = (),
    degraded: tuple[str, ...] = (),
    again: float = 1.0,
) -> Decision:
    """The decision after quotas: a plan that forwards becomes a throttle where a limit has no room.

    The wait is the longest of all refusing limits, because all must have room. `degraded` names
    dependencies that failed: a failed store denies (503, to come back in `again` seconds) or is
    passed over, by `on_error.store`; with `local`, `grants` are those of this worker's memory, and
    without any it denies.
    """
    action, rule, reason, where = plan.action, plan.rule, plan.reason, plan.where
    wait = -1.0
    for grant in grants:
        if not grant.allowed and grant.retry_after > wait:
            wait = grant.retry_after
            charge = grant.charge
            rule = f"limit:{charge.limit}"
            reason = (
                f"{charge.limit}: {amount(charge.cost)} {charge.unit} asked, "
                f"{amount(grant.remaining)} of {amount(charge.capacity)} left"
            )
    if action is _ALLOW and wait < 0.0 and not degraded:
        # What becomes of nearly every request needs no second thought.
        return Decision(
            action=action, rule=rule, reason=reason, where=where, grants=grants,
            shadow=plan.shadow, policy=policy.digest,
        )  # fmt: skip
    status, retry_after = plan.status, plan.retry_after
    if wait >= 0.0:
        action, status, where = Action.THROTTLE, 429, None
        retry_after = wait if wait != math.inf else None
    if degraded and "store" in degraded and not action.refuses and _uncounted(policy, grants):
        action, rule, where, status = Action.DENY, "guard:store", None, 503
        reason, retry_after = "limits could not be counted", again
    if action >= _REFUSALS:
        if status is None:
            status = STATUS[action]
    else:
        status = None
    return Decision(
        action=action,
        acted=plan.enforced or action is Action.ALLOW,
        rule=rule,
        reason=reason,
        where=where,
        status=status,
        retry_after=retry_after,
        grants=grants,
        restrictions=plan.restrictions if action is Action.RESTRICT else None,
        shadow=plan.shadow,
        tarpit=plan.tarpit if action is plan.action else 0.0,
        challenge_url=plan.challenge_url if action is Action.CHALLENGE else None,
        degraded=degraded,
        policy=policy.digest,
    )


def _uncounted(policy: Policy, grants: tuple[Grant, ...]) -> bool:
    """Whether a request must not go on that shared limits did not count."""
    choice = policy.on_error.store
    return choice == "deny" or (choice == "local" and not grants)
