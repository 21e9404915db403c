"""Several workers behind one port: replaced one by one under load, killed, counted together."""

from __future__ import annotations

import json
import os
import re
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.servers import PATIENCE, POLICY, Answer, Client, Sidecar, Upstream, ask, get, run
from tests.servers import needs_redis, shared_server, until

pytestmark = pytest.mark.e2e

#: Seconds in which a client of a busy machine comes to its next request: each answer meanwhile
#: tells it that its connection ends.
DRAIN_DELAY = "1.5"
FLAGS = ["--workers", "2", "--allow-split-limits", "--drain-delay", DRAIN_DELAY]


class Load:
    """Clients that ask one thing after another over connections they keep, until told to stop."""

    def __init__(self, port: int, clients: int = 4) -> None:
        self.statuses: Counter[int] = Counter()
        self._port = port
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(clients)]

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(PATIENCE)

    def _ask(self) -> None:
        client: Client | None = None
        while not self._stop.is_set():
            client = client or Client(self._port)
            answer = client.send(get("/v1/models")).answer()
            with self._lock:
                self.statuses[answer.status] += 1
            if not answer.complete or answer.headers.get("connection") == "close":
                client.socket.close()
                client = None
        if client is not None:
            client.socket.close()

    def more(self, count: int) -> None:
        """Wait until so many more requests were answered."""
        with self._lock:
            goal = self.statuses.total() + count
        until(lambda: self.statuses.total() >= goal, f"{count} more answers")


@contextmanager
def load(port: int) -> Iterator[Load]:
    """Requests on `port` while the block runs."""
    asking = Load(port)
    for thread in asking._threads:
        thread.start()
    try:
        yield asking
    finally:
        asking.stop()


def count(page: Answer, name: str) -> float:
    """The sum of all samples of a counter."""
    found = re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", page.body.decode(), re.MULTILINE)
    return sum(float(value) for value in found)


def decisions(sidecar: Sidecar) -> float:
    return count(ask(sidecar.admin, get("/metrics")), "gateway_guard_decisions_total")


def status(pid: int) -> tuple[str, int]:
    """State and parent of a process; Z, a zombie's, where there is none."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return "Z", 0
    return fields[0], int(fields[1])


def lives(pid: int) -> bool:
    """Whether it has not ended, be it that nobody has asked how."""
    return status(pid)[0] != "Z"


def children(pid: int) -> set[int]:
    """The processes `pid` has started and that have not ended."""
    everybody = (int(folder.name) for folder in Path("/proc").glob("[0-9]*"))
    return {one for one in everybody if status(one)[1] == pid and lives(one)}


def test_a_rolling_restart_under_load_refuses_nobody_and_forgets_no_count(tmp_path: Path) -> None:
    with Upstream() as upstream, Sidecar(tmp_path, upstream.url, *FLAGS) as sidecar:
        sidecar.all_serve(2)
        before = children(sidecar.process.pid)
        with load(sidecar.port) as asking:
            asking.more(100)
            for _ in range(2):
                mark = len(sidecar.lines)
                sidecar.process.send_signal(signal.SIGUSR2)
                sidecar.wait_for("workers-replaced", after=mark)
                sidecar.wait_for("worker-left worker=0", after=mark)
                sidecar.wait_for("worker-left worker=1", after=mark)
            asking.more(100)
        after = children(sidecar.process.pid)

        assert set(asking.statuses) == {200}
        assert len(before & after) == 1  # the admin port's process
        assert len(after) == 3
        assert decisions(sidecar) == asking.statuses.total()


def test_a_successor_that_cannot_start_leaves_everything_as_it_was(tmp_path: Path) -> None:
    with Upstream() as upstream, Sidecar(tmp_path, upstream.url, *FLAGS) as sidecar:
        sidecar.all_serve(2)
        mark = len(sidecar.lines)
        sidecar.policy.write_text(POLICY + "nonsense: 1\n")
        before = children(sidecar.process.pid)
        sidecar.process.send_signal(signal.SIGUSR2)
        sidecar.wait_for("worker-died-starting worker=0: the others stay", after=mark)

        assert children(sidecar.process.pid) == before
        assert ask(sidecar.port, get("/v1/models")).status == 200

        sidecar.policy.write_text(POLICY)
        sidecar.process.send_signal(signal.SIGUSR2)
        sidecar.wait_for("workers-replaced", after=mark)


def test_a_worker_that_is_killed_is_replaced_while_the_other_serves(tmp_path: Path) -> None:
    with Upstream() as upstream, Sidecar(tmp_path, upstream.url, *FLAGS) as sidecar:
        sidecar.all_serve(2)
        # The process of the admin port was started last.
        victim = min(children(sidecar.process.pid))
        mark = len(sidecar.lines)
        os.kill(victim, signal.SIGKILL)
        sidecar.wait_for("worker-replaced worker=0", after=mark)

        answers = [ask(sidecar.port, get("/v1/models")).status for _ in range(8)]

        assert answers == [200] * 8
        until(lambda: len(children(sidecar.process.pid)) == 3, "another worker")
        until(lambda: healthy(sidecar) == 2, "an answer of it")


def test_a_supervisor_that_is_killed_takes_its_workers_along_once_they_have_answered(
    tmp_path: Path,
) -> None:
    with Upstream() as upstream, Sidecar(tmp_path, upstream.url, *FLAGS) as sidecar:
        sidecar.all_serve(2)
        family = children(sidecar.process.pid)
        with Client(sidecar.port) as client:
            # A request that has begun is finished: workers drain.
            client.send(b"GET /v1/models HTTP/1.1\r\nHost: api.test\r\n")
            sidecar.process.kill()
            sidecar.wait_for("supervisor-gone", times=3)
            client.send(b"\r\n")
            assert client.answer().status == 200

        until(lambda: not any(map(lives, family)), "the end of all workers")
        with pytest.raises(OSError, match="refused"):
            ask(sidecar.port, get("/v1/models"))


SUSPENDED = """\
version: 1
mode: enforce
identify: { account: { header: x-api-key } }
rules:
  - { name: suspended, when: { tier: suspended }, then: deny }
