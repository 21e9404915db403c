"""GuardMiddleware over HTTP: what is judged, forwarded, measured and settled."""

from __future__ import annotations

import asyncio
import gzip
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_guard.building import build_guard
from gateway_guard.core.policy import Policy
from gateway_guard.core.sections import Inspect
from gateway_guard.frontends.asgi import EXCHANGE_KEY, GuardMiddleware, Receive, Scope, Send
from gateway_guard.frontends.outbox import UPSTREAM_FAILED
from gateway_guard.network.unknown import NoNetwork
from gateway_guard.settings import Settings
from gateway_guard.types import Action, Inspection, Outcome, Restrictions
from tests import build
from tests.frontends.fakes import (
    CHAT,
    MESSAGES,
    Client,
    FakeGuard,
    answering,
    body_of,
    http_scope,
    run,
)
from tests.processes import PATIENCE

JSON = (b"content-type", b"application/json")
SSE = (b"content-type", b"text/event-stream")
ANSWER = b'{"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":5,"total_tokens":12}}'

STREAM = build.prompt(stream=True)
CHUNKS = (
    b'data: {"choices":[{"delta":{"content":"Hi"}}],"usage":null}\n\n',
    b'data: {"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":4}}\n\n',
    b"data: [DONE]\n\n",
)


def guarded(app: Any, guard: FakeGuard, **options: Any) -> GuardMiddleware:
    return GuardMiddleware(app, guard=guard, **options)  # type: ignore[arg-type]


def served(
    app: Any, guard: FakeGuard, scope: Scope | None = None, *chunks: bytes, **options: Any
) -> Client:
    """One request through the guard, played to its end."""
    client = Client(body_of(*(chunks or (b"",))))

    async def main() -> None:
        await guarded(app, guard, **options)(scope or http_scope(), client.receive, client.send)

    run(main)
    return client


def test_a_chat_is_judged_with_its_whole_body_and_forwarded_byte_for_byte() -> None:
    app, guard = answering(ANSWER), FakeGuard()
    body = build.chat_body("\u00e9 and \U0001f600")

    client = served(app, guard, None, body[:5], b"", body[5:])

    assert guard.bodies == [body]
    assert app.bodies == [body]  # type: ignore[attr-defined]
    assert client.body == ANSWER
    assert [usage.outcome for usage in guard.settled] == [Outcome.COMPLETED]


def test_the_upstreams_own_usage_is_settled() -> None:
    guard = FakeGuard()

    served(answering(ANSWER[:20], ANSWER[20:]), guard)

    (usage,) = guard.settled
    assert (usage.input_tokens, usage.output_tokens, usage.reported) == (7, 5, True)
    assert usage.status == 200


def test_an_upstream_that_says_no_has_cost_nothing() -> None:
    guard = FakeGuard()

    served(answering(b'{"error":{}}', status=400), guard)

    (usage,) = guard.settled
    assert (usage.input_tokens, usage.output_tokens, usage.status) == (0, 0, 400)


def test_a_method_that_is_called_like_a_handshake_is_none_and_its_body_is_judged() -> None:
    app = answering(ANSWER)
    policy = build.policy(
        "version: 1\nmode: enforce\nwebsocket: allow\n"
        "rules:\n  - { name: no-text, when: { prompt: open sesame }, then: deny }\n"
    )
    client = Client(body_of(build.chat_body("open sesame")))

    async def main() -> None:
        guarded = GuardMiddleware(app, policy=policy)
        scope = http_scope(method="WEBSOCKET", headers=[JSON])
        await guarded(scope, client.receive, client.send)

    run(main)
    assert client.status == 403
    assert app.bodies == []  # type: ignore[attr-defined]


def test_a_body_is_not_read_where_no_model_is_reached() -> None:
    guard = FakeGuard()
    app = answering(b"ok")

    served(app, guard, http_scope("/files"), b"one", b"two")

    assert guard.bodies == [None]
    assert app.bodies == [b"onetwo"]  # type: ignore[attr-defined]
    assert guard.settled[0].input_tokens is None


def test_a_body_beyond_the_cap_is_unknown_and_still_streamed_through() -> None:
    policy = Policy(digest="d", source="s", enforce=True, inspect=Inspect(max_body=10))
    app, guard = answering(b"ok"), FakeGuard(policy=policy)

    served(app, guard, None, b"12345", b"67890", b"abcde", b"fghij")

    (wire,) = guard.wires
    assert wire.body is None
    assert wire.body_too_large
    assert app.bodies == [b"1234567890abcdefghij"]  # type: ignore[attr-defined]


