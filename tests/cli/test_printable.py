"""What people and clients wrote does not drive the terminal, whichever command shows it."""

from __future__ import annotations

import io
import json
from pathlib import Path

import msgspec
import pytest
from rich.console import Console
from rich.table import Table

from gateway_guard.campaigns.report import report_of
from gateway_guard.campaigns.reviews import Review, Ruling
from gateway_guard.cli import guards, network, store
from gateway_guard.cli.campaign_text import print_report
from gateway_guard.cli.output import console, print_json
from gateway_guard.cli.printable import printable
from gateway_guard.cli.tree import print_tree
from gateway_guard.errors import IntelError
from gateway_guard.network.update import Outcome
from gateway_guard.record.reviews import append
from gateway_guard.stores.survey import LimitUse, Stats
from tests import build
from tests.campaigns import ring
from tests.cli.run import run
from tests.cli.test_replay import Bench, exchange

Patch = pytest.MonkeyPatch
Capture = pytest.CaptureFixture[str]
MEMBER = ring.member(1).account
#: Clears the screen, renames the window, goes back to the line's start, and begins another line.
HOSTILE = "a card\x1b[2J\x1b]0;all is well\x07\r\nno ban\u202e\x9b2J"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("paid for é, 東京 and 😀", "paid for é, 東京 and 😀"),
        ("a\x1b[2Jb", "a�[2Jb"),
        ("a\r\nb\tc", "a��b�c"),
        ("\u202egnp", "�gnp"),
        ("\x9b2J\x7f", "�2J�"),
    ],
)
def test_only_what_has_a_place_on_a_line_is_left(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_what_a_command_forgets_to_make_printable_the_console_does(capfd: Capture) -> None:
    table = Table()
    table.add_row(HOSTILE)

    console().print(table)
    console(stderr=True).print(HOSTILE)

    for text in capfd.readouterr():
        assert "a card�[2J" in text
        assert not set("\x1b\x07\r\x9b\u202e") & set(text)


@pytest.mark.parametrize("value", [HOSTILE, "\x7f", "\x9b2J", "a\u2028b", "\u202egnp"])
def test_json_on_a_terminal_drives_it_no_more_and_says_the_same(value: str, capfd: Capture) -> None:
    print_json({"model": value})

    text = capfd.readouterr().out
    assert text.replace("\n", "").isprintable()
    assert json.loads(text) == {"model": value}


def test_a_feed_that_calls_itself_anything_is_shown_without_its_escapes(
    tmp_path: Path, monkeypatch: Patch, capfd: Capture
) -> None:
    outcome = Outcome(name="own", status="updated", detail=HOSTILE)
    monkeypatch.setattr(network, "update", lambda *_, **__: [outcome])
    updated = run(monkeypatch, capfd, "network", "update", "--url", "own=https://feeds.example",
                  "--dir", tmp_path)  # fmt: skip

    assert "a card�[2J" in updated.out
    assert not set("\x1b\x07\r\x9b\u202e") & set(updated.out)


def test_an_error_that_repeats_what_others_said_is_shown_without_its_escapes(
    monkeypatch: Patch, capfd: Capture
) -> None:
    def fails(*_: object) -> None:
        raise IntelError(f"they say:\n{HOSTILE}")

    monkeypatch.setattr("gateway_guard.cli.build_app", lambda *_: lambda **_: fails())

    ran = run(monkeypatch, capfd, "intel", "list")

    assert ran.code == 3
    assert ran.err == "gateway-guard: they say:\na card�[2J�]0;all is well��\nno ban��2J\n"


def test_a_review_is_shown_without_its_escapes(
    path: Path, monkeypatch: Patch, capfd: Capture
) -> None:
    append(
        f"{path}.reviews",
        Review(at=build.NOW, ruling=Ruling.NOTE, account=MEMBER, reason=HOSTILE, by=HOSTILE),
    )

    ran = run(monkeypatch, capfd, "account", "show", MEMBER)

    assert ran.code == 0
    assert not set("\x1b\x07\r\x9b\u202e") & set(ran.out)
    assert len([line for line in ran.out.splitlines() if "a card�[2J" in line]) == 1


@pytest.mark.usefixtures("path")
def test_an_audited_reason_is_shown_without_its_escapes(monkeypatch: Patch, capfd: Capture) -> None:
    assert run(monkeypatch, capfd, "account", "note", MEMBER, "--reason", HOSTILE).code == 0

    ran = run(monkeypatch, capfd, "audit", "show")
    told = run(monkeypatch, capfd, "audit", "show", "--format", "json")

    assert not set("\x1b\x07\r\x9b\u202e") & set(ran.out)
    assert "a card�[2J" in ran.out
    assert "\x1b" in json.loads(told.out)["entries"][0]["reason"], "programs get what was written"


def test_a_tree_is_shown_without_its_escapes() -> None:
    out = Console(file=io.StringIO(), width=200)

    print_tree([f"r_1  {HOSTILE}", "└ act"], out)

    lines = out.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert [line[:13] for line in lines] == ["r_1  a card�[", "└ act"]


def test_classes_of_labels_are_shown_without_their_escapes(
    tmp_path: Path, monkeypatch: Patch, capfd: Capture
) -> None:
    bench = Bench(tmp_path, monkeypatch, capfd)
    bench.write(exchange(1, 1.0))
    labels = tmp_path / "labels.csv"
    labels.write_text("account,label,class\na_1,benign,batch\x1b[2J\n")

    ran = bench("--labels", labels)

    assert ran.code == 0, ran.err
    assert "batch�[2J" in ran.out
    assert "\x1b" not in ran.out


def test_a_guard_that_says_anything_of_itself_is_listed_without_its_escapes(
    monkeypatch: Patch, capfd: Capture
) -> None:
    one = guards.Listed(guard=HOSTILE, policy=HOSTILE, version=HOSTILE, seen=1.0, same_secret=True)
    monkeypatch.setattr(guards, "_post", lambda *_: None)
    monkeypatch.setattr(guards, "listed", lambda _: [one])

    ran = run(monkeypatch, capfd, "guards", "list")

    assert ran.code == 0
    assert "1 guard, 1 policy" in ran.out
    assert not set("\x1b\x07\r\x9b\u202e") & set(ran.out)


def test_a_campaign_is_shown_without_escapes() -> None:
    report = report_of(ring.caught(), "c_0001")
    odd = msgspec.structs.replace(report.members[0], country=HOSTILE, declared=HOSTILE)
    net = msgspec.structs.replace(report.networks[0], country=HOSTILE)
    out = Console(file=io.StringIO(), width=400)

    print_report(
        msgspec.structs.replace(report, evidence=(HOSTILE,), members=(odd,), networks=(net,)),
        out,
        members=20,
    )

    text = out.file.getvalue()  # type: ignore[attr-defined]
    assert text.count("a card�[2J") == 6
    assert not set("\x1b\x07\r\x9b\u202e") & set(text)


def test_limits_of_a_store_are_shown_without_their_escapes(capfd: Capture) -> None:
    store._show(
        Stats(
            store="redis://h", namespace="gg", reservations=0, keys=1, memory=1, measured=1,
            policy="noeviction", maximum=0, server_memory=1,
            limits=(LimitUse(limit=HOSTILE, keys=1, memory=1),),
        )
    )  # fmt: skip

    out = capfd.readouterr().out

    assert "a card�[2J" in out
    assert not set("\x1b\x07\r\x9b\u202e") & set(out)
