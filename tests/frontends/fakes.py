"""A guard that decides what the test says, a client that plays a script, and small applications."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterable, MutableMapping, Sequence
from typing import Any

from gateway_guard.core.policy import Policy
from gateway_guard.frontends.asgi import App, Receive, Scope, Send
from gateway_guard.types import Decision, Dialect, Exchange, Inspection, Plan, Usage, Wire
from tests import build

Message = MutableMapping[str, Any]

CHAT = "/v1/chat/completions"
MESSAGES = "/v1/messages"


class FakePolicies:
    """A policy source that never changes, or says what it is told to."""

    def __init__(self, current: Policy) -> None:
        self.current = current
        self.changes = 0

    def changed(self) -> bool:
        return self.changes > 0


class FakeGuard:
    """Decides as told, remembers what it was asked and what was settled.

    It has no memory store, so settling goes the way of stores that suspend.
    """

    def __init__(
        self,
        decision: Decision | None = None,
        *,
        enforce: bool = True,
        policy: Policy | None = None,
        **request: Any,
    ) -> None:
        self.policy = policy or Policy(digest="0123456789ab", source="fake", enforce=enforce)
        self.policies = FakePolicies(self.policy)
        self.decision = decision or build.decision()
        self.enforce = enforce
        self.request = request
        self.wires: list[Wire] = []
        self.bodies: list[bytes | None] = []
        self.settled: list[Usage] = []
        self.slow: asyncio.Event | None = None
        self.closed = 0
        self.users = 0
        self.reloads = 0
        self.reloaded = threading.Event()

    def changed(self) -> bool:
        return self.policies.changed()

    def needs_body(self, method: str, raw_path: bytes, headers: list[tuple[bytes, bytes]]) -> bool:
        return method == "POST" and raw_path.endswith((b"/completions", b"/messages"))

    async def decide(self, wire: Wire) -> Exchange:
        self.wires.append(wire)
        self.bodies.append(wire.body)
        path = wire.raw_path.decode()
        model_route = self.needs_body(wire.method, wire.raw_path, wire.headers)
        fields: dict[str, Any] = {
            "method": wire.method,
            "path": path,
            "model_route": model_route,
            "dialect": Dialect.ANTHROPIC if path.endswith("/messages") else Dialect.OPENAI,
            "inspection": Inspection.FULL if wire.body is not None else Inspection.NONE,
            "prompt": build.prompt() if model_route else None,
        }
        return build.exchange(
            request=build.request(**fields | self.request),
            plan=Plan(action=self.decision.action, enforced=self.enforce),
            decision=self.decision,
        )

    async def settle(self, exchange: Exchange, usage: Usage) -> None:
        if exchange.settled:
            return
        exchange.settled = True
        exchange.usage = usage
        if self.slow is not None:
            await self.slow.wait()
        self.settled.append(usage)

    def reload(self) -> bool:
        self.reloads += 1
        self.reloaded.set()
        self.policies.changes = 0
        return True

    async def close(self) -> None:
        self.closed += 1


class Client:
    """Plays the server's part of one ASGI connection.

    Attributes:
        incoming: what `receive` hands out, in order; then it waits until `leave` is called.
        sent: the messages the application sent.
    """

    def __init__(self, incoming: Iterable[Message] = ()) -> None:
        self.incoming = list(incoming)
        self.sent: list[Message] = []
        self.gone = asyncio.Event()
        self.arrived = asyncio.Event()

    async def receive(self) -> Message:
        if self.incoming:
            return self.incoming.pop(0)
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.sent.append(message)
        self.arrived.set()

    def leave(self) -> None:
        self.gone.set()

    @property
    def status(self) -> int:
        status: int = self.sent[0]["status"]
        return status

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self.sent[0]["headers"])

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent[1:])


def body_of(*chunks: bytes) -> list[Message]:
    """A request body that arrives in these chunks."""
    last = len(chunks) - 1
    return [
        {"type": "http.request", "body": chunk, "more_body": i < last}
        for i, chunk in enumerate(chunks)
    ]


def http_scope(path: str = CHAT, *, method: str = "POST", **more: Any) -> Scope:
    """An HTTP scope as servers build it; `headers` may be given as a mapping of strings."""
    headers = more.pop("headers", {})
    if isinstance(headers, dict):
        headers = [(k.lower().encode(), v.encode("latin-1")) for k, v in headers.items()]
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode("utf-8", "surrogateescape"),
        "query_string": b"",
        "root_path": "",
        "headers": headers,
        "client": ("198.51.100.7", 1234),
        "server": ("127.0.0.1", 80),
        **more,
    }


def answering(
    *chunks: bytes,
    status: int = 200,
    headers: Sequence[tuple[bytes, bytes]] = ((b"content-type", b"application/json"),),
) -> App:
    """An application that reads its body, keeps it in `.bodies`, and answers in these chunks."""
    bodies: list[bytes] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        bodies.append(body)
        await send({"type": "http.response.start", "status": status, "headers": list(headers)})
        last = len(chunks) - 1
        for i, chunk in enumerate(chunks):
            await send({"type": "http.response.body", "body": chunk, "more_body": i < last})

    app.bodies = bodies  # type: ignore[attr-defined]
    return app


def run(main: Callable[[], Awaitable[None]]) -> None:
    """Run one test's coroutine; ten seconds are more than any test may take."""

    async def bounded() -> None:
        async with asyncio.timeout(10):
            await main()

    asyncio.run(bounded())


async def turns() -> None:
    """Let everything that is ready to run do so."""
    for _ in range(5):
        await asyncio.sleep(0)
