"""Real Redis servers for tests: one, a Cluster of three, a master with a replica and Sentinels.

Everything listens on loopback or a socket file, on free ports, in a directory of its own, and ends
with the test that started it, or with the test run.
"""

from __future__ import annotations

import atexit
import functools
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

REDIS = shutil.which("redis-server") or shutil.which("valkey-server")
needs_redis = pytest.mark.skipif(
    REDIS is None, reason="redis-server is not installed: apt-get install redis-server"
)

#: Seconds any single wait may take before it counts as hanging.
PATIENCE = 20.0


def until(condition: Callable[[], object], what: str) -> None:
    """Return as soon as `condition` holds; asked every 10 ms."""
    deadline = time.monotonic() + PATIENCE
    tick = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, f"never happened: {what}"
        tick.wait(0.01)


def free_port() -> int:
    """A port of loopback nobody listens on, whose bus port (10,000 up) is a port too."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        if port < 55_000:
            return port


class Server:
    """One `redis-server`, on a port of loopback and a socket file.

    Attributes:
        port: of loopback.
        path: of the socket file.
        process: the server.
    """

    def __init__(self, *options: str, sentinel: bool = False) -> None:
        assert REDIS is not None, "mark the test with needs_redis"
        self.folder = Path(tempfile.mkdtemp(prefix="gg"))
        self.path = self.folder / "socket"
        self.port = 0
        self._options = options
        self._sentinel = sentinel
        self.start()

    def start(self) -> None:
        """Start it, on the port it had before."""
        for _ in range(10):
            port = self.port or free_port()
            if self._start(port):
                self.port = port
                return
        raise AssertionError("redis-server does not start")

    def _start(self, port: int) -> bool:
        settings = {"port": port, "bind": "127.0.0.1", "dir": self.folder, "save": '""'}
        if not self._sentinel:
            settings["unixsocket"] = self.path
        lines = [f"{name} {value}" for name, value in settings.items()]
        config = self.folder / "redis.conf"
        if not config.exists():
            config.write_text("\n".join([*lines, *self._options]) + "\n")
        else:
            # What a Sentinel or a Cluster wrote there stays.
            kept = [x for x in config.read_text().split("\n") if not x.startswith("port ")]
            config.write_text("\n".join([*kept, f"port {port}"]) + "\n")
        command = [str(REDIS), str(config), *(["--sentinel"] if self._sentinel else [])]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert self.process.stdout is not None
        ready = ("Ready to accept connections", "Sentinel ID is")
        for line in self.process.stdout:
            if any(words in line for words in ready):
                # It goes on talking, and would wait for a reader.
                reader = threading.Thread(target=self.process.stdout.read, daemon=True)
                reader.start()
                self._reader = reader
                return True
        self.process.wait(PATIENCE)
        self.process.stdout.close()
        return False

    @property
    def uri(self) -> str:
        """As a guard is given it."""
        return f"async+redis://127.0.0.1:{self.port}/0"

    @property
    def socket_uri(self) -> str:
        """The same by its socket file."""
        return f"async+redis+unix://{self.path}"

    def do(self, *words: str | float | bytes) -> Any:
        """One command over a connection of its own; the answer as it came, text decoded."""
        import redis

        connect: Any = redis.Connection  # the library has no types here
        connection = connect(
            port=self.port, decode_responses=True, socket_timeout=PATIENCE, protocol=2
        )
        try:
            connection.send_command(*words)
            return connection.read_response()
        finally:
            connection.disconnect()

    def info(self, *words: str) -> dict[str, str]:
        """`INFO`, or another command that answers lines of `name:value`."""
        lines = str(self.do(*(words or ("INFO",)))).splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line)

    def kill(self) -> None:
        """As a power failure does."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self._ended()

    def freeze(self) -> None:
        """Stop it where it is: connections stay open and nothing answers."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self.process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """End it and remove its directory; also when it has ended already."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
        self._ended()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _ended(self) -> None:
        self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        if self.process.stdout is not None:
            self.process.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


@functools.cache
def shared_server() -> Server:
    """One server for all tests of this run that share it by namespaces."""
    server = Server("enable-debug-command yes")
    atexit.register(server.stop)
    return server


