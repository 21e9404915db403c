"""`demo`: real servers, real HTTP, every kind of decision, nothing left behind."""

from __future__ import annotations

import gzip
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from examples.make_traffic import CAST, write
from gateway_guard.cli.demo import Material, demo_policy
from gateway_guard.errors import SourceError
from gateway_guard.network.database import NetworkDatabase
from gateway_guard.policy.compile import compile_policy
from tests.cli.run import ROOT

COMMAND = [sys.executable, "-m", "gateway_guard.cli", "demo", "--root", str(ROOT)]


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_the_demonstrations_policy_is_the_standard_one_with_two_changes() -> None:
    standard = (ROOT / "policies" / "standard.yaml").read_text()

    ours = compile_policy(demo_policy(standard).encode(), "demo.yaml")

    theirs = compile_policy(standard.encode(), "standard.yaml")
    assert [rule.name for rule in ours.rules] == ["demo-embargo", *(r.name for r in theirs.rules)]
    assert [str(network) for network in ours.identify.trusted] == ["127.0.0.1/32"]
    assert [limit.name for limit in ours.limits] == [limit.name for limit in theirs.limits]


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


def test_without_its_examples_it_says_where_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="make demo"):
        Material(tmp_path)


@pytest.mark.e2e
def test_it_runs_to_its_end_shows_every_decision_and_leaves_nothing() -> None:
    with subprocess.Popen([*COMMAND, "--seconds", "6"], stdout=subprocess.PIPE, text=True) as demo:
        assert demo.stdout is not None
        text = ""
        children: list[int] = []
        for line in demo.stdout:
            text += line
            if line.startswith("admin"):
                children = children_of(demo.pid)

    assert demo.returncode == 0, text
    assert len(children) == 2
    assert not any(alive(child) for child in children)
    sent, decided = re.findall(r"^([\d,]+) requests sent in \d+ s, ([\d,]+) decided$", text, re.M)[
        0
    ]
    assert sent == decided
    for words in ("demo-embargo", "guard:body", "limit:requests", "hidden-newcomers", "451 ×"):
        assert words in text
    assert "├ decide    hidden-" in text


@pytest.mark.e2e
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_stopped_half_way_it_leaves_nothing(how: signal.Signals) -> None:
    with subprocess.Popen([*COMMAND, "--seconds", "60"], stdout=subprocess.PIPE, text=True) as demo:
        assert demo.stdout is not None
        for line in demo.stdout:
            if line.startswith("admin"):
                break
        children = children_of(demo.pid)
        waiting = [os.pidfd_open(child) for child in children]
        demo.send_signal(how)
        demo.stdout.read()

    assert len(children) == 2
    for handle in waiting:
        import select

        ready, _, _ = select.select([handle], [], [], 15.0)
        os.close(handle)
        assert ready, "a child outlived the demonstration"
