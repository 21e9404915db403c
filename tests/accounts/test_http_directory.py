"""Accounts asked for over HTTP: a real server on loopback, a clock that stands still."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.accounts import http
from gateway_guard.accounts.base import AskedDirectory
from gateway_guard.accounts.file import FileDirectory
from gateway_guard.accounts.http import HttpDirectory, checked, understood
from gateway_guard.accounts.none import NoDirectory
from gateway_guard.accounts.opening import open_directory
from gateway_guard.building import build_guard
from gateway_guard.core.breaker import IN_A_ROW, LONGEST_REST, State
from gateway_guard.errors import SettingsError, SourceError
from gateway_guard.network.unknown import NoNetwork
from gateway_guard.record.metrics import Metrics
from gateway_guard.settings import Settings
from gateway_guard.types import AccountFacts, Action
from tests import build

#: Seconds a wait may take that is expected to end: enough for a machine under load.
PLENTY = 20.0
ACCOUNT = "acct_aaaaaaaaaaaaaaaa"


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A question that a loaded machine delays has not failed."""
    monkeypatch.setattr(http, "TIMEOUT", PLENTY)


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Service:
    """A directory: what it answers is `status` and `body`, as packed as `codings` says; with `go`
    not set, it hangs first.

    Attributes:
        asked: (path, headers) of every question.
    """

    def __init__(self) -> None:
        self.status = 200
        self.body: Any = {"tier": "scale"}
        self.codings = "identity"
        self.more: dict[str, bytes] = {}
        self.go = asyncio.Event()
        self.go.set()
        self.arrived = asyncio.Semaphore(0)
        self.asked: list[tuple[str, str]] = []

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                path = head.split(" ")[1]
                self.asked.append((path, head.lower()))
                self.arrived.release()
                await self.go.wait()
                body = self.body if isinstance(self.body, bytes) else msgspec.json.encode(self.body)
                body = self.more.get(path, body)
                start = (
                    f"HTTP/1.1 {self.status} X\r\ncontent-encoding: {self.codings}\r\n"
                    f"content-length: {len(body)}\r\n\r\n"
                )
                writer.write(start.encode() + body)
                await writer.drain()
        writer.close()


