"""Spans and metrics of a serving sidecar, as a collector of OpenTelemetry receives them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.collector import Collector
from tests.e2e.servers import POLICY, Answer, Sidecar, Upstream, ask, get
from tests.servers import until

pytestmark = pytest.mark.e2e

CANARY = "canary-0123456789abcdef"
ADDRESS = "203.0.113.77"
TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
CHAT = "/v1/chat/completions"
MODELS = {"model": "apex-4", "messages": [{"role": "user", "content": CANARY}]}
ANSWER = json.dumps(
    {
        "id": "c",
        "choices": [{"message": {"role": "assistant", "content": CANARY}}],
        "usage": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18},
    }
).encode()


def answering(connection: Any, seen: object, upstream: Upstream) -> bool:
    connection.sendall(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        % len(ANSWER) + ANSWER
    )  # fmt: skip
    return True


def chat(port: int, *lines: str) -> Answer:
    head = (f"Authorization: Bearer {CANARY}", "Content-Type: application/json", *lines)
    path = f"{CHAT}?secret={CANARY}"
    return ask(port, get(path, *head, method="POST", body=json.dumps(MODELS).encode()))


def hurried(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """Have what is sent sent soon."""
    for name, value in (
        ("EXPORTER_OTLP_ENDPOINT", url), ("METRIC_EXPORT_INTERVAL", "200"),
        ("BSP_SCHEDULE_DELAY", "100"), ("RESOURCE_ATTRIBUTES", "deployment.environment=test"),
    ):  # fmt: skip
        monkeypatch.setenv(f"OTEL_{name}", value)


def test_a_trace_goes_on_through_the_guard_and_says_what_it_decided(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Collector() as collector, Upstream(scripts={CHAT: answering}) as upstream:
        hurried(monkeypatch, collector.origin)
        policy = POLICY + "identify: { trusted_proxies: [127.0.0.1] }\n"
        with Sidecar(tmp_path, upstream.url, "--otel", policy=policy) as sidecar:
            allowed = chat(
                sidecar.port, f"traceparent: 00-{TRACE}-{PARENT}-01", "tracestate: a=b",
                f"X-Forwarded-For: {ADDRESS}", f"X-Other: {CANARY}",
            )  # fmt: skip
            refused = ask(sidecar.port, get("/admin"))
            until(lambda: len(collector.spans()) == 2, "both spans arrived")
            until(
                lambda: (
                    len(collector.points("gateway_guard.decisions")) == 2
                    and len(collector.points("http.server.request.duration")) == 2
                ),
                "both requests are in the metrics",
            )
            token_points = collector.points("gen_ai.client.token.usage")

        found = {
            attributes["url.path"]: (span, attributes) for span, attributes in collector.spans()
        }

    assert (allowed.status, refused.status) == (200, 403)
    span, said = found[CHAT]
    assert span.trace_id.hex() == TRACE
    assert span.parent_span_id.hex() == PARENT
    assert span.name == f"POST {CHAT}"
    assert span.kind == 2  # server
    assert said["http.request.method"] == "POST"
    assert said["http.response.status_code"] == 200
    assert said["http.route"] == CHAT
    assert said["gen_ai.operation.name"] == "chat"
    assert said["gen_ai.provider.name"] == "openai"
    assert said["gen_ai.request.model"] == "apex-4"
    assert said["gen_ai.usage.input_tokens"] == 11
    assert said["gen_ai.usage.output_tokens"] == 7
    assert said["gateway_guard.action"] == "allow"
    assert said["gateway_guard.risk_band"] == "none"
    (sent,) = upstream.seen
    assert sent["traceparent"] == f"00-{TRACE}-{span.span_id.hex()}-01"
    assert sent["tracestate"] == "a=b"
    assert found["/admin"][1]["gateway_guard.rule"] == "no-admin"
    assert found["/admin"][1]["http.response.status_code"] == 403
    assert "http.route" not in found["/admin"][1]
    assert collector.resource()["service.name"] == "gateway-guard"
    assert collector.resource()["deployment.environment"] == "test"
    tokens = {said["gen_ai.token.type"]: point.sum for point, said in token_points}
    assert tokens == {"input": 11.0, "output": 7.0}
    for secret in (CANARY, ADDRESS, "acct_"):
        assert not any(secret.encode() in body for body in collector.raw)


def test_what_waits_is_sent_when_the_process_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Collector() as collector, Upstream() as upstream:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.origin)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "600000")
        with Sidecar(tmp_path, upstream.url, "--otel") as sidecar:
            ask(sidecar.port, get("/v1/models"))

        assert sidecar.process.returncode == 0
        assert [said["http.route"] for _, said in collector.spans()] == ["/v1/models"]
        assert collector.points("http.server.request.duration")


def test_a_collector_that_is_not_there_costs_no_request_and_does_not_keep_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hurried(monkeypatch, "http://127.0.0.1:1")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    with Upstream() as upstream, Sidecar(tmp_path, upstream.url, "--otel") as sidecar:
        statuses = {ask(sidecar.port, get("/v1/models")).status for _ in range(5)}

    assert statuses == {200}
    assert sidecar.process.returncode == 0


def test_the_decision_log_is_written_in_the_schema_that_was_asked_for(tmp_path: Path) -> None:
    log = tmp_path / "decisions.jsonl"
    flags = ("--decision-log", str(log), "--log-format", "ecs")
    with Upstream() as upstream, Sidecar(tmp_path, upstream.url, *flags) as sidecar:
        ask(sidecar.port, get("/admin"))
        until(lambda: log.read_bytes().count(b"\n") == 1, "the decision is in the log")
        answer = ask(sidecar.admin, b"GET /debug/snapshot HTTP/1.1\r\nHost: localhost\r\n\r\n")

    document = json.loads(log.read_bytes())
    assert document["rule"]["name"] == "no-admin"
    assert document["event"]["outcome"] == "failure"
    assert json.loads(answer.body)["settings"]["decision_log"] == str(log)
