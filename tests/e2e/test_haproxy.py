"""HAProxy asks the guard over SPOE, with the very configuration in `examples/haproxy`."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.servers import PATIENCE, Upstream, ask, get
from tests.servers import free_port, until

pytestmark = pytest.mark.e2e

HAPROXY = shutil.which("haproxy") or shutil.which("/usr/sbin/haproxy")
if HAPROXY is None:
    pytest.skip("haproxy is not installed: apt-get install haproxy", allow_module_level=True)

EXAMPLES = Path(__file__).parents[2] / "examples" / "haproxy"
POLICY = """\
version: 1
mode: enforce
identify:
  trusted_proxies: [127.0.0.1, unix]
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
  - name: verify
    when: { path: /v1/verify }
    then: challenge
    url: "https://verify.example/start"
"""
CHAT = "/v1/chat/completions"
#: What the comment in the file says: without its next rule requests pass while the guard is down.
CLOSED = "  http-request return status 503"


class Child:
    """A process whose output can be waited for; ended with its block."""

    def __init__(self, *command: str, cwd: Path, **environment: str) -> None:
        self.process = subprocess.Popen(
            command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env={**os.environ, "GATEWAY_GUARD_SECRET": "a secret for tests only", **environment},
        )  # fmt: skip
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def says(self, text: str, *, times: int = 1) -> None:
        """Wait until it has written `text` so many times."""
        until(
            lambda: "\n".join(self.lines).count(text) >= times or self.process.poll() is not None,
            f"{text!r} is written",
        )
        assert "\n".join(self.lines).count(text) >= times, "\n".join(self.lines)

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End it with a signal, and wait for that."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        if self.process.stdout is not None:
            self.process.stdout.close()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for raw in self.process.stdout:
            self.lines.append(raw.decode(errors="replace").rstrip())


class Chain:
    """HAProxy in front of an upstream, and the guard it asks."""

    def __init__(self, folder: Path, upstream: Upstream) -> None:
        self.folder = folder
        self.upstream = upstream
        self.port, self.guard_port = free_port(), free_port()
        (folder / "policy.yaml").write_text(POLICY)

    @contextlib.contextmanager
    def haproxy(self, *changes: tuple[str, str], up: bool = True) -> Iterator[Child]:
        """The example's files on this chain's ports; `up`: once the guard has been found."""
        text = (EXAMPLES / "haproxy.cfg").read_text()
        model = self.upstream.url.rpartition(":")[2]
        ports = (
            (":8080", f":{self.port}"),
            (":9000", f":{self.guard_port}"),
            (":8000", f":{model}"),
        )
        for old, new in (*ports, *changes):
            assert old in text, old
            text = text.replace(old, new)
        (self.folder / "haproxy.cfg").write_text(text)
        shutil.copy(EXAMPLES / "spoe-guard.conf", self.folder)
        assert HAPROXY is not None
        child = Child(HAPROXY, "-db", "-f", "haproxy.cfg", cwd=self.folder)
        try:
            # Only changes are written: a server counts as up until its first check.
            if not up:
                child.says("Server guard/guard is DOWN")
            until(lambda: listens(self.port) or child.process.poll() is not None, "HAProxy listens")
            assert child.process.poll() is None, "\n".join(child.lines)
            yield child
        finally:
            child.stop()

    @contextlib.contextmanager
    def guard(self, where: str | None = None) -> Iterator[Child]:
        """The agent, on this chain's port or at a path."""
        runner = str(Path(__file__).with_name("spoe_agent.py"))
        child = Child(
            sys.executable, runner, "policy.yaml", where or str(self.guard_port), cwd=self.folder,
            PYTHONPATH=str(Path(__file__).parents[2]),
        )  # fmt: skip
        try:
            child.says("serving")
            yield child
        finally:
            child.stop()

    def ask(self, path: str = CHAT, *, key: str = "sk-1", **fields: Any) -> httpx.Response:
        headers = {"authorization": f"Bearer {key}"} | fields.pop("headers", {})
        body = {"model": fields.pop("model", "m"), "messages": [{"role": "user", "content": "Hi"}]}
        content = fields.pop("content", None)
        if content is not None:
            headers["content-type"] = "application/json"
        return httpx.post(
            f"http://127.0.0.1:{self.port}{path}", json=None if content else body, content=content,
            headers=headers, timeout=PATIENCE,
        )  # fmt: skip


