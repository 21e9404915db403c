"""The bill of materials agrees with the project, and an audit that saw nothing says so."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.supply.audit import KNOWN, verdict

FLAW = {"id": "PYSEC-1", "fix_versions": ["2.0"]}


@pytest.fixture
def sbom() -> Any:
    module = pytest.importorskip("tests.supply.sbom")
    if not module.FILE.exists():
        pytest.skip("about the source tree, which is not here")
    return module


def test_the_bill_of_materials_is_that_of_the_project(sbom: Any) -> None:
    assert sbom.FILE.read_text("utf-8") == sbom.text(), "python -m tests.supply.sbom writes it anew"


def test_it_is_what_cyclonedx_says_one_is(sbom: Any) -> None:
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(sbom.text()) is None
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str('{"bomFormat": "x"}') is not None


def test_every_licence_of_the_data_is_in_its_notice(sbom: Any) -> None:
    notice = (sbom.ROOT / "gateway_guard" / "data" / "NOTICE").read_text("utf-8")

    for _, url in sbom.SOURCES.values():
        assert url in notice


def test_the_wheel_carries_it_where_pep_770_says(sbom: Any) -> None:
    import tomllib

    wheel = tomllib.loads((sbom.ROOT / "pyproject.toml").read_text("utf-8"))
    packed = wheel["tool"]["hatch"]["build"]["targets"]["wheel"]["sbom-files"]

    assert packed == [sbom.FILE.name]
    assert json.loads(sbom.text())["metadata"]["component"]["name"] == "gateway-guard"


def answers(found: dict[str, list[dict[str, Any]] | None]) -> Any:
    def ask(service: str, lines: str) -> list[dict[str, Any]] | None:
        return found.get(f"{service} {'control' if lines == KNOWN else 'all'}")

    return ask


CONTROL = [{"name": "jinja2", "version": "2.4.1", "vulns": [FLAW]}]


@pytest.mark.parametrize(
    ("found", "code", "words"),
    [
        ({}, 3, "NOTHING WAS AUDITED"),
        ({"pypi control": [{"name": "jinja2", "skip_reason": "not found"}]}, 3, "NOTHING WAS"),
        ({"pypi control": [{"name": "jinja2", "version": "2.4.1", "vulns": []}]}, 3, "NOTHING WAS"),
        ({"pypi control": CONTROL}, 3, "stopped answering"),
        ({"osv control": CONTROL, "osv all": [{"name": "a", "version": "1", "vulns": []}]}, 0,
         "1 audited by osv, 0 flaws"),
        ({"pypi control": CONTROL, "pypi all": [{"name": "a", "version": "1", "vulns": [FLAW]}]}, 1,
         "a 1: PYSEC-1, mended in 2.0"),
        ({"pypi control": CONTROL, "pypi all": [{"name": "a", "skip_reason": "unknown"}]}, 3,
         "not audited: a: unknown"),
    ],
)  # fmt: skip
def test_an_audit_that_looked_nothing_up_is_none(
    found: dict[str, list[dict[str, Any]] | None], code: int, words: str
) -> None:
    ended, said = verdict(["a==1"], answers(found))

    assert ended == code
    assert words in said
