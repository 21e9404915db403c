"""One finding and how it prints; the nearest known word for an unknown one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from gateway_guard.policy.codes import CODES, Code, Severity
from gateway_guard.policy.schema import KEYS

__all__ = ["CODES", "Code", "Diagnostic", "Severity", "in_order", "nearest", "suggest"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostic:
    """One finding, with its place.

    Attributes:
        code: key of `CODES`.
        message: one line, lower case, naming the offending word.
        file: as the operator named it.
        line, column: 1-based; 0 when the finding is about the file as a whole.
        source: the line of text, without its end; empty for a whole-file finding.
        width: characters marked by the caret, >= 1.
        hint: what to write instead; empty when there is nothing to add.
        severity: from `CODES`.
    """

    code: str
    message: str
    file: str
    line: int = 0
    column: int = 0
    source: str = ""
    width: int = 1
    hint: str = ""
    severity: Severity = Severity.ERROR

    @property
    def place(self) -> str:
        """`file:line:column`, or just the file."""
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file

    def __str__(self) -> str:
        head = f"{self.place}: {self.severity.value}[{self.code}]: {self.message}"
        if not self.line:
            return f"{head}\n   = hint: {self.hint}" if self.hint else head
        number = str(self.line)
        pad = " " * (len(number) + 1)
        shown, column = _window(self.source, self.column)
        carets = "^" * max(1, min(self.width, len(shown) - column + 1))
        block = [head, f"{pad}|", f"{number} | {shown}", f"{pad}| {' ' * (column - 1)}{carets}"]
        if self.hint:
            block.append(f"{pad}= hint: {self.hint}")
        return "\n".join(block)


_WINDOW: Final = 160


def _window(source: str, column: int) -> tuple[str, int]:
    """The part of a long line around `column`, printable, and the column within it."""
    text = "".join(ch if ch.isprintable() else " " for ch in source[: column + 4 * _WINDOW])
    if len(text) <= _WINDOW:
        return text, column
    start = max(0, column - 1 - _WINDOW // 2)
    cut = text[start : start + _WINDOW]
    if start:
        return "… " + cut, column - start + 2
    return cut + " …", column


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that `word` most likely stands for; None when none is close."""
    known = list(known)
    if word.casefold() == "known":
        return None  # `unknown` is close, and the contrary
    folded = {name.casefold().replace("_", "-"): name for name in known}
    close = difflib.get_close_matches(
        word[:64].casefold().replace("_", "-"), folded, n=1, cutoff=0.6
    )
    return folded[close[0]] if close else None


#: What other tools and people call what policies name otherwise, too far for `nearest` to see.
_CALLED: Final = {
    "ip": "client_ip", "ip_address": "client_ip", "address": "client_ip", "cidr": "client_ip",
    "user": "account", "key": "account", "api_key": "account", "customer": "account",
    "org": "organisation", "tenant": "organisation", "team": "organisation",
    "tag": "account_tag", "label": "account_tag", "age": "account_age", "plan": "tier",
    "vpn": "network", "tor": "network", "proxy": "network", "endpoint": "path", "url": "path",
    "route": "path",
    "block": "deny", "reject": "deny", "refuse": "deny", "ban": "deny", "forbid": "deny",
    "drop": "deny", "accept": "allow", "pass": "allow", "permit": "allow", "verify": "challenge",
    "captcha": "challenge", "limit": "throttle", "slow": "throttle", "degrade": "restrict",
    "rpm": "requests", "tpm": "tokens", "parallel": "concurrent", "in_flight": "concurrent",
    "action": "then", "if": "when", "match": "when", "condition": "when",
    "description": "why", "reason": "why", "comment": "why", "note": "why",
    "global": "everyone", "all": "everyone", "datacenter": "hosting", "datacentre": "hosting",
}  # fmt: skip
_TIMES: Final = frozenset((
    "time", "time_of_day", "hour", "hours", "day", "days", "weekday", "weekdays", "schedule",
    "date", "dates", "until", "expires", "expires_at", "valid_until", "not_before", "not_after",
    "start", "end",
))  # fmt: skip
_HEADERS: Final = frozenset((
    "header", "headers", "user_agent", "useragent", "host", "referer", "origin", "cookie",
    "end_user",
))  # fmt: skip
_SAYINGS: Final = frozenset(("message", "text", "response", "error", "detail", "title"))


_ALTERNATIVES: Final = frozenset(("any", "any_of", "anyof", "or", "one_of", "oneof"))


#: Words that are all listed where one of them was meant, and where no guess can be made.
_FEW: Final = 24
_SOME: Final = 32


def suggest(word: str, known: Iterable[str]) -> str:
    """The hint for a word that is none of `known`: the nearest, and all of them when few."""
    known = list(known)
    plain = word[:64].casefold().replace("-", "_")
    if plain in _TIMES and ("country" in known or {"then", "when"} <= set(known)):
        return (
            "rules do not know the time of day, nor the date: let cron put the policy of the hour "
            "in its place"
        )
    if plain in _HEADERS and "everyone" in known:
        return (
            "nothing is counted by a header; `account` is whom `identify.account` names, in an "
            "application by `state`"
        )
    if plain in _HEADERS and "country" in known:
        return (
            "conditions see no headers: have your proxy say it as an attribute of the account "
            "(`identify.attributes`), e.g. a tag"
        )
    if plain in _SAYINGS and {"then", "why"} <= set(known):
        return "clients are told by status and dialect alone; `why` is for the decision log"
    if plain == "known" and "unknown" in known:
        return "what is known is not unknown: not: { KEY: unknown }"
    if plain in _ALTERNATIVES and "country" in known:
        return "a list means any of its values; alternatives of several keys are a rule each"
    called = _CALLED.get(plain)
    if "when" in known and called not in known:
        condition = _condition(plain)
        if condition is not None:
            return f"conditions stand in `when`: when: {{ {condition}: … }}"
    close = called if called in known else nearest(word, known)
    listed = f"one of: {', '.join(sorted(known))}" if known else ""
    if close is not None:
        return f"did you mean '{close}'?" + (f" ({listed})" if len(known) <= _FEW else "")
    return _section(plain, known) or (listed if len(known) <= _SOME else "")


#: Section → where it stands, for keys that somebody indented too little or wrote one level up.
_STANDS: Final = {
    "rule": "a rule",
    "limit": "a limit",
    "when": "the `when` of a rule or limit",
    "with": "the `with` of a rule",
    "adapt": "the `adapt` of a limit",
    "identify": "`identify`",
    "inspect": "`inspect`",
    "on_error": "`on_error`",
}


def _section(word: str, known: list[str]) -> str:
    """Where a key stands that does not stand here, among keys; nothing for other words."""
    if not any(known == list(keys) for keys in KEYS.values()):
        return ""
    places = [place for section, place in _STANDS.items() if word in KEYS[section]]
    return f"`{word}` stands in {' or '.join(places)}: check the indentation" if places else ""


def _condition(word: str) -> str | None:
    """The condition that a word names where none may stand."""
    for name in (word, word.removesuffix("s"), word.removesuffix("es")):
        condition = name if name in KEYS["when"] else _CALLED.get(name)
        if condition in KEYS["when"]:
            return condition
    return None


def in_order(found: Iterable[Diagnostic]) -> Sequence[Diagnostic]:
    """Sorted by place; what stands at the same place by code."""
    return sorted(set(found), key=lambda d: (d.line, d.column, d.code, d.message))
