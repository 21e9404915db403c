"""`gateway-guard campaign`: what is said of the campaigns held, handed on, and let go."""

from __future__ import annotations

import errno
import io
import json
import os
import re
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from rich.console import Console

from gateway_guard.campaigns.casebook import BANNED, banned_in
from gateway_guard.campaigns.ended import Why
from gateway_guard.campaigns.report import Report, report_of
from gateway_guard.campaigns.reviews import Review, Ruling
from gateway_guard.campaigns.snapshot import freeze
from gateway_guard.cli.campaign_text import print_report
from gateway_guard.cli.casefile import named
from gateway_guard.cli.replay import REPLAY_SECRET
from gateway_guard.record.reviews import Journal, append
from gateway_guard.record.snapshots import SnapshotFile
from tests import build
from tests.campaigns import ring
from tests.cli.run import ROOT, Ran, run

Patch = pytest.MonkeyPatch
Capture = pytest.CaptureFixture[str]


def answer(ran: Ran) -> Any:
    assert ran.code == 0, ran.err
    return json.loads(ran.out)


@pytest.mark.usefixtures("path")
def test_list_gives_each_campaign_a_line(monkeypatch: Patch, capfd: Capture) -> None:
    ran = run(monkeypatch, capfd, "campaign", "list")

    heading, _, line, foot = ran.out.splitlines()
    assert ran.code == 0
    assert heading.split()[:3] == ["campaign", "members", "confidence"]
    assert line.split()[:2] == ["c_0001", "24"]
    assert "16.7%" in line
    assert "AS64500 12, AS64501 12" in line
    assert foot == "1 campaign among 144 accounts, as of 3 Mar 2026, 00:00 UTC"


def test_list_says_the_same_in_json(path: Path, monkeypatch: Patch, capfd: Capture) -> None:
    found = answer(run(monkeypatch, capfd, "campaign", "list", "--format", "json"))

    (one,) = found["campaigns"]
    assert found["file"] == str(path)
    assert found["as_of"] == build.NOW + ring.EXCHANGES * ring.HOUR
    assert (one["id"], one["members"], one["exchanges"]) == ("c_0001", 24, 288)
    assert one["share"] == pytest.approx(24 / 144)
    assert one["networks"] == {"AS64500": 12, "AS64501": 12}


def test_an_explicit_file_is_read_instead(
    path: Path, tmp_path: Path, monkeypatch: Patch, capfd: Capture
) -> None:
    other = tmp_path / "other"
    SnapshotFile(other).save(path.read_bytes())
    path.unlink()

    assert run(monkeypatch, capfd, "campaign", "list", "--file", other).code == 0


@pytest.mark.usefixtures("path")
def test_show_gives_evidence_members_hours_networks_and_countries(
    monkeypatch: Patch, capfd: Capture
) -> None:
    ran = run(monkeypatch, capfd, "campaign", "show", "c_0001", "--members", "2")

    assert ran.code == 0
    assert "c_0001  24 accounts of 24 organisations" in ran.out
    assert "payment: 24 of 24 pay with" in ran.out
    assert ran.out.count("acct_") == 2
    assert "and 22 more (--members 24)" in ran.out
    assert "addresses +4.0" in ran.out
    assert "declared  US 24" in ran.out
    assert "seen      BR 18, US 6" in ran.out
    # Active from 12 to 23 UTC.
    assert f"\n  {' ' * 24}{'█' * 24}\n" in ran.out


def shown(report: Report, members: int) -> str:
    out = Console(file=io.StringIO(), width=200)
    print_report(report, out, members)
    assert isinstance(out.file, io.StringIO)
    return out.file.getvalue()


