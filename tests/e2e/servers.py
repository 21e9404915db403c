"""Real processes and sockets: the sidecar, and an upstream that misbehaves on demand."""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import ssl
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from tests import processes
from tests.processes import Child

POLICY = """\
version: 1
mode: enforce
rules:
  - name: no-admin
    when: { path: [/admin, /admin/**] }
    then: deny
"""

#: Seconds any single wait of a test may take before it counts as hanging.
PATIENCE = processes.PATIENCE


class Sidecar(Child):
    """`gateway-guard serve` as a child process on free ports.

    With no upstream the `flags` name the frontends that gateways ask.

    Attributes:
        policy: the file it reads.
        listens, port: where it serves; 0 on a socket file.
        admin: the port of its admin pages; 0 without.
    """

    def __init__(
        self, folder: Path, upstream: str | None, *flags: str, policy: str = POLICY,
        admin: bool = True,
    ) -> None:  # fmt: skip
        self.policy = folder / "policy.yaml"
        self.policy.write_text(policy)
        super().__init__(
            *(sys.executable, "-m", "gateway_guard", "serve", "--policy", str(self.policy)),
            *(("--upstream", upstream) if upstream is not None else ()),
            *("--port", "0", "--admin-port", "0" if admin else "-1"),
            *("--drain-delay", "0", *flags),
            env={**os.environ, "GATEWAY_GUARD_SECRET": "a secret for tests only"},
        )
        try:
            self.listens = self.wait_for(r"listens on (\S+),")
            self.port = int(self.listens.rpartition(":")[2]) if "unix:" not in self.listens else 0
            self.admin = int(self.wait_for(r"admin on \S+:(\d+)")) if admin else 0
            self.all_serve(1)
        except BaseException:
            self.kill()
            raise

    def all_serve(self, workers: int) -> None:
        """Wait until so many workers accept connections. One that dies while they start ends all,
        and one that is still starting is in nobody's count.
        """
        self.wait_for(" serving$", times=workers)


@contextlib.contextmanager
def in_front_of(source: str, folder: Path, *flags: str, policy: str = POLICY) -> Iterator[Sidecar]:
    """A sidecar in front of a server of its own process: a Python program that prints its port."""
    with subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE) as server:
        try:
            assert server.stdout is not None
            port = int(server.stdout.readline())
            with Sidecar(folder, f"http://127.0.0.1:{port}", *flags, policy=policy) as sidecar:
                yield sidecar
        finally:
            server.terminate()


@dataclass
class Answer:
    """One response as it came off the wire."""

    status: int
    headers: dict[str, str]
    body: bytes
    complete: bool


class Client:
    """A raw connection: what is sent is exactly what the test wrote."""

    def __init__(
        self, port: int, *, path: str | None = None, tls: ssl.SSLContext | None = None
    ) -> None:
        if path is not None:
            self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.socket.settimeout(PATIENCE)
            self.socket.connect(path)
        else:
            self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_hostname="localhost")
        self.buffer = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.socket.close()

    def send(self, data: bytes) -> Self:
        self.socket.sendall(data)
        return self

    def more(self) -> bool:
        """Receive some bytes; False at the end of the connection."""
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            return False
        self.buffer += data
        return bool(data)

    def until(self, mark: bytes) -> bytes:
        """Everything up to and including `mark`; what there is if the connection ends first."""
        while mark not in self.buffer:
            if not self.more():
                data, self.buffer = self.buffer, b""
                return data
        head, _, self.buffer = self.buffer.partition(mark)
        return head + mark

    def answer(self, *, head_only: bool = False) -> Answer:
        """The next response. `status` 0: the connection ended without one."""
        raw = self.until(b"\r\n\r\n")
        if not raw.endswith(b"\r\n\r\n"):
            return Answer(0, {}, raw, complete=False)
        first, *lines = raw[:-4].split(b"\r\n")
        status = int(first.split(b" ")[1])
        headers = {}
        for line in lines:
            name, _, value = line.decode("latin-1").partition(": ")
            headers[name.lower()] = value
        if head_only or status in (204, 304) or status < 200:
            return Answer(status, headers, b"", complete=True)
        if headers.get("transfer-encoding") == "chunked":
            return self._chunked(status, headers)
        if "content-length" in headers:
            length = int(headers["content-length"])
            while len(self.buffer) < length and self.more():
                continue
            body, self.buffer = self.buffer[:length], self.buffer[length:]
            return Answer(status, headers, body, complete=len(body) == length)
        while self.more():
            continue
        body, self.buffer = self.buffer, b""
        return Answer(status, headers, body, complete=True)

    def _chunked(self, status: int, headers: dict[str, str]) -> Answer:
        body = b""
        while True:
            line = self.until(b"\r\n")
            if not line.endswith(b"\r\n"):
                return Answer(status, headers, body, complete=False)
            size = int(line, 16)
            while len(self.buffer) < size + 2:
                if not self.more():
                    return Answer(status, headers, body + self.buffer, complete=False)
            body += self.buffer[:size]
            self.buffer = self.buffer[size + 2 :]
            if size == 0:
                return Answer(status, headers, body, complete=True)

    @property
    def closed(self) -> bool:
        """Whether the other side has ended the connection; waits for it."""
        while self.more():
            continue
        return True


def ask(port: int, raw: bytes) -> Answer:
    """Send `raw` on a fresh connection and read one answer."""
    with Client(port) as client:
        return client.send(raw).answer()


