"""Sends a process's spans and metrics to a collector, over OTLP/HTTP. The extra `otel`.

Everything is said by the standard variables, which the library itself reads: where to
(`OTEL_EXPORTER_OTLP_ENDPOINT`, `…_HEADERS`), who this is (`OTEL_SERVICE_NAME`,
`OTEL_RESOURCE_ATTRIBUTES`), how many traces (`OTEL_TRACES_SAMPLER`), how often
(`OTEL_METRIC_EXPORT_INTERVAL`, `OTEL_BSP_…`). A collector that does not answer costs spans, never
requests: what waits is bounded, and threads send it. What the library leaves to others to read,
because it concerns what is loaded, is read here: `OTEL_TRACES_EXPORTER`, `OTEL_METRICS_EXPORTER`
(`otlp` or `none`), `OTEL_EXPORTER_OTLP_PROTOCOL` (`http/protobuf`).
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Mapping
from typing import Final

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from starlette.types import ASGIApp

from gateway_guard import __version__
from gateway_guard.frontends.telemetry import Telemetry, Traced
from gateway_guard.guard import Guard
from gateway_guard.settings import opentelemetry

log = logging.getLogger(__name__)

#: Seconds a process that ends goes on sending what waits, whatever the library would take.
CLOSING: Final = 30.0


class Otlp:
    """Two exporters and their threads. Threads do not survive a fork: build it in the process that
    serves.

    Attributes:
        telemetry: makes what they send.

    Raises:
        ValueError: a variable asks for what is not here.
    """

    def __init__(self) -> None:
        said = opentelemetry()
        traces, metrics = _wanted("TRACES", said), _wanted("METRICS", said)
        ours = Resource(
            {
                "service.name": "gateway-guard",
                "service.version": __version__,
                # Workers count for themselves; without it their counts would be taken for one's.
                "service.instance.id": str(uuid.uuid4()),
            }
        )
        # What the environment says goes before what is said here.
        resource = Resource.create(dict(ours.merge(OTELResourceDetector().detect()).attributes))
        self._tracers = TracerProvider(
            sampler=None if traces else ALWAYS_OFF, resource=resource, shutdown_on_exit=False
        )
        if traces:
            self._tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        readers = [PeriodicExportingMetricReader(OTLPMetricExporter())] if metrics else []
        self._meters = MeterProvider(readers, resource=resource, shutdown_on_exit=False)
        self.telemetry = Telemetry(self._tracers, self._meters)

    def traced(self, app: ASGIApp, guard: Guard) -> ASGIApp:
        """`app`, whose requests `guard` decides, in spans."""
        return Traced(app, telemetry=self.telemetry, guard=guard)

    def close(self) -> None:
        """Send what waits and end the threads.

        Blocks for as long as one export may take (`OTEL_EXPORTER_OTLP_TIMEOUT`, by default 10 s),
        and at most `CLOSING` seconds.
        """
        ending = [
            threading.Thread(target=end, name="otlp-closing", daemon=True)
            for end in (self._tracers.shutdown, self._meters.shutdown)
        ]
        for thread in ending:
            thread.start()
        deadline = time.monotonic() + CLOSING
        for thread in ending:
            thread.join(max(0.0, deadline - time.monotonic()))
        if any(thread.is_alive() for thread in ending):
            log.warning("telemetry-lost reason=the collector does not answer")


def _wanted(kind: str, said: Mapping[str, str]) -> bool:
    """Whether `TRACES` or `METRICS` are to be sent, by what the variables have `said`."""
    name = f"OTEL_{kind}_EXPORTER"
    exporter = said.get(name, "otlp")
    if exporter not in ("otlp", "none"):
        raise ValueError(f"{name} is {exporter!r}; here it may be 'otlp' or 'none'")
    for name in (f"OTEL_EXPORTER_OTLP_{kind}_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"):
        protocol = said.get(name)
        if protocol and exporter == "otlp":
            if protocol != "http/protobuf":
                raise ValueError(f"{name} is {protocol!r}; here it may be 'http/protobuf'")
            break  # that of the kind goes before that of all
    return exporter == "otlp"