def test_show_says_what_it_leaves_out_and_what_next() -> None:
    report = report_of(ring.caught(), "c_0001")
    more = msgspec.structs.replace(
        report,
        size=3200,
        networks=tuple(msgspec.structs.replace(report.networks[0], members=9) for _ in range(30)),
        members=tuple(
            msgspec.structs.replace(report.members[i % 24], country=f"{i:02}") for i in range(100)
        ),
    )

    text = shown(more, 100)

    assert "and 3,100 more, less sure, which no report lists" in text
    assert "and 3,180 more (--members 100)" in shown(more, 20)
    assert f"and smaller ones, with {3200 - 20 * 9:,} members together" in text
    assert "09 1, 10 1, 11 1, 88 more" in text
    assert "gateway-guard campaign release c_0001 --reason WHY" in text


@pytest.mark.usefixtures("path")
def test_show_in_json_is_the_whole_report(monkeypatch: Patch, capfd: Capture) -> None:
    report = answer(run(monkeypatch, capfd, "campaign", "show", "c_0001", "--format", "json"))

    assert report["size"] == len(report["members"]) == 24
    assert report["made_at"] == build.NOW + ring.EXCHANGES * ring.HOUR


@pytest.mark.usefixtures("path")
@pytest.mark.parametrize("command", ["show", "export", "release"])
def test_a_campaign_nobody_holds_is_usage_and_names_those_held(
    command: str, monkeypatch: Patch, capfd: Capture
) -> None:
    more = ("--reason", "why") if command == "release" else ()
    ran = run(monkeypatch, capfd, "campaign", command, "c_0042", *more)

    assert ran.code == 2
    assert "no campaign 'c_0042'" in ran.err
    assert "(held: c_0001)" in ran.err


@pytest.mark.usefixtures("path")
def test_export_prints_json_and_writes_html_where_the_name_says_so(
    tmp_path: Path, monkeypatch: Patch, capfd: Capture
) -> None:
    page = tmp_path / "report.html"
    printed = answer(run(monkeypatch, capfd, "campaign", "export", "c_0001"))
    written = run(monkeypatch, capfd, "campaign", "export", "c_0001", "--out", page)
    asked = run(monkeypatch, capfd, "campaign", "export", "c_0001", "--format", "html")

    text = page.read_text("utf-8")
    assert printed["id"] == "c_0001"
    assert (written.code, written.out) == (0, "")
    assert "<html" in text
    assert asked.out == text


def test_what_people_decided_is_handed_on_where_that_is_asked_for(
    path: Path, tmp_path: Path, monkeypatch: Patch, capfd: Capture
) -> None:
    now, page = time.time(), tmp_path / "report.html"
    for account, reason in ((ring.account("a", 3), "stolen <card>"), (ring.account("b", 3), "no")):
        append(f"{path}.reviews", Review(at=now, ruling=Ruling.NOTE, account=account,
                                         reason=reason, by="ann"))  # fmt: skip
    note = Review(at=now, ruling=Ruling.NOTE, campaign="c_0001", reason="asked legal", by="ben")
    append(f"{path}.reviews", note)

    without = answer(run(monkeypatch, capfd, "campaign", "export", "c_0001"))
    printed = answer(run(monkeypatch, capfd, "campaign", "export", "c_0001", "--reviews"))
    run(monkeypatch, capfd, "campaign", "export", "c_0001", "--reviews", "--out", page)

    html = page.read_text("utf-8")
    assert without["reviews"] == []
    assert [(one["by"], one["reason"]) for one in printed["reviews"]] == [
        ("ann", "stolen <card>"), ("ben", "asked legal")
    ]  # fmt: skip
    assert "What people decided" in html
    assert "stolen &lt;card&gt;" in html


@pytest.mark.usefixtures("path")
def test_an_export_that_cannot_be_written_says_so(
    tmp_path: Path, monkeypatch: Patch, capfd: Capture
) -> None:
    ran = run(monkeypatch, capfd, "campaign", "export", "c_0001", "-o", tmp_path / "no" / "x.json")

    assert ran.code == 3
    assert "No such file" in ran.err