def get(path: str, *lines: str, method: str = "GET", body: bytes | None = None) -> bytes:
    """A plain request."""
    head = [f"{method} {path} HTTP/1.1", "Host: api.test", *lines]
    if body is not None:
        head.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*head, "", ""]).encode() + (body or b"")


@dataclass
class Seen:
    """A request as the upstream received it."""

    line: str
    headers: list[tuple[str, str]]
    body: bytes
    connection: int
    trailers: list[str] = field(default_factory=list)

    def __getitem__(self, name: str) -> str:
        return ", ".join(value for key, value in self.headers if key == name)

    def __contains__(self, name: str) -> bool:
        return any(key == name for key, _ in self.headers)


OK = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n{"ok":true}'

Script = Callable[[socket.socket, Seen, "Upstream"], bool]


@dataclass
class Upstream:
    """A TCP server whose answer to a path is a script: a function of the connection.

    A script returns whether the connection goes on. Paths without one get `OK`.
    """

    scripts: dict[str, Script] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)
    unix: str | None = None
    tls: ssl.SSLContext | None = None
    #: Set when a script's connection was ended by the other side.
    let_go: threading.Event = field(default_factory=threading.Event)
    #: Scripts wait for it where a test decides when to go on.
    go: threading.Event = field(default_factory=threading.Event)
    arrived: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def __enter__(self) -> Self:
        if self.unix is not None:
            self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self._listener.bind(self.unix)
            self.url = f"unix:{self.unix}"
        else:
            self._listener = socket.socket()
            self._listener.bind(("127.0.0.1", 0))
            scheme, host = ("http", "127.0.0.1") if self.tls is None else ("https", "localhost")
            self.url = f"{scheme}://{host}:{self._listener.getsockname()[1]}"
        self._listener.listen(128)
        self._listener.setblocking(False)
        self._stop, self._wake = socket.socketpair()
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._accepting = threading.Thread(target=self._accept)
        self._accepting.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.go.set()
        self._wake.close()
        self._accepting.join(PATIENCE)
        self._listener.close()
        self._stop.close()
        for connection in self._open:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        for thread in self._threads:
            thread.join(PATIENCE)

    def paths(self) -> list[str]:
        return [request.line.split(" ")[1] for request in self.seen]

    def _accept(self) -> None:
        with selectors.DefaultSelector() as ready:
            ready.register(self._listener, selectors.EVENT_READ)
            ready.register(self._stop, selectors.EVENT_READ)
            while True:
                for key, _ in ready.select():
                    if key.fileobj is self._stop:
                        return
                    connection, _ = self._listener.accept()
                    connection.settimeout(PATIENCE)
                    self._open.append(connection)
                    number = len(self._open)
                    thread = threading.Thread(target=self._serve, args=(connection, number))
                    self._threads.append(thread)
                    thread.start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        try:
            if self.tls is not None:
                connection = self.tls.wrap_socket(connection, server_side=True)
                connection.settimeout(PATIENCE)
            with connection, connection.makefile("rb") as stream:
                while True:
                    request = self._request(stream, number)
                    if request is None:
                        return
                    self.seen.append(request)
                    self.arrived.release()
                    path = request.line.split(" ")[1].partition("?")[0]
                    script = self.scripts.get(path)
                    if script is None:
                        connection.sendall(OK)
                    elif not script(connection, request, self):
                        return
        except (OSError, ValueError):
            self.let_go.set()

    def _request(self, stream: object, number: int) -> Seen | None:
        readline: Callable[[], bytes] = stream.readline  # type: ignore[attr-defined]
        read: Callable[[int], bytes] = stream.read  # type: ignore[attr-defined]
        line = readline().decode("latin-1").rstrip("\r\n")
        if not line:
            return None
        headers = []
        while (field_line := readline().decode("latin-1").rstrip("\r\n")) != "":
            name, _, value = field_line.partition(":")
            headers.append((name.lower(), value.strip()))
        request = Seen(line, headers, b"", number)
        if request["transfer-encoding"] == "chunked":
            while size := int(readline(), 16):
                request.body += read(size)
                readline()
            while trailer := readline().decode("latin-1").rstrip("\r\n"):
                request.trailers.append(trailer)
        elif "content-length" in request:
            request.body = read(int(request["content-length"]))
            if len(request.body) != int(request["content-length"]):
                return None
        return request


def reset(connection: socket.socket) -> None:
    """End a connection with a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def says(*pieces: bytes, goes_on: bool = False) -> Script:
    """A script that sends `pieces`, and then ends the connection unless it `goes_on`."""

    def script(connection: socket.socket, request: Seen, upstream: Upstream) -> bool:
        for piece in pieces:
            connection.sendall(piece)
        return goes_on

    return script


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def certificate(folder: Path) -> tuple[Path, Path]:
    """A self-signed certificate for `localhost` and 127.0.0.1, and its key, as PEM files in a
    folder that is made where it is missing.
    """
    import datetime as dt
    from ipaddress import ip_address

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    start = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + dt.timedelta(days=3))
        .add_extension(
            x509.SubjectAlternativeName(
                [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
            ),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder.mkdir(exist_ok=True)
    where, key_file = folder / "cert.pem", folder / "key.pem"
    where.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return where, key_file


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """`gateway-guard ARGUMENTS…` to its end."""
    command: Sequence[str] = [sys.executable, "-m", "gateway_guard", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