def test_a_body_of_exactly_the_cap_is_read() -> None:
    policy = Policy(digest="d", source="s", enforce=True, inspect=Inspect(max_body=10))
    guard = FakeGuard(policy=policy)

    served(answering(b"ok"), guard, None, b"12345", b"67890")

    assert guard.bodies == [b"1234567890"]
    assert not guard.wires[0].body_too_large


@pytest.mark.parametrize("length", ["11", "9" * 40])
def test_a_declared_length_beyond_the_cap_is_refused_without_reading(length: str) -> None:
    policy = Policy(digest="d", source="s", enforce=True, inspect=Inspect(max_body=10))
    refused = build.decision(action=Action.DENY, status=413)
    guard = FakeGuard(refused, policy=policy)
    client = Client(body_of(b"x" * 11))

    async def main() -> None:
        scope = http_scope(headers={"content-length": length})
        await guarded(answering(b"never"), guard)(scope, client.receive, client.send)

    run(main)
    assert guard.wires[0].body_too_large
    assert client.status == 413
    assert client.headers[b"connection"] == b"close"
    assert len(client.incoming) == 1


def test_a_client_that_leaves_before_its_body_is_complete_is_not_judged() -> None:
    guard = FakeGuard()
    client = Client([{"type": "http.request", "body": b"{", "more_body": True}])
    client.leave()

    run(lambda: guarded(answering(b"never"), guard)(http_scope(), client.receive, client.send))

    assert guard.wires == []
    assert client.sent == []


def test_chunks_pass_one_by_one_and_unchanged() -> None:
    chunks = (b"data: 1\n\n", b"data: 2\n\n", b"", b"data: [DONE]\n\n", b"")
    guard = FakeGuard(enforce=False)

    client = served(answering(*chunks, headers=[SSE]), guard)

    assert tuple(message["body"] for message in client.sent[1:]) == chunks
    assert [message["more_body"] for message in client.sent[1:]] == [True] * 4 + [False]


@given(
    chunks=st.lists(
        st.one_of(
            st.binary(max_size=40),
            st.sampled_from(
                [*CHUNKS, b"\n", b"", b'data: {"usage":{"completion_tokens":3}}\r\n\r\n']
            ),
            st.binary(max_size=8).map(bytearray),
        ),
        min_size=1,
        max_size=8,
    ),
    headers=st.sampled_from([[SSE], [JSON], [], [SSE, (b"content-encoding", b"gzip")]]),
    status=st.sampled_from([200, 404]),
)
@settings(max_examples=150, deadline=None)
def test_in_shadow_every_message_is_the_applications_own(
    chunks: list[bytes | bytearray], headers: list[tuple[bytes, bytes]], status: int
) -> None:
    last = len(chunks) - 1
    messages: list[Any] = [
        {"type": "http.response.start", "status": status, "headers": headers},
        *(
            {"type": "http.response.body", "body": chunk, "more_body": i < last}
            for i, chunk in enumerate(chunks)
        ),
    ]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)

    decision = build.decision(grants=(build.grant(),))
    guard = FakeGuard(decision, enforce=False, prompt=STREAM)

    client = served(app, guard)

    assert len(client.sent) == len(messages)
    assert all(sent is message for sent, message in zip(client.sent, messages, strict=True))
    assert [usage.outcome for usage in guard.settled] == [Outcome.COMPLETED]


def test_a_refusal_never_reaches_the_application() -> None:
    guard = FakeGuard(build.decision(action=Action.DENY, status=403))
    app = answering(b"never")

    client = served(app, guard)

    assert app.bodies == []  # type: ignore[attr-defined]
    assert client.status == 403
    assert client.headers[b"content-length"] == str(len(client.body)).encode()
    assert [(usage.outcome, usage.status) for usage in guard.settled] == [(Outcome.REFUSED, 403)]


def test_the_refusal_of_a_head_has_no_body() -> None:
    guard = FakeGuard(build.decision(action=Action.DENY, status=403))

    client = served(answering(b"never"), guard, http_scope("/v1/models", method="HEAD"))

    assert client.status == 403
    assert client.body == b""
    assert int(client.headers[b"content-length"]) > 0


