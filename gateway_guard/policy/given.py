"""What a case of a policy test states: literals → the request, the facts and the assessment."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import quote

import msgspec
from yaml.nodes import MappingNode, Node

from gateway_guard.core import dialects
from gateway_guard.core.address import parse_ip, subnet_of
from gateway_guard.core.limit import Limit
from gateway_guard.core.paths import canonical
from gateway_guard.core.phrases import Phrases
from gateway_guard.core.policy import Policy
from gateway_guard.core.rules import Rule
from gateway_guard.core.texts import phrases_in
from gateway_guard.policy.contradictions import OF_BODY, THEN_UNKNOWN
from gateway_guard.policy.countries import bad_code
from gateway_guard.policy.indicators import given_indicators
from gateway_guard.policy.reader import Findings
from gateway_guard.policy.schema import ALWAYS_KNOWN, KEYS
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
#: Kinds of `given` whose values may be lists.
_LISTS: Final = ("words", "texts", "scores", "given_indicators")


#: Evidence of a signal whose score is the one that a case states.
STATED: Final = "stated"


def literals(
    found: Findings, given: Section | None, policy: Policy
) -> tuple[Request, Facts, Assessment]:
    """The literals of one case; what it does not name is an ordinary chat of a known account."""
    if given is None:
        return _request({}, policy), Facts(network=NetworkFacts()), Assessment()
    values: dict[str, Any] = {}
    for key, (_, node) in given.fields.items():
        kind = KEYS["given"][key].kind
        known = kind in _LISTS or key in ALWAYS_KNOWN
        if not known and getattr(node, "value", "") == UNKNOWN:
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
    request, facts = _request(values, policy), _facts(values)
    _check_possible(found, given, values, request, facts)
    return request, facts, _assessment(found, given, values, policy)


def as_met(policy: Policy, *, chosen: bool) -> Policy:
    """The policy as an account meets it that is of the share of each `rollout`, or of none."""

    def shadow(part: Rule | Limit) -> bool:
        return part.shadow or (part.rollout < 1.0 and not chosen)

    replace = msgspec.structs.replace
    return replace(
        policy,
        enforce=policy.enforce and (chosen or policy.rollout >= 1.0),
        rollout=1.0,
        rules=tuple(replace(rule, shadow=shadow(rule), rollout=1.0) for rule in policy.rules),
        limits=tuple(replace(limit, shadow=shadow(limit), rollout=1.0) for limit in policy.limits),
    )


def _check(found: Findings, given: Section, values: dict[str, Any]) -> None:
    for key in ("country", "account_country"):
        code = values.get(key)
        if code is not None and (hint := bad_code(code)) is not None:
            found.at("GG212", given.fields[key][1], f"'{code[:60]}' is no country code", hint=hint)
    account = values.get("account")
    if account is not None and account != "known" and not account.startswith("acct_"):
        node = given.fields["account"][1]
        found.veil(node)
        found.at(
            "GG203",
            node,
            f"unknown account '{account[:8]}…'",
            hint="write known, unknown, or a digest acct_…; requests are never seen by their key",
        )
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


def _check_possible(
    found: Findings, given: Section, values: dict[str, Any], request: Request, facts: Facts
) -> None:
    """What is stated of something that is not there: no request is ever like that."""
    holds = {
        "account": request.account is None,
        "model_route": not request.model_route,
        "method": request.method == "WEBSOCKET",
        "network": not facts.network.known,
    }
    lacking = [(others, why) for field, _, others, why in THEN_UNKNOWN if holds[field]]
    if not lacking and request.prompt is None:
        lacking = [(OF_BODY, "of a body that is not read")]
    for others, why in lacking:
        for name in others:
            if values.get(name) not in (None, (), (UNKNOWN,)):
                found.at("GG701", given.place(name), f"'{name}' is always unknown {why}")


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
            phrases=_phrases(values.get("prompt", ()), policy),
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


def _phrases(texts: Sequence[str], policy: Policy) -> tuple[str, ...]:
    """Phrases of the policy in a prompt of these texts, as they are found in a request's."""
    phrases = Phrases(((phrase, phrase) for phrase in policy.inspect.phrases), spelled=True)
    return phrases_in({"input": list(texts)}, phrases)


def _facts(values: dict[str, Any]) -> Facts:
    flags = values.get("network", ())
    age = values.get("account_age")
    held, confidence = values.get("held_risk"), values.get("campaign")
    standing = values.get("standing")
    campaign = None
    if standing == "banned":
        campaign = CampaignFacts(id="c_case", confidence=1.0, banned=True)
    elif confidence is not None:
        campaign = CampaignFacts(id="c_case", confidence=confidence)
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
            verified=standing == "vouched" or values.get("verified"),
            tags=tuple(tag for tag in values.get("account_tag", ()) if tag != UNKNOWN),
        ),
        held=Held(risk=held, at=NOW) if held is not None else None,
        campaign=campaign,
        vouched=standing == "vouched",
        challenged=standing == "challenged",
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

    A score above what its detector ever gives (its `ceiling`) counts as that, and the evidence says
    so.
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
        Signal(
            name=name, score=score,
            evidence=STATED if score == stated[name] else f"{score:g} is the most it scores",
        )
        for name, score in scores.items()
    ]  # fmt: skip
    return Assessment(signals=tuple(signals), risk=risk)
