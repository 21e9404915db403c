"""`gateway-guard audit`: what commands decide is written down, and the record is checked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway_guard.campaigns.snapshot import freeze
from gateway_guard.cli.replay import REPLAY_SECRET
from gateway_guard.record.reviews import Journal
from gateway_guard.record.snapshots import SnapshotFile
from tests import build
from tests.campaigns import ring
from tests.cli.run import run

Patch = pytest.MonkeyPatch
Capture = pytest.CaptureFixture[str]
ACCOUNT = "acct_" + "a" * 16


@pytest.fixture
def audit(path: Path, monkeypatch: Patch, capfd: Capture) -> Path:
    """A ban and a release, made by commands; where they are written down."""
    for words in (
        ("account", "ban", ACCOUNT, "--reason", "stolen card", "--by", "mia"),
        ("campaign", "release", "c_0001", "--reason", "a class", "--by", "jon"),
    ):
        assert run(monkeypatch, capfd, *words).code == 0
    return Path(f"{path}.audit")


@pytest.mark.usefixtures("audit")
def test_what_commands_decide_is_shown(monkeypatch: Patch, capfd: Capture) -> None:
    ran = run(monkeypatch, capfd, "audit", "show")
    only = run(monkeypatch, capfd, "audit", "show", "--campaign", "c_0001", "--format", "json")

    for word in ("ban", ACCOUNT, "mia", "cli", "stolen card", "release", "c_0001", "2 decisions"):
        assert word in ran.out
    (entry,) = json.loads(only.out)["entries"]
    assert (entry["n"], entry["action"], entry["reason"]) == (2, "release", "a class")


def test_a_whole_record_is_whole(audit: Path, monkeypatch: Patch, capfd: Capture) -> None:
    ran = run(monkeypatch, capfd, "audit", "verify")
    told = json.loads(run(monkeypatch, capfd, "audit", "verify", "--format", "json").out)

    assert (ran.code, ran.err) == (0, "")
    assert f"{audit}: 2 entries, whole" in ran.out
    assert told["broken"] is None
    assert told["last"] in ran.out
    assert run(monkeypatch, capfd, "audit", "verify", "--last", told["last"]).code == 0


def test_the_first_changed_line_is_named(audit: Path, monkeypatch: Patch, capfd: Capture) -> None:
    audit.write_bytes(audit.read_bytes().replace(b"a class", b"a clas5"))

    ran = run(monkeypatch, capfd, "audit", "verify")

    assert ran.code == 1
    assert f"{audit}:2: it was changed" in ran.out


def test_what_is_not_as_it_was_written_is_not_shown_and_that_is_said(
    audit: Path, monkeypatch: Patch, capfd: Capture
) -> None:
    audit.write_bytes(audit.read_bytes().replace(b"a class", b"a clas5"))

    ran = run(monkeypatch, capfd, "audit", "show")

    assert "1 decision" in ran.out
    assert "a clas5" not in ran.out
    assert f"{audit}:2: 1 line changed" in ran.err


def test_what_is_decided_of_recorded_traffic_concerns_nobody_and_is_not_audited(
    path: Path, monkeypatch: Patch, capfd: Capture
) -> None:
    SnapshotFile(path).save(freeze(ring.caught(), REPLAY_SECRET, saved_at=build.NOW))

    ran = run(monkeypatch, capfd, "account", "ban", ACCOUNT, "--reason", "stolen card")

    assert (ran.code, ran.err) == (0, "")
    assert not Path(f"{path}.audit").exists()
    assert [review.account for review in Journal(f"{path}.reviews").new()] == [ACCOUNT]


def test_another_secret_cannot_verify(audit: Path, monkeypatch: Patch, capfd: Capture) -> None:
    monkeypatch.setenv("GATEWAY_GUARD_SECRET", "another secret of some length")

    ran = run(monkeypatch, capfd, "audit", "verify")

    assert ran.code == 3
    assert "GATEWAY_GUARD_SECRET" in ran.err


@pytest.mark.usefixtures("audit")
@pytest.mark.parametrize(
    "last", ["12:xy", f"x:{'a' * 64}", f"-1:{'a' * 64}", f"{'9' * 5000}:{'a' * 64}"]
)
def test_a_last_that_is_none_is_refused_in_a_sentence(
    last: str, monkeypatch: Patch, capfd: Capture
) -> None:
    ran = run(monkeypatch, capfd, "audit", "verify", "--last", last)

    assert ran.code == 2
    assert "is no number, colon and" in ran.err


def test_without_any_file_it_says_what_to_set(
    tmp_path: Path, monkeypatch: Patch, capfd: Capture
) -> None:
    monkeypatch.setenv("GATEWAY_GUARD_SECRET", build.SECRET.decode())

    nothing = run(monkeypatch, capfd, "audit", "verify")
    missing = run(monkeypatch, capfd, "audit", "verify", "--file", tmp_path / "audit")

    assert (nothing.code, missing.code) == (3, 3)
    assert "GATEWAY_GUARD_AUDIT_FILE" in nothing.err
    assert "first decision" in missing.err


def test_a_decision_that_cannot_be_written_down_is_not_made(
    path: Path, tmp_path: Path, monkeypatch: Patch, capfd: Capture
) -> None:
    monkeypatch.setenv("GATEWAY_GUARD_AUDIT_FILE", str(tmp_path / "nowhere" / "audit"))

    ran = run(monkeypatch, capfd, "account", "ban", ACCOUNT, "--reason", "stolen card")

    assert ran.code == 3
    assert "nothing was changed" in ran.err
    assert not Path(f"{path}.reviews").exists()


@pytest.mark.usefixtures("path")
def test_a_reason_is_shown_as_it_was_written(monkeypatch: Patch, capfd: Capture) -> None:
    reason = "see [/ticket] [bold]1[/bold] :smile:"
    assert run(monkeypatch, capfd, "account", "note", ACCOUNT, "--reason", reason).code == 0

    ran = run(monkeypatch, capfd, "audit", "show")

    assert ran.code == 0
    assert reason in ran.out


@pytest.mark.parametrize("name", ["", "x" * 121, "mia\x1b[2J"])
def test_a_name_that_cannot_stand_in_the_record_decides_nothing(
    path: Path, monkeypatch: Patch, capfd: Capture, name: str
) -> None:
    ran = run(monkeypatch, capfd, "account", "ban", ACCOUNT, "--reason", "a card", "--by", name)

    assert ran.code != 0
    assert "--by: say who decides" in ran.err
    assert not Path(f"{path}.audit").exists()


@pytest.mark.usefixtures("path")
def test_a_record_that_was_removed_is_not_taken_for_one_that_never_was(
    audit: Path, monkeypatch: Patch, capfd: Capture
) -> None:
    audit.unlink()

    verified = run(monkeypatch, capfd, "audit", "verify")
    shown = run(monkeypatch, capfd, "audit", "show")

    assert verified.code == 1
    assert "it is gone: entries 1 to 2 were written" in verified.out.replace("\n", " ")
    assert f"{audit} is gone" in shown.err


def test_a_file_that_is_not_there_is_not_taken_for_one_without_decisions(
    path: Path, monkeypatch: Patch, capfd: Capture
) -> None:
    named = run(monkeypatch, capfd, "audit", "show", "--file", path.with_name("typo"))
    usual = run(monkeypatch, capfd, "audit", "show")

    assert named.code == 3
    assert "there is no audit file" in named.err
    assert (usual.code, usual.out) == (0, "0 decisions\n")
    assert "there is no audit file" in usual.err
