"""Starting, reloading, draining and being asked about it, with real processes and signals."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.servers import (
    PATIENCE,
    POLICY,
    STREAM,
    Client,
    Script,
    Sidecar,
    Upstream,
    ask,
    certificate,
    chunk,
    get,
    run,
)
from tests.e2e.servers import Seen as Request
from tests.processes import Child
from tests.servers import free_port

pytestmark = pytest.mark.e2e

ALL_DENIED = POLICY.replace("/admin, /admin/**", "/**")


def waits(connection: object, request: Request, upstream: Upstream) -> bool:
    upstream.go.wait(PATIENCE)
    body = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate"
    connection.sendall(body)  # type: ignore[attr-defined]
    return True


def streams(connection: object, request: Request, upstream: Upstream) -> bool:
    connection.sendall(STREAM + chunk(b"data: 1\n\n"))  # type: ignore[attr-defined]
    upstream.go.wait(PATIENCE)
    connection.sendall(chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n")  # type: ignore[attr-defined]
    return True


SCRIPTS: dict[str, Script] = {"/waits": waits, "/streams": streams}


def listening(pid: int) -> set[int]:
    """Ports on which a process accepts connections."""
    held = {str(one.readlink()) for one in Path(f"/proc/{pid}/fd").iterdir()}
    rows = [
        row.split()
        for table in ("tcp", "tcp6")
        for row in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]
    ]
    return {
        int(row[1].rpartition(":")[2], 16)
        for row in rows
        if row[3] == "0A" and f"socket:[{row[9]}]" in held
    }


def test_sigterm_finishes_what_is_in_flight_and_takes_nothing_new(tmp_path: Path) -> None:
    with Upstream(SCRIPTS) as upstream, Sidecar(tmp_path, upstream.url) as sidecar:
        with Client(sidecar.port) as slow, Client(sidecar.port) as stream:
            slow.send(get("/waits"))
            stream.send(get("/streams"))
            stream.until(b"data: 1\n\n")
            assert upstream.arrived.acquire(timeout=PATIENCE)
            assert upstream.arrived.acquire(timeout=PATIENCE)

            sidecar.process.send_signal(signal.SIGTERM)
            sidecar.wait_for("draining")
            assert ask(sidecar.admin, get("/readyz")).status == 503
            upstream.go.set()

            assert slow.answer().body == b"late"
            assert stream.until(b"0\r\n\r\n").endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")
        assert sidecar.process.wait(PATIENCE) == 0
        with pytest.raises(ConnectionRefusedError):
            Client(sidecar.port)


def test_what_outlasts_the_drain_is_cut(tmp_path: Path) -> None:
    with (
        Upstream(SCRIPTS) as upstream,
        Sidecar(tmp_path, upstream.url, "--drain", "1") as sidecar,
        Client(sidecar.port) as stream,
    ):
        stream.send(get("/streams"))
        stream.until(b"data: 1\n\n")
        sidecar.process.send_signal(signal.SIGTERM)

        rest = stream.until(b"0\r\n\r\n")

        assert not rest.endswith(b"0\r\n\r\n")
        assert sidecar.process.wait(PATIENCE) == 0


def test_signals_for_a_guard_that_serves_do_not_end_one_that_is_starting(tmp_path: Path) -> None:
    """Logs are rotated without asking who is just starting."""
    secret, policy = tmp_path / "secret", tmp_path / "policy.yaml"
    os.mkfifo(secret)  # it waits there until somebody writes
    policy.write_text(POLICY)
    command = [sys.executable, "-m", "gateway_guard", "serve", "-p", str(policy)]
    flags = ["-u", "http://127.0.0.1:9", "--port", "0", "--admin-port", "-1", "--drain-delay", "0"]
    env = {**os.environ, "GATEWAY_GUARD_SECRET": "", "GATEWAY_GUARD_SECRET_FILE": str(secret)}

    with Child(*command, *flags, env=env) as starting:
        with secret.open("wb") as pipe:
            for early in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
                starting.process.send_signal(early)
            pipe.write(b"a secret for tests only")
        starting.wait_for(" serving$")

        assert starting.end() == 0


def test_what_cannot_serve_for_want_of_files_exits_3_and_says_so(tmp_path: Path) -> None:
    """With 0 nothing would start it again."""
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY)
    serve = f"{sys.executable} -m gateway_guard serve -p {policy} -u http://127.0.0.1:9"

    done = subprocess.run(
        ["sh", "-c", f"ulimit -n 24 && exec {serve} --port 0 --admin-port 0"],
        capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip

    assert done.returncode == 3
    assert "Too many open files: raise the limit" in done.stderr
    assert "Traceback" not in done.stderr


def test_more_connections_than_files_leave_room_for_those_who_look_after_it(
    tmp_path: Path,
) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY)
    serve = f"{sys.executable} -m gateway_guard serve -p {policy} -u http://127.0.0.1:9"
    with (
        Child("sh", "-c", f"ulimit -n 96 && exec {serve} --port 0 --admin-port 0") as sidecar,
        contextlib.ExitStack() as held,
    ):
        port = int(sidecar.wait_for(r"listens on \S+:(\d+),"))
        admin = int(sidecar.wait_for(r"admin on \S+:(\d+)"))
        sidecar.wait_for(" serving$")
        for _ in range(200):
            held.enter_context(socket.create_connection(("127.0.0.1", port), PATIENCE))

        assert ask(admin, get("/healthz")).status == 200
        assert sidecar.heard("open-files limit=96: room for 25 connections")


def test_sighup_puts_a_new_policy_in_force(tmp_path: Path) -> None:
    with Upstream() as upstream, Sidecar(tmp_path, upstream.url) as sidecar:
        before = ask(sidecar.port, get("/v1/models")).status
        mark = len(sidecar.lines)
        sidecar.policy.write_text(ALL_DENIED)
        sidecar.process.send_signal(signal.SIGHUP)
        sidecar.wait_for("reload-done", after=mark)

        after = ask(sidecar.port, get("/v1/models")).status

        assert (before, after) == (200, 403)


def test_a_changed_file_is_noticed_without_a_signal(tmp_path: Path) -> None:
    with Upstream() as upstream, Sidecar(tmp_path, upstream.url) as sidecar:
        mark = len(sidecar.lines)
        sidecar.policy.write_text(ALL_DENIED)
        sidecar.wait_for("reload-done", after=mark)

        assert ask(sidecar.port, get("/v1/models")).status == 403


def shown(port: int) -> str:
    """The certificate a new connection sees."""
    return ssl.get_server_certificate(("127.0.0.1", port), timeout=PATIENCE)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_renewed_certificate_is_for_new_connections_and_a_broken_one_for_nobody(
    tmp_path: Path, workers: int
) -> None:
    where, key = certificate(tmp_path)
    later, key_of_later = certificate(tmp_path / "next")
    first, second = where.read_text(), later.read_text()
    trusting = ssl.create_default_context(cafile=str(where))
    flags = ["--ssl-certfile", str(where), "--ssl-keyfile", str(key), "--workers", str(workers)]
    with (
        Upstream() as upstream,
        Sidecar(tmp_path, upstream.url, *flags, "--allow-split-limits") as sidecar,
        Client(sidecar.port, tls=trusting) as client,
    ):
        sidecar.all_serve(workers)
        assert client.send(get("/v1/models")).answer().status == 200
        assert shown(sidecar.port) == first
        mark = len(sidecar.lines)
        # Without its key it can serve nobody.
        where.write_text(second)
        sidecar.wait_for("certificate-kept .* no certificate and key", after=mark, times=workers)
        kept, ready = shown(sidecar.port), ask(sidecar.admin, get("/readyz"))
        mark = len(sidecar.lines)
        key.write_bytes(key_of_later.read_bytes())
        sidecar.process.send_signal(signal.SIGHUP)
        sidecar.wait_for("reload-done", after=mark, times=workers)

        assert kept == first
        assert b"the last good certificate serves" in ready.body
        assert {shown(sidecar.port) for _ in range(4)} == {second}
        assert client.send(get("/v1/models")).answer().status == 200
        assert b"certificate serves" not in ask(sidecar.admin, get("/readyz")).body


def test_a_reload_that_fails_keeps_the_last_good_policy_and_says_so(tmp_path: Path) -> None:
    with Upstream() as upstream, Sidecar(tmp_path, upstream.url) as sidecar:
        mark = len(sidecar.lines)
        sidecar.policy.write_text(POLICY + "nonsense: 1\n")
        sidecar.process.send_signal(signal.SIGHUP)
        sidecar.wait_for("policy-kept", after=mark)

        ready = ask(sidecar.admin, get("/readyz"))
        refused = ask(sidecar.port, get("/admin"))

        assert ready.status == 200
        assert json.loads(ready.body)["status"] == "degraded"
        assert refused.status == 403


def test_the_admin_port_tells_health_readiness_and_metrics(tmp_path: Path) -> None:
    with Upstream() as upstream, Sidecar(tmp_path, upstream.url) as sidecar:
        ask(sidecar.port, get("/v1/models"))
        ask(sidecar.port, get("/admin"))

        health = ask(sidecar.admin, get("/healthz"))
        ready = ask(sidecar.admin, get("/readyz"))
        metrics = ask(sidecar.admin, get("/metrics"))

        report = json.loads(ready.body)
        assert health.status == 200
        assert (ready.status, report["status"]) == (200, "ok")
        assert report["policy"]["enforce"] is True
        assert metrics.headers["content-type"].startswith("text/plain")
        assert b'gateway_guard_rule_decisions_total{action="deny",rule="no-admin"} 1' in (
            metrics.body
        )
        assert b"gateway_guard_upstream_connections" in metrics.body


def test_admin_paths_are_not_served_to_clients(tmp_path: Path) -> None:
    with Upstream() as upstream, Sidecar(tmp_path, upstream.url) as sidecar:
        ask(sidecar.port, get("/metrics"))

        assert upstream.paths() == ["/metrics"]


def test_an_unreachable_upstream_makes_it_unready(tmp_path: Path) -> None:
    with Sidecar(tmp_path, "unix:/nonexistent/model.sock") as sidecar:
        ready = ask(sidecar.admin, get("/readyz"))

        assert ready.status == 503
        assert json.loads(ready.body)["status"] == "unready"


def test_the_admin_port_answers_while_the_upstream_is_down(tmp_path: Path) -> None:
    with Sidecar(tmp_path, "unix:/nonexistent/model.sock") as sidecar:
        failed = ask(sidecar.port, get("/v1/models"))

        answers = {path: ask(sidecar.admin, get(path)).status for path in ("/healthz", "/metrics")}

        assert failed.status == 502
        assert answers == {"/healthz": 200, "/metrics": 200}


def test_one_line_says_where_it_listens_and_by_what_it_judges(tmp_path: Path) -> None:
    with Upstream() as upstream, Sidecar(tmp_path, upstream.url) as sidecar:
        digest = hashlib.sha256(POLICY.encode()).hexdigest()[:12]
        ours, admin = (f"http://127.0.0.1:{port}" for port in (sidecar.port, sidecar.admin))

        said = [line for line in sidecar.lines if "listens on" in line]

        where = f"gateway-guard listens on {ours}, forwards to {upstream.url}, admin on {admin}"
        pages = f"dashboard on {admin}/dashboard"
        assert said == [f"{where}, {pages}, policy {sidecar.policy} {digest} enforced"]


def test_a_port_that_is_taken_is_said_and_exits_3(tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])

        done = run("serve", "-p", str(policy), "-u", "http://127.0.0.1:9", "--port", port)

    assert done.returncode == 3
    assert f"cannot listen on 127.0.0.1:{port}" in done.stderr
    assert "Traceback" not in done.stderr


def test_who_is_only_asked_by_gateways_opens_no_port_but_theirs(tmp_path: Path) -> None:
    asked = free_port()
    flags = ("--frontend", "spoe", "--spoe", f"127.0.0.1:{asked}")
    policy = f"{POLICY}identify: {{ trusted_proxies: [127.0.0.1] }}\n"
    with Sidecar(tmp_path, None, *flags, policy=policy) as guard:
        assert listening(guard.process.pid) == {asked, guard.admin}


def test_workers_need_a_word_about_split_limits(tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY)

    done = run(
        "serve", "-p", str(policy), "-u", "http://127.0.0.1:9", "--workers", "2", "--port", "0"
    )

    assert done.returncode == 2
    assert "--allow-split-limits" in done.stderr


def test_two_workers_serve_one_port_and_stop_together(tmp_path: Path) -> None:
    flags = ["--workers", "2", "--allow-split-limits"]
    with Upstream() as upstream, Sidecar(tmp_path, upstream.url, *flags) as sidecar:
        sidecar.all_serve(2)
        answers = [ask(sidecar.port, get("/v1/models")).status for _ in range(8)]
        sidecar.process.send_signal(signal.SIGTERM)

        assert answers == [200] * 8
        assert sidecar.process.wait(PATIENCE) == 0


def version_6() -> bool:
    """Whether this machine has it."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.skipif(not version_6(), reason="this machine has no IPv6")
