"""What goes through the sidecar, byte by byte, over real sockets."""

from __future__ import annotations

import signal
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.servers import (
    PATIENCE,
    STREAM,
    Client,
    Seen,
    Sidecar,
    Upstream,
    ask,
    certificate,
    chunk,
    get,
    says,
)

pytestmark = pytest.mark.e2e

EVENTS = 5


def paced(connection: socket.socket, request: Seen, upstream: Upstream) -> bool:
    """One event each time the test allows the next."""
    connection.sendall(STREAM)
    for number in range(EVENTS):
        upstream.go.wait(PATIENCE)
        upstream.go.clear()
        connection.sendall(chunk(b"data: %d\n\n" % number))
    connection.sendall(b"0\r\n\r\n")
    return True


SCRIPTS = {
    "/paced": paced,
    "/hints": says(
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        goes_on=True,
    ),
    "/until-close": says(b"HTTP/1.1 200 OK\r\n\r\nall of it"),
    "/hop": says(
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nKeep-Alive: timeout=9\r\nX-Own: 1\r\n"
        b"Connection: keep-alive, X-Own\r\nX-Guard-Risk: 0\r\nX-Kept: yes\r\n\r\nok",
        goes_on=True,
    ),
    "/empty": says(b"HTTP/1.1 204 No Content\r\nX-Kept: yes\r\n\r\n", goes_on=True),
    "/trailers": says(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Late: 1\r\n\r\n",
        goes_on=True,
    ),
    "/head": says(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n"),
}


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream(SCRIPTS) as server:
        yield server


@pytest.fixture(scope="module")
def sidecar(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    with Sidecar(tmp_path_factory.mktemp("sidecar"), upstream.url) as running:
        yield running


def test_a_request_and_its_answer_pass_unchanged(sidecar: Sidecar, upstream: Upstream) -> None:
    body = b'{"model":"m","messages":[{"role":"user","content":"hi"}]}'
    raw = get("/v1/chat/completions", "Content-Type: application/json", method="POST", body=body)

    answer = ask(sidecar.port, raw)

    assert (answer.status, answer.body) == (200, b'{"ok":true}')
    assert upstream.seen[-1].body == body
    assert upstream.seen[-1].line == "POST /v1/chat/completions HTTP/1.1"


@pytest.mark.parametrize(
    "target",
    [
        "/a%20b?q=%2F&x",
        "/v1/files/a%2Eb",
        "/%e2%82%ac?",
        "/v1//x",
        "/a?b?c=/../d",
        "/model/arn%3Aaws%3Abedrock%3A%3A%3Aprofile%2Fx/converse",
    ],
)
def test_the_target_is_forwarded_as_it_was_written(
    sidecar: Sidecar, upstream: Upstream, target: str
) -> None:
    count = len(upstream.seen)

    answer = ask(sidecar.port, get(target))

    if answer.status == 200:
        assert upstream.seen[-1].line == f"GET {target.removesuffix('?')} HTTP/1.1"
    else:
        assert answer.status == 400
        assert len(upstream.seen) == count


def test_an_absolute_target_is_forwarded_as_a_path(sidecar: Sidecar, upstream: Upstream) -> None:
    answer = ask(sidecar.port, get("http://api.test/v1/models?x=1"))

    assert answer.status == 200
    assert upstream.seen[-1].line == "GET /v1/models?x=1 HTTP/1.1"


def test_each_event_of_a_stream_arrives_before_the_next_is_sent(
    sidecar: Sidecar, upstream: Upstream
) -> None:
    with Client(sidecar.port) as client:
        client.send(get("/paced"))
        client.until(b"\r\n\r\n")
        for number in range(EVENTS):
            # The next is sent when this one has been read: one that is held back is never read.
            upstream.go.set()
            line = client.until(b"data: %d\n\n" % number)

            assert line.endswith(b"data: %d\n\n" % number)


def test_the_clients_forwarding_headers_are_replaced(sidecar: Sidecar, upstream: Upstream) -> None:
    spoofed = [
        "X-Forwarded-For: 198.51.100.1",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Host: evil.test",
        "X-Forwarded-Prefix: /admin",
        "X-Real-IP: 198.51.100.1",
        "Forwarded: for=198.51.100.1",
        "X_Forwarded_For: 198.51.100.1",
        "CF-Connecting-IP: 198.51.100.1",
        "True-Client-IP: 198.51.100.1",
        "X-Guard-Action: allow",
        "X-Guard-Account: acct_mine",
        "X-Original-URL: /admin",
        "X-HTTP-Method-Override: DELETE",
        "Proxy: http://evil.test",
    ]

    ask(sidecar.port, get("/v1/models", *spoofed))

    seen = upstream.seen[-1]
    assert "198.51.100.1" not in str(seen.headers)
    assert "evil.test" not in str(seen.headers)
    assert "acct_mine" not in str(seen.headers)
    assert seen["x-forwarded-for"] == "127.0.0.1"
    assert seen["x-forwarded-proto"] == "http"
    assert seen["x-forwarded-host"] == "api.test"
    assert seen["x-guard-action"] == "allow"
    assert seen["x-guard-request-id"].startswith("r_")
    assert seen["host"] == upstream.url.removeprefix("http://")
    assert "x-http-method-override" not in seen
    assert "x-forwarded-prefix" not in seen


def test_hop_by_hop_fields_end_here_but_nothing_judged_can_be_removed(
    sidecar: Sidecar, upstream: Upstream
) -> None:
    lines = [
        "Authorization: Bearer sk-a",
        "X-Secret: 1",
        "TE: trailers",
        "Keep-Alive: timeout=5",
        "Proxy-Authorization: Basic eDp5",
        "Connection: X-Secret, Authorization, Host, Content-Length, X-Forwarded-For",
    ]

    answer = ask(sidecar.port, get("/v1/files", *lines, method="POST", body=b"hello"))

    seen = upstream.seen[-1]
    assert answer.status == 200
    assert seen["authorization"] == "Bearer sk-a"
    assert seen.body == b"hello"
    for gone in ("x-secret", "te", "keep-alive", "proxy-authorization", "connection"):
        assert gone not in seen
    assert seen["x-forwarded-for"] == "127.0.0.1"


def test_an_answers_hop_by_hop_fields_end_here(sidecar: Sidecar) -> None:
    answer = ask(sidecar.port, get("/hop"))

    assert answer.headers["x-kept"] == "yes"
    for gone in ("keep-alive", "x-own", "x-guard-risk", "server"):
        assert gone not in answer.headers


def test_a_chunked_upload_is_streamed_and_its_trailers_are_dropped(
    sidecar: Sidecar, upstream: Upstream
) -> None:
    head = get("/v1/files", "Transfer-Encoding: chunked", method="POST")
    trailers = b"0\r\nAuthorization: Bearer sk-other\r\nX-Forwarded-For: 198.51.100.1\r\n\r\n"

    answer = ask(sidecar.port, head + chunk(b"hello ") + chunk(b"world") + trailers)

    seen = upstream.seen[-1]
    assert answer.status == 200
    assert seen.body == b"hello world"
    assert "authorization" not in seen
    assert "198.51.100.1" not in str(seen.headers)


def test_an_upload_reaches_the_upstream_while_it_is_still_being_sent(
    sidecar: Sidecar, upstream: Upstream
) -> None:
    big = b"x" * 300_000
    with Client(sidecar.port) as client:
        client.send(get("/v1/files", f"Content-Length: {len(big)}", method="PUT"))
        client.send(big[:150_000])
        client.send(big[150_000:])

        answer = client.answer()

    assert answer.status == 200
    assert upstream.seen[-1].body == big


def test_expect_100_continue_is_answered(sidecar: Sidecar, upstream: Upstream) -> None:
    with Client(sidecar.port) as client:
        client.send(get("/v1/files", "Expect: 100-continue", "Content-Length: 5", method="POST"))
        first = client.answer()
        client.send(b"hello")
        second = client.answer()

    assert (first.status, second.status) == (100, 200)
    assert upstream.seen[-1].body == b"hello"
    assert "expect" not in upstream.seen[-1]


def test_head_gets_no_body_and_the_connection_goes_on(sidecar: Sidecar) -> None:
    with Client(sidecar.port) as client:
        first = client.send(get("/head", method="HEAD")).answer(head_only=True)
        second = client.send(get("/v1/models")).answer()

    assert (first.status, first.headers["content-length"]) == (200, "900")
    assert second.body == b'{"ok":true}'


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/hints", 200, b"ok"),
        ("/until-close", 200, b"all of it"),
        ("/empty", 204, b""),
        ("/trailers", 200, b"ok"),
    ],
)
def test_unusual_but_sound_answers_pass(
    sidecar: Sidecar, path: str, status: int, body: bytes
) -> None:
    answer = ask(sidecar.port, get(path))

    assert (answer.status, answer.body, answer.complete) == (status, body, True)


