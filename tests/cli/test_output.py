"""Where what a command prints cannot be written: a full disk, a closed pipe, a poor encoding."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.run import ROOT

POLICY = "policies/standard.yaml"
REQUEST = "examples/requests/harvester.json"
#: A command that prints through `typer`, two through `rich`, one bytes, one that finds mistakes.
PRINTING = [
    ("check", POLICY),
    ("test", "policies/standard.test.yaml"),
    ("explain", "--policy", POLICY, REQUEST),
    ("lookup", "8.8.8.8", "--format", "json"),
    ("check", "tests/golden/policy/GG201.yaml"),
]


def _run(arguments: tuple[str, ...], stdout: int, **environment: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "gateway_guard", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize("arguments", PRINTING, ids=" ".join)
def test_a_full_disk_is_said_in_one_line_and_exits_3(arguments: tuple[str, ...]) -> None:
    with Path("/dev/full").open("w") as full:
        ended = _run(arguments, full.fileno())

    assert ended == (3, "gateway-guard: cannot write: No space left on device\n")


@pytest.mark.parametrize("arguments", PRINTING, ids=" ".join)
def test_who_reads_no_further_ends_every_command_alike_and_in_silence(
    arguments: tuple[str, ...],
) -> None:
    reader, writer = os.pipe()
    os.close(reader)

    ended = _run(arguments, writer)

    os.close(writer)
    assert ended == (141, "")


@pytest.mark.parametrize("format", ["text", "json"])
def test_characters_that_cannot_be_printed_stop_nothing(format: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    poor = {"PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"}

    with out.open("w") as file:
        ended = _run(("explain", "--policy", POLICY, REQUEST, "--format", format),
                     file.fileno(), **poor)  # fmt: skip

    assert ended == (0, "")
    if format == "text":
        assert "\n? identify" in out.read_text("ascii")
    else:
        assert "├ identify" in json.loads(out.read_text("ascii"))["explanation"][1]


@pytest.mark.parametrize("format", ["text", "json"])
def test_a_file_name_that_is_not_utf8_stops_nothing(format: str, tmp_path: Path) -> None:
    name = os.fsdecode(os.fsencode(tmp_path) + b"/policy\xff.yaml")
    Path(name).write_bytes((ROOT / POLICY).read_bytes())
    out = tmp_path / "out"

    with out.open("w") as file:
        ended = _run(("check", name, "--format", format), file.fileno())

    assert ended == (0, "")
    if format == "json":
        assert name in out.read_text("ascii").encode().decode("unicode-escape", "surrogatepass")


def test_a_closed_standard_output_stops_nothing() -> None:
    command = f"{sys.executable} -m gateway_guard check {POLICY} --format json >&-"

    done = subprocess.run(
        ["sh", "-c", command], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stderr) == (0, "")
