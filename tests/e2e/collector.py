"""A collector of OpenTelemetry: takes OTLP over HTTP and keeps what came."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

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


class Collector:
    """Listens on a free port of loopback while the block runs.

    Attributes:
        url: for `OTEL_EXPORTER_OTLP_ENDPOINT`.
        raw: every body as it came, uncompressed.
        traces, metrics: what was in them.
    """

    def __init__(self) -> None:
        self.raw: list[bytes] = []
        self.traces: list[ExportTraceServiceRequest] = []
        self.metrics: list[ExportMetricsServiceRequest] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                answer = collector._take(self.path, body)
                self.send_response(200 if answer is not None else 404)
                data = answer.SerializeToString() if answer is not None else b""
                self.send_header("content-type", "application/x-protobuf")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join(60.0)
        self._server.server_close()

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
