"""Reports of what requests really cost: `POST /v1/usage` on the admin port."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway_guard.errors import UNDECODABLE
from gateway_guard.types import Usage

#: Largest report, bytes; some thousand requests.
_MOST: Final = 1024 * 1024

Tokens = Annotated[int, msgspec.Meta(ge=0, le=2**53)]


class Report(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How one request ended.

    Attributes:
        request_id: the guard's, from `X-Guard-Request-Id`.
        input_tokens, output_tokens: as the model API counted them; None when it did not: the
            estimate stands, or, where it refused (a status of 400 and above), it did no work.
        total_tokens: both together, for whoever knows no more; None otherwise.
        status: the HTTP status the client saw; None when not known.
    """

    request_id: str
    input_tokens: Tokens | None = None
    output_tokens: Tokens | None = None
    total_tokens: Tokens | None = None
    status: Annotated[int, msgspec.Meta(ge=100, le=599)] | None = None

    def usage(self) -> Usage:
        """The same for the guard."""
        read, written, status = self.input_tokens, self.output_tokens, self.status
        total = self.total_tokens
        reported = read is not None or written is not None or total is not None
        if not reported and status is not None and status >= 400:
            read = written = 0
        return Usage(
            input_tokens=read, output_tokens=written, total_tokens=total, status=status,
            reported=reported,
        )  # fmt: skip


_decoder: Final = msgspec.json.Decoder(list[Report] | Report)


def usage_route(settle: Callable[[Report], Awaitable[bool]]) -> Route:
    """`POST /v1/usage`: one report or a list of them. `settle` says whether it was awaited.

    Answers 200 with `{"settled": 2, "unknown": ["r_…"]}`: what is not known was reported already,
    has run out, or was never asked about. 400 and 413 say what is wrong; nothing is settled then.
    """

    async def post(request: Request) -> Response:
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > _MOST:
                return _said(413, {"error": f"a report may have at most {_MOST} bytes"})
        try:
            said = _decoder.decode(body)
        except UNDECODABLE as error:
            return _said(400, {"error": f"{error}", "expected": _EXPECTED})
        reports = [said] if isinstance(said, Report) else said
        unknown = [report.request_id for report in reports if not await settle(report)]
        return _said(200, {"settled": len(reports) - len(unknown), "unknown": unknown})

    return Route("/v1/usage", post, methods=["POST"])


_EXPECTED: Final = (
    '{"request_id": "r_…", "input_tokens": 12, "output_tokens": 34, "status": 200}, or a list of '
    "these; all but request_id may be left out"
)


def _said(status: int, value: object) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")
