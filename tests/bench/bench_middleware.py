"""What the middleware adds to a bare ASGI app, per 2 KB chat request, in process."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from gateway_guard.frontends.asgi import GuardMiddleware
from gateway_guard.guard import Guard, build_guard
from gateway_guard.policy.compile import compile_policy, load_policy
from gateway_guard.record.metrics import Metrics
from gateway_guard.settings import Settings
from tests.bench.measure import Row, interleaved

App = Callable[[Any, Any, Any], Awaitable[None]]

POLICIES = Path(__file__).resolve().parents[2] / "policies"
REQUESTS = 400
ACCOUNTS = 50

_WORDS = (
    "river", "engine", "copper", "letter", "garden", "signal", "window", "basket", "planet",
    "button", "marble", "thunder", "harbour", "lantern", "meadow", "cobalt",
)  # fmt: skip
_ANSWER = b'{"id":"x","choices":[],"usage":{"prompt_tokens":500,"completion_tokens":20}}'


def body(number: int) -> bytes:
    """A chat of three messages, 2 KB of JSON, no two alike."""
    text = " ".join(_WORDS[(number * 7 + k * k + k // 3) % len(_WORDS)] for k in range(90))
    return msgspec.json.encode(
        {
            "model": "apex-4",
            "max_tokens": 256,
            "messages": [
                {"role": "system", "content": "You are a patient assistant. " * 12},
                {"role": "assistant", "content": "Of course. " * 84},
                {"role": "user", "content": f"Question {number}: {text}?"},
            ],
        }
    )


async def bare(scope: Any, receive: Any, send: Any) -> None:
    """Reads the body and answers, as the smallest model API would."""
    more = True
    while more:
        more = (await receive()).get("more_body", False)
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": _ANSWER})


def load(app: App, loop: asyncio.AbstractEventLoop) -> Callable[[], None]:
    """A function that sends `REQUESTS` requests through `app`, in turn."""
    bodies = [body(number) for number in range(REQUESTS)]
    keys = [f"Bearer sk-{number:04d}".encode() for number in range(ACCOUNTS)]
    peers = [f"81.2.69.{number + 1}" for number in range(ACCOUNTS)]
    turn = itertools.count()
    heard: list[int] = []

    async def send(message: Mapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            heard.append(message["status"])

    async def one(data: bytes, number: int) -> None:
        headers = [
            (b"host", b"api.example"), (b"content-type", b"application/json"),
            (b"content-length", str(len(data)).encode()), (b"user-agent", b"OpenAI/Python 1.99"),
            (b"accept", b"application/json"), (b"authorization", keys[number % ACCOUNTS]),
        ]  # fmt: skip
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST",
            "scheme": "http", "path": "/v1/chat/completions", "query_string": b"",
            "raw_path": b"/v1/chat/completions", "headers": headers, "root_path": "",
            "client": (peers[number % ACCOUNTS], 50_000), "server": ("127.0.0.1", 80),
            "state": {},
        }  # fmt: skip
        sent = False

        async def receive() -> dict[str, Any]:
            nonlocal sent
            if sent:
                return {"type": "http.disconnect"}
            sent = True
            return {"type": "http.request", "body": data, "more_body": False}

        await app(scope, receive, send)

    async def all_of_them() -> None:
        heard.clear()
        for data in bodies:
            await one(data, next(turn))

    def run() -> None:
        loop.run_until_complete(all_of_them())
        refused = sum(status != 200 for status in heard)
        assert not refused, f"{refused} of {REQUESTS} requests were refused: nothing was measured"

    return run


def guard(policy: Path, *, signals: bool = True) -> Guard:
    """The guard of `policy`, its clock fast enough for nobody to run out of quota."""
    compiled = load_policy(policy)
    if not signals:
        compiled = msgspec.structs.replace(compiled, signals=())
    clock = itertools.count(1_772_452_800.0, 0.2)
    settings = Settings(secret=b"a secret of benchmarks, 32 bytes")
    learners = [Metrics().settled]
    return build_guard(compiled, settings=settings, clock=lambda: next(clock), learners=learners)


def slow_api() -> App | None:
    """slowapi's ASGI middleware with one limit around Starlette, or None when it is not there."""
    try:
        from slowapi import Limiter
        from slowapi.middleware import SlowAPIASGIMiddleware
        from slowapi.util import get_remote_address
    except ImportError:
        return None
    from starlette.applications import Starlette
    from starlette.routing import Route

    class Endpoint:
        """The bare app as a route."""

        __name__ = "endpoint"

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await bare(scope, receive, send)

    app = Starlette(routes=[Route("/v1/chat/completions", Endpoint(), methods=["POST"])])
    app.state.limiter = Limiter(key_func=get_remote_address, default_limits=["100000000/minute"])
    app.add_middleware(SlowAPIASGIMiddleware)
    return app


def starlette_alone() -> App:
    """The same Starlette app without a middleware: what slowapi is to be compared with."""
    from starlette.applications import Starlette
    from starlette.routing import Route

    class Endpoint:
        """The bare app as a route."""

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await bare(scope, receive, send)

    return Starlette(routes=[Route("/v1/chat/completions", Endpoint(), methods=["POST"])])


def rows() -> list[Row]:
    """The table."""
    loop = asyncio.new_event_loop()
    minimal, standard = POLICIES / "minimal.yaml", POLICIES / "standard.yaml"
    nothing = compile_policy(b"version: 1\nmode: enforce\n", "empty.yaml")
    settings = Settings(secret=b"a secret of benchmarks, 32 bytes")
    apps: dict[str, App] = {
        "bare app": bare,
        "empty policy": GuardMiddleware(bare, guard=build_guard(nothing, settings=settings)),
        "minimal.yaml": GuardMiddleware(bare, guard=guard(minimal)),
        "standard.yaml, signals off": GuardMiddleware(bare, guard=guard(standard, signals=False)),
        "standard.yaml": GuardMiddleware(bare, guard=guard(standard)),
    }
    slow = slow_api()
    if slow is not None:
        apps["Starlette alone"] = starlette_alone()
        apps["slowapi ASGI, one limit"] = slow
    try:
        medians = interleaved({name: load(app, loop) for name, app in apps.items()}, each=REQUESTS)
    finally:
        loop.close()
    floor = medians["bare app"]
    rival = None
    if slow is not None:
        rival = medians["slowapi ASGI, one limit"] - medians["Starlette alone"]
    out = [Row(f"bare app, {len(body(0)):,} bytes of chat", f"{floor * 1e6:.1f} µs", "1")]
    for name, seconds in medians.items():
        if name in ("bare app", "Starlette alone"):
            continue
        added = rival if name.startswith("slowapi") and rival is not None else seconds - floor
        share = f"{added / rival:.2f} × slowapi" if rival else "–"
        out.append(Row(f"middleware: {name}", f"+{added * 1e6:.1f} µs", share))
    return out
