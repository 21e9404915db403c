"""The head of a response: believed only if it has exactly one reading.

Functions of what was parsed, without a connection.
"""

from __future__ import annotations

from itertools import chain

from gateway_guard.errors import UpstreamError

#: Most header fields, and most bytes of status line and fields together, in one response head.
#: Source: Envoy's default of 60 KiB; the count is twice Envoy's 100, as API answers carry many.
MAX_HEADERS = 200
MAX_HEAD_BYTES = 64 * 1024

#: Responses whose head ends them, whatever the head says (RFC 9112 §6.3).
_BODYLESS = frozenset((204, 304))

Headers = list[tuple[bytes, bytes]]


class UpstreamResponse:
    """The head of a response.

    Attributes:
        status: 200 to 599 (interim responses never get here).
        headers: (lower-case name, value) in order of arrival, framing and hop-by-hop ones included.
        length: bytes of body announced; None when chunked or delimited by close.
        until_close: whether the body ends with the connection.
    """

    __slots__ = ("headers", "length", "status", "until_close")

    def __init__(
        self, status: int, headers: Headers, length: int | None, *, until_close: bool = False
    ) -> None:
        self.status = status
        self.headers = headers
        self.length = length
        self.until_close = until_close


def read_response_head(
    version: str, status: int, headers: Headers, *, head_request: bool
) -> UpstreamResponse | None:
    """What a head says; None for an interim one (1xx).

    Args:
        version: of HTTP, as the parser spells it.
        head_request: the method was HEAD, whose response has no body whatever its head says.

    Raises:
        UpstreamError: it cannot be believed.
    """
    if version not in ("1.1", "1.0"):
        # The parser lets HTTP/0.9 and 2.0 through, which have no such lines.
        raise UpstreamError(f"version HTTP/{version}")
    if not 100 <= status <= 599 or status == 101:
        raise UpstreamError(f"status {status}")
    if status < 200:
        return None
    length, chunked = framing(headers)
    if chunked and version == "1.0":
        # Faulty by RFC 9112 §6.1: who knows 1.0 only reads the chunks as the body.
        raise UpstreamError("a transfer coding in HTTP/1.0")
    bodyless = head_request or status in _BODYLESS
    until_close = not bodyless and length is None and not chunked
    return UpstreamResponse(status, headers, length, until_close=until_close)


def framing(headers: Headers) -> tuple[int | None, bool]:
    """(announced length or None, whether chunked), when the head has one reading only.

    Raises:
        UpstreamError: it has several (RFC 9112 §6.3), or none.
    """
    length: int | None = None
    chunked = False
    for name, value in headers:
        if name == b"content-length":
            if length is not None:
                raise UpstreamError("two Content-Length fields")
            # Blanks behind it, which the parser leaves there, are no part of it (RFC 9110 §5.5).
            digits = value.strip(b" \t")
            if not digits.isdigit() or len(digits) > 18:
                raise UpstreamError("a Content-Length that is no number")
            length = int(digits)
        elif name == b"transfer-encoding":
            if chunked or value.lower() != b"chunked":
                raise UpstreamError("a transfer coding other than one `chunked`")
            chunked = True
    if chunked and length is not None:
        raise UpstreamError("both Content-Length and Transfer-Encoding")
    if 4 * len(headers) + sum(map(len, chain.from_iterable(headers))) > MAX_HEAD_BYTES:
        raise UpstreamError(f"a head longer than {MAX_HEAD_BYTES} bytes")
    return length, chunked
