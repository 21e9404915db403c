"""OpenTelemetry: one server span for each request, and metrics, around any guard. The extra `otel`.

A trace that comes with a request (`traceparent`) goes on here, and on to the upstream. Nothing of
this is loaded, and nothing on a request's way asks for it, unless somebody wants it:

    sidecar      `gateway-guard serve --otel`, set up by the standard variables (`OTEL_…`)
    application  `app.add_middleware(Traced)` after `app.add_middleware(GuardMiddleware, …)`: uses
                 the application's own providers
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from contextvars import ContextVar
from time import perf_counter
from typing import Any, Final

from opentelemetry import context, metrics, propagate, trace
from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation
from opentelemetry.propagators.textmap import Getter, Setter
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, TracerProvider

from gateway_guard import __version__
from gateway_guard.frontends.asgi import GuardMiddleware
from gateway_guard.guard import Guard
from gateway_guard.record import spans
from gateway_guard.types import Exchange

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

_NAME: Final = "gateway_guard"
#: Bounds of `http.server.request.duration`, seconds (semantic conventions for HTTP, stable).
SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
#: Of what a model takes, seconds, and of tokens (semantic conventions for generative AI).
GENERATING: Final = (
    0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92
)  # fmt: skip
FIRST: Final = (
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0
)  # fmt: skip
TOKENS: Final = tuple(4**power for power in range(14))
#: Names of rules that are told apart; reloads may bring new ones for ever.
MOST_RULES: Final = 500


class _Under:
    """A request under way: its span, and what the guard said of it once it was settled."""

    __slots__ = ("exchange", "first", "span", "status")

    def __init__(self, span: Span) -> None:
        self.span = span
        self.exchange: Exchange | None = None
        self.status: int | None = None
        #: When the first piece of an answer's body went out; None before.
        self.first: float | None = None


_UNDER: ContextVar[_Under | None] = ContextVar("gateway_guard_request", default=None)


class Telemetry:
    """Makes spans and counts.

    Args:
        tracers, meters: of whom; None for the ones the application has set up (the global ones).
    """

    def __init__(
        self, tracers: TracerProvider | None = None, meters: MeterProvider | None = None
    ) -> None:
        self._tracer = trace.get_tracer(_NAME, __version__, tracers)
        meter = metrics.get_meter(_NAME, __version__, meters)
        self._duration = meter.create_histogram(
            "http.server.request.duration", "s", "Duration of HTTP server requests.",
            explicit_bucket_boundaries_advisory=SECONDS,
        )  # fmt: skip
        # Looked at when they are sent: counting here costs a tenth of what the library takes.
        self._active: dict[tuple[str, str], int] = {}
        self._decided: dict[tuple[str, bool, str], int] = {}
        meter.create_observable_up_down_counter(
            "http.server.active_requests", [self._observe_active], "{request}",
            "Number of active HTTP server requests.",
        )  # fmt: skip
        meter.create_observable_counter(
            "gateway_guard.decisions", [self._observe_decided], "{decision}",
            "Decisions, by action and rule.",
        )  # fmt: skip
        self._tokens = meter.create_histogram(
            "gen_ai.client.token.usage", "{token}", "Number of input and output tokens used.",
            explicit_bucket_boundaries_advisory=TOKENS,
        )  # fmt: skip
        self._generating = meter.create_histogram(
            "gen_ai.server.request.duration", "s", "Generative AI server request duration.",
            explicit_bucket_boundaries_advisory=GENERATING,
        )  # fmt: skip
        self._first = meter.create_histogram(
            "gen_ai.server.time_to_first_token", "s",
            "Time to the first piece of a streamed answer.",
            explicit_bucket_boundaries_advisory=FIRST,
        )  # fmt: skip
        self._models = spans.Names()
        self._rules = spans.Names(MOST_RULES)

    def settled(self, exchange: Exchange) -> None:
        """Take in a settled exchange; a learner of the guard."""
        decision = exchange.decision
        rule = self._rules.admit(decision.rule or "default")
        key = (decision.action.word, decision.acted, rule)
        self._decided[key] = self._decided.get(key, 0) + 1
        if spans.answered(exchange):
            self._count_tokens(exchange)
        # Leased decisions are settled by a request of somebody else's, which has no record here.
        under = _UNDER.get()
        if under is not None and under.exchange is None:
            under.exchange = exchange

    async def around(self, app: Any, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or socket by `app`, in a span."""
        headers: Headers = list(scope["headers"])
        socket = scope["type"] == "websocket"
        method = "WEBSOCKET" if socket else scope["method"]
        attributes = spans.request_attributes(
            method, scope["path"], scope.get("scheme", "http"), scope.get("http_version", "")
        )
        attributes |= _server(scope)
        counted = {name: attributes[name] for name in ("http.request.method", "url.scheme")}
        name = f"{attributes['http.request.method']} {attributes.get('http.route', '')}".rstrip()
        before = propagate.extract(headers, getter=_HEADERS)
        span = self._tracer.start_span(name, before, kind=SpanKind.SERVER, attributes=attributes)
        under = _Under(span)
        began = perf_counter()
        here = trace.set_span_in_context(span, before)
        tokens = context.attach(here), _UNDER.set(under)
        kind = (str(counted["http.request.method"]), str(counted["url.scheme"]))
        self._active[kind] = self._active.get(kind, 0) + 1
        error: str | None = None
        try:
            await app(
                {**scope, "headers": _passed_on(headers, here)}, receive, _listening(send, under)
            )
        except BaseException as raised:
            error = type(raised).__qualname__
            raise
        finally:
            self._active[kind] -= 1
            _UNDER.reset(tokens[1])
            context.detach(tokens[0])
            if "http.route" in attributes:
                counted["http.route"] = attributes["http.route"]
            self._end(under, counted, error, began)

    def _end(
        self, under: _Under, counted: spans.Attributes, error: str | None, began: float
    ) -> None:
        seconds = perf_counter() - began
        span, status, exchange = under.span, under.status, under.exchange
        if status is not None:
            counted["http.response.status_code"] = status
            span.set_attribute("http.response.status_code", status)
        if error is None and status is not None and status >= 500:
            error = str(status)
        if error is not None:
            counted["error.type"] = error
            span.set_attribute("error.type", error)
            span.set_status(Status(StatusCode.ERROR))
        self._duration.record(seconds, counted)
        if exchange is not None:
            if span.is_recording():
                span.set_attributes(spans.verdict(exchange))
                span.set_attributes(spans.gen_ai(exchange))
            if exchange.decision.forwards:
                self._count_time(exchange, under, error, seconds, began)
        span.end()

    def _observe_active(self, options: CallbackOptions) -> Iterable[Observation]:  # noqa: ARG002
        for (method, scheme), count in self._active.copy().items():
            yield Observation(count, {"http.request.method": method, "url.scheme": scheme})

    def _observe_decided(self, options: CallbackOptions) -> Iterable[Observation]:  # noqa: ARG002
        for (action, acted, rule), count in self._decided.copy().items():
            yield Observation(
                count,
                {
                    "gateway_guard.action": action,
                    "gateway_guard.acted": acted,
                    "gateway_guard.rule": rule,
                },
            )

    def _count_tokens(self, exchange: Exchange) -> None:
        usage = exchange.usage
        if usage is None:
            return
        model = exchange.request.model
        if model is not None:
            self._models.admit(model)
        labels = self._labels(exchange)
        if labels is None:
            return
        for kind, count in (("input", usage.input_tokens), ("output", usage.output_tokens)):
            if count is not None:
                self._tokens.record(count, {**labels, "gen_ai.token.type": kind})

    def _count_time(
        self, exchange: Exchange, under: _Under, error: str | None, seconds: float, began: float
    ) -> None:
        labels = self._labels(exchange)
        if labels is None:
            return
        prompt = exchange.request.prompt
        if under.first is not None and prompt is not None and prompt.stream and error is None:
            self._first.record(under.first - began, labels)
        if error is not None:
            labels["error.type"] = error
        self._generating.record(seconds, labels)

    def _labels(self, exchange: Exchange) -> spans.Attributes | None:
        found = spans.gen_ai(exchange)
        if not found:
            return None
        labels: spans.Attributes = {
            name: value
            for name, value in found.items()
            if name in ("gen_ai.operation.name", "gen_ai.provider.name")
        }
        model = exchange.request.model
        if model is not None:
            # Only names that a model has answered to: clients can invent any.
            labels["gen_ai.request.model"] = self._models.known(model)
        return labels


