"""What a command writes is never what it reads, and whether it can be written is said at once."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
import typer

from gateway_guard.cli.outputs import check_outputs
from gateway_guard.errors import SourceError
from tests.cli.run import ROOT, run

Capture = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch

POLICY = ROOT / "policies" / "minimal.yaml"
TRAFFIC = (ROOT / "examples" / "traffic.jsonl.gz").read_bytes()


@pytest.fixture
def traffic(tmp_path: Path, monkeypatch: Patch) -> Path:
    """A copy of the bundled minute; the process works beside it."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "traffic.jsonl.gz"
    path.write_bytes(TRAFFIC)
    return path


@pytest.mark.parametrize("flag", ["--decisions", "--campaigns", "--snapshot"])
def test_a_replay_never_writes_over_the_traffic_it_reads(
    flag: str, traffic: Path, monkeypatch: Patch, capfd: Capture
) -> None:
    spelled = Path("..") / traffic.parent.name / traffic.name

    ran = run(monkeypatch, capfd, "replay", traffic, "--policy", POLICY, flag, spelled)

    assert ran.code == 2
    assert f"{flag} {spelled} would be written over what is read from it" in ran.err
    assert traffic.read_bytes() == TRAFFIC


def test_a_replay_writes_no_two_things_into_one_file(
    traffic: Path, monkeypatch: Patch, capfd: Capture
) -> None:
    ran = run(
        monkeypatch, capfd, "replay", traffic, "--policy", POLICY, "--decisions", "out",
        "--snapshot", "./out",
    )  # fmt: skip

    assert ran.code == 2
    assert "--decisions and --snapshot name one file" in ran.err
    assert not Path("out").exists()


@pytest.mark.parametrize("flag", ["--campaigns", "--snapshot"])
def test_a_replay_that_could_not_write_its_end_does_not_begin(
    flag: str, traffic: Path, monkeypatch: Patch, capfd: Capture
) -> None:
    traffic.write_bytes(gzip.compress(b"nonsense\n"))

    ran = run(monkeypatch, capfd, "replay", traffic, "--policy", POLICY, flag, "nowhere/out")

    assert ran.code == 3
    assert ran.err == "gateway-guard: nowhere/out: cannot be written: No such file or directory\n"


def test_a_database_is_never_built_over_one_of_its_lists(
    tmp_path: Path, monkeypatch: Patch, capfd: Capture
) -> None:
    listed, link = tmp_path / "vpn.txt", tmp_path / "link"
    listed.write_text("192.0.2.1\n")
    link.symlink_to(listed)

    ran = run(monkeypatch, capfd, "network", "build", "--list", f"vpn={listed}", "--out", link)

    assert ran.code == 2
    assert listed.read_text() == "192.0.2.1\n"


def test_what_is_no_file_may_be_named_twice_and_read(tmp_path: Path) -> None:
    nothing = Path("/dev/null")

    check_outputs({"--one": nothing, "--two": nothing, "--three": None}, nothing, None)


def test_a_file_of_two_names_is_one(tmp_path: Path) -> None:
    (tmp_path / "one").write_text("")
    (tmp_path / "two").hardlink_to(tmp_path / "one")

    with pytest.raises(typer.BadParameter, match="would be written over"):
        check_outputs({"--out": tmp_path / "two"}, tmp_path / "absent", tmp_path / "one")


def test_a_directory_is_no_file_to_write(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="Is a directory"):
        check_outputs({"--out": tmp_path})


def test_a_place_where_nobody_may_write_is_none(tmp_path: Path, monkeypatch: Patch) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)  # root may write everywhere

    with pytest.raises(SourceError, match="Permission denied"):
        check_outputs({"--out": tmp_path / "out"})


@pytest.mark.parametrize(
    "words",
    [("schema", "--output", "-"), ("replay", "traffic.jsonl.gz", "-p", POLICY, "--decisions", "-")],
)
def test_no_file_is_called_as_others_call_standard_output(
    words: tuple[str | Path, ...], traffic: Path, monkeypatch: Patch, capfd: Capture
) -> None:
    ran = run(monkeypatch, capfd, *words)

    assert ran.code == 2
    assert "/dev/stdout" in ran.err
    assert not Path("-").exists()
