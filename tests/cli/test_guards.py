"""Commands that speak to all guards of a store: who is there, reload, reviews, the linker."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import build
from tests.campaigns import ring
from tests.cli.run import Ran, run
from tests.servers import PATIENCE, needs_redis, shared_server, until
from tests.streams.team import MEMBERS, Team, alone, contained, exchanges, send, team, verdicts

Patch = pytest.MonkeyPatch
Capture = pytest.CaptureFixture[str]
ACCOUNT = ring.account("b", 1)


@pytest.fixture
def crew(monkeypatch: Patch) -> Iterator[Team]:
    monkeypatch.setenv("GATEWAY_GUARD_SECRET", build.SECRET.decode())
    with team(shared_server()) as found:
        yield found


def say(monkeypatch: Patch, capfd: Capture, crew: Team, *words: str | Path) -> Ran:
    where = ("--store", crew.server.uri, "--namespace", crew.namespace)
    return run(monkeypatch, capfd, *words, *where)


@needs_redis
def test_a_ban_by_command_reaches_every_guard_and_a_clear_lifts_it(
    monkeypatch: Patch, capfd: Capture, crew: Team
) -> None:
    one, other = crew.guard(), crew.guard()

    banned = say(monkeypatch, capfd, crew, "account", "ban", ACCOUNT, "--reason", "fraud")
    until(lambda: one.facts(ACCOUNT) and other.facts(ACCOUNT), "both know")
    cleared = say(
        monkeypatch, capfd, crew, "account", "clear", ACCOUNT, "--reason", "no", "--format", "json"
    )
    until(lambda: not one.facts(ACCOUNT) and not other.facts(ACCOUNT), "both know")

    assert banned.code == cleared.code == 0, banned.err + cleared.err
    assert "every guard of the store knows within a second or two" in banned.out
    assert json.loads(cleared.out)["review"]["ruling"] == "clear"


@needs_redis
def test_an_account_is_named_by_its_key_as_with_a_file(
    monkeypatch: Patch, capfd: Capture, crew: Team, tmp_path: Path
) -> None:
    (tmp_path / "key").write_text("sk-a-key")
    ran = say(
        monkeypatch, capfd, crew, "account", "allow", "--key-file", tmp_path / "key",
        "--reason", "a partner",
    )  # fmt: skip

    assert ran.code == 0, ran.err
    assert "acct_" in ran.out
    assert "sk-a-key" not in ran.out


@needs_redis
def test_a_campaign_is_released_by_command(monkeypatch: Patch, capfd: Capture, crew: Team) -> None:
    linker = crew.linker()
    send(ring.stream(), linker)
    until(lambda: contained(linker), "the campaign is held")
    # What is learnt after the release could bring it back.
    until(lambda: exchanges(linker) == alone(ring.stream()), "all of it is learnt")
    words = ("campaign", "release")

    unknown = say(monkeypatch, capfd, crew, *words, "c_0099", "--reason", "x")
    released = say(monkeypatch, capfd, crew, *words, "c_0001", "--reason", "a family")
    until(lambda: not verdicts(linker), "nobody holds it")

    assert unknown.code == 2
    assert "(held: c_0001)" in unknown.err
    assert released.code == 0, released.err
    assert f"its {len(MEMBERS)} accounts left alone" in released.out


@needs_redis
def test_guards_are_listed_with_their_policies_and_differences_are_findings(
    monkeypatch: Patch, capfd: Capture, crew: Team
) -> None:
    one = crew.guard(policy=lambda: "a" * 64)
    until(lambda: len(one.heart.peers) == 1, "it is there")
    alike = say(monkeypatch, capfd, crew, "guards", "list", "--format", "json")
    other = crew.guard(policy=lambda: "b" * 64, secret=b"some other secret")
    until(lambda: len(other.heart.peers) == 2, "so is the other")

    differ = say(monkeypatch, capfd, crew, "guards", "list")

    assert alike.code == 0, alike.err
    assert [g["policy"] for g in json.loads(alike.out)["guards"]] == ["a" * 64]
    assert differ.code == 1
    assert "2 guards, 2 policies" in differ.out
    assert "another" in differ.out


@needs_redis
def test_guards_are_told_to_reload(monkeypatch: Patch, capfd: Capture, crew: Team) -> None:
    reloads: list[int] = []
    one = crew.guard(start=False)
    one.reload = lambda: bool(reloads.append(1)) or True  # type: ignore[func-returns-value]
    assert one.wait(PATIENCE)
    until(lambda: one.follower._began and len(one.heart.peers) == 1, "it listens")

    ran = say(monkeypatch, capfd, crew, "guards", "reload")
    until(lambda: reloads, "it has reloaded")

    assert ran.code == 0, ran.err
    assert "told 1 guard;" in ran.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("guards", "list"), "--store redis://"),
        (("guards", "list", "--store", "redis://127.0.0.1:1/0"), "redis://127.0.0.1:1/0"),
        (("linker", "--policy", "x.yaml"), "a linker needs the store of its guards"),
        (("linker", "--policy", "x.yaml", "--store", "redis://h/0"), "x.yaml: error[GG101]"),
    ],
)
def test_what_cannot_work_says_what_to_write(
    monkeypatch: Patch, capfd: Capture, words: tuple[str, ...], message: str
) -> None:
    monkeypatch.setenv("GATEWAY_GUARD_SECRET", build.SECRET.decode())

    ran = run(monkeypatch, capfd, *words)

    assert ran.code == 3
    assert message in ran.err
    assert "Traceback" not in ran.err


@pytest.mark.parametrize(
    "words",
    [
        ("guards", "list", "--store", "redis://127.0.0.1:1/0"),
        ("linker", "--policy", "x.yaml", "--store", "redis://127.0.0.1:1/0"),
        ("account", "ban", ACCOUNT, "--reason", "x", "--store", "redis://127.0.0.1:1/0"),
    ],
)
def test_nothing_is_said_to_guards_without_their_secret(
    monkeypatch: Patch, capfd: Capture, words: tuple[str, ...]
) -> None:
    monkeypatch.delenv("GATEWAY_GUARD_SECRET", raising=False)

    ran = run(monkeypatch, capfd, *words)

    assert ran.code == 3
    assert "GATEWAY_GUARD_SECRET" in ran.err


def test_a_store_that_is_not_there_is_named_and_why(monkeypatch: Patch, capfd: Capture) -> None:
    monkeypatch.setenv("GATEWAY_GUARD_SECRET", build.SECRET.decode())

    ran = run(monkeypatch, capfd, "guards", "list", "--store", "redis://127.0.0.1:1/0")

    assert ran.code == 3
    assert "redis://127.0.0.1:1/0: unreachable: " in ran.err
    assert "127.0.0.1:1" in ran.err.partition("unreachable")[2]


@needs_redis
def test_what_a_store_refuses_is_said_in_words(
    monkeypatch: Patch, capfd: Capture, crew: Team
) -> None:
    where = crew.server.uri.replace("redis://", "redis://nobody:wrong@")

    ran = run(monkeypatch, capfd, "guards", "list", "--store", where)

    assert ran.code == 3
    assert "WRONGPASS: user or password is wrong" in ran.err
    assert "nobody:wrong" not in ran.err
