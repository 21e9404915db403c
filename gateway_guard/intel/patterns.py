"""STIX patterns ↔ what an indicator names. Only what the guard can match is understood.

Address ranges are the standard's own. For client software, templates and TLS fingerprints it has no
cyber-observable: the guard uses objects of its own, so that every STIX tool can store and hand on
what it cannot match itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

#: Longest pattern read, characters, and most alternatives in one.
LONGEST: Final = 8_192
MOST_ALTERNATIVES: Final = 64

_OWN: Final = {
    "template": "x-gateway-guard-prompt:template",
    "client": "x-gateway-guard-client:software",
    "tls": "x-gateway-guard-client:ja4",
}
_KINDS: Final = {path: kind for kind, path in _OWN.items()}
_SOURCE: Final = "network-traffic:src_ref.value"
_NETWORKS: Final = ("ipv4-addr:value", "ipv6-addr:value", _SOURCE)
_FAMILIES: Final = tuple([("text", kind), ("word", "AND")] for kind in ("ipv4-addr", "ipv6-addr"))
#: Parentheses within parentheses that are read.
_DEEPEST: Final = 8
_TOKEN: Final = re.compile(
    r"\s*(?:([\[\]()=,])|'((?:[^'\\]|\\['\\])*)'|([A-Za-z][A-Za-z0-9_:.-]*))", re.ASCII
)


def pattern_of(kind: str, value: str) -> str:
    """The pattern that an indicator of `kind` for `value` has."""
    if kind == "network":
        family = "ipv6-addr" if ":" in value else "ipv4-addr"
        return f"[{family}:value ISSUBSET {_quoted(value)}]"
    return f"[{_OWN[kind]} = {_quoted(value)}]"


def read_pattern(text: str) -> list[tuple[str, str]] | None:
    """(kind, value) of every alternative; None for a pattern that means more than this can match.

    Understood: one comparison, or several joined by OR, within one observation or several joined by
    OR. Anything else (AND, FOLLOWEDBY, NOT, other objects, qualifiers) would be matched wrongly if
    it was matched by halves. Of network traffic its source is whom the guard sees, and `AND` there
    only says which kind of address it is: so MISP writes `ip-src`.
    """
    if len(text) > LONGEST:
        return None
    tokens = _tokens(text)
    if tokens is None:
        return None
    found: list[tuple[str, str]] = []
    at, size = 0, len(tokens)
    while True:
        if at >= size or tokens[at] != ("mark", "["):
            return None
        read = _alternatives(tokens, at + 1, found, 0)
        if read is None or read >= size or tokens[read] != ("mark", "]"):
            return None
        at = read + 1
        if at == size:
            return found
        if tokens[at] != ("word", "OR"):
            return None
        at += 1


def _alternatives(
    tokens: list[tuple[str, str]], at: int, found: list[tuple[str, str]], depth: int
) -> int | None:
    """Where comparisons joined by OR end; each is put into `found`. None when they are others."""
    while True:
        if tokens[at : at + 1] == [("mark", "(")] and depth < _DEEPEST:
            inner = _alternatives(tokens, at + 1, found, depth + 1)
            end = inner + 1 if inner is not None and tokens[inner:][:1] == [("mark", ")")] else None
        else:
            end = _comparison(tokens, at, found)
        if end is None or len(found) > MOST_ALTERNATIVES:
            return None
        at = end
        if tokens[at : at + 1] != [("word", "OR")]:
            return at
        at += 1


def _comparison(tokens: list[tuple[str, str]], at: int, found: list[tuple[str, str]]) -> int | None:
    """Where one comparison ends, put into `found`; None when it is none the guard can match."""
    if tokens[at : at + 2] == [("word", "network-traffic:src_ref.type"), ("mark", "=")]:
        if tokens[at + 2 : at + 4] not in _FAMILIES:
            return None
        at += 4
        if tokens[at : at + 1] != [("word", _SOURCE)]:
            return None
    if at + 3 > len(tokens):
        return None
    (kind, path), operator, (what, value) = tokens[at : at + 3]
    listed = operator == ("word", "IN")
    equal = operator == ("mark", "=") or listed
    if kind != "word":
        return None
    if path in _NETWORKS and (equal or operator == ("word", "ISSUBSET")):
        named = "network"
    elif path in _KINDS and equal:
        named = _KINDS[path]
    else:
        return None
    if listed:
        return _listed(tokens, at + 2, named, found)
    if what != "text":
        return None
    found.append((named, value))
    return at + 3


def _listed(
    tokens: list[tuple[str, str]], at: int, kind: str, found: list[tuple[str, str]]
) -> int | None:
    """Where the list of an IN ends: `('…', '…')`."""
    before = ("mark", "(")
    while tokens[at : at + 1] == [before] and at + 2 < len(tokens):
        what, value = tokens[at + 1]
        if what != "text":
            return None
        found.append((kind, value))
        at += 2
        if tokens[at] == ("mark", ")"):
            return at + 1
        before = ("mark", ",")
    return None


def _tokens(text: str) -> list[tuple[str, str]] | None:
    found = []
    for kind, value in _lexed(text):
        if kind == "bad":
            return None
        found.append((kind, value))
    return found


def _lexed(text: str) -> Iterator[tuple[str, str]]:
    at, end = 0, len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None:
            yield "bad", ""
            return
        mark, quoted, word = match.groups()
        if mark is not None:
            yield "mark", mark
        elif quoted is not None:
            yield "text", re.sub(r"\\(.)", r"\1", quoted)
        else:
            yield "word", word
        at = match.end()


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
