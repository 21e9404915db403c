"""One value of a policy as JSON Schema: what it may look like, by the kind its key has."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from limits.limits import GRANULARITIES

from gateway_guard.core.credentials import ACCOUNT
from gateway_guard.policy import units
from gateway_guard.policy.schema import Key
from gateway_guard.policy.values import NAME, QUANTITIES, TOKEN
from gateway_guard.types import UNKNOWN

Schema = dict[str, Any]


def one_or_some(one: Schema) -> Schema:
    """One, or a list of them."""
    return {"anyOf": [one, some(one)]}


def some(one: Schema) -> Schema:
    """A list of at least one."""
    return {"type": "array", "items": one, "minItems": 1}


def by_name(one: Schema) -> Schema:
    """A mapping by kebab-case names."""
    names = {"pattern": whole(NAME), "maxLength": 64}
    return {"type": "object", "propertyNames": names, "additionalProperties": one}


def whole(pattern: re.Pattern[str]) -> str:
    """A pattern that must fit all of a text; JSON Schema's fit any part of it."""
    return f"^(?:{pattern.pattern})$"


def _either_case(words: str) -> str:
    """A pattern of letters that says nothing of their case, which JSON Schema has no flag for."""
    return re.sub(r"[a-z]", lambda letter: f"[{letter[0]}{letter[0].upper()}]", words)


def _amount(unit_names: Mapping[str, object]) -> str:
    named = "|".join(sorted(unit_names, key=len, reverse=True))
    return rf"^[0-9]{{1,12}}(?:\.[0-9]{{1,9}})?\s*(?:{_either_case(named)})[sS]?$"


#: A number as the name of a key, which is text in JSON.
NUMBER: Final = r"^(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)$"
#: Kind → what its text looks like. Amounts are bounded by the reader, which the description tells.
PATTERNS: Final = {
    "duration": _amount(units.SECONDS),
    "size": _amount(units.BYTES),
    "length": r"^[0-9]{1,9}\s*characters?$",
    "percent": r"^[+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*%$",
    "rate": r"^[0-9]{1,30}\s*(?:/|per)\s*(?:[1-9][0-9]{0,8}\s*)?"
    rf"(?:{'|'.join(GRANULARITIES)})s?$",
}
#: What a detector's parameter may be spelled as, besides a plain number.
SHARES: Final = ("duration", "percent")


def quantity(kind: str) -> Schema:
    """Text with a unit, of a kind in `PATTERNS`; the message is what editors show for others."""
    example = QUANTITIES[kind][2]
    return {"type": "string", "pattern": PATTERNS[kind], "patternErrorMessage": example}


def number(key: Key) -> Schema:
    """A number within the key's bounds; where these meet, that one."""
    body: Schema = {"type": "integer" if key.kind == "integer" else "number"}
    if key.low == key.high:
        return {"const": int(key.low)}
    if key.low > -float("inf"):
        body["minimum"] = key.low
    if key.high < float("inf"):
        body["maximum"] = key.high
    return body


#: Text that happens to look like a number or a flag is text all the same.
TEXT: Final[Schema] = {"type": ["string", "number", "boolean"], "pattern": "\\S"}
NETWORK: Final[Schema] = {"type": "string", "pattern": r"^[0-9A-Fa-f:.]+(?:/[0-9]{1,3})?$"}


def _words(key: Key) -> Schema:
    also = [UNKNOWN] if key.name == "network" else []
    return one_or_some({"enum": list(dict.fromkeys([*key.words, *also]))})


def _flags(key: Key) -> Schema:
    also = [] if key.name == "model_route" else [UNKNOWN]
    return one_or_some({"enum": [True, False, *also]})


#: Kind → its value, for kinds that mean the same in every section.
PLAIN: Final[Mapping[str, Callable[[Key], Schema]]] = {
    "integer": number,
    "number": number,
    "flag": lambda _key: {"type": "boolean"},
    "flags": _flags,
    "word": lambda key: {"enum": list(key.words)},
    "words": _words,
    "text": lambda _key: dict(TEXT),
    "texts": lambda _key: one_or_some(dict(TEXT)),
    "models": lambda _key: one_or_some(dict(TEXT)),
    "phrases": lambda _key: one_or_some({**TEXT, "minLength": 3, "maxLength": 200}),
    "header": lambda _key: {"type": "string", "pattern": whole(TOKEN)},
    "paths": lambda _key: one_or_some({"type": "string", "pattern": f"^(?:/.*|{UNKNOWN})$"}),
    "accounts": lambda _key: one_or_some(
        {"type": "string", "pattern": f"^(?:known|{UNKNOWN}|{ACCOUNT.pattern})$"}
    ),
    "asns": lambda _key: one_or_some(
        {
            "anyOf": [
                {"type": "integer", "minimum": 0, "maximum": 2**32 - 1},
                {"type": "string", "pattern": f"^(?:AS[0-9]{{1,10}}|{UNKNOWN})$"},
            ]
        }
    ),
}
