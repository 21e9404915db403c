"""Headers that came after the body.

uvicorn with httptools appends the trailers of a chunked request to `scope["headers"]`, even before
the application starts when everything arrives in one segment. A proxy that sets `X-Forwarded-For`
or checks `Authorization` but forwards trailers then delivers the client's own value right after its
own. ASGI does not say where the headers ended, so what cannot be told apart is refused: a request
whose trailers may be among its headers *and* which repeats a header that identifies the client. The
sidecar's own server drops trailers and never gets here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from gateway_guard.core.sections import Identify

#: Why such a request is refused.
DISGUISED: Final = "a repeated header of a chunked request may be a trailer in disguise"
_FORWARDING: Final = frozenset(
    (b"authorization", b"x-api-key", b"x-forwarded-for", b"forwarded", b"content-type",
     b"content-encoding", b"content-length")
)  # fmt: skip


def may_hold_trailers(receive: Callable[[], Awaitable[Any]]) -> bool:
    """Whether a chunked request's headers may hold its trailers: all of it came, on httptools."""
    cycle = getattr(receive, "__self__", None)
    return type(cycle).__module__ == "uvicorn.protocols.http.httptools_impl" and not getattr(
        cycle, "more_body", True
    )


def ambiguous(headers: list[tuple[bytes, bytes]], identify: Identify) -> bool:
    """Whether a header that says who the client is, or how to read its body, occurs twice."""
    telling = set(_FORWARDING)
    telling.add(identify.client_ip.encode())
    telling.update(source.header.encode() for source in identify.accounts if source.header)
    if identify.tls_header is not None:
        telling.add(identify.tls_header.encode())
    seen: set[bytes] = set()
    for name, _ in headers:
        if name in telling:
            if name in seen:
                return True
            seen.add(name)
    return False
