"""The house keeps its shape: imports go one way, and the core stays pure."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import gateway_guard

pytestmark = pytest.mark.untraced

PACKAGE = Path(gateway_guard.__file__).parent

#: From the ground up; a layer may import its own and lower ones. Names of one line are one layer.
LAYERS = (
    ("types", "errors", "settings", "clock", "ids", "files", "heads", "failures", "unanswered", ""),
    ("signals",),
    ("core",),
    ("campaigns",),
    ("policy",),
    ("network", "accounts", "stores", "record", "intel"),
    ("linking", "rehearsing", "uncounted"),
    ("streams",),
    ("guard", "enriching"),
    ("parts",),
    ("building", "metering"),
    ("pages",),
    ("verification",),
    ("frontends",),
    ("cli", "__main__"),
)
RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}
#: Peers of one line that must not know each other.
PEERS = set(LAYERS[5])
IMPURE = {"time", "random", "secrets", "logging", "os", "socket", "asyncio", "threading", "httpx"}

#: What pure files may take of such a module: it computes, and neither connects nor waits.
COMPUTES = {
    ("socket", "address.py"): {"inet_pton", "inet_ntop", "AF_INET", "AF_INET6"},
}

#: All of the package but `data/`: a wheel carries an example there, which is no part of the house.
FILES = sorted(
    path for path in PACKAGE.rglob("*.py") if path.relative_to(PACKAGE).parts[0] != "data"
)
PURE = [
    path for path in FILES if path.relative_to(PACKAGE).parts[0] in ("core", "signals", "campaigns")
] + [PACKAGE / "verification" / "page.py"]


def name_of(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


def layer_of(path: Path) -> str:
    first = path.relative_to(PACKAGE).parts[0]
    return "" if first == "__init__.py" else first.removesuffix(".py")


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def code_lines(text: str) -> int:
    """Lines of a file without its docstrings."""
    documented = 0
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if ast.get_docstring(node) is not None and first is not None:
                documented += (first.end_lineno or first.lineno) - first.lineno + 1
    return text.count("\n") - documented


def for_types_only(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def running(node: ast.AST) -> Iterator[ast.AST]:
    """Every node that runs: what stands under `if TYPE_CHECKING:` does not."""
    for child in ast.iter_child_nodes(node):
        if not for_types_only(child):
            yield child
            yield from running(child)


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """(line, module) of every import that runs."""
    for node in running(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)}:{node.lineno}: imports are absolute"
            assert node.module is not None
            if node.module == "gateway_guard":
                yield from ((node.lineno, f"gateway_guard.{alias.name}") for alias in node.names)
            else:
                yield node.lineno, node.module


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_imports_go_one_way(path: Path) -> None:
    layer = layer_of(path)
    if layer == "":
        return  # the public names: loaded lazily, from every layer

    for line, module in imports(path):
        parts = module.split(".")
        if parts[0] != "gateway_guard":
            continue
        other = parts[1] if len(parts) > 1 and parts[1] in RANK else ""
        place = f"{name_of(path)}:{line} imports {module}"
        assert RANK[other] <= RANK[layer], place
        assert not (other in PEERS and layer in PEERS and other != layer), place


@pytest.mark.parametrize("path", PURE, ids=name_of)
def test_the_core_is_pure(path: Path) -> None:
    for line, module in imports(path):
        pure = (module, path.name) in COMPUTES or module.split(".")[0] not in IMPURE
        assert pure, f"{name_of(path)}:{line} imports {module}"
    for node in ast.walk(tree_of(path)):
        place = f"{name_of(path)}:{getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            taken = COMPUTES.get((node.value.id, path.name))
            assert taken is None or node.attr in taken, f"{place} uses {ast.unparse(node)}"
        awaits = (ast.Await, ast.AsyncFunctionDef, ast.AsyncFor, ast.AsyncWith)
        assert not isinstance(node, awaits), f"{place} awaits"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in ("open", "print", "input", "eval", "exec"), place


def test_every_exception_is_still_needed() -> None:
    used: dict[tuple[str, str], set[str]] = {exception: set() for exception in COMPUTES}
    for path in PURE:
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                used.get((node.value.id, path.name), set()).add(node.attr)

    assert used == COMPUTES, "take out of COMPUTES what no pure file uses any more"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_only_settings_reads_the_environment(path: Path) -> None:
    if layer_of(path) == "settings":
        return

    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            read = node.value.id == "os" and node.attr in ("environ", "getenv", "environb")
            assert not read, f"{name_of(path)}:{node.lineno} reads the environment"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_every_file_says_what_it_is_for_and_stays_readable(path: Path) -> None:
    text = path.read_text("utf-8")

    assert ast.get_docstring(ast.parse(text)) or not text.strip(), "no docstring"
    assert code_lines(text) <= 400, f"{code_lines(text)} lines of code: split it"
    assert path.stem not in ("utils", "helpers", "common", "manager")


def test_every_file_belongs_to_a_layer() -> None:
    assert {layer_of(path) for path in FILES} == set(RANK), "LAYERS names what there is"