"""


def test_a_worker_that_finds_its_accounts_gone_does_not_serve_without_them(tmp_path: Path) -> None:
    accounts = tmp_path / "accounts.jsonl"
    accounts.write_text('{"account": "mallory", "tier": "suspended"}\n')
    request = get("/v1/models", "X-Api-Key: mallory")
    flags = [*FLAGS, "--accounts", str(accounts)]
    with (
        Upstream() as upstream,
        Sidecar(tmp_path, upstream.url, *flags, policy=SUSPENDED) as sidecar,
    ):
        sidecar.all_serve(2)
        before = ask(sidecar.port, request).status
        accounts.write_text("")
        mark = len(sidecar.lines)
        os.kill(min(children(sidecar.process.pid)), signal.SIGKILL)
        sidecar.wait_for("no account in it, where workers before this one had some", after=mark)

        meanwhile = {ask(sidecar.port, request).status for _ in range(8)}
        accounts.write_text('{"account": "mallory", "tier": "suspended"}\n')
        until(lambda: healthy(sidecar) == 2, "an answer of another worker")

        assert before == 403
        assert meanwhile == {403}
        assert {ask(sidecar.port, request).status for _ in range(8)} == {403}


def healthy(sidecar: Sidecar) -> int:
    """Workers that answer."""
    workers: int = json.loads(ask(sidecar.admin, get("/healthz")).body)["workers"]
    return workers


def test_one_admin_port_speaks_for_all_workers_and_outlives_its_own_process(tmp_path: Path) -> None:
    with Upstream() as upstream, Sidecar(tmp_path, upstream.url, *FLAGS) as sidecar:
        sidecar.all_serve(2)
        for _ in range(20):
            ask(sidecar.port, get("/v1/models"))
            ask(sidecar.port, get("/admin"))
        ready = json.loads(ask(sidecar.admin, get("/readyz")).body)
        page = ask(sidecar.admin, get("/metrics"))

        assert (ready["status"], [w["worker"] for w in ready["workers"]]) == ("ok", [0, 1])
        assert count(page, "gateway_guard_decisions_total") == 40
        assert count(page, "gateway_guard_decision_seconds_count") == 40
        for worker in (b'worker="0"', b'worker="1"'):
            assert b"gateway_guard_upstream_connections{" + worker in page.body
        assert len([line for line in sidecar.lines if "admin on" in line]) == 1

        mark = len(sidecar.lines)
        os.kill(max(children(sidecar.process.pid)), signal.SIGKILL)
        sidecar.wait_for("admin-replaced", after=mark)

        assert decisions(sidecar) == 40


LIMITED = """\
version: 1
mode: enforce
limits:
  requests: { per: account, requests: 40/hour }
