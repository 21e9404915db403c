"""What traces and OpenTelemetry metrics say of an exchange, as attributes. Pure; needs no library.

Names follow the semantic conventions for HTTP and for generative AI; what is the guard's own is
named `gateway_guard.…`. Never among them: prompts, keys, accounts, addresses, header values and
query strings.

Sources: opentelemetry.io/docs/specs/semconv/http and open-telemetry/semantic-conventions-genai,
`docs/gen-ai` (status: development).
"""

from __future__ import annotations

from typing import Final

from gateway_guard.record.risks import HIGH, LOW, MEDIUM
from gateway_guard.types import Dialect, Exchange, Outcome, Request

Attributes = dict[str, str | bool | int | float | tuple[str, ...]]

#: Methods that are told apart (semantic conventions for HTTP); all others are `_OTHER`.
METHODS: Final = frozenset(
    ("CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE")
)
OTHER: Final = "_OTHER"
_SCHEMES: Final = frozenset(("http", "https", "ws", "wss"))

#: Paths that are shown as routes → what is done there; None where no model is asked.
ROUTES: Final[dict[str, str | None]] = {
    "/v1/chat/completions": "chat",
    "/v1/completions": "text_completion",
    "/v1/embeddings": "embeddings",
    "/v1/responses": "chat",
    "/v1/messages": "chat",
    "/v1/messages/count_tokens": None,
    "/v1/models": None,
    "/v1/files": None,
    "/v1/batches": None,
    "/api/chat": "chat",
    "/api/generate": "text_completion",
    "/api/embed": "embeddings",
    "/api/embeddings": "embeddings",
}

#: Ends of paths → what is done there, where the beginning is the client's.
_ENDS: Final = (
    ("/chat/completions", "chat"),
    ("/completions", "text_completion"),
    ("/embeddings", "embeddings"),
    ("/responses", "chat"),
    ("/messages", "chat"),
    ("generatecontent", "generate_content"),
    ("embedcontent", "embeddings"),
    ("embedcontents", "embeddings"),
    ("/converse", "chat"),
    ("/converse-stream", "chat"),
)

#: From which risk on a band begins.
_BANDS: Final = ((HIGH, "high"), (MEDIUM, "medium"), (LOW, "low"), (0.0, "none"))

_LONGEST: Final = 256
_LONGEST_MODEL: Final = 128


class Names:
    """Names somebody else chose, made few: what comes when `most` are known is `_OTHER`."""

    def __init__(self, most: int = 100) -> None:
        self.most = most
        self._known: set[str] = set()

    def __len__(self) -> int:
        return len(self._known)

    def known(self, name: str) -> str:
        """`name` when it was admitted, else `_OTHER`."""
        return name if name in self._known else OTHER

    def admit(self, name: str) -> str:
        """`name`, known from now on if there is room; else `_OTHER`."""
        if name in self._known:
            return name
        full = len(self._known) >= self.most
        if full or len(name) > _LONGEST_MODEL or not name.isprintable():
            return OTHER
        self._known.add(name)
        return name


def written(text: str, most: int) -> str:
    """At most `most` characters of what a client wrote, which may be no Unicode: lone surrogates
    would keep whoever sends it from sending anything.
    """
    return text[:most].encode("utf-8", "backslashreplace").decode()


def method_of(method: str) -> str:
    """`http.request.method`."""
    if method == "WEBSOCKET":
        return "GET"
    return method if method in METHODS else OTHER


def route_of(path: str) -> str | None:
    """`http.route`: the path where it is one of few, else None."""
    return path if path in ROUTES else None


def request_attributes(method: str, path: str, scheme: str, version: str) -> Attributes:
    """What is known of a request before it was read; `path` without its query."""
    known = method_of(method)
    found: Attributes = {
        "http.request.method": known,
        "url.path": written(path, _LONGEST),
        "url.scheme": scheme if scheme in _SCHEMES else OTHER,
        "network.protocol.name": "http",
    }
    if version:
        found["network.protocol.version"] = version
    if known == OTHER:
        found["http.request.method_original"] = written(method, 32)
    route = route_of(path)
    if route is not None:
        found["http.route"] = route
    return found


def operation_of(request: Request) -> str | None:
    """`gen_ai.operation.name`; None where no model is asked, or nobody knows for what."""
    path = request.path
    return operation_at(path) if path is not None and request.model_route else None


def operation_at(path: str) -> str | None:
    """What a model is asked for at a canonical path; None when nobody knows."""
    if path in ROUTES:
        return ROUTES[path]
    low = path.casefold().rstrip("/")
    for end, operation in _ENDS:
        if low.endswith(end):
            return operation
    return None


def provider_of(request: Request) -> str | None:
    """`gen_ai.provider.name`: whose interface is spoken, which is all a gateway can know."""
    if request.dialect is Dialect.OPENAI:
        return "openai"
    if request.dialect is Dialect.ANTHROPIC:
        return "anthropic"
    low = (request.path or "").casefold()
    if "generatecontent" in low or "embedcontent" in low:
        return "gcp.gen_ai"
    if "/model/" in low and low.endswith(("/converse", "/converse-stream", "/invoke")):
        return "aws.bedrock"
    return None


def gen_ai(exchange: Exchange) -> Attributes:
    """The `gen_ai.…` attributes of its span; empty where no model is asked."""
    request, usage = exchange.request, exchange.usage
    operation = operation_of(request)
    if operation is None:
        return {}
    found: Attributes = {"gen_ai.operation.name": operation}
    provider = provider_of(request)
    if provider is not None:
        found["gen_ai.provider.name"] = provider
    if request.model is not None:
        found["gen_ai.request.model"] = written(request.model, _LONGEST_MODEL)
    if usage is not None and usage.reported:
        if usage.input_tokens is not None:
            found["gen_ai.usage.input_tokens"] = usage.input_tokens
        if usage.output_tokens is not None:
            found["gen_ai.usage.output_tokens"] = usage.output_tokens
    return found


def verdict(exchange: Exchange) -> Attributes:
    """The `gateway_guard.…` attributes of its span."""
    decision, usage = exchange.decision, exchange.usage
    risk = exchange.assessment.risk
    found: Attributes = {
        "gateway_guard.request.id": exchange.request.id,
        "gateway_guard.action": decision.action.word,
        "gateway_guard.acted": decision.acted,
        "gateway_guard.rule": decision.rule or "default",
        "gateway_guard.risk": round(risk, 4),
        "gateway_guard.risk_band": band(risk),
        "gateway_guard.policy": decision.policy,
    }
    signals = exchange.assessment.signals
    if signals:
        found["gateway_guard.signals"] = tuple([signal.name for signal in signals])
    if decision.shadow:
        found["gateway_guard.shadow"] = tuple([hit.rule for hit in decision.shadow])
    if decision.degraded:
        found["gateway_guard.degraded"] = decision.degraded
    campaign = exchange.facts.campaign
    if campaign is not None:
        found["gateway_guard.campaign"] = campaign.id
    if usage is not None:
        found["gateway_guard.outcome"] = usage.outcome.value
    return found


def band(risk: float) -> str:
    """`none`, `low`, `medium` or `high`. Not measured."""
    return next((name for floor, name in _BANDS if risk >= floor), "none")


def answered(exchange: Exchange) -> bool:
    """Whether a model counted what it did: then its name is one the upstream knows."""
    usage = exchange.usage
    return (
        usage is not None
        and usage.reported
        and usage.outcome is not Outcome.REFUSED
        and (usage.status is None or usage.status < 400)
    )
