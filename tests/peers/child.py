"""One peer around an app, in the environment of that peer: what it adds to a request.

    python child.py NAME BODIES POLICIES

Stands alone, as that environment has nothing of ours. BODIES is a JSON file of request bodies.
Says `ready`, then for each line of standard input sends all of them through the app alone, and then
through the peer around it, and prints the nanoseconds of processor time of a request of each, all
threads together. What is around the app must not refuse a single one.
"""

# No postponed annotations here: FastAPI reads those of its routes, and finds no names of functions.
import asyncio
import gc
import itertools
import json
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

App = Callable[[Any, Any, Any], Awaitable[None]]

PATH = "/v1/chat/completions"
ACCOUNTS = 50
#: So much that nobody runs out of it.
PLENTY = 100_000_000
#: Seconds after which a turn has measured enough, however few its requests were.
ENOUGH = 1.0
ANSWER = b'{"id":"x","choices":[],"usage":{"prompt_tokens":500,"completion_tokens":20}}'
SECRET = b"a secret of benchmarks, 32 bytes"
#: One limit for each account, and nothing else that costs anything.
ONE_LIMIT = b"""\
version: 1
mode: enforce
limits:
  requests: { per: account, requests: 100000000/minute }
"""


async def bare(scope: Any, receive: Any, send: Any) -> None:
    """Reads the body and answers, as the smallest model API would."""
    more = True
    while more:
        more = (await receive()).get("more_body", False)
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": ANSWER})


class Endpoint:
    """The bare app as a route of Starlette."""

    __name__ = "endpoint"

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await bare(scope, receive, send)


def key_of(request: Any) -> str:
    """Who asks, for peers that take a function for it."""
    return str(request.headers["authorization"])


def guarded(policy: Any) -> tuple[App, App]:
    """Ours. Its clock is fast enough for nobody to run out of what the policies give."""
    from gateway_guard.frontends.asgi import GuardMiddleware
    from gateway_guard.policy.compile import compile_policy, load_policy
    from gateway_guard.settings import Settings

    clock = itertools.count(1_772_452_800.0, 0.2)
    ready = load_policy(policy) if isinstance(policy, Path) else compile_policy(policy, "one.yaml")
    settings = Settings(secret=SECRET)
    app = GuardMiddleware(bare, policy=ready, settings=settings, clock=lambda: next(clock))
    return bare, app


def floor() -> tuple[App, App]:
    """The least that a guard does: no rule, no signal, no care for anything unusual."""
    import hashlib

    import msgspec

    asked = msgspec.json.Decoder(msgspec.defstruct("Asked", [("model", str)])).decode
    kind: Any = msgspec.defstruct("Used", [("usage", dict[str, int])])
    used = msgspec.json.Decoder(kind).decode
    counts: dict[bytes, int] = {}
    spent: dict[bytes, int] = {}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        message = await receive()
        asked(message["body"])
        fields = dict(scope["headers"])
        who = hashlib.blake2b(fields[b"authorization"], digest_size=16, key=SECRET).digest()
        counts[who] = left = counts.get(who, PLENTY) - 1

        async def again() -> Any:
            return message

        async def told(message: Any) -> None:
            if message["type"] == "http.response.start":
                limits = [(b"ratelimit", b"%d" % left), (b"ratelimit-policy", b"%d" % PLENTY)]
                message = {**message, "headers": [*message["headers"], *limits]}
            else:
                spent[who] = used(message["body"]).usage["completion_tokens"]
            await send(message)

        await bare(scope, again, told)

    return bare, app


def starlette() -> Any:
    """The bare app as a route of Starlette."""
    from starlette.applications import Starlette
    from starlette.routing import Route

    return Starlette(routes=[Route(PATH, Endpoint(), methods=["POST"])])


def fast_api(**options: Any) -> Any:
    """The smallest app of FastAPI that reads its body and answers the same."""
    from fastapi import FastAPI, Request, Response

    app = FastAPI()

    @app.post(PATH, **options)
    async def chat(request: Request) -> Response:
        await request.body()
        return Response(ANSWER, media_type="application/json")

    return app


def slow_api(*, headers: bool) -> tuple[App, App]:
    """slowapi's ASGI middleware."""
    from slowapi import Limiter
    from slowapi.middleware import SlowAPIASGIMiddleware

    app = starlette()
    app.state.limiter = Limiter(
        key_func=key_of, default_limits=[f"{PLENTY}/minute"], headers_enabled=headers
    )
    app.add_middleware(SlowAPIASGIMiddleware)
    return starlette(), app


def asgi_ratelimit() -> tuple[App, App]:
    """asgi-ratelimit's middleware with its store in memory."""
    from ratelimit import RateLimitMiddleware, Rule
    from ratelimit.backends.simple import MemoryBackend

    async def who(scope: Any) -> tuple[str, str]:
        for name, value in scope["headers"]:
            if name == b"authorization":
                return value.decode(), "default"
        return "nobody", "default"

    rules = {r"^/v1/": [Rule(minute=PLENTY)]}
    return bare, RateLimitMiddleware(bare, who, MemoryBackend(), rules)


def fastapi_limiter() -> tuple[App, App]:
    """fastapi-limiter's dependency, as its page shows it."""
    from fastapi import Depends
    from fastapi_limiter.depends import RateLimiter
    from pyrate_limiter import Duration, Limiter, Rate

    async def who(request: Any) -> str:
        return key_of(request)

    limit = RateLimiter(limiter=Limiter(Rate(PLENTY, Duration.MINUTE)), identifier=who)
    return fast_api(), fast_api(dependencies=[Depends(limit)])


