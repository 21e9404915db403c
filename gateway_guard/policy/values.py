"""Typed reading of nodes: each reader returns a value, or None after noting what is wrong."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from gateway_guard.policy import units
from gateway_guard.policy.diagnostics import nearest, suggest
from gateway_guard.policy.meant import bare, rate_hint
from gateway_guard.policy.reader import Findings
from gateway_guard.policy.schema import KEYS, Key
from gateway_guard.types import UNKNOWN

#: What rules, limits and regions may be called, and header fields.
NAME: Final = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*", re.ASCII)
TOKEN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}", re.ASCII)

#: kind → (reader of its text, code, example)
QUANTITIES: Final[dict[str, tuple[Callable[[str], Any], str, str]]] = {
    "integer": (units.integer, "GG207", "a whole number"),
    "number": (units.number, "GG207", "a number"),
    "percent": (units.percent, "GG209", "e.g. 25%"),
    "duration": (units.duration, "GG208", "e.g. 30s, 15 minutes, 7 days"),
    "size": (units.size, "GG210", "e.g. 512 KB, 8 MB"),
    "length": (units.length, "GG210", "e.g. 200 characters"),
    "rate": (units.rate, "GG211", "e.g. 120/minute or 5 per 10 seconds"),
}


def plain(node: Node) -> bool:
    """Whether the node is an unquoted scalar."""
    return isinstance(node, ScalarNode) and node.style is None


def show(node: Node) -> str:
    """The node on one line, as flow YAML; for explanations."""
    if isinstance(node, ScalarNode):
        return str(node.value)
    if isinstance(node, SequenceNode):
        return f"[{', '.join(show(item) for item in node.value)}]"
    return f"{{ {', '.join(f'{show(key)}: {show(value)}' for key, value in node.value)} }}"


def kind_of(node: Node) -> str:
    """What a node is, in words."""
    if isinstance(node, MappingNode):
        return "a mapping"
    return "a list" if isinstance(node, SequenceNode) else f"'{str(node.value)[:40]}'"


#: Sections in which an empty mapping says nothing; in others its absence of keys has its own code.
NEVER_EMPTY: Final = frozenset({"when", "adapt", "identify", "inspect", "on_error"})


class Section:
    """One mapping whose keys the schema knows.

    Attributes:
        node: the mapping; its mark is where a missing key is reported.
        name: key of `SCHEMA`.
        fields: key → (key node, value node), first occurrence; unknown ones left out.
    """

    def __init__(self, found: Findings, node: Node, name: str, place: Node | None = None) -> None:
        self.found = found
        self.node = place or node
        self.name = name
        self.fields: dict[str, tuple[Node, Node]] = {}
        known = KEYS[name]
        if not isinstance(node, MappingNode):
            what = "a policy" if name == "policy" else "this"
            found.at(
                "GG204",
                node,
                f"{what} must be a mapping, not {kind_of(node)}",
                hint=f"keys: {', '.join(known)}",
            )
            return
        if not node.value and name in NEVER_EMPTY:
            found.at("GG206", node, "an empty mapping", hint="leave the key out")
        for key, key_node, value in pairs(found, node):
            if key not in known:
                found.at("GG201", key_node, f"unknown key '{key[:60]}'", hint=suggest(key, known))
            elif empty(value):
                hint = known[key].doc
                if name == "policy" and not known[key].required:
                    # Not of a `when`: its rule would match more.
                    hint = f"leave it out, or fill it in: {hint}"
                found.at("GG206", key_node, f"'{key}' has no value", hint=hint)
            else:
                self.fields[key] = (key_node, value)
        for entry in known.values():
            name = entry.name
            if entry.required and not any(k.value == name for k, _ in node.value):
                found.at(
                    "GG205", self.node, f"'{name}' is missing", hint=f"add `{name}`: {entry.doc}"
                )

    def __contains__(self, key: str) -> bool:
        return key in self.fields

    def get(self, key: str) -> Node | None:
        """The value node; None when the key is absent."""
        field = self.fields.get(key)
        return field[1] if field else None

    def place(self, key: str) -> Node:
        """The key node; the key must be there."""
        return self.fields[key][0]

    def read(self, key: str) -> Any:
        """The value, read as the schema says; None when absent or faulty."""
        field = self.fields.get(key)
        if field is None:
            return None
        return scalar(self.found, field[1], KEYS[self.name][key])

    def section(self, key: str) -> Section | None:
        """The mapping below `key`; None when absent."""
        field = self.fields.get(key)
        if field is None:
            return None
        return Section(self.found, field[1], KEYS[self.name][key].of, field[0])


def pairs(found: Findings, node: MappingNode) -> Iterator[tuple[str, ScalarNode, Node]]:
    """(key, key node, value node) of a mapping; duplicates and odd keys are noted, not given."""
    seen: dict[str, Node] = {}
    for key, value in node.value:
        if not isinstance(key, ScalarNode):
            found.at("GG204", key, f"a key must be text, not {kind_of(key)}")
        elif key.style == "*":
            continue
        elif key.value in seen:
            line = seen[key.value].start_mark.line + 1
            found.at(
                "GG202",
                key,
                f"duplicate key '{key.value[:60]}'",
                hint=f"it stands in line {line} already; keep one",
            )
        else:
            seen[key.value] = key
            if key.value == "<<" and plain(key):
                found.at("GG106", key, "merge key '<<'", hint="write the keys out")
                continue
            yield key.value, key, value


def empty(node: Node) -> bool:
    """Whether a value is absent: nothing, `null`, `~`, `[]`."""
    if isinstance(node, ScalarNode):
        return plain(node) and node.value in ("", "~", "null", "Null", "NULL")
    return isinstance(node, SequenceNode) and not node.value


def items(found: Findings, node: Node) -> list[ScalarNode]:
    """The scalars of a value that may be one or a list; repeated ones are noted."""
    nodes = node.value if isinstance(node, SequenceNode) else [node]
    good: list[ScalarNode] = []
    seen: set[str] = set()
    for item in nodes:
        if not isinstance(item, ScalarNode):
            found.at(
                "GG204",
                item,
                f"a value or a list of values was expected, not {kind_of(item)}",
                hint=_instead(item),
            )
        elif empty(item):
            found.at("GG206", item, "empty value in a list")
        elif item.style == "*":
            continue
        elif item.value in seen:
            found.at("GG217", item, f"'{item.value[:60]}' stands here twice")
        else:
            seen.add(item.value)
            good.append(item)
    return good


def _instead(node: Node) -> str:
    """What to write where somebody turned a condition round within its value."""
    keys = [key.value for key, _ in node.value] if isinstance(node, MappingNode) else []
    return "`not` goes around conditions: not: { KEY: VALUES }" if "not" in keys else ""


def word(
    found: Findings, node: Node, known: Iterable[str], what: str, *, also: Iterable[str] = ()
) -> str | None:
    """A word that must be one of `known` or `also` (accepted, but not listed in the hint)."""
    what = _NAMED.get(what, what)
    if not isinstance(node, ScalarNode):
        hint = suggest("", known)
        found.at("GG204", node, f"one {what} was expected, not {kind_of(node)}", hint=hint)
        return None
    listed, accepted = list(known), list(also)
    if node.value in listed or node.value in accepted:
        return str(node.value)
    if node.style != "*":
        close = nearest(node.value, accepted) if nearest(node.value, listed) is None else None
        meant = [*listed, *accepted] if node.value == "known" else listed
        hint = f"did you mean '{close}'?" if close else suggest(node.value, meant)
        found.at("GG203", node, f"unknown {what} '{node.value[:60]}'", hint=hint)
    return None


#: What the values of some keys are called, where that is not the key's own name.
_NAMED: Final = {"then": "action", "per": "part of a key", "body": "state of a body"}


def text(found: Findings, node: Node) -> str | None:
    """Any non-empty text."""
    if not isinstance(node, ScalarNode):
        found.at("GG204", node, f"text was expected, not {kind_of(node)}")
        return None
    if node.style == "*":
        return None
    if not node.value.strip():
        found.at("GG206", node, "empty text")
        return None
    return str(node.value)


def name_of(
    found: Findings, node: ScalarNode, key: str, *, patterns: bool = False, known: str = ""
) -> str | None:
    """What a condition on `key` compares letter for letter, or `unknown`; None when faulty.

    What somebody writes who takes it for more would match nobody, in silence. `patterns` says
    whether `*` has a meaning here, `known` what to write instead of that word where it is not a
    condition.
    """
    said = text(found, node)
    if said is None:
        return None
    if said == "known":
        hint = known or f"write not: {{ {key}: {UNKNOWN} }}"
    elif (meant := bare(said)) != said:
        hint = f"write '{meant[:60]}'"
    elif not patterns and "*" in (said[0], said[-1]):
        hint = f"name each {key}: there are no patterns of them"
    else:
        return said
    found.at("GG203", node, f"unknown {key} '{said[:60]}'", hint=hint)
    return None


def flag(found: Findings, node: Node) -> bool | None:
    """`true` or `false`, unquoted."""
    if plain(node) and node.value in ("true", "false"):
        return bool(node.value == "true")
    if isinstance(node, ScalarNode) and node.style == "*":
        return None
    meant = {"yes": "true", "on": "true", "no": "false", "off": "false"}
    value = str(node.value).lower() if isinstance(node, ScalarNode) else ""
    found.at(
        "GG204",
        node,
        f"true or false was expected, not {kind_of(node)}",
        hint=f"write {meant.get(value, value)}" if value in ("true", "false", *meant) else "",
    )
    return None


def quantity(found: Findings, node: Node, key: Key) -> Any:
    """A number, share, time, size or rate within the key's bounds."""
    parse, code, example = QUANTITIES[key.kind]
    if not isinstance(node, ScalarNode):
        found.at("GG204", node, f"'{key.name}' must be {example}, not {kind_of(node)}")
        return None
    if node.style == "*":
        return None
    try:
        value = parse(node.value)
    except ValueError as error:
        found.at(code, node, str(error), hint=_example(key, node.value, example))
        return None
    if key.kind != "rate" and not key.low <= value <= key.high:
        found.at(code, node, f"{node.value} is out of range for '{key.name}'", hint=bounds(key))
        return None
    return value


