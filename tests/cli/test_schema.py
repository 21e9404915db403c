"""`gateway-guard schema`: the schema on standard output or in a file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway_guard import __version__
from tests.cli.run import run

Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize(("words", "document"), [((), "policy"), (("test",), "test")])
def test_the_schema_is_printed_as_json_and_says_its_version(
    words: tuple[str, ...], document: str, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    ran = run(monkeypatch, capfd, "schema", *words)

    assert ran.code == 0
    assert json.loads(ran.out)["$id"] == f"urn:gateway-guard:{document}:1:{__version__}"


def test_a_file_gets_the_same_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    printed = run(monkeypatch, capfd, "schema").out
    ran = run(monkeypatch, capfd, "schema", "--output", tmp_path / "policy.schema.json")

    assert (ran.code, ran.out) == (0, "")
    assert (tmp_path / "policy.schema.json").read_text("utf-8") == printed


def test_a_document_nobody_knows_is_usage(monkeypatch: pytest.MonkeyPatch, capfd: Capture) -> None:
    ran = run(monkeypatch, capfd, "schema", "polcy")

    assert ran.code == 2
    assert "'policy', 'test'" in ran.err


def test_a_file_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    ran = run(monkeypatch, capfd, "schema", "--output", tmp_path / "none" / "schema.json")

    assert ran.code == 3
    assert "none/schema.json: cannot be written: No such file" in ran.err
