"""Which tests are known to reach a line."""

from __future__ import annotations

import sys
import types
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import TRACED, UNTRACED, pytest_runtest_protocol
from tests.mutation.reach import Recorder


def traced(marked: str, option: Namespace, folder: str = "core") -> bool:
    """Whether a test in a folder, with a mark, is traced while it runs."""
    item: Any = types.SimpleNamespace(
        path=Path(__file__).parents[1] / folder / "test_it.py",
        get_closest_marker=lambda name: name == marked or None,
        config=types.SimpleNamespace(option=option),
    )
    before = sys.gettrace()
    sys.settrace(lambda *_: None)
    try:
        around = pytest_runtest_protocol(item)
        next(around)
        found = sys.gettrace() is not None
        assert next(around, None) is None
        assert sys.gettrace() is not None
    finally:
        sys.settrace(before)
    return found


@pytest.mark.parametrize("mark", UNTRACED)
def test_what_coverage_is_not_measured_of_is_not_traced(mark: str) -> None:
    assert not traced(mark, Namespace())
    assert traced("longest", Namespace())


def test_coverage_is_measured_of_the_tests_of_what_decides() -> None:
    folders = (*sorted(TRACED), "cli", ".")

    assert [traced("longest", Namespace(), folder) for folder in folders] == [
        *[True] * len(TRACED), False, False,
    ]  # fmt: skip


@pytest.mark.parametrize("mark", UNTRACED)
def test_of_what_notices_a_change_every_test_counts(mark: str, tmp_path: Path) -> None:
    config: Any = types.SimpleNamespace(option=Namespace())
    recorder = Recorder(tmp_path, [], tmp_path / "reach")
    recorder._coverage = types.SimpleNamespace(start=lambda: None)  # type: ignore[assignment]

    recorder.pytest_configure(config)

    assert traced(mark, config.option)
    assert traced("longest", config.option, "cli")
