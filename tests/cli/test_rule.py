"""`rule`: what a code means, and what a rule or limit does, for people and for programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gateway_guard.policy.codes import CODES
from tests.cli.run import Ran, run

Capture = pytest.CaptureFixture[str]
POLICY = """\
version: 1
limits:
  chat: { per: [account, model], tokens: 5/minute, when: { model_route: true } }
rules:
  - name: chat
    when: { country: [CU, KP], network: tor }
    then: deny
  - { name: rehearsed, then: throttle, mode: shadow }
"""
RULE = {
    "kind": "rule", "name": "chat", "line": 5, "action": "deny", "shadow": False,
    "when": {"country": "[CU, KP]", "network": "tor"},
}  # fmt: skip
REHEARSED = {
    "kind": "rule", "name": "rehearsed", "line": 8, "action": "throttle", "shadow": True, "when": {}
}  # fmt: skip
LIMIT = {
    "kind": "limit", "name": "chat", "line": 3, "per": ["account", "model"], "unit": "tokens",
    "shadow": False, "when": {"model_route": "true"},
}  # fmt: skip


@pytest.fixture
def policy(tmp_path: Path) -> str:
    path = tmp_path / "policy.yaml"
    path.write_text(POLICY)
    return str(path)


def told(ran: Ran) -> Any:
    assert ran.code == 0
    return json.loads(ran.out)


def test_a_list_for_programs_has_rules_and_limits_in_fields(
    policy: str, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    ran = run(monkeypatch, capfd, "rule", "list", "-p", policy, "--format", "json")

    assert told(ran) == [{**entry, "file": policy} for entry in (RULE, REHEARSED, LIMIT)]


def test_a_list_for_people_is_one_line_each(
    policy: str, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    ran = run(monkeypatch, capfd, "rule", "list", "-p", policy)

    assert ran.out.splitlines() == [
        f"rule   chat  {policy}:5",
        f"rule   rehearsed  {policy}:8",
        f"limit  chat  {policy}:3",
    ]


def test_a_name_that_two_have_is_explained_for_both(
    policy: str, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    found = told(run(monkeypatch, capfd, "rule", "chat", "-p", policy, "--format", "json"))

    words = found.pop("words")
    assert found == {**RULE, "file": policy}
    assert words[0] == f"chat: rule 1 of 2, {policy}:5"
    assert f"chat: limit, {policy}:3" in words


def test_codes_are_explained_one_by_one_and_listed(
    monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    listed = told(run(monkeypatch, capfd, "rule", "list", "--format", "json"))
    one = told(run(monkeypatch, capfd, "rule", "gg310", "--format", "json"))

    assert [entry["code"] for entry in listed] == list(CODES)
    assert one in listed


def test_a_name_nobody_has_is_usage(
    policy: str, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    assert run(monkeypatch, capfd, "rule", "GG999").code == 2

    ran = run(monkeypatch, capfd, "rule", "chta", "-p", policy)

    assert ran.code == 2
    assert "did you mean 'chat'?" in ran.err


def test_what_the_guard_decides_by_itself_is_explained_with_a_policy_and_without(
    policy: str, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    bare = run(monkeypatch, capfd, "rule", "guard:jwks")
    within = run(monkeypatch, capfd, "rule", "guard:jwks", "-p", policy)
    fields = run(monkeypatch, capfd, "rule", "guard:jwks", "--format", "json")

    assert (bare.code, within) == (0, bare)
    assert "503" in bare.out
    assert told(fields)["kind"] == "guard"


def test_a_limit_is_found_by_its_name_in_decision_logs(
    policy: str, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    limit = run(monkeypatch, capfd, "rule", "limit:chat", "-p", policy, "--format", "json")
    none = run(monkeypatch, capfd, "rule", "limit:rehearsed", "-p", policy)

    assert told(limit)["kind"] == "limit"
    assert none.code == 2


def test_a_name_nobody_knows_is_told_the_guards_own(
    monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    ran = run(monkeypatch, capfd, "rule", "guard:bann")

    assert ran.code == 2
    assert "guard:ban, guard:body" in ran.err
