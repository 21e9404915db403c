"""Where code can be changed, and what it then says. The changes are cosmic-ray's.

One change a place: which of several (`+` to `-`, to `*`, …) is drawn, so that a place where an
operator has ten replacements counts as much as one that has one.
"""

from __future__ import annotations

import ast
import random
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeGuard

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

Place = tuple[int, int]

#: Whether equal texts and numbers are one object is up to the interpreter.
_ACCIDENTS: Final = ("_Eq_Is", "_Is_Eq", "_NotEq_IsNot", "_IsNot_NotEq")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One change.

    Attributes:
        path: of the module, from the root of the repository.
        operator: the change, as cosmic-ray names it.
        occurrence: which of the places where it can be made, from 0.
        place: line, from 1, and column, from 0.
    """

    path: str
    operator: str
    occurrence: int
    place: Place

    def source(self, code: str) -> str | None:
        """`code` of the module with the change made; None where cosmic-ray finds a place and cannot
        change it (`except zlib.error`)."""
        try:
            changed: str | None = mutate_code(code, get_operator(self.operator)(), self.occurrence)
        except AttributeError:
            return None
        return changed


def mutants_of(path: str, code: str, draw: random.Random) -> list[Mutant]:
    """One change for each place of `code` where one could matter, in the order of the lines."""
    quiet = [span for node in ast.walk(ast.parse(code)) for span in _without_effect(node)]
    lines = code.splitlines(keepends=True)
    found: dict[tuple[Place, Place, str], list[Mutant]] = {}
    tree = get_ast(code)
    for name in operator_names():
        kind: Any = get_operator(name)
        if kind.arguments() or name.endswith(_ACCIDENTS):
            continue
        operator = kind()
        places = (place for node in ast_nodes(tree) for place in operator.mutation_positions(node))
        for occurrence, (start, end) in enumerate(places):
            if any(first <= start and end <= last for first, last in quiet):
                continue
            # The `*` before keywords is no product.
            if lines[start[0] - 1][start[1] :].startswith(("*,", "*\n")):
                continue
            mutant = Mutant(path=path, operator=name, occurrence=occurrence, place=start)
            found.setdefault((start, end, _family(name)), []).append(mutant)
    return [draw.choice(found[key]) for key in sorted(found)]


def sampled(every: list[Mutant], size: int, draw: random.Random) -> list[Mutant]:
    """`size` of them at even distances, from a start that is drawn: each module gets its share."""
    if size >= len(every):
        return every
    step = len(every) / size
    start = draw.random() * step
    return [every[int(start + number * step)] for number in range(size)]


def compiles(code: str | None) -> TypeGuard[str]:
    """Whether it is Python at all."""
    if code is None:
        return False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        try:
            compile(code, "changed", "exec")
        except SyntaxError:
            return False
    return True


def modules(root: Path) -> list[str]:
    """What is changed: all of the core (identity and limits among it) and the store in memory."""
    core = sorted((root / "gateway_guard" / "core").glob("*.py"))
    files = [*core, root / "gateway_guard" / "stores" / "memory.py"]
    return [str(file.relative_to(root)) for file in files]


def _family(operator: str) -> str:
    """Replacements of one operator by others are one family: only one of them is drawn."""
    name = operator.rpartition("/")[2]
    return name.split("_")[0] if "Replace" in name and "_" in name else name


def _without_effect(node: ast.AST) -> Iterator[tuple[Place, Place]]:
    """Places where a change says nothing a program could see: annotations, names of types, options
    of classes (frozen, slots), and what decorators remember."""
    parts: list[ast.AST | None] = []
    if isinstance(node, ast.arg | ast.AnnAssign):
        parts.append(node.annotation)
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        parts.append(node.returns)
    elif isinstance(node, ast.ClassDef):
        parts += [word.value for word in node.keywords]
    elif isinstance(node, ast.Assign) and _union(node.value):
        parts.append(node.value)
    for part in parts:
        if part is not None:
            yield _span(part)
    for decorator in getattr(node, "decorator_list", ()):
        if isinstance(node, ast.ClassDef) or _quiet(decorator):
            (line, column), (end, _) = _span(decorator)
            # With its sign, and to the end of its line, as cosmic-ray has it.
            yield (line, max(0, column - 1)), (end + 1, 0)


def _quiet(decorator: ast.AST) -> bool:
    said = ast.unparse(decorator)
    return any(word in said for word in ("cache", "final", "override", "overload"))


def _union(value: ast.AST) -> bool:
    """Whether it is `A | B` of names, as types are."""
    if isinstance(value, ast.BinOp) and isinstance(value.op, ast.BitOr):
        return _union(value.left) and _union(value.right)
    if isinstance(value, ast.Subscript):
        return _union(value.value)
    named = isinstance(value, ast.Name | ast.Attribute)
    return named or (isinstance(value, ast.Constant) and value.value is None)


def _span(node: Any) -> tuple[Place, Place]:
    return (node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset)
