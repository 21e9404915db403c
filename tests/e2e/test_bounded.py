"""Bounded work, seen from outside: many who do nothing, send slowly or do not read stop nobody,
and what is too much is told so.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import resource
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import build
from tests.e2e.open_loop import Load, Result
from tests.e2e.servers import PATIENCE, STREAM, Client, Seen, Sidecar, Upstream, ask, chunk, get
from tests.peers.processes import cpu
from tests.peers.upstream import Upstream as Model
from tests.processes import resident
from tests.servers import until
from tests.soak.crowd import most_files

pytestmark = pytest.mark.e2e

#: Connections of those who send slowly, and of those who send nothing.
SLOW, IDLE = 1000, 10_000
#: Bytes of memory an idle connection may cost. Measured: 6,100.
EACH = 32 * 1024

POLICY = """\
version: 1
mode: enforce
overload: { upstream: { min: 2, max: 2 } }
limits:
  requests: { per: everyone, requests: 3/day }
"""
CHAT = "/v1/chat/completions"
JSON = "Content-Type: application/json"
TOKEN = b'data: {"choices":[{"delta":{"content":"Hi"}}]}\n\n'


def chat() -> bytes:
    return get(CHAT, JSON, method="POST", body=build.chat_body())


def waits(connection: socket.socket, request: Seen, upstream: Upstream) -> bool:
    """The first token comes when the test says so."""
    connection.sendall(STREAM)
    upstream.go.wait()
    connection.sendall(chunk(TOKEN) + chunk(b""))
    return True


def metric(sidecar: Sidecar, name: str) -> float:
    text = ask(sidecar.admin, get("/metrics")).body.decode()
    found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    assert found is not None, text
    return float(found[1])


def test_the_excess_over_what_the_upstream_answers_is_told_at_once_and_charged_nothing(
    tmp_path: Path,
) -> None:
    log = tmp_path / "decisions.jsonl"
    with (
        Upstream({CHAT: waits}) as upstream,
        Sidecar(tmp_path, upstream.url, "--decision-log", str(log), policy=POLICY) as sidecar,
        Client(sidecar.port) as one,
        Client(sidecar.port) as other,
    ):
        for client in (one, other):
            client.send(chat())
            assert upstream.arrived.acquire(timeout=20)
        excess = [ask(sidecar.port, chat()) for _ in range(5)]
        counted = metric(sidecar, 'gateway_guard_overload_total{cause="upstream"}')
        waiting = metric(sidecar, "gateway_guard_upstream_waiting")
        upstream.go.set()
        let_in = [one.answer(), other.answer()]
        # Two of the three a day are spent: what was turned away cost nothing.
        third, fourth = ask(sidecar.port, chat()), ask(sidecar.port, chat())

    assert [answer.status for answer in excess] == [503] * 5
    assert {answer.headers["retry-after"] for answer in excess} <= {"1", "2", "3"}
    assert json.loads(excess[0].body)["error"]["code"] == "overloaded"
    assert (counted, waiting) == (5, 2)
    assert [answer.body for answer in let_in] == [TOKEN] * 2
    assert (third.status, fourth.status) == (200, 429)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line.get("rule") for line in lines].count("guard:overload") == 5


@contextlib.contextmanager
def connected(port: int, count: int, *, sends: bytes = b"") -> Iterator[list[socket.socket]]:
    """So many connections that have sent this and nothing else."""
    with contextlib.ExitStack() as stack:
        made = []
        for _ in range(count):
            one = stack.enter_context(socket.create_connection(("127.0.0.1", port), 20))
            if sends:
                one.sendall(sends)
            made.append(one)
        yield made


def room(connections: int) -> int:
    """So many connections, or as many as this process may open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return min(connections, soft // 2)


FLOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n"


def floods(connection: socket.socket, request: Seen, upstream: Upstream) -> bool:
    """More than anybody reads."""
    connection.sendall(FLOOD)
    piece = b"x" * 65536
    while not upstream.go.is_set():
        connection.sendall(piece)
    return False


@pytest.mark.parametrize(
    "sends",
    [
        pytest.param(b"POST /v1/chat/completions HTT", id="in the head"),
        pytest.param(
            get(CHAT, JSON, "Content-Length: 1000", method="POST") + b'{"messages"', id="in a body"
        ),
    ],
)
def test_many_who_send_slowly_stop_nobody(tmp_path: Path, sends: bytes) -> None:
    with Upstream() as upstream, Sidecar(tmp_path, upstream.url) as sidecar:
        alone = sidecar_cpu(sidecar, 200)

        with connected(sidecar.port, room(SLOW), sends=sends):
            among = sidecar_cpu(sidecar, 200)

    # In CPU, which a loaded machine changes little; a scan of all connections for each request
    # would show as a multiple of ten.
    assert among < 3.0 * alone + 0.2


@pytest.fixture
def files() -> Iterator[int]:
    """As many descriptors as this process and its children may have; how many that is."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield most_files()
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_ten_thousand_idle_connections_stop_nobody_and_take_little(
    tmp_path: Path, files: int
) -> None:
    # Room is kept for one more to the upstream for nearly each of them.
    count = min(IDLE, max(files // 2 - 100, 10))
    more = ["--max-connections", str(count + 100), "--timeout-header", "600"]
    with Upstream() as upstream, Sidecar(tmp_path, upstream.url, *more) as sidecar:
        sidecar_cpu(sidecar, 200)
        alone = sidecar_cpu(sidecar, 200)
        before = resident(sidecar.process.pid)

        with connected(sidecar.port, count):
            descriptors = Path(f"/proc/{sidecar.process.pid}/fd")
            until(lambda: len(list(descriptors.iterdir())) > count, "all are accepted")
            among = sidecar_cpu(sidecar, 200)
            after = resident(sidecar.process.pid)

    assert among < 3.0 * alone + 0.2
    assert after - before < EACH * count


@pytest.mark.parametrize("drips", [False, True])
def test_where_all_connections_are_taken_who_does_nothing_makes_room(
    tmp_path: Path, drips: bool
) -> None:
    begun = get(CHAT, JSON, "Content-Length: 80000", method="POST")
    with (
        Upstream() as upstream,
        Sidecar(tmp_path, upstream.url, "--max-connections", "5") as sidecar,
        contextlib.ExitStack() as held,
    ):
        taken = [held.enter_context(Client(sidecar.port)) for _ in range(5)]
        for client in taken:
            client.send(begun if drips else get("/v1/models"))

        def served() -> bool:
            for client in taken if drips else ():
                with contextlib.suppress(OSError):
                    client.send(b"a")
            with contextlib.suppress(OSError):
                return ask(sidecar.port, get("/v1/models", "Connection: close")).status == 200
            return False

        until(served, "somebody else is served")


def test_what_the_process_cannot_do_is_told_so_and_the_rest_is_served(tmp_path: Path) -> None:
    # Clients enough to keep it busy however fast it is, and a bound that any machine exceeds then.
    log = tmp_path / "decisions.jsonl"
    policy = "version: 1\nmode: enforce\noverload: { lag: 1 ms }\n"
    found: list[Result] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Model, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        flags = ("--decision-log", str(log))
        sidecar = await asyncio.to_thread(Sidecar, tmp_path, url, *flags, policy=policy)
        with sidecar:
            for turn in range(20):
                load = Load(sidecar.port, 50_000.0, 0.0, 1.0, turn * 100_000, most=200)
                found.append(await load.run())
                if found[-1].shed > 100:
                    break
            counted = await asyncio.to_thread(
                metric, sidecar, 'gateway_guard_overload_total{cause="process"}'
            )
            while await asyncio.to_thread(lambda: ask(sidecar.port, chat()).status) == 503:
                found.append(Result(shed=1, told=1))
        server.close()
        assert counted >= sum(result.shed for result in found if result.asked)

    asyncio.run(asyncio.wait_for(main(), 2 * PATIENCE))

    shed = sum(result.shed for result in found)
    assert shed > 100
    assert all(result.told == result.shed for result in found)
    assert all(result.served > 0 for result in found if result.asked)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert any(line.get("rule") == "guard:overload" for line in lines)


def sidecar_cpu(sidecar: Sidecar, requests: int) -> float:
    """CPU seconds of the sidecar for so many requests, one after the other; all are answered."""
    with Client(sidecar.port) as client:
        began = cpu([sidecar.process.pid])
        for _ in range(requests):
            assert client.send(get("/v1/models")).answer().status == 200
        return cpu([sidecar.process.pid]) - began


def test_those_who_do_not_read_stop_nobody(tmp_path: Path) -> None:
    readers = 20
    with (
        Upstream({"/flood": floods}) as upstream,
        Sidecar(tmp_path, upstream.url) as sidecar,
        connected(sidecar.port, readers, sends=get("/flood")),
    ):
        for _ in range(readers):
            assert upstream.arrived.acquire(timeout=20)

        with Client(sidecar.port) as client:
            statuses = {client.send(get("/v1/models")).answer().status for _ in range(100)}
        upstream.go.set()

    assert statuses == {200}


def test_a_megabyte_after_the_other_stops_nobody(tmp_path: Path) -> None:
    # Each is the slowest to read of those that are let in.
    body = b'{"model":"m","messages":[{"role":"user","content":"' + rb"\u0041" * 170_000 + b'"}]}'
    heavy = get(CHAT, JSON, method="POST", body=body)
    stopped = threading.Event()
    sent = []

    def sends(port: int) -> None:
        with Client(port) as client:
            while not stopped.is_set():
                sent.append(client.send(heavy).answer().status)

    with Upstream() as upstream, Sidecar(tmp_path, upstream.url) as sidecar:
        threads = [threading.Thread(target=sends, args=(sidecar.port,)) for _ in range(2)]
        for thread in threads:
            thread.start()
        try:
            with Client(sidecar.port) as client:
                answered = 0
                while answered < 50 or (
                    len(sent) < 4 and all(map(threading.Thread.is_alive, threads))
                ):
                    assert client.send(get("/v1/models")).answer().status == 200
                    answered += 1
        finally:
            stopped.set()
            for thread in threads:
                thread.join(60)

    assert len(sent) >= 4
    assert set(sent) == {200}
