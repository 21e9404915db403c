"""What a policy asks of accounts that nobody but the operator can say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from gateway_guard.core.policy import Policy
from gateway_guard.core.rules import Condition

#: Condition → the field of `AccountFacts` it looks at. `verified` is not among them: of that the
#: guard has records of its own.
ATTRIBUTES: Final[Mapping[str, str]] = {
    "account_age": "created_at",
    "account_country": "country",
    "account_tag": "tags",
    "organisation": "organisation",
    "programme": "programme",
    "tier": "tier",
}
_LISTED: Final = 3


def asked_of_accounts(policy: Policy) -> Mapping[str, tuple[str, ...]]:
    """Condition → the rules and limits that ask for it, in file order; conditions by alphabet.

    A limit asks by its `when`, by `per` and by `adapt`, too. What a header of `identify.attributes`
    says, or a token, is left out.
    """
    said = {field for field, _ in policy.identify.attributes}
    said |= {field for source in policy.identify.accounts for field, _ in source.attributes}
    asking: dict[str, dict[str, None]] = {}
    for name, condition in _all(policy):
        if ATTRIBUTES[condition] not in said:
            asking.setdefault(condition, {})[name] = None
    return {condition: tuple(asking[condition]) for condition in sorted(asking)}


def naming_accounts(policy: Policy) -> tuple[str, ...]:
    """Rules and limits that name accounts by their digests, in file order."""
    parts = [(limit.name, limit.conditions) for limit in policy.limits]
    parts += [(rule.name, rule.conditions) for rule in policy.rules]
    return tuple(
        name
        for name, conditions in parts
        if any(
            "acct_" in condition.text and "account" in (condition.field, *condition.within)
            for condition in conditions
        )
    )


def _all(policy: Policy) -> Iterator[tuple[str, str]]:
    """(name of a rule or limit, a condition of `ATTRIBUTES`)."""
    for limit in policy.limits:
        for condition in _within(limit.conditions):
            yield limit.name, condition
        if "organisation" in limit.per:
            yield limit.name, "organisation"
        if limit.adapt is not None and (limit.adapt.age or limit.adapt.unknown_age != 1.0):
            yield limit.name, "account_age"
        if limit.adapt is not None and limit.adapt.tier:
            yield limit.name, "tier"
    for rule in policy.rules:
        for condition in _within(rule.conditions):
            yield rule.name, condition


def _within(conditions: Iterable[Condition]) -> Iterator[str]:
    for condition in conditions:
        for key in condition.within or (condition.field,):
            if key in ATTRIBUTES:
                yield key


def in_words(asked: Mapping[str, tuple[str, ...]]) -> str:
    """`account_age (requests, tokens, newcomers), tier (tokens)`; of many names the first ones."""
    parts = []
    for condition, names in asked.items():
        more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
        parts.append(f"{condition} ({', '.join(names[:_LISTED])}{more})")
    return ", ".join(parts)
