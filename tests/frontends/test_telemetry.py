"""Spans and metrics around a guard: named by the conventions, few, and without a client in them."""

from __future__ import annotations

import asyncio
import importlib
import pkgutil
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any, NamedTuple

import opentelemetry.semconv._incubating.attributes as incubating
import opentelemetry.semconv.attributes as stable
import pytest
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, Sampler
from opentelemetry.trace import SpanKind, StatusCode
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from gateway_guard.building import build_guard
from gateway_guard.errors import SettingsError
from gateway_guard.frontends.asgi import GuardMiddleware
from gateway_guard.frontends.server import _exporting
from gateway_guard.frontends.telemetry import MOST_RULES, Telemetry, Traced
from gateway_guard.guard import Guard
from gateway_guard.record.spans import Names
from gateway_guard.settings import Settings
from gateway_guard.types import Usage
from tests import build
from tests.frontends.fakes import CHAT, Client, body_of, http_scope, run

POLICY = """\
mode: enforce
rules:
  - { name: no-evil, when: { model: [evil*] }, then: deny }
"""
ANSWER = b'{"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":5,"total_tokens":12}}'
CHUNKS = (
    b'data: {"choices":[{"delta":{"content":"Hi"}}],"usage":null}\n\n',
    b'data: {"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":4}}\n\n',
    b"data: [DONE]\n\n",
)
TRACE = "0af7651916cd43dd8448eb211c80319c"
CANARY = "canary-0123456789abcdef"


