"""Thresholds of the linker can be varied by name, wherever they are written and copied to."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.evaluate.sets import ROOT, CannotWorkError
from tests.evaluate.vary import Varied, install, numbers, resolve, thresholds

SOURCE = '''
"""A module."""
from typing import Final
import enum

class Kind(enum.StrEnum):
    PACE = "pace"

JOIN: Final = 3.0
DAY = 24 * 3600
NAME = "text"
TABLE: Final = {Kind.PACE: 0.35, "sign-up": -1.0, "word": "x"}

class Burden:
    left: float = 2.5
    count: int = 0

def judged(left: float = Burden.left, twice: float = 2 * JOIN) -> tuple[float, float]:
    return left, twice
'''


def loaded(path: Path, changes: dict[str, float]) -> ModuleType:
    path.write_text(SOURCE)
    spec = importlib.util.spec_from_loader(
        "varied_module", Varied("varied_module", str(path), changes)
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_numbers_are_found_at_the_top_in_classes_and_in_tables() -> None:
    found = {name: ast.unparse(value) for name, value, _ in numbers(ast.parse(SOURCE))}

    assert found == {
        "JOIN": "3.0", "DAY": "24 * 3600", "TABLE.PACE": "0.35", "TABLE.sign-up": "-1.0",
        "Burden.left": "2.5",
    }  # fmt: skip


def test_what_is_made_from_a_number_follows_it(tmp_path: Path) -> None:
    module = loaded(tmp_path / "m.py", {"JOIN": 5, "Burden.left": -1.5, "TABLE.PACE": 0.5})

    assert module.judged() == (-1.5, 10)
    assert module.TABLE[module.Kind.PACE] == 0.5
    assert (module.DAY, module.TABLE["sign-up"]) == (86400, -1.0)


def test_the_linkers_burden_of_proof_can_be_varied() -> None:
    assert {"evidence.Burden.left", "evidence.Burden.false_alarms"} <= thresholds().keys()


def test_a_varied_default_reaches_the_linker_in_a_process_of_its_own() -> None:
    code = (
        "from tests.evaluate.vary import install; install({'Burden.left': 17.5});"
        "from gateway_guard.campaigns.linker import Linker; print(Linker().burden.left)"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "17.5"


def test_any_unambiguous_end_of_a_name_will_do() -> None:
    known = ["evidence.Burden.left", "other.Burden.left", "membership.JOIN"]

    assert resolve("JOIN", known) == "membership.JOIN"
    assert resolve("evidence.Burden.left", known) == "evidence.Burden.left"
    with pytest.raises(CannotWorkError, match="ambiguous: evidence"):
        resolve("Burden.left", known)
    with pytest.raises(CannotWorkError, match=r"did you mean membership\.JOIN"):
        resolve("Signature.join", known)


def test_a_module_already_imported_cannot_be_varied() -> None:
    import gateway_guard.campaigns.evidence  # noqa: F401

    with pytest.raises(CannotWorkError, match="imported already"):
        install({"evidence.Burden.left": 1.0})