def listens(port: int) -> bool:
    """Whether somebody answers there."""
    try:
        httpx.get(f"http://127.0.0.1:{port}/", timeout=PATIENCE)
    except httpx.TransportError:
        return False
    return True


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[Chain]:
    with Upstream() as upstream:
        yield Chain(tmp_path, upstream)


def seen(chain: Chain) -> list[Any]:
    """What reached the upstream, without the test's own look whether HAProxy listens."""
    return [one for one in chain.upstream.seen if one.line.split(" ")[1] != "/"]


def test_haproxy_lets_through_what_the_guard_allows_and_says_its_refusals(chain: Chain) -> None:
    with chain.guard(), chain.haproxy():
        spoofed = {"x-guard-account": "acct_admin", "x-guard-other": "1", "x_guard_action": "allow"}
        answers = [chain.ask(headers=spoofed) for _ in range(4)]
        denied = chain.ask("/admin/users", key="sk-2")
        elsewhere = chain.ask("/v1/files", key="sk-2")

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    limited = answers[3]
    assert 1 <= int(limited.headers["retry-after"]) <= 20
    assert int(limited.headers["retry-after-ms"]) <= 20_000
    assert limited.headers["content-type"] == "application/json"
    assert limited.json()["error"]["code"] == "rate_limit_exceeded"
    assert limited.headers["ratelimit"].startswith('"requests";r=0')
    assert limited.headers["x-request-id"].startswith("r_")
    assert answers[0].headers["ratelimit"].startswith('"requests";r=2')
    assert (denied.status_code, elsewhere.status_code) == (403, 451)
    assert "retry-after" not in denied.headers
    assert denied.headers["x-should-retry"] == "false"
    assert elsewhere.json()["status"] == 451
    reached = seen(chain)
    assert len(reached) == 3
    for one in reached:
        told = {name: value for name, value in one.headers if "guard" in name}
        assert told["x-guard-account"].startswith("acct_")
        assert told["x-guard-action"] == "allow"
        assert set(told) == {
            "x-guard-account", "x-guard-action", "x-guard-country", "x-guard-request-id",
            "x-guard-restrict", "x-guard-risk",
        }  # fmt: skip
    assert not [name for answer in answers for name in answer.headers if name.startswith("x-guard")]


def test_a_challenge_leads_to_where_the_account_is_verified(chain: Chain) -> None:
    with chain.guard(), chain.haproxy():
        answer = chain.ask("/v1/verify")

    assert answer.status_code == 403
    assert answer.headers["x-guard-challenge-url"] == "https://verify.example/start"


def test_the_body_is_judged(chain: Chain) -> None:
    with chain.guard(), chain.haproxy():
        assert chain.ask(model="giant").status_code == 403
        assert chain.ask(model="small").status_code == 200
        # Chunked, and over a connection that announces nothing of its length.
        body = b'{"model": "giant", "messages": [{"role": "user", "content": "Hi"}]}'
        assert chain.ask(content=iter([body[:9], body[9:]])).status_code == 403

    assert len(seen(chain)) == 1


@pytest.mark.parametrize("size", [59_000, 61_000, 200_000])
def test_a_body_too_long_to_be_sent_is_one_that_nobody_could_read(chain: Chain, size: int) -> None:
    body = b'{"model": "m", "messages": [{"role": "user", "content": "%b"}]}' % (b"a" * size)
    with chain.guard(), chain.haproxy():
        announced = chain.ask(content=body).status_code
        chunked = chain.ask(content=iter([body[:5000], body[5000:]]), key="sk-2").status_code

    assert (announced, chunked) == ((200, 200) if size < 60_000 else (413, 413))


def test_a_head_too_long_for_a_frame_is_refused_even_where_failures_pass(chain: Chain) -> None:
    body = b'{"model": "giant", "messages": [{"role": "user", "content": "%b"}]}' % (b"a" * 59_000)
    with chain.guard(), chain.haproxy((CLOSED, "  # http-request return status 503")):
        answer = chain.ask(content=body, headers={"x-long": "b" * 69_000})
        long_head = chain.ask(headers={"x-long": "b" * 69_000})

    assert (answer.status_code, long_head.status_code) == (431, 431)
    assert seen(chain) == []


