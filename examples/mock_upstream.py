"""A stand-in model API for demos and tests: the wire shapes of OpenAI and Anthropic, no model.

    uvicorn examples.mock_upstream:app --port 9000
    python examples/mock_upstream.py --port 9000 --latency 0.05 --interval 0.02

It answers `/v1/chat/completions`, `/v1/completions`, `/v1/responses` and `/v1/messages` as JSON or
as a stream, `/v1/embeddings`, `/v1/messages/count_tokens` and `/v1/models` as JSON, always with
token usage; every other path gets 404. Where tools are offered, the first is called. Tokens are
counted as a quarter of the characters. Three request headers steer one request: `x-mock-latency:
0.5` (seconds before the first byte), `x-mock-tokens: 200` (output tokens) and `x-mock-status: 529`
(an error). `GET /mock/stats` counts what arrived.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

WORDS = ("The", "quick", "brown", "fox", "jumps", "over", "the", "lazy", "dog", "again")
#: What a tool is called with.
CALLED = {"city": "Oslo"}
MODELS = ("mock-large", "mock-small", "mock-embed")


@dataclass(kw_only=True)
class MockUpstream:
    """The model API as an ASGI application.

    Attributes:
        latency: seconds before an answer begins, >= 0.
        interval: seconds between two tokens of a stream, >= 0.
        tokens: output tokens of an answer when the client sets no cap, >= 1.
        requests: requests answered so far, by path.
    """

    latency: float = 0.0
    interval: float = 0.0
    tokens: int = 20
    requests: dict[str, int] = field(default_factory=dict)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        if scope["type"] == "websocket":
            await _echo(receive, send)
            return
        body = await _read(receive)
        if body is None:
            return
        path = scope["path"].rstrip("/")
        self.requests[path] = self.requests.get(path, 0) + 1
        headers = dict(scope["headers"])
        await asyncio.sleep(float(headers.get(b"x-mock-latency", self.latency)))
        if scope["method"] == "GET":
            await _json(send, *self._get(path))
            return
        if b"x-mock-status" in headers:
            error = {"type": "mock_error", "message": "The mock was told to fail."}
            await _json(send, int(headers[b"x-mock-status"]), {"type": "error", "error": error})
            return
        route = self._routes().get(path)
        if route is None:
            await _json(send, 404, {"error": {"message": f"no such path: {path}", "type": "mock"}})
            return
        try:
            ask = json.loads(body or b"{}")
            cap = ask.get("max_tokens") or ask.get("max_completion_tokens") or self.tokens
            count = max(1, min(int(headers.get(b"x-mock-tokens", self.tokens)), int(cap)))
        except (ValueError, AttributeError, TypeError) as error:
            await _json(send, 400, {"error": {"message": str(error), "type": "invalid_request"}})
            return
        answer, stream = route
        prompt = max(1, len(body) // 4)
        if stream is not None and ask.get("stream") is True:
            await self._stream(send, stream(ask, prompt, count))
        else:
            await _json(send, 200, answer(ask, prompt, count))

    def _get(self, path: str) -> tuple[int, dict[str, Any]]:
        if path == "/v1/models":
            data = [{"id": name, "object": "model", "owned_by": "mock"} for name in MODELS]
            return 200, {"object": "list", "data": data}
        if path == "/mock/stats":
            return 200, {"requests": self.requests}
        return (200, {"status": "ok"}) if path in ("", "/health") else (404, {"error": "not found"})

    def _routes(self) -> dict[str, tuple[Callable[..., dict[str, Any]], Any]]:
        return {
            "/v1/chat/completions": (chat_answer, self._chat_events),
            "/v1/completions": (completion_answer, self._completion_events),
            "/v1/responses": (response_answer, self._response_events),
            "/v1/embeddings": (embedding_answer, None),
            "/v1/messages": (message_answer, self._message_events),
            "/v1/messages/count_tokens": (count_answer, None),
        }

    async def _stream(self, send: Send, events: AsyncIterator[bytes]) -> None:
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [
                    (b"content-type", b"text/event-stream"),
                    (b"cache-control", b"no-cache"),
                ],
            }
        )
        async for event in events:
            await send({"type": "http.response.body", "body": event, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _chat_events(self, ask: Any, prompt: int, count: int) -> AsyncIterator[bytes]:
        base = {"id": "chatcmpl-mock", "object": "chat.completion.chunk", "model": _model(ask)}
        called = _called(ask)
        if called is not None:
            call: dict[str, Any] = {"index": 0, "id": "call_mock", "type": "function"}
            for function in ({"name": called, "arguments": ""}, {"arguments": json.dumps(CALLED)}):
                step = {"tool_calls": [{**call, "function": function}]}
                yield _data({**base, "choices": [{"index": 0, "delta": step}]})
                call = {"index": 0}
        for i in range(0 if called is not None else count):
            delta = {"content": WORDS[i % len(WORDS)] + " "}
            yield _data({**base, "choices": [{"index": 0, "delta": delta}]})
            await asyncio.sleep(self.interval)
        reason = "stop" if called is None else "tool_calls"
        end = {"index": 0, "delta": {}, "finish_reason": reason}
        yield _data({**base, "choices": [end]})
        if (ask.get("stream_options") or {}).get("include_usage"):
            yield _data({**base, "choices": [], "usage": openai_usage(prompt, count)})
        yield b"data: [DONE]\n\n"

    async def _completion_events(self, ask: Any, prompt: int, count: int) -> AsyncIterator[bytes]:
        base = {"id": "cmpl-mock", "object": "text_completion", "model": _model(ask)}
        for i in range(count):
            text = WORDS[i % len(WORDS)] + " "
            yield _data({**base, "choices": [{"index": 0, "text": text, "finish_reason": None}]})
            await asyncio.sleep(self.interval)
        yield _data({**base, "choices": [{"index": 0, "text": "", "finish_reason": "stop"}]})
        if (ask.get("stream_options") or {}).get("include_usage"):
            yield _data({**base, "choices": [], "usage": openai_usage(prompt, count)})
        yield b"data: [DONE]\n\n"

    async def _response_events(self, ask: Any, prompt: int, count: int) -> AsyncIterator[bytes]:
        whole = response_answer(ask, prompt, count)
        started = {**whole, "status": "in_progress", "output": [], "usage": None}
        yield _event("response.created", {"sequence_number": 0, "response": started})
        place = {"item_id": "msg_mock", "output_index": 0, "content_index": 0, "logprobs": []}
        for i in range(count):
            delta = {**place, "sequence_number": i + 1, "delta": WORDS[i % len(WORDS)] + " "}
            yield _event("response.output_text.delta", delta)
            await asyncio.sleep(self.interval)
        yield _event("response.completed", {"sequence_number": count + 1, "response": whole})

    async def _message_events(self, ask: Any, prompt: int, count: int) -> AsyncIterator[bytes]:
        start = message_answer(ask, prompt, 0) | {"content": [], "stop_reason": None}
        yield _event("message_start", {"message": start})
        called = _called(ask)
        block: dict[str, Any] = {"type": "text", "text": ""}
        if called is not None:
            block = {"type": "tool_use", "id": "toolu_mock", "name": called, "input": {}}
        yield _event("content_block_start", {"index": 0, "content_block": block})
        if called is not None:
            delta = {"type": "input_json_delta", "partial_json": json.dumps(CALLED)}
            yield _event("content_block_delta", {"index": 0, "delta": delta})
        for i in range(0 if called is not None else count):
            delta = {"type": "text_delta", "text": WORDS[i % len(WORDS)] + " "}
            yield _event("content_block_delta", {"index": 0, "delta": delta})
            await asyncio.sleep(self.interval)
        yield _event("content_block_stop", {"index": 0})
        reason = "end_turn" if called is None else "tool_use"
        stop = {"stop_reason": reason, "stop_sequence": None}
        yield _event("message_delta", {"delta": stop, "usage": {"output_tokens": count}})
        yield _event("message_stop", {})


def openai_usage(prompt: int, count: int) -> dict[str, int]:
    """Token usage in OpenAI's words."""
    return {
        "prompt_tokens": prompt,
        "completion_tokens": count,
        "total_tokens": prompt + count,
    }


