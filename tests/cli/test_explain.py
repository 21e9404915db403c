"""`explain`: the examples decide as they say, through the guard that serves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gateway_guard.record.schema import FIELDS
from tests.cli.run import ROOT, run

Capture = pytest.CaptureFixture[str]
REQUESTS = sorted((ROOT / "examples" / "requests").glob("*.json"))
STANDARD = ROOT / "policies" / "standard.yaml"

POLICY = """
version: 1
mode: enforce
signals:
  template-sweep: { weight: 0.6 }
limits:
  requests: { per: account, requests: 600/minute }
rules:
  - name: newcomers
    when: { network: tor, account_age: { max: 7 days } }
    then: challenge
  - name: likely-harvesting
    mode: shadow
    when: { risk: { min: 0.3 } }
    then: restrict
    with: { max_output_tokens: 512 }
"""


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    path = tmp_path / "policy.yaml"
    path.write_text(POLICY)
    return path


def write(path: Path, description: dict[str, Any]) -> Path:
    path.write_text(json.dumps(description))
    return path


@pytest.mark.parametrize("request_file", REQUESTS, ids=lambda path: path.stem)
def test_every_example_is_explained_under_the_standard_policy(
    request_file: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    ran = run(monkeypatch, capfd, "explain", "--policy", STANDARD, request_file)

    assert ran.code == 0
    lines = ran.out.splitlines()
    assert lines[1].startswith("├ identify")
    assert lines[-1].startswith("└ act")
    assert "\x1b[" not in ran.out
    for key in ("sk-example", "Bearer"):
        assert key not in ran.out


def test_history_warms_the_profile_as_live_traffic_would(
    policy: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    sweep = ROOT / "examples" / "requests" / "sweep.json"
    # Which slots of the sketch the template falls into depends on the key.
    monkeypatch.setenv("GATEWAY_GUARD_SECRET", "the same slots in every run")

    ran = run(monkeypatch, capfd, "explain", "--policy", policy, sweep)

    assert "fillings of one template in 1 h (floor 50)" in ran.out
    assert "(shadow: restrict)" in ran.out.splitlines()[0]
    assert "would restrict; shadow, passed over" in ran.out


def test_account_attributes_of_the_description_reach_the_rules(
    policy: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    newcomer = ROOT / "examples" / "requests" / "tor-newcomer.json"

    ran = run(monkeypatch, capfd, "explain", "--policy", policy, newcomer)

    assert "challenge 403" in ran.out.splitlines()[0]
    assert "account 12 h old" in ran.out


def test_json_is_the_documented_log_line_with_the_tree(
    policy: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    chat = ROOT / "examples" / "requests" / "chat.json"

    ran = run(monkeypatch, capfd, "explain", "--policy", policy, chat, "--format", "json")

    fields = json.loads(ran.out)
    assert fields.pop("explanation")[-1] == "└ act       forwarded unchanged"
    assert set(fields) <= {field.name for field in FIELDS}
    assert fields["action"] == "allow"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "truncated"),
        ('{"methd": "GET"}', "unknown member 'methd'; did you mean 'method'? (one of: account, at"),
        ('{"campaign": {}}', "unknown member 'campaign'; one of: account, at, body"),
        ('{"account": {"teir": "scale"}}', "'teir' in `account`; did you mean 'tier'?"),
        ('{"account": {"account_age": 4}}', "age_days"),
        ('{"account": 5}', "Expected `object`"),
        ("[]", "Expected `object`"),
        ('{"history": [{"times": 1000000}]}', "at most 100000"),
        (f'{{"history": [{{"output_tokens": {10**400}}}]}}', "Expected `int` <= 1000000000000"),
        ('{"at": 1767225600000}', "`at` is Unix seconds, not milliseconds"),
        ('{"at": -1e300}', "`at` is Unix seconds, not milliseconds"),
    ],
)
def test_a_description_that_makes_no_sense_is_refused_with_its_fault(
    text: str, complaint: str, policy: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capfd: Capture,
) -> None:  # fmt: skip
    path = tmp_path / "request.json"
    path.write_text(text)

    ran = run(monkeypatch, capfd, "explain", "--policy", policy, path)

    assert ran.code == 3
    assert complaint in ran.err


def test_the_account_may_be_named_as_the_policy_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("version: 1\nidentify: { account: { state: customer } }\n")
    request = write(tmp_path / "request.json", {"account": {"customer": "c-17", "age_days": 3}})

    ran = run(monkeypatch, capfd, "explain", "-p", policy, request)

    assert "account by state" in ran.out


def test_a_description_that_is_not_there_is_refused(
    policy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    assert run(monkeypatch, capfd, "explain", "--policy", policy, tmp_path / "no").code == 3


def test_a_string_body_is_sent_as_it_stands_and_a_get_has_none(
    policy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    odd = write(tmp_path / "odd.json", {"body": "{not json"})
    get = write(tmp_path / "get.json", {"method": "get", "path": "/v1/models?limit=1", "at": 1.0})

    assert "deny 400" in run(monkeypatch, capfd, "explain", "-p", policy, odd).out
    assert "GET /v1/models  no account  allow" in run(
        monkeypatch, capfd, "explain", "-p", policy, get
    ).out  # fmt: skip


def test_a_body_beyond_the_policys_bound_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    policy, described = tmp_path / "small.yaml", tmp_path / "request.json"
    policy.write_text("version: 1\nmode: enforce\ninspect: { max_body: 1KiB }\n")
    write(described, {"body": {"model": "m", "prompt": "x" * 2_000}})

    ran = run(monkeypatch, capfd, "explain", "-p", policy, described, "--format", "json")

    assert json.loads(ran.out)["inspection"] == "too-large"


def test_an_empty_description_says_what_the_smallest_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "request.json").touch()

    ran = run(monkeypatch, capfd, "explain", tmp_path / "request.json", "-p", STANDARD)

    assert ran.code == 3
    assert ran.err.endswith("request.json: nothing in it; `{}` is the smallest request\n")


@pytest.mark.parametrize(
    "text", ["version: 1\n", '{"path":"/v1/models"}\n{"path":"/v1/models"}\n', "[1, 2]"]
)
def test_what_is_no_description_is_told_what_one_is(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    (tmp_path / "other").write_text(text)

    ran = run(monkeypatch, capfd, "explain", tmp_path / "other", "-p", STANDARD)

    assert ran.code == 3
    assert "A described request is one JSON object" in ran.err


def test_a_body_alone_is_told_where_it_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    body = write(tmp_path / "body.json", {"model": "apex-4", "messages": []})

    ran = run(monkeypatch, capfd, "explain", body, "-p", STANDARD)

    assert ran.code == 3
    assert 'this is a body alone; write {"body": …} around it' in ran.err


@pytest.mark.parametrize(
    ("described", "said"),
    [
        ({"peer": "300.1.1.1"}, "`peer` is no address: '300.1.1.1'"),
        ({"history": [{"ago": 9, "peer": "nobody"}]}, "`peer` is no address: 'nobody'"),
        ({"account": {"country": "Norway"}}, "`account.country` is 'Norway', which says nothing"),
        ({"account": {"created_at": "last week"}}, "write an ISO 8601 date or time"),
        ({"account": {"age_days": "7"}}, "`account.age_days` is '7'"),
        ({"account": {"verified": "maybe"}}, "write true or false"),
    ],
)
def test_a_slip_in_a_description_is_told_and_not_passed_over(
    described: dict[str, Any], said: str, policy: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capfd: Capture,
) -> None:  # fmt: skip
    path = write(tmp_path / "request.json", described)

    ran = run(monkeypatch, capfd, "explain", "-p", policy, path)

    assert ran.code == 3
    assert said in ran.err


@pytest.mark.parametrize("peer", [None, "fe80::1%eth0", "192.0.2.1"])
def test_a_peer_is_an_address_or_a_unix_socket(
    peer: str | None, policy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    path = write(tmp_path / "request.json", {"peer": peer, "account": {"verified": "yes"}})

    assert run(monkeypatch, capfd, "explain", "-p", policy, path).code == 0