def test_a_head_that_haproxy_passes_on_and_a_guard_must_not_is_refused(chain: Chain) -> None:
    with chain.guard() as guard, chain.haproxy():
        answer = ask(chain.port, get("/v1/models", "X-Odd: a\x1bb"))
        guard.says("the header fields are malformed")

    assert answer.status == 400
    assert seen(chain) == []


def test_while_the_guard_is_down_nothing_passes(chain: Chain) -> None:
    with chain.haproxy(up=False):
        answer = chain.ask()

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert seen(chain) == []


def test_while_the_guard_is_down_a_haproxy_that_is_told_so_lets_through(chain: Chain) -> None:
    with chain.haproxy((CLOSED, "  # http-request return status 503"), up=False):
        answer = chain.ask(headers={"x-guard-account": "acct_admin"})

    assert answer.status_code == 200
    (one,) = seen(chain)
    assert {name: value for name, value in one.headers if "guard" in name} == {
        "x-guard-degraded": "1"
    }


def test_even_then_a_refusal_stands(chain: Chain) -> None:
    with chain.guard(), chain.haproxy((CLOSED, "  # http-request return status 503")):
        answers = [chain.ask() for _ in range(4)]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]


def test_a_guard_that_comes_back_is_asked_again(chain: Chain) -> None:
    with chain.haproxy(up=False) as haproxy:
        for times in (1, 2):
            with chain.guard() as guard:
                haproxy.says("Server guard/guard is UP", times=times)
                assert chain.ask().status_code == 200
                guard.stop()
                guard.says("closed")
            haproxy.says("Server guard/guard is DOWN", times=times + 1)
            assert chain.ask().status_code == 503


def test_a_guard_that_is_killed_between_two_requests_lets_nothing_through(chain: Chain) -> None:
    with chain.guard() as guard, chain.haproxy():
        assert chain.ask().status_code == 200
        guard.stop(signal.SIGKILL)
        assert chain.ask().status_code == 503

    assert len(seen(chain)) == 1


def test_a_guard_that_is_too_slow_is_not_waited_for_and_found_again(chain: Chain) -> None:
    with chain.guard() as guard, chain.haproxy() as haproxy:
        assert chain.ask().status_code == 200
        guard.process.send_signal(signal.SIGSTOP)
        late = chain.ask()
        guard.process.send_signal(signal.SIGCONT)
        until(lambda: chain.ask(key="sk-2").status_code == 200, "the guard is asked again")
        assert haproxy.process.poll() is None

    assert late.status_code == 503
    assert late.elapsed.total_seconds() < 5.0


def test_over_a_unix_socket(chain: Chain) -> None:
    path = str(chain.folder / "guard")
    with chain.guard(path), chain.haproxy((f"127.0.0.1:{chain.guard_port}", f"unix@{path}")):
        answers = [chain.ask() for _ in range(4)]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]


def test_a_guard_that_does_not_trust_haproxy_says_so_and_nothing_passes(chain: Chain) -> None:
    (chain.folder / "policy.yaml").write_text(POLICY.replace("127.0.0.1", "10.0.0.1"))
    with chain.guard() as guard, chain.haproxy(up=False):
        guard.says("127.0.0.1 is not in identify.trusted_proxies")
        assert chain.ask().status_code == 503

    assert seen(chain) == []


def test_many_clients_at_once_are_all_answered(chain: Chain) -> None:
    statuses: list[int] = []

    def client(number: int) -> None:
        with httpx.Client(timeout=PATIENCE) as session:
            for turn in range(15):
                answer = session.post(
                    f"http://127.0.0.1:{chain.port}{CHAT}",
                    json={"model": "giant" if turn % 3 else "m", "messages": []},
                    headers={"authorization": f"Bearer sk-{number}-{turn}"},
                )
                statuses.append(answer.status_code)

    with chain.guard(), chain.haproxy():
        threads = [threading.Thread(target=client, args=(number,)) for number in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)

    assert (statuses.count(200), statuses.count(403), len(statuses)) == (80, 160, 240)