@pytest.mark.usefixtures("path")
def test_an_export_that_a_full_disk_stops_leaves_the_one_before(
    tmp_path: Path, monkeypatch: Patch, capfd: Capture
) -> None:
    page = tmp_path / "report.html"
    page.write_text("the one before")

    with monkeypatch.context() as patch:
        patch.setattr("gateway_guard.files._write", _full)
        ran = run(monkeypatch, capfd, "campaign", "export", "c_0001", "-o", page)

    assert (ran.code, page.read_text()) == (3, "the one before")
    assert f"{page}: No space left on device" in ran.err


def _full(handle: int, data: bytes) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_an_export_does_not_write_over_the_snapshot_it_is_of(
    path: Path, monkeypatch: Patch, capfd: Capture
) -> None:
    before = path.read_bytes()

    ran = run(monkeypatch, capfd, "campaign", "export", "c_0001", "-o", path)

    assert (ran.code, path.read_bytes()) == (2, before)


def test_release_writes_a_review_and_the_campaign_is_gone(
    path: Path, monkeypatch: Patch, capfd: Capture
) -> None:
    ran = run(
        monkeypatch, capfd, "campaign", "release", "c_0001", "--reason", "a reseller", "--by", "ann"
    )
    (review,) = Journal(f"{path}.reviews").new()
    after = answer(run(monkeypatch, capfd, "campaign", "list", "--format", "json"))

    assert ran.code == 0
    assert "24 accounts left alone for 30 days" in ran.out
    assert (review.campaign, review.reason, review.by) == ("c_0001", "a reseller", "ann")
    assert after["campaigns"] == []
    (ended,) = after["let_go"]
    assert (ended["id"], ended["why"], ended["members"]) == ("c_0001", "released", 24)


@pytest.mark.usefixtures("path")
def test_a_release_leaves_alone_whom_nobody_banned(monkeypatch: Patch, capfd: Capture) -> None:
    banned, other = ring.account("a", 0), ring.account("a", 1)
    run(monkeypatch, capfd, "account", "ban", banned, "--reason", "stolen card")

    ran = run(monkeypatch, capfd, "campaign", "release", "c_0001", "--reason", "a reseller")
    of_banned = run(monkeypatch, capfd, "account", "show", banned).out
    of_other = run(monkeypatch, capfd, "account", "show", other).out

    assert "23 accounts left alone for 30 days" in ran.out
    assert "; 1 account stays banned" in ran.out
    assert "in force: ban\n" in of_banned
    assert re.search("in force: allow until .*, as a campaign it was in was released", of_other)


@pytest.mark.usefixtures("path")
def test_a_campaign_whose_members_were_allowed_one_by_one_is_held_no_longer(
    monkeypatch: Patch, capfd: Capture
) -> None:
    for number in range(ring.MEMBERS):
        run(monkeypatch, capfd, "account", "allow", ring.account("a", number), "--reason", "ours")

    found = answer(run(monkeypatch, capfd, "campaign", "list", "--format", "json"))

    assert found["campaigns"] == []
    (ended,) = found["let_go"]
    assert (ended["id"], ended["why"], ended["members"]) == ("c_0001", "released", 1)


def test_what_people_said_of_a_campaign_is_shown_with_it(
    path: Path, monkeypatch: Patch, capfd: Capture
) -> None:
    for at, reason in ((build.NOW - 9e6, "of another of that name"), (time.time(), "asked legal")):
        append(f"{path}.reviews", Review(at=at, ruling=Ruling.NOTE, campaign="c_0001",
                                         reason=reason, by="ann"))  # fmt: skip

    ran = run(monkeypatch, capfd, "campaign", "show", "c_0001")

    assert "note by ann: asked legal" in ran.out
    assert "of another of that name" not in ran.out


