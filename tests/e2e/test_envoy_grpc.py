"""What is Envoy's own over gRPC: bodies, the access log, the rate-limit service."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests import build
from tests.e2e.gateways import CHAT, EXAMPLES, POLICY, SPOOFED, Chain
from tests.e2e.servers import OK, PATIENCE, Client, Seen, Upstream, ask, get
from tests.servers import until

pytestmark = pytest.mark.e2e

ONE_AT_A_TIME = POLICY.replace("requests: 3/hour", "concurrent: 1")
BY_TOKENS = POLICY.replace("requests: 3/hour", "tokens: 5000/hour")
#: Clients are known by where they connect from.
BY_PEER = (
    POLICY.replace("client_ip: x-forwarded-for", "client_ip: peer")
    + """\
  - name: not-from-there
    when: { client_ip: 127.0.0.7 }
    then: deny
    status: 404
"""
)
LEASE = ("--usage-lease", "600")
#: Without Envoy's own removal, so that it is the guard who does not believe them.
CLAIMS = ("prefix: x-guard-", "prefix: x-nobody-")
FILE = (EXAMPLES / "envoy/envoy-grpc.yaml").read_text()


@pytest.fixture(params=["envoy-grpc"])
def chain(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Chain]:
    with Upstream() as upstream:
        yield Chain(request.param, tmp_path, upstream)


def test_the_guard_takes_away_what_the_client_says_in_its_name(chain: Chain) -> None:
    with chain.guard(), chain.gateway(CLAIMS):
        assert chain.status(headers=SPOOFED) == 200

    (seen,) = chain.upstream.seen
    assert seen["x-guard-account"].startswith("acct_")
    assert seen["x-guard-account"] != "acct_admin"
    assert "x-guard-other" not in seen


def test_the_body_is_judged_and_reaches_the_upstream_whole(chain: Chain) -> None:
    with chain.guard(), chain.gateway():
        assert chain.status(model="giant") == 403
        assert chain.status(model="small", text="x" * 200_000) == 200

    (seen,) = chain.upstream.seen
    assert seen.body == build.chat_body(model="small", text="x" * 200_000)


def test_a_body_longer_than_envoy_shows_is_one_nobody_can_judge(chain: Chain) -> None:
    with chain.guard(), chain.gateway(("max_request_bytes: 1048576", "max_request_bytes: 100")):
        # Its model is in the part that is shown, and it does not matter.
        assert chain.status(text="x" * 200) == 413

    assert chain.upstream.seen == []


def test_without_bodies_the_rest_is_judged(chain: Chain) -> None:
    (line,) = [line for line in FILE.splitlines() if "with_request_body:" in line]

    with chain.guard(), chain.gateway((line + "\n", "")):
        assert chain.status(model="giant") == 200
        assert chain.status(path="/admin") == 403


def test_the_client_is_who_envoy_says_it_is(chain: Chain) -> None:
    forged = {"x-forwarded-for": "127.0.0.1"}

    with chain.guard(policy=BY_PEER), chain.gateway():
        assert chain.status(source="127.0.0.7", headers=forged) == 404
        assert chain.status(source="127.0.0.8", headers=forged) == 200


def test_a_path_reaches_the_guard_as_the_client_wrote_it(chain: Chain) -> None:
    with chain.guard(), chain.gateway(), Client(chain.port) as client:
        answer = client.send(get("/files/..%2fadmin", "Authorization: Bearer sk-1")).answer()

    assert answer.status == 400
    assert chain.upstream.seen == []


def held(connection: socket.socket, request: Seen, upstream: Upstream) -> bool:
    """Answers when the test says so."""
    assert upstream.go.wait(PATIENCE)
    connection.sendall(OK)
    return True


def in_flight(chain: Chain, pool: ThreadPoolExecutor) -> Any:
    """A request that has reached the upstream, which holds it."""
    first = pool.submit(chain.status)
    assert chain.upstream.arrived.acquire(timeout=PATIENCE)
    return first


def test_a_request_is_in_flight_until_the_access_log_says_it_has_ended(chain: Chain) -> None:
    chain.upstream.scripts[CHAT] = held

    with (
        chain.guard(*LEASE, policy=ONE_AT_A_TIME), chain.gateway(), ThreadPoolExecutor() as pool,
    ):  # fmt: skip
        first = in_flight(chain, pool)
        # A refusal that claims to be the one in flight ends nothing.
        claim = {"x-guard-request-id": chain.upstream.seen[0]["x-guard-request-id"]}
        assert chain.status(path="/admin", headers=claim) == 403
        assert chain.status() == 429
        chain.upstream.go.set()
        assert first.result() == 200
        until(lambda: chain.status() == 200, "its place is free")


def test_without_an_access_log_its_lease_has_to_run_out(chain: Chain) -> None:
    access_log = FILE[FILE.index("                access_log:") : FILE.index("  clusters:\n")]

    with chain.guard(*LEASE, policy=ONE_AT_A_TIME), chain.gateway((access_log, "")):
        assert chain.status() == 200
        assert chain.status() == 429


def test_a_client_that_leaves_frees_its_place(chain: Chain) -> None:
    chain.upstream.scripts[CHAT] = held

    with chain.guard(*LEASE, policy=ONE_AT_A_TIME), chain.gateway():
        with Client(chain.port) as client:
            lines = ("Authorization: Bearer sk-1", "Content-Type: application/json")
            client.send(get(CHAT, *lines, method="POST", body=build.chat_body()))
            assert chain.upstream.arrived.acquire(timeout=PATIENCE)
            assert chain.status() == 429
        chain.upstream.go.set()
        until(lambda: chain.status() == 200, "its place is free")


def test_the_real_usage_replaces_the_estimate(chain: Chain) -> None:
    answer = OK.replace(b"Content-Length", b"X-Guard-Output-Tokens: 4900\r\nContent-Length")

    def counted(connection: socket.socket, request: Seen, upstream: Upstream) -> bool:
        connection.sendall(answer)
        return True

    chain.upstream.scripts[CHAT] = counted
    with chain.guard(*LEASE, policy=BY_TOKENS), chain.gateway():
        assert chain.status(max_tokens=10) == 200
        # By its estimate alone there would be room for hundreds.
        until(lambda: chain.status(max_tokens=10) == 429, "the tokens are spent")

    assert len(chain.upstream.seen) <= 3


@pytest.mark.parametrize("chain", ["envoy-ratelimit"], indirect=True)
def test_the_rate_limit_service_refuses_what_goes_beyond_a_limit(chain: Chain) -> None:
    with chain.guard(), chain.gateway():
        answers = [chain.ask() for _ in range(4)]
        other = chain.ask(key="sk-2")

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    limited = answers[3]
    assert 1 <= int(limited.headers["retry-after"]) <= 1200
    assert limited.headers.get_list("content-type") == ["application/json"]
    assert limited.headers["x-ratelimit-remaining-requests"] == "0"
    assert limited.json()["error"]["code"] == "rate_limit_exceeded"
    assert limited.headers["x-envoy-ratelimited"] == "true"
    assert other.status_code == 200


@pytest.mark.parametrize("chain", ["envoy-ratelimit"], indirect=True)
@pytest.mark.parametrize(
    "keys",
    [(), ("Authorization: Bearer sk-1 {}",), ("Authorization: Bearer sk-1",) * 2,
     ("Authorization: Bearer sk-1", "X-Api-Key: sk-9{}"), ("X-Api-Key: sk-1",)],
)  # fmt: skip
def test_however_a_client_shows_its_key_the_rate_limit_service_counts_it(
    chain: Chain, keys: tuple[str, ...]
) -> None:
    with chain.guard(), chain.gateway():
        statuses = [
            ask(chain.port, get(CHAT, *(key.format(n) for key in keys), method="POST")).status
            for n in range(4)
        ]

    assert statuses == [200, 200, 200, 429]


@pytest.mark.parametrize("chain", ["envoy-ratelimit"], indirect=True)
@pytest.mark.parametrize(("fails_open", "status"), [(False, 500), (True, 200)])
def test_while_the_guard_is_down_the_rate_limit_filter_does_as_it_is_told(
    chain: Chain, fails_open: bool, status: int
) -> None:
    with chain.gateway(fails_open=fails_open):
        assert chain.status() == status


def test_the_guard_ends_by_itself_while_envoy_keeps_its_log_open(chain: Chain) -> None:
    with chain.gateway(), chain.guard(*LEASE) as guard:
        assert chain.status() == 200

        # Killed for taking too long it would be -9.
        assert guard.end() == 0
