"""The real Envoy asks the guard over gRPC, with the very configurations in `examples/envoy`."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests import build
from tests.e2e.servers import OK, PATIENCE, Client, Seen, Upstream, get
from tests.e2e.test_gateways import binary, process
from tests.servers import free_port, until

pytestmark = pytest.mark.e2e

EXAMPLES = Path(__file__).parents[2] / "examples" / "envoy"
POLICY = """\
version: 1
mode: enforce
identify:
  trusted_proxies: [127.0.0.1]
limits:
  requests: { per: account, requests: 3/minute }
rules:
  - name: no-admin
    when: { path: [/admin, /admin/**] }
    then: deny
  - name: no-files
    when: { path: /v1/files }
    then: deny
    status: 451
  - name: no-giants
    when: { model: giant }
    then: deny
  - name: not-from-there
    when: { client_ip: 127.0.0.7 }
    then: deny
    status: 404
"""
ONE_AT_A_TIME = POLICY.replace("requests: 3/minute", "concurrent: 1")
BY_TOKENS = POLICY.replace("requests: 3/minute", "tokens: 5000/hour")
CHAT = "/v1/chat/completions"
OPEN = ("failure_mode_allow: false", "failure_mode_allow: true")
#: Without Envoy's own removal, so that it is the guard who does not believe them.
CLAIMS = ("prefix: x-guard-", "prefix: x-nobody-")
SPOOFED = {"x-guard-account": "acct_admin", "x-guard-action": "allow", "x-guard-other": "1"}


class Chain:
    """Envoy in front of an upstream, and the guard it asks."""

    def __init__(self, folder: Path, upstream: Upstream) -> None:
        self.folder = folder
        self.upstream = upstream
        self.port, self.guard_port = free_port(), free_port()

    @contextlib.contextmanager
    def envoy(self, *changes: tuple[str, str], file: str = "envoy-grpc.yaml") -> Iterator[None]:
        text = (EXAMPLES / file).read_text()
        model = int(self.upstream.url.rpartition(":")[2])
        ports = ((8080, self.port), (9001, self.guard_port), (8000, model))
        for old, new in (*changes, *((f"value: {port} ", f"value: {to} ") for port, to in ports)):
            assert old in text, old
            text = text.replace(old, new)
        path = self.folder / file
        path.write_text(text)
        command = (binary("envoy"), "-c", str(path), "--use-dynamic-base-id", "--concurrency", "1",
                   "--log-level", "warn")  # fmt: skip
        with process(*command, cwd=self.folder, until_port=self.port):
            yield

    @contextlib.contextmanager
    def guard(
        self, policy: str = POLICY, *, lease: float = 0.0
    ) -> Iterator[subprocess.Popen[bytes]]:
        path = self.folder / "policy.yaml"
        path.write_text(policy)
        program = Path(__file__).with_name("envoy_guard.py")
        command = (sys.executable, str(program), str(path), f"127.0.0.1:{self.guard_port}",
                   str(lease))  # fmt: skip
        with process(*command, cwd=self.folder, until_port=self.guard_port) as child:
            yield child

    def ask(
        self, path: str = CHAT, *, key: str = "sk-1", source: str = "127.0.0.1",
        headers: dict[str, str] | None = None, **body: Any,
    ) -> httpx.Response:  # fmt: skip
        transport = httpx.HTTPTransport(local_address=source)
        with httpx.Client(transport=transport, timeout=PATIENCE) as client:
            return client.post(
                f"http://127.0.0.1:{self.port}{path}", content=build.chat_body(**body),
                headers={"authorization": f"Bearer {key}", "content-type": "application/json",
                         **(headers or {})},
            )  # fmt: skip

    def status(self, **question: Any) -> int:
        return self.ask(**question).status_code


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[Chain]:
    binary("envoy")
    with Upstream() as upstream:
        yield Chain(tmp_path, upstream)


def test_envoy_lets_through_what_the_guard_allows_and_says_its_refusals(chain: Chain) -> None:
    with chain.guard(), chain.envoy(CLAIMS):
        answers = [chain.ask(headers=SPOOFED) for _ in range(4)]
        denied = chain.ask("/admin/users", key="sk-2")
        elsewhere = chain.ask("/v1/files", key="sk-2", headers={"accept": "application/json"})

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[0].headers["ratelimit"].startswith('"requests";r=2')
    assert answers[0].headers["x-ratelimit-remaining-requests"] == "2"
    limited = answers[3]
    assert 1 <= int(limited.headers["retry-after"]) <= 20
    assert limited.headers.get_list("content-type") == ["application/json"]
    assert limited.json()["error"]["code"] == "rate_limit_exceeded"
    assert denied.status_code == 403
    assert denied.json()["status"] == 403
    # Envoy has no word for 451; the body does.
    assert (elsewhere.status_code, elsewhere.json()["status"]) == (403, 451)
    seen = chain.upstream.seen
    assert len(seen) == 3
    assert all(one["x-guard-account"].startswith("acct_") for one in seen)
    assert {one["x-guard-account"] for one in seen} != {"acct_admin"}
    assert {one["x-guard-action"] for one in seen} == {"allow"}
    assert not any("x-guard-other" in one for one in seen)
    assert not [name for answer in answers for name in answer.headers if name.startswith("x-guard")]


def test_the_body_is_judged_and_reaches_the_upstream_whole(chain: Chain) -> None:
    with chain.guard(), chain.envoy():
        assert chain.status(model="giant") == 403
        assert chain.status(model="small", text="x" * 200_000) == 200

    (seen,) = chain.upstream.seen
    assert seen.body == build.chat_body(model="small", text="x" * 200_000)


def test_a_body_longer_than_envoy_shows_is_one_nobody_can_judge(chain: Chain) -> None:
    with chain.guard(), chain.envoy(("max_request_bytes: 1048576", "max_request_bytes: 100")):
        # Its model is in the part that is shown, and it does not matter.
        assert chain.status(text="x" * 200) == 413

    assert chain.upstream.seen == []


def test_without_bodies_the_rest_is_judged(chain: Chain) -> None:
    text = (EXAMPLES / "envoy-grpc.yaml").read_text()
    (line,) = [line for line in text.splitlines() if "with_request_body:" in line]

    with chain.guard(), chain.envoy((line + "\n", "")):
        assert chain.status(model="giant") == 200
        assert chain.status(path="/admin") == 403


def test_the_client_is_who_envoy_says_it_is(chain: Chain) -> None:
    forged = {"x-forwarded-for": "127.0.0.1"}

    with chain.guard(), chain.envoy():
        assert chain.status(source="127.0.0.7", headers=forged) == 404
        assert chain.status(source="127.0.0.8", headers=forged) == 200


def test_a_path_reaches_the_guard_as_the_client_wrote_it(chain: Chain) -> None:
    with chain.guard(), chain.envoy(), Client(chain.port) as client:
        answer = client.send(get("/files/..%2fadmin", "Authorization: Bearer sk-1")).answer()

    assert answer.status == 400
    assert chain.upstream.seen == []


def test_while_the_guard_is_down_nothing_passes(chain: Chain) -> None:
    with chain.envoy():
        assert chain.status() == 503

    assert chain.upstream.seen == []


def test_while_the_guard_is_down_envoy_lets_through_if_told_so_and_nobody_speaks_for_the_guard(
    chain: Chain,
) -> None:
    with chain.envoy(OPEN):
        assert chain.status(headers=SPOOFED) == 200

    (seen,) = chain.upstream.seen
    assert not [name for name, _ in seen.headers if name.startswith("x-guard-")]


def test_even_then_a_refusal_stands(chain: Chain) -> None:
    with chain.guard(), chain.envoy(OPEN):
        assert [chain.status() for _ in range(4)] == [200, 200, 200, 429]


def test_an_envoy_the_policy_does_not_trust_lets_nothing_through_even_then(chain: Chain) -> None:
    policy = POLICY.replace("[127.0.0.1]", "[192.0.2.1]")

    with chain.guard(policy), chain.envoy(OPEN):
        assert chain.status() == 403

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
        chain.guard(ONE_AT_A_TIME, lease=600.0), chain.envoy(), ThreadPoolExecutor() as pool,
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
    text = (EXAMPLES / "envoy-grpc.yaml").read_text()
    access_log = text[text.index("                access_log:") : text.index("  clusters:\n")]

    with chain.guard(ONE_AT_A_TIME, lease=600.0), chain.envoy((access_log, "")):
        assert chain.status() == 200
        assert chain.status() == 429


def test_a_client_that_leaves_frees_its_place(chain: Chain) -> None:
    chain.upstream.scripts[CHAT] = held

    with chain.guard(ONE_AT_A_TIME, lease=600.0), chain.envoy():
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
    with chain.guard(BY_TOKENS, lease=600.0), chain.envoy():
        assert chain.status(max_tokens=10) == 200
        # By its estimate alone there would be room for hundreds.
        until(lambda: chain.status(max_tokens=10) == 429, "the tokens are spent")

    assert len(chain.upstream.seen) <= 3


def test_the_rate_limit_service_refuses_what_goes_beyond_a_limit(chain: Chain) -> None:
    with chain.guard(), chain.envoy(file="envoy-ratelimit.yaml"):
        answers = [chain.ask() for _ in range(4)]
        other = chain.ask(key="sk-2")

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    limited = answers[3]
    assert 1 <= int(limited.headers["retry-after"]) <= 20
    assert limited.headers.get_list("content-type") == ["application/json"]
    assert limited.json()["error"]["code"] == "rate_limit_exceeded"
    assert limited.headers["x-envoy-ratelimited"] == "true"
    assert other.status_code == 200


@pytest.mark.parametrize(("deny", "status"), [("true", 500), ("false", 200)])
def test_while_the_guard_is_down_the_rate_limit_filter_does_as_it_is_told(
    chain: Chain, deny: str, status: int
) -> None:
    change = ("failure_mode_deny: true", f"failure_mode_deny: {deny}")

    with chain.envoy(change, file="envoy-ratelimit.yaml"):
        assert chain.status() == status


def test_the_guard_ends_by_itself_while_envoy_keeps_its_log_open(chain: Chain) -> None:
    with chain.envoy(), chain.guard(lease=600.0) as guard:
        assert chain.status() == 200

    # Killed for taking too long it would be -9.
    assert guard.returncode == 0
