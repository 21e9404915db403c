"""`gateway-guard decision`: a complaint's request id in, what was decided and why out."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gateway_guard.policy.compile import load_policy
from gateway_guard.record.line import line
from gateway_guard.types import Action, Exchange, Outcome, Plan, Usage
from tests import build
from tests.cli.run import run

Capture = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch

ACCOUNT = "acct_" + "a" * 16
POLICY = """\
version: 1
mode: enforce
signals: { template-sweep: { weight: 0.6 } }
limits:
  requests: { per: account, requests: 120/minute }
rules:
  - name: embargo
    why: export control
    when: { country: KP }
    then: deny
"""


def exchange(number: int, **fields: Any) -> Exchange:
    request = build.request(id=f"r_abcdefgh{number:06x}", account=ACCOUNT, at=build.NOW + number)
    usage = Usage(input_tokens=14, output_tokens=9, status=200, reported=True)
    return build.exchange(**{"request": request, "usage": usage} | fields)


def throttled(number: int, digest: str = "0123456789ab") -> Exchange:
    grant = build.grant(
        charge=build.charge(limit="requests", quota=60.0, capacity=60.0), allowed=False,
        remaining=0.0, retry_after=2.5141,
    )  # fmt: skip
    decision = build.decision(
        action=Action.THROTTLE, rule="limit:requests", reason="limit", status=429,
        retry_after=2.5141, grants=(grant,), policy=digest,
    )  # fmt: skip
    usage = Usage(input_tokens=0, output_tokens=0, outcome=Outcome.REFUSED, status=429)
    return exchange(number, plan=None, decision=decision, usage=usage)


def denied(number: int, digest: str) -> Exchange:
    rule: dict[str, Any] = {"action": Action.DENY, "rule": "embargo", "where": "policy.yaml:7"}
    return exchange(
        number, plan=Plan(**rule), decision=build.decision(**rule, status=403, policy=digest)
    )


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    path = tmp_path / "policy.yaml"
    path.write_text(POLICY)
    return path


@pytest.fixture
def log(tmp_path: Path, policy: Path) -> Path:
    path = tmp_path / "decisions.jsonl"
    digest = load_policy(policy).digest
    told = [exchange(1), throttled(2), denied(3, digest), throttled(4, digest)]
    path.write_bytes(b"".join(map(line, told)))
    return path


def test_a_refusal_is_explained_by_the_id_its_client_quotes(
    log: Path, monkeypatch: Patch, capfd: Capture
) -> None:
    for quoted in ("r_abcdefgh000002", "urn:gateway-guard:r_abcdefgh000002"):
        ran = run(monkeypatch, capfd, "decision", quoted, log)

        assert (ran.code, ran.err) == (0, "")
        head, policy, empty, *tree = ran.out.splitlines()
        assert head == f"2026-03-02 12:00:02.000000 UTC  {ACCOUNT}  {log}:2"
        assert policy.startswith("by policy 0123456789ab (--policy FILE shows ")
        assert empty == ""
        assert tree[0].startswith("r_abcdefgh000002  POST /v1/chat/completions  apex-4  ")
        assert "├ decide    limit:requests  limit" in tree
        assert "├ reserve   requests 0 of 60 left, 1 asked: no room for 2.51 s" in tree
        assert tree[-2:] == [
            "├ act       throttle with 429, retry after 2.515 s",
            "└ settle    refused · nothing reached the upstream, nothing was charged",
        ]


def test_the_policy_that_decided_adds_its_rule_and_quotas(
    log: Path, policy: Path, monkeypatch: Patch, capfd: Capture
) -> None:
    rule = run(monkeypatch, capfd, "decision", "r_abcdefgh000003", log, "-p", policy)
    limit = run(monkeypatch, capfd, "decision", "r_abcdefgh000004", log, "-p", policy)

    assert f", as {policy} is now" in rule.out
    _, _, words = rule.out.partition("└ settle")
    assert f"\n\nembargo: rule 1 of 1, {policy}:7\n  why: export control\n" in words
    assert "  country: KP\n" in words
    assert "requests 0 of 60 left (50 % of 120 for this account now), 1 asked" in limit.out
    assert f"\n\nrequests: limit, {policy}:5\n" in limit.out


def test_a_policy_that_has_changed_since_is_not_taken_for_the_one_that_decided(
    log: Path, policy: Path, monkeypatch: Patch, capfd: Capture
) -> None:
    policy.write_text(POLICY.replace("120/", "240/"))

    ran = run(monkeypatch, capfd, "decision", "r_abcdefgh000004", log, "-p", policy)

    assert ran.code == 0
    assert f"{policy} has changed since (now {load_policy(policy).digest}): the weights" in ran.out
    assert "of 240" not in ran.out
    assert "requests: limit" not in ran.out


def test_an_answer_of_the_default_has_no_rule_to_show(
    log: Path, policy: Path, monkeypatch: Patch, capfd: Capture
) -> None:
    allowed = exchange(5, decision=build.decision(policy=load_policy(policy).digest))
    log.write_bytes(line(allowed))

    ran = run(monkeypatch, capfd, "decision", "r_abcdefgh000005", log, "-p", policy)

    assert ran.out.splitlines()[-1] == (
        "└ settle    completed · upstream 200 · 14 tokens read and 9 written, reported by the "
        "upstream"
    )


def test_json_is_the_line_itself(log: Path, monkeypatch: Patch, capfd: Capture) -> None:
    one = run(monkeypatch, capfd, "decision", "r_abcdefgh000002", log, "--format", "json")
    several = run(monkeypatch, capfd, "decision", ACCOUNT, log, "--format=json", "--latest=2")

    assert one.out.encode() == line(throttled(2))
    ids = [json.loads(text)["id"] for text in several.out.splitlines()]
    assert ids == ["r_abcdefgh000004", "r_abcdefgh000003"]


def test_the_latest_of_an_account_are_listed_one_a_line(
    log: Path, monkeypatch: Patch, capfd: Capture
) -> None:
    ran = run(monkeypatch, capfd, "decision", ACCOUNT, log, "--latest", "3")

    assert (ran.code, ran.err) == (0, "")
    _, _, *rows = ran.out.splitlines()
    assert [row.split()[:6] for row in rows] == [
        ["2026-03-02", "12:00:04", "r_abcdefgh000004", "throttle", "429", "limit:requests"],
        ["2026-03-02", "12:00:03", "r_abcdefgh000003", "deny", "403", "embargo"],
        ["2026-03-02", "12:00:02", "r_abcdefgh000002", "throttle", "429", "limit:requests"],
    ]
    assert rows[1].split()[-3:] == ["0.00", "23", "completed"]


def test_what_was_not_settled_and_what_was_in_shadow_is_listed_as_such(
    log: Path, monkeypatch: Patch, capfd: Capture
) -> None:
    shadow = build.decision(action=Action.DENY, rule="x\x1b[31m", status=403, acted=False)
    unknown = Usage(outcome=Outcome.CLIENT_GONE)
    log.write_bytes(
        line(exchange(1, usage=None)) + line(exchange(2, decision=shadow, usage=unknown))
    )

    ran = run(monkeypatch, capfd, "decision", ACCOUNT, log)

    first, second = ran.out.splitlines()[2:]
    assert "deny 403 (in shadow)" in first
    assert "\x1b" not in ran.out
    assert first.split()[-2:] == ["–", "client-gone"]
    assert second.split()[-2:] == ["–", "–"]


def test_rotated_logs_and_standard_input_are_searched_together(log: Path, tmp_path: Path) -> None:
    packed = tmp_path / "decisions.jsonl.2.gz"
    packed.write_bytes(gzip.compress(line(exchange(9))))
    script = [sys.executable, "-m", "gateway_guard", "decision"]

    found = subprocess.run(
        [*script, "r_abcdefgh000009", "-", str(packed)], input=log.read_bytes(),
        capture_output=True, check=False,
    )  # fmt: skip
    absent = subprocess.run(
        [*script, "r_abcdefgh00000a", "-", str(packed)], input=log.read_bytes(),
        capture_output=True, check=False,
    )  # fmt: skip

    assert found.returncode == 0
    assert b"decisions.jsonl.2.gz:1\n" in found.stdout
    assert absent.returncode == 1
    assert f"no decision on r_abcdefgh00000a in standard input, {packed}: 5 decisions from " in (
        absent.stderr.decode()
    )


def test_what_is_not_there_says_what_was_searched_and_what_was_passed_over(
    log: Path, monkeypatch: Patch, capfd: Capture
) -> None:
    with log.open("ab") as file:
        file.write(b"nonsense\n{}\n")
    cut = log.with_suffix(".gz")
    cut.write_bytes(gzip.compress(line(exchange(9)))[:-9])

    ran = run(monkeypatch, capfd, "decision", "r_zzzzzzzz000001", log, cut)
    empty = run(monkeypatch, capfd, "decision", "r_zzzzzzzz000001", "/dev/null")

    assert (ran.code, ran.out) == (1, "")
    assert ran.err.splitlines() == [
        f"{cut} cannot be read beyond line 0: it was cut short",
        f"2 lines passed over: of no decision log, or broken; the first is {log}:5",
        (
            f"no decision on r_zzzzzzzz000001 in {log}, {cut}: 4 decisions from 2026-03-02 "
            "12:00:01.000000 to 2026-03-02 12:00:04.000000 UTC; name older logs, too, where there "
            "are some"
        ),
    ]
    assert "in /dev/null: 0 decisions; name older logs" in empty.err


def test_the_log_of_the_environment_is_the_one_searched(
    log: Path, monkeypatch: Patch, capfd: Capture
) -> None:
    monkeypatch.setenv("GATEWAY_GUARD_DECISION_LOG", str(log))
    named = run(monkeypatch, capfd, "decision", "r_abcdefgh000001")
    monkeypatch.setenv("GATEWAY_GUARD_DECISION_LOG", "-")
    printed = run(monkeypatch, capfd, "decision", "r_abcdefgh000001")

    assert named.code == 0
    assert (printed.code, printed.out) == (2, "")
    assert "name the decision LOG to search" in printed.err


@pytest.mark.parametrize("name", ["sk-secret-key-of-somebody", "r_", "acct_short"])
def test_what_is_neither_request_nor_account_is_usage_and_is_not_shown_again(
    name: str, log: Path, monkeypatch: Patch, capfd: Capture
) -> None:
    ran = run(monkeypatch, capfd, "decision", name, log)

    assert (ran.code, ran.out) == (2, "")
    said = " ".join(ran.err.split())
    assert "r_ and 14 letters or digits (r_97jy8gm6c4tv1e)" in said
    assert "x-guard-request-id" in said
    assert said.endswith("No log was read")
    assert "secret" not in ran.err


def test_the_name_of_a_campaign_is_looked_up_by_another_command(
    log: Path, monkeypatch: Patch, capfd: Capture
) -> None:
    ran = run(monkeypatch, capfd, "decision", "c_0009", log)

    assert ran.code == 2
    assert "`gateway-guard campaign show c_0009`" in " ".join(ran.err.split())


def test_an_id_is_found_as_mail_and_spreadsheets_change_it_and_one_that_was_cut_is_told(
    log: Path, monkeypatch: Patch, capfd: Capture
) -> None:
    found = run(monkeypatch, capfd, "decision", " R_ABCDEFGH000001 ", log)
    cut = run(monkeypatch, capfd, "decision", "r_abcdefgh0000", log)

    assert found.code == 0
    assert "r_abcdefgh000001" in found.out
    assert cut.code == 1
    assert cut.err.strip().endswith("The guard's own ids have 16 characters, this one 14")


def test_a_line_that_says_too_little_takes_no_other_with_it(
    log: Path, monkeypatch: Patch, capfd: Capture
) -> None:
    with log.open("a") as file:
        file.write(
            f'{{"time":"2026-03-02T12:00:00Z","id":"r_1","action":"x","account":"{ACCOUNT}"}}\n'
        )

    listed = run(monkeypatch, capfd, "decision", ACCOUNT, log)

    assert listed.code == 0
    assert listed.out.count("r_abcdefgh") == 4
    assert f"1 line passed over: of no decision log, or broken; the first is {log}:5" in listed.err


def test_a_line_that_says_too_little_to_be_explained_is_named(
    log: Path, policy: Path, monkeypatch: Patch, capfd: Capture
) -> None:
    log.write_text('{"time":"2026-03-02T12:00:00Z","id":"r_abcdefgh000001","action":"x"}\n')

    little = run(monkeypatch, capfd, "decision", "r_abcdefgh000001", log)
    absent = run(monkeypatch, capfd, "decision", "r_abcdefgh000001", log.parent)
    broken = run(monkeypatch, capfd, "decision", "r_abcdefgh000001", log, "-p", log)

    assert (little.code, absent.code, broken.code) == (3, 3, 3)
    assert f"{log}:1: not a line of a decision log" in little.err
    assert f"{log.parent} cannot be read: " in absent.err