def _example(key: Key, value: str, example: str) -> str:
    """What to write instead of `value`."""
    if key.kind == "rate" and (meant := rate_hint(value)) is not None:
        return meant
    try:
        amount = units.number(value)
    except ValueError:
        if ";" in value or "," in value:
            return "one rate per limit; write a second limit for the second rate"
        return f"write {example}"
    if key.kind == "percent":
        if 1 < amount <= min(key.high, 10):
            # Twice as much, or 2 %? Whoever is told the wrong one takes nearly all of a quota away.
            return f"write {amount * 100:g}% or {amount:g}%"
        share = amount * 100 if amount <= 1 else amount
        return f"write {share:g}%"
    if key.kind == "duration":
        return f"add a unit, e.g. {value} seconds or {value} days"
    if key.kind == "size":
        return f"add a unit, e.g. {value} MB"
    if key.kind == "length":
        return f"add a unit, e.g. {value} characters"
    if key.kind == "rate" and amount >= 1:
        return f"say per what, e.g. {value}/minute"
    return f"write {example}"


def bounds(key: Key) -> str:
    """What a quantity is and how far it goes, in words; its key has both bounds."""

    def name(value: float) -> str:
        if key.kind == "percent":
            return units.show_share(value)
        if key.kind == "duration":
            return units.show_seconds(value)
        if key.kind == "size":
            return f"{value / 1024:g} KB" if value < 1 << 20 else f"{value / (1 << 20):g} MB"
        return f"{value:,.0f}" if value >= 1000 else f"{value:g}"

    return f"{key.doc}; from {name(key.low)} to {name(key.high)}"


def scalar(found: Findings, node: Node, key: Key) -> Any:
    """One value, read as `key.kind` says."""
    if key.kind in QUANTITIES:
        return quantity(found, node, key)
    if key.kind == "flag":
        return flag(found, node)
    if key.kind == "word":
        return word(found, node, key.words, f"{key.name}")
    if key.kind == "header":
        return header(found, node)
    return text(found, node)


def header(found: Findings, node: Node) -> str | None:
    """A header name, lower case."""
    value = text(found, node)
    if value is not None and TOKEN.fullmatch(value) is None:
        found.at("GG220", node, f"'{value[:60]}' is no header name")
        return None
    return value.lower() if value else None


def kebab(found: Findings, node: Node, what: str) -> str | None:
    """A kebab-case name of at most 64 characters."""
    value = text(found, node)
    if value is None:
        return None
    if NAME.fullmatch(value) is None or len(value) > 64:
        better = re.sub(r"[^a-z0-9]+", "-", value.lower()).strip("-")[:64]
        found.at(
            "GG215",
            node,
            f"'{value[:60]}' is no name for a {what}",
            hint=f"write {better}" if NAME.fullmatch(better) else "e.g. new-accounts",
        )
        return None
    return value
