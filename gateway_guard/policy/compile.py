"""A policy's bytes → `core.policy.Policy`, or every mistake in them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from yaml.nodes import MappingNode, Node, ScalarNode

from gateway_guard.core.dialects import compile_routes
from gateway_guard.core.limits import Limit
from gateway_guard.core.policy import OnError, Policy, Weighted
from gateway_guard.core.sections import Inspect
from gateway_guard.errors import PolicyError
from gateway_guard.policy.detectors import compile_signals
from gateway_guard.policy.diagnostics import Diagnostic, Severity, in_order
from gateway_guard.policy.hearsay import check_hearsay
from gateway_guard.policy.identity import compile_identify
from gateway_guard.policy.judgement import (
    check_clouds,
    check_corroboration,
    check_forwards,
    check_preempted,
    check_thresholds,
    compile_rules,
)
from gateway_guard.policy.locations import country
from gateway_guard.policy.nodes import MAX_BYTES, compose, decode
from gateway_guard.policy.overload import compile_overload
from gateway_guard.policy.quotas import compile_limits
from gateway_guard.policy.reach import check_reach
from gateway_guard.policy.reader import MAX_FINDINGS, Findings, TooMany
from gateway_guard.policy.recognise import mistaken
from gateway_guard.policy.scope import Scope
from gateway_guard.policy.values import NAME, Section, items, kebab, kind_of, pairs
from gateway_guard.policy.verification import check_challenges, compile_verification
from gateway_guard.signals import detectors
from gateway_guard.types import Action


def load_policy(path: str | os.PathLike[str]) -> Policy:
    """The policy in a file.

    Raises:
        PolicyError: it does not load; `.diagnostics` holds every finding, warnings included.
    """
    name = os.fspath(path)
    source, finding = read_source(name)
    if source is None:
        raise PolicyError(finding)
    return compile_policy(source, name)


def compile_policy(source: bytes, name: str) -> Policy:
    """The policy in `source`; `name` is how findings call it.

    Raises:
        PolicyError: as `load_policy`.
    """
    policy, findings = check_policy(source, name)
    if policy is None:
        raise PolicyError(findings)
    return policy


def read_source(name: str) -> tuple[bytes | None, Sequence[Diagnostic]]:
    """The bytes of a file, at most one past `MAX_BYTES`, or why there are none. Never raises."""
    found = Findings(name)
    try:
        with Path(name).open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size > MAX_BYTES:
                found.file(
                    "GG102",
                    f"{size:,} bytes, more than {MAX_BYTES:,}",
                    hint="is this the right file?",
                )
                return None, found.all
            return file.read(MAX_BYTES + 1), ()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        found.file("GG101", f"cannot be read: {reason.lower()}")
        return None, found.all


def check_policy(source: bytes, name: str) -> tuple[Policy | None, Sequence[Diagnostic]]:
    """The policy, None when there are errors; and all findings in order of place. Never raises."""
    found = Findings(name)
    policy: Policy | None = None
    try:
        text = decode(source, found)
        root = compose(text, found) if text is not None else None
        other = mistaken(root) if root is not None else None
        if root is not None and other is not None:
            found.at("GG204", root, other[0], hint=other[1])
        elif root is not None:
            policy = _policy(found, root, hashlib.sha256(source).hexdigest()[:12])
    except TooMany:
        found.file("GG111", f"reading stopped after {MAX_FINDINGS} mistakes")
    findings = in_order(found.all)
    if any(finding.severity is Severity.ERROR for finding in findings):
        policy = None
    return policy, findings


def _policy(found: Findings, root: Node, digest: str) -> Policy:
    document = Section(found, root, "policy")
    _version(found, document)
    known = detectors()
    scope = Scope(found, detectors=tuple(known))
    mode, rollout = document.read("mode"), document.read("rollout")
    if "rollout" in document and mode != "enforce":
        found.at(
            "GG307",
            document.place("rollout"),
            "`rollout` without `mode: enforce`",
            hint="nothing is enforced for anybody yet",
        )
    default = document.read("default")
    headers = document.read("headers")
    scope.regions = _regions(found, document)
    identify = compile_identify(found, document.section("identify"))
    if identify.model_routes:
        scope.routes = compile_routes(identify.model_routes)
    signals: tuple[Weighted, ...] = ()
    if (node := document.get("signals")) is not None:
        signals = compile_signals(scope, node, known)
    limits: tuple[Limit, ...] = ()
    if (node := document.get("limits")) is not None:
        limits = compile_limits(scope, node)
    rules = []
    if (node := document.get("rules")) is not None:
        rules = compile_rules(scope, node)
    check_thresholds(scope)
    check_reach(scope, rules)
    check_corroboration(scope, rules)
    check_clouds(scope, rules)
    check_hearsay(scope, rules)
    on_error = _on_error(document)
    check_preempted(scope, rules, on_error)
    action = Action.from_word(default) if default else Action.ALLOW
    campaigns = scope.campaigns or any("campaign" in limit.per for limit in limits)
    shapes = bool(signals) or campaigns or scope.indicators
    check_forwards(scope, rules, action, document.get("default"))
    if "verification" not in document:
        check_challenges(found, rules)
    return Policy(
        digest=digest,
        source=found.name,
        enforce=mode == "enforce",
        rollout=rollout or 1.0,
        default=action,
        websocket=document.read("websocket") or "allow",
        identify=identify,
        inspect=_inspect(document, tuple(scope.phrases), shapes=shapes),
        on_error=on_error,
        regions=scope.regions,
        signals=signals,
        limits=limits,
        rules=tuple(read.rule for read in rules if read.rule is not None),
        headers=headers is not False,
        overload=compile_overload(found, document.section("overload")),
        verification=compile_verification(found, document.section("verification")),
        campaigns=campaigns,
        recover=max((limit.adapt.recover for limit in limits if limit.adapt), default=0.0),
    )


def _version(found: Findings, document: Section) -> None:
    node = document.get("version")
    if node is None:
        return
    if not (isinstance(node, ScalarNode) and node.value == "1" and node.style is None):
        found.at("GG214", node, f"version must be 1, not {kind_of(node)}", hint="version: 1")


def _regions(found: Findings, document: Section) -> dict[str, frozenset[str]]:
    node = document.get("regions")
    if node is None:
        return {}
    if not isinstance(node, MappingNode):
        found.at(
            "GG204",
            node,
            f"regions are a mapping name → countries, not {kind_of(node)}",
            hint="regions: { nordic: [DK, FI, IS, NO, SE] }",
        )
        return {}
    regions: dict[str, frozenset[str]] = {}
    scope = Scope(found, regions=regions)
    named = {str(key.value) for key, _ in node.value if NAME.fullmatch(str(key.value))}
    for _, key_node, value in pairs(found, node):
        name = kebab(found, key_node, "region")
        codes: set[str] = set()
        countries = items(found, value)
        for item in countries:
            if item.value in named and item.value not in regions:
                found.at(
                    "GG203",
                    item,
                    f"unknown region '{item.value[:60]}'",
                    hint="a region may hold regions that stand above it",
                )
                continue
            codes |= country(scope, item) or set()
        if not countries and getattr(value, "style", None) != "*":
            found.at("GG206", key_node, f"region '{key_node.value[:60]}' names no country")
        if name in ("known", "unknown"):
            found.at("GG215", key_node, f"'{name}' is reserved", hint="choose another name")
        elif name:
            regions[name] = frozenset(codes)
    return regions


def _inspect(document: Section, phrases: tuple[str, ...], *, shapes: bool) -> Inspect:
    section = document.section("inspect")
    standard = Inspect()
    if section is None:
        return Inspect(phrases=phrases, shapes=shapes)
    return Inspect(
        max_body=section.read("max_body") or standard.max_body,
        phrases=phrases,
        default_output_tokens=section.read("default_output_tokens")
        or standard.default_output_tokens,
        shapes=shapes,
        keep_samples=section.read("keep_samples") or 0,
    )


def _on_error(document: Section) -> OnError:
    section = document.section("on_error")
    if section is None:
        return OnError()
    given = {key: section.read(key) for key in section.fields}
    return OnError(**{key: value for key, value in given.items() if value is not None})