def test_what_became_part_of_another_campaign_names_that(
    path: Path, monkeypatch: Patch, capfd: Capture
) -> None:
    linker = ring.caught()
    held = linker.held["c_0001"]
    other = msgspec.structs.replace(held, id="c_0002", absorbed=["c_0003"])
    linker.cases.endings.add(other, Why.MERGED, build.NOW)
    held.absorb(other)
    SnapshotFile(path).save(freeze(linker, build.SECRET, saved_at=build.NOW))

    ran = run(monkeypatch, capfd, "campaign", "show", "c_0002")

    assert ran.code == 2
    assert "turned out to be part of another, c_0001. It had 24 accounts" in ran.err


@pytest.mark.usefixtures("path")
def test_list_says_what_was_let_go_lately_and_why(monkeypatch: Patch, capfd: Capture) -> None:
    run(monkeypatch, capfd, "campaign", "release", "c_0001", "--reason", "a reseller")

    ran = run(monkeypatch, capfd, "campaign", "list")

    _, title, heading, _, line, _, foot = ran.out.splitlines()
    assert ran.code == 0
    assert title == "let go lately"
    assert " ".join(heading.split()) == "campaign members alarm, UTC let go, UTC refused because"
    assert line.split()[:2] == ["c_0001", "24"]
    assert line.endswith("released by a reviewer")
    assert foot.startswith("0 campaigns among 144 accounts")


@pytest.mark.usefixtures("path")
def test_a_campaign_let_go_is_told_of_by_its_name(monkeypatch: Patch, capfd: Capture) -> None:
    run(monkeypatch, capfd, "campaign", "release", "c_0001", "--reason", "a reseller")

    ran = run(monkeypatch, capfd, "campaign", "show", "c_0001")

    assert ran.code == 2
    assert ran.err.startswith("c_0001, held for ")
    assert "was let go: released by a reviewer. It had 24 accounts; " in ran.err


def test_of_many_campaigns_a_few_are_named() -> None:
    said = named({f"c_{i:04}" for i in range(1, 300)})

    assert said.startswith("held: c_0001, c_0002, ")
    assert said.endswith("c_0012 and 287 more: `campaign list`")


@pytest.mark.usefixtures("path")
@pytest.mark.parametrize("reason", ["", "  \n ", "x" * 3000])
def test_a_release_needs_a_reason(reason: str, monkeypatch: Patch, capfd: Capture) -> None:
    ran = run(monkeypatch, capfd, "campaign", "release", "c_0001", "--reason", reason)

    assert ran.code == 2
    assert "say why" in ran.err


def test_bad_lines_of_the_journal_are_named_and_passed_over(
    path: Path, monkeypatch: Patch, capfd: Capture
) -> None:
    Path(f"{path}.reviews").write_text("nonsense\n")

    ran = run(monkeypatch, capfd, "campaign", "list")

    assert ran.code == 0
    assert f"{path}.reviews:1: skipped" in ran.err


def test_without_a_file_it_says_where_one_comes_from(
    path: Path, monkeypatch: Patch, capfd: Capture
) -> None:
    path.unlink()
    nothing = run(monkeypatch, capfd, "campaign", "list")
    monkeypatch.delenv("GATEWAY_GUARD_CAMPAIGNS_FILE")
    unnamed = run(monkeypatch, capfd, "campaign", "list")

    assert (nothing.code, unnamed.code) == (3, 3)
    assert "there is no snapshot" in nothing.err
    assert "replay --snapshot" in nothing.err
    assert "--file" in unnamed.err


def test_without_the_secret_it_says_which_is_needed(
    path: Path, monkeypatch: Patch, capfd: Capture
) -> None:
    monkeypatch.delenv("GATEWAY_GUARD_SECRET")
    without = run(monkeypatch, capfd, "campaign", "list")
    monkeypatch.setenv("GATEWAY_GUARD_SECRET", "quite another secret of 32 bytes")
    another = run(monkeypatch, capfd, "campaign", "list")

    assert (without.code, another.code) == (3, 3)
    assert "set GATEWAY_GUARD_SECRET" in without.err
    assert "another GATEWAY_GUARD_SECRET" in another.err


