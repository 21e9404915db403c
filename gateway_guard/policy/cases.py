"""Policy tests: what a policy must make of given requests, in a file beside it.

`given` states facts and suspicions as literals; detectors are not run. `expect` names what must
come of them, before quotas: action, rule, status, rehearsals, and how large each limit is.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from yaml.nodes import MappingNode, Node, SequenceNode

from gateway_guard.core import dialects
from gateway_guard.core.address import parse_ip, subnet_of
from gateway_guard.core.decide import conclude, decide
from gateway_guard.core.own import OWN
from gateway_guard.core.paths import canonical
from gateway_guard.core.policy import Policy
from gateway_guard.errors import PolicyError
from gateway_guard.policy.compile import load_policy, read_source
from gateway_guard.policy.countries import bad_code
from gateway_guard.policy.diagnostics import Diagnostic, Severity, in_order, suggest
from gateway_guard.policy.indicators import given_indicators
from gateway_guard.policy.nodes import compose, decode
from gateway_guard.policy.reader import MAX_FINDINGS, Findings, TooMany
from gateway_guard.policy.schema import KEYS
from gateway_guard.policy.values import Section, items, kind_of, pairs, quantity, word
from gateway_guard.types import (
    UNKNOWN,
    AccountFacts,
    Assessment,
    CampaignFacts,
    CredentialFault,
    Dialect,
    Facts,
    Held,
    IndicatorFacts,
    Inspection,
    NetworkFacts,
    PromptShape,
    Request,
    Signal,
)

#: The moment of every case: 2026-01-01 00:00:00 UTC. Only ages depend on it.
NOW: Final = 1_767_225_600.0
#: In `expect: { limits: … }`: the limit is not charged.
NOT_CHARGED: Final = "none"
#: Kinds of `given` whose values may be lists.
_LISTS: Final = ("words", "texts", "scores", "given_indicators")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One case, run.

    Attributes:
        it: the fact it states.
        where: `file:line` of the case.
        got: what came of it, the keys of `expect`; `limits` names every limit charged.
        wrong: one line per expectation that was not met; empty when it passed.
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
                policy = load_policy(Path(name).parent / beside)
            if policy is not None and (node := document.get("cases")) is not None:
                cases = _cases(found, node, policy)
    except TooMany:
        found.file("GG111", f"reading stopped after {MAX_FINDINGS} mistakes")
    findings = in_order(found.all)
    if policy is None or any(d.severity is Severity.ERROR for d in findings):
        raise PolicyError(findings)
    return CaseFile(name=name, policy=policy.source, cases=tuple(cases), warnings=tuple(findings))


def _cases(found: Findings, node: Node, policy: Policy) -> list[Case]:
    if not isinstance(node, SequenceNode):
        found.at("GG204", node, f"cases are a list, not {kind_of(node)}")
        return []
    cases: list[Case] = []
    for item in node.value:
        section = Section(found, item, "case")
        it = section.read("it")
        given = section.section("given")
        request, facts, assessment = _given(found, given, policy)
        expect = section.section("expect")
        if expect is not None and not expect.fields:
            found.at(
                "GG701",
                expect.node,
                "the case expects nothing",
                hint=f"keys: {', '.join(KEYS['expect'])}",
            )
        got = outcome(policy, request, facts, assessment)
        wrong = _compare(found, expect, got, policy) if expect is not None else []
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
            quota = None if free else quantity(found, value, KEYS["limit"]["burst"])
            if word(found, key_node, names, "limit") is None or (quota is None and not free):
                continue
            has = got["limits"].get(name)
            same = has is None if quota is None else _equal(has, quota)
            if not same:
                shown = ["not charged" if q is None else f"{q:g}" for q in (quota, has)]
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
            hint=suggest(name, names),
        )


def _show(value: object) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(str, value))}]"
    return {None: "none", True: "true", False: "false"}.get(value, str(value))  # type: ignore[call-overload,no-any-return]


def _given(
    found: Findings, given: Section | None, policy: Policy
) -> tuple[Request, Facts, Assessment]:
    """The literals of one case; what it does not name is an ordinary chat of a known account."""
    if given is None:
        return _request({}, policy), Facts(network=NetworkFacts()), Assessment()
    values: dict[str, Any] = {}
    for key, (_, node) in given.fields.items():
        kind = KEYS["given"][key].kind
        if kind not in _LISTS and getattr(node, "value", "") == UNKNOWN:
            values[key] = None
        elif kind == "texts":
            values[key] = tuple(item.value for item in items(found, node))
        elif kind == "words":
            flags = [
                word(found, item, KEYS["given"][key].words, key, also=(UNKNOWN,))
                for item in items(found, node)
            ]
            values[key] = tuple(flag for flag in flags if flag)
        elif kind == "given_indicators":
            values[key] = given_indicators(found, node)
        elif kind == "scores":
            values[key] = _scores(found, node, policy)
        else:
            values[key] = given.read(key)
    _check(found, given, values)
    return _request(values, policy), _facts(values), _assessment(found, given, values, policy)


def _check(found: Findings, given: Section, values: dict[str, Any]) -> None:
    for key in ("country", "account_country"):
        code = values.get(key)
        if code is not None and (hint := bad_code(code)) is not None:
            found.at("GG212", given.fields[key][1], f"'{code[:60]}' is no country code", hint=hint)
    address = values.get("client_ip")
    if address is not None and parse_ip(address) is None:
        found.at("GG213", given.fields["client_ip"][1], f"'{address[:60]}' is no address")
        values["client_ip"] = None
    path = values.get("path")
    if path is not None and not path.startswith("/"):
        found.at(
            "GG219", given.fields["path"][1], f"'{path[:60]}' is no path", hint=f"write /{path}"
        )
    elif path is not None and canonical(quote(path).encode()) != path:
        found.at(
            "GG219",
            given.fields["path"][1],
            f"'{path[:60]}' is no canonical path",
            hint="rules never see it like that; an ambiguous one is `unknown`",
        )


def _scores(found: Findings, node: Node, policy: Policy) -> dict[str, float]:
    if not isinstance(node, MappingNode):
        found.at("GG204", node, f"signals are a mapping name → score, not {kind_of(node)}")
        return {}
    names = [weighted.detector.name for weighted in policy.signals]
    scores: dict[str, float] = {}
    for name, key_node, value in pairs(found, node):
        score = quantity(found, value, KEYS["given"]["risk"])
        if word(found, key_node, names, "signal") is not None and score is not None:
            scores[name] = score
    return scores


def _request(values: dict[str, Any], policy: Policy) -> Request:
    """What is not stated follows from the path and method, as it would for a real request."""
    path, method = values.get("path", "/v1/chat/completions"), values.get("method") or "POST"
    patterns = dialects.compile_routes(policy.identify.model_routes)
    spoken = dialects.route(path, patterns) if path is not None else None
    model_route = values.get("model_route")
    if model_route is None:
        model_route = spoken is not None
    read = model_route and method != "WEBSOCKET"
    body = Inspection(values.get("body") or ("full" if read else "none"))
    account = values.get("account", "known")
    address = values.get("client_ip", "198.51.100.7")
    ip = parse_ip(address) if address is not None else None
    prompt = None
    if body is Inspection.FULL and model_route:
        prompt = PromptShape(
            messages=1,
            phrases=tuple(phrase.lower() for phrase in values.get("prompt", ())),
            input_tokens=values.get("input_tokens") or 0,
            max_output_tokens=values.get("max_output_tokens"),
            stream=bool(values.get("stream")),
        )
    return Request(
        id="r_case",
        at=NOW,
        method=method,
        path=path,
        dialect=Dialect(values.get("dialect") or spoken or "openai"),
        model_route=model_route,
        model=values.get("model", "a-model" if prompt is not None else None),
        client_ip=ip,
        subnet=subnet_of(ip) if ip is not None else None,
        account="acct_case" if account == "known" else account,
        credential_fault=CredentialFault.BAD_SIGNATURE
        if values.get("authenticated") is False
        else None,
        inspection=body,
        prompt=prompt,
    )


def _facts(values: dict[str, Any]) -> Facts:
    flags = values.get("network", ())
    age = values.get("account_age")
    held, confidence = values.get("held_risk"), values.get("campaign")
    return Facts(
        network=NetworkFacts(
            country=values.get("country"),
            asn=values.get("asn"),
            flags=frozenset(flags) - {UNKNOWN},
            known=UNKNOWN not in flags,
        ),
        account=AccountFacts(
            organisation=values.get("organisation"),
            created_at=NOW - age if age is not None else None,
            country=values.get("account_country"),
            programme=values.get("programme"),
            tier=values.get("tier"),
            verified=values.get("verified"),
            tags=tuple(tag for tag in values.get("account_tag", ()) if tag != UNKNOWN),
        ),
        held=Held(risk=held, at=NOW) if held is not None else None,
        campaign=CampaignFacts(id="c_case", confidence=confidence)
        if confidence is not None
        else None,
        indicators=tuple(
            IndicatorFacts(
                name=one["name"],
                source=one["source"],
                kind=one["kind"],
                confidence=one["confidence"],
                at=NOW - one["age"],
            )
            for one in values.get("indicator", ())
        ),
    )


def _assessment(
    found: Findings, given: Section, values: dict[str, Any], policy: Policy
) -> Assessment:
    """The risk as stated, else as the policy's weights make it of the stated scores.

    A score above what its detector ever gives (its `ceiling`) counts as that.
    """
    highest = {w.detector.name: getattr(w.detector, "ceiling", 1.0) for w in policy.signals}
    # A detector never says more than its ceiling, whatever the case states.
    stated: dict[str, float] = values.get("signal", {})
    scores = {name: min(score, highest[name]) for name, score in stated.items()}
    weights = {weighted.detector.name: weighted.weight for weighted in policy.signals}
    risk = values.get("risk")
    if risk is None:
        risk = 1.0 - math.prod(1.0 - weights[name] * score for name, score in scores.items())
    elif risk > 1.0 - math.prod(1.0 - w * highest[name] for name, w in weights.items()) + 1e-9:
        found.at(
            "GG701",
            given.fields["risk"][1],
            f"the policy's signals cannot reach a risk of {risk:g}",
            hint="state the scores instead: signal: { … }",
        )
    signals: Sequence[Signal] = [
        Signal(name=name, score=score, evidence="stated") for name, score in scores.items()
    ]
    return Assessment(signals=tuple(signals), risk=risk)
