"""What the middleware adds to a bare ASGI app, per 2 KB chat request, in process."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import yaml

from gateway_guard.building import build_guard
from gateway_guard.core.policy import Policy
from gateway_guard.frontends.asgi import GuardMiddleware
from gateway_guard.guard import Guard, Learner
from gateway_guard.linking import Linking
from gateway_guard.policy.compile import compile_policy, load_policy
from gateway_guard.record.log import DecisionLog
from gateway_guard.record.metrics import Metrics
from gateway_guard.settings import Settings
from tests.bench.measure import Row, interleaved
from tests.peers.child import ACCOUNTS, SECRET, bare, one, starlette

App = Callable[[Any, Any, Any], Awaitable[None]]

POLICIES = Path(__file__).resolve().parents[2] / "policies"
REQUESTS = 400
SLOWAPI = "slowapi ASGI, one limit"
TOLD = "slowapi ASGI, one limit, headers on"

_WORDS = (
    "river", "engine", "copper", "letter", "garden", "signal", "window", "basket", "planet",
    "button", "marble", "thunder", "harbour", "lantern", "meadow", "cobalt",
)  # fmt: skip


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


def load(app: App, loop: asyncio.AbstractEventLoop, requests: int = REQUESTS) -> Callable[[], None]:
    """A function that sends so many requests through `app`, in turn."""
    bodies = [body(number) for number in range(requests)]
    turn = itertools.count()
    heard: list[int] = []

    async def all_of_them() -> None:
        heard.clear()
        for data in bodies:
            await one(app, data, next(turn), heard)

    def run() -> None:
        loop.run_until_complete(all_of_them())
        refused = sum(status != 200 for status in heard)
        assert not refused, f"{refused} of {requests} requests were refused: nothing was measured"

    return run


class Heedless(Linking):
    """What campaigns cost between two requests: the queue is filled, and nobody learns from it."""

    def __init__(self) -> None:
        super().__init__(SECRET, threaded=False)
        self._waiting = deque(maxlen=1000)


def guard(
    policy: Path | Policy, *, learners: Sequence[Learner] = (), linking: Linking | None = None
) -> Guard:
    """The guard of `policy`, its clock fast enough for nobody to run out of quota.

    `linking` learns what campaigns there are; `Heedless` by default.
    """
    if isinstance(policy, Path):
        policy = load_policy(policy)
    clock = itertools.count(1_772_452_800.0, 0.2)
    learners = learners or [Metrics().settled]
    links = Heedless() if linking is None else linking
    if policy.campaigns:
        learners = [*learners, links.write]
    return build_guard(
        policy, settings=Settings(secret=SECRET), clock=lambda: next(clock), learners=learners,
        campaign_of=links.facts,
    )  # fmt: skip


def without(path: Path, *, signals: bool = True, campaigns: bool = True) -> Policy:
    """The policy without what is False, as an operator would write it: nothing in it asks for it.

    Without both the guard need not look at prompts for digests either. No other limit is missing.
    """
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    asked = set()
    if not signals:
        asked.add("risk")
        del document["signals"]
        for limit in document["limits"].values():
            adapt = limit.get("adapt", {})
            if "risk" in adapt:
                del adapt["risk"]
                adapt.pop("recover", None)
    if not campaigns:
        asked.add("campaign")
        limits = document["limits"]
        document["limits"] = {n: limit for n, limit in limits.items() if limit["per"] != "campaign"}
    document["rules"] = [r for r in document["rules"] if asked.isdisjoint(r.get("when", {}))]
    text = yaml.safe_dump(document, sort_keys=False).encode()
    policy = compile_policy(text, f"{path.name} without {asked}")
    assert bool(policy.signals) is signals
    assert policy.campaigns is campaigns
    assert policy.inspect.shapes is (signals or campaigns)
    return policy


def streaming(events: int) -> App:
    """Reads the body and streams an answer of so many events."""
    chunk = (
        b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1772452800,"model":'
        b'"apex-4","choices":[{"index":0,"delta":{"content":" word"},"finish_reason":null}]}\n\n'
    )

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for _ in range(events):
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b"data: [DONE]\n\n"})

    return app


def slow_api(*, headers: bool) -> App | None:
    """The bare app as a route of Starlette with slowapi's ASGI middleware around it and one limit;
    None when slowapi is not installed.

    `headers`: whether it tells the client of the limit, as the guard always does.
    """
    try:
        from slowapi import Limiter
        from slowapi.middleware import SlowAPIASGIMiddleware
        from slowapi.util import get_remote_address
    except ImportError:
        return None
    app: Any = starlette()
    app.state.limiter = Limiter(
        key_func=get_remote_address, default_limits=["100000000/minute"], headers_enabled=headers
    )
    app.add_middleware(SlowAPIASGIMiddleware)
    around: App = app
    return around


def chats(loop: asyncio.AbstractEventLoop) -> list[Row]:
    """What a chat costs, beside slowapi in the same run."""
    minimal, standard = POLICIES / "minimal.yaml", POLICIES / "standard.yaml"
    nothing = compile_policy(b"version: 1\nmode: enforce\n", "empty.yaml")
    settings = Settings(secret=SECRET)
    plain, bare_signals = "standard.yaml, signals and campaigns off", "standard.yaml, campaigns off"
    apps: dict[str, App] = {
        "bare app": bare,
        "empty policy": GuardMiddleware(bare, guard=build_guard(nothing, settings=settings)),
        "minimal.yaml": GuardMiddleware(bare, guard=guard(minimal)),
        plain: GuardMiddleware(
            bare, guard=guard(without(standard, signals=False, campaigns=False))
        ),
        "standard.yaml, signals off": GuardMiddleware(
            bare, guard=guard(without(standard, signals=False))
        ),
        bare_signals: GuardMiddleware(bare, guard=guard(without(standard, campaigns=False))),
        "standard.yaml": GuardMiddleware(bare, guard=guard(standard)),
    }
    slow, told = slow_api(headers=False), slow_api(headers=True)
    if slow is not None and told is not None:
        apps |= {"Starlette alone": starlette(), SLOWAPI: slow, TOLD: told}
    runs = {name: load(app, loop) for name, app in apps.items()}
    links = Linking(SECRET, threaded=False)
    linked = load(GuardMiddleware(bare, guard=guard(standard, linking=links)), loop)

    def learnt() -> None:
        linked()
        links.learn()  # a thread's work, and, like the log's, part of this figure

    runs["standard.yaml, the linker's thread included"] = learnt
    with tempfile.TemporaryDirectory() as folder:
        metrics, log = Metrics(), DecisionLog(Path(folder) / "decisions.jsonl")
        logged = load(
            GuardMiddleware(
                bare,
                guard=guard(standard, learners=[metrics.settled, log.write]),
                on_decided=metrics.decided,
            ),
            loop,
        )

        def written() -> None:
            logged()
            log.flush()  # the writing is a thread's, and belongs to this figure, not to the next

        runs["standard.yaml, decision log and metrics on"] = written
        medians = interleaved(runs, each=REQUESTS)
        assert log.written
        assert not log.dropped
        log.close()
    assert len(links.linker.memory.traces) == ACCOUNTS
    assert not links.failed
    floor = medians.pop("bare app")
    alone = medians["standard.yaml, signals off"] - medians[plain]
    beside = medians["standard.yaml"] - medians[bare_signals]
    campaigns = [
        Row("campaigns, inline, digests of the prompt included", f"+{alone * 1e6:.1f} µs"),
        Row("campaigns, inline, beside signals that take the digests", f"+{beside * 1e6:.1f} µs"),
    ]
    out = [Row(f"bare app, {len(body(0)):,} bytes of chat", f"{floor * 1e6:.1f} µs", "1")]
    routed = medians.pop("Starlette alone", 0.0)
    rivals = {}
    for name in (SLOWAPI, TOLD):
        if name in medians:
            # What it adds to the same app, and, as such figures are often given, to the bare one.
            seconds = medians.pop(name)
            rivals[name] = seconds - routed
            rivals[f"{name}, with its Starlette"] = seconds - floor
    for name, seconds in medians.items():
        added = seconds - floor
        share = "–"
        if rivals:
            least, most = added / max(rivals.values()), added / min(rivals.values())
            share = f"{least:.2f}–{most:.2f} × slowapi"
        out.append(Row(f"middleware: {name}", f"+{added * 1e6:.1f} µs", share))
    out += [Row(f"middleware: {name}", f"+{added * 1e6:.1f} µs") for name, added in rivals.items()]
    return out + campaigns


def events(loop: asyncio.AbstractEventLoop) -> list[Row]:
    """What an event of a stream costs: the slope between short and long streams."""
    few, many, requests = 100, 600, 40
    standard = POLICIES / "standard.yaml"
    runs = {}
    for count in (few, many):
        app = streaming(count)
        runs[f"bare {count}"] = load(app, loop, requests)
        runs[f"guarded {count}"] = load(GuardMiddleware(app, guard=guard(standard)), loop, requests)
    medians = interleaved(runs, each=requests * (many - few))
    floor = medians[f"bare {many}"] - medians[f"bare {few}"]
    added = medians[f"guarded {many}"] - medians[f"guarded {few}"] - floor
    return [
        Row("bare app, one SSE event", f"{floor * 1e6:.2f} µs", "1"),
        Row("middleware: standard.yaml, one SSE event", f"+{added * 1e6:.2f} µs"),
    ]


def rows() -> list[Row]:
    """The table."""
    loop = asyncio.new_event_loop()
    try:
        return [*chats(loop), *events(loop)]
    finally:
        loop.close()
