"""The answer that holds a client secret, read while it passes (`core.minted`)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from gateway_guard.core.minted import secret_in
from gateway_guard.core.usage_encoding import Unwrapping, decoder_for
from gateway_guard.guard import Guard
from gateway_guard.types import Exchange

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]

#: Longest answer read, bytes. It repeats the instructions and tools of the session, which whoever
#: asks makes as long as the model takes: 16,384 tokens at OpenAI (its guide to Realtime), each
#: perhaps a long run of blanks. Not measured.
_MOST: Final = 4 * 1024 * 1024


def minting(guard: Guard, exchange: Exchange, send: Send) -> Send:
    """`send`, with what it passes on taken in before the client can have all of it."""
    body = bytearray()
    decoder: Unwrapping | None = None
    reading = False

    async def sending(message: Message) -> None:
        nonlocal decoder, reading
        kind = message["type"]
        if kind == "http.response.start":
            coding = b"".join(
                value for name, value in message.get("headers", ())
                if name.lower() == b"content-encoding"
            ).strip().lower()  # fmt: skip
            decoder = decoder_for(coding) if coding else None
            plain = not coding or coding == b"identity"
            reading = 200 <= message["status"] < 300 and (plain or decoder is not None)
        elif reading and kind == "http.response.body":
            piece = bytes(message.get("body", b""))
            body.extend(piece if decoder is None else b"".join(decoder.feed(piece)))
            if len(body) > _MOST:
                reading = False
                body.clear()
            elif not message.get("more_body", False):
                now = guard.clock()
                made = secret_in(bytes(body), exchange.request, secret=guard.secret, now=now)
                if made is not None:
                    await guard.mint.add(made, now)
                body.clear()
        await send(message)

    return sending