def test_a_shadow_refusal_is_forwarded_and_settled_as_forwarded() -> None:
    shadow = build.decision(action=Action.DENY, status=403, acted=False)
    guard = FakeGuard(shadow, enforce=False)

    client = served(answering(ANSWER), guard)

    assert client.status == 200
    assert guard.settled[0].outcome is Outcome.COMPLETED


def test_rate_limit_headers_are_on_enforced_responses_only() -> None:
    decision = build.decision(grants=(build.grant(),))

    enforced = served(answering(ANSWER), FakeGuard(decision))
    shadow = served(answering(ANSWER), FakeGuard(decision, enforce=False))

    assert enforced.headers[b"ratelimit"] == b'"requests";r=59;t=1'
    assert shadow.headers == dict([JSON])


def test_a_policy_may_switch_rate_limit_headers_off() -> None:
    policy = Policy(digest="d", source="s", enforce=True, headers=False)
    decision = build.decision(grants=(build.grant(),))

    client = served(answering(ANSWER), FakeGuard(decision, policy=policy))

    assert client.headers == dict([JSON])


@pytest.mark.parametrize(
    ("path", "name"), [(CHAT, b"x-request-id"), (MESSAGES, b"request-id"), ("/x", b"x-request-id")]
)
def test_an_answer_is_named_as_in_the_decision_log(path: str, name: bytes) -> None:
    enforced = served(answering(ANSWER), FakeGuard(), http_scope(path))
    shadow = served(answering(ANSWER), FakeGuard(enforce=False), http_scope(path))

    assert enforced.headers == dict([JSON, (name, b"r_test000001")])
    assert shadow.headers == dict([JSON])


@pytest.mark.parametrize("theirs", [b"x-request-id", b"X-Request-Id"])
def test_a_name_of_the_upstreams_own_stays_beside_ours(theirs: bytes) -> None:
    app = answering(ANSWER, headers=[JSON, (theirs, b"req_1")])

    client = served(app, FakeGuard())

    assert client.headers == dict(
        [JSON, (theirs, b"req_1"), (b"x-guard-request-id", b"r_test000001")]
    )


def test_an_answer_of_ours_is_named_once() -> None:
    app = answering(ANSWER, headers=[JSON, (b"x-request-id", b"r_test000001")])

    client = served(app, FakeGuard())

    assert client.headers == dict([JSON, (b"x-request-id", b"r_test000001")])


def test_the_application_can_read_its_exchange() -> None:
    seen: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope[EXCHANGE_KEY])
        await answering(b"ok")(scope, receive, send)

    served(app, FakeGuard())

    assert seen[0].request.account == "acct_test"
    assert seen[0].settled


def test_restrictions_rewrite_the_forwarded_body_and_its_length() -> None:
    scopes: list[Scope] = []
    inner = answering(ANSWER)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scopes.append(scope)
        await inner(scope, receive, send)

    decision = build.decision(action=Action.RESTRICT, restrictions=Restrictions(n=1))
    body = build.chat_body(n=4)
    scope = http_scope(headers={"content-length": str(len(body)), "x-keep": "yes"})

    served(app, FakeGuard(decision), scope, body)

    (forwarded,) = inner.bodies  # type: ignore[attr-defined]
    headers = dict(scopes[0]["headers"])
    assert msgspec.json.decode(forwarded)["n"] == 1
    assert headers[b"content-length"] == str(len(forwarded)).encode()
    assert headers[b"x-keep"] == b"yes"


def test_a_body_that_was_not_inspected_is_never_rewritten() -> None:
    decision = build.decision(action=Action.RESTRICT, restrictions=Restrictions(n=1))
    app, body = answering(ANSWER), b'{"n": 4, "n": 1}'
    guard = FakeGuard(decision, inspection=Inspection.DUPLICATE_KEYS, prompt=None)

    served(app, guard, None, body)

    assert app.bodies == [body]  # type: ignore[attr-defined]


def test_shadow_restrictions_leave_the_body_alone() -> None:
    decision = build.decision(action=Action.RESTRICT, restrictions=Restrictions(n=1), acted=False)
    app, body = answering(ANSWER), build.chat_body(n=4)

    served(app, FakeGuard(decision, enforce=False), None, body)

    assert app.bodies == [body]  # type: ignore[attr-defined]


