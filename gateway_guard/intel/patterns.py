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
_NETWORKS: Final = ("ipv4-addr:value", "ipv6-addr:value")
_TOKEN: Final = re.compile(
    r"\s*(?:([\[\]()=])|'((?:[^'\\]|\\['\\])*)'|([A-Za-z][A-Za-z0-9_:.-]*))", re.ASCII
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
    it was matched by halves.
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
        at += 1
        while True:
            read = _comparison(tokens, at)
            if read is None or len(found) >= MOST_ALTERNATIVES:
                return None
            found.append(read)
            at += 3
            if at < size and tokens[at] == ("word", "OR"):
                at += 1
                continue
            break
        if at >= size or tokens[at] != ("mark", "]"):
            return None
        at += 1
        if at == size:
            return found
        if tokens[at] != ("word", "OR"):
            return None
        at += 1


def _comparison(tokens: list[tuple[str, str]], at: int) -> tuple[str, str] | None:
    if at + 3 > len(tokens):
        return None
    (kind, path), operator, (what, value) = tokens[at : at + 3]
    if kind != "word" or what != "text":
        return None
    equal = operator == ("mark", "=")
    if path in _NETWORKS and (equal or operator == ("word", "ISSUBSET")):
        return "network", value
    if path in _KINDS and equal:
        return _KINDS[path], value
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
