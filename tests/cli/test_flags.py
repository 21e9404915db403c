"""Flags with values that cannot be: every command says so in words, and exits as usage."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from gateway_guard.cli.log_level import log_to_stderr
from gateway_guard.cli.manual import PAGES
from tests import build
from tests.cli.run import ROOT, run
from tests.cli.test_manual import LEAVES

Capture = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch

ACCOUNT = "acct_" + "a" * 16
POLICY = ROOT / "policies" / "standard.yaml"
SERVE = ("serve", "-p", str(POLICY), "-u", "http://127.0.0.1:1")
LINKER = ("linker", "-p", str(POLICY), "--store", "redis://127.0.0.1:1/0")
BAN = ("account", "ban", ACCOUNT)
STIX = ("intel", "export", "--name", "a", "--format", "stix")
PUSH = ("intel", "crowdsec-push", "http://127.0.0.1:1/", "--machine", "m", "--password-file", "p")
POLL = ("intel", "poll", "https://127.0.0.1:1/c/", "--as")


def numbers() -> Iterator[tuple[str, Any]]:
    """Every flag of every command that takes a number."""
    for path, command in LEAVES.items():
        for one in command.params:
            if getattr(one, "min", None) is not None or getattr(one, "max", None) is not None:
                yield path, one


NUMBERS = list(numbers())


def parsed(path: str, *flags: str) -> None:
    """The example of a command, with more flags; nothing is done."""
    words = shlex.split(PAGES[path].example)[1 + len(path.split()) :]
    LEAVES[path].make_context(path, [*words, *flags])


@pytest.mark.parametrize(
    ("path", "flag"), NUMBERS, ids=[f"{path} {flag.opts[0]}" for path, flag in NUMBERS]
)
def test_a_number_that_is_none_or_out_of_bounds_is_usage(path: str, flag: Any) -> None:
    name = flag.opts[0]
    values = ["nonsense", "nan"]
    if flag.min is not None:
        values.append(str(flag.min - 1))
    if flag.max is not None:
        values.append(str(flag.max + 1))
    for value in values:
        with pytest.raises(typer.BadParameter):
            parsed(path, f"{name}={value}")


def test_every_port_and_every_number_of_seconds_is_bounded() -> None:
    bounds = {f"{path} {flag.opts[0]}": flag.max for path, flag in NUMBERS}

    assert {name for name in bounds if name.endswith("port")} == {
        "serve --port", "serve --admin-port", "linker --admin-port", "intel serve --port",
    }  # fmt: skip
    for name, most in bounds.items():
        if name.endswith("port"):
            assert most == 65535
        elif "timeout" in name or "drain" in name or "every" in name or "lease" in name:
            assert most is not None, name


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ((*LINKER, "--log-level", "nonsense"), "'nonsense': write debug, info, warning or error"),
        ((*SERVE, "--log-level", "nonsense"), "'nonsense': write debug, info, warning or error"),
        (("linker", "-p", "x", "--store", "nonsense"), "a storage URI starts with a scheme"),
        (("linker", "-p", "x", "--store", "memory://"), "no guard would hear of it"),
        ((*LINKER, "--namespace", "a b"), "'a b' is no namespace"),
        (("guards", "list", "--store", "memory://"), "no guard would hear of it"),
        (("guards", "reload", "--store", "http://h"), "redis+sentinel://"),
        (("store", "stats", "--store", "memory://"), "one process's own"),
        (("store", "stats", "--store", "memcached://h"), "one key at a time"),
        (("store", "flush", "--store", "redis://127.0.0.1:1", "-n", "*"), "no namespace"),
        ((*BAN, "--reason", " ", "--file", "f", "--new"), "--reason: say why"),
        ((*BAN, "--reason", "x", "--by", "", "--file", "f", "--new"), "--by: say who decides"),
        ((*BAN, "--reason", "x", "--store", "redis://h/0", "--file", "f"), "--store or a --file"),
        ((*BAN, "--reason", "x", "--store", "nonsense"), "a storage URI starts with a scheme"),
        (("campaign", "release", "c_1", "--reason", "x", "--store", "x"), "a storage URI"),
        (("audit", "show", "--account", "sk-key"), "write acct_…"),
        (("audit", "show", "--campaign", "nonsense"), "write c_0001"),
        (("lookup", "8.8.8.8", "--database", "tor="), "write PATH, FLAG=PATH"),
        (("network", "show", "--database", ""), "write PATH, FLAG=PATH"),
        ((*SERVE, "--network", "tor="), "write PATH, FLAG=PATH"),
        (("intel", "export", "--name", "acme"), "--key is missing"),
        (("intel", "export", "--name", " ", "--format", "stix"), "--name: 1 to 80"),
        ((*STIX, "--tlp", "white"), "no TLP 2.0 level"),
        (("intel", "import", "log", "--as", "no name"), "no name for a source"),
        ((*POLL, "no name"), "no name for a source"),
        ((*POLL, "x", "--user", "me", "--table", "t"), "belong together"),
        (("intel", "poll", "host", "--as", "x"), "the URL must begin with https://"),
        (("intel", "push", "gone", "http://192.0.2.1/c/"), "in the clear"),
        (("intel", "crowdsec-pull", "http://192.0.2.1/", "--key-file", "k"), "in the clear"),
        (("intel", "crowdsec-push", "http://192.0.2.1/", "--machine", "m", "--password-file", "p"),
         "in the clear"),
        (("intel", "import", "b", "--table", "t"), "--trusted FILE"),
        (("intel", "verify", "b"), "--trusted FILE"),
        ((*SERVE, "--accounts", "https://accounts.example/guard"), "{account} once"),
        ((*SERVE, "--accounts", "http://u:p@accounts.example/{account}"), "without a password"),
        (("intel", "crowdsec-pull", "http://127.0.0.1:1/", "--key-file", "k", "--as", "a b"),
         "no name for a source"),
        (PUSH, "--traffic is missing"),
        ((*PUSH, "--traffic", "log", "--type", "a b"), "a word your bouncers understand"),
        (("intel", "serve", "--collection", "c", "--users", "u", "--host", "0.0.0.0"),
         "without TLS"),
    ],
)  # fmt: skip
def test_what_was_typed_wrong_is_usage_and_says_what_to_write(
    words: tuple[str, ...], part: str, tmp_path: Path, monkeypatch: Patch, capfd: Capture
) -> None:
    monkeypatch.setenv("GATEWAY_GUARD_SECRET", build.SECRET.decode())
    monkeypatch.chdir(tmp_path)

    ran = run(monkeypatch, capfd, *words)

    assert (ran.code, ran.out) == (2, ""), ran.err
    assert part in " ".join(ran.err.split())
    assert not list(tmp_path.iterdir())
    assert "Traceback" not in ran.err


LONG = "x" * 5000


@pytest.mark.parametrize(
    "words",
    [
        ("lookup", "8.8.8.8", "--database", LONG),
        ("network", "build", "--out", "o.mmdb", "--asn", LONG),
        (*SERVE, "--network", LONG),
        (*SERVE, "--host", LONG),
        (*SERVE, "--snapshot-dir", "none/such"),
        (*SERVE, "--decision-log", "/"),
        (*SERVE, "--campaigns-file", str(POLICY) + "/below"),
        ("check", LONG),
        ("decision", ACCOUNT, LONG),
        ("schema", "--output", "."),
        ("export", "ecs", str(ROOT)),
    ],
    ids=lambda words: " ".join(words)[:60],
)
def test_a_file_or_host_that_cannot_be_is_said_in_a_line(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: Patch, capfd: Capture
) -> None:
    monkeypatch.chdir(tmp_path)

    ran = run(monkeypatch, capfd, *words)

    assert ran.code in (1, 3), ran.err
    assert "Traceback" not in ran.err


def test_a_snapshot_of_a_replay_needs_a_name(monkeypatch: Patch, capfd: Capture) -> None:
    traffic = ROOT / "examples" / "traffic.jsonl.gz"

    ran = run(monkeypatch, capfd, "replay", traffic, "-p", POLICY, "--limit", "1", "--snapshot", "")

    assert ran.code == 3
    assert ran.err == "gateway-guard: .: cannot be written: Is a directory\n"


def test_libraries_that_write_what_clients_send_stay_quiet() -> None:
    loggers = [logging.getLogger(name) for name in ("uvicorn", "httpx")]
    before = [logger.level for logger in loggers]
    try:
        log_to_stderr("debug")

        assert {logger.level for logger in loggers} == {logging.WARNING}
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
