"""Which changes can be made without loading a module anew, and which arguments still stand."""

from __future__ import annotations

from pathlib import Path

import pytest

import gateway_guard
from tests.mutation.arguments import TABLE
from tests.mutation.equivalent import Equivalent, argued
from tests.mutation.reach import Reach
from tests.mutation.warm import changed_functions, statement

CODE = """
MOST = 3
ALL = [n + 1 for n in range(4)]
def outer(value, most=5):
    def inner():
        return value + 7
    if value < most:
        return inner()
    return 0
class Kept:
    size = 8
    def grow(self):
        return self.size + 9
"""


@pytest.mark.parametrize(
    ("old", "new", "names"),
    [
        ("value + 7", "value - 7", {"outer", "outer.<locals>.inner"}),
        ("value < most", "value <= most", {"outer"}),
        ("size + 9", "size + 8", {"Kept.grow"}),
        ("value < most", "value < most", set()),
    ],
)
def test_a_change_inside_a_function_is_that_function_and_those_around_it(
    old: str, new: str, names: set[str]
) -> None:
    found = changed_functions(CODE, CODE.replace(old, new), "x.py")

    assert found is not None
    assert {name for _, name, _ in found} == names


@pytest.mark.parametrize(
    ("old", "new"),
    [("MOST = 3", "MOST = 4"), ("n + 1", "n - 1"), ("most=5", "most=6"), ("size = 8", "size = 9")],
)
def test_what_runs_when_a_module_is_loaded_is_no_function(old: str, new: str) -> None:
    assert changed_functions(CODE, CODE.replace(old, new), "x.py") is None


def test_a_statement_with_a_body_is_its_head() -> None:
    import ast

    tree = ast.parse("def f(a,\n      b):\n    if (a\n            and b):\n        return 1\n")

    assert [statement(tree, line) for line in range(1, 6)] == [
        (1, 2), (1, 2), (3, 4), (3, 4), (5, 5),
    ]  # fmt: skip


def test_the_tests_of_the_module_come_first_and_then_the_quick_ones() -> None:
    lines = {
        "core/a.py": {3: ["t/test_b.py::slow", "t/test_b.py::quick", ""], 4: ["t/test_a.py::x"]}
    }
    seconds = {"t/test_b.py::slow": 2.0, "t/test_b.py::quick": 0.1, "t/test_a.py::x": 9.0}
    reach = Reach(lines=lines, seconds=seconds)

    assert reach.tests("core/a.py", 3, 4) == [
        "t/test_a.py::x", "t/test_b.py::quick", "t/test_b.py::slow",
    ]  # fmt: skip
    assert reach.when_loaded("core/a.py", 3, 3)
    assert not reach.when_loaded("core/a.py", 4, 9)
    assert reach.tests("core/unknown.py", 1, 9) == []


def test_an_argument_is_about_one_line_and_what_it_becomes() -> None:
    entry = Equivalent("core/x.py", "x = y * 3 >> 3", ("x = y * … >> 3",), "because")
    before = "\n    x = y * 3 >> 3\n"

    def why(path: str, after: str) -> str | None:
        return argued(path, before, before.replace("* 3 >> 3", after), [entry])

    assert why("gateway_guard/core/x.py", "* 4 >> 3") == "because"
    assert why("gateway_guard/core/x.py", "* 3 >> 4") is None
    assert why("gateway_guard/core/x.py", "** 3 >> 3") is None
    assert why("gateway_guard/core/y.py", "* 4 >> 3") is None


def test_every_argument_is_about_a_line_that_still_stands() -> None:
    package = Path(gateway_guard.__file__).parent

    for one in TABLE:
        lines = [line.strip() for line in (package / one.path).read_text("utf-8").splitlines()]
        assert one.line in lines, one
        assert one.line not in one.becomes, one
        assert one.why, one
