"""The PROXY protocol on the sidecar's listener."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from gateway_guard.frontends.proxy_protocol import V2_SIGNATURE
from tests.e2e.servers import POLICY, Client, Sidecar, Upstream, get

pytestmark = pytest.mark.e2e

V1 = b"PROXY TCP4 203.0.113.7 127.0.0.1 5555 80\r\n"
V2 = (
    V2_SIGNATURE
    + b"\x21\x11\x00\x0c"
    + socket.inet_aton("203.0.113.7")
    + socket.inet_aton("127.0.0.1")
    + b"\x15\xb3\x00\x50"
)


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream() as server:
        yield server


@pytest.fixture(scope="module")
def sidecar(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    policy = POLICY + "identify: { trusted_proxies: [127.0.0.1/32], client_ip: peer }\n"
    folder = tmp_path_factory.mktemp("sidecar")
    with Sidecar(folder, upstream.url, "--proxy-protocol", policy=policy) as running:
        yield running


@pytest.mark.parametrize("header", [V1, V2], ids=["version 1", "version 2"])
def test_the_client_is_who_the_header_names(
    sidecar: Sidecar, upstream: Upstream, header: bytes
) -> None:
    with Client(sidecar.port) as client:
        first = client.send(header + get("/v1/models")).answer()
        second = client.send(get("/v1/models")).answer()

    assert (first.status, second.status) == (200, 200)
    assert upstream.seen[-1]["x-forwarded-for"] == "203.0.113.7"
    assert upstream.seen[-1]["x-real-ip"] == "203.0.113.7"


def test_a_header_in_pieces_is_read(sidecar: Sidecar, upstream: Upstream) -> None:
    with Client(sidecar.port) as client:
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for i in range(len(V2)):
            client.send(V2[i : i + 1])
        answer = client.send(get("/v1/models")).answer()

    assert answer.status == 200
    assert upstream.seen[-1]["x-forwarded-for"] == "203.0.113.7"


@pytest.mark.parametrize(
    "first",
    [
        b"",
        b"PROXY TCP4 203.0.113.7 127.0.0.1 5555\r\n",
        b"PROXY TCP4 203.0.113.007 127.0.0.1 5555 80\r\n",
        V1 + V1,
        V2[:13] + b"\x31" + V2[14:],
    ],
)
def test_anything_else_is_closed_unserved(
    sidecar: Sidecar, upstream: Upstream, first: bytes
) -> None:
    count = len(upstream.seen)

    with Client(sidecar.port) as client:
        answer = client.send(first + get("/v1/models")).answer()

    assert answer.status in (0, 400)
    assert len(upstream.seen) == count


def test_a_peer_that_is_not_trusted_is_closed_unserved(
    upstream: Upstream, tmp_path_factory: pytest.TempPathFactory
) -> None:
    policy = POLICY + "identify: { trusted_proxies: [192.0.2.0/24] }\n"
    folder = tmp_path_factory.mktemp("distrust")
    with (
        Sidecar(folder, upstream.url, "--proxy-protocol", policy=policy) as sidecar,
        Client(sidecar.port) as client,
    ):
        answer = client.send(V1 + get("/v1/models")).answer()

    assert answer.status == 0