class Seen(NamedTuple):
    """Who watches, and what they saw."""

    telemetry: Telemetry
    exporter: InMemorySpanExporter
    reader: InMemoryMetricReader

    @property
    def span(self) -> ReadableSpan:
        (span,) = self.exporter.get_finished_spans()
        return span

    def points(self, name: str) -> list[tuple[dict[str, Any], Any]]:
        data = self.reader.get_metrics_data()
        return [
            (dict(point.attributes or {}), point)
            for resource in (data.resource_metrics if data is not None else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
        ]


def watching(sampler: Sampler | None = None) -> Seen:
    exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
    tracers = TracerProvider(sampler, shutdown_on_exit=False)
    tracers.add_span_processor(SimpleSpanProcessor(exporter))
    meters = MeterProvider([reader], shutdown_on_exit=False)
    return Seen(Telemetry(tracers, meters), exporter, reader)


def guard_of(policy: str = POLICY) -> Guard:
    return build_guard(
        build.policy(policy), settings=Settings(secret=build.SECRET), clock=lambda: build.NOW
    )


def said(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def answer(*pieces: bytes, kind: bytes = b"application/json", status: int = 200) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            continue
        headers = [(b"content-type", kind)]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        for piece in pieces[:-1]:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": pieces[-1]})

    return app


def served(seen: Seen, app: Any, *, body: bytes | None = None, **scope: Any) -> Client:
    client = Client(body_of(body or build.chat_body()))
    headers = [
        (b"content-type", b"application/json"), (b"authorization", f"Bearer {CANARY}".encode()),
        *scope.pop("headers", ()),
    ]  # fmt: skip
    asked = http_scope(headers=headers, **scope)

    async def main() -> None:
        traced = Traced(GuardMiddleware(app, guard=guard_of()), telemetry=seen.telemetry)
        await traced(asked, client.receive, client.send)

    run(main)
    return client


def conventional() -> Iterator[str]:
    for package in (stable, incubating):
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            for value in vars(importlib.import_module(module.name)).values():
                if isinstance(value, str):
                    yield value


def test_a_chat_is_one_server_span_with_what_was_asked_used_and_decided() -> None:
    seen = watching()

    served(seen, answer(ANSWER), body=build.chat_body(CANARY))

    span = seen.span
    attributes = said(span)
    assert (span.name, span.kind) == (f"POST {CHAT}", SpanKind.SERVER)
    assert attributes["gen_ai.request.model"] == "apex-4"
    assert attributes["gen_ai.usage.input_tokens"] == 7
    assert attributes["gateway_guard.action"] == "allow"
    assert attributes["gateway_guard.outcome"] == "completed"
    assert attributes["http.response.status_code"] == 200
    assert CANARY not in span.to_json()
    assert "acct_" not in span.to_json()


def test_every_attribute_is_named_by_the_conventions_or_after_the_guard() -> None:
    seen = watching()
    known = set(conventional())

    served(seen, answer(ANSWER))
    served(seen, answer(ANSWER), body=build.chat_body(model="evil-1"))

    names = {name for span in seen.exporter.get_finished_spans() for name in said(span)}
    data = seen.reader.get_metrics_data()
    assert data is not None
    for resource in data.resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                for point in metric.data.data_points:
                    names |= set(point.attributes or {})
    assert len(names) > 15
    assert {name for name in names if not name.startswith("gateway_guard.")} <= known


def test_a_trace_that_comes_in_goes_on_and_the_application_sees_the_guards_span() -> None:
    seen = watching()
    passed: list[dict[bytes, bytes]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        passed.append(dict(scope["headers"]))
        await answer(ANSWER)(scope, receive, send)

    parent = f"00-{TRACE}-b7ad6b7169203331-01".encode()
    served(seen, app, headers=[(b"traceparent", parent), (b"tracestate", b"v=1")])

    context = seen.span.context
    assert f"{context.trace_id:032x}" == TRACE
    assert passed[0][b"traceparent"] == f"00-{TRACE}-{context.span_id:016x}-01".encode()
    assert passed[0][b"tracestate"] == b"v=1"


@pytest.mark.parametrize("header", [b"", b"00-zz-1-01", b"00-" + b"0" * 32 + b"-1-01", b"\xff"])
def test_a_broken_trace_header_begins_a_new_trace_and_is_passed_on_to_nobody(header: bytes) -> None:
    seen = watching()
    passed: list[list[tuple[bytes, bytes]]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        passed.append(list(scope["headers"]))
        await answer(ANSWER)(scope, receive, send)

    served(seen, app, headers=[(b"traceparent", header)])

    (sent,) = [value for name, value in passed[0] if name == b"traceparent"]
    context = seen.span.context
    assert sent.startswith(f"00-{context.trace_id:032x}-{context.span_id:016x}-".encode())
    assert seen.span.parent is None


def test_what_is_not_sampled_makes_no_span_but_is_counted_and_passed_on() -> None:
    seen = watching(ALWAYS_OFF)
    passed: list[dict[bytes, bytes]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        passed.append(dict(scope["headers"]))
        await answer(ANSWER)(scope, receive, send)

    served(seen, app)

    assert seen.exporter.get_finished_spans() == ()
    flags = int(passed[0][b"traceparent"].rpartition(b"-")[2], 16)
    assert not flags & 1
    assert [point.count for _, point in seen.points("http.server.request.duration")] == [1]


def test_a_model_that_is_no_unicode_keeps_nothing_from_being_sent() -> None:
    seen = watching()
    body = b'{"model":"m-\\ud800","messages":[{"role":"user","content":"hi"}]}'

    served(seen, answer(ANSWER), body=body)

    assert encode_spans([seen.span]).SerializeToString()


def test_a_refusal_says_why_and_is_no_work_of_a_model() -> None:
    seen = watching()

    client = served(seen, answer(ANSWER), body=build.chat_body(model="evil-1"))

    attributes = said(seen.span)
    assert client.status == attributes["http.response.status_code"] == 403
    assert attributes["gateway_guard.rule"] == "no-evil"
    assert seen.span.status.status_code is StatusCode.UNSET
    assert seen.points("gen_ai.server.request.duration") == []
    ((labels, point),) = seen.points("gateway_guard.decisions")
    assert (labels["gateway_guard.action"], point.value) == ("deny", 1)


def test_of_a_stream_the_time_to_its_first_piece_is_taken() -> None:
    seen = watching()

    served(seen, answer(*CHUNKS, kind=b"text/event-stream"), body=build.chat_body(stream=True))

    ((labels, point),) = seen.points("gen_ai.server.time_to_first_token")
    assert labels == {
        "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "apex-4",
    }  # fmt: skip
    assert point.count == 1
    tokens = {
        labels["gen_ai.token.type"]: point.sum
        for labels, point in seen.points("gen_ai.client.token.usage")
    }
    assert tokens == {"input": 9, "output": 4}


def test_an_application_that_fails_marks_the_span_and_the_failure_goes_on() -> None:
    seen = watching()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise RuntimeError(CANARY)

    with pytest.raises(RuntimeError):
        served(seen, app)

    assert said(seen.span)["error.type"] == "RuntimeError"
    assert seen.span.status.status_code is StatusCode.ERROR
    assert CANARY not in seen.span.to_json()
    assert [point.value for _, point in seen.points("http.server.active_requests")] == [0]


def test_an_upstream_that_answers_500_is_an_error_and_a_404_is_none() -> None:
    for status, error in ((500, "500"), (404, None)):
        seen = watching()

        served(seen, answer(b"{}", status=status))

        assert said(seen.span).get("error.type") == error


def test_requests_at_the_same_time_keep_their_own_spans() -> None:
    seen = watching()
    guard = guard_of()

    async def scenario() -> None:
        both = asyncio.Barrier(3)

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await both.wait()
            await answer(ANSWER)(scope, receive, send)

        traced = Traced(GuardMiddleware(app, guard=guard), telemetry=seen.telemetry)

        async def one(model: str) -> None:
            headers = [(b"content-type", b"application/json"), (b"authorization", b"Bearer k")]
            client = Client(body_of(build.chat_body(model=model)))
            await traced(http_scope(headers=headers), client.receive, client.send)

        await asyncio.gather(*(one(model) for model in ("a", "b", "c")))

    run(scenario)

    found = [said(span)["gen_ai.request.model"] for span in seen.exporter.get_finished_spans()]
    assert sorted(found) == ["a", "b", "c"]


def test_a_socket_that_is_refused_is_a_span_too() -> None:
    seen = watching()
    guard = guard_of("mode: enforce\nrules:\n  - { name: none, when: { path: /live }, then: deny }")

    async def scenario() -> None:
        client = Client([{"type": "websocket.connect"}])
        scope = {"type": "websocket", "path": "/live", "headers": [], "scheme": "ws"}
        traced = Traced(GuardMiddleware(answer(b""), guard=guard), telemetry=seen.telemetry)
        await traced(scope, client.receive, client.send)

    run(scenario)

    attributes = said(seen.span)
    assert attributes["http.request.method"] == "GET"
    assert attributes["http.response.status_code"] == 403
    assert attributes["gateway_guard.rule"] == "none"


def test_ten_thousand_names_of_models_and_rules_make_few_series() -> None:
    seen = watching()
    usage = Usage(input_tokens=1, output_tokens=1, reported=True)

    for number in range(10_000):
        seen.telemetry.settled(
            build.exchange(
                request=build.request(model=f"m-{number}"),
                decision=build.decision(rule=f"r-{number}"),
                usage=usage,
            )
        )

    assert 0 < len(seen.points("gateway_guard.decisions")) <= MOST_RULES + 1
    assert 0 < len(seen.points("gen_ai.client.token.usage")) <= 2 * (Names().most + 1)


def test_methods_and_paths_that_clients_make_up_make_few_series() -> None:
    seen = watching(ALWAYS_OFF)
    traced = Traced(GuardMiddleware(answer(ANSWER), guard=guard_of()), telemetry=seen.telemetry)

    async def scenario() -> None:
        for number in range(500):
            client = Client(body_of(b"{}"))
            scope = http_scope(
                path=CHAT if number % 2 else f"/v1/{number}/completions",
                method="POST" if number % 3 else f"M{number}",
                # Servers may take it from a header.
                scheme="http" if number % 5 else f"s{number}",
            )
            await traced(scope, client.receive, client.send)

    asyncio.run(scenario())

    assert 0 < len(seen.points("http.server.request.duration")) <= 16
    assert 0 < len(seen.points("http.server.active_requests")) <= 4


def test_an_application_adds_it_after_the_guard() -> None:
    seen = watching()

    async def hello(request: Request) -> PlainTextResponse:
        return PlainTextResponse("hello")

    app = Starlette(routes=[Route("/hello", hello)])
    app.add_middleware(GuardMiddleware, guard=guard_of())
    app.add_middleware(Traced, telemetry=seen.telemetry)

    with TestClient(app) as client:
        assert client.get("/hello").text == "hello"

    assert said(seen.span)["gateway_guard.action"] == "allow"


def test_around_something_else_it_says_what_it_needs() -> None:
    with pytest.raises(TypeError, match="GuardMiddleware"):
        Traced(answer(b""))


def test_a_decision_that_is_settled_elsewhere_is_counted_without_a_span() -> None:
    seen = watching()

    seen.telemetry.settled(build.exchange(usage=Usage(input_tokens=1, reported=True)))

    assert seen.exporter.get_finished_spans() == ()
    assert len(seen.points("gateway_guard.decisions")) == 1


def test_nothing_of_it_is_loaded_with_the_sidecar() -> None:
    code = (
        "import sys, gateway_guard.frontends.server, gateway_guard.cli.serve;"
        "print(*[name for name in sys.modules if 'gateway_guard.frontends.telemetry' in name"
        " or name.startswith('opentelemetry.sdk')])"
    )

    found = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)

    assert found.stdout.strip() == ""


def test_a_variable_that_the_library_does_not_take_is_said_as_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "0")

    with pytest.raises(
        SettingsError, match=r"one of its variables \(OTEL_…\) says: max_queue_size"
    ):
        _exporting()


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("OTEL_TRACES_EXPORTER", "zipkin", "OTEL_TRACES_EXPORTER is 'zipkin'"),
        ("OTEL_METRICS_EXPORTER", "prometheus", "here it may be 'otlp' or 'none'"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "OTEL_EXPORTER_OTLP_PROTOCOL is 'grpc'"),
        ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "http/json", "here it may be 'http/protobuf'"),
    ],
)
def test_what_it_cannot_send_by_is_said_and_not_passed_over(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, why: str
) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(SettingsError, match=re.escape(why)):
        _exporting()


def test_whoever_wants_no_spans_or_no_metrics_sends_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "none")
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "None")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")  # of nothing
    before = set(threading.enumerate())

    exporting = _exporting()

    assert set(threading.enumerate()) == before  # it is threads that send
    exporting.close()


def test_without_the_extra_the_sidecar_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "gateway_guard.frontends.otlp", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.resources", None)

    with pytest.raises(SettingsError, match=r"\.\[otel\]"):
        _exporting()