def test_usage_is_forced_on_a_stream_and_hidden_from_the_client() -> None:
    scopes: list[Scope] = []
    inner = answering(*CHUNKS, headers=[SSE, (b"content-length", b"999")])

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scopes.append(scope)
        await inner(scope, receive, send)

    guard = FakeGuard(prompt=STREAM)
    scope = http_scope(headers={"accept-encoding": "gzip, br"})

    client = served(app, guard, scope, build.chat_body(stream=True))

    asked = msgspec.json.decode(inner.bodies[0])  # type: ignore[attr-defined]
    assert asked["stream_options"] == {"include_usage": True}
    assert client.body == CHUNKS[0] + CHUNKS[2]
    assert b"content-length" not in client.headers
    assert dict(scopes[0]["headers"])[b"accept-encoding"] == b"identity"
    assert (guard.settled[0].input_tokens, guard.settled[0].output_tokens) == (9, 4)


def test_what_the_client_signed_is_not_changed_to_have_usage_reported() -> None:
    app, body = answering(*CHUNKS, headers=[SSE]), build.chat_body(stream=True)

    client = served(app, FakeGuard(prompt=STREAM, credential="aws4-hmac-sha256"), None, body)

    assert app.bodies == [body]  # type: ignore[attr-defined]
    assert client.body == b"".join(CHUNKS)


@pytest.mark.parametrize(
    "cut",
    [
        (CHUNKS[0] + CHUNKS[1] + CHUNKS[2],),
        (CHUNKS[1], CHUNKS[0] + CHUNKS[2]),
        (CHUNKS[0], CHUNKS[0] + CHUNKS[1], CHUNKS[2]),
        (CHUNKS[0], CHUNKS[1][:30], CHUNKS[1][30:] + CHUNKS[2], b""),
        (CHUNKS[0], CHUNKS[2], CHUNKS[1][:-1]),
        (CHUNKS[0], CHUNKS[2][:-1]),
    ],
    ids=["all at once", "first of all", "behind another", "in two pieces", "the end", "no end"],
)
def test_usage_is_hidden_however_the_stream_is_cut(cut: tuple[bytes, ...]) -> None:
    guard = FakeGuard(prompt=STREAM)

    client = served(answering(*cut, headers=[SSE]), guard, None, build.chat_body(stream=True))

    assert client.body == b"".join(cut).replace(CHUNKS[1], b"").replace(CHUNKS[1][:-1], b"")
    assert [message["more_body"] for message in client.sent[1:]][-1] is False
    reported = CHUNKS[1][:-1] in b"".join(cut)
    assert guard.settled[0].reported is reported
    assert guard.settled[0].output_tokens in ((4,) if reported else (1, 2))


def test_compressed_answers_pass_as_they_are_and_are_read() -> None:
    guard = FakeGuard()
    packed = gzip.compress(ANSWER)
    encoding = (b"content-encoding", b"gzip")

    client = served(answering(packed, headers=[JSON, (b"x-other-names", b"1"), encoding]), guard)

    assert client.body == packed
    assert (guard.settled[0].input_tokens, guard.settled[0].output_tokens) == (7, 5)


def test_messages_of_extensions_pass() -> None:
    trailers = {"type": "http.response.trailers", "headers": [(b"x-sum", b"1")]}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        start = {"type": "http.response.start", "status": 200, "headers": [JSON], "trailers": True}
        await send(start)
        await send({"type": "http.response.body", "body": ANSWER})
        await send(trailers)

    guard = FakeGuard()

    client = served(app, guard)

    assert client.sent[0]["trailers"] is True
    assert client.sent[2] is trailers
    assert len(guard.settled) == 1


def test_headers_may_be_any_iterable_of_pairs() -> None:
    guard = FakeGuard()
    scope = http_scope()
    scope["headers"] = ((b"content-length", b"2"), (b"x-a", b"1"))

    served(answering(b"ok"), guard, scope, b"{}")

    assert guard.wires[0].headers == [(b"content-length", b"2"), (b"x-a", b"1")]


@pytest.mark.parametrize("enforced", [True, False], ids=["enforced", "in shadow"])
def test_headers_of_an_answer_that_can_be_read_only_once_reach_the_client(enforced: bool) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        once = (pair for pair in (JSON, (b"set-cookie", b"a=b")))
        await send({"type": "http.response.start", "status": 200, "headers": once})
        await send({"type": "http.response.body", "body": ANSWER})

    guard = FakeGuard(enforce=enforced)

    client = served(app, guard)

    assert list(client.sent[0]["headers"])[:2] == [JSON, (b"set-cookie", b"a=b")]
    assert guard.settled[0].reported


