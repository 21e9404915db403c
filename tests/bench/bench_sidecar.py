"""CPU of the sidecar per request and per stream, beside nginx in the same run.

    python -m tests.bench.bench_sidecar [--policy policies/standard.yaml] [--rounds 5]

CPU is user + system time of the proxy's process (`/proc/PID/stat`), so the load generator and the
upstream cost nothing here. Rounds are interleaved and the median is printed, as the machine is
shared. Needs Linux and Debian's nginx. Where redis-server is installed, a third target counts its
limits there and shares what it learns with other guards; of it is also said how much of the
throughput of one core is left, in the middle and at worst and at best of the rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import uvloop

from tests import servers
from tests.e2e.servers import Sidecar

CONNECTIONS = 32
REQUESTS = 3200
STREAMS = 64
EVENTS = 200
PROMPT = b"word " * 400

ANSWER = (
    b'{"id":"x","choices":[{"index":0,"message":{"role":"assistant","content":"'
    + b"a" * 120
    + b'"}}],"usage":{"prompt_tokens":10,"completion_tokens":20,"total_tokens":30}}'
)
EVENT = (
    b'data: {"id":"c","object":"chat.completion.chunk","choices":'
    b'[{"index":0,"delta":{"content":"word "}}]}\n\n'
)

NGINX = """
worker_processes 1; daemon off; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 2048; }}
http {{
  access_log off;
  client_body_temp_path {folder}/1; proxy_temp_path {folder}/2; fastcgi_temp_path {folder}/3;
  uwsgi_temp_path {folder}/4; scgi_temp_path {folder}/5;
  upstream model {{ server 127.0.0.1:{upstream}; keepalive 64; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://model; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_buffering off;
    }}
  }}
}}
"""


class Model(asyncio.Protocol):
    """An upstream that costs little: fixed answers, streams of `EVENTS` events, one per ms."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]
        self.buffer = b""

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end].lower()
            length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0] or b"0")
            if len(self.buffer) < end + 4 + length:
                return
            body, self.buffer = self.buffer[: end + 4 + length], self.buffer[end + 4 + length :]
            if b'"stream":true' in body:
                self.task = asyncio.get_running_loop().create_task(self.stream())
            else:
                self.transport.write(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                    b"Content-Length: %d\r\n\r\n%b" % (len(ANSWER), ANSWER)
                )

    async def stream(self) -> None:
        self.transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        for _ in range(EVENTS):
            self.transport.write(b"%x\r\n%b\r\n" % (len(EVENT), EVENT))
            await asyncio.sleep(0.001)
        self.transport.write(b"0\r\n\r\n")


def request(account: int, *, stream: bool) -> bytes:
    body = b'{"model":"m",%b"messages":[{"role":"user","content":"%b"}]}' % (
        b'"stream":true,"stream_options":{"include_usage":true},' if stream else b"",
        PROMPT,
    )
    return (
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: api.test\r\n"
        b"Authorization: Bearer sk-bench-%d\r\nContent-Type: application/json\r\n"
        b"User-Agent: openai-python/1.40.0\r\nAccept: application/json\r\n"
        b"Content-Length: %d\r\n\r\n%b" % (account, len(body), body)
    )


