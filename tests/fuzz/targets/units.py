"""Numbers, durations, sizes, shares and rates of policies: what is read is what exact arithmetic
makes of it; what is refused says so and quotes at most 40 characters of it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from fractions import Fraction

import limits

from gateway_guard.policy import units

WORDS = (
    b"minute", b" per ", b"/", b"seconds", b"hour", b"days", b"ms", b"KB", b"MiB", b"byte", b"%",
    b"e", b".", b"1", b"999999999999999", b"00", b"+", b"-", b" ", b"5 per 10 seconds", b"year",
    b"month", b"characters", b"\xd9\xa3", b"inf", b"nan", b"_", b"\n", b"120/minute", b"7 days",
)  # fmt: skip
_SECONDS = {
    "ms": Fraction(1, 1000), "s": Fraction(1), "m": Fraction(60), "h": Fraction(3600),
    "d": Fraction(86400), "w": Fraction(604800),
}  # fmt: skip


def read(reader: Callable[[str], object], text: str) -> object:
    """What a reader makes of a text; None where it refuses."""
    try:
        return reader(text)
    except ValueError as error:
        said = str(error)
    assert len(said) < 120, said
    assert text[:40] in said
    return None


def target(data: bytes) -> None:
    """Any text."""
    text = data.decode("utf-8", "replace")

    number = read(units.number, text)
    if number is not None:
        assert isinstance(number, float)
        assert math.isfinite(number)
        assert number == float(Fraction(text))
    whole = read(units.integer, text)
    if whole is not None:
        assert whole == number == int(text)
    share = read(units.percent, text)
    if isinstance(share, float):
        assert math.isclose(share, float(Fraction(text.rstrip("%").strip()) / 100), abs_tol=1e-300)
    seconds = read(units.duration, text)
    if isinstance(seconds, float):
        amount, unit = re.fullmatch(r"([0-9.]+)\s*([a-z]+)", text.lower()).groups()  # type: ignore[union-attr]
        scale = _SECONDS["ms" if unit.startswith(("ms", "milli")) else unit[0]]
        assert math.isclose(seconds, float(Fraction(amount) * scale), rel_tol=1e-12), text
        assert seconds > 0
        again = units.show_seconds(seconds)
        if 1e-3 <= seconds < 1e12 and "e" not in again:
            assert math.isclose(float(units.duration(again)), seconds, rel_tol=1e-5), (text, again)
    size = read(units.size, text)
    if isinstance(size, int):
        amount, unit = re.fullmatch(r"([0-9.]+)\s*([a-z]+)", text.lower()).groups()  # type: ignore[union-attr]
        scale = Fraction({"b": 1, "k": 1 << 10, "m": 1 << 20}[unit[0]])
        assert abs(size - Fraction(amount) * scale) < 1 + Fraction(amount) * scale / 10**15, text
        assert size >= 1
    length = read(units.length, text)
    if length is not None:
        assert 1 <= int(str(length)) < 10**9
    rate = read(units.rate, text)
    if isinstance(rate, tuple):
        units_, per = rate
        item = limits.parse(text)
        assert (item.amount, item.get_expiry()) == (units_, per)
        assert 1 <= units_ <= units.MAX_AMOUNT
        assert per >= 1
        assert units.rate(f"{units_} per {per} seconds") == rate
