"""A compiled policy, in words."""

from __future__ import annotations

from collections.abc import Iterable

from gateway_guard.core.decide import STATUS
from gateway_guard.core.limits import Limit
from gateway_guard.core.policy import Policy
from gateway_guard.core.rules import Condition, Rule
from gateway_guard.policy.units import show_seconds, show_share
from gateway_guard.types import Action

_VERB = {
    Action.ALLOW: "the request is forwarded",
    Action.RESTRICT: "the request is forwarded with less",
    Action.CHALLENGE: "the account is asked to verify itself",
    Action.THROTTLE: "the request is refused for now",
    Action.DENY: "the request is refused",
}


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def summary(policy: Policy) -> str:
    """What a policy does, on one line: `enforces 4 rules, 5 limits and 7 signals; …`."""
    if not policy.enforce:
        verb = "only watches (mode: shadow)"
    elif policy.rollout < 1.0:
        verb = f"enforces for {show_share(policy.rollout)} of accounts"
    else:
        verb = "enforces"
    rehearsed = sum(rule.shadow for rule in policy.rules)
    rules = _count(len(policy.rules), "rule")
    if rehearsed:
        rules += f" ({rehearsed} in shadow)"
    limits = _count(len(policy.limits), "limit")
    rehearsed = sum(limit.shadow for limit in policy.limits)
    if rehearsed:
        limits += f" ({rehearsed} in shadow)"
    return (
        f"{verb} {rules}, {limits} and "
        f"{_count(len(policy.signals), 'signal')}; default {policy.default.word}; "
        f"digest {policy.digest}"
    )


def conditions_in_words(conditions: Iterable[Condition]) -> list[str]:
    """One line per condition, as written."""
    return [f"  {condition.field}: {condition.text}" for condition in conditions]


def rule_in_words(policy: Policy, rule: Rule) -> list[str]:
    """A rule, line by line."""
    number = policy.rules.index(rule) + 1
    lines = [f"{rule.name}: rule {number} of {len(policy.rules)}, {rule.where}"]
    if rule.why:
        lines.append(f"  why: {rule.why}")
    if rule.conditions:
        lines.append("When no earlier rule has matched, and all of these hold:")
        lines += conditions_in_words(rule.conditions)
    else:
        lines.append("When no earlier rule has matched, whatever the request:")
    status = rule.status or STATUS.get(rule.action)
    then = f"then {_VERB[rule.action]} ({rule.action.word}{f', {status}' if status else ''})"
    if rule.restrictions is not None:
        taken = rule.restrictions
        parts = []
        if taken.max_output_tokens is not None:
            where = f" ({taken.chat_cap} in chats that set none)" if taken.chat_cap else ""
            parts.append(f"at most {taken.max_output_tokens:,} output tokens{where}")
        if taken.n is not None:
            parts.append(f"at most {_count(taken.n, 'completion')}")
        if taken.logprobs is False:
            parts.append("no token probabilities")
        then += f": {', '.join(parts)}"
    if rule.tarpit:
        then += f", after {show_seconds(rule.tarpit)}"
    if rule.retry_after is not None:
        then += f", come back in {show_seconds(rule.retry_after)}"
    if rule.challenge_url:
        then += f" at {rule.challenge_url}"
    lines.append(f"{then}.")
    if rule.shadow:
        lines.append("It only rehearses: the match is logged and the next rule is asked.")
    elif rule.rollout < 1.0:
        lines.append(
            f"It acts for {show_share(rule.rollout)} of accounts and rehearses for others."
        )
    if not policy.enforce:
        lines.append("The policy is in shadow: nothing is acted on.")
    return lines


def limit_in_words(limit: Limit) -> list[str]:
    """A limit, line by line."""
    lines = [f"{limit.name}: limit, {limit.where}"]
    per = " and ".join(limit.per)
    if limit.unit == "concurrent":
        lines.append(f"At most {limit.quota:,.0f} requests in flight per {per}.")
    else:
        lines.append(
            f"{limit.quota:,.0f} {limit.unit.replace('-', ' ')} per {show_seconds(limit.window)} "
            f"per {per}, at most {limit.burst:,.0f} at once."
        )
    if limit.conditions:
        lines.append("Charged only where all of these hold:")
        lines += conditions_in_words(limit.conditions)
    if limit.shadow:
        lines.append("It only rehearses: what it would refuse is logged and goes on.")
    elif limit.rollout < 1.0:
        lines.append(
            f"It is in force for {show_share(limit.rollout)} of accounts and rehearses for others."
        )
    adapt = limit.adapt
    if adapt is None:
        return lines
    lines.append("The quota adapts; all that apply are multiplied:")
    lines += [f"  risk from {floor:g}: {show_share(share)}" for floor, share in adapt.risk]
    if adapt.risk and adapt.recover:
        lines.append(f"  recovering over {show_seconds(adapt.recover)}")
    shares: dict[float, list[str]] = {}
    for country, share in sorted(adapt.region.items()):
        shares.setdefault(share, []).append(country)
    lines += [f"  country {', '.join(codes)}: {show_share(s)}" for s, codes in shares.items()]
    lines += [
        f"  account younger than {show_seconds(ceiling)}: {show_share(share)}"
        for ceiling, share in adapt.age
    ]
    if adapt.unknown_age != 1.0:
        lines.append(f"  account of unknown age: {show_share(adapt.unknown_age)}")
    lines += [f"  tier {tier}: {show_share(share)}" for tier, share in adapt.tier.items()]
    return lines
