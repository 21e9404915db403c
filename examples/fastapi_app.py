"""A FastAPI application that serves a model API, guarded in one line.

uvicorn examples.fastapi_app:app
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.responses import JSONResponse, Response, StreamingResponse

from gateway_guard import GuardMiddleware

POLICY = os.environ.get("POLICY", Path(__file__).parent.parent / "policies" / "standard.yaml")
WORDS = ("Hello", " there", ", how", " are", " you", "?")

app = FastAPI()
app.add_middleware(GuardMiddleware, policy=POLICY)
router = APIRouter(prefix="/v1")


async def events(*, usage: bool) -> AsyncIterator[bytes]:
    """The answer, one word an event."""
    for word in WORDS:
        yield b'data: {"choices":[{"delta":{"content":"%b"}}]}\n\n' % word.encode()
    if usage:
        yield b'data: {"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":6}}\n\n'
    yield b"data: [DONE]\n\n"


@router.post("/chat/completions")
async def chat(body: dict[str, Any]) -> Response:
    """OpenAI's chat completions, JSON or streamed."""
    if body.get("stream"):
        usage = body.get("stream_options", {}).get("include_usage", False)
        return StreamingResponse(events(usage=usage), media_type="text/event-stream")
    message = {"role": "assistant", "content": "".join(WORDS)}
    usage = {"prompt_tokens": 9, "completion_tokens": 6, "total_tokens": 15}
    return JSONResponse({"choices": [{"message": message}], "usage": usage})


@router.get("/models")
async def models() -> dict[str, Any]:
    """Not a model route: judged, but its body is nobody's business."""
    return {"data": [{"id": "apex-4"}]}


app.include_router(router)
