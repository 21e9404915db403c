"""`gateway-guard export`: a log in, lines of another schema out."""

from __future__ import annotations

import gzip
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
    assert ran.stderr == (
        b"2 lines passed over: of no decision log, or broken; the first is standard input:5\n"
    )


def test_a_log_that_is_not_there_and_a_schema_nobody_knows_are_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    absent = run(monkeypatch, capfd, "export", "ecs", tmp_path / "none")
    unknown = run(monkeypatch, capfd, "export", "cef")

    assert (absent.code, unknown.code) == (3, 2)
    assert "cannot be read" in absent.err


def test_logs_are_read_as_other_commands_read_them_gzipped_and_several(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    plain, packed = tmp_path / "decisions.jsonl", tmp_path / "decisions.jsonl.1"
    plain.write_bytes(LINES)
    packed.write_bytes(gzip.compress(LINES))

    ran = run(monkeypatch, capfd, "export", "ecs", packed, plain)

    assert (ran.code, len(ran.out.splitlines()), ran.err) == (0, 6, "")


def test_a_line_that_only_begins_as_one_of_a_log_is_left_out_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    log = tmp_path / "log"
    log.write_bytes(LINES + b'{"time":"2026-11-21T06:41:16Z","id":"r_1","action":"allow"}\n')

    ran = run(monkeypatch, capfd, "export", "ocsf", log)

    assert (ran.code, len(ran.out.splitlines())) == (1, 3)
    assert f"the first is {log}:4" in ran.err


def test_a_log_cut_short_is_turned_as_far_as_it_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    log = tmp_path / "log.gz"
    log.write_bytes(gzip.compress(LINES * 100)[:-8])

    ran = run(monkeypatch, capfd, "export", "ecs", log)

    assert ran.code == 1
    assert 200 < len(ran.out.splitlines()) <= 300
    assert "it was cut short" in ran.err


def test_what_was_exported_is_no_decision_log_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    log, siem = tmp_path / "log", tmp_path / "siem"
    log.write_bytes(LINES)
    siem.write_text(run(monkeypatch, capfd, "export", "ecs", log).out)

    ran = run(monkeypatch, capfd, "summary", siem)

    assert ran.code == 1
    assert "A log in ECS or OCSF (`serve --log-format`) cannot be read here" in ran.err