def throttled(*, headers: bool) -> tuple[App, App]:
    """throttled-py's decorator."""
    from fastapi import FastAPI, Request, Response
    from throttled.asyncio.contrib.fastapi import Limiter, RateLimitMiddleware

    app = FastAPI()
    if headers:
        app.add_middleware(RateLimitMiddleware)
    limiter = Limiter(f"{PLENTY}/m", key_func=key_of)

    @app.post(PATH)
    @limiter.limit()  # type: ignore[untyped-decorator]
    async def chat(request: Request) -> Response:
        await request.body()
        return Response(ANSWER, media_type="application/json")

    return fast_api(), app


def fastapi_guard(*, alone: bool) -> tuple[App, App]:
    """fastapi-guard with its store in memory; `alone`: nothing but its limit, the faster way."""
    from guard import SecurityConfig, SecurityMiddleware

    more: dict[str, Any] = {}
    kind: Any = SecurityMiddleware
    if alone:
        from guard.asgi import PureASGISecurityMiddleware

        kind = PureASGISecurityMiddleware
        more = {"enable_penetration_detection": False, "enable_ip_banning": False}
    config = SecurityConfig(enable_redis=False, rate_limit=PLENTY, rate_limit_window=60, **more)
    app = fast_api()
    app.add_middleware(kind, config=config)
    return fast_api(), app


#: The app alone and the peer around the same, by the name in the catalogue.
PEERS: dict[str, Callable[[Path], tuple[App, App]]] = {
    "gateway_guard, one limit": lambda _: guarded(ONE_LIMIT),
    "gateway_guard, one limit, headers off": lambda _: guarded(ONE_LIMIT + b"headers: false\n"),
    "gateway_guard, minimal.yaml": lambda policies: guarded(policies / "minimal.yaml"),
    "gateway_guard, standard.yaml": lambda policies: guarded(policies / "standard.yaml"),
    "floor: the least a guard does": lambda _: floor(),
    "asgi-ratelimit": lambda _: asgi_ratelimit(),
    "slowapi": lambda _: slow_api(headers=False),
    "slowapi, headers on": lambda _: slow_api(headers=True),
    "fastapi-limiter": lambda _: fastapi_limiter(),
    "throttled-py": lambda _: throttled(headers=False),
    "throttled-py, headers on": lambda _: throttled(headers=True),
    "fastapi-guard, limit only": lambda _: fastapi_guard(alone=True),
    "fastapi-guard": lambda _: fastapi_guard(alone=False),
}


def peer(name: str) -> Callable[[Path], tuple[App, App]]:
    """What to build; a compiled build of ours is the same in another environment."""
    return PEERS[name.replace(" compiled", "")]


async def one(app: App, data: bytes, number: int, heard: list[int]) -> None:
    """One request through `app`."""
    who = number % ACCOUNTS
    headers = [
        (b"host", b"api.example"), (b"content-type", b"application/json"),
        (b"content-length", str(len(data)).encode()), (b"user-agent", b"OpenAI/Python 1.99"),
        (b"accept", b"application/json"), (b"authorization", b"Bearer sk-%04d" % who),
    ]  # fmt: skip
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST",
        "scheme": "http", "path": PATH, "query_string": b"", "raw_path": PATH.encode(),
        "headers": headers, "root_path": "", "client": (f"81.2.69.{who + 1}", 50_000),
        "server": ("127.0.0.1", 80), "state": {},
    }  # fmt: skip
    sent = False

    async def receive() -> dict[str, Any]:
        nonlocal sent
        if sent:
            return {"type": "http.disconnect"}
        sent = True
        return {"type": "http.request", "body": data, "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            heard.append(message["status"])

    await app(scope, receive, send)


async def through(app: App, bodies: list[bytes], turn: Iterator[int]) -> float:
    """Nanoseconds of processor time that a request takes, of many one after the other.

    Raises:
        RuntimeError: one was refused, so that nothing was measured.
    """
    heard: list[int] = []
    # The clock of the processor is a call of the kernel, too dear to be asked after each request.
    until = time.monotonic() + ENOUGH
    began = time.process_time_ns()
    for data in bodies:
        await one(app, data, next(turn), heard)
        if time.monotonic() > until:
            break
    spent = time.process_time_ns() - began
    if refused := len(heard) - heard.count(200):
        raise RuntimeError(f"{refused} of {len(heard)} requests were not answered 200")
    return spent / len(heard)


async def main(name: str, bodies: list[bytes], policies: Path) -> None:
    """Serve the questions of standard input."""
    apps = peer(name)(policies)
    turns = itertools.count(), itertools.count()

    async def both() -> list[float]:
        return [await through(app, bodies, turn) for app, turn in zip(apps, turns, strict=True)]

    await both()
    gc.collect()
    gc.freeze()
    print("ready", flush=True)
    loop = asyncio.get_running_loop()
    while await loop.run_in_executor(None, sys.stdin.readline):
        alone, around = await both()
        print(json.dumps({"alone": alone, "around": around}), flush=True)


if __name__ == "__main__":
    texts = json.loads(Path(sys.argv[2]).read_text())
    asyncio.run(main(sys.argv[1], [text.encode() for text in texts], Path(sys.argv[3])))
