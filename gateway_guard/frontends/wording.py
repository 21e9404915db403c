"""Errors as OpenAI, Anthropic, Google, Amazon and Ollama write them, and as RFC 9457 has them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final

import msgspec

from gateway_guard.core.dialects import aws, google, ollama
from gateway_guard.types import Dialect


class Told(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a client is told, before it is put into a dialect.

    Attributes:
        kind: key of the dialects' tables, e.g. `throttled`.
        status: HTTP status.
        text: one or two sentences, no detail of detection.
        id: the request's id.
        path: the request's path; None when unknown.
        unit: unit of the limit that had no room, e.g. `tokens`; empty otherwise.
        limits: names of the limits that had no room and may be named.
        url: where to verify; None unless it is asked for.
        wait: seconds until it may be tried again; None where nobody knows.
    """

    kind: str
    status: int
    text: str
    id: str
    path: str | None = None
    unit: str = ""
    limits: tuple[str, ...] = ()
    url: str | None = None
    wait: float | None = None


#: Where the types of problem details are registered.
_REGISTRY: Final = "https://iana.org/assignments/http-problem-types#"


def _openai(told: Told) -> dict[str, Any]:
    kind, code = _OPENAI[told.kind]
    if told.kind == "throttled" and told.unit:
        kind = "requests" if told.unit in ("requests", "concurrent") else "tokens"
    error: dict[str, Any] = {"message": told.text, "type": kind, "param": None, "code": code}
    if told.url is not None:
        error["verification_url"] = told.url
    return {"error": error}


def _anthropic(told: Told) -> dict[str, Any]:
    error: dict[str, Any] = {"type": _ANTHROPIC[told.kind], "message": told.text}
    if told.url is not None:
        error["details"] = {"verification_url": told.url}
    return {"type": "error", "error": error, "request_id": told.id}


def _google(told: Told) -> dict[str, Any]:
    error: dict[str, Any] = {
        "code": told.status,
        "message": told.text,
        "status": _GOOGLE.get(
            told.status, "INTERNAL" if told.status >= 500 else "INVALID_ARGUMENT"
        ),
    }
    details: list[dict[str, Any]] = []
    if told.wait is not None:
        details.append({"@type": _RPC + "RetryInfo", "retryDelay": f"{whole(told.wait)}s"})
    if told.url is not None:
        link = {"description": "Verify this account", "url": told.url}
        details.append({"@type": _RPC + "Help", "links": [link]})
    if details:
        error["details"] = details
    return {"error": error}


def _ollama(told: Told) -> dict[str, Any]:
    # Its clients show the second to whoever is to sign in.
    return {"error": told.text} | ({"signin_url": told.url} if told.url is not None else {})


def _aws(told: Told) -> dict[str, Any]:
    # All that its clients show; which error it is stands in a header.
    return {"message": told.text}


def _aws_headers(told: Told) -> list[tuple[bytes, bytes]]:
    """The error's type, the request's name and, in milliseconds, the wait, where its SDKs look."""
    kind = _AWS.get(
        told.status, "ValidationException" if told.status < 500 else "InternalServerException"
    )
    found = [
        (b"x-amzn-errortype", kind.encode()),
        (b"x-amzn-requestid", told.id.encode("ascii", "replace")),
    ]
    if told.wait is not None:
        # Kept up to five seconds beyond their own backoff. Source: botocore's `retries.standard`.
        found.append((b"x-amz-retry-after", b"%d" % milliseconds(told.wait)))
    return found


def _problem(told: Told) -> dict[str, Any]:
    slug, title = _PROBLEMS.get(told.kind) or ("", _phrase(told.status))
    problem: dict[str, Any] = {
        "type": _REGISTRY + slug if slug else "about:blank",
        "title": title,
        "status": told.status,
        "detail": told.text,
        "instance": f"urn:gateway-guard:{told.id}",
    }
    if told.limits:
        problem["violated-policies"] = told.limits
    if told.url is not None:
        problem["verification_url"] = told.url
    return problem


def _phrase(status: int) -> str:
    if status == 413:
        return "Content Too Large"  # its name since RFC 9110 §15.5.14
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Refused"


#: kind → (`type`, `code`)
_OPENAI: Final[Mapping[str, tuple[str, str | None]]] = {
    "invalid": ("invalid_request_error", None),
    "unauthenticated": ("invalid_request_error", "invalid_api_key"),
    "unpaid": ("insufficient_quota", "insufficient_quota"),
    "challenged": ("request_forbidden", "verification_required"),
    "unverified": ("invalid_request_error", "verification_required"),
    "denied": ("request_forbidden", "request_refused"),
    "unavailable-here": ("request_forbidden", "unsupported_country_region_territory"),
    "too-large": ("invalid_request_error", "request_too_large"),
    "unreadable": ("invalid_request_error", "unsupported_media_type"),
    "throttled": ("requests", "rate_limit_exceeded"),
    "failed": ("server_error", "internal_error"),
    "uncounted": ("server_error", "service_unavailable"),
    "overloaded": ("server_error", "overloaded"),
    "bad-gateway": ("server_error", "bad_gateway"),
    "timeout": ("server_error", "timeout"),
    "too-slow": ("invalid_request_error", "request_timeout"),
}

