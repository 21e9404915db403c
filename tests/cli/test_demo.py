"""`demo`: real servers, real HTTP, every kind of decision, nothing left behind."""

from __future__ import annotations

import asyncio
import gzip
import io
import os
import re
import select
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from rich.console import Console

from examples.make_traffic import CAST, write
from gateway_guard.accounts.file import FileDirectory
from gateway_guard.cli import demo
from gateway_guard.cli.demo import POLICY, Material, demo_policy
from gateway_guard.cli.replay import REPLAY_SECRET, Judge, replay
from gateway_guard.cli.screen import Answers, Decisions, watch
from gateway_guard.cli.traffic import Recorded, Traffic
from gateway_guard.core.policy import Policy
from gateway_guard.errors import SourceError
from gateway_guard.network.database import NetworkDatabase
from gateway_guard.policy.compile import compile_policy
from tests.cli.run import ROOT
from tests.processes import PATIENCE

COMMAND = [sys.executable, "-m", "gateway_guard.cli", "demo", "--root", str(ROOT)]


def start(seconds: str, temporary: Path) -> subprocess.Popen[str]:
    # A shell starts its background jobs deaf to an interrupt, and their children inherit that.
    deaf = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return subprocess.Popen(
            [*COMMAND, "--seconds", seconds], stdout=subprocess.PIPE, text=True,
            env={**os.environ, "TMPDIR": str(temporary)},
        )  # fmt: skip
    finally:
        signal.signal(signal.SIGINT, deaf)


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def rule_lines(policy: Policy) -> dict[str, str]:
    return {rule.name: rule.where.rpartition(":")[2] for rule in policy.rules}


def test_the_demonstrations_policy_is_the_standard_one_with_two_rules_more() -> None:
    standard = (ROOT / POLICY).read_text()

    ours = compile_policy(demo_policy(standard).encode(), POLICY)

    theirs = compile_policy(standard.encode(), POLICY)
    assert [str(network) for network in ours.identify.trusted] == ["127.0.0.1/32"]
    assert [limit.name for limit in ours.limits] == [limit.name for limit in theirs.limits]
    assert set(rule_lines(ours)) - set(rule_lines(theirs)) == {"embargo", "demo-harvesting"}
    # What it prints of a rule's place is true of the file everybody has.
    assert rule_lines(ours).items() >= rule_lines(theirs).items()


def test_a_standard_policy_that_moved_on_is_noticed() -> None:
    with pytest.raises(SourceError, match="trusted_proxies"):
        demo_policy("version: 1\nrules:\n")


def test_the_bundled_traffic_is_what_its_generator_writes(tmp_path: Path) -> None:
    write(tmp_path)

    for name in ("traffic.jsonl.gz", "accounts.jsonl"):
        fresh, bundled = (tmp_path / name).read_bytes(), (ROOT / "examples" / name).read_bytes()
        if name.endswith(".gz"):
            fresh, bundled = gzip.decompress(fresh), gzip.decompress(bundled)
        assert fresh == bundled


def test_its_addresses_are_in_the_bundled_database() -> None:
    network = NetworkDatabase.bundled()
    addresses = {line.client_ip for line in Material(ROOT).exchanges() if line.client_ip}

    facts = [network.lookup(address) for address in addresses]

    assert all(fact.known and fact.country for fact in facts)
    assert {"tor", "vpn", "hosting"} <= {flag for fact in facts for flag in fact.flags}


def test_accounts_keep_their_age_whenever_the_demonstration_runs(tmp_path: Path) -> None:
    now = 2_000_000_000.0

    Material(ROOT).write(tmp_path, now)

    accounts = map(msgspec.json.decode, (tmp_path / "accounts.jsonl").read_bytes().splitlines())
    ages = {account["account"]: (now - account["created_at"]) / 86_400.0 for account in accounts}
    assert ages["newcomer-01"] == pytest.approx(CAST["newcomer-01"][1], abs=0.001)


