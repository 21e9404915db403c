"""SECURITY.md: every promise says what breaks with it and which test holds it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "SECURITY.md").read_text("utf-8")
SEVERITIES = ("critical", "high", "medium", "low")
#: Benchmarks do not travel with the wheel's tests.
ELSEWHERE = ("tests/bench/",)


def section(title: str) -> str:
    """What stands below a heading, up to the next one of its kind."""
    level = title.partition(" ")[0]
    _, _, rest = TEXT.partition(f"\n{title}\n")
    assert rest, f"no {title!r}"
    return re.split(rf"\n{level} ", rest, maxsplit=1)[0]


def rows(text: str) -> Iterator[list[str]]:
    """The cells of each row of its tables, without their heads."""
    for line in text.splitlines():
        if line.startswith("| ") and not line.startswith(("| property", "| asset", "| attacker")):
            yield [cell.strip() for cell in line.strip("|").split(" | ")]


PROMISES = list(rows(section("## Promises")))


@pytest.mark.parametrize("promise", PROMISES, ids=[row[0][:40] for row in PROMISES])
def test_a_promise_names_its_symptom_its_severity_and_tests_that_exist(promise: list[str]) -> None:
    assert len(promise) == 4, promise
    _, symptom, severity, tests = promise
    cited = re.findall(r"`(tests/[\w/.]+)`", tests)

    assert len(symptom) > 10
    assert severity in SEVERITIES
    assert cited
    for path in cited:
        assert path.startswith(ELSEWHERE) or (ROOT / path).exists(), path


def test_every_attacker_is_met_by_promises_that_are_there() -> None:
    headings = {
        re.sub(r"[^a-z -]", "", line[4:].lower()).replace(" ", "-")
        for line in section("## Promises").splitlines()
        if line.startswith("### ")
    }

    attackers = list(rows(section("### Attackers")))

    assert len(attackers) >= 8
    met = {link for row in attackers for link in re.findall(r"\(#([\w-]+)\)", row[-1])}
    assert met <= headings
    assert all("](#" in row[-1] for row in attackers)


def test_it_says_what_is_worth_protecting_where_the_boundaries_are_and_what_is_not_promised() -> (
    None
):
    assert len(list(rows(section("### Assets")))) >= 5
    for title in ("### Boundaries", "## What is not promised", "## Reporting"):
        assert len(section(title)) > 200, title
