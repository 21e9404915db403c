"""The black-box reliability harness, 540 raw-socket cases, against `serve` as it can be set up.

The harness is not part of this repository; where it does not lie beside the checkout the tests skip
and say so. What it warns about is argued in `hostile.md`; a new warning fails the test, so that it
is argued, too.
"""

from __future__ import annotations

import json
import re
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.relay import Relay, to_path, to_port
from tests.e2e.servers import PATIENCE, Sidecar, certificate
from tests.servers import free_port, needs_redis, shared_server

HERE = Path(__file__).resolve()
#: Beside the checkout, however deep in it these tests run (`make wheel` copies them to its build).
HARNESS = next(
    (
        folder
        for parent in HERE.parents
        if (folder := parent / "shared" / "harness").joinpath("run_cases.py").exists()
    ),
    None,
)

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.longest,
    pytest.mark.skipif(
        HARNESS is None,
        reason="not part of this repository, and not beside the checkout: ../shared/harness",
    ),
]

#: What the cases expect: `base` believes its peer's X-Forwarded-For, `edge` nobody's.
EDGE = """\
version: 1
mode: enforce
websocket: allow
inspect: { max_body: 1 MB }
limits:
  limited: { per: client_ip, requests: 5/minute, burst: 5, when: { path: /v1/limited } }
  keyed: { per: account, requests: 5/minute, burst: 5, when: { path: /v1/keyed } }
rules:
  - { name: no-admin, when: { path: [/admin, /admin/**] }, then: deny }
  - { name: health, when: { path: /health }, then: allow }
  - name: denied-address
    when: { client_ip: [203.0.113.66, "2001:db8:66::/48"] }
    then: deny
  - name: only-one
    when: { path: /iponly, client_ip: 198.51.100.10 }
    then: allow
  - { name: nobody-else, when: { path: /iponly }, then: deny }
  - { name: text, when: { prompt: DENYME-7f3a }, then: deny }
"""
UNKNOWN = "  - { name: unknown-address, when: { client_ip: unknown }, then: deny }\n"
EDGE += UNKNOWN
BASE = EDGE + "identify:\n  trusted_proxies: [127.0.0.1/32]\n"
FEATURES = ("path", "ip", "edge", "exempt", "text", "rl_ip", "rl_key", "body", "ws")
#: Groups of cases that depend on how bytes are read from clients; and those cases of how answers
#: are read that do not also measure how fast a relay is.
BYTES = "framing,syntax,path,headers,upgrade"
ANSWERS = "UPS-0,UPS-10,UPS-11,UPS-12,UPS-13,UPS-14,UPT-01,UPT-02,UPT-03,UPT-04"
#: Times that a case which fails is asked again, alone.
AGAIN = 3


@dataclass
class Site:
    """Where a set-up listens.

    Attributes:
        base, edge: the ports of both listeners; None without an edge.
        pid: of the process whose memory is watched; None where there are several.
    """

    base: int
    edge: int | None = None
    pid: int | None = None


Setup = Callable[[ExitStack, Path, int], Site]
FLAGS = ("--max-body", str(1024 * 1024))


def sidecar(running: ExitStack, folder: Path, url: str, *flags: str, policy: str) -> Sidecar:
    folder.mkdir()
    return running.enter_context(Sidecar(folder, url, *FLAGS, *flags, policy=policy))


def plain(running: ExitStack, folder: Path, upstream: int) -> Site:
    url = f"http://127.0.0.1:{upstream}"
    base = sidecar(running, folder / "base", url, policy=BASE)
    edge = sidecar(running, folder / "edge", url, policy=EDGE)
    return Site(base.port, edge.port, base.process.pid)


def tls(running: ExitStack, folder: Path, upstream: int) -> Site:
    """TLS on both sides."""
    where, key = map(str, certificate(folder))
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(where, key)
    trusting = ssl.create_default_context(cafile=where)
    behind = running.enter_context(Relay(to_port(upstream), tls=serving))
    url = f"https://localhost:{behind.port}"
    flags = ("--ssl-certfile", where, "--ssl-keyfile", key, "--upstream-ca", where)
    base = sidecar(running, folder / "base", url, *flags, policy=BASE)
    front = running.enter_context(Relay(to_port(base.port, trusting)))
    return Site(front.port, None, base.process.pid)


def unix(running: ExitStack, folder: Path, upstream: int) -> Site:
    """Unix sockets on both sides; who connects has no address, and what it says is believed."""
    model, listens = str(folder / "model.sock"), str(folder / "guard.sock")
    running.enter_context(Relay(to_port(upstream), path=model))
    # Nobody's address is known of whom the other end says nothing.
    policy = EDGE.replace(UNKNOWN, "") + "identify:\n  trusted_proxies: [unix]\n"
    base = sidecar(
        running, folder / "base", f"unix:{model}", "--uds", listens, "--preserve-host",
        policy=policy,
    )  # fmt: skip
    front = running.enter_context(Relay(to_path(listens)))
    return Site(front.port, None, base.process.pid)