@pytest.mark.parametrize(
    "request_fields",
    [
        {"prompt": build.prompt(stream=True, include_usage=True)},
        {"prompt": build.prompt()},
        {"prompt": STREAM, "path": "/v1/responses"},
    ],
    ids=["the client asked itself", "no stream", "a route that always counts"],
)
def test_usage_is_not_forced_where_needless(request_fields: dict[str, Any]) -> None:
    app, body = answering(*CHUNKS, headers=[SSE]), build.chat_body(stream=True)

    client = served(app, FakeGuard(**request_fields), None, body)

    assert app.bodies == [body]  # type: ignore[attr-defined]
    assert client.body == b"".join(CHUNKS)


def test_usage_is_not_forced_in_shadow() -> None:
    app, body = answering(*CHUNKS, headers=[SSE]), build.chat_body(stream=True)

    client = served(app, FakeGuard(prompt=STREAM, enforce=False), None, body)

    assert app.bodies == [body]  # type: ignore[attr-defined]
    assert client.body == b"".join(CHUNKS)


def test_an_exception_before_the_response_passes_and_costs_nothing() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("broken")

    guard = FakeGuard()

    with pytest.raises(RuntimeError, match="broken"):
        served(app, guard)

    (usage,) = guard.settled
    assert usage.outcome is Outcome.UPSTREAM_ERROR
    assert (usage.input_tokens, usage.output_tokens) == (0, 0)


def test_an_answer_made_because_the_upstream_gave_none_is_no_completed_exchange() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 502, UPSTREAM_FAILED: True})
        await send({"type": "http.response.body", "body": b"{}"})

    guard = FakeGuard()

    client = served(app, guard)

    (usage,) = guard.settled
    assert client.status == 502
    assert (usage.outcome, usage.status) == (Outcome.UPSTREAM_ERROR, 502)
    assert (usage.input_tokens, usage.output_tokens) == (0, 0)


def test_an_exception_in_mid_stream_passes_and_is_never_a_clean_end() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [SSE]})
        await send({"type": "http.response.body", "body": CHUNKS[0], "more_body": True})
        raise RuntimeError("cut")

    guard = FakeGuard()
    client = Client(body_of(b"{}"))

    async def main() -> None:
        with pytest.raises(RuntimeError, match="cut"):
            await guarded(app, guard)(http_scope(), client.receive, client.send)

    run(main)
    assert client.sent[1:]
    assert all(message["more_body"] for message in client.sent[1:])
    (usage,) = guard.settled
    assert usage.outcome is Outcome.UPSTREAM_CUT
    assert usage.output_tokens is not None
    assert usage.output_tokens >= 1


def test_an_application_that_returns_without_an_end_is_a_cut() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [JSON]})

    guard = FakeGuard()

    served(app, guard)

    assert guard.settled[0].outcome is Outcome.UPSTREAM_CUT


def test_a_cancelled_request_is_settled_to_the_end_even_by_a_slow_store() -> None:
    guard = FakeGuard()
    waiting = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        waiting.set()
        await asyncio.Event().wait()

    async def main() -> None:
        guard.slow = asyncio.Event()
        client = Client(body_of(b"{}"))
        task = asyncio.ensure_future(guarded(app, guard)(http_scope(), client.receive, client.send))
        await waiting.wait()
        task.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        guard.slow.set()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(main)
    assert [usage.outcome for usage in guard.settled] == [Outcome.CLIENT_GONE]


def test_settling_happens_before_the_applications_background_work() -> None:
    guard = FakeGuard()
    settled_by_then: list[int] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await answering(b"ok")(scope, receive, send)
        settled_by_then.append(len(guard.settled))

    served(app, guard)

    assert settled_by_then == [1]
    assert len(guard.settled) == 1


