"""Bytes that mean one request to one reader and two to another: refused, never forwarded."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from tests.e2e.servers import Client, Sidecar, Upstream, ask, get

pytestmark = pytest.mark.e2e

HIDDEN = b"GET /admin HTTP/1.1\r\nHost: api.test\r\n\r\n"


def post(*lines: bytes, body: bytes = b"") -> bytes:
    head = b"".join(line + b"\r\n" for line in (b"Host: api.test", *lines))
    return b"POST /v1/x HTTP/1.1\r\n" + head + b"\r\n" + body


CHUNKED = b"Transfer-Encoding: chunked"

REFUSED = {
    "length and chunked": post(CHUNKED, b"Content-Length: 4", body=b"0\r\n\r\n" + HIDDEN),
    "chunked and length": post(b"Content-Length: 4", CHUNKED, body=b"0\r\n\r\n" + HIDDEN),
    "chunked twice": post(CHUNKED, CHUNKED, body=b"0\r\n\r\n"),
    "chunked, identity": post(b"Transfer-Encoding: chunked, identity", body=b"0\r\n\r\n"),
    "gzip, chunked": post(b"Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"),
    "quoted chunked": post(b'Transfer-Encoding: "chunked"', body=b"0\r\n\r\n"),
    "xchunked": post(b"Transfer-Encoding: xchunked", body=b"0\r\n\r\n"),
    "vertical tab": post(b"Transfer-Encoding: \x0bchunked", body=b"0\r\n\r\n"),
    "space before the colon": post(b"Transfer-Encoding : chunked", body=b"0\r\n\r\n"),
    "folded": post(b"Transfer-Encoding:\r\n chunked", body=b"0\r\n\r\n"),
    "dotted name": post(b"Transfer.Encoding: chunked", body=b""),
    "bare CR": post(b"X: x\r" + CHUNKED, body=b""),
    "bare LF": post(b"X: x\n" + CHUNKED, body=b""),
    "NUL in a value": post(b"X: a\0b"),
    "empty name": post(b": x"),
    "no colon": post(b"FooBar"),
    "space in a name": post(b"Foo bar: x"),
    "two lengths": post(b"Content-Length: 5", b"Content-Length: 5", body=b"hello"),
    "length list": post(b"Content-Length: 5, 5", body=b"hello"),
    "signed length": post(b"Content-Length: +5", body=b"hello"),
    "huge length": post(b"Content-Length: 18446744073709551621", body=b"hello"),
    "two hosts": post(b"Host: evil.test"),
    "two authorizations": post(b"Authorization: Bearer a", b"Authorization: Bearer b"),
    "look-alike": post(b"X.Forwarded.For: 1.2.3.4"),
    "unknown expectation": post(b"Expect: fire"),
    "1,000 fields": post(*[b"X-%d: a" % i for i in range(1000)]),
    "70 KiB field": post(b"X-A: " + b"a" * 70_000),
    "70 KiB name": post(b"X" * 70_000 + b": a"),
    "70 KiB target": get("/v1/x?" + "a" * 70_000),
    "no host": b"GET /v1/x HTTP/1.1\r\n\r\n",
    "empty host": b"GET /v1/x HTTP/1.1\r\nHost:\r\n\r\n",
    "host with a path": b"GET /v1/x HTTP/1.1\r\nHost: api.test/v1/ok?x=\r\n\r\n",
    "host with user info": b"GET /v1/x HTTP/1.1\r\nHost: a@b\r\n\r\n",
    "host with a bad port": b"GET /v1/x HTTP/1.1\r\nHost: api.test:99999\r\n\r\n",
    "all bare LF": get("/v1/x").replace(b"\r\n", b"\n"),
    "HTTP/0.9": b"GET /v1/x\r\n\r\n",
    "HTTP/2.0": b"GET /v1/x HTTP/2.0\r\nHost: api.test\r\n\r\n",
    "lower-case version": b"GET /v1/x http/1.1\r\nHost: api.test\r\n\r\n",
    "HTTP/1.0 chunked": b"POST /v1/x HTTP/1.0\r\n" + CHUNKED + b"\r\n\r\n0\r\n\r\n",
    "CONNECT": b"CONNECT api.test:443 HTTP/1.1\r\nHost: api.test:443\r\n\r\n",
    "TRACE": get("/v1/x", method="TRACE"),
    "unknown method": get("/v1/x", method="FOO"),
    "lower-case method": get("/v1/x", method="get"),
    "fragment": get("/v1/x#/admin"),
    "asterisk": get("*"),
    "no slash": get("admin"),
    "other authority": get("http://evil.test/v1/x"),
    "space in the target": get("/v1/x y"),
    "8-bit target": b"GET /v1/\xff HTTP/1.1\r\nHost: api.test\r\n\r\n",
    "PROXY line": b"PROXY TCP4 198.51.100.1 127.0.0.1 5555 80\r\n" + get("/v1/x"),
    "TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"A" * 200,
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0",
    "noise": random.Random(1).randbytes(4096),
    "upgrade with a body": post(
        b"Connection: Upgrade", b"Upgrade: h2c", b"Content-Length: 5", body=b"hello"
    ),
}

BAD_CHUNKS = [
    b"0x5\r\nhello\r\n0\r\n\r\n",
    b"+5\r\nhello\r\n0\r\n\r\n",
    b" 5\r\nhello\r\n0\r\n\r\n",
    b"5\nhello\r\n0\r\n\r\n",
    b"4\r\nhello\r\n0\r\n\r\n",
    b"5\r\nhelloXX0\r\n\r\n",
    b"5\r\nhello\n0\r\n\r\n",
    b"10000000000000005\r\nhello\r\n0\r\n\r\n",
    b"5;\nxx\r\nhello\r\n0\r\n\r\n",
    b"g\r\nhello\r\n0\r\n\r\n",
    b"5\r\nhello\r\n0\n\n",
]


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream() as server:
        yield server


@pytest.fixture(scope="module")
def sidecar(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    with Sidecar(tmp_path_factory.mktemp("sidecar"), upstream.url) as running:
        yield running


@pytest.mark.parametrize("name", REFUSED)
def test_a_head_with_two_readings_is_refused(
    sidecar: Sidecar, upstream: Upstream, name: str
) -> None:
    count = len(upstream.seen)

    with Client(sidecar.port) as client:
        answer = client.send(REFUSED[name]).answer()

        assert 400 <= answer.status < 500 or answer.status == 505
        assert client.closed
    assert len(upstream.seen) == count


@pytest.mark.parametrize("body", BAD_CHUNKS)
def test_broken_chunks_complete_no_request(
    sidecar: Sidecar, upstream: Upstream, body: bytes
) -> None:
    count = len(upstream.seen)

    with Client(sidecar.port) as client:
        answer = client.send(post(CHUNKED, body=body + HIDDEN)).answer()

        assert 400 <= answer.status < 500
        assert client.closed
    assert len(upstream.seen) == count


def test_a_body_is_no_request(sidecar: Sidecar, upstream: Upstream) -> None:
    raw = post(b"Content-Length: %d" % len(HIDDEN), body=HIDDEN)

    answer = ask(sidecar.port, raw)

    assert answer.status == 200
    assert upstream.seen[-1].body == HIDDEN
    assert "/admin" not in upstream.paths()


def test_an_error_behind_a_request_waits_for_its_answer(sidecar: Sidecar) -> None:
    with Client(sidecar.port) as client:
        client.send(get("/v1/models") + b"GE\0T / HTTP/1.1\r\n\r\n")

        first, second = client.answer(), client.answer()

    assert (first.status, first.body) == (200, b'{"ok":true}')
    assert second.status == 400


def test_trailers_without_end_are_cut_off(sidecar: Sidecar, upstream: Upstream) -> None:
    count = len(upstream.seen)
    flood = b"5\r\nhello\r\n0\r\n" + b"X-T: " + b"t" * 400_000

    answer = ask(sidecar.port, post(CHUNKED, body=flood))

    assert answer.status == 431
    assert len(upstream.seen) == count


def test_an_upgrade_to_h2c_is_ignored(sidecar: Sidecar, upstream: Upstream) -> None:
    lines = ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk"]

    answer = ask(sidecar.port, get("/v1/models", *lines))

    assert answer.status == 200
    for gone in ("upgrade", "http2-settings", "connection"):
        assert gone not in upstream.seen[-1]


def test_slow_heads_and_bodies_are_closed_in_time(
    upstream: Upstream, tmp_path_factory: pytest.TempPathFactory
) -> None:
    flags = ["--timeout-header", "1", "--timeout-body", "1", "--timeout-keep-alive", "1"]
    with Sidecar(tmp_path_factory.mktemp("slow"), upstream.url, *flags) as sidecar:
        with Client(sidecar.port) as silent:
            assert silent.closed
        with Client(sidecar.port) as slow_head:
            assert slow_head.send(b"GET /v1/x HTTP/1.1\r\nHost: a").answer().status == 408
        with Client(sidecar.port) as slow_body:
            raw = get("/v1/x", "Content-Length: 9", method="POST") + b"x"
            assert slow_body.send(raw).answer().status == 408
        with Client(sidecar.port) as idle:
            assert idle.send(get("/v1/models")).answer().status == 200
            assert idle.closed
