"""A collector of OpenTelemetry: takes OTLP over HTTP and keeps what came."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from email.message import Message as Headers
from typing import Any

from google.protobuf.message import Message
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from tests.answering import Answering


class Collector(Answering):
    """Listens on a free port of loopback while the block runs.

    Attributes:
        origin: for `OTEL_EXPORTER_OTLP_ENDPOINT`.
        raw: every body as it came, uncompressed.
        traces, metrics: what was in them.
    """

    def __init__(self) -> None:
        self.raw: list[bytes] = []
        self.traces: list[ExportTraceServiceRequest] = []
        self.metrics: list[ExportMetricsServiceRequest] = []
        super().__init__(self._answer)

    def spans(self) -> list[tuple[Any, dict[str, Any]]]:
        """Every span and its attributes."""
        return [
            (span, attributes(span.attributes))
            for request in list(self.traces)
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def points(self, name: str) -> list[tuple[Any, dict[str, Any]]]:
        """The points of a metric and their attributes, as of the latest export that has it."""
        for request in reversed(list(self.metrics)):
            found = [
                (point, attributes(point.attributes))
                for metric in _metrics(request)
                if metric.name == name
                for point in getattr(metric, metric.WhichOneof("data")).data_points
            ]
            if found:
                return found
        return []

    def resource(self) -> dict[str, Any]:
        """What the latest spans came from."""
        return attributes(self.traces[-1].resource_spans[0].resource.attributes)

    def _answer(
        self, method: str, path: str, headers: Headers, body: bytes
    ) -> tuple[int, str, bytes]:
        if headers["content-encoding"] == "gzip":
            body = gzip.decompress(body)
        answer = self._take(path, body)
        data = answer.SerializeToString() if answer is not None else b""
        return 200 if answer is not None else 404, "application/x-protobuf", data

    def _take(self, path: str, body: bytes) -> Message | None:
        self.raw.append(body)
        if path == "/v1/traces":
            self.traces.append(ExportTraceServiceRequest.FromString(body))
            return ExportTraceServiceResponse()
        if path == "/v1/metrics":
            self.metrics.append(ExportMetricsServiceRequest.FromString(body))
            return ExportMetricsServiceResponse()
        return None


def attributes(pairs: Any) -> dict[str, Any]:
    """As a dictionary."""
    found: list[KeyValue] = list(pairs)
    return {pair.key: _plain(pair.value) for pair in found}


def _plain(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_plain(one) for one in value.array_value.values]
    return getattr(value, kind) if kind is not None else None


def _metrics(request: ExportMetricsServiceRequest) -> Iterator[Any]:
    for resource in request.resource_metrics:
        for scope in resource.scope_metrics:
            yield from scope.metrics