@pytest.mark.parametrize(
    ("scope", "judged"),
    [
        ({"raw_path": b"/v1/%41?x=1"}, b"/v1/%41"),
        ({"raw_path": None, "path": "/a b/é"}, b"/a%20b/%C3%A9"),
        ({"raw_path": b"", "path": "/v1/chat", "root_path": "/llm"}, b"/llm/v1/chat"),
        ({"raw_path": b"", "path": "/llm/v1/chat", "root_path": "/llm/"}, b"/llm/v1/chat"),
        ({"raw_path": b"/llm/v1/chat", "path": "/v1/chat", "root_path": "/llm"}, b"/llm/v1/chat"),
        ({"raw_path": b"", "path": "/llmx", "root_path": "/llm"}, b"/llm/llmx"),
        ({"raw_path": b"", "path": "/%2e%2e/\udcff"}, b"/%252e%252e/%FF"),
    ],
)
def test_the_path_judged_is_the_one_the_client_sent(scope: dict[str, Any], judged: bytes) -> None:
    guard = FakeGuard()

    served(answering(b"ok"), guard, http_scope(method="GET", **scope))

    assert guard.wires[0].raw_path == judged


@pytest.mark.parametrize(
    ("client", "peer"),
    [(("192.0.2.1", 5), "192.0.2.1"), (["192.0.2.1", 5], "192.0.2.1"), (None, None), ("", None)],
)
def test_the_peer_is_the_other_end_or_unknown(client: Any, peer: str | None) -> None:
    guard = FakeGuard()

    served(answering(b"ok"), guard, http_scope(client=client))

    assert guard.wires[0].peer == peer


class StateLike:
    gateway_guard = {"account": "alice"}  # noqa: RUF012 - what an application would write


@pytest.mark.parametrize(
    ("state", "seen"),
    [
        ({"gateway_guard": {"account": "alice"}}, {"account": "alice"}),
        (StateLike(), {"account": "alice"}),
        ({}, None),
        ({"gateway_guard": "alice"}, None),
        ({"other": 1}, None),
    ],
)
def test_what_the_application_knows_comes_through_the_state(state: Any, seen: Any) -> None:
    guard = FakeGuard()

    served(answering(b"ok"), guard, http_scope(state=state))

    assert guard.wires[0].state == seen


def test_other_scopes_pass() -> None:
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["type"])

    guard = FakeGuard()

    run(lambda: guarded(app, guard)({"type": "mqtt"}, Client().receive, Client().send))

    assert seen == ["mqtt"]
    assert guard.wires == []


def test_the_guard_closes_after_the_application_has_shut_down() -> None:
    order: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        order.append(f"closed {guard.closed} times")
        await send({"type": "lifespan.shutdown.complete"})

    guard = FakeGuard()
    client = Client([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])

    run(lambda: guarded(app, guard)({"type": "lifespan"}, client.receive, client.send))

    assert order == ["closed 0 times"]
    assert guard.closed == 1
    assert [m["type"] for m in client.sent] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]


def test_either_a_policy_or_a_guard_is_needed() -> None:
    app = answering(b"ok")
    policy = Policy(digest="d", source="s")

    with pytest.raises(TypeError, match="either policy"):
        GuardMiddleware(app)
    with pytest.raises(TypeError, match="either policy"):
        GuardMiddleware(app, policy=policy, guard=FakeGuard())  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="a ready guard"):
        guarded(app, FakeGuard(), clock=lambda: 0.0)


def test_every_decision_is_timed_for_whoever_asks() -> None:
    times: list[float] = []
    guard = FakeGuard()

    served(answering(b"ok"), guard, on_decided=times.append)
    served(answering(b"ok"), guard, http_scope("/v1/models", method="GET"))

    assert len(times) == 1
    assert 0.0 <= times[0] < PATIENCE


