"""A real guard behind real sockets, asked as HAProxy asks."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import uvloop

from gateway_guard.frontends.extauth import settling
from gateway_guard.frontends.extauth.telling import Told
from gateway_guard.frontends.extauth.usage import Report
from gateway_guard.frontends.listen import bind_tcp, bind_unix
from gateway_guard.frontends.spoe import connection as connections
from gateway_guard.frontends.spoe import data, server
from gateway_guard.frontends.spoe.frames import (
    ACK,
    AGENT_DISCONNECT,
    AGENT_HELLO,
    Frame,
    Message,
    read_frame,
)
from gateway_guard.frontends.spoe.protocol import Code, Notify
from gateway_guard.frontends.spoe.server import SpoeServer
from gateway_guard.types import Exchange, Wire
from tests import build
from tests.frontends.asking import POLICY, Asked, trusting
from tests.frontends.spoe.speaking import asking, goodbye, hello, notify, said, variables
from tests.processes import PATIENCE


class HAProxy:
    """One connection to the agent."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.asked = 0

    async def next(self) -> Frame | None:
        """The next frame; None when the agent has closed the connection."""
        async with asyncio.timeout(PATIENCE):
            try:
                length = int.from_bytes(await self.reader.readexactly(4), "big")
                return read_frame(await self.reader.readexactly(length))
            except (asyncio.IncompleteReadError, ConnectionError):
                return None

    async def greet(self) -> None:
        self.writer.write(hello())
        greeted = await self.next()
        assert greeted is not None
        assert greeted.kind == AGENT_HELLO

    def send(self, message: Message) -> None:
        self.asked += 1
        self.writer.write(notify(message, stream=self.asked))

    async def ask(self, message: Message | None = None, **more: Any) -> dict[str, Any]:
        """The variables one question sets."""
        self.send(message or asking(**more))
        found = await self.next()
        assert found is not None
        assert (found.kind, found.stream) == (ACK, self.asked)
        return variables(found)

    async def code(self) -> int | None:
        """The code of the goodbye that comes next, after which the agent closes."""
        found = await self.next()
        assert found is not None
        assert found.kind == AGENT_DISCONNECT
        assert await self.next() is None
        code = said(found)["status-code"]
        assert isinstance(code, int)
        return code


class Agent(Asked):
    """A server with a real guard, and connections to it."""

    def __init__(self, policy: str = POLICY, **desk: Any) -> None:
        super().__init__(policy, **desk)
        self.server = SpoeServer(self.desk)
        self.listener: socket.socket = bind_tcp("127.0.0.1", 0, flag="")
        self._writers: list[asyncio.StreamWriter] = []

    def hold_back(self, account: str) -> asyncio.Event:
        """Decisions about this key wait for the event."""
        decide, event = self.guard.decide, asyncio.Event()

        async def slowly(wire: Wire) -> Exchange:
            if dict(wire.headers).get(b"authorization") == f"Bearer {account}".encode():
                await event.wait()
            return await decide(wire)

        self.guard.decide = slowly  # type: ignore[method-assign]
        return event

    async def connect(self, *, greet: bool = True, path: str | None = None) -> HAProxy:
        if path is not None:
            reader, writer = await asyncio.open_unix_connection(path)
        else:
            reader, writer = await asyncio.open_connection(*self.listener.getsockname()[:2])
        self._writers.append(writer)
        haproxy = HAProxy(reader, writer)
        if greet:
            await haproxy.greet()
        return haproxy

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[HAProxy]:
        await self.server.start(self.listener)
        try:
            yield await self.connect()
        finally:
            await self.server.close(drain=0.01)
            await self.desk.close()
            for writer in self._writers:
                writer.close()
                with contextlib.suppress(ConnectionError):
                    await writer.wait_closed()


Run = Callable[[Callable[[], Awaitable[None]]], None]


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """Runs a scenario on either event loop."""
    factory = uvloop.new_event_loop if request.param == "uvloop" else None

    def play(scenario: Callable[[], Awaitable[None]]) -> None:
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(scenario())  # type: ignore[arg-type]

    return play


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.001)


def test_a_request_within_its_limits_is_allowed_and_the_next_one_is_not(run: Run) -> None:
    agent = Agent()

    async def scenario() -> None:
        async with agent.serving() as haproxy:
            answers = [await haproxy.ask() for _ in range(4)]

        assert [answer["status"] for answer in answers] == [200, 200, 200, 429]
        assert answers[0]["account"].startswith("acct_")
        assert answers[0]["limits"]
        assert answers[3]["retry_after"] == "20"
        assert "rate_limit_exceeded" in answers[3]["body"]

    run(scenario)
    assert len(agent.learnt) == 4
    assert {exchange.request.client_ip for exchange in agent.learnt} == {"192.0.2.7"}