"""


@needs_redis
def test_workers_with_a_store_count_together_while_they_are_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A busy machine must not look like a slow server.
    monkeypatch.setenv("GATEWAY_GUARD_STORE_BUDGET", "2000")
    monkeypatch.setenv("GATEWAY_GUARD_STORE_NAMESPACE", "workers")
    flags = ["--workers", "2", "--store", shared_server().uri, "--drain-delay", DRAIN_DELAY]
    with Upstream() as upstream, Sidecar(tmp_path, upstream.url, *flags, policy=LIMITED) as sidecar:
        sidecar.all_serve(2)
        with load(sidecar.port) as asking:
            asking.more(20)
            mark = len(sidecar.lines)
            sidecar.process.send_signal(signal.SIGUSR2)
            sidecar.wait_for("worker-left worker=1", after=mark)
            asking.more(80)
        page = ask(sidecar.admin, get("/metrics"))

        assert asking.statuses[200] == 40
        assert set(asking.statuses) == {200, 429}
        assert b'gateway_guard_store_up{worker="0"} 1.0' in page.body
        assert json.loads(ask(sidecar.admin, get("/healthz")).body)["store"] == "up"


def test_hangup_reaches_every_worker(tmp_path: Path) -> None:
    with Upstream() as upstream, Sidecar(tmp_path, upstream.url, *FLAGS) as sidecar:
        sidecar.all_serve(2)
        before = digests(sidecar)
        sidecar.policy.write_text(POLICY.replace("/admin, /admin/**", "/**"))
        sidecar.process.send_signal(signal.SIGHUP)

        until(lambda: not before & digests(sidecar), "both heed")
        assert len(digests(sidecar)) == 1
        assert ask(sidecar.port, get("/")).status == 403


def digests(sidecar: Sidecar) -> set[str]:
    """Of the policies that the workers go by now."""
    ready = json.loads(ask(sidecar.admin, get("/readyz")).body)
    return {worker["policy"]["digest"] for worker in ready["workers"]}


def test_sigusr2_does_no_harm_to_a_single_process(tmp_path: Path) -> None:
    with Upstream() as upstream, Sidecar(tmp_path, upstream.url) as sidecar:
        sidecar.process.send_signal(signal.SIGUSR2)

        assert ask(sidecar.port, get("/v1/models")).status == 200
        assert sidecar.process.poll() is None


@pytest.mark.parametrize("store", ["", "memory://"])
def test_workers_without_a_shared_store_are_told_what_to_do(tmp_path: Path, store: str) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY)

    done = run(
        *("serve", "-p", str(policy), "-u", "http://127.0.0.1:9", "--port", "0"),
        *("--workers", "2", "--store", store),
    )

    assert done.returncode == 2
    for word in ("2 times its quota", "--store redis://", "--allow-split-limits"):
        assert word in done.stderr


def test_a_shared_store_without_a_secret_is_refused_before_anything_starts(tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY)

    done = run(
        *("serve", "-p", str(policy), "-u", "http://127.0.0.1:9", "--port", "0"),
        *("--workers", "2", "--store", "redis://127.0.0.1:1/0"),
    )

    assert done.returncode == 3
    assert "GATEWAY_GUARD_SECRET_FILE" in done.stderr
    assert "listens on" not in done.stderr


def test_a_store_that_cannot_hold_limits_is_refused_without_its_password(tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY)

    done = run(
        *("serve", "-p", str(policy), "-u", "http://127.0.0.1:9", "--port", "0"),
        *("--workers", "2", "--store", "memcached://me:hunter2@127.0.0.1:1"),
    )

    assert done.returncode == 2
    assert "Memcached changes one key at a time" in done.stderr
    assert "hunter2" not in done.stderr
