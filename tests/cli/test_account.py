"""`gateway-guard account`: what is known of one, and what people decide about it."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway_guard.campaigns.reviews import Ruling
from gateway_guard.core.credentials import digest, name_digest
from gateway_guard.record.reviews import Journal
from gateway_guard.record.snapshots import SnapshotFile
from tests import build
from tests.campaigns import ring
from tests.cli.run import Ran, run

Patch = pytest.MonkeyPatch
Capture = pytest.CaptureFixture[str]

MEMBER = ring.member(1).account
BYSTANDER = ring.bystander(1).account
KEY = "sk-a-key-nobody-may-see"


def shown(monkeypatch: Patch, capfd: Capture, *who: str | Path) -> Any:
    ran = run(monkeypatch, capfd, "account", "show", *who, "--format", "json")
    assert ran.code == 0, ran.err
    return json.loads(ran.out)


@pytest.mark.usefixtures("path")
def test_a_member_is_shown_with_its_points_and_what_it_shares(
    monkeypatch: Patch, capfd: Capture
) -> None:
    known = shown(monkeypatch, capfd, MEMBER)
    text = run(monkeypatch, capfd, "account", "show", MEMBER)

    assert known["trace"]["exchanges"] == ring.EXCHANGES
    assert known["trace"]["asn"] == 64501
    assert known["membership"]["campaign"] == "c_0001"
    assert known["membership"]["member"] is True
    assert known["membership"]["points"] > 3
    assert sum(known["membership"]["adds"].values()) > known["membership"]["points"]
    others = {one["kind"]: one["others"] for one in known["shares"]}
    assert (others["payment"], others["content"], others["sign-up"]) == (7, 23, 23)
    assert text.code == 0
    assert "member of c_0001, confidence > 99.9%" in text.out
    assert "payment: with 7 other accounts" in text.out
    assert "\n  prior      −5.0\n  points " in text.out
    assert "declared US, last seen in BR from AS64501" in text.out


@pytest.mark.usefixtures("path")
def test_a_bystander_is_in_no_campaign_and_shares_nothing(
    monkeypatch: Patch, capfd: Capture
) -> None:
    known = shown(monkeypatch, capfd, BYSTANDER)

    assert known["membership"] is None
    assert {one["others"] for one in known["shares"]} == {0}
    assert known["reviews"] == []


@pytest.mark.usefixtures("path")
def test_an_account_never_seen_is_said_to_be(monkeypatch: Patch, capfd: Capture) -> None:
    ran = run(monkeypatch, capfd, "account", "show", ring.account("z", 7))

    assert ran.code == 0
    assert "never seen" in ran.out


def test_an_allowed_account_is_in_no_campaign_any_more(
    path: Path, monkeypatch: Patch, capfd: Capture
) -> None:
    ran = run(
        monkeypatch, capfd, "account", "allow", MEMBER, "--reason", "a known lab", "--by", "ann"
    )

    known = shown(monkeypatch, capfd, MEMBER)

    assert ran.code == 0
    assert MEMBER in ran.out
    assert known["membership"] is None
    assert (known["ruling"], known["until"]) == ("allow", None)
    (review,) = known["reviews"]
    assert (review["ruling"], review["reason"], review["by"]) == ("allow", "a known lab", "ann")
    assert Journal(f"{path}.reviews").new()[0].ruling is Ruling.ALLOW


@pytest.mark.usefixtures("path")
def test_a_ban_needs_no_evidence_and_clear_lifts_it(monkeypatch: Patch, capfd: Capture) -> None:
    run(monkeypatch, capfd, "account", "ban", BYSTANDER, "--reason", "stolen cards")
    banned = shown(monkeypatch, capfd, BYSTANDER)
    text = run(monkeypatch, capfd, "account", "show", BYSTANDER)
    run(monkeypatch, capfd, "account", "clear", BYSTANDER, "--reason", "a mistake")
    cleared = shown(monkeypatch, capfd, BYSTANDER)

    assert banned["membership"]["campaign"] == "banned"
    assert banned["membership"]["confidence"] == 1.0
    assert "banned by a reviewer" in text.out
    assert "stolen cards" in text.out
    assert cleared["membership"] is None
    assert cleared["ruling"] is None
    assert [review["ruling"] for review in cleared["reviews"]] == ["ban", "clear"]


@pytest.mark.usefixtures("path")
def test_a_person_challenges_an_account_and_vouches_for_it(
    monkeypatch: Patch, capfd: Capture
) -> None:
    asked = run(monkeypatch, capfd, "account", "challenge", MEMBER, "--reason", "is it theirs?")
    challenged = run(monkeypatch, capfd, "account", "show", MEMBER)
    run(monkeypatch, capfd, "account", "verify", MEMBER, "--reason", "signed a contract")
    verified = run(monkeypatch, capfd, "account", "show", MEMBER)

    assert "until it has verified itself" in asked.out
    assert "challenged, and has not verified itself" in challenged.out
    assert "is it theirs?" in challenged.out
    assert "verified until" in verified.out
    assert "member of c_0001" in verified.out, "what is believed of its company stays"


@pytest.mark.usefixtures("path")
def test_a_note_changes_nothing_but_is_shown(monkeypatch: Patch, capfd: Capture) -> None:
    before = shown(monkeypatch, capfd, MEMBER)
    run(monkeypatch, capfd, "account", "note", MEMBER, "--reason", "asked them, no answer")
    after = shown(monkeypatch, capfd, MEMBER)

    assert after["membership"] == before["membership"]
    assert [review["reason"] for review in after["reviews"]] == ["asked them, no answer"]


@pytest.mark.usefixtures("path")
@pytest.mark.parametrize(
    ("start", "end"),
    [("", ""), ("", "\n"), ("\ufeff", "\r\n"), ("Bearer ", "\n"), ("\ufeffbearer\t ", "")],
)
def test_a_key_is_read_from_a_file_and_never_shown(
    start: str, end: str, tmp_path: Path, monkeypatch: Patch, capfd: Capture
) -> None:
    file = tmp_path / "key"
    file.write_bytes(f"{start}{KEY}{end}".encode())

    ran = run(monkeypatch, capfd, "account", "show", "--key-file", file)

    assert digest(build.SECRET, KEY.encode()) in ran.out
    assert KEY not in ran.out + ran.err


@pytest.mark.usefixtures("path")
def test_a_key_is_read_from_standard_input(monkeypatch: Patch, capfd: Capture) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(f"{KEY}\n".encode())))

    known = shown(monkeypatch, capfd, "--key-file", "-")

    assert known["account"] == digest(build.SECRET, KEY.encode())


@pytest.mark.usefixtures("path")
def test_a_name_is_another_account_than_a_key(monkeypatch: Patch, capfd: Capture) -> None:
    known = shown(monkeypatch, capfd, "--name", "team-7")

    assert known["account"] == name_digest(build.SECRET, b"team-7")


@pytest.mark.usefixtures("path")
def test_a_key_on_the_command_line_is_refused_and_not_repeated(
    monkeypatch: Patch, capfd: Capture
) -> None:
    ran = run(monkeypatch, capfd, "account", "ban", KEY, "--reason", "why")

    assert ran.code == 2
    assert "--key-file" in ran.err
    assert KEY not in ran.out + ran.err


@pytest.mark.usefixtures("path")
@pytest.mark.parametrize("who", [(), (MEMBER, "--name", "team-7")])
def test_exactly_one_account_must_be_named(
    who: tuple[str, ...], monkeypatch: Patch, capfd: Capture
) -> None:
    ran = run(monkeypatch, capfd, "account", "show", *who)

    assert ran.code == 2
    assert "name one account" in ran.err


@pytest.mark.usefixtures("path")
@pytest.mark.parametrize("content", [b"", b" \n", b"sk-1\nsk-2\n"])
def test_a_file_without_exactly_one_key_cannot_work(
    content: bytes, tmp_path: Path, monkeypatch: Patch, capfd: Capture
) -> None:
    file = tmp_path / "key"
    file.write_bytes(content)

    ran = run(monkeypatch, capfd, "account", "show", "--key-file", file)

    assert ran.code == 3
    assert "sk-" not in ran.err


def test_a_ban_can_be_written_before_the_guard_has_saved_anything(
    path: Path, monkeypatch: Patch, capfd: Capture
) -> None:
    path.unlink()

    ran = run(monkeypatch, capfd, "account", "ban", BYSTANDER, "--reason", "stolen cards")

    assert ran.code == 0
    assert Journal(f"{path}.reviews").new()[0].account == BYSTANDER


def test_a_ban_where_the_environment_says_and_nothing_is_yet_is_written_and_said(
    path: Path, monkeypatch: Patch, capfd: Capture
) -> None:
    path.unlink()
    other = path.with_name("campaign")
    SnapshotFile(other).save(b"another guard's")

    ran = run(monkeypatch, capfd, "account", "ban", BYSTANDER, "--reason", "why", "--file", path)

    assert ran.code == 0
    assert f"{path}: no guard has kept anything there yet (did you mean {other}?)" in ran.err


def test_a_ban_for_a_file_nobody_keeps_is_refused_and_names_those_nearby(
    path: Path, monkeypatch: Patch, capfd: Capture
) -> None:
    typo = path.with_name("campagins")
    before = sorted(path.parent.iterdir())

    ran = run(monkeypatch, capfd, "account", "ban", BYSTANDER, "--reason", "why", "--file", typo)
    looked = run(monkeypatch, capfd, "account", "show", BYSTANDER, "--file", typo)

    assert (ran.code, ran.out, looked.code) == (3, "", 3)
    assert f"{typo}: nothing shows that a guard keeps its campaigns there" in ran.err
    assert f"(did you mean {path}?)" in ran.err
    assert "add --new" in ran.err
    assert f"{typo}: there is no snapshot (did you mean {path}?)" in looked.err
    assert sorted(path.parent.iterdir()) == before


def test_a_ban_for_a_guard_that_will_keep_a_file_is_written_when_that_is_meant(
    path: Path, monkeypatch: Patch, capfd: Capture
) -> None:
    coming = path.with_name("coming")
    ban = ("account", "ban", BYSTANDER, "--reason", "why", "--file", coming)

    first = run(monkeypatch, capfd, *ban, "--new")
    second = run(monkeypatch, capfd, *ban)

    assert (first.code, first.err) == (0, "")
    assert (second.code, second.err) == (0, ""), "there is a journal now"
    assert len(Journal(f"{coming}.reviews").new()) == 2


@pytest.mark.parametrize("mark", [".lock", ".reviews"])
def test_what_a_guard_leaves_beside_its_campaigns_shows_that_it_keeps_them_there(
    mark: str, path: Path, monkeypatch: Patch, capfd: Capture
) -> None:
    kept = path.with_name("kept")
    Path(f"{kept}{mark}").touch()

    ran = run(monkeypatch, capfd, "account", "note", MEMBER, "--reason", "why", "--file", kept)

    assert (ran.code, ran.err) == (0, "")


def test_a_directory_nobody_may_list_is_no_reason_to_fail(
    path: Path, monkeypatch: Patch, capfd: Capture
) -> None:
    def refuse(_: Path) -> Iterator[Path]:
        raise PermissionError

    monkeypatch.setattr(Path, "iterdir", refuse)
    path.unlink()

    ran = run(monkeypatch, capfd, "account", "show", MEMBER)

    assert ran.code == 3
    assert f"{path}: there is no snapshot. A guard" in ran.err


def test_without_a_snapshot_the_account_of_a_key_is_still_named(
    path: Path, tmp_path: Path, monkeypatch: Patch, capfd: Capture
) -> None:
    file = tmp_path / "key"
    file.write_text(KEY)
    path.unlink()
    monkeypatch.delenv("GATEWAY_GUARD_CAMPAIGNS_FILE")

    ran = run(monkeypatch, capfd, "account", "show", "--key-file", file)
    by_digest = run(monkeypatch, capfd, "account", "show", BYSTANDER)

    assert ran.code == 0
    assert ran.out == digest(build.SECRET, KEY.encode()) + "\n"
    assert "no snapshot of campaigns is named" in ran.err
    assert (by_digest.code, "no snapshot" in by_digest.err) == (3, True)


def test_a_key_cannot_be_digested_without_the_guards_secret(
    path: Path, tmp_path: Path, monkeypatch: Patch, capfd: Capture
) -> None:
    file = tmp_path / "key"
    file.write_text(KEY)
    path.unlink()
    monkeypatch.delenv("GATEWAY_GUARD_SECRET")

    ran = run(monkeypatch, capfd, "account", "ban", "--key-file", file, "--reason", "why")

    assert ran.code == 3
    assert "GATEWAY_GUARD_SECRET" in ran.err


def test_a_journal_that_cannot_be_written_says_so(
    path: Path, monkeypatch: Patch, capfd: Capture
) -> None:
    Path(f"{path}.reviews").mkdir()

    ran: Ran = run(monkeypatch, capfd, "account", "ban", BYSTANDER, "--reason", "why")

    assert ran.code == 3
    assert f"{path}.reviews" in ran.err


@pytest.mark.usefixtures("path")
def test_a_decision_about_an_account_nobody_saw_is_written_and_asks_whether_it_is_meant(
    monkeypatch: Patch, capfd: Capture
) -> None:
    stranger = f"acct_{'z' * 16}"

    ran = run(monkeypatch, capfd, "account", "ban", stranger, "--reason", "stolen cards")
    seen = run(monkeypatch, capfd, "account", "ban", MEMBER, "--reason", "stolen cards")

    assert ran.code == 0
    assert f"no exchange of {stranger} is in " in ran.err
    assert f"{stranger} is refused" in ran.out
    assert seen.err == ""


@pytest.mark.usefixtures("path")
def test_no_name_is_empty(monkeypatch: Patch, capfd: Capture) -> None:
    ran = run(monkeypatch, capfd, "account", "show", "--name", " ")

    assert ran.code == 2
    assert "--name: no name is empty" in ran.err


@pytest.mark.usefixtures("path")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("show", "--name", "a\udcff"), "--name: it is not UTF-8"),
        (("ban", MEMBER, "--reason", "f\udcfcr"), "--reason: say why in UTF-8"),
    ],
)
def test_what_is_typed_in_no_utf8_is_refused_in_a_sentence(
    arguments: tuple[str, ...], said: str, monkeypatch: Patch, capfd: Capture
) -> None:
    ran = run(monkeypatch, capfd, "account", *arguments)

    assert ran.code == 2
    assert said in ran.err
