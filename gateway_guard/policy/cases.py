"""Policy tests: what a policy must make of given requests, in a file beside it.

`given` states facts and suspicions as literals; detectors are not run. `expect` names what must
come of them, before quotas: action, rule, status, rehearsals, and how large each limit is.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from yaml.nodes import MappingNode, Node, SequenceNode

from gateway_guard.core.decide import conclude, decide
from gateway_guard.core.own import OWN
from gateway_guard.core.policy import Policy
from gateway_guard.errors import PolicyError
from gateway_guard.policy.compile import compile_policy, read_source
from gateway_guard.policy.diagnostics import Diagnostic, Severity, in_order, suggest
from gateway_guard.policy.given import STATED, as_met, literals
from gateway_guard.policy.nodes import compose, decode
from gateway_guard.policy.reader import MAX_FINDINGS, Findings, TooMany
from gateway_guard.policy.schema import EXPECTED_QUOTA, KEYS
from gateway_guard.policy.values import Section, items, kind_of, pairs, quantity, word
from gateway_guard.types import (
    Assessment,
    Facts,
    Request,
)

#: In `expect: { limits: … }`: the limit is not charged.
NOT_CHARGED: Final = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One case, run.

    Attributes:
        it: the fact it states.
        where: `file:line` of the case.
        got: what came of it, the keys of `expect`; `limits` names every limit charged.
        wrong: one line per expectation that was not met, and behind them one per score that no
            request has; empty when it passed.
    """

    it: str
    where: str
    got: dict[str, Any]
    wrong: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether every expectation was met."""
        return not self.wrong


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseFile:
    """The cases of one file, in file order, and warnings about the file itself."""

    name: str
    policy: str
    cases: tuple[Case, ...]
    warnings: tuple[Diagnostic, ...] = ()


def run_cases(path: str | os.PathLike[str]) -> CaseFile:
    """Run every case of a `*.test.yaml` file.

    Raises:
        PolicyError: the test file, or the policy it names, does not load.
    """
    name = os.fspath(path)
    found = Findings(name)
    cases: list[Case] = []
    policy: Policy | None = None
    try:
        source, unreadable = read_source(name)
        if source is None:
            raise PolicyError(unreadable)
        text = decode(source, found)
        root = compose(text, found) if text is not None else None
        if root is not None:
            document = Section(found, root, "file")
            beside = document.read("policy")
            if beside is not None:
                policy = _policy(found, document.fields["policy"][1], Path(name).parent / beside)
            if policy is not None and (node := document.get("cases")) is not None:
                cases = _cases(found, node, policy)
    except TooMany:
        found.file("GG111", f"reading stopped after {MAX_FINDINGS} mistakes")
    findings = in_order(found.all)
    if policy is None or any(d.severity is Severity.ERROR for d in findings):
        raise PolicyError(findings)
    return CaseFile(name=name, policy=policy.source, cases=tuple(cases), warnings=tuple(findings))


def _policy(found: Findings, node: Node, path: Path) -> Policy | None:
    """The policy under test; None, with a finding where it is named, when there is no such file.

    Raises:
        PolicyError: it does not load.
    """
    source, unreadable = read_source(os.fspath(path))
    if source is not None:
        return compile_policy(source, os.fspath(path))
    reason = unreadable[0].message
    found.at("GG101", node, f"the policy under test, {path}, {reason}", hint=_BESIDE)
    return None


_BESIDE: Final = "policy: its path, from the directory of this file"


def _cases(found: Findings, node: Node, policy: Policy) -> list[Case]:
    if not isinstance(node, SequenceNode):
        found.at("GG204", node, f"cases are a list, not {kind_of(node)}")
        return []
    cases: list[Case] = []
    for item in node.value:
        section = Section(found, item, "case")
        it = section.read("it")
        given = section.section("given")
        request, facts, assessment = literals(found, given, policy)
        expect = section.section("expect")
        if expect is not None and not expect.fields:
            found.at(
                "GG701",
                expect.node,
                "the case expects nothing",
                hint=f"keys: {', '.join(KEYS['expect'])}",
            )
        rolled_out = given.read("rolled_out") if given is not None else None
        met = policy if rolled_out is None else as_met(policy, chosen=rolled_out)
        got = outcome(met, request, facts, assessment)
        wrong = _compare(found, expect, got, policy) if expect is not None else []
        if wrong:
            wrong += [
                f"signal: of {signal.name}, {signal.evidence}"
                for signal in assessment.signals
                if signal.evidence != STATED
            ]
        where = f"{found.name}:{item.start_mark.line + 1}"
        cases.append(Case(it=it or "", where=where, got=got, wrong=tuple(wrong)))
    return cases


def outcome(
    policy: Policy, request: Request, facts: Facts, assessment: Assessment
) -> dict[str, Any]:
    """What the policy makes of an exchange before quotas, in the words of `expect`."""
    plan = decide(policy, request, facts, assessment)
    decision = conclude(policy, plan)
    return {
        "action": decision.action.word,
        "rule": decision.rule or "default",
        "status": decision.status,
        "acted": decision.acted,
        "shadow": [hit.rule for hit in decision.shadow],
        "limits": {charge.limit: charge.quota for charge in (*plan.charges, *plan.rehearsed)},
    }


def _compare(found: Findings, expect: Section, got: dict[str, Any], policy: Policy) -> list[str]:
    wrong: list[str] = []
    for key in ("action", "rule", "status", "acted"):
        if key not in expect:
            continue
        wanted = expect.read(key)
        if key == "rule" and wanted is not None:
            _known_rule(found, expect, wanted, policy)
        if wanted is not None and wanted != got[key]:
            wrong.append(f"{key}: expected {_show(wanted)}, got {_show(got[key])}")
    if (node := expect.get("shadow")) is not None:
        wanted = [item.value for item in items(found, node)]
        if wanted != got["shadow"]:
            wrong.append(f"shadow: expected {_show(wanted)}, got {_show(got['shadow'])}")
    if (node := expect.get("limits")) is not None:
        if not isinstance(node, MappingNode):
            found.at("GG204", node, f"limits are a mapping name → quota, not {kind_of(node)}")
            return wrong
        names = [limit.name for limit in policy.limits]
        if not node.value:
            hint = f"name some of them: {', '.join(names[:24])}" if names else "leave it out"
            found.at("GG701", node, "the case expects nothing of limits", hint=hint)
        for name, key_node, value in pairs(found, node):
            free = getattr(value, "value", "") == NOT_CHARGED
            quota = None if free else quantity(found, value, EXPECTED_QUOTA)
            if word(found, key_node, names, "limit") is None or (quota is None and not free):
                continue
            has = got["limits"].get(name)
            same = has is None if quota is None else _equal(has, quota)
            if not same:
                shown = ["not charged" if q is None else f"{q:.12g}" for q in (quota, has)]
                wrong.append(f"limits: expected {name} {shown[0]}, got {shown[1]}")
    return wrong


def _equal(has: float | None, quota: float) -> bool:
    return has is not None and math.isclose(has, quota, rel_tol=1e-9)


def _known_rule(found: Findings, expect: Section, name: str, policy: Policy) -> None:
    names = ["default", *(rule.name for rule in policy.rules), *OWN]
    if name not in names:
        found.at(
            "GG203",
            expect.fields["rule"][1],
            f"unknown rule '{name[:60]}'",
            hint=_FRESH if name.startswith("limit:") else suggest(name, names),
        )


_FRESH: Final = (
    "nothing is used up in a case; what a limit grants there is stated by `limits: { NAME: quota }`"
)


def _show(value: object) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(str, value))}]"
    return {None: "none", True: "true", False: "false"}.get(value, str(value))  # type: ignore[call-overload,no-any-return]
