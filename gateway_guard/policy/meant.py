"""What somebody meant who wrote it as other tools, pages and people do."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Final

from gateway_guard.policy import units

_RATE: Final = re.compile(
    r"(?P<amount>[0-9]{1,3}(?:[,_'][0-9]{3})+|[0-9]{1,12}(?:\.[0-9]{1,6})?)(?P<exponent>e[0-9]{1,2})?"
    r"\s*(?P<scale>k|m|b|g|thousand|million|billion)?"
    r"\s*(?P<what>requests?|reqs?|tokens?|toks?|calls?)?"
    r"\s*(?P<per>/|per\b|a\b|an\b|every\b|each\b)?"
    r"\s*(?P<many>[1-9][0-9]{0,5})?\s*(?P<unit>[a-z]+)",
    re.ASCII,
)
_SCALES: Final = {
    "k": 10**3, "thousand": 10**3, "m": 10**6, "million": 10**6,
    "b": 10**9, "g": 10**9, "billion": 10**9,
}  # fmt: skip
#: Unit as somebody writes it → how many of which of ours.
_UNITS: Final = {
    **dict.fromkeys(("s", "sec", "second", "rps", "qps", "tps"), (1, "second")),
    **dict.fromkeys(("m", "min", "minute", "minutely", "rpm", "tpm", "qpm"), (1, "minute")),
    **dict.fromkeys(("h", "hr", "hour", "hourly", "rph", "tph"), (1, "hour")),
    **dict.fromkeys(("d", "day", "daily", "rpd", "tpd"), (1, "day")),
    **dict.fromkeys(("w", "wk", "week", "weekly"), (7, "day")),
    **dict.fromkeys(("mo", "mon", "month", "monthly"), (1, "month")),
    **dict.fromkeys(("y", "yr", "year", "yearly"), (1, "year")),
}
_WITHOUT: Final = frozenset(("rps", "qps", "tps", "rpm", "tpm", "qpm", "rph", "tph", "rpd", "tpd"))
_UNBOUNDED: Final = frozenset(("unlimited", "infinite", "infinity", "inf", ".inf", "none", "never"))
_MOST: Final = 1000


_QUOTES: Final = "\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f\u00ab\u00bb"


def bare(text: str) -> str:
    """`text` without white space around it, nor a pair of typographic quotes, which YAML keeps."""
    inner = text.strip(" \t\r\n\u00a0\u200b")
    if len(inner) > 2 and inner[0] in _QUOTES and inner[-1] in _QUOTES:
        inner = inner[1:-1]
    return inner or text


def rate_hint(text: str) -> str | None:
    """What to write instead of `text`, which is no rate; None when nobody can tell."""
    said = text.strip().casefold()
    if said.split("/")[0].strip() in _UNBOUNDED:
        return "what is not limited needs no limit: leave it out, or say by `when` who has one"
    if re.fullmatch(r"0+\s*(?:/|per\b).*", said):
        return "a limit grants at least 1; to refuse, write a rule: then: deny"
    meant = _rate(said)
    return f"write {meant}" if meant else None


def _rate(said: str) -> str | None:
    found = _RATE.fullmatch(said)
    if found is None:
        return None
    unit = found["unit"] if found["unit"] in _UNITS else found["unit"].removesuffix("s")
    # `per` or a word that says as much: `5 m` alone may be minutes or a million.
    if unit not in _UNITS or not (found["per"] or found["unit"].endswith("ly") or unit in _WITHOUT):
        return None
    amount = Fraction(re.sub(r"[,_']", "", found["amount"]) + (found["exponent"] or ""))
    amount *= _SCALES.get(found["scale"] or "", 1)
    count, name = _UNITS[unit]
    count *= int(found["many"] or 1)
    times = amount.denominator
    if times > _MOST:
        return None
    amount, count = amount * times, count * times
    meant = f"{amount}/{name}" if count == 1 else f"{amount} per {count} {name}s"
    try:
        units.rate(meant)
    except ValueError:
        return None
    return meant