def test_the_ring_is_found_in_recorded_traffic_too_and_nobody_else(tmp_path: Path) -> None:
    policy = ROOT / POLICY
    judge = Judge(
        policy, FileDirectory(ROOT / "examples" / "accounts.jsonl", secret=REPLAY_SECRET),
        NetworkDatabase.bundled(),
    )  # fmt: skip

    with closing(Traffic(ROOT / "examples" / "traffic.jsonl.gz")) as traffic:
        replay(traffic, judge)

    (campaign,) = judge.linker.campaigns()
    members = {judge.recorded[account] for account in campaign.members}
    assert members == {name for name in CAST if name.startswith("ring-")}


def test_without_its_examples_it_says_where_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="make demo"):
        Material(tmp_path)


def decision(action: str = "allow", **fields: Any) -> dict[str, Any]:
    return {"action": action, "risk": 0.1, "account": "acct_abcdefghijklmno"} | fields


def write_log(path: Path, *decisions: dict[str, Any]) -> None:
    path.write_bytes(b"".join(msgspec.json.encode(one) + b"\n" for one in decisions))


def test_the_log_is_read_as_it_grows_whole_lines_only(tmp_path: Path) -> None:
    log = tmp_path / "log"
    decisions = Decisions(log)

    assert decisions.read() == []
    write_log(log, decision(), decision("deny", status=451, rule="embargo"))
    with log.open("ab") as file:
        file.write(b'{"action":"al')
    assert len(decisions.read()) == 2
    with log.open("ab") as file:
        file.write(b'low","risk":0.5}\n')
    assert [one["risk"] for one in decisions.read()] == [0.5]

    assert decisions.actions == {"allow": 2, "deny": 1}
    assert b"embargo" in decisions.telling


def test_the_riskiest_that_was_not_allowed_is_the_one_explained(tmp_path: Path) -> None:
    log = tmp_path / "log"
    write_log(
        log, decision(risk=0.9), decision("restrict", risk=0.4, rule="this"),
        decision("deny", risk=0.2, status=403),
    )  # fmt: skip
    decisions = Decisions(log)

    decisions.read()

    assert msgspec.json.decode(decisions.telling)["rule"] == "this"


def test_accounts_of_a_campaign_count_once_they_are_refused(tmp_path: Path) -> None:
    log = tmp_path / "log"
    write_log(
        log, decision("restrict", campaign="c_0001", account="acct_near"),
        *[decision("deny", status=403, campaign="c_0001", account=f"acct_{n % 2}")
          for n in range(4)],
    )  # fmt: skip
    decisions = Decisions(log)

    decisions.read()

    assert decisions.contained == {"c_0001": {"acct_0", "acct_1"}}


def test_a_request_without_an_answer_is_counted_as_failed() -> None:
    answers = Answers()

    for status in ("200", "429", "ReadTimeout"):
        answers.add("reader-01", status)

    assert (answers.sent, answers.failed) == (3, 1)


def test_a_machine_that_cannot_keep_the_pace_takes_longer_and_breaks_nothing_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    under_way, most = 0, 0
    minute = Material(ROOT).exchanges()[: 4 * demo.AT_ONCE]

    async def slow(client: httpx.AsyncClient, line: Recorded, answers: Answers) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        # Until everybody else who may go on has gone on.
        for _ in range(4 * demo.AT_ONCE):
            await asyncio.sleep(0)
        assert not client.is_closed
        answers.add(line.account, "200")
        under_way -= 1

    monkeypatch.setattr(demo, "_send", slow)
    answers = Answers()

    # All of them are due at once.
    asyncio.run(demo.send_all(minute, "http://127.0.0.1:1", 1e-6, answers))

    assert (answers.sent, answers.failed) == (len(minute), 0)
    assert most == demo.AT_ONCE


