"""`gateway-guard export`: a log in, lines of another schema out."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from gateway_guard.record.line import line
from gateway_guard.types import Usage
from tests import build
from tests.cli.run import run

Capture = pytest.CaptureFixture[str]
LINES = b"".join(line(build.exchange(usage=Usage())) for _ in range(3))


def test_a_log_becomes_one_document_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    log = tmp_path / "decisions.jsonl"
    log.write_bytes(LINES)

    for schema, name in (("ecs", "@timestamp"), ("ocsf", "class_uid")):
        ran = run(monkeypatch, capfd, "export", schema, log)

        assert ran.code == 0
        assert [name in json.loads(text) for text in ran.out.splitlines()] == [True] * 3


def test_standard_input_is_read_and_lines_that_are_none_are_left_out_and_named() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "gateway_guard", "export", "ocsf"],
        input=LINES + b"\n{}\nnonsense\n", capture_output=True, check=False,
    )  # fmt: skip

    assert ran.returncode == 1
    assert len(ran.stdout.splitlines()) == 3
    assert b"standard input:5: not a line of a decision log" in ran.stderr
    assert b"2 lines left out" in ran.stderr


def test_a_log_that_is_not_there_and_a_schema_nobody_knows_are_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    absent = run(monkeypatch, capfd, "export", "ecs", tmp_path / "none")
    unknown = run(monkeypatch, capfd, "export", "cef")

    assert (absent.code, unknown.code) == (3, 2)
    assert "cannot be read" in absent.err
