"""What is packed: the extras, and what the source distribution and the wheel hold."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hatchling.builders.sdist import SdistBuilder
from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "gateway_guard"
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PROJECT: dict[str, Any] = PYPROJECT["project"]
HATCH: dict[str, Any] = PYPROJECT["tool"]["hatch"]
#: Files that may be compiled.
COMPILED: list[str] = HATCH["build"]["targets"]["wheel"]["hooks"]["mypyc"]["include"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]

in_a_checkout = pytest.mark.skipif(
    not PACKAGE.is_dir(), reason="about the source tree, which is not here"
)

#: Import name → what is installed, where they differ.
INSTALLED_AS = {
    "ahocorasick_rs": "ahocorasick-rs",
    "cryptography": "pyjwt",  # with its extra `crypto`
    "google": "protobuf",
    "grpc": "grpcio",
    "httptools": "uvicorn",  # with its extra `standard`
    "jwt": "pyjwt",
    "opentelemetry": "opentelemetry-exporter-otlp-proto-http",  # with the API and the SDK
    "prometheus_client": "prometheus-client",
    "uvloop": "uvicorn",
    "yaml": "pyyaml",
}


def names(requirements: list[str]) -> set[str]:
    """What requirements name, without extras and versions."""
    return {one.replace("[", ">").split(">")[0].lower() for one in requirements}


def imported() -> set[str]:
    """Every top-level module the package imports that is neither Python's nor its own."""
    found: set[str] = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.partition(".")[0])
    return found - set(sys.stdlib_module_names) - {"gateway_guard"}


def of_extras() -> set[str]:
    """Of these, what comes with an extra only."""
    core = names(PROJECT["dependencies"])
    return {name for name in imported() if INSTALLED_AS.get(name, name) not in core}


def packed(builder: type[Any]) -> set[str]:
    """The paths a builder packs."""
    made = builder(str(ROOT))
    return {entry.distribution_path for entry in made.recurse_included_files()}


@in_a_checkout
def test_whatever_is_imported_is_installed_and_whatever_is_installed_is_imported() -> None:
    declared = names(PROJECT["dependencies"]) | {
        name for extra, wanted in EXTRAS.items() if extra != "all" for name in names(wanted)
    }

    assert {INSTALLED_AS.get(name, name) for name in imported()} == declared


@in_a_checkout
@pytest.mark.untraced
def test_types_can_be_told_where_no_extra_is_installed(tmp_path: Path) -> None:
    # Where the compiled build is made there are the dependencies and no extra, and mypyc refuses
    # what mypy finds in any file that a compiled one comes to import.
    (tmp_path / "pyproject.toml").write_text(
        "[tool.mypy]\npython_version = '3.11'\nignore_missing_imports = true\n"
        f"[[tool.mypy.overrides]]\nmodule = {sorted(f'{one}.*' for one in of_extras())}\n"
        "follow_imports = 'skip'\n"
    )

    found = subprocess.run(
        [sys.executable, "-m", "mypy", "--cache-dir", str(tmp_path), str(PACKAGE),
         "--config-file", str(tmp_path / "pyproject.toml")],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert found.stdout.startswith("Success: no issues found in ")


#: As `hatch-mypyc` has it done, up to where a C compiler is wanted.
_TO_C = """
import sys
from mypyc.build import mypyc_build
from mypyc.options import CompilerOptions
mypyc_build(["--ignore-missing-imports", *sys.argv[2:]], CompilerOptions(target_dir=sys.argv[1]))
"""


@in_a_checkout
@pytest.mark.untraced
def test_what_is_compiled_can_be(tmp_path: Path) -> None:
    """A whole number in a variable of another kind, say, mypy takes and mypyc does not."""
    made = subprocess.run(
        [sys.executable, "-c", _TO_C, str(tmp_path), *COMPILED],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip

    said = [line for line in (made.stdout + made.stderr).splitlines() if "warning:" not in line]
    assert (made.returncode, said) == (0, [])


def test_all_is_every_extra() -> None:
    (everything,) = EXTRAS["all"]

    inside = everything.removeprefix(f"{PROJECT['name']}[").removesuffix("]")
    assert set(inside.split(",")) == set(EXTRAS) - {"all"}


@in_a_checkout
def test_the_source_distribution_holds_what_is_needed_to_build_and_to_test_it() -> None:
    files = packed(SdistBuilder)

    for path in (
        *("README.md", "CHANGELOG.md", "SECURITY.md", "Makefile"),
        *("gateway_guard/data/network.mmdb", "gateway_guard/data/NOTICE", "gateway_guard/py.typed"),
        *("policies/standard.yaml", "examples/traffic.jsonl.gz", "tests/conftest.py"),
        *("examples/deploy/Containerfile", "examples/deploy/helm/gateway-guard/Chart.yaml"),
        "tests/golden/policy/GG203.yaml",
    ):
        assert path in files, path
    tree = {str(path.relative_to(ROOT)) for path in PACKAGE.rglob("*.py")}
    assert tree <= files


@in_a_checkout
def test_neither_holds_what_was_built_or_cached() -> None:
    for builder in (SdistBuilder, WheelBuilder):
        for path in packed(builder):
            parts = set(Path(path).parts)
            assert not parts & {"__pycache__", ".venv", "dist", "node_modules", ".hypothesis"}, path
            assert not path.startswith("build/")
            assert Path(path).suffix not in {".pyc", ".key", ".secret"}, path


@in_a_checkout
def test_the_wheel_holds_the_package_its_data_and_no_tests() -> None:
    files = packed(WheelBuilder)

    assert all(path.startswith("gateway_guard/") for path in files)
    for suffix in (".py", ".lua", ".mmdb"):
        tree = {str(path.relative_to(ROOT)) for path in PACKAGE.rglob(f"*{suffix}")}
        assert tree <= files
    assert "gateway_guard/data/demo/policies/standard.yaml" in files


_BUILT_IN = {"int", "str", "bytes", "float", "tuple", "list"}


@in_a_checkout
@pytest.mark.parametrize("name", COMPILED)
def test_what_is_compiled_holds_nothing_mypyc_cannot_make(name: str) -> None:
    """Classes made by a metaclass lose what its arguments say: `msgspec.Struct`s their options."""
    tree = ast.parse((ROOT / name).read_text("utf-8"))

    bases = {
        ast.unparse(base)
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        for base in (*node.bases, *(word.value for word in node.keywords))
    }
    assert not {one for one in bases if one.startswith(("msgspec.", "enum.")) or one in _BUILT_IN}