class Traced:
    """ASGI: requests to a guard in spans.

    Args:
        app: a `GuardMiddleware`; or anything around one, with its `guard` named.
        telemetry: who makes them; None for the application's own providers.
        guard: whose decisions they show; None for that of `app`.

    Raises:
        TypeError: `app` is no guard, and none was named.
    """

    def __init__(
        self, app: Any, *, telemetry: Telemetry | None = None, guard: Guard | None = None
    ) -> None:
        if guard is None:
            if not isinstance(app, GuardMiddleware):
                raise TypeError(
                    "Traced goes right around a GuardMiddleware (add it after that one), or "
                    "needs the guard it is about: Traced(app, guard=…)"
                )
            guard = app.guard
        self.app = app
        self.telemetry = Telemetry() if telemetry is None else telemetry
        guard.learners = (*guard.learners, self.telemetry.settled)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, ASGI 3."""
        if scope["type"] in ("http", "websocket"):
            await self.telemetry.around(self.app, scope, receive, send)
        else:
            await self.app(scope, receive, send)


class _Reader(Getter[Headers]):
    def get(self, carrier: Headers, key: str) -> list[str] | None:
        name = key.lower().encode("latin-1", "replace")
        return [value.decode("latin-1") for header, value in carrier if header == name] or None

    def keys(self, carrier: Headers) -> list[str]:
        return [name.decode("latin-1") for name, _ in carrier]


class _Writer(Setter[Headers]):
    def set(self, carrier: Headers, key: str, value: str) -> None:
        carrier.append((key.lower().encode("latin-1"), value.encode("latin-1", "replace")))


_HEADERS: Final = _Reader()
_ADDED: Final = _Writer()


def _passed_on(headers: Headers, here: context.Context) -> Headers:
    """`headers` with this span as the parent of whatever comes after."""
    ours = {name.encode("latin-1") for name in propagate.get_global_textmap().fields}
    kept = [pair for pair in headers if pair[0] not in ours]
    propagate.inject(kept, here, setter=_ADDED)
    return kept


def _listening(send: Send, under: _Under) -> Send:
    """`send` that notes the status and when the answer begins."""

    async def sending(message: Message) -> None:
        kind = message["type"]
        if kind == "http.response.body":
            if under.first is None and message.get("body"):
                under.first = perf_counter()
        elif kind in ("http.response.start", "websocket.http.response.start"):
            under.status = message["status"]
        elif kind == "websocket.accept":
            under.status = 101
        elif kind == "websocket.close" and under.status is None:
            under.status = 403
        await send(message)

    return sending


def _server(scope: Scope) -> spans.Attributes:
    """Where it arrived: this side's address, not what the client calls it."""
    server = scope.get("server")
    if not server or not server[0]:
        return {}
    found: spans.Attributes = {"server.address": str(server[0])}
    if server[1] is not None:
        found["server.port"] = int(server[1])
    return found
