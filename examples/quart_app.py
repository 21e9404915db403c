"""A Quart application that serves a model API, with the guard around its ASGI side.

uvicorn examples.quart_app:app
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from quart import Quart, Response, request

from gateway_guard import GuardMiddleware

POLICY = os.environ.get("POLICY", Path(__file__).parent.parent / "policies" / "standard.yaml")
WORDS = ("Hello", " there", ", how", " are", " you", "?")

app = Quart(__name__)


async def events(*, usage: bool) -> AsyncIterator[bytes]:
    """The answer, one word an event."""
    for word in WORDS:
        yield b'data: {"choices":[{"delta":{"content":"%b"}}]}\n\n' % word.encode()
    if usage:
        yield b'data: {"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":6}}\n\n'
    yield b"data: [DONE]\n\n"


@app.post("/v1/chat/completions")
async def chat() -> Any:
    """OpenAI's chat completions, JSON or streamed."""
    body = await request.get_json()
    if body.get("stream"):
        usage = body.get("stream_options", {}).get("include_usage", False)
        return Response(events(usage=usage), mimetype="text/event-stream")
    message = {"role": "assistant", "content": "".join(WORDS)}
    usage = {"prompt_tokens": 9, "completion_tokens": 6, "total_tokens": 15}
    return {"choices": [{"message": message}], "usage": usage}


@app.get("/v1/models")
async def models() -> Any:
    """Not a model route: judged, but its body is nobody's business."""
    return {"data": [{"id": "apex-4"}]}


app.asgi_app = GuardMiddleware(app.asgi_app, policy=POLICY)  # type: ignore[method-assign, assignment]
