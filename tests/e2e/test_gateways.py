"""nginx, Caddy and Envoy ask the guard, with the very configurations in `examples`."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from tests.e2e.servers import PATIENCE, Upstream
from tests.servers import free_port, until

pytestmark = pytest.mark.e2e

EXAMPLES = Path(__file__).parents[2] / "examples"
POLICY = """\
version: 1
mode: enforce
identify:
  trusted_proxies: [127.0.0.1]
  client_ip: x-forwarded-for
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
"""
CHAT = "/v1/chat/completions"


def binary(name: str) -> str:
    """The program `name`, from the environment that runs the tests or from the system."""
    beside = Path(sys.executable).with_name(name)
    found = (
        str(beside) if beside.exists() else shutil.which(name) or shutil.which(f"/usr/sbin/{name}")
    )
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


@contextlib.contextmanager
def process(*command: str, cwd: Path, until_port: int) -> Iterator[subprocess.Popen[bytes]]:
    """`command` as a child that listens on `until_port`; ended with the block."""
    with (cwd / f"{Path(command[0]).name}.log").open("wb") as out:
        child = subprocess.Popen(
            command, cwd=cwd, stdout=out, stderr=out,
            env={**os.environ, "GATEWAY_GUARD_SECRET": "a secret for tests only",
                 "HOME": str(cwd), "XDG_DATA_HOME": str(cwd), "XDG_CONFIG_HOME": str(cwd)},
        )  # fmt: skip
        try:
            until(lambda: listens(until_port) or child.poll() is not None, f"{command[0]} listens")
            assert child.poll() is None, Path(out.name).read_text()
            yield child
        finally:
            child.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(PATIENCE)
            child.kill()
            child.wait(PATIENCE)


def listens(port: int) -> bool:
    """Whether somebody accepts connections there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Chain:
    """A gateway in front of an upstream, and the guard it asks."""

    def __init__(self, name: str, folder: Path, upstream: Upstream) -> None:
        self.name = name
        self.folder = folder
        self.upstream = upstream
        self.port, self.guard_port, self.admin_port = free_port(), free_port(), free_port()

    def configuration(self, *changes: tuple[str, str]) -> Path:
        """The example's file, on this chain's ports."""
        source = {"nginx": "nginx/nginx.conf", "caddy": "caddy/Caddyfile",
                  "envoy": "envoy/envoy.yaml"}[self.name]  # fmt: skip
        text = (EXAMPLES / source).read_text()
        model = self.upstream.url.rpartition(":")[2]
        for old, new in changes:
            assert old in text, old
            text = text.replace(old, new)
        for port, mine in ((8080, self.port), (9000, self.guard_port), (8000, model)):
            assert str(port) in text
            text = text.replace(str(port), str(mine))
        path = self.folder / Path(source).name
        path.write_text(text)
        return path

    @contextlib.contextmanager
    def gateway(self, *changes: tuple[str, str]) -> Iterator[None]:
        path = str(self.configuration(*changes))
        command = {
            "nginx": (binary("nginx"), "-p", str(self.folder), "-c", path),
            "caddy": (binary("caddy"), "run", "--adapter", "caddyfile", "--config", path),
            "envoy": (binary("envoy"), "-c", path, "--use-dynamic-base-id", "--concurrency", "1",
                      "--log-level", "warn"),
        }[self.name]  # fmt: skip
        with process(*command, cwd=self.folder, until_port=self.port):
            yield

    @contextlib.contextmanager
    def guard(self, *flags: str) -> Iterator[None]:
        policy = self.folder / "policy.yaml"
        policy.write_text(POLICY)
        command = (
            sys.executable, "-m", "gateway_guard", "serve", "--frontend", "extauth",
            "--policy", str(policy), "--port", str(self.guard_port),
            "--admin-port", str(self.admin_port), "--drain-delay", "0", *flags,
        )  # fmt: skip
        with process(*command, cwd=self.folder, until_port=self.guard_port):
            yield

    def ask(self, path: str = CHAT, *, key: str = "sk-1", **fields: Any) -> httpx.Response:
        headers = {"authorization": f"Bearer {key}"} | fields.pop("headers", {})
        body = {"model": fields.pop("model", "m"), "messages": [{"role": "user", "content": "Hi"}]}
        return httpx.post(
            f"http://127.0.0.1:{self.port}{path}", json=body, headers=headers, timeout=PATIENCE
        )


