"""What a replay counts: actions, rules, limits, signals, and how each account fared."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec

from gateway_guard.core.policy import Policy
from gateway_guard.types import AccountFacts, Action, Exchange

#: An account is contained when at least half of its last so many exchanges were refused.
LAST = 10
_TAIL = (1 << LAST) - 1

_NOBODY = AccountFacts()
#: Looking up a member of an enumeration costs more than comparing with it.
_RESTRICT = Action.RESTRICT


class Fate(msgspec.Struct):
    """How one account fared.

    Attributes:
        exchanges, refused, restricted: counts; a restricted exchange was answered with less.
        tail: one bit per exchange of the last `LAST`, 1 for refused.
        risk: highest seen, in [0, 1].
        changed: exchanges another policy would decide differently.
    """

    exchanges: int = 0
    refused: int = 0
    restricted: int = 0
    tail: int = 0
    risk: float = 0.0
    changed: int = 0

    @property
    def contained(self) -> bool:
        """Whether at least half of the last ten exchanges (all, if fewer) were refused."""
        return 2 * (self.tail & _TAIL).bit_count() >= min(self.exchanges, LAST)


class Tally:
    """Counts the exchanges one policy decided.

    Attributes:
        accounts: recorded account → fate; exchanges without one are under `""`.
        strangers: accounts of which no attribute was known at their first exchange.
    """

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.actions: Counter[Action] = Counter()
        self.rules: Counter[tuple[str, Action]] = Counter()
        self.shadow: Counter[tuple[str, Action]] = Counter()
        #: Accounts of either, apart: what is rolled out acts for some and rehearses for others.
        #: Exchanges without one are nobody's.
        self.met: dict[tuple[str, Action], set[str]] = {}
        self.rehearsed: dict[tuple[str, Action], set[str]] = {}
        self.limits: Counter[str] = Counter()
        self.signals: dict[str, tuple[int, set[str], float]] = {}
        self.tiers: dict[str, list[int]] = {}
        self.uninspected: Counter[str] = Counter()
        self.accounts: dict[str, Fate] = {}
        self.strangers = 0

    def add(self, account: str, exchange: Exchange) -> None:
        """Count one exchange of the recorded `account`."""
        decision, risk = exchange.decision, exchange.assessment.risk
        action = decision.action
        refused = action >= Action.CHALLENGE
        self.actions[action] += 1
        rule = decision.rule or "default", action
        self.rules[rule] += 1
        if account:
            self.met.setdefault(rule, set()).add(account)
        fate = self.accounts.get(account)
        if fate is None:
            fate = self.accounts[account] = Fate()
            if account and exchange.facts.account == _NOBODY:
                self.strangers += 1
        fate.exchanges += 1
        fate.refused += refused
        fate.restricted += action is _RESTRICT
        fate.tail = fate.tail << 1 & _TAIL | refused
        if risk > fate.risk:
            fate.risk = risk
        tier = self.tiers.get(exchange.facts.account.tier or "unknown")
        if tier is None:
            tier = self.tiers[exchange.facts.account.tier or "unknown"] = [0, 0]
        tier[0] += 1
        tier[1] += refused
        for signal in exchange.assessment.signals:
            count, accounts, most = self.signals.get(signal.name) or (0, set(), 0.0)
            if account:
                accounts.add(account)
            self.signals[signal.name] = (count + 1, accounts, max(most, signal.score))
        for hit in decision.shadow:
            self.shadow[hit.rule, hit.action] += 1
            if account:
                self.rehearsed.setdefault((hit.rule, hit.action), set()).add(account)
        if refused:
            for grant in decision.grants:
                if not grant.allowed:
                    self.limits[grant.charge.limit] += 1
        inspection = exchange.request.inspection
        if inspection.unknown:
            self.uninspected[inspection.value] += 1

    def as_json(self) -> dict[str, Any]:
        """Everything counted, for `--format json`."""
        fates = self.accounts.values()
        return {
            "policy": self.policy.source,
            "digest": self.policy.digest,
            "mode": "enforce" if self.policy.enforce else "shadow",
            "exchanges": self.actions.total(),
            "accounts": len(self.accounts),
            "accounts_without_attributes": self.strangers,
            "accounts_refused": sum(fate.refused > 0 for fate in fates),
            "accounts_contained": sum(fate.contained for fate in fates),
            "actions": {action.word: self.actions[action] for action in Action},
            "rules": _by_rule(self.rules, self.met),
            "shadow": _by_rule(self.shadow, self.rehearsed),
            "limits": dict(self.limits.most_common()),
            "signals": {
                name: {"exchanges": count, "accounts": len(accounts), "highest": most}
                for name, (count, accounts, most) in sorted(self.signals.items())
            },
            "tiers": {
                tier: {"exchanges": total, "refused": refused}
                for tier, (total, refused) in sorted(self.tiers.items())
            },
            "uninspected": dict(self.uninspected),
        }


def _by_rule(
    counts: Counter[tuple[str, Action]], met: dict[tuple[str, Action], set[str]]
) -> list[dict[str, Any]]:
    return [
        {
            "rule": rule,
            "action": action.word,
            "exchanges": count,
            "accounts": len(met.get((rule, action), ())),
        }
        for (rule, action), count in counts.most_common()
    ]


def compare(first: Tally, second: Tally) -> list[dict[str, Any]]:
    """Accounts the two policies treat differently, most changed first."""
    rows: list[dict[str, Any]] = [
        {
            "account": account,
            "exchanges": fate.exchanges,
            "changed": fate.changed,
            "refused": fate.refused,
            "refused_against": second.accounts[account].refused,
        }
        for account, fate in first.accounts.items()
        if fate.changed
    ]
    rows.sort(key=lambda row: (-row["changed"], row["account"]))
    return rows