def test_an_http_1_0_client_gets_a_body_that_ends_with_the_connection(sidecar: Sidecar) -> None:
    answer = ask(sidecar.port, b"GET /trailers HTTP/1.0\r\n\r\n")

    assert "transfer-encoding" not in answer.headers
    assert answer.body == b"ok"


def test_pipelined_requests_are_answered_in_order(sidecar: Sidecar, upstream: Upstream) -> None:
    with Client(sidecar.port) as client:
        client.send(get("/hints") + get("/empty") + get("/v1/models"))

        answers = [client.answer() for _ in range(3)]

    assert [answer.status for answer in answers] == [200, 204, 200]
    assert answers[2].body == b'{"ok":true}'
    assert upstream.paths()[-3:] == ["/hints", "/empty", "/v1/models"]


def test_a_refusal_leaves_the_connection_usable(sidecar: Sidecar, upstream: Upstream) -> None:
    with Client(sidecar.port) as client:
        client.send(get("/admin", method="POST", body=b"x" * 3000) + get("/v1/models"))

        refused, served = client.answer(), client.answer()

    assert (refused.status, served.status) == (403, 200)
    assert "/admin" not in upstream.paths()


def test_a_refusal_can_be_read_while_the_body_is_still_being_sent(sidecar: Sidecar) -> None:
    with Client(sidecar.port) as client:
        client.send(get("/admin", "Content-Length: 800000", method="POST"))
        for _ in range(8):
            client.send(b"x" * 80_000)

        answer = client.answer()

    assert answer.status == 403
    assert answer.complete


