"""`gateway-guard check DIRECTORY`: policies and their tests, and what else lies there is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.run import run

Patch = pytest.MonkeyPatch
Capture = pytest.CaptureFixture[str]

CASES = """policy: policy.yaml
cases:
  - it: allows
    given: { country: NO }
    expect: { action: allow }
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "deep").mkdir()
    (tmp_path / "policy.yaml").write_text("version: 1\n")
    (tmp_path / "policy.test.yaml").write_text(CASES)
    (tmp_path / "deep" / "other.yml").write_text("version: 1\n")
    (tmp_path / "compose.yaml").write_text("version: '3.8'\nservices: {}\n")
    (tmp_path / "notes.txt").write_text("version: 1\n")
    return tmp_path


def test_of_a_directory_policies_are_checked_and_others_are_named(
    folder: Path, monkeypatch: Patch, capfd: Capture
) -> None:
    ran = run(monkeypatch, capfd, "check", folder, "--format", "json")

    assert ran.code == 0
    checked = [Path(one["file"]).name for one in json.loads(ran.out)]
    assert checked == ["other.yml", "policy.test.yaml", "policy.yaml"]
    assert f"left out, for they look like no policies: {folder}/compose.yaml\n" in ran.err


def test_a_policy_with_mistakes_is_not_left_out(
    folder: Path, monkeypatch: Patch, capfd: Capture
) -> None:
    (folder / "broken.yaml").write_text("rules: [\n")
    (folder / "gone.yaml").symlink_to(folder / "nowhere")

    ran = run(monkeypatch, capfd, "check", folder)

    assert ran.code == 3
    assert "broken.yaml: 1 error" in ran.out
    assert "gone.yaml" in ran.out


def test_a_file_that_is_named_is_checked_whatever_it_looks_like(
    folder: Path, monkeypatch: Patch, capfd: Capture
) -> None:
    ran = run(monkeypatch, capfd, "check", folder / "compose.yaml")

    assert ran.code == 1
    assert "GG201" in ran.out


def test_a_directory_without_a_policy_is_a_mistake(
    tmp_path: Path, monkeypatch: Patch, capfd: Capture
) -> None:
    for number in range(12):
        (tmp_path / f"{number:02}.yaml").write_text("kind: Pod\n")

    ran = run(monkeypatch, capfd, "check", tmp_path)

    assert ran.code == 2
    assert "and 2 more" in ran.err
    assert "no policy in" in ran.err


@pytest.mark.parametrize("command", ["check", "test"])
def test_what_is_hidden_is_nobodys_policy(
    command: str, folder: Path, monkeypatch: Patch, capfd: Capture
) -> None:
    # An installed package, a ConfigMap as it is mounted, an editor's lock.
    for place in (".venv/data", "..2026_11_24", "deep/.git"):
        (folder / place).mkdir(parents=True)
        (folder / place / "policy.yaml").write_text("version: 2\n")
        (folder / place / "policy.test.yaml").write_text("cases: []\n")
    (folder / ".#policy.yaml").symlink_to("nobody@nowhere")

    ran = run(monkeypatch, capfd, command, folder, "--format", "json")

    assert ran.code == 0
    assert "/." not in ran.out


def test_a_hidden_directory_that_is_named_is_looked_through(
    tmp_path: Path, monkeypatch: Patch, capfd: Capture
) -> None:
    hidden = tmp_path / ".policies"
    hidden.mkdir()
    (hidden / "policy.yaml").write_text("version: 1\n")
    (hidden / "policy.test.yaml").write_text(CASES)

    assert run(monkeypatch, capfd, "check", hidden).code == 0
    assert run(monkeypatch, capfd, "test", hidden).code == 0


def test_where_no_test_is_found_it_is_said_where_they_belong(
    tmp_path: Path, monkeypatch: Patch, capfd: Capture
) -> None:
    ran = run(monkeypatch, capfd, "test", tmp_path)

    assert ran.code == 2
    assert str(tmp_path) in ran.err
    assert "policy.test.yaml" in ran.err