@pytest.mark.parametrize("secret", [None, "quite another secret of 32 bytes"])
def test_of_a_damaged_file_of_a_replay_it_says_that_it_is_damaged(
    path: Path, monkeypatch: Patch, capfd: Capture, secret: str | None
) -> None:
    monkeypatch.delenv("GATEWAY_GUARD_SECRET")
    if secret is not None:
        monkeypatch.setenv("GATEWAY_GUARD_SECRET", secret)
    path.write_bytes(freeze(ring.caught(), REPLAY_SECRET, saved_at=build.NOW)[:-9])

    ran = run(monkeypatch, capfd, "campaign", "list")

    assert ran.code == 3
    assert "bytes after its head" in ran.err
    assert "SECRET" not in ran.err


def test_a_damaged_file_stops_the_command_with_a_remedy(
    path: Path, monkeypatch: Patch, capfd: Capture
) -> None:
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)

    ran = run(monkeypatch, capfd, "campaign", "list")

    assert ran.code == 3
    assert "it is damaged" in ran.err
    assert f"mv {path}" in ran.err
    assert "Traceback" not in ran.err


def test_a_replay_leaves_a_snapshot_that_needs_no_secret(
    tmp_path: Path, monkeypatch: Patch, capfd: Capture
) -> None:
    path = tmp_path / "replayed"
    replayed = run(
        monkeypatch, capfd, "replay", ROOT / "examples" / "traffic.jsonl.gz", "--policy",
        ROOT / "policies" / "standard.yaml", "--accounts", ROOT / "examples" / "accounts.jsonl",
        "--snapshot", path,
    )  # fmt: skip

    found = answer(run(monkeypatch, capfd, "campaign", "list", "--file", path, "--format", "json"))

    assert replayed.code == 0
    assert [(one["id"], one["members"]) for one in found["campaigns"]] == [("c_0001", 24)]


def test_colour_is_for_terminals_only(path: Path, monkeypatch: Patch, capfd: Capture) -> None:
    ran = run(monkeypatch, capfd, "campaign", "show", "c_0001", "--file", path)

    assert "\x1b" not in ran.out


def test_every_member_of_a_campaign_is_challenged_at_once(
    path: Path, monkeypatch: Patch, capfd: Capture
) -> None:
    words = ("campaign", "challenge", "c_0001", "--reason", "one hand?", "--by", "ann")

    ran = run(monkeypatch, capfd, *words)
    nobody = run(monkeypatch, capfd, "campaign", "challenge", "c_9999", "--reason", "why")

    reviews = Journal(f"{path}.reviews").new()
    assert ran.code == 0, ran.err
    assert "24 accounts challenged until verified" in ran.out
    assert {review.account for review in reviews} == {ring.member(n).account for n in range(24)}
    assert {(r.ruling.value, r.reason, r.by) for r in reviews} == {
        ("challenge", "c_0001: one hand?", "ann")
    }
    assert nobody.code == 2
    assert "c_0001" in nobody.err


@pytest.mark.parametrize("command", ["release", "challenge"])
def test_banned_accounts_of_a_store_are_no_campaign(
    command: str, monkeypatch: Patch, capfd: Capture
) -> None:
    held = {"acct_1": banned_in(BANNED), "acct_2": banned_in("c_0001")}
    for module in ("campaign", "campaign_challenge"):
        monkeypatch.setattr(
            f"gateway_guard.cli.{module}.post_of",
            lambda *_: SimpleNamespace(verdicts=lambda: held, review=pytest.fail),
        )

    ran = run(monkeypatch, capfd, "campaign", command, BANNED, "--reason", "why")

    assert ran.code == 2
    assert "(held: c_0001)" in ran.err
