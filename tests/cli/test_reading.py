"""Whether a file may be read is found out, and said, by the command that reads it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.cli.run import ROOT, run

POLICY = str(ROOT / "policies" / "minimal.yaml")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("summary", "file"), "nothing to count in file"),
        (("export", "ecs", "file"), ""),
        (("replay", "file", "--policy", POLICY), "file: holds no exchange"),
        (("explain", "file", "--policy", POLICY), "file: nothing in it"),
        (("network", "build", "--country", "file", "--out", "out"), "not a readable MMDB file"),
        (("replay", POLICY, "-p", POLICY, "--decisions", "file"), "file: cannot be written"),
        (("intel", "import", "file", "--as", "x", "--table", "out"), "file: this is no STIX"),
    ],
    ids=lambda words: None if isinstance(words, str) else " ".join(words[:2]),
)
def test_no_command_is_called_wrong_for_a_file_that_seems_not_to_be_readable(
    words: tuple[str, ...],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Seems, for root runs the tests, too: each goes on to what it finds in the file."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    may = os.access
    monkeypatch.setattr(os, "access", lambda path, how: str(path) != "file" and may(path, how))

    ran = run(monkeypatch, capfd, *words)

    assert ran.code != 2
    assert said in ran.err
