"""Other thresholds for the linker without touching its files, for `--sweep`.

What can be varied is every number written in `gateway_guard/campaigns/` at the top level of a
module, as a default of a class, or as a value of a table: `evidence.Burden.left`,
`membership.JOIN`, `evidence.ORDINARY.PAYMENT`. Any unambiguous end of such a name will do.

A number is replaced in the syntax tree as its module is imported, so whatever is made from it
(default arguments, copies other modules import) follows.
"""

from __future__ import annotations

import ast
import functools
import importlib.abc
import importlib.machinery
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import CodeType, ModuleType
from typing import Final

import gateway_guard
from tests.evaluate.sets import CannotWorkError

PACKAGE: Final = "gateway_guard.campaigns"
FOLDER: Final = Path(gateway_guard.__file__).parent / "campaigns"

Put = Callable[[ast.expr], None]


def numbers(tree: ast.Module) -> Iterator[tuple[str, ast.expr, Put]]:
    """(dotted name, its expression, how to replace it) of every number of a module."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            for inner in node.body:
                for name, value, put in _assigned(inner):
                    # A default of 0 is where a count starts, no threshold.
                    if ast.unparse(value) not in ("0", "0.0"):
                        yield f"{node.name}.{name}", value, put
        else:
            yield from _assigned(node)


def _assigned(node: ast.stmt) -> Iterator[tuple[str, ast.expr, Put]]:
    if not isinstance(node, ast.Assign | ast.AnnAssign):
        return
    target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
    value = node.value
    if not isinstance(target, ast.Name) or value is None:
        return
    if _is_number(value):
        yield target.id, value, functools.partial(setattr, node, "value")
    elif isinstance(value, ast.Dict):
        for at, (key, inner) in enumerate(zip(value.keys, value.values, strict=True)):
            if key is not None and _is_number(inner):
                word = str(key.value) if isinstance(key, ast.Constant) else ast.unparse(key)
                last = word.rpartition(".")[2]
                put = functools.partial(value.values.__setitem__, at)
                yield f"{target.id}.{last}", inner, put


def _is_number(value: ast.expr) -> bool:
    for node in ast.walk(value):
        if isinstance(node, ast.Constant):
            if type(node.value) not in (int, float):
                return False
        elif not isinstance(node, ast.BinOp | ast.UnaryOp | ast.operator | ast.unaryop):
            return False
    return True


def thresholds() -> dict[str, str]:
    """Every name that can be varied → the value it has, as it is written."""
    found = {}
    for path in sorted(FOLDER.rglob("*.py")):
        module = ".".join(path.relative_to(FOLDER).with_suffix("").parts)
        for name, value, _ in numbers(ast.parse(path.read_text("utf-8"))):
            found[f"{module}.{name}"] = ast.unparse(value)
    return found


def resolve(name: str, known: Sequence[str]) -> str:
    """The one of `known` that is `name` or ends in it.

    Raises:
        CannotWorkError: none is, or several are; names the candidates.
    """
    if name in known:
        return name
    fits = [one for one in known if one.endswith(f".{name}")]
    if len(fits) == 1:
        return fits[0]
    if fits:
        raise CannotWorkError(f"{name} is ambiguous: {', '.join(fits)}")
    last = name.rpartition(".")[2].lower()
    near = [one for one in known if last in one.lower()]
    raise CannotWorkError(
        f"no threshold {name!r} in {PACKAGE}"
        + (f": did you mean {', '.join(near[:5])}?" if near else "")
        + " (--thresholds lists all)"
    )


def install(changes: Mapping[str, float]) -> None:
    """Make the linker's modules, imported from now on, have these values.

    Raises:
        CannotWorkError: a name is unknown, or its module has been imported already.
    """
    known = list(thresholds())
    modules: dict[str, dict[str, float]] = {}
    for name, value in changes.items():
        whole = resolve(name, known)
        for path in FOLDER.rglob("*.py"):
            module = ".".join(path.relative_to(FOLDER).with_suffix("").parts)
            if whole.startswith(f"{module}."):
                full = f"{PACKAGE}.{module}".removesuffix(".__init__")
                modules.setdefault(full, {})[whole[len(module) + 1 :]] = value
    for module in modules:
        if module in sys.modules:
            raise CannotWorkError(f"{module} is imported already: it cannot be varied any more")
    sys.meta_path.insert(0, _Finder(modules))


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, modules: dict[str, dict[str, float]]) -> None:
        self._modules = modules

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        changes = self._modules.get(name)
        if changes is None:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and spec.origin is not None:
            spec.loader = Varied(name, spec.origin, changes)
        return spec


class Varied(importlib.machinery.SourceFileLoader):
    """Loads one module with some of its numbers replaced; never from a cache."""

    def __init__(self, name: str, path: str, changes: Mapping[str, float]) -> None:
        super().__init__(name, path)
        self._changes = changes

    def get_code(self, fullname: str) -> CodeType:
        """The module's code, compiled anew."""
        tree = ast.parse(self.get_data(self.path), self.path)
        for name, old, put in list(numbers(tree)):
            if name in self._changes:
                put(ast.copy_location(ast.Constant(self._changes[name]), old))
        return compile(tree, self.path, "exec", dont_inherit=True)