@pytest.mark.parametrize("host", ["::1", "[::1]"])
def test_version_6_is_listened_on_with_brackets_and_without(tmp_path: Path, host: str) -> None:
    flags = ["--host", host, "--admin-host", host]
    with Upstream() as upstream, Sidecar(tmp_path, upstream.url, *flags) as sidecar:
        for port in (sidecar.port, sidecar.admin):
            with socket.create_connection(("::1", port), PATIENCE) as client:
                client.sendall(get("/healthz"))
                assert client.recv(100).startswith(b"HTTP/1.1 ")


@pytest.mark.parametrize(
    ("flags", "hint"),
    [
        (["--upstream", "http://127.0.0.1:9", "--ssl-certfile", "none.pem"], "none.pem"),
        (["--upstream", "http://127.0.0.1:9", "--proxy-protocol"], "trusted_proxies"),
        (["--upstream", "http://127.0.0.1:9", "--host", "203.0.113.1"], "cannot listen"),
        (["--upstream", "http://127.0.0.1:9", "--uds", "/nonexistent/x.sock"], "cannot listen"),
        (["--upstream", "https://127.0.0.1:9", "--upstream-ca", "none.pem"], "none.pem"),
        (["--upstream", "http://127.0.0.1:9", "--accounts", "none.jsonl"], "none.jsonl"),
        (["--upstream", "http://127.0.0.1:9", "--network", "none.mmdb"], "none.mmdb"),
        (
            ["--upstream", "http://127.0.0.1:9", "--decision-log", "/nonexistent/x"],
            "/nonexistent/x",
        ),
    ],
)
def test_flags_that_cannot_work_say_so_and_exit_3(
    tmp_path: Path, flags: list[str], hint: str
) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY)

    done = run("serve", "-p", str(policy), "--port", "0", "--admin-port", "-1", *flags)

    assert done.returncode == 3
    assert hint in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_policy_that_does_not_load_exits_3_with_every_finding(
    tmp_path: Path, workers: str
) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY + "nonsense: 1\nrubbish: 2\n")
    flags = ["--port", "0", "--admin-port", "-1", "--workers", workers, "--allow-split-limits"]

    done = run("serve", "-p", str(policy), "-u", "http://127.0.0.1:9", *flags)

    assert "Traceback" not in done.stderr
    assert done.returncode == 3
    assert "nonsense" in done.stderr
    assert "rubbish" in done.stderr