def _model(ask: Any) -> str:
    return str(ask.get("model", MODELS[0]))


def _text(count: int) -> str:
    return " ".join(WORDS[i % len(WORDS)] for i in range(count))


def _called(ask: Any) -> str | None:
    """The tool the mock calls: the first that is offered."""
    tools = ask.get("tools")
    if not tools:
        return None
    return str(tools[0].get("function", tools[0])["name"])


def chat_answer(ask: Any, prompt: int, count: int) -> dict[str, Any]:
    """A chat completion."""
    message: dict[str, Any] = {"role": "assistant", "content": _text(count)}
    reason, called = "stop", _called(ask)
    if called is not None:
        function = {"name": called, "arguments": json.dumps(CALLED)}
        call = {"id": "call_mock", "type": "function", "function": function}
        message = {"role": "assistant", "content": None, "tool_calls": [call]}
        reason = "tool_calls"
    choices = [
        {"index": i, "message": message, "finish_reason": reason} for i in range(ask.get("n") or 1)
    ]
    return {
        "id": "chatcmpl-mock",
        "object": "chat.completion",
        "model": _model(ask),
        "choices": choices,
        "usage": openai_usage(prompt, count * len(choices)),
    }


def count_answer(ask: Any, prompt: int, count: int) -> dict[str, Any]:  # noqa: ARG001
    """How many tokens a prompt has."""
    return {"input_tokens": prompt}


