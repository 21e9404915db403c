"""What `serve` refuses before it starts, and what it says to do instead."""

from __future__ import annotations

import importlib
import logging
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from gateway_guard.cli import build_app
from gateway_guard.cli.fitting import check_accounts, check_frontends, check_loop, check_prefix
from gateway_guard.frontends.upstream import Origin
from gateway_guard.policy.compile import load_policy
from gateway_guard.settings import Settings
from tests import build
from tests.cli.run import ROOT, run
from tests.deploying import serve_commands
from tests.servers import free_port

Capture = pytest.CaptureFixture[str]
MINIMAL = ROOT / "policies" / "minimal.yaml"
SERVE = ("serve", "--port", "0", "--admin-port", "-1")
UPSTREAM = ("--upstream", "http://127.0.0.1:1")
BELIEVING = """\
version: 1
identify: { trusted_proxies: [127.0.0.1], client_ip: x-forwarded-for }
"""


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ([], "--upstream is missing"),
        (["--frontend", "nginx"], "write proxy, extauth, spoe, envoy"),
        (["--frontend", "proxy", "--frontend", "spoe"], "one process for each"),
        (["--frontend", "extauth", "--spoe", "127.0.0.1:0"], "--frontend spoe"),
        (["--frontend", "extauth", "--upstream", "http://127.0.0.1:1"], "forwards nothing"),
        (["--upstream", "http://127.0.0.1:1", "--envoy", "127.0.0.1:0"], "--frontend envoy"),
        (["--upstream", "http://127.0.0.1:1", "--usage-lease", "5"], "--frontend extauth"),
        (["--frontend", "extauth", "--workers", "2", "--usage-lease", "5"], "need one worker"),
        (["--frontend", "spoe", "--workers", "2"], "need one worker"),
        ([*UPSTREAM, "--workers", "2", "--store", ""], "--allow-split-limits"),
        ([*UPSTREAM, "--store", "memcached://h"], "Memcached changes one key at a time"),
        ([*UPSTREAM, "--ssl-keyfile", "k.pem"], "--ssl-certfile"),
        ([*UPSTREAM, "--upstream-ca", "ca.pem"], "--upstream with https"),
        ([*UPSTREAM, "--log-level", "loud"], "write debug, info"),
        ([*UPSTREAM, "--port", "99999"], "--port"),
        ([*UPSTREAM, "--admin-port", "99999"], "--admin-port"),
        ([*UPSTREAM, "--verify", "nowhere"], "--verify"),
        (["--upstream", "ftp://x"], "http://host:port"),
        (["--upstream", "http://127.0.0.1:99999"], "out of range"),
    ],
)
def test_flags_that_are_wrong_or_do_not_fit_together_are_usage(
    flags: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    ran = run(monkeypatch, capfd, *SERVE, "--policy", MINIMAL, *flags)

    assert ran.code == 2
    assert said in ran.err
    assert "Traceback" not in ran.err


def test_what_speaks_to_envoy_is_missed_before_a_word_of_listening(
    monkeypatch: pytest.MonkeyPatch, capfd: Capture, tmp_path: Path
) -> None:
    (tmp_path / "policy.yaml").write_text(BELIEVING)
    asked = importlib.import_module("gateway_guard.frontends.extauth.asked")
    monkeypatch.setattr(asked, "find_spec", lambda _: None)

    ran = run(
        monkeypatch, capfd, *SERVE, "--policy", tmp_path / "policy.yaml", "--frontend", "envoy"
    )

    assert ran.code == 3
    assert "--frontend envoy needs grpc: pip install" in ran.err
    assert "listens on" not in ran.err


@pytest.mark.parametrize("flag", ["--policy", "--accounts"])
def test_decisions_are_written_behind_no_file_that_is_read(
    flag: str, monkeypatch: pytest.MonkeyPatch, capfd: Capture, tmp_path: Path
) -> None:
    files = {"--policy": tmp_path / "policy.yaml", "--accounts": tmp_path / "accounts.jsonl"}
    files["--policy"].write_text("version: 1\n")
    files["--accounts"].write_text('{"account": "team-7", "kind": "name"}\n')
    before = files[flag].read_bytes()
    words = [word for pair in files.items() for word in pair]

    ran = run(monkeypatch, capfd, *SERVE, *UPSTREAM, *words, "--decision-log", files[flag])

    assert ran.code == 2
    assert "decisions would stand behind what is in it" in ran.err
    assert files[flag].read_bytes() == before


def test_a_certificate_that_is_none_is_said_in_words(
    monkeypatch: pytest.MonkeyPatch, capfd: Capture, tmp_path: Path
) -> None:
    (tmp_path / "chain.pem").write_text("no PEM\n")
    flags = (*SERVE, "--policy", MINIMAL, *UPSTREAM, "--ssl-certfile")

    broken = run(monkeypatch, capfd, *flags, tmp_path / "chain.pem")
    absent = run(monkeypatch, capfd, *flags, tmp_path / "none.pem")

    assert (broken.code, absent.code) == (3, 3)
    assert broken.err.endswith("chain.pem: no certificate and key of it in PEM\n")
    assert absent.err.endswith("none.pem: No such file or directory\n")


def test_a_policy_that_does_not_fit_a_frontend_cannot_work(
    monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    ran = run(monkeypatch, capfd, *SERVE, "--policy", MINIMAL, "--frontend", "extauth")

    assert ran.code == 3
    assert "need identify.trusted_proxies" in ran.err


LOOPS = [
    ("http://127.0.0.1:8080", "127.0.0.1"),
    ("http://localhost:8080/v1", "127.0.0.1"),
    ("http://0.0.0.0:8080", "127.0.0.1"),
    ("https://[::ffff:127.0.0.1]:8080", "localhost"),
    ("http://127.0.0.1:8080", "0.0.0.0"),
    ("http://127.1.2.3:8080", "0.0.0.0"),
    ("http://localhost:8080", "::"),
    ("http://127.0.0.1:8080", "::"),
    ("http://[::]:8080", "::1"),
    ("http://[::1]:8080", "::1"),
]


@pytest.mark.parametrize(("upstream", "host"), LOOPS)
def test_an_upstream_that_is_the_guard_itself_is_recognised(upstream: str, host: str) -> None:
    with pytest.raises(typer.BadParameter, match=r"listens .*would come back"):
        check_loop(Origin.parse(upstream), host, 8080, None)


@pytest.mark.parametrize(
    ("upstream", "host"),
    [
        ("http://127.0.0.1:8000", "127.0.0.1"),
        ("http://127.0.0.2:8080", "127.0.0.1"),
        ("http://203.0.113.9:8080", "0.0.0.0"),
        ("http://[2001:db8::9]:8080", "::"),
        ("http://[::1]:8080", "127.0.0.1"),
        ("http://[::1]:8080", "0.0.0.0"),
        ("unix:/run/model.sock", "127.0.0.1"),
    ],
)
def test_an_upstream_elsewhere_is_not_taken_for_the_guard(upstream: str, host: str) -> None:
    check_loop(Origin.parse(upstream), host, 8080, None)


def test_an_upstream_is_compared_with_the_socket_that_is_listened_on(tmp_path: Path) -> None:
    uds = f"{tmp_path}/guard.sock"

    check_loop(Origin.parse("http://127.0.0.1:8080"), "127.0.0.1", 8080, uds)
    check_loop(Origin.parse(f"unix:{tmp_path}/model.sock"), "127.0.0.1", 8080, uds)
    with pytest.raises(typer.BadParameter, match="--uds"):
        check_loop(Origin.parse(f"unix:{tmp_path}/./guard.sock"), "127.0.0.1", 8080, uds)


@pytest.mark.parametrize(
    ("upstream", "warned"),
    [
        ("http://127.0.0.1:8000", False),
        ("http://127.0.0.1:8000/models", False),
        ("http://127.0.0.1:8000/v1/", True),
        ("https://example.com/openai/v1beta", True),
        ("unix:/run/v1", False),
    ],
)
def test_an_upstream_written_as_clients_write_theirs_is_warned_of(
    upstream: str, warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    check_prefix(Origin.parse(upstream))

    assert ("Leave it out" in caplog.text) is warned


def test_a_loop_is_refused_at_the_start(monkeypatch: pytest.MonkeyPatch, capfd: Capture) -> None:
    port = str(free_port())

    ran = run(
        monkeypatch, capfd, *SERVE, "--policy", MINIMAL, "--upstream", f"http://localhost:{port}",
        "--port", port,
    )  # fmt: skip

    assert ran.code == 2
    assert "where this guard itself listens" in ran.err


def test_digests_that_change_with_every_start_are_said(
    monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    monkeypatch.delenv("GATEWAY_GUARD_SECRET", raising=False)
    monkeypatch.delenv("GATEWAY_GUARD_SECRET_FILE", raising=False)
    monkeypatch.setattr(logging.getLogger(), "handlers", [])

    ran = run(monkeypatch, capfd, *SERVE, "--policy", MINIMAL, "--upstream", "ftp://x")

    assert "no GATEWAY_GUARD_SECRET: digests" in ran.err


@pytest.mark.parametrize("address", ["nowhere", ":9002", "127.0.0.1:", "127.0.0.1:x", "h:999999"])
def test_an_address_that_is_none_is_refused(
    address: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(BELIEVING)

    ran = run(
        monkeypatch, capfd, "serve", "--policy", policy, "--port", "0", "--admin-port", "-1",
        "--frontend", "spoe", "--spoe", address,
    )  # fmt: skip

    assert ran.code == 2
    assert "--spoe" in ran.err


VERIFYING = """\
version: 1
identify: { trusted_proxies: [127.0.0.1], client_ip: x-forwarded-for }
verification:
  url: http://127.0.0.1:8080/verify
  form: { accept: [I am a person] }
"""


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--frontend", "extauth"], "--verify 127.0.0.1:8081"),
        (["--upstream", "http://127.0.0.1:1", "--workers", "2", "--allow-split-limits"],
         "set GATEWAY_GUARD_SECRET"),
    ],
)  # fmt: skip
def test_links_that_would_lead_nowhere_are_refused_at_the_start(
    flags: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    policy = tmp_path / "policy.yaml"
    policy.write_text(VERIFYING)
    monkeypatch.delenv("GATEWAY_GUARD_SECRET", raising=False)

    ran = run(
        monkeypatch, capfd, "serve", "--policy", policy, "--port", "0", "--admin-port", "-1", *flags
    )

    assert ran.code == 3
    assert said.lower() in ran.err.lower()


ASKING = "rules: [{ name: free, when: { tier: free }, then: deny }]"
TELLING = "identify: { trusted_proxies: [10.0.0.0/8], attributes: { tier: x-tier } }\n"


def test_what_nobody_says_of_accounts_is_warned_of_in_one_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    check_accounts(load_policy(ROOT / "policies" / "standard.yaml"), Settings())

    (said,) = caplog.messages
    for words in ("account_tag (partners)", "tier (requests, in-flight, tokens)", "--accounts"):
        assert words in said


@pytest.mark.parametrize(
    ("policy", "settings"),
    [
        (ASKING, Settings(accounts_file="accounts.jsonl")),
        (ASKING, Settings(accounts_url="https://host/{account}")),
        (TELLING + ASKING, Settings()),
        ("mode: shadow", Settings()),
    ],
)
def test_who_says_it_or_asks_nothing_is_not_warned(
    policy: str, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    check_accounts(build.policy(policy), settings)

    assert caplog.messages == []


NAMED = build.policy(
    """
    limits:
      slow: { per: account, requests: 1/minute, when: { account: acct_aaaaaaaaaaaaaaaa } }
    rules:
      - { name: any, when: { account: known }, then: allow }
      - { name: others, when: { not: { account: acct_aaaaaaaaaaaaaaaa } }, then: deny }
    """
)


def test_digests_that_end_with_the_process_are_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    check_accounts(NAMED, Settings(secret_lasts=False))

    (said,) = caplog.messages
    assert "(slow, others)" in said
    assert "GATEWAY_GUARD_SECRET" in said


def test_digests_that_last_are_not(caplog: pytest.LogCaptureFixture) -> None:
    check_accounts(NAMED, Settings())

    assert caplog.messages == []


PAGES = sorted((ROOT / "examples").rglob("*.md"))
COMMAND = re.compile(r"^gateway-guard serve ((?:.*\\\n)*.*)$", re.MULTILINE)
COMMANDS = [
    (page.parent.name, shlex.split(found[1].replace("\\\n", " ")))
    for page in PAGES
    for found in COMMAND.finditer(page.read_text())
] + serve_commands()


@pytest.mark.parametrize(("page", "words"), COMMANDS)
def test_every_command_of_the_examples_pages_is_one(page: str, words: list[str]) -> None:
    command: Any = typer.main.get_command(build_app("serve"))

    asked = command.commands["serve"].make_context("serve", list(words)).params

    check_frontends(
        asked["frontend"], asked["upstream"], asked["spoe"], asked["envoy"], asked["usage_lease"],
        asked["workers"],
    )  # fmt: skip


def test_there_are_such_commands() -> None:
    pages = {page for page, _ in COMMANDS}

    assert pages >= {"envoy", "gateways", "haproxy", "compose.yaml", "sidecar.yaml"}
