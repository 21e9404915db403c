"""A Litestar application that serves a model API, with the guard around all of it.

uvicorn examples.litestar_app:app
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from litestar import Litestar, Request, Response, Router, get, post
from litestar.response import Stream

from gateway_guard import GuardMiddleware

POLICY = os.environ.get("POLICY", Path(__file__).parent.parent / "policies" / "standard.yaml")
WORDS = ("Hello", " there", ", how", " are", " you", "?")


async def events(*, usage: bool) -> AsyncIterator[bytes]:
    """The answer, one word an event."""
    for word in WORDS:
        yield b'data: {"choices":[{"delta":{"content":"%b"}}]}\n\n' % word.encode()
    if usage:
        yield b'data: {"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":6}}\n\n'
    yield b"data: [DONE]\n\n"


@post("/chat/completions", status_code=200)
async def chat(request: Request[Any, Any, Any]) -> Response[Any]:
    """OpenAI's chat completions, JSON or streamed."""
    body = await request.json()
    if body.get("stream"):
        usage = body.get("stream_options", {}).get("include_usage", False)
        return Stream(events(usage=usage), media_type="text/event-stream")
    message = {"role": "assistant", "content": "".join(WORDS)}
    usage = {"prompt_tokens": 9, "completion_tokens": 6, "total_tokens": 15}
    return Response({"choices": [{"message": message}], "usage": usage})


@get("/models")
async def models() -> dict[str, Any]:
    """Not a model route: judged, but its body is nobody's business."""
    return {"data": [{"id": "apex-4"}]}


litestar = Litestar([Router("/v1", route_handlers=[chat, models])], openapi_config=None)
app = GuardMiddleware(litestar, policy=POLICY)
