"""A Starlette application that serves a model API, guarded in one line.

    uvicorn examples.starlette_app:app
    curl localhost:8000/v1/chat/completions -H 'authorization: Bearer sk-demo' \
         -H 'content-type: application/json' \
         -d '{"model": "apex-4", "messages": [{"role": "user", "content": "Hello"}]}'
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route

from gateway_guard import GuardMiddleware

POLICY = os.environ.get("POLICY", Path(__file__).parent.parent / "policies" / "standard.yaml")
WORDS = ("Hello", " there", ", how", " are", " you", "?")
USAGE = b'{"prompt_tokens":9,"completion_tokens":6,"total_tokens":15}'


async def events(*, usage: bool) -> AsyncIterator[bytes]:
    """The answer, one word an event."""
    for word in WORDS:
        yield b'data: {"choices":[{"delta":{"content":"%b"}}]}\n\n' % word.encode()
    if usage:
        yield b'data: {"choices":[],"usage":%b}\n\n' % USAGE
    yield b"data: [DONE]\n\n"


async def chat(request: Request) -> Response:
    """OpenAI's chat completions, JSON or streamed."""
    body = await request.json()
    if body.get("stream"):
        usage = body.get("stream_options", {}).get("include_usage", False)
        return StreamingResponse(events(usage=usage), media_type="text/event-stream")
    message = {"role": "assistant", "content": "".join(WORDS)}
    usage = {"prompt_tokens": 9, "completion_tokens": 6, "total_tokens": 15}
    return JSONResponse({"choices": [{"message": message}], "usage": usage})


async def models(_request: Request) -> Response:
    """Not a model route: judged, but its body is nobody's business."""
    return JSONResponse({"data": [{"id": "apex-4"}]})


api = [Route("/chat/completions", chat, methods=["POST"]), Route("/models", models)]
app = Starlette(
    routes=[Mount("/v1", routes=api)],
    middleware=[Middleware(GuardMiddleware, policy=POLICY)],
)
