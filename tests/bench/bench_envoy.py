"""What a question of Envoy costs: over HTTP, over gRPC, and in gRPC alone, without a guard.

Servers in this process, whose CPU is measured; the one who asks is a process of its own, with eight
questions under way.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import grpc.aio
import uvicorn
import uvloop

from gateway_guard.building import build_guard
from gateway_guard.frontends.envoy.answers import check_response
from gateway_guard.frontends.envoy.question import Question, question
from gateway_guard.frontends.envoy.server import EnvoyServer
from gateway_guard.frontends.extauth.app import ExternalAuth
from gateway_guard.frontends.extauth.desk import Desk
from gateway_guard.frontends.extauth.telling import tell
from gateway_guard.guard import Guard
from gateway_guard.network.unknown import NoNetwork
from gateway_guard.settings import Settings
from tests import build
from tests.bench.measure import Row, interleaved
from tests.frontends.asking import CHAT
from tests.frontends.envoy.asking import check
from tests.servers import free_port

POLICY = """
mode: enforce
identify: { trusted_proxies: [127.0.0.1], client_ip: x-forwarded-for }
limits:
  requests: { per: account, requests: 100000000/minute }
  tokens: { per: account, tokens: 100000000000/hour }
rules:
  - { name: no-giants, when: { model: giant }, then: deny }
"""
QUESTIONS = 800
_METHOD = "/envoy.service.auth.v3.Authorization/Check"
_HEADERS = {
    "accept": "application/json", "accept-encoding": "gzip, deflate",
    "content-type": "application/json", "user-agent": "OpenAI/Python 1.40.0",
    "x-forwarded-for": "203.0.113.7", "x-forwarded-proto": "https",
    "x-request-id": "aa59f7b6-7c57-44d2-94f2-0b9b3ad5b5e5", "x-stainless-lang": "python",
    "x-stainless-os": "Linux", "x-stainless-runtime": "CPython", "x-stainless-arch": "x64",
    "x-stainless-package-version": "1.40.0", "x-stainless-async": "false",
    "x-envoy-auth-partial-body": "false",
}  # fmt: skip
#: Asks as many times as each line of standard input says, then says so: port, kind, message.
_ASKER = f"""
import socket, sys, threading
port, kind, message = int(sys.argv[1]), sys.argv[2], bytes.fromhex(sys.argv[3])
if kind == "grpc":
    import grpc
    ask = grpc.insecure_channel(f"127.0.0.1:{{port}}").unary_unary({_METHOD!r})
    def work(n):
        for _ in range(n):
            ask(message, wait_for_ready=True)
else:
    def work(n):
        with socket.create_connection(("127.0.0.1", port)) as one:
            for _ in range(n):
                one.sendall(message)
                got = b""
                while b"\\r\\n\\r\\n" not in got:
                    got += one.recv(65536)
                assert got.startswith(b"HTTP/1.1 200")
for line in sys.stdin:
    threads = [threading.Thread(target=work, args=(int(line) // 8,)) for _ in range(8)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    print("done", flush=True)
"""


def _guard() -> Guard:
    return build_guard(
        build.policy(POLICY), settings=Settings(secret=build.SECRET), network=NoNetwork()
    )


def _http() -> bytes:
    body = build.chat_body("x" * 330)
    fields = {"host": "api.test", "authorization": "Bearer sk-1", **_HEADERS}
    fields["content-length"] = str(len(body))
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"POST /auth/envoy{CHAT} HTTP/1.1\r\n{lines}\r\n".encode() + body


async def _nothing(messages: AsyncIterator[bytes], _context: Any) -> bytes:
    async for _ in messages:
        return b"\x0a\x00"
    return b""


def rows() -> list[Row]:
    """The table's lines."""
    raw = check(body=build.chat_body("x" * 330), headers=_HEADERS).SerializeToString()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        guard = _guard()
        asked = question(raw, 1_000_000)
        assert isinstance(asked, Question)
        exchange = runner.run(guard.decide(asked.wire))

        def messages() -> None:
            for _ in range(QUESTIONS):
                question(raw, 1_000_000)
                check_response(tell(exchange, tells=True))

        return runner.run(_measured(raw, runner.get_loop(), messages))


async def _measured(
    raw: bytes, loop: asyncio.AbstractEventLoop, messages: Callable[[], None]
) -> list[Row]:
    server = EnvoyServer(Desk(_guard()))
    ours = int((await server.start("127.0.0.1:0")).rpartition(":")[2])
    bare = grpc.aio.server()
    handler: Any = grpc.stream_unary_rpc_method_handler(_nothing)
    service = grpc.method_handlers_generic_handler(_METHOD.split("/")[1], {"Check": handler})
    bare.add_generic_rpc_handlers((service,))
    alone = bare.add_insecure_port("127.0.0.1:0")
    await bare.start()
    port = free_port()
    config = uvicorn.Config(
        ExternalAuth(Desk(_guard())), port=port, http="httptools", lifespan="off", log_config=None,
        access_log=False, proxy_headers=False,
    )  # fmt: skip
    web = uvicorn.Server(config)
    web.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    serving = asyncio.create_task(web._serve())
    while not web.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.01)
    askers = {
        "HTTP": _asker(port, "http", _http()),
        "gRPC": _asker(ours, "grpc", raw),
        "gRPC alone": _asker(alone, "grpc", raw),
    }

    def asks(name: str) -> Callable[[], None]:
        def ask() -> None:
            asyncio.run_coroutine_threadsafe(_ask(askers[name]), loop).result()

        return ask

    runs: dict[str, Callable[[], None]] = {name: asks(name) for name in askers}
    times = await asyncio.to_thread(interleaved, {**runs, "messages": messages}, each=QUESTIONS)
    for asker in askers.values():
        asker.kill()
        asker.communicate()
    web.should_exit = True
    await serving
    await server.close(drain=0.0)
    await bare.stop(None)
    http = times["HTTP"]
    names = {
        "HTTP": "Envoy asks over HTTP, with a body",
        "gRPC": "Envoy asks over gRPC, with a body",
        "gRPC alone": "  gRPC alone, without a guard",
        "messages": "  reading and writing its messages",
    }
    return [
        Row(names[name], f"{cost * 1e6:.0f} µs", f"{cost / http:.2f}")
        for name, cost in times.items()
    ]


def _asker(port: int, kind: str, message: bytes) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", _ASKER, str(port), kind, message.hex()],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


async def _ask(asker: subprocess.Popen[str]) -> None:
    def wait() -> None:
        assert asker.stdin is not None
        assert asker.stdout is not None
        asker.stdin.write(f"{QUESTIONS}\n")
        asker.stdin.flush()
        assert asker.stdout.readline() == "done\n"

    await asyncio.to_thread(wait)