@contextlib.asynccontextmanager
async def serving(**options: Any) -> AsyncIterator[tuple[HttpDirectory, Service, Clock]]:
    """A directory of accounts and the service it asks."""
    service, clock = Service(), Clock()
    server = await asyncio.start_server(service.answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    url = f"http://127.0.0.1:{port}/guard/{{account}}"
    directory = HttpDirectory(url, now=clock, **({"budget": PLENTY} | options))
    try:
        yield directory, service, clock
    finally:
        service.go.set()
        await directory.close()
        server.close()


def run(main: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(main(), 3 * PLENTY))


async def told(directory: HttpDirectory, account: str = ACCOUNT) -> tuple[bool, AccountFacts]:
    """As a request does it: asked where that is due, then looked up."""
    fresh = not directory.due(account) or await directory.ask(account)
    return fresh, directory.lookup(account, None)


def test_a_question_stays_where_it_was_meant_to_go() -> None:
    async def main() -> None:
        async with serving(token="the directory's own") as (directory, service, _):
            service.status, service.codings = 302, "identity\r\nlocation: /elsewhere"

            fresh, facts = await told(directory)

            assert (fresh, facts) == (False, AccountFacts())
            assert [path for path, _ in service.asked] == [f"/guard/{ACCOUNT}"]

    run(main)


def test_an_account_is_asked_for_once_while_the_answer_is_fresh() -> None:
    async def main() -> None:
        async with serving(fresh=60.0, token="a token of 16 letters") as (
            directory,
            service,
            clock,
        ):
            first = await told(directory)
            clock.now += 59.0
            second = await told(directory)

            assert first == second == (True, AccountFacts(tier="scale"))
            ((path, head),) = service.asked
            assert path == f"/guard/{ACCOUNT}"
            assert "authorization: bearer a token of 16 letters" in head
            assert not directory.due(ACCOUNT)

    run(main)


def test_an_answer_that_has_grown_old_is_asked_for_anew() -> None:
    async def main() -> None:
        async with serving(fresh=60.0) as (directory, service, clock):
            _, before = await told(directory)
            clock.now += 61.0
            _, same = await told(directory)
            service.body = {"tier": "free", "tags": ["partner"]}
            clock.now += 61.0
            _, after = await told(directory)

            assert same is before
            assert after == AccountFacts(tier="free", tags=("partner",))
            assert len(service.asked) == 3

    run(main)


@pytest.mark.parametrize("status", [404, 410])
def test_a_stranger_is_remembered_as_one_for_a_short_while(status: int) -> None:
    async def main() -> None:
        async with serving(fresh=60.0) as (directory, service, clock):
            service.status = status
            assert await told(directory) == (True, AccountFacts())
            clock.now += http.STRANGER - 1.0
            assert await told(directory) == (True, AccountFacts())
            assert len(service.asked) == 1

            service.status = 200
            clock.now += 2.0
            assert await told(directory) == (True, AccountFacts(tier="scale"))
            assert directory.counts["stranger"] == 1

    run(main)


def test_an_account_that_is_gone_is_a_stranger_again() -> None:
    async def main() -> None:
        async with serving(fresh=60.0) as (directory, service, clock):
            await told(directory)
            service.status = 404
            clock.now += 61.0

            assert await told(directory) == (True, AccountFacts())
            assert len(directory) == 0

    run(main)


def test_requests_for_one_account_share_one_question() -> None:
    async def main() -> None:
        async with serving() as (directory, service, _):
            service.go.clear()
            waiting = [asyncio.create_task(told(directory)) for _ in range(20)]
            await service.arrived.acquire()
            service.go.set()

            assert set(await asyncio.gather(*waiting)) == {(True, AccountFacts(tier="scale"))}
            assert len(service.asked) == 1

    run(main)


def test_nobody_waits_longer_than_the_budget_and_the_answer_serves_the_next() -> None:
    async def main() -> None:
        async with serving(budget=0.001) as (directory, service, _):
            service.go.clear()

            assert await told(directory) == (False, AccountFacts())

            assert directory.counts["late"] == 1
            question = directory._running[ACCOUNT]
            await service.arrived.acquire()
            service.go.set()
            await question
            assert directory.due(ACCOUNT) is False
            assert directory.lookup(ACCOUNT, None).tier == "scale"

    run(main)


def test_a_client_that_goes_away_does_not_end_the_question_of_others() -> None:
    async def main() -> None:
        async with serving() as (directory, service, _):
            service.go.clear()
            leaving, staying = (asyncio.create_task(told(directory)) for _ in range(2))
            await service.arrived.acquire()
            leaving.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await leaving
            service.go.set()

            assert await staying == (True, AccountFacts(tier="scale"))

    run(main)


def test_while_it_fails_the_last_answer_serves_on_and_then_none() -> None:
    async def main() -> None:
        async with serving(fresh=60.0) as (directory, service, clock):
            await told(directory)
            service.status = 500
            clock.now += 61.0

            assert await told(directory) == (False, AccountFacts(tier="scale"))

            clock.now += http.STALE
            assert await told(directory) == (False, AccountFacts())
            assert directory.counts["failed"] == 2

    run(main)


def test_one_that_keeps_failing_is_left_alone_until_a_probe_is_answered() -> None:
    async def main() -> None:
        async with serving() as (directory, service, clock):
            service.status = 503
            for number in range(IN_A_ROW):
                await told(directory, f"acct_{number}")
            assert directory.breaker.state is State.OPEN
            assert directory.trouble == "the account directory does not answer (status 503)"

            assert await told(directory) == (False, AccountFacts())

            assert len(service.asked) == IN_A_ROW
            assert directory.counts["not_asked"] == 1
            service.status = 200
            clock.now += LONGEST_REST
            assert await told(directory) == (True, AccountFacts(tier="scale"))
            assert directory.trouble is None

    run(main)


def test_only_so_many_accounts_are_asked_for_at_a_time() -> None:
    async def main() -> None:
        async with serving(budget=0.001) as (directory, service, _):
            service.go.clear()
            for number in range(http.MOST_RUNNING):
                await told(directory, f"acct_{number}")

            assert await told(directory) == (False, AccountFacts())

            assert directory.counts["not_asked"] == 1
            assert len(directory._running) == http.MOST_RUNNING

    run(main)


async def at_a_time(directory: HttpDirectory, service: Service) -> int:
    """How many of a hundred accounts are asked about at once."""
    service.go.clear()
    asking = [asyncio.create_task(directory.ask(f"acct_{number}")) for number in range(100)]
    await asyncio.sleep(0)
    running = len(directory._running)
    service.go.set()
    await asyncio.gather(*asking)
    return running


@pytest.mark.parametrize(
    ("failures", "answers", "takes", "most"),
    [
        (0, 1, 0.0, http.MOST_RUNNING),
        (1, 0, 0.0, 32),
        (4, 0, 0.0, 4),
        (4, 5, http.QUICKLY / 2, 9),
        (4, 5, http.QUICKLY * 2, 4),
    ],
)
def test_a_directory_that_failed_is_asked_less_at_a_time_until_it_answers_quickly(
    failures: int, answers: int, takes: float, most: int
) -> None:
    async def main() -> None:
        async with serving() as (directory, service, clock):
            for number in range(failures + answers):
                service.status = 500 if number < failures else 200
                service.go.clear()
                asking = asyncio.create_task(directory.ask(f"acct_first_{number}"))
                await service.arrived.acquire()
                clock.now += takes
                service.go.set()
                await asking

            assert await at_a_time(directory, service) == most

    run(main)


def test_invented_keys_displace_nobody_who_is_known() -> None:
    async def main() -> None:
        async with serving(size=4) as (directory, service, _):
            await told(directory)
            service.status = 404
            for number in range(20):
                await told(directory, f"acct_{number}")

            assert not directory.due(ACCOUNT)
            assert len(directory._strangers) == 4

    run(main)


def test_a_reload_asks_anew_and_serves_the_last_answer_until_then() -> None:
    async def main() -> None:
        async with serving(fresh=1e6) as (directory, service, clock):
            await told(directory)
            service.body = {"tier": "free"}
            clock.now += 1.0

            assert directory.reload()

            assert directory.due(ACCOUNT)
            assert directory.lookup(ACCOUNT, None).tier == "scale"
            assert (await told(directory))[1].tier == "free"

    run(main)


def test_a_server_that_is_not_there_is_a_failure() -> None:
    async def main() -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))  # and nobody listens
            url = f"http://127.0.0.1:{taken.getsockname()[1]}/{{account}}"
            directory = HttpDirectory(url, now=Clock(), budget=PLENTY)

            assert await told(directory) == (False, AccountFacts())

            assert directory.counts["failed"] == 1
            await directory.close()

    run(main)


