"""What every answer to a visitor has in common: headers, and reading what was sent."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Scope

from gateway_guard.core.sections import Verification

#: Most bytes of a form and of a callback, and seconds they may take: whatever server this runs in.
_LARGEST: Final = 65_536
_PATIENCE: Final = 30.0
#: Headers of every answer.
HEADERS: Final = {
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    # Not `no-referrer`: browsers would then send `Origin: null` with the form.
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; "
        "frame-ancestors 'none'; base-uri 'none'"
    ),
}


def html(text: str, status: int = 200) -> Response:
    """A page."""
    return Response(text, status, media_type="text/html", headers=HEADERS)


def json(status: int, word: str) -> Response:
    """An answer to a program."""
    body = msgspec.json.encode({"status": word})
    return Response(body, status, media_type="application/json", headers=HEADERS)


def css(text: str) -> Response:
    """A stylesheet, which may be kept an hour."""
    headers = {**HEADERS, "cache-control": "public, max-age=3600"}
    return Response(text, media_type="text/css", headers=headers)


def tail(scope: Scope, path: str) -> str | None:
    """What stands behind `path` in the request's; None when it is not below it."""
    here: str = scope["path"]
    # Some frameworks cut off what a mount matched, some leave it.
    for full in (here, (scope.get("root_path") or "") + here):
        if full.startswith(path) and full[len(path) : len(path) + 1] in ("", "/"):
            return full[len(path) :].rstrip("/")
    return None


def style(verification: Verification) -> str:
    """Where the stylesheet is."""
    return f"{verification.path}/style.css"


def origin_of(url: str) -> str:
    """Scheme, host and port, as browsers write them into `Origin`: in lower case, and without the
    port that the scheme has anyway.
    """
    parts = urlsplit(url)
    usual = {"http": ":80", "https": ":443"}.get(parts.scheme, "")
    return f"{parts.scheme}://{parts.netloc.lower().removesuffix(usual)}"


async def body(request: Request, patience: float = _PATIENCE) -> bytes | None:
    """The body; None when it is too large, takes longer than `patience` (seconds, in all), or its
    sender went away before its end.
    """
    data = bytearray()
    try:
        async with asyncio.timeout(patience):
            async for piece in request.stream():
                data += piece
                if len(data) > _LARGEST:
                    return None
    except (ClientDisconnect, TimeoutError):
        return None
    return bytes(data)


def fields(data: bytes) -> dict[str, str]:
    """The fields of a form, the first of each name; none where it is no form."""
    try:
        found = parse_qs(data.decode("ascii"), keep_blank_values=True, max_num_fields=100)
    except ValueError:
        return {}
    return {name: values[0] for name, values in found.items()}


async def lifespan(
    receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
    send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
) -> None:
    """Nothing to begin, nothing to end."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