def proxied(running: ExitStack, folder: Path, upstream: int) -> Site:
    """Behind a balancer that speaks the PROXY protocol: of the base it names a trusted proxy, of
    the edge a stranger."""
    url, flags = f"http://127.0.0.1:{upstream}", ("--proxy-protocol", "--preserve-host")
    base = sidecar(running, folder / "base", url, *flags, policy=BASE)
    edge = sidecar(running, folder / "edge", url, *flags, policy=BASE)
    trusted = b"PROXY TCP4 127.0.0.1 127.0.0.1 40000 80\r\n"
    # Version 2, with the same addresses but for the source's.
    stranger = (
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes((192, 0, 2, 1, 127, 0, 0, 1))
        + b"\x9c\x40\0\x50"
    )  # fmt: skip
    front = running.enter_context(Relay(to_port(base.port), prefix=trusted))
    outside = running.enter_context(Relay(to_port(edge.port), prefix=stranger))
    return Site(front.port, outside.port, base.process.pid)


def workers(running: ExitStack, folder: Path, upstream: int) -> Site:
    """Several processes that count their limits together."""
    store = f"redis://127.0.0.1:{shared_server().port}/0"
    flags = ("--workers", "2", "--store", store)
    url = f"http://127.0.0.1:{upstream}"
    base = sidecar(running, folder / "base", url, *flags, policy=BASE)
    base.all_serve(2)
    edge = sidecar(running, folder / "edge", url, *flags, policy=EDGE)
    edge.all_serve(2)
    return Site(base.port, edge.port)


def argued() -> set[str]:
    """Cases whose warning `hostile.md` argues."""
    text = HERE.with_name("hostile.md").read_text("utf-8")
    return set(re.findall(r"^\| ([A-Z]{3}-\w+) \|", text, re.MULTILINE))


@contextmanager
def echo() -> Iterator[tuple[int, int]]:
    """The harness's upstream: its port and that of its log."""
    port, control = free_port(), free_port()
    command = [sys.executable, "echo_upstream.py", "--port", str(port), "--ctl", str(control)]
    with subprocess.Popen(command, cwd=HARNESS, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert "echo upstream on" in process.stdout.readline()
            yield port, control
        finally:
            process.terminate()
            process.wait(PATIENCE)


def cases(profile: Path, out: Path, *which: str) -> tuple[list[dict[str, Any]], str]:
    """What the cases `which` name found, and what was printed."""
    files = ["--profile", str(profile), "--out", str(out)]
    done = subprocess.run(
        [sys.executable, "run_cases.py", *files, *which],
        cwd=HARNESS, capture_output=True, text=True, timeout=400, check=False,
    )  # fmt: skip
    assert done.returncode in (0, 1), done.stderr
    return json.loads(out.read_text())["rows"], done.stdout


@pytest.mark.parametrize(
    ("setup", "groups", "fewest"),
    [
        pytest.param(plain, "framing,syntax,path,headers,client-ip,limits,body", 430, id="plain"),
        pytest.param(plain, "bombs,upgrade,lifecycle,upstream,ratelimit", 100, id="plain-slow"),
        pytest.param(tls, BYTES, 240, id="tls"),
        pytest.param(unix, BYTES, 240, id="unix"),
        pytest.param(proxied, f"{BYTES},client-ip", 300, id="proxy-protocol"),
        pytest.param(workers, "syntax,headers,lifecycle,ratelimit", 70, id="workers",
                     marks=needs_redis),
    ],
)  # fmt: skip
def test_no_case_fails_and_every_warning_is_argued(
    tmp_path: Path, setup: Setup, groups: str, fewest: int
) -> None:
    with ExitStack() as running:
        upstream, control = running.enter_context(echo())
        site = setup(running, tmp_path, upstream)
        profile, out = tmp_path / "profile.json", tmp_path / "found.json"
        profile.write_text(json.dumps({
            "name": setup.__name__,
            "base": ["127.0.0.1", site.base],
            "edge": ["127.0.0.1", site.edge] if site.edge is not None else None,
            "ctl": control,
            "features": [name for name in FEATURES if name != "edge" or site.edge is not None],
            "pid": site.pid,
        }))  # fmt: skip

        rows, said = cases(profile, out, "--groups", groups)
        if "upstream" not in groups and BYTES in groups:
            answers, more = cases(profile, out, "--only", ANSWERS)
            rows, said = rows + answers, said + more

        verdicts = {row["id"]: row["verdict"] for row in rows}
        for _ in range(AGAIN):
            failed = [case for case, verdict in verdicts.items() if verdict == "FAIL"]
            if not failed:
                break
            # Some measure how long others wait, which two busy cores can make long.
            again, more = cases(profile, out, "--only", ",".join(failed))
            said += more
            verdicts |= {row["id"]: row["verdict"] for row in again}
    assert "FAIL" not in verdicts.values(), said
    judged = {case: verdict for case, verdict in verdicts.items() if verdict != "n/a"}
    assert len(judged) >= fewest, said
    if site.edge is not None:
        assert len(judged) == len(verdicts), said
    assert {case for case, verdict in judged.items() if verdict == "warn"} <= argued(), said