@pytest.mark.parametrize(
    ("status", "content", "words"),
    [
        (500, b"{}", "status 500"),
        (301, b"", "status 301"),
        (401, b"", "status 401"),
        (200, b"not json", "no JSON object"),
        (200, b"[]", "no JSON object"),
        (200, b'{"teir": "free"}', "none of organisation"),
    ],
)
def test_an_answer_that_says_nothing_is_a_failure(status: int, content: bytes, words: str) -> None:
    with pytest.raises(SourceError, match=words):
        understood(status, content)


def test_a_question_that_takes_too_long_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "TIMEOUT", 0.01)

    async def main() -> None:
        async with serving() as (directory, service, _):
            service.go.clear()

            assert await told(directory) == (False, AccountFacts())

            assert directory.counts == dict.fromkeys(http.RESULTS, 0) | {"failed": 1}

    run(main)


def test_an_answer_that_is_too_large_is_not_read() -> None:
    async def main() -> None:
        async with serving() as (directory, service, _):
            service.body = b'{"tier": "' + b"x" * http.LARGEST + b'"}'

            assert await told(directory) == (False, AccountFacts())

    run(main)


def test_an_answer_that_unpacks_to_too_much_is_a_failure() -> None:
    async def main() -> None:
        async with serving() as (directory, service, _):
            service.codings = "gzip"
            service.body = gzip.compress(bytes(8 * http.LARGEST))

            assert await told(directory) == (False, AccountFacts())

            service.body = gzip.compress(b'{"tier": "scale"}')
            assert await told(directory) == (True, AccountFacts(tier="scale"))

    run(main)


def test_known_members_are_read_and_others_passed_over() -> None:
    content = b'{"tier": "free", "created_at": "2026-01-01", "verified": "yes", "plan": 5}'

    assert understood(200, content) == AccountFacts(
        tier="free", created_at=1_767_225_600.0, verified=True
    )
    assert understood(200, b"{}") == AccountFacts()


