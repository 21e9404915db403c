"""The gateways of `examples`, each in front of an upstream, asking a real `gateway-guard serve`."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests import build
from tests.e2e.servers import PATIENCE, Sidecar, Upstream
from tests.processes import Child
from tests.servers import free_port, until

EXAMPLES = Path(__file__).parents[2] / "examples"
TRUSTED = "[127.0.0.1]"
#: By the hour: however slowly a test asks, what is spent does not come back meanwhile.
POLICY = f"""\
version: 1
mode: enforce
identify:
  trusted_proxies: {TRUSTED}
  client_ip: x-forwarded-for
limits:
  requests: {{ per: account, requests: 3/hour }}
rules:
  - name: no-admin
    when: {{ path: [/admin, /admin/**] }}
    then: deny
  - name: no-files
    when: {{ path: /v1/files }}
    then: deny
    status: 451
  - name: no-giants
    when: {{ model: giant }}
    then: deny
  - name: no-sockets
    when: {{ method: WEBSOCKET, path: /v1/realtime }}
    then: deny
  - name: verify
    when: {{ path: /v1/verify }}
    then: challenge
    url: "https://verify.example/start"
"""
CHAT = "/v1/chat/completions"
SPOOFED = {"x-guard-account": "acct_admin", "x-guard-action": "allow", "x-guard-other": "1",
           "x_guard_account": "acct_admin"}  # fmt: skip

#: How long the examples wait for the guard, and how long tests do: a busy machine must not look
#: like a guard that does not answer.
PATIENT = (
    (" 250ms", " 10s"), (" 500ms", " 10s"), ("hello 1s", "hello 10s"),
    ("option spop-check", "timeout check 20s\n  option spop-check"),
    ("_timeout 1s", "_timeout 20s"),
    (" timeout: 1s", " timeout: 20s"), ("connect_timeout: 0.25s", "connect_timeout: 10s"),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Gateway:
    """A program, and how the example has it ask.

    Attributes:
        files: of `examples`; the first is the one it is started with.
        command: what starts it; `{file}` is that file.
        frontend: of the guard, and the port where the files ask it.
        down: the status of a request while the guard is down.
        opening: what to change in the file to let requests through then.
        looks: what it says of a guard that it finds gone, and back; None where it looks with each
            request.
    """

    files: tuple[str, ...]
    command: tuple[str, ...]
    frontend: str = "extauth"
    port: int = 9000
    down: int
    opening: tuple[tuple[str, str], ...]
    looks: tuple[str, str] | None = None


_ENVOY = (
    "envoy",
    "-c",
    "{file}",
    "--use-dynamic-base-id",
    "--concurrency",
    "1",
    "--log-level",
    "warn",
)
_ENVOY_OPEN = (("failure_mode_allow: false", "failure_mode_allow: true"),)
GATEWAYS = {
    "nginx": Gateway(
        files=("nginx/nginx.conf",),
        command=("nginx", "-p", "{folder}", "-c", "{file}"),
        down=500,
        opening=(("# To let requests through while the guard is down:  error_page", "error_page"),),
    ),
    "caddy": Gateway(
        files=("caddy/Caddyfile",),
        command=("caddy", "run", "--adapter", "caddyfile", "--config", "{file}"),
        down=502,
        opening=(("\t# \t", "\t\t"), ("\t# handle_errors", "\thandle_errors"), ("\t# }", "\t}")),
    ),
    "envoy": Gateway(
        files=("envoy/envoy.yaml",), command=_ENVOY, down=503, opening=_ENVOY_OPEN
    ),
    "envoy-grpc": Gateway(
        files=("envoy/envoy-grpc.yaml",), command=_ENVOY, frontend="envoy", port=9003, down=503,
        opening=_ENVOY_OPEN,
    ),
    "envoy-ratelimit": Gateway(
        files=("envoy/envoy-ratelimit.yaml",), command=_ENVOY, frontend="envoy", port=9003,
        down=500, opening=(("failure_mode_deny: true", "failure_mode_deny: false"),),
    ),
    "haproxy": Gateway(
        files=("haproxy/haproxy.cfg", "haproxy/spoe-guard.conf"),
        command=("haproxy", "-db", "-f", "{file}"), frontend="spoe", port=9002, down=503,
        opening=(("  http-request return status 503 content-type text/plain string", "  #"),),
        looks=("Server guard/guard is DOWN", "Server guard/guard is UP"),
    ),
}  # fmt: skip


def binary(name: str) -> str:
    """The program `name`, from the environment that runs the tests or from the system."""
    beside = Path(sys.executable).with_name(name)
    found = (
        str(beside) if beside.exists() else shutil.which(name) or shutil.which(f"/usr/sbin/{name}")
    )
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def listens(port: int) -> bool:
    """Whether somebody accepts connections there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Chain:
    """A gateway in front of an upstream, and the guard it asks, on ports of their own."""

    def __init__(self, name: str, folder: Path, upstream: Upstream) -> None:
        self.name = name
        self.kind = GATEWAYS[name]
        self.program = binary(self.kind.command[0])
        self.folder = folder
        self.upstream = upstream
        self.port, self.guard_port = free_port(), free_port()

    @contextlib.contextmanager
    def gateway(self, *changes: tuple[str, str], fails_open: bool = False) -> Iterator[Child]:
        """The program, with the example's files.

        `fails_open`: it lets requests through while the guard is down. Every change is of something
        that is in a file. Where a change says no other, it waits for the guard as long as a test.
        """
        changes = (*(self.kind.opening if fails_open else ()), *changes)
        texts = {Path(file).name: (EXAMPLES / file).read_text() for file in self.kind.files}
        for old, new in changes:
            assert any(old in text for text in texts.values()), old
            texts = {name: text.replace(old, new) for name, text in texts.items()}
        for old, new in PATIENT:
            texts = {name: text.replace(old, new) for name, text in texts.items()}
        ports = {
            "8080": str(self.port), str(self.kind.port): str(self.guard_port),
            "8000": self.upstream.url.rpartition(":")[2],
        }  # fmt: skip
        first = next(iter(texts))
        # In one go: a port taken here may hold the digits of another one.
        texts[first], found = re.subn(
            rf"\b({'|'.join(ports)})\b", lambda match: ports[match[0]], texts[first]
        )
        assert found >= len(ports)
        for name, text in texts.items():
            (self.folder / name).write_text(text)
        home = str(self.folder)
        command = [
            word.format(folder=home, file=self.folder / first) for word in self.kind.command[1:]
        ]
        with Child(
            self.program, *command, listen_to="both", cwd=self.folder,
            env={**os.environ, "HOME": home, "XDG_DATA_HOME": home, "XDG_CONFIG_HOME": home},
        ) as child:  # fmt: skip
            until(
                lambda: listens(self.port) or child.process.poll() is not None,
                f"{self.name} listens",
            )
            assert child.process.poll() is None, "\n".join(child.lines)
            yield child

    def sees(self, gateway: Child, *, up: bool, times: int = 1) -> None:
        """Wait until the gateway has noticed, for so many times, that the guard is gone or back."""
        if self.kind.looks is not None:
            gateway.wait_for(self.kind.looks[up], times=times)

    def guard(
        self, *flags: str, policy: str = POLICY, where: str | None = None
    ) -> contextlib.AbstractContextManager[Sidecar]:
        """`gateway-guard serve`, asked on this chain's port, or `where` else."""
        front = self.kind.frontend
        address = where or f"127.0.0.1:{self.guard_port}"
        asked = ("--port", str(self.guard_port)) if front == "extauth" else (f"--{front}", address)
        return Sidecar(self.folder, None, "--frontend", front, *asked, *flags, policy=policy)

    def ask(
        self, path: str = CHAT, *, key: str = "sk-1", source: str = "127.0.0.1",
        headers: Mapping[str, str] | None = None, content: Any = None, method: str = "POST",
        **body: Any,
    ) -> httpx.Response:  # fmt: skip
        """A client's request; `body` are members of a chat body, unless there is a `content`."""
        transport = httpx.HTTPTransport(local_address=source)
        fields = {"authorization": f"Bearer {key}", "content-type": "application/json"}
        if content is None and method == "POST":
            content = build.chat_body(**body)
        with httpx.Client(transport=transport, timeout=2 * PATIENCE) as client:
            return client.request(
                method, f"http://127.0.0.1:{self.port}{path}", content=content,
                headers=fields | dict(headers or {}),
            )  # fmt: skip

    def status(self, **question: Any) -> int:
        """As `ask`; the status."""
        return self.ask(**question).status_code