def cpu(pid: int) -> float:
    """Seconds of CPU the process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


_accounts = iter(range(10**9))


async def requests(port: int) -> int:
    """`REQUESTS` requests over `CONNECTIONS` connections; how many were answered 200."""

    async def worker() -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        good = 0
        for turn in range(REQUESTS // CONNECTIONS):
            if turn % 10 == 0:
                account = next(_accounts)
            writer.write(request(account, stream=False))
            head = await reader.readuntil(b"\r\n\r\n")
            good += head.startswith(b"HTTP/1.1 200")
            length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
            await reader.readexactly(int(length))
        writer.close()
        return good

    return sum(await asyncio.gather(*[worker() for _ in range(CONNECTIONS)]))


async def streams(port: int) -> int:
    """`STREAMS` streams, `CONNECTIONS` at a time; how many arrived whole."""

    async def one() -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request(next(_accounts), stream=True))
        head = await reader.readuntil(b"\r\n\r\n")
        seen = 0
        if head.startswith(b"HTTP/1.1 200"):
            data = b""
            while not data.endswith(b"\r\n0\r\n\r\n"):
                piece = await reader.read(65536)
                if not piece:
                    break
                seen += piece.count(b"data: ")
                data = (data + piece)[-16:]
        writer.close()
        return seen >= EVENTS - 2

    good = 0
    for _ in range(STREAMS // CONNECTIONS):
        good += sum(await asyncio.gather(*[one() for _ in range(CONNECTIONS)]))
    return good


async def measure(
    targets: dict[str, tuple[int, int]], rounds: int
) -> dict[str, tuple[list[float], list[float]]]:
    """Per target (µs per request, µs per stream) of each round."""
    out: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in targets}
    jobs: list[tuple[Callable[[int], Awaitable[int]], int]] = [
        (requests, REQUESTS),
        (streams, STREAMS),
    ]
    for turn in range(rounds + 1):
        for name, (port, pid) in targets.items():
            for which, (job, count) in enumerate(jobs):
                before = cpu(pid)
                good = await job(port)
                if good != count:
                    raise SystemExit(f"{name}: only {good} of {count} succeeded")
                if turn:  # the first round warms up
                    out[name][which].append(1e6 * (cpu(pid) - before) / count)
    return out


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--policy", default="policies/standard.yaml")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    nginx = shutil.which("nginx") or "/usr/sbin/nginx"
    if not Path(nginx).exists():
        sys.exit("nginx is not installed: apt-get install nginx-light")
    uvloop.run(_run(Path(arguments.policy).read_text(), arguments.rounds, nginx))


async def _run(policy: str, rounds: int, nginx: str) -> None:
    server = await asyncio.get_running_loop().create_server(Model, "127.0.0.1", 0)
    upstream = server.sockets[0].getsockname()[1]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        where = folder / "nginx.conf"
        where.write_text(NGINX.format(folder=folder, upstream=upstream, port=port))
        with subprocess.Popen(  # noqa: ASYNC220
            [nginx, "-c", str(where)], stderr=subprocess.DEVNULL
        ) as beside:
            try:
                with contextlib.ExitStack() as stack:
                    url = f"http://127.0.0.1:{upstream}"
                    sidecar = stack.enter_context(Sidecar(folder, url, policy=policy))
                    tasks = Path(f"/proc/{beside.pid}/task/{beside.pid}/children")
                    children = tasks.read_text()  # noqa: ASYNC240
                    targets = {
                        "nginx": (port, int(children.split()[0])),
                        "sidecar": (sidecar.port, sidecar.process.pid),
                    }
                    if servers.REDIS is not None:
                        redis = stack.enter_context(servers.Server())
                        flags = ("--store", f"redis://127.0.0.1:{redis.port}")
                        # What is measured is work: a machine that is busy elsewhere, so that the
                        # answer is late, must not turn it into refusals.
                        os.environ["GATEWAY_GUARD_STORE_BUDGET"] = "5000"
                        shared = stack.enter_context(Sidecar(folder, url, *flags, policy=policy))
                        targets["with store"] = shared.port, shared.process.pid
                    found = await measure(targets, rounds)
            finally:
                beside.terminate()
    _print(found)


def _print(found: dict[str, tuple[list[float], list[float]]]) -> None:
    print(f"{'':12}{'µs/request':>12}{'ratio':>8}{'µs/stream':>12}{'ratio':>8}")
    base = [statistics.median(kind) for kind in found["nginx"]]
    for name, kinds in found.items():
        plain, stream = (statistics.median(kind) for kind in kinds)
        print(f"{name:12}{plain:12.0f}{plain / base[0]:8.1f}{stream:12.0f}{stream / base[1]:8.2f}")
    if "with store" in found:
        for what, alone, shared in zip(
            ("requests", "streams"), found["sidecar"], found["with store"], strict=True
        ):
            left = sorted(100.0 * one / other for one, other in zip(alone, shared, strict=True))
            print(
                f"{what} per second of CPU with store: {statistics.median(left):.0f} % of those "
                f"without ({left[0]:.0f} to {left[-1]:.0f} % in {len(left)} rounds)"
            )


if __name__ == "__main__":
    main()