def completion_answer(ask: Any, prompt: int, count: int) -> dict[str, Any]:
    """A legacy text completion."""
    return {
        "id": "cmpl-mock",
        "object": "text_completion",
        "model": _model(ask),
        "choices": [{"index": 0, "text": _text(count), "finish_reason": "stop"}],
        "usage": openai_usage(prompt, count),
    }


def response_answer(ask: Any, prompt: int, count: int) -> dict[str, Any]:
    """An answer of the responses API, whose usage has other names."""
    content = [{"type": "output_text", "text": _text(count), "annotations": []}]
    usage = {"input_tokens": prompt, "output_tokens": count, "total_tokens": prompt + count}
    return {
        "id": "resp_mock",
        "object": "response",
        "model": _model(ask),
        "created_at": 0,
        "status": "completed",
        "tools": [],
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        "output": [
            {
                "id": "msg_mock",
                "type": "message",
                "role": "assistant",
                "status": "completed",
                "content": content,
            },
        ],
        "usage": usage,
    }


def embedding_answer(ask: Any, prompt: int, count: int) -> dict[str, Any]:  # noqa: ARG001
    """One embedding per input."""
    given = ask.get("input", "")
    inputs = given if isinstance(given, list) else [given]
    vectors = [
        {"object": "embedding", "index": i, "embedding": [0.1, 0.2, 0.3]}
        for i in range(len(inputs))
    ]
    usage = {"prompt_tokens": prompt, "total_tokens": prompt}
    return {"object": "list", "model": _model(ask), "data": vectors, "usage": usage}


def message_answer(ask: Any, prompt: int, count: int) -> dict[str, Any]:
    """An Anthropic message."""
    content: dict[str, Any] = {"type": "text", "text": _text(count)}
    called = _called(ask)
    if called is not None:
        content = {"type": "tool_use", "id": "toolu_mock", "name": called, "input": CALLED}
    return {
        "id": "msg_mock",
        "type": "message",
        "role": "assistant",
        "model": _model(ask),
        "content": [content],
        "stop_reason": "end_turn" if called is None else "tool_use",
        "stop_sequence": None,
        "usage": {"input_tokens": prompt, "output_tokens": count},
    }


def _data(value: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def _event(name: str, value: dict[str, Any]) -> bytes:
    return b"event: " + name.encode() + b"\n" + _data({"type": name, **value})


async def _read(receive: Receive) -> bytes | None:
    """The whole request body; None when the client left."""
    parts = []
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


async def _json(send: Send, status: int, value: dict[str, Any]) -> None:
    body = json.dumps(value).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _echo(receive: Receive, send: Send) -> None:
    """Every WebSocket message comes back; `close 4001` closes with that code."""
    while True:
        message = await receive()
        if message["type"] == "websocket.connect":
            await send({"type": "websocket.accept"})
        elif message["type"] == "websocket.receive":
            text = message.get("text")
            if text is not None and text.startswith("close "):
                await send({"type": "websocket.close", "code": int(text[6:]), "reason": "asked"})
                return
            reply = {"text": text} if text is not None else {"bytes": message["bytes"]}
            await send({"type": "websocket.send", **reply})
        else:
            return


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return


app = MockUpstream(
    latency=float(os.environ.get("MOCK_LATENCY", "0")),
    interval=float(os.environ.get("MOCK_INTERVAL", "0")),
    tokens=int(os.environ.get("MOCK_TOKENS", "20")),
)


def main() -> None:
    """Serve the mock on a socket."""
    import uvicorn  # noqa: PLC0415  (only this entry point serves)

    parser = argparse.ArgumentParser(description="A mock model API.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9000)
    parser.add_argument("--latency", type=float, default=0.0, help="seconds to the first byte")
    parser.add_argument("--interval", type=float, default=0.0, help="seconds between tokens")
    parser.add_argument("--tokens", type=int, default=20, help="output tokens of an answer")
    args = parser.parse_args()
    mock = MockUpstream(latency=args.latency, interval=args.interval, tokens=args.tokens)
    uvicorn.run(mock, host=args.host, port=args.port, log_level="warning")


if __name__ == "__main__":
    main()