class Cluster:
    """Three nodes that share 16,384 slots evenly.

    Attributes:
        nodes: the servers, by their first slot.
    """

    def __init__(self) -> None:
        self.nodes: list[Server] = []
        try:
            for _ in range(3):
                self.nodes.append(Server("cluster-enabled yes", "cluster-node-timeout 15000"))
            self._join()
        except BaseException:
            self.stop()
            raise

    def _join(self) -> None:
        bounds = (0, 5461, 10923, 16384)
        for node, first, end in zip(self.nodes, bounds, bounds[1:], strict=False):
            node.do("CLUSTER", "ADDSLOTS", *range(first, end))
        first_node = self.nodes[0]
        for node in self.nodes[1:]:
            first_node.do("CLUSTER", "MEET", "127.0.0.1", node.port)
        for node in self.nodes:
            until(lambda node=node: self._whole(node), "the Cluster agrees")  # type: ignore[misc]

    def _whole(self, node: Server) -> bool:
        info = node.info("CLUSTER", "INFO")
        return info["cluster_state"] == "ok" and info["cluster_known_nodes"] == "3"

    @property
    def uri(self) -> str:
        """As a guard is given it."""
        return "async+redis+cluster://" + ",".join(f"127.0.0.1:{n.port}" for n in self.nodes)

    def node_of(self, key: str) -> Server:
        """The node that has the slot of `key`."""
        slot = self.slot(key)
        return self.nodes[0 if slot < 5461 else 1 if slot < 10923 else 2]

    def slot(self, key: str) -> int:
        """The slot of `key`."""
        return int(self.nodes[0].do("CLUSTER", "KEYSLOT", key))

    def move(self, slot: int, source: Server, target: Server) -> None:
        """Move one slot with its keys, as `redis-cli --cluster reshard` does."""
        names = {node.port: node.do("CLUSTER", "MYID") for node in self.nodes}
        target.do("CLUSTER", "SETSLOT", slot, "IMPORTING", names[source.port])
        source.do("CLUSTER", "SETSLOT", slot, "MIGRATING", names[target.port])
        keys = source.do("CLUSTER", "GETKEYSINSLOT", slot, 1000)
        if keys:
            where = ("127.0.0.1", target.port, "", 0, 5000)
            source.do("MIGRATE", *where, "KEYS", *keys)
        for node in (target, source, *self.nodes):
            node.do("CLUSTER", "SETSLOT", slot, "NODE", names[target.port])

    def stop(self) -> None:
        """End all of it."""
        for node in self.nodes:
            node.stop()


@functools.cache
def shared_cluster() -> Cluster:
    """One Cluster for all tests of this run that share it by namespaces."""
    cluster = Cluster()
    atexit.register(cluster.stop)
    return cluster


class Sentinels:
    """A master, a replica, and three Sentinels that let the replica take over within a second.

    Attributes:
        master: the first master.
        replica: its replica.
        sentinels: who watch them.
    """

    SERVICE = "guard"

    def __init__(self, master: Server, replica: Server, sentinels: list[Server]) -> None:
        self.master = master
        self.replica = replica
        self.sentinels = sentinels

    @property
    def uri(self) -> str:
        """As a guard is given it."""
        hosts = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)
        return f"async+redis+sentinel://{hosts}/{self.SERVICE}"

    def master_port(self) -> int:
        """The port of the master, as the first Sentinel believes."""
        return int(self.sentinels[0].do("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.SERVICE)[1])


@contextmanager
def sentinels() -> Iterator[Sentinels]:
    """The trio and what it watches, agreed with each other."""
    with ExitStack() as stack:
        master = stack.enter_context(Server("repl-diskless-sync-delay 0"))
        replica = stack.enter_context(
            Server(f"replicaof 127.0.0.1 {master.port}", "repl-diskless-sync-delay 0")
        )
        name = Sentinels.SERVICE
        until(
            lambda: replica.info("INFO", "replication")["master_link_status"] == "up",
            "the replica follows",
        )
        watching = [
            stack.enter_context(
                Server(
                    f"sentinel monitor {name} 127.0.0.1 {master.port} 2",
                    f"sentinel down-after-milliseconds {name} 500",
                    f"sentinel failover-timeout {name} 3000",
                    sentinel=True,
                )
            )
            for _ in range(3)
        ]
        trio = Sentinels(master, replica, watching)
        for sentinel in watching:
            until(lambda sentinel=sentinel: _agreed(sentinel), "the Sentinels agree")  # type: ignore[misc]
        yield trio


def _agreed(sentinel: Server) -> bool:
    words = sentinel.do("SENTINEL", "MASTER", Sentinels.SERVICE)
    state = dict(zip(words[::2], words[1::2], strict=True))
    return int(state["num-other-sentinels"]) == 2 and int(state["num-slaves"]) == 1