#: kind → `error.type`
_ANTHROPIC: Final[Mapping[str, str]] = {
    "invalid": "invalid_request_error",
    "unauthenticated": "authentication_error",
    "unpaid": "billing_error",
    "challenged": "permission_error",
    "unverified": "authentication_error",
    "denied": "permission_error",
    "unavailable-here": "permission_error",
    "too-large": "request_too_large",
    "unreadable": "invalid_request_error",
    "throttled": "rate_limit_error",
    "failed": "api_error",
    "uncounted": "api_error",
    "overloaded": "overloaded_error",
    "bad-gateway": "api_error",
    "timeout": "timeout_error",
    "too-slow": "timeout_error",
}

_RPC: Final = "type.googleapis.com/google.rpc."
#: HTTP status → canonical code. Source: google/rpc/code.proto; of a place that is not served
#: and of what is not paid for, what Gemini answers there.
_GOOGLE: Final[Mapping[int, str]] = {
    401: "UNAUTHENTICATED",
    402: "FAILED_PRECONDITION",
    403: "PERMISSION_DENIED",
    408: "DEADLINE_EXCEEDED",
    429: "RESOURCE_EXHAUSTED",
    451: "FAILED_PRECONDITION",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}

#: HTTP status → exception. Source: "Errors" of Converse and "Common errors" in Bedrock's reference.
_AWS: Final[Mapping[int, str]] = {
    401: "UnrecognizedClientException",
    402: "AccessDeniedException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    408: "ModelTimeoutException",
    429: "ThrottlingException",
    451: "AccessDeniedException",
    502: "ServiceUnavailableException",
    503: "ServiceUnavailableException",
    504: "ServiceUnavailableException",
}

_REDUCED: Final = (
    "temporary-reduced-capacity",
    "Request cannot be satisfied due to temporary server capacity constraints",
)
#: kind → (registered problem type or nothing, title); every other kind is just its status.
_PROBLEMS: Final[Mapping[str, tuple[str, str]]] = {
    "challenged": ("", "Verification Required"),
    "unverified": ("", "Verification Required"),
    "throttled": (
        "quota-exceeded", "Request cannot be satisfied as assigned quota has been exceeded",
    ),
    "uncounted": _REDUCED,
    "overloaded": _REDUCED,
}  # fmt: skip


class Form(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """How one dialect writes errors.

    Attributes:
        headers: what it says in headers of its own, beside the usual ones.
    """

    render: Callable[[Told], dict[str, Any]]
    content_type: bytes
    id_header: bytes
    milliseconds: bool
    headers: Callable[[Told], list[tuple[bytes, bytes]]] = lambda _: []


_PROBLEM_FORM: Final = Form(
    render=_problem, content_type=b"application/problem+json", id_header=b"x-request-id",
    milliseconds=False,
)  # fmt: skip

_GOOGLE_FORM: Final = Form(
    render=_google, content_type=b"application/json", id_header=b"x-request-id", milliseconds=False
)
_OLLAMA_FORM: Final = Form(
    render=_ollama, content_type=b"application/json", id_header=b"x-request-id", milliseconds=False
)
_AWS_FORM: Final = Form(
    render=_aws, content_type=b"application/json", id_header=b"x-request-id", milliseconds=False,
    headers=_aws_headers,
)  # fmt: skip

#: A new dialect is one line here and one body function.
FORMS: Final[Mapping[Dialect, Form]] = {
    Dialect.OPENAI: Form(
        render=_openai, content_type=b"application/json", id_header=b"x-request-id",
        milliseconds=True,
    ),
    Dialect.ANTHROPIC: Form(
        render=_anthropic, content_type=b"application/json", id_header=b"request-id",
        milliseconds=True,
    ),
    Dialect.OTHER: _PROBLEM_FORM,
}  # fmt: skip


#: Dialect → the header that names a request.
ID_HEADERS: Final[Mapping[Dialect, bytes]] = {
    dialect: form.id_header for dialect, form in FORMS.items()
}


def whole(wait: float) -> int:
    """A wait as whole seconds; never nothing at all, which would invite a tight loop."""
    return max(1, math.ceil(wait))


def milliseconds(wait: float) -> int:
    """A wait as whole milliseconds, at least one."""
    return max(1, math.ceil(round(wait * 1000, 3)))


def form_for(dialect: Dialect, accept: bytes, path: str | None) -> Form:
    """How errors are written to a client of this dialect, path and `Accept`."""
    if _prefers_problem(accept):
        return _PROBLEM_FORM
    if path is not None and aws(path):
        # Its clients read no other errors, whoever's words stand in the body.
        return _AWS_FORM
    if dialect is Dialect.OTHER and path is not None:
        # Of these only the path says whose clients they are.
        if google(path):
            return _GOOGLE_FORM
        if ollama(path):
            return _OLLAMA_FORM
    return FORMS[dialect]


def _prefers_problem(accept: bytes) -> bool:
    """Whether `application/problem+json` is wanted at least as much as `application/json`.

    It has to be named: a wildcard stands for the dialect's own form, with its weight (RFC 9110
    §12.5.1: the most specific range that matches counts).
    """
    accept = accept.lower()
    if b"problem+json" not in accept:
        return False
    wanted: dict[bytes, float] = {}
    for item in accept.split(b","):
        name, *parameters = (part.strip() for part in item.split(b";"))
        quality = 1.0
        for parameter in parameters:
            if parameter.startswith(b"q="):
                try:
                    quality = float(parameter[2:])
                except ValueError:
                    quality = 0.0
        wanted[name] = quality
    problem = wanted.get(b"application/problem+json", 0.0)
    plain = next((wanted[name] for name in _PLAIN if name in wanted), 0.0)
    return problem > 0.0 and problem >= plain


#: Ranges that `application/json` is in, the most specific first.
_PLAIN: Final = (b"application/json", b"application/*", b"*/*")
