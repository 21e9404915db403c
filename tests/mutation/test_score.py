"""What a sample says of all, and which changes are tried."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tests.mutation.score import Count, interval, table


@pytest.mark.parametrize(
    ("noticed", "tried", "low", "high"),
    # As R's `prop.test(…, correct = FALSE)` and Wilson's own formula have them.
    [(0, 0, 0.0, 1.0), (0, 10, 0.0, 0.278), (10, 10, 0.722, 1.0), (90, 100, 0.826, 0.945),
     (270, 300, 0.861, 0.929)],
)  # fmt: skip
def test_the_fewer_were_tried_the_less_is_known(
    noticed: int, tried: int, low: float, high: float
) -> None:
    assert interval(noticed, tried) == pytest.approx((low, high), abs=0.001)


def test_what_never_ends_is_noticed_too_and_all_is_the_sum() -> None:
    said = table({"a.py": Count(3, 1, 1), "b.py": Count(5, 0, 0)})

    assert "a.py" in said
    assert " 80.0%" in said
    assert " 90.0%" in said.splitlines()[-1]


@pytest.fixture(scope="module")
def sites() -> Any:
    return pytest.importorskip("tests.mutation.sites", reason="cosmic-ray is of `make mutants`")


CODE = '''
from __future__ import annotations
import functools
Either = int | None
@functools.lru_cache(maxsize=64)
def first(value: int | None, *, most: int = 3) -> int | None:
    """Docstrings are no code: 1 < 2."""
    if value is not None and value + 1 < most:
        return value
    return None
'''


def test_a_change_is_made_where_it_could_matter_once_for_each_place(sites: Any) -> None:
    made = sites.mutants_of("x.py", CODE, random.Random(1))

    found = [mutant for mutant in made if sites.compiles(mutant.source(CODE))]
    lines = sorted({mutant.place[0] for mutant in found})
    assert lines == [6, 8]
    # `3`, `not (…)`, `is not`, `and`, `+`, `1`, `<`.
    assert len(found) == 7
    changed = {mutant.source(CODE) for mutant in found}
    assert len(changed) == 7
    assert CODE not in changed


def test_a_sample_is_spread_over_all_and_drawn_by_its_seed(sites: Any) -> None:
    every = list(range(1000))

    drawn = [sites.sampled(every, 10, random.Random(seed)) for seed in (1, 1, 2)]

    assert drawn[0] == drawn[1] != drawn[2]
    assert [one // 100 for one in drawn[0]] == list(range(10))
    assert sites.sampled(every, 2000, random.Random(1)) == every
