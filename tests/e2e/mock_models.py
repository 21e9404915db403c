"""The mock upstream of the examples, taught the paths of Gemini, Ollama and vLLM, and served."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator, MutableMapping
from typing import Any

import uvicorn

from examples.mock_upstream import MockUpstream, embedding_answer

PATIENCE = 20.0
#: What every answer below says it cost, where its API says so: tokens read and written.
READ, WRITTEN = 21, 5
#: Pieces of a stream.
PIECES = 4

Answer = Callable[[Any, int, int], dict[str, Any]]


def _gemini(text: str, written: int) -> dict[str, Any]:
    content = {"role": "model", "parts": [{"text": text}]}
    usage = {"promptTokenCount": READ, "totalTokenCount": READ + written}
    if written:
        usage["candidatesTokenCount"] = written
    return {"candidates": [{"content": content, "index": 0}], "usageMetadata": usage}


def _ollama(text: str, *, done: bool) -> dict[str, Any]:
    counts = {"prompt_eval_count": READ, "eval_count": WRITTEN, "done_reason": "stop"}
    return {
        "model": "m", "message": {"role": "assistant", "content": text}, "response": text,
        "done": done, **(counts if done else {}),
    }  # fmt: skip


def _says(answer: dict[str, Any]) -> Answer:
    return lambda ask, prompt, count: answer


_RANKED = {"results": [{"index": 0, "relevance_score": 0.5}], "usage": {"total_tokens": READ}}
_POOLED = {"data": [{"index": 0, "data": [0.5]}], "usage": {"prompt_tokens": READ}}
_POOLED["usage"] |= {"total_tokens": READ, "completion_tokens": 0}  # type: ignore[operator]
_HEARD = {"text": "Oslo", "usage": {"input_tokens": READ, "output_tokens": WRITTEN}}

_GEMINI = "/v1beta/models/g-2"
_CONVERSED = {
    "output": {"message": {"role": "assistant", "content": [{"text": "Oslo"}]}},
    "stopReason": "end_turn",
    "usage": {"inputTokens": READ, "outputTokens": WRITTEN, "totalTokens": READ + WRITTEN},
}
#: A model by its ARN, as its clients escape it, and in the path as this server decodes it.
ARN = "arn:aws:bedrock:eu-west-1:123456789012:application-inference-profile/p7"
#: Path → what it answers; where a stream is asked for, `Models` sends one.
ANSWERS: dict[str, Answer] = {
    f"{_GEMINI}:generateContent": _says(_gemini("Oslo", WRITTEN)),
    f"{_GEMINI}:countTokens": _says({"totalTokens": READ}),
    f"{_GEMINI}:embedContent": _says({"embedding": {"values": [0.5]}}),
    "/api/chat": _says(_ollama("Oslo", done=True)),
    "/api/generate": _says(_ollama("Oslo", done=True)),
    "/api/embed": _says({"model": "m", "embeddings": [[0.5]], "prompt_eval_count": READ}),
    "/model/nova-1/converse": _says(_CONVERSED),
    f"/model/{ARN}/converse": _says(_CONVERSED),
    "/tokenize": _says({"count": READ, "max_model_len": 4096, "tokens": [1, 2]}),
    "/detokenize": _says({"prompt": "Oslo"}),
    "/pooling": _says(_POOLED),
    "/classify": _says(_POOLED),
    "/score": _says(_POOLED),
    "/v1/score": _says(_POOLED),
    "/rerank": _says(_RANKED),
    "/v1/rerank": _says(_RANKED),
    "/v2/rerank": _says(_RANKED),
    "/v1/audio/transcriptions": _says(_HEARD),
    "/v1/moderations": _says({"id": "modr", "model": "m", "results": [{"flagged": False}]}),
    "/api/embeddings": embedding_answer,
}


class Models(MockUpstream):
    """`MockUpstream` with `ANSWERS`, and streams for Gemini and Ollama.

    Attributes:
        go: while it is not set, chats with the model `single` wait after their first piece.
    """

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()
        self.go.set()

    async def _chat_events(self, ask: Any, prompt: int, count: int) -> AsyncIterator[bytes]:
        async for event in super()._chat_events(ask, prompt, count):
            yield event
            while ask.get("model") == "single" and not self.go.is_set():
                await asyncio.to_thread(self.go.wait, PATIENCE)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        path: str = scope.get("path", "")
        if scope["type"] != "http" or path not in _STREAMED:
            if path == "/v1/audio/transcriptions":
                receive = _emptied(receive)
            await super().__call__(scope, receive, send)
            return
        asked = b""
        more = True
        while more:
            message = await receive()
            asked += message.get("body", b"")
            more = message.get("more_body", False)
        self.requests[path] = self.requests.get(path, 0) + 1
        content_type, pieces = _STREAMED[path]
        if json.loads(asked).get("stream") is False:
            content_type, pieces = b"application/json", _WHOLE
        await self._send_pieces(send, content_type, pieces)

    async def _send_pieces(
        self, send: Any, content_type: bytes, pieces: Callable[[], AsyncIterator[bytes]]
    ) -> None:
        start: MutableMapping[str, Any] = {
            "type": "http.response.start", "status": 200,
            "headers": [(b"content-type", content_type)],
        }  # fmt: skip
        await send(start)
        async for piece in pieces():
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _routes(self) -> dict[str, tuple[Answer, Any]]:
        return super()._routes() | {path: (answer, None) for path, answer in ANSWERS.items()}


async def _lines() -> AsyncIterator[bytes]:
    for _ in range(PIECES):
        yield json.dumps(_ollama("word ", done=False)).encode() + b"\n"
    yield json.dumps(_ollama("", done=True)).encode() + b"\n"


async def _events() -> AsyncIterator[bytes]:
    for number in range(1, PIECES + 1):
        written = WRITTEN * number // PIECES
        yield b"data: " + json.dumps(_gemini("word ", written)).encode() + b"\r\n\r\n"


async def _WHOLE() -> AsyncIterator[bytes]:  # noqa: N802 - stands in for one of the two above
    yield json.dumps(_ollama("Oslo", done=True)).encode()


_STREAMED: dict[str, tuple[bytes, Callable[[], AsyncIterator[bytes]]]] = {
    "/api/chat": (b"application/x-ndjson", _lines),
    "/api/generate": (b"application/x-ndjson", _lines),
    f"{_GEMINI}:streamGenerateContent": (b"text/event-stream", _events),
}


def _emptied(receive: Any) -> Any:
    """The same with an empty JSON object for a body: a form is none of the mock's business."""

    async def receiving() -> Any:
        message = await receive()
        while message["type"] == "http.request" and message.get("more_body"):
            message = await receive()
        return {**message, "body": b"{}"} if message["type"] == "http.request" else message

    return receiving


@contextlib.contextmanager
def served(app: Any) -> Iterator[str]:
    """The application's URL, while the block runs."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(128)
    config = uvicorn.Config(app, log_config=None, lifespan="off", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(PATIENCE)
        listener.close()
