"""The policy language as JSON Schema (draft 2020-12), for editors; made of the same tables.

An editor completes keys and words with it, shows what they mean and marks what cannot be. It knows
one value at a time: what two places say together (rules nobody reaches, names that are not
defined, thresholds out of reach) is for `gateway-guard check`. The other way round it marks three
spellings that `check` takes: numbers in quotes, `true` and `false` in quotes, shares like `1e1%`.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, get_args, get_origin

from gateway_guard.policy.countries import COUNTRIES
from gateway_guard.policy.detectors import parameters
from gateway_guard.policy.identity import UNIX
from gateway_guard.policy.json_values import (
    NETWORK,
    NUMBER,
    PATTERNS,
    PLAIN,
    SHARES,
    TEXT,
    Schema,
    by_name,
    number,
    one_or_some,
    quantity,
    some,
    whole,
)
from gateway_guard.policy.quotas import TABLES
from gateway_guard.policy.schema import ALWAYS_KNOWN, EXPECTED_QUOTA, KEYS, SCHEMA, UNITS, Key
from gateway_guard.policy.values import NAME, NEVER_EMPTY, QUANTITIES, bounds
from gateway_guard.policy.verification import WAYS
from gateway_guard.types import UNKNOWN

DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"
#: What can be described: name → (section of the tables that is the document, what it is).
DOCUMENTS: Final = {
    "policy": ("policy", "A gateway-guard policy"),
    "test": ("file", "Tests of a gateway-guard policy (*.test.yaml)"),
}


def json_schema(document: str, detectors: Mapping[str, type[Any]], version: str) -> Schema:
    """The schema of a document.

    Args:
        document: of `DOCUMENTS`.
        detectors: name → class of every detector that policies may switch on.
        version: of this package; with the version of the language it makes the `$id`.
    """
    root, title = DOCUMENTS[document]
    language = f"{KEYS['policy']['version'].high:g}"
    writer = _Writer(detectors)
    body = writer.section(root)
    return {
        "$schema": DRAFT,
        "$id": f"urn:gateway-guard:{document}:{language}:{version}",
        "title": title,
        **body,
        "$defs": dict(sorted(writer.defs.items())),
    }


class _Writer:
    """Sections and words met so far, each written once.

    Attributes:
        defs: what `$ref`s lead to.
    """

    def __init__(self, detectors: Mapping[str, type[Any]]) -> None:
        self.detectors = detectors
        self.defs: dict[str, Schema] = {}

    def ref(self, name: str, write: Callable[[], Schema]) -> Schema:
        """A reference to `name`, which `write` describes."""
        if name not in self.defs:
            self.defs[name] = {}  # `when` holds `not`, which holds `when` again
            self.defs[name] = write()
        return {"$ref": f"#/$defs/{name}"}

    def section(self, name: str) -> Schema:
        """The mapping that a section of the tables describes."""
        keys = SCHEMA[name]
        body: Schema = {
            "type": "object",
            "properties": {key.name: self.key(name, key) for key in keys},
            "additionalProperties": False,
        }
        required = [key.name for key in keys if key.required]
        if required:
            body["required"] = required
        return body | _TOGETHER.get(name, {})

    def key(self, section: str, key: Key) -> Schema:
        """The value of one key, with what it means."""
        value = self.value(section, key)
        listed = key.kind in ("texts", "scores", "given_indicators")
        if section == "given" and not listed and key.name not in ALWAYS_KNOWN:
            value = {"anyOf": [value, {"const": UNKNOWN}]}
        bounded = key.kind in QUANTITIES and key.high < float("inf") and key.low < key.high
        return {**value, "description": bounds(key) if bounded and key.low >= 0 else key.doc}

    def value(self, section: str, key: Key) -> Schema:
        """The value alone."""
        if (section, key.name) == ("rule", "name"):
            return {"type": "string", "pattern": whole(NAME), "maxLength": 64}
        if key.kind in PLAIN:
            return PLAIN[key.kind](key)
        if key.kind in QUANTITIES:
            return self.ref(key.kind, lambda: quantity(key.kind))
        below: dict[str, Callable[[], Schema]] = {
            "section": lambda: self.below(key.of),
            "not": lambda: self.below(key.of),
            "sections": lambda: some(self.below(key.of)),
            "named": lambda: by_name(self.below(key.of)),
            "regions": lambda: by_name({**self.countries(), "description": key.doc}),
            "countries": self.countries,
            "table": lambda: self.table(key),
            "networks": lambda: one_or_some(
                {"anyOf": [NETWORK, {"const": UNKNOWN if section == "when" else UNIX}]}
            ),
            "signals": lambda: self.scored() if section == "when" else self.weighted(),
            "ages": lambda: self.bands(key, "duration", UNKNOWN),
            "bands": lambda: self.bands(key, "number"),
            "campaigns": lambda: self.bands(key, "number", "known", UNKNOWN),
            "indicators": lambda: one_or_some({"anyOf": [TEXT, self.below(key.of)]}),
            "given_indicators": lambda: one_or_some({"anyOf": [TEXT, self.below(key.of)]}),
            "scores": lambda: self.by_detector(lambda _name: number(key)),
            "quotas": lambda: by_name({"anyOf": [number(EXPECTED_QUOTA), {"const": "none"}]}),
        }
        made = below[key.kind]()
        if (section, key.name) == ("identify", "account"):
            return {"anyOf": [made, made["items"]]}
        return made

    def below(self, name: str) -> Schema:
        """A reference to a section."""
        return self.ref(name, lambda: self.section(name))

    def country(self) -> Schema:
        """A reference to the country codes, each with its name."""
        return self.ref(
            "country",
            lambda: {"enum": list(COUNTRIES), "enumDescriptions": list(COUNTRIES.values())},
        )

    def countries(self) -> Schema:
        """Country codes and names of regions."""
        return one_or_some({"anyOf": [self.country(), {"type": "string", "pattern": whole(NAME)}]})

    def table(self, key: Key) -> Schema:
        """One of the tables of `adapt`."""
        at, share = TABLES[key.name]
        names = {"type": "string", "pattern": "\\S"}
        if at is not None:
            names = {"pattern": NUMBER if at.kind == "number" else PATTERNS[at.kind]}
        return {
            "type": "object",
            "minProperties": 1,
            "propertyNames": names,
            "additionalProperties": self.ref(share.kind, lambda: quantity(share.kind)),
        }

    def bands(self, key: Key, kind: str, *words: str) -> Schema:
        """`{ min, max }` of quantities of a kind, or a word, or a list of those."""
        ends = {
            end.name: {
                **(
                    number(dataclasses.replace(key, low=max(0.0, key.low)))
                    if kind == "number"
                    else self.ref(kind, lambda: quantity(kind))
                ),
                "description": end.doc,
            }
            for end in SCHEMA["band"]
        }
        band = {
            "type": "object",
            "properties": ends,
            "additionalProperties": False,
            "minProperties": 1,
        }
        return one_or_some({"anyOf": [band, {"enum": list(words)}]} if words else band)

    def by_detector(self, write: Callable[[str], Schema]) -> Schema:
        """A mapping by names of detectors."""
        return {
            "type": "object",
            "properties": {
                name: {**write(name), "description": _summary(cls)}
                for name, cls in self.detectors.items()
            },
            "additionalProperties": False,
        }

    def scored(self) -> Schema:
        """`signal` of a condition: a detector's score within a band."""
        score = Key(name="signal", kind="bands", doc="", low=0, high=1)
        return self.by_detector(lambda _name: self.bands(score, "number"))

    def weighted(self) -> Schema:
        """`signals` of a policy: a detector's settings."""
        return self.by_detector(lambda name: self.detector(self.detectors[name]))

    def detector(self, cls: type[Any]) -> Schema:
        """The settings of one detector: its weight and what its class takes."""
        weight = {key.name: self.key("signal", key) for key in SCHEMA["signal"]}
        said = _attributes(cls)
        taken = {
            name: {**self.parameter(kind), "description": said.get(name, name)}
            for name, kind in parameters(cls).items()
        }
        for field in dataclasses.fields(cls) if taken else ():
            if isinstance(field.default, bool | int | float | str):
                taken[field.name]["default"] = field.default
        return {
            "type": "object",
            "properties": {**weight, **taken},
            "required": [key.name for key in SCHEMA["signal"] if key.required],
            "additionalProperties": False,
        }

    def parameter(self, kind: Any) -> Schema:
        """A detector's parameter of a Python type, as `policy.detectors` reads it."""
        if get_origin(kind) in (tuple, frozenset, list):
            return one_or_some(self.parameter(get_args(kind)[0] if get_args(kind) else str))
        if kind is bool:
            return {"type": "boolean"}
        if kind is int:
            return {"type": "integer"}
        if kind is float:
            shares = (self.ref(name, lambda n=name: quantity(n)) for name in SHARES)  # type: ignore[misc]
            return {"anyOf": [{"type": "number"}, *shares]}
        return dict(TEXT)


#: Section → what its keys are together.
_TOGETHER: Final[Mapping[str, Schema]] = {
    "account": {"minProperties": 1, "maxProperties": 1},
    "limit": {"oneOf": [{"required": [unit]} for unit in UNITS]},
    "verification": {"oneOf": [{"required": [way]} for way in WAYS]},
    **{name: {"minProperties": 1} for name in (*NEVER_EMPTY, "with", "expect", "indicator")},
}


def _summary(cls: type[Any]) -> str:
    """The first sentence of a detector's manual page."""
    return (inspect.getdoc(cls) or cls.__name__).partition("\n")[0].strip()


def _attributes(cls: type[Any]) -> dict[str, str]:
    """Parameter → what the manual page says of it, under `Attributes:`."""
    page = (inspect.getdoc(cls) or "").partition("\nAttributes:\n")[2].partition("\n\n")[0]
    entries = re.split(r"^ {4}(?=\w)", page, flags=re.MULTILINE)
    pairs = (entry.partition(": ") for entry in entries if ": " in entry)
    return {
        name: " ".join(text.split())
        for names, _, text in pairs
        for name in re.split(r",\s*", names)
    }