@pytest.mark.parametrize("columns", [80, 120])
def test_the_live_screen_fits_a_terminal(columns: int, tmp_path: Path) -> None:
    log = tmp_path / "log"
    write_log(
        log, *[decision()] * 40,
        *[decision("challenge", status=403, rule="hidden-newcomers", country="DE",
                   network=["hosting", "tor", "vpn"], campaign="c_0001")] * 40,
    )  # fmt: skip
    out = Console(
        width=columns, height=24, force_terminal=True, color_system=None, file=io.StringIO(),
        _environ={},
    )  # fmt: skip
    screens: list[str] = []

    async def show() -> None:
        done = asyncio.Event()
        task = asyncio.create_task(watch(Decisions(log), 60.0, out, done))
        while not screens:
            await asyncio.sleep(0)
            text = out.file.getvalue()  # type: ignore[attr-defined]
            if "allow" in text:
                screens.append(text)
        done.set()
        await task

    asyncio.run(show())

    lines = re.sub(r"\x1b\[[?\d;]*[a-zA-Z]", "", screens[0]).splitlines()
    assert len(lines) <= 24 - 5
    assert max(map(len, lines)) <= columns
    assert "challenge 403" in screens[0]
    assert "acct_abcdefg…" in screens[0]
    assert "c_0001: 1 account contained" in screens[0]


def test_off_a_terminal_a_line_now_and_then_says_what_happened(tmp_path: Path) -> None:
    log = tmp_path / "log"
    write_log(
        log, decision(),
        decision("deny", status=403, rule="campaign-members", country="FR", campaign="c_0001"),
    )  # fmt: skip
    done = asyncio.Event()

    class Screen(io.StringIO):
        """Until the first line of counts."""

        def write(self, text: str) -> int:
            if " s  " in text:
                done.set()
            return super().write(text)

    screen = Screen()

    asyncio.run(watch(Decisions(log), 60.0, Console(width=120, file=screen, _environ={}), done))

    lines = screen.getvalue().splitlines()
    assert lines[:2] == [
        "  first allow  default  unknown  risk 0.10",
        "  first deny 403  campaign-members  FR  risk 0.10",
    ]
    assert lines[2].endswith("allow 1   deny 1   c_0001: 1 account contained")


@pytest.mark.e2e
def test_it_runs_to_its_end_shows_every_decision_and_leaves_nothing(tmp_path: Path) -> None:
    with start("6", tmp_path) as running:
        assert running.stdout is not None
        text = ""
        children: list[int] = []
        for line in running.stdout:
            text += line
            if line.startswith("admin"):
                children = children_of(running.pid)

    assert running.returncode == 0, text
    assert len(children) == 2
    assert not any(alive(child) for child in children)
    assert not list(tmp_path.iterdir())
    sent, decided = re.findall(r"^([\d,]+) requests sent in \d+ s, ([\d,]+) decided$", text, re.M)[
        0
    ]
    assert sent == decided
    kinds = (
        "embargo  ", "guard:body", "limit:", "demo-harvesting", "campaign-members", "451 ×",
        "429 ×", "400 ×",
    )  # fmt: skip
    for words in kinds:
        assert words in text
    assert "├ decide    demo-harvesting  policies/standard.yaml:" in text
    assert "├ act       forwarded with output capped at 64 tokens" in text
    assert "c_0001  24 accounts of 24 organisations, confidence > 99.9%" in text
    assert "core: " in text.partition("\nevidence, weighed last on ")[2]
    assert "Try next:" in text
    assert str(tmp_path) not in text


@pytest.mark.e2e
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_stopped_half_way_it_leaves_nothing(how: signal.Signals, tmp_path: Path) -> None:
    with start("60", tmp_path) as running:
        assert running.stdout is not None
        for line in running.stdout:
            if line.startswith("admin"):
                break
        children = children_of(running.pid)
        waiting = [os.pidfd_open(child) for child in children]
        running.send_signal(how)
        running.stdout.read()

    assert len(children) == 2
    for handle in waiting:
        ready, _, _ = select.select([handle], [], [], PATIENCE)
        os.close(handle)
        assert ready, "a child outlived the demonstration"
    if how is not signal.SIGKILL:  # nobody can tidy up after that
        assert running.returncode == 130
        assert not list(tmp_path.iterdir())
