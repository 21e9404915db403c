"""`when:` → conditions: fast closures for deciding, shapes for comparing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from yaml.nodes import Node, ScalarNode, SequenceNode

from gateway_guard.core.credentials import ACCOUNT
from gateway_guard.core.phrases import fold
from gateway_guard.core.rules import Condition
from gateway_guard.policy.bands import ages, bands, campaigns, signals
from gateway_guard.policy.indicators import indicators
from gateway_guard.policy.locations import asns, countries, models, networks, paths
from gateway_guard.policy.schema import KEYS, METHODS, Key
from gateway_guard.policy.scope import Compiled, Scope, member
from gateway_guard.policy.shapes import Not, Shape, Values
from gateway_guard.policy.values import Section, empty, items, name_of, show, word
from gateway_guard.types import UNKNOWN, Assessment, Facts, Inspection, Request


def compile_when(scope: Scope, section: Section) -> tuple[tuple[Condition, ...], dict[str, Shape]]:
    """The conditions of one `when`, in file order, and what each accepts, without faulty ones."""
    conditions: list[Condition] = []
    shapes: dict[str, Shape] = {}
    for name, (_, value) in section.fields.items():
        key = KEYS["when"][name]
        compiled = _KINDS[key.kind](scope, value, key)
        if compiled is not None:
            test, shape = compiled
            within = tuple(shape.fields) if isinstance(shape, Not) else ()
            conditions.append(
                Condition(field=name, text=_short(show(value)), test=test, within=within)
            )
            shapes[name] = shape
    return tuple(conditions), shapes


def _short(text: str) -> str:
    """A condition as a log line may carry it: at most 160 characters."""
    return text if len(text) <= 160 else f"{text[:159]}…"


def _words(scope: Scope, node: Node, key: Key) -> Compiled | None:
    words: set[str] = set()
    good = True
    for item in items(scope.found, node):
        if key.name == "method" and item.value.upper() in METHODS and item.value not in METHODS:
            scope.found.at(
                "GG203",
                item,
                f"unknown method '{item.value}'",
                hint=f"methods are upper case: {item.value.upper()}",
            )
            good = False
            continue
        also = (UNKNOWN,) if key.name == "network" else ()
        value = word(scope.found, item, key.words, key.name, also=also)
        good = good and value is not None
        words |= {value} if value else set()
    if not good or not words:
        return None
    if key.name == "network":
        flags, unknown = frozenset(words) - {UNKNOWN}, UNKNOWN in words

        def network(_request: Request, facts: Facts, _assessment: Assessment) -> bool:
            seen = facts.network
            return unknown if not seen.known else not flags.isdisjoint(seen.flags)

        return network, Values(frozenset(words))
    if key.name == "body":
        if UNKNOWN in words:
            words = words - {UNKNOWN} | {i.value for i in Inspection if i.unknown}
        bodies = frozenset(words)
        universe: frozenset[object] = frozenset(i.value for i in Inspection)
        return lambda r, _f, _a: r.inspection.value in bodies, Values(bodies, universe)
    universe = frozenset(key.words) if key.name == "dialect" else frozenset()
    accepted = frozenset(words)
    return member(key.name, accepted), Values(accepted, universe or None)


def _flags(scope: Scope, node: Node, key: Key) -> Compiled | None:
    words: set[object] = set()
    spelled = {"true": True, "false": False}
    if key.name != "model_route":
        spelled[UNKNOWN] = UNKNOWN  # type: ignore[assignment]
    good = True
    for item in items(scope.found, node):
        value = word(scope.found, item, spelled, key.name)
        good = good and value is not None
        if value is not None:
            words.add(spelled[value])
    accepted = frozenset(words)
    universe: frozenset[object] = frozenset(spelled.values())
    return (member(key.name, accepted), Values(accepted, universe)) if good and words else None


#: Labels that people write into several systems; `Free` and `free` are one.
_ANY_CASE: Final = frozenset(("account_tag", "tier", "programme"))


def _texts(scope: Scope, node: Node, key: Key) -> Compiled | None:
    found = items(scope.found, node)
    words = frozenset(
        item.value.casefold() if key.name in _ANY_CASE else item.value
        for item in found
        if name_of(scope.found, item, key.name) is not None
    )
    if not words or len(words) != len(found):
        return None
    shape = Values(words)
    unknown = UNKNOWN in words
    if key.name == "account_tag":
        return (
            lambda _r, f, _a: (
                not words.isdisjoint([tag.casefold() for tag in f.account.tags])
                if f.account.tags
                else unknown
            ),
            shape,
        )
    return member(key.name, words), shape


def _accounts(scope: Scope, node: Node, _key: Key) -> Compiled | None:
    wrong = [
        item
        for item in (node.value if isinstance(node, SequenceNode) else [node])
        if isinstance(item, ScalarNode)
        and not (item.style == "*" or empty(item) or item.value in ("known", UNKNOWN))
        and not ACCOUNT.fullmatch(item.value)
    ]
    for item in wrong:
        if item.value.startswith("acct_"):
            scope.found.at("GG203", item, f"no account is '{item.value[:60]}'", hint=_WHOLE)
            continue
        scope.found.veil(item)
        scope.found.at(
            "GG203",
            item,
            f"unknown account '{item.value[:8]}…'",
            hint="write known, unknown, or the digest acct_… the decision log shows; "
            "never a credential",
        )
    # Not `items` first: it quotes what stands there twice.
    words = set() if wrong else {item.value for item in items(scope.found, node)}
    if not words:
        return None
    accepted, known, unknown = frozenset(words), "known" in words, UNKNOWN in words
    return (
        lambda r, _f, _a: unknown if r.account is None else known or r.account in accepted,
        Values(accepted),
    )


_WHOLE: Final = (
    "write all of it: `acct_` and 16 of a to z and 2 to 7, as the decision log has it (trees of "
    "`explain` show the beginning)"
)


def _phrases(scope: Scope, node: Node, _key: Key) -> Compiled | None:
    phrases: set[str] = set()
    nodes = items(scope.found, node)
    unknown = any(item.value == UNKNOWN for item in nodes)
    good = True
    for item in nodes:
        if item.value == UNKNOWN:
            continue
        phrase = item.value.lower()
        if (
            not 3 <= len(phrase.strip()) <= 200
            or len(phrase.splitlines()) > 1
            or len(fold(phrase).decode("utf-8", "replace").strip()) < 3
        ):
            scope.found.at(
                "GG219",
                item,
                f"'{item.value[:40]}' cannot be looked for",
                hint="phrases are one line of 3 to 200 characters that can be seen",
            )
            good = False
        phrases.add(phrase)
    if not good or not nodes:
        return None
    wanted = frozenset(phrases)
    scope.phrases.update(dict.fromkeys(sorted(wanted)))

    def prompt(request: Request, _facts: Facts, _assessment: Assessment) -> bool:
        shape = request.prompt
        return unknown if shape is None else not wanted.isdisjoint(shape.phrases)

    return prompt, Values(wanted | ({UNKNOWN} if unknown else frozenset()))


def _not(scope: Scope, node: Node, _key: Key) -> Compiled | None:
    section = Section(scope.found, node, "when")
    if "not" in section:
        scope.found.at(
            "GG201", section.place("not"), "`not` within `not`", hint="write the condition itself"
        )
        return None
    conditions, shapes = compile_when(scope, section)
    if not conditions:
        return None
    tests = [condition.test for condition in conditions]
    if len(tests) == 1:
        test = tests[0]
        return lambda r, f, a: not test(r, f, a), Not(shapes)
    return lambda r, f, a: not any(test(r, f, a) for test in tests), Not(shapes)


_KINDS: Final[Mapping[str, Callable[[Scope, Node, Key], Compiled | None]]] = {
    "countries": countries,
    "words": _words,
    "flags": _flags,
    "texts": _texts,
    "asns": asns,
    "networks": networks,
    "paths": paths,
    "models": models,
    "accounts": _accounts,
    "ages": ages,
    "bands": bands,
    "signals": signals,
    "campaigns": campaigns,
    "indicators": indicators,
    "phrases": _phrases,
    "not": _not,
}