def test_whoever_fails_to_take_the_time_costs_nobody_their_place(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(_seconds: float) -> None:
        raise OSError("no such socket")

    brain = build_guard(
        build.policy("mode: enforce\nlimits: { running: { per: account, concurrent: 1 } }"),
        network=NoNetwork(), settings=Settings(secret=build.SECRET),
    )  # fmt: skip
    middleware = GuardMiddleware(answering(b"ok"), guard=brain, on_decided=broken)
    clients = [Client(body_of(b"{}")) for _ in range(2)]

    async def main() -> None:
        for client in clients:
            scope = http_scope("/v1/models", method="GET")
            await middleware(scope, client.receive, client.send)

    run(main)
    assert [client.sent[0]["status"] for client in clients] == [200, 200]
    assert brain.failures == {"on_decided": 2}
    assert "on_decided failed (1): OSError at" in caplog.text


@pytest.mark.parametrize(
    ("options", "watched"),
    [
        ({}, False),
        ({"reload_every": None}, False),
        ({"reload_every": 0.0}, True),
    ],
)
def test_a_ready_guard_is_watched_only_where_asked(options: dict[str, Any], watched: bool) -> None:
    guard = FakeGuard()
    guard.policies.changes = 1
    middleware = guarded(answering(b"ok"), guard, **options)
    client = Client(body_of(b""))

    async def main() -> None:
        await middleware(http_scope(), client.receive, client.send)
        if watched:
            await asyncio.to_thread(guard.reloaded.wait, 5)
        await middleware._background.close()

    run(main)
    assert (guard.reloads > 0) is watched


@pytest.mark.parametrize(("every", "watched"), [(..., True), (None, False)])
def test_a_policy_is_watched_unless_told_not_to(every: Any, watched: bool) -> None:
    middleware = GuardMiddleware(
        answering(b"ok"), policy=Policy(digest="d", source="s"), reload_every=every
    )

    assert (middleware._background._reload_every is not None) is watched


def test_refusals_of_the_other_dialect_are_in_the_other_dialect() -> None:
    guard = FakeGuard(build.decision(action=Action.THROTTLE, status=429, retry_after=2.0))

    openai = served(answering(b""), guard, http_scope(CHAT))
    anthropic = served(answering(b""), guard, http_scope(MESSAGES))

    assert msgspec.json.decode(openai.body)["error"]["code"] == "rate_limit_exceeded"
    assert msgspec.json.decode(anthropic.body)["error"]["type"] == "rate_limit_error"


def test_a_compressed_body_is_restricted_and_forwarded_uncompressed() -> None:
    scopes: list[Scope] = []
    inner = answering(ANSWER)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scopes.append(scope)
        await inner(scope, receive, send)

    decision = build.decision(action=Action.RESTRICT, restrictions=Restrictions(n=1))
    body = gzip.compress(build.chat_body(n=4))

    served(app, FakeGuard(decision), http_scope(headers={"content-encoding": "gzip"}), body)

    (forwarded,) = inner.bodies  # type: ignore[attr-defined]
    assert msgspec.json.decode(forwarded)["n"] == 1
    assert dict(scopes[0]["headers"]) == {b"content-length": str(len(forwarded)).encode()}


def test_a_restriction_that_changes_nothing_leaves_the_body_alone() -> None:
    decision = build.decision(action=Action.RESTRICT, restrictions=Restrictions(n=1))
    app, body = answering(ANSWER), b'{"n": 1, "model":"m"}'

    served(app, FakeGuard(decision), None, body)

    assert app.bodies == [body]  # type: ignore[attr-defined]


def test_a_body_that_cannot_be_restricted_is_settled_and_not_forwarded() -> None:
    decision = build.decision(action=Action.RESTRICT, restrictions=Restrictions(n=1))
    guard, app = FakeGuard(decision), answering(ANSWER)

    with pytest.raises(ValueError, match=r"\w"):
        served(app, guard, http_scope(headers={"content-encoding": "gzip"}), b"not gzip")

    assert app.bodies == []  # type: ignore[attr-defined]
    assert [usage.outcome for usage in guard.settled] == [Outcome.UPSTREAM_ERROR]


def test_a_single_message_beyond_the_cap_is_too_large() -> None:
    policy = Policy(digest="d", source="s", enforce=True, inspect=Inspect(max_body=10))
    app, guard = answering(b"ok"), FakeGuard(policy=policy)

    served(app, guard, None, b"x" * 11)

    assert guard.wires[0].body_too_large
    assert app.bodies == [b"x" * 11]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "message",
    [
        {"type": "http.response.pathsend", "path": "/tmp/file"},
        {"type": "http.response.zerocopysend", "file": 3},
    ],
    ids=["pathsend", "zerocopysend"],
)
def test_files_sent_by_the_server_itself_pass_and_settle(message: dict[str, Any]) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send(message)

    guard = FakeGuard()

    client = served(app, guard, http_scope("/file", method="GET"))

    assert client.sent[1] == message
    assert [usage.outcome for usage in guard.settled] == [Outcome.COMPLETED]


def test_chunks_need_not_be_bytes() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [JSON]})
        await send({"type": "http.response.body", "body": memoryview(ANSWER)})

    guard = FakeGuard()

    client = served(app, guard)

    assert bytes(client.sent[1]["body"]) == ANSWER
    assert guard.settled[0].output_tokens == 5
