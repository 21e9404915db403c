"""`gateway-guard summary`: what a policy did, or in shadow would have done, and to whom."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from gateway_guard.record.line import line
from gateway_guard.types import Action, Exchange, ShadowHit
from tests import build
from tests.cli.run import run

Capture = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch

ONE, OTHER = "acct_" + "a" * 16, "acct_" + "b" * 16


def exchange(number: int, account: str | None = ONE, **decided: Any) -> Exchange:
    request = build.request(id=f"r_abcdefgh{number:06x}", account=account, at=build.NOW + number)
    return build.exchange(request=request, plan=None, decision=build.decision(**decided))


DENIED: dict[str, Any] = {"action": Action.DENY, "rule": "embargo", "status": 451}
REHEARSED: dict[str, Any] = {"shadow": (ShadowHit(rule="newcomers", action=Action.CHALLENGE),)}


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "decisions.jsonl"
    told = [
        exchange(1),
        exchange(2, **DENIED),
        exchange(3, **DENIED, acted=False),
        exchange(4, OTHER, **DENIED, acted=False),
        exchange(5, None, **REHEARSED),
        exchange(6, OTHER, **REHEARSED),
    ]
    path.write_bytes(b"".join(map(line, told)))
    return path


def counted(monkeypatch: Patch, capfd: Capture, *args: str | Path) -> dict[str, Any]:
    ran = run(monkeypatch, capfd, "summary", *args, "--format", "json")
    assert (ran.code, ran.err) == (0, "")
    found: dict[str, Any] = json.loads(ran.out)
    return found


def test_decisions_are_counted_by_rule_in_force_or_in_shadow(
    log: Path, monkeypatch: Patch, capfd: Capture
) -> None:
    report = counted(monkeypatch, capfd, log)

    assert (report["decisions"], report["accounts"], report["accounts_hit"]) == (6, 2, 2)
    assert report["earliest"] == "2026-03-02T12:00:01Z"
    assert report["rules"] == [
        {"rule": "default", "action": "allow", "acted": 3, "shadow": 0, "accounts": 2},
        {"rule": "embargo", "action": "deny", "acted": 1, "shadow": 2, "accounts": 2},
        {"rule": "newcomers", "action": "challenge", "acted": 0, "shadow": 2, "accounts": 1},
    ]


def test_who_was_or_would_be_hit_is_named_most_often_first(
    log: Path, monkeypatch: Patch, capfd: Capture
) -> None:
    report = counted(monkeypatch, capfd, log)
    ran = run(monkeypatch, capfd, "summary", log)
    short = run(monkeypatch, capfd, "summary", log, "-n", "1")

    assert report["hit"] == [
        {"account": ONE, "acted": 1, "shadow": 1, "rules": {"embargo": 2}},
        {"account": OTHER, "acted": 0, "shadow": 2, "rules": {"embargo": 1, "newcomers": 1}},
        {"account": None, "acted": 0, "shadow": 1, "rules": {"newcomers": 1}},
    ]
    assert ran.out.startswith("6 decisions on 2 accounts from 2026-03-02 12:00:01.000000 to ")
    assert "embargo      deny               1           2          2   50.00 %" in ran.out
    assert "no account" in ran.out
    assert "… and 1 accounts more (--most)" in short.out


def test_one_rule_alone_can_be_asked_for(log: Path, monkeypatch: Patch, capfd: Capture) -> None:
    report = counted(monkeypatch, capfd, log, "--rule", "newcomers")

    assert [row["rule"] for row in report["rules"]] == ["newcomers"]
    assert [row["account"] for row in report["hit"]] == [OTHER, None]


def test_a_rule_that_decided_nothing_is_told_with_those_that_did(
    log: Path, monkeypatch: Patch, capfd: Capture
) -> None:
    ran = run(monkeypatch, capfd, "summary", log, "--rule", "newcomer")

    assert (ran.code, ran.out) == (1, "")
    assert "no decision by 'newcomer'" in ran.err
    assert "did you mean 'newcomers'? (by these: default, embargo, newcomers)" in ran.err


def test_a_limit_is_found_by_its_own_name(
    tmp_path: Path, monkeypatch: Patch, capfd: Capture
) -> None:
    log = tmp_path / "decisions.jsonl"
    log.write_bytes(line(exchange(1, action=Action.THROTTLE, rule="limit:requests")))

    ran = run(monkeypatch, capfd, "summary", log, "--rule", "requests")

    assert "did you mean 'limit:requests'?" in ran.err


def test_where_all_was_allowed_that_is_said(
    tmp_path: Path, monkeypatch: Patch, capfd: Capture
) -> None:
    log = tmp_path / "decisions.jsonl.gz"
    log.write_bytes(gzip.compress(line(exchange(1))))

    ran = run(monkeypatch, capfd, "summary", log)

    assert ran.code == 0
    assert "nobody was hit" in ran.out


def test_what_is_no_decision_log_is_left_out_and_told(
    log: Path, tmp_path: Path, monkeypatch: Patch, capfd: Capture
) -> None:
    other = tmp_path / "other.jsonl"
    head = {"time": "2026-03-02T12:00:00Z", "id": "r_1", "action": "allow"}
    other.write_text(f"{json.dumps(head)}\nnonsense\n")

    mixed = run(monkeypatch, capfd, "summary", log, other)
    alone = run(monkeypatch, capfd, "summary", other)

    assert mixed.out.startswith("6 decisions ")
    assert "2 lines passed over" in mixed.err
    assert alone.code == 1
    assert "nothing to count in" in alone.err


def test_what_a_replay_wrote_is_named_as_that(
    log: Path, tmp_path: Path, monkeypatch: Patch, capfd: Capture
) -> None:
    other = tmp_path / "replayed.jsonl"
    told = {"id": "x1", "action": "deny", "risk": 0.5, "rule": None, "campaign": None}
    other.write_text(f"{json.dumps(told)}\n" * 2)

    ran = run(monkeypatch, capfd, "summary", log, other)

    assert ran.out.startswith("6 decisions ")
    assert "2 of them are what `replay --decisions` wrote" in ran.err


def test_what_a_log_was_made_to_say_drives_no_terminal(
    tmp_path: Path, monkeypatch: Patch, capfd: Capture
) -> None:
    told = json.loads(line(exchange(1, **DENIED)))
    log = tmp_path / "decisions.jsonl"
    said = [told | {name: "\x1b[31m"} for name in ("account", "rule", "policy", "action")]
    log.write_text("".join(json.dumps(one) + "\n" for one in said))

    ran = run(monkeypatch, capfd, "summary", log)

    assert ran.out.startswith("3 decisions ")
    assert "1 line passed over" in ran.err
    assert "\x1b" not in ran.out
