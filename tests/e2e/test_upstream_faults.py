"""An upstream that fails: the client sees 502, 504 or a cut, never a clean end."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator

import pytest

from tests.e2e.servers import (
    PATIENCE,
    STREAM,
    Client,
    Script,
    Seen,
    Sidecar,
    Upstream,
    ask,
    chunk,
    get,
    reset,
    says,
)

pytestmark = pytest.mark.e2e


def resets(connection: socket.socket, request: Seen, upstream: Upstream) -> bool:
    reset(connection)
    return False


def resets_midway(connection: socket.socket, request: Seen, upstream: Upstream) -> bool:
    connection.sendall(STREAM + chunk(b"data: 1\n\n"))
    upstream.go.wait(PATIENCE)
    reset(connection)
    return False


def hangs(connection: socket.socket, request: Seen, upstream: Upstream) -> bool:
    if connection.recv(1) == b"":
        upstream.let_go.set()
    return False


def streams_until_left(connection: socket.socket, request: Seen, upstream: Upstream) -> bool:
    connection.sendall(STREAM + chunk(b"data: 1\n\n"))
    return hangs(connection, request, upstream)


def once(then: Script) -> Script:
    """OK for the first request of a connection, `then` for the second."""
    served: set[int] = set()

    def script(connection: socket.socket, request: Seen, upstream: Upstream) -> bool:
        if request.connection not in served:
            served.add(request.connection)
            return says(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", goes_on=True)(
                connection, request, upstream
            )
        return then(connection, request, upstream)

    return script


BAD_GATEWAYS: dict[str, Script] = {
    "/reset": resets,
    "/closed": says(),
    "/garbage": says(b"\x16\x03\x01\x00\xa5 not http at all\r\n\r\n"),
    "/two-lengths": says(
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 9\r\n\r\nabcdefghi"
    ),
    "/same-length-twice": says(
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok"
    ),
    "/length-and-chunked": says(
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"2\r\nok\r\n0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\npoisoned"
    ),
    "/odd-coding": says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nxx"),
    "/header-split": says(
        b"HTTP/1.1 200 OK\r\nX-Bad: a\rSet-Cookie: evil=1\r\nContent-Length: 2\r\n\r\nok"
    ),
    "/header-flood": says(
        b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 300 + b"Content-Length: 2\r\n\r\nok"
    ),
    "/header-huge": says(
        b"HTTP/1.1 200 OK\r\nX-A: " + b"b" * 200_000 + b"\r\nContent-Length: 2\r\n\r\nok"
    ),
    "/status-999": says(b"HTTP/1.1 999 Odd\r\nContent-Length: 2\r\n\r\nok"),
    "/version-2": says(b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok"),
    "/rtsp": says(b"RTSP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"),
    "/chunks-in-1.0": says(
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
    ),
    "/interim-flood": says(
        b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100
        + b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    ),
    "/switches": says(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"
    ),
}
CUTS: dict[str, Script] = {
    "/short": says(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b"x" * 400),
    "/bad-chunk": says(STREAM + b"5\r\nhello\r\nZZ\r\nboom\r\n0\r\n\r\n"),
    "/stream-ends": says(STREAM + chunk(b"data: 1\n\n")),
    "/stream-resets": resets_midway,
}


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    scripts = {
        **BAD_GATEWAYS,
        **CUTS,
        "/hangs": hangs,
        "/streams": streams_until_left,
        "/stale": once(says()),
        "/surplus": says(
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
            b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\npoisoned",
            goes_on=True,
        ),
    }
    with Upstream(scripts) as server:
        yield server


@pytest.fixture(scope="module")
def sidecar(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    folder = tmp_path_factory.mktemp("sidecar")
    # What answers at all answers in this time, also on a busy machine.
    with Sidecar(folder, upstream.url, "--timeout-read", "4") as running:
        yield running


@pytest.mark.parametrize("path", BAD_GATEWAYS)
def test_no_believable_answer_is_a_502(sidecar: Sidecar, upstream: Upstream, path: str) -> None:
    answer = ask(sidecar.port, get(path, method="POST", body=b"{}"))

    assert answer.status == 502
    assert answer.complete
    assert b"poisoned" not in answer.body
    assert "set-cookie" not in answer.headers
    assert upstream.paths().count(path) == 1


def test_an_upstream_that_refuses_connections_is_a_502_in_the_clients_dialect(
    sidecar: Sidecar, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with Sidecar(tmp_path_factory.mktemp("refused"), url) as lonely:
            openai = ask(
                lonely.port,
                get(
                    "/v1/chat/completions",
                    "Content-Type: application/json",
                    method="POST",
                    body=b'{"model":"m","messages":[]}',
                ),
            )
            anthropic = ask(
                lonely.port,
                get(
                    "/v1/messages",
                    "Content-Type: application/json",
                    "anthropic-version: 2023-06-01",
                    method="POST",
                    body=b'{"model":"m","max_tokens":1,"messages":[]}',
                ),
            )
            metrics = ask(lonely.admin, get("/metrics")).body

    assert b'gateway_guard_outcomes_total{outcome="upstream-error"} 2.0' in metrics
    assert (openai.status, anthropic.status) == (502, 502)
    assert json.loads(openai.body)["error"]["type"]
    assert json.loads(anthropic.body)["type"] == "error"


def test_an_upstream_that_says_nothing_is_a_504(sidecar: Sidecar) -> None:
    answer = ask(sidecar.port, get("/hangs"))

    assert answer.status == 504


@pytest.mark.parametrize("path", CUTS)
def test_an_answer_that_breaks_off_is_cut_and_never_looks_complete(
    sidecar: Sidecar, upstream: Upstream, path: str
) -> None:
    with Client(sidecar.port) as client:
        client.send(get(path))
        upstream.go.set()
        answer = client.answer()
    upstream.go.clear()

    assert answer.status in (200, 502)
    assert answer.status == 502 or not answer.complete


def test_a_post_is_never_sent_twice(sidecar: Sidecar, upstream: Upstream) -> None:
    with Client(sidecar.port) as client:
        first = client.send(get("/stale", method="POST", body=b"{}")).answer()
        second = client.send(get("/stale", method="POST", body=b"{}")).answer()

    assert (first.status, second.status) == (200, 502)
    assert upstream.paths().count("/stale") == 2


def test_a_get_on_a_stale_connection_is_sent_once_more(
    sidecar: Sidecar, upstream: Upstream
) -> None:
    before = upstream.paths().count("/stale")
    with Client(sidecar.port) as client:
        first = client.send(get("/stale")).answer()
        second = client.send(get("/stale")).answer()

    assert (first.status, second.status) == (200, 200)
    assert upstream.paths().count("/stale") - before in (2, 3)


def test_bytes_nobody_asked_for_are_never_somebodys_answer(sidecar: Sidecar) -> None:
    answers = [ask(sidecar.port, get("/surplus")) for _ in range(3)]

    assert all(answer.body in (b"ok", b"") or answer.status == 502 for answer in answers)
    assert not any(b"poisoned" in answer.body for answer in answers)


@pytest.mark.parametrize("path", ["/streams", "/hangs"])
def test_a_client_that_leaves_takes_the_upstreams_work_with_it(
    tmp_path_factory: pytest.TempPathFactory, path: str
) -> None:
    scripts: dict[str, Script] = {"/hangs": hangs, "/streams": streams_until_left}
    with (
        Upstream(scripts) as upstream,
        Sidecar(tmp_path_factory.mktemp("leaving"), upstream.url) as sidecar,
    ):
        with Client(sidecar.port) as client:
            client.send(get(path))
            assert upstream.arrived.acquire(timeout=PATIENCE)
            if path == "/streams":
                client.until(b"data: 1\n\n")

        assert upstream.let_go.wait(PATIENCE)


def test_a_client_that_leaves_in_the_middle_of_its_body_completes_no_request(
    sidecar: Sidecar, upstream: Upstream
) -> None:
    with Client(sidecar.port) as client:
        client.send(get("/half", "Content-Length: 1000", method="POST") + b"x" * 500)
    with Client(sidecar.port) as client:
        client.send(get("/half", "Transfer-Encoding: chunked", method="POST") + chunk(b"x"))

    ask(sidecar.port, get("/v1/models"))

    assert "/half" not in upstream.paths()