def test_connections_to_the_upstream_are_kept(sidecar: Sidecar, upstream: Upstream) -> None:
    for _ in range(3):
        ask(sidecar.port, get("/v1/models"))

    assert len({request.connection for request in upstream.seen[-3:]}) == 1


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "DELETE"])
def test_a_body_that_the_upstream_may_pass_over_is_the_last_thing_on_its_connection(
    sidecar: Sidecar, upstream: Upstream, method: str
) -> None:
    hidden = get("/admin")
    chunks = get("/files", "Transfer-Encoding: chunked", method=method) + chunk(hidden) + chunk(b"")
    for raw in (get("/files", method=method, body=hidden), chunks):
        with Client(sidecar.port) as client:
            client.send(raw).answer(head_only=method == "HEAD")
            with_body = upstream.seen[-1]
            client.send(get("/files", method=method)).answer(head_only=method == "HEAD")
            without = upstream.seen[-1]

        assert (with_body.body, with_body["connection"]) == (hidden, "close")
        assert "connection" not in without
        assert without.connection != with_body.connection


def test_both_sides_over_unix_sockets(tmp_path: Path) -> None:
    listens = str(tmp_path / "guard.sock")
    with (
        Upstream(unix=str(tmp_path / "model.sock")) as upstream,
        Sidecar(tmp_path, upstream.url, "--uds", listens),
        Client(0, path=listens) as client,
    ):
        answer = client.send(get("/v1/models")).answer()

        assert answer.status == 200
        assert "x-forwarded-for" not in upstream.seen[-1]
    assert not Path(listens).exists()


def test_both_sides_over_tls(tmp_path: Path) -> None:
    where, key = certificate(tmp_path)
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(where, key)
    trusting = ssl.create_default_context(cafile=str(where))
    flags = ["--ssl-certfile", str(where), "--ssl-keyfile", str(key), "--upstream-ca", str(where)]
    with (
        Upstream(tls=serving) as upstream,
        Sidecar(tmp_path, upstream.url, *flags) as sidecar,
        Client(sidecar.port, tls=trusting) as client,
    ):
        answer = client.send(get("/v1/models")).answer()

        assert answer.status == 200
        assert upstream.seen[-1]["x-forwarded-proto"] == "https"


def test_renewed_authorities_are_trusted_and_broken_ones_change_nothing(tmp_path: Path) -> None:
    where, key = certificate(tmp_path / "theirs")
    other, _ = certificate(tmp_path / "other")
    ours = tmp_path / "ca.pem"
    ours.write_bytes(other.read_bytes())
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(where, key)
    with (
        Upstream(tls=serving) as upstream,
        Sidecar(tmp_path, upstream.url, "--upstream-ca", str(ours)) as sidecar,
    ):
        before = ask(sidecar.port, get("/v1/models", "Connection: close")).status
        mark = len(sidecar.lines)
        ours.write_bytes(where.read_bytes())
        sidecar.wait_for("reload-done", after=mark)
        after = ask(sidecar.port, get("/v1/models", "Connection: close")).status
        mark = len(sidecar.lines)
        ours.write_text("no certificate")
        sidecar.process.send_signal(signal.SIGHUP)
        sidecar.wait_for("upstream-ca-kept", after=mark)
        sidecar.wait_for("reload-failed", after=mark)
        ready = ask(sidecar.admin, get("/readyz"))

        assert (before, after) == (502, 200)
        assert ask(sidecar.port, get("/v1/models", "Connection: close")).status == 200
        assert b"the last good authorities are trusted" in ready.body


def test_an_upstream_whose_certificate_is_not_trusted_gets_nothing(tmp_path: Path) -> None:
    where, key = certificate(tmp_path)
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(where, key)
    with Upstream(tls=serving) as upstream, Sidecar(tmp_path, upstream.url) as sidecar:
        answer = ask(sidecar.port, get("/v1/models"))

        assert answer.status == 502
        assert upstream.seen == []


def test_preserve_host_and_a_prefix(tmp_path: Path) -> None:
    with (
        Upstream() as upstream,
        Sidecar(tmp_path, upstream.url + "/openai/", "--preserve-host") as sidecar,
    ):
        ask(sidecar.port, get("/v1/models"))

        assert upstream.seen[-1].line == "GET /openai/v1/models HTTP/1.1"
        assert upstream.seen[-1]["host"] == "api.test"


def test_a_body_past_max_body_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with (
        Upstream() as upstream,
        Sidecar(tmp_path, upstream.url, "--max-body", "1000") as sidecar,
    ):
        announced = ask(sidecar.port, get("/x", "Content-Length: 10000000000", method="POST"))
        chunked = ask(
            sidecar.port,
            get("/x", "Transfer-Encoding: chunked", method="POST") + chunk(b"x" * 2000),
        )

        assert (announced.status, chunked.status) == (413, 413)
        assert upstream.seen == []