@given(st.integers(100, 599), st.binary())
def test_no_answer_makes_it_raise_anything_else(status: int, content: bytes) -> None:
    with contextlib.suppress(SourceError):
        understood(status, content)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://host/{account}", "/guard/{account}", "https://", "https://u:p@host/{account}",
        "https://host:port/{account}", "https://host/", "https://host/{account}/{account}",
    ],
)  # fmt: skip
def test_a_url_that_cannot_be_asked_is_an_error_that_says_what_to_write(url: str) -> None:
    with pytest.raises(SourceError, match=r"\{account\}|http"):
        checked(url)


def test_the_guard_asks_and_says_when_nobody_answered() -> None:
    policy = """
        version: 1
        mode: enforce
        rules:
          - { name: partners-only, when: { not: { account_tag: partner } }, then: deny }
    """

    async def main() -> None:
        async with serving(fresh=60.0) as (directory, service, clock):
            service.body = {"tags": ["partner"]}
            guard = build_guard(
                build.policy(policy), accounts=directory, network=NoNetwork(),
                settings=Settings(secret=build.SECRET), campaign_of=lambda account: None,
            )  # fmt: skip

            known = await guard.decide(build.wire(key="one"))
            service.status = 500
            unknown = await guard.decide(build.wire(key="two"))
            clock.now += 61.0
            old = await guard.decide(build.wire(key="one"))
            nobody = await guard.decide(build.wire(key=None))

            assert (known.decision.action, known.decision.degraded) == (Action.ALLOW, ())
            assert (unknown.decision.action, unknown.decision.degraded) == (
                Action.DENY, ("accounts",),
            )  # fmt: skip
            assert (old.decision.action, old.decision.degraded) == (Action.ALLOW, ("accounts",))
            assert nobody.decision.degraded == ()
            await guard.close()

    run(main)


def test_what_is_counted_is_published() -> None:
    async def main() -> None:
        async with serving() as (directory, _, _clock):
            metrics = Metrics()
            directory.publish(metrics)

            await told(directory)

            page = metrics.render()[0].decode()
            assert 'gateway_guard_account_questions_total{result="known"} 1.0' in page
            assert "gateway_guard_account_directory_up 1.0" in page
            assert "gateway_guard_accounts_kept 1.0" in page

    run(main)


def test_only_a_directory_that_must_be_asked_is_asked(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("")

    assert not isinstance(FileDirectory(path, secret=build.SECRET), AskedDirectory)
    assert isinstance(HttpDirectory("https://accounts.test/{account}"), AskedDirectory)


def test_settings_choose_the_directory(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("")
    url = "https://accounts.test/{account}"

    asked = open_directory(Settings(secret=build.SECRET, accounts_url=url))
    read = open_directory(Settings(secret=build.SECRET, accounts_file=str(path)))
    nothing = open_directory(Settings(secret=build.SECRET))

    assert isinstance(asked, HttpDirectory)
    assert isinstance(read, FileDirectory)
    assert isinstance(nothing, NoDirectory)
    asyncio.run(asked.close())


def test_a_file_and_a_url_together_are_an_error() -> None:
    both = {
        "GATEWAY_GUARD_SECRET": "x" * 16,
        "GATEWAY_GUARD_ACCOUNTS_FILE": "a.csv",
        "GATEWAY_GUARD_ACCOUNTS_URL": "https://accounts.test/{account}",
    }

    with pytest.raises(SettingsError, match="are both set"):
        Settings.from_environment(both)


def test_settings_are_read_from_the_environment() -> None:
    found = Settings.from_environment(
        {
            "GATEWAY_GUARD_SECRET": "x" * 16,
            "GATEWAY_GUARD_ACCOUNTS_URL": "https://accounts.test/{account}",
            "GATEWAY_GUARD_ACCOUNTS_TOKEN": "t" * 16,
            "GATEWAY_GUARD_ACCOUNTS_FRESH": "30",
            "GATEWAY_GUARD_ACCOUNTS_BUDGET": "20",
        }
    )

    assert found.accounts_url == "https://accounts.test/{account}"
    assert found.accounts_token == "t" * 16
    assert (found.accounts_fresh, found.accounts_budget) == (30.0, 0.02)