@pytest.fixture(params=["nginx", "caddy", "envoy"])
def chain(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Chain]:
    binary(request.param)
    with Upstream() as upstream:
        yield Chain(request.param, tmp_path, upstream)


def test_a_gateway_lets_through_what_the_guard_allows_and_says_its_refusals(chain: Chain) -> None:
    with chain.guard(), chain.gateway():
        spoofed = {"x-guard-account": "acct_admin", "x-guard-action": "allow"}
        answers = [chain.ask(headers=spoofed) for _ in range(4)]
        denied, elsewhere = (
            chain.ask("/admin/users", key="sk-2"),
            chain.ask("/v1/files", key="sk-2"),
        )

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    limited = answers[3]
    assert 1 <= int(limited.headers["retry-after"]) <= 20
    assert limited.headers["content-type"] == "application/json"
    assert limited.json()["error"]["code"] == "rate_limit_exceeded"
    assert limited.headers["ratelimit"].startswith('"requests";r=0')
    # Caddy has nowhere to put them on an answer that is not its own.
    if chain.name != "caddy":
        assert answers[0].headers["ratelimit"].startswith('"requests";r=2')
    assert (denied.status_code, elsewhere.status_code) == (403, 451)
    assert "retry-after" not in denied.headers
    assert elsewhere.json()["status"] == 451
    seen = chain.upstream.seen
    assert len(seen) == 3
    assert all(one["x-guard-account"].startswith("acct_") for one in seen)
    assert all(one["x-guard-account"] != "acct_admin" for one in seen)
    assert {one["x-guard-action"] for one in seen} == {"allow"}
    # Nobody but the gateway and the upstream hears of what was found.
    assert not [name for answer in answers for name in answer.headers if name.startswith("x-guard")]


def test_while_the_guard_is_down_nothing_passes(chain: Chain) -> None:
    with chain.gateway():
        answer = chain.ask()

    assert answer.status_code == {"nginx": 500, "caddy": 502, "envoy": 503}[chain.name]
    assert chain.upstream.seen == []


OPEN = {
    "nginx": ("# To let requests through while the guard is down:  error_page", "error_page"),
    "envoy": ("failure_mode_allow: false", "failure_mode_allow: true"),
}


def test_while_the_guard_is_down_a_gateway_that_is_told_so_lets_through(chain: Chain) -> None:
    if chain.name not in OPEN:
        pytest.skip("Caddy cannot")
    with chain.gateway(OPEN[chain.name]):
        answer = chain.ask(headers={"x-guard-account": "acct_admin"})

    assert answer.status_code == 200
    (seen,) = chain.upstream.seen
    assert "x-guard-account" not in seen


def test_even_then_a_refusal_stands(chain: Chain) -> None:
    if chain.name not in OPEN:
        pytest.skip("Caddy cannot")
    with chain.guard(), chain.gateway(OPEN[chain.name]):
        answers = [chain.ask() for _ in range(4)]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]


@pytest.mark.parametrize("chain", ["envoy"], indirect=True)
def test_envoy_sends_the_body_and_the_guard_judges_it(chain: Chain) -> None:
    with chain.guard(), chain.gateway():
        assert chain.ask(model="giant").status_code == 403
        assert chain.ask(model="small").status_code == 200


@pytest.mark.parametrize("chain", ["caddy"], indirect=True)
def test_a_report_of_the_real_usage_ends_a_lease(chain: Chain) -> None:
    with chain.guard("--usage-lease", "60"), chain.gateway():
        assert chain.ask().status_code == 200
        (seen,) = chain.upstream.seen
        name = seen["x-guard-request-id"]
        url = f"http://127.0.0.1:{chain.admin_port}/v1/usage"
        reports = [
            httpx.post(url, content=msgspec.json.encode({"request_id": name, "output_tokens": 5}))
            for _ in range(2)
        ]

    assert [report.json() for report in reports] == [
        {"settled": 1, "unknown": []}, {"settled": 0, "unknown": [name]},
    ]  # fmt: skip