def test_body_method_and_path_are_judged(run: Run) -> None:
    agent = Agent()

    async def scenario() -> None:
        async with agent.serving() as haproxy:
            giant, small = build.chat_body(model="giant"), build.chat_body(model="small")
            assert (await haproxy.ask(body=giant))["status"] == 451
            assert (await haproxy.ask(body=small))["status"] == 200
            assert (await haproxy.ask(method="DELETE"))["status"] == 403
            assert (await haproxy.ask(body=small, content_length="9999"))["status"] == 413

    run(scenario)


def test_the_client_is_who_the_header_names_where_the_policy_and_the_edge_say_so(run: Run) -> None:
    agent = Agent(trusting("127.0.0.0/8", "192.0.2.7"))

    async def scenario() -> None:
        async with agent.serving() as haproxy:
            await haproxy.ask(src="192.0.2.7", x_forwarded_for="198.51.100.9")
            await haproxy.ask(src="203.0.113.5", x_forwarded_for="198.51.100.9")

    run(scenario)
    seen = [exchange.request.client_ip for exchange in agent.learnt]
    assert seen == ["198.51.100.9", "203.0.113.5"]


# -- who may ask, and how -------------------------------------------------------------------------


def test_nobody_but_a_trusted_haproxy_may_ask(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    agent = Agent(trusting("10.0.0.1"))

    async def scenario() -> None:
        await agent.server.start(agent.listener)
        haproxy = await agent.connect(greet=False)
        assert await haproxy.code() == Code.UNKNOWN
        haproxy.writer.close()
        await agent.server.close()
        await agent.desk.close()

    run(scenario)
    assert agent.desk.misasked == 1
    assert "127.0.0.1 is not in identify.trusted_proxies" in caplog.text


@pytest.mark.parametrize("trusted", [True, False])
def test_over_a_unix_socket_the_policy_says_whether_haproxy_is_believed(
    run: Run, tmp_path: Path, trusted: bool
) -> None:
    agent = Agent(trusting("unix" if trusted else "127.0.0.0/8"))
    agent.listener.close()
    path = str(tmp_path / "guard")
    agent.listener = bind_unix(path)

    async def scenario() -> None:
        await agent.server.start(agent.listener)
        haproxy = await agent.connect(greet=trusted, path=path)
        if trusted:
            assert (await haproxy.ask(src="192.0.2.9", x_forwarded_for="1.1.1.1"))["status"] == 200
        else:
            assert await haproxy.code() == Code.UNKNOWN
        haproxy.writer.close()
        await agent.server.close()
        await agent.desk.close()

    run(scenario)
    assert [exchange.request.client_ip for exchange in agent.learnt] == ["192.0.2.9"] * trusted


def test_a_policy_that_stops_trusting_haproxy_is_heard_at_the_next_question(run: Run) -> None:
    agent = Agent()

    async def scenario() -> None:
        async with agent.serving() as haproxy:
            assert (await haproxy.ask())["status"] == 200
            agent.guard.policies.current = build.policy(trusting("10.0.0.1"))
            assert (await haproxy.ask())["status"] == 403

    run(scenario)
    assert agent.desk.misasked == 1


def test_a_question_that_is_asked_wrongly_is_refused_and_the_operator_told_why(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    agent = Agent()
    message = asking()
    nameless = Message(message.name, message.arguments[1:])

    async def scenario() -> None:
        async with agent.serving() as haproxy:
            answers = [await haproxy.ask(nameless) for _ in range(3)]
        assert {answer["status"] for answer in answers} == {403}

    run(scenario)
    assert (agent.desk.misasked, agent.learnt) == (3, [])
    assert caplog.text.count("no argument src") == 2  # at 1 and at 2


def test_a_head_that_could_be_read_in_two_ways_is_refused_counted_and_logged(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    agent = Agent()

    async def scenario() -> None:
        async with agent.serving() as haproxy:
            for _ in range(3):
                answer = await haproxy.ask(headers=b"authorization: Bearer a\r\n b\r\n\r\n")
                assert (answer["status"], answer["action"]) == (400, "deny")

    run(scenario)
    assert (agent.server.malformed, agent.learnt) == (3, [])
    assert caplog.text.count("malformed") == 2
    assert "Bearer" not in caplog.text


def test_a_broken_frame_ends_its_connection_and_no_other(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    agent = Agent()

    async def scenario() -> None:
        async with agent.serving() as haproxy:
            broken = await agent.connect()
            broken.writer.write(b"\xff\xff\xff\xff")
            assert await broken.code() == Code.TOO_BIG
            assert (await haproxy.ask())["status"] == 200

    run(scenario)
    assert agent.server.broken == 1
    assert "code 3" in caplog.text


def test_health_checks_are_answered_and_closed(run: Run) -> None:
    agent = Agent()

    async def scenario() -> None:
        async with agent.serving():
            check = await agent.connect(greet=False)
            check.writer.write(hello(healthcheck=(data.BOOL, True)))
            found = await check.next()
            assert found is not None
            assert found.kind == AGENT_HELLO
            assert await check.next() is None

    run(scenario)
    assert agent.server.broken == 0


def test_whoever_says_no_hello_is_not_waited_for(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    agent = Agent()

    async def scenario() -> None:
        async with agent.serving() as greeted:
            monkeypatch.setattr(server, "HELLO", 0.01)
            silent = await agent.connect(greet=False)
            assert await silent.code() == Code.TIMEOUT
            assert (await greeted.ask())["status"] == 200

    run(scenario)


def test_a_guard_that_cannot_answer_refuses(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    agent = Agent()

    async def fail(wire: Wire) -> Exchange:
        raise RuntimeError("secret of the client")

    agent.guard.decide = fail  # type: ignore[method-assign]

    async def scenario() -> None:
        async with agent.serving() as haproxy:
            assert (await haproxy.ask())["status"] == 403

    run(scenario)
    assert "RuntimeError" in caplog.text
    assert "secret" not in caplog.text


# -- many at once ---------------------------------------------------------------------------------


def test_no_question_waits_for_an_earlier_one(run: Run) -> None:
    agent = Agent()

    async def scenario() -> None:
        async with agent.serving() as haproxy:
            go = agent.hold_back("sk-slow")
            for key in ("sk-slow", "sk-1", "sk-2"):
                haproxy.send(asking(key=key))
            answered = [await haproxy.next(), await haproxy.next()]
            go.set()
            answered.append(await haproxy.next())

        assert [found.stream for found in answered if found is not None] == [2, 3, 1]

    run(scenario)


def test_what_goes_beyond_the_bound_stays_unread_until_there_is_room(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "MOST_WAITING", 2)
    agent = Agent()
    begun: list[int] = []
    asked = agent.server.asked

    async def counted(notify: Notify, peer: str | None) -> Told:
        begun.append(notify.stream)
        return await asked(notify, peer)

    agent.server.asked = counted  # type: ignore[method-assign]

    async def scenario() -> None:
        async with agent.serving() as haproxy:
            go = agent.hold_back("sk-slow")
            for _ in range(7):
                haproxy.send(asking(key="sk-slow"))
            await until(lambda: len(begun) == 2)
            other = await agent.connect()
            assert (await other.ask())["status"] == 200
            assert len(begun) == 3
            go.set()
            answered = [await haproxy.next() for _ in range(7)]

        assert {found.stream for found in answered if found is not None} == set(range(1, 8))

    run(scenario)


def test_a_haproxy_that_reads_no_answers_is_asked_to_wait(run: Run) -> None:
    agent = Agent()

    async def scenario() -> None:
        async with agent.serving() as haproxy:
            (connection,) = agent.server.connections
            connection.pause_writing()
            haproxy.send(asking())
            other = await agent.connect()
            assert (await other.ask())["status"] == 200
            assert len(agent.learnt) == 1
            connection.resume_writing()
            found = await haproxy.next()
            assert found is not None

    run(scenario)


# -- the end --------------------------------------------------------------------------------------


def test_the_agent_leaves_once_everything_asked_is_answered(run: Run) -> None:
    agent = Agent()

    async def scenario() -> None:
        async with agent.serving() as haproxy:
            idle = await agent.connect()
            go = agent.hold_back("sk-slow")
            haproxy.send(asking(key="sk-slow"))
            await until(lambda: any(one.waiting for one in agent.server.connections))
            closing = asyncio.create_task(agent.server.close(drain=PATIENCE))
            assert await idle.code() == Code.NORMAL
            go.set()
            answered = await haproxy.next()
            assert answered is not None
            assert variables(answered)["status"] == 200
            assert await haproxy.code() == Code.NORMAL
            await closing
            with pytest.raises(OSError, match=r".*"):
                await agent.connect()

    run(scenario)
    assert agent.server.connections == set()


def test_what_is_still_unread_is_answered_before_the_agent_leaves(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "MOST_WAITING", 1)
    agent = Agent()

    async def scenario() -> None:
        async with agent.serving() as haproxy:
            go = agent.hold_back("sk-slow")
            for _ in range(3):
                haproxy.send(asking(key="sk-slow"))
            await until(lambda: any(one.waiting for one in agent.server.connections))
            closing = asyncio.create_task(agent.server.close(drain=PATIENCE))
            go.set()
            kinds = [found.kind for found in [await haproxy.next() for _ in range(4)] if found]
            await closing

        assert kinds == [ACK, ACK, ACK, AGENT_DISCONNECT]

    run(scenario)


def test_an_agent_that_leaves_waits_idly_for_a_haproxy_that_reads_no_answers(run: Run) -> None:
    agent = Agent()

    async def scenario() -> None:
        async with agent.serving() as haproxy:
            (connection,) = agent.server.connections
            connection.pause_writing()
            closing = asyncio.create_task(agent.server.close(drain=PATIENCE))
            looks, send = [], connection._send
            connection._send = lambda: (looks.append(1), send())[1]  # type: ignore[method-assign, func-returns-value]
            for _ in range(20):
                await asyncio.sleep(0)
            assert len(looks) <= 1
            connection.resume_writing()
            assert await haproxy.code() == Code.NORMAL
            await closing

    run(scenario)


def test_who_takes_too_long_is_cut_off(run: Run) -> None:
    agent = Agent()

    async def scenario() -> None:
        async with agent.serving() as haproxy:
            agent.hold_back("sk-slow")
            haproxy.send(asking(key="sk-slow"))
            await until(lambda: any(one.waiting for one in agent.server.connections))
            await agent.server.close(drain=0.001)
            assert await haproxy.next() is None

    run(scenario)
    assert agent.server.connections == set()


def test_haproxys_goodbye_is_returned(run: Run) -> None:
    agent = Agent()

    async def scenario() -> None:
        async with agent.serving() as haproxy:
            haproxy.writer.write(goodbye())
            assert await haproxy.code() == Code.NORMAL
            await until(lambda: not agent.server.connections)

    run(scenario)


def test_what_is_decided_while_haproxy_vanishes_is_settled(run: Run) -> None:
    agent = Agent()

    async def scenario() -> None:
        async with agent.serving() as haproxy:
            go = agent.hold_back("sk-slow")
            haproxy.send(asking(key="sk-slow"))
            await until(lambda: any(one.waiting for one in agent.server.connections))
            (connection,) = agent.server.connections
            haproxy.writer.transport.abort()
            await until(lambda: connection._lost)
            assert not connection.closed.done()
            go.set()
            await until(lambda: not agent.server.connections)

    run(scenario)
    assert [exchange.settled for exchange in agent.learnt] == [True]


# -- leases ---------------------------------------------------------------------------------------


def test_without_leases_a_request_is_settled_at_once_by_its_estimate(run: Run) -> None:
    agent = Agent()

    async def scenario() -> None:
        async with agent.serving() as haproxy:
            for _ in range(3):
                assert (await haproxy.ask())["status"] == 200
            assert len(agent.learnt) == 3

    run(scenario)


def test_with_leases_a_request_stays_in_flight_until_it_is_reported(run: Run) -> None:
    agent = Agent(lease=60.0)

    async def scenario() -> None:
        async with agent.serving() as haproxy:
            first, _ = await haproxy.ask(), await haproxy.ask()
            assert (await haproxy.ask())["status"] == 429
            report = Report(request_id=first["request_id"], output_tokens=5)
            assert await agent.desk.report(report)
            assert not await agent.desk.report(report)
            assert (await haproxy.ask())["status"] == 200

    run(scenario)


def test_leases_that_run_out_or_are_left_at_the_end_are_settled(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settling, "_LOOK", 0.001)
    agent = Agent(lease=60.0)

    async def scenario() -> None:
        async with agent.serving() as haproxy:
            await haproxy.ask()
            agent.clock.now += 61.0
            await until(lambda: bool(agent.learnt))
            await haproxy.ask()
            assert len(agent.learnt) == 1

    run(scenario)
    assert len(agent.learnt) == 2
    assert agent.desk.leases.expired == 1
