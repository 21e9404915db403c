"""WebSockets: the client's connection joined to one of our own to the upstream.

Messages, subprotocols and close codes pass in both directions; pings are answered on each side. The
handshake is judged by the guard before this code runs. The upstream's refusal of the handshake
reaches the client with its status. An upstream that breaks off closes the client with 1014 (bad
gateway), never with a normal close.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Any, Final

from starlette.types import Receive, Scope, Send
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.typing import Subprotocol

from gateway_guard.frontends.upstream import Upstream

log = logging.getLogger(__name__)

#: RFC 6455 registry: the server, as a gateway, got an invalid answer from its upstream.
BAD_GATEWAY: Final = 1014
#: Codes that stand for the lack of a close frame and must not be sent in one (RFC 6455 §7.4.1).
_UNSENDABLE: Final = frozenset((1005, 1006, 1015))


async def tunnel(
    scope: Scope,
    receive: Receive,
    send: Send,
    *,
    upstream: Upstream,
    target: bytes,
    fields: list[bytes],
    preserve_host: bool,
    max_message: int,
) -> None:
    """Join the WebSocket of `scope` to the upstream until either side closes.

    `target` is the upstream's path and query, `fields` the header lines to send, `max_message` the
    largest message in either direction, bytes.
    """
    message = await receive()
    if message["type"] != "websocket.connect":
        return
    try:
        socket = await _dial(scope, upstream, target, fields, preserve_host, max_message)
    except InvalidStatus as error:
        await _refuse(scope, send, error.response.status_code, bytes(error.response.body or b""))
        return
    except TimeoutError:
        await _refuse(scope, send, 504, b"")
        return
    except (OSError, WebSocketException) as error:
        log.warning("upstream-failed reason=%s", error)
        await _refuse(scope, send, 502, b"")
        return
    await send({"type": "websocket.accept", "subprotocol": socket.subprotocol})
    up = asyncio.create_task(_to_upstream(receive, socket))
    try:
        await _to_client(send, socket)
    finally:
        up.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await up
        await socket.close()


async def _dial(
    scope: Scope,
    upstream: Upstream,
    target: bytes,
    fields: list[bytes],
    preserve_host: bool,
    max_message: int,
) -> ClientConnection:
    origin = upstream.origin
    authority = origin.authority
    if preserve_host:
        authority = next((v for n, v in scope["headers"] if n == b"host" and v), authority)
    scheme = "wss" if origin.secure else "ws"
    where: dict[str, Any] = {}
    if origin.socket is not None:
        loop = asyncio.get_running_loop()
        import socket  # noqa: PLC0415

        raw = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        raw.setblocking(False)
        try:
            await loop.sock_connect(raw, origin.socket)
        except BaseException:
            raw.close()
            raise
        where["sock"] = raw
    else:
        where["host"], where["port"] = origin.host, origin.port
    if origin.secure:
        where["ssl"], where["server_hostname"] = upstream.tls, origin.host
    lines = []
    for field in fields:
        for line in field.decode("latin-1").split("\r\n"):
            name, _, value = line.partition(": ")
            if name and not name.startswith("sec-websocket-"):
                lines.append((name, value))
    return await connect(
        f"{scheme}://{authority.decode('latin-1')}{target.decode('latin-1')}",
        additional_headers=lines,
        subprotocols=[Subprotocol(name) for name in scope.get("subprotocols", [])] or None,
        compression=None,
        proxy=None,
        user_agent_header=None,
        open_timeout=upstream.timeouts.connect,
        close_timeout=5,
        max_size=max_message,
        max_queue=4,
        **where,
    )


async def _to_client(send: Send, socket: ClientConnection) -> None:
    try:
        while True:
            message = await socket.recv()
            if isinstance(message, str):
                await send({"type": "websocket.send", "text": message})
            else:
                await send({"type": "websocket.send", "bytes": message})
    except ConnectionClosed as closed:
        if closed.rcvd is None and closed.sent is None:
            code, reason = BAD_GATEWAY, "upstream connection lost"
        elif closed.rcvd is not None:
            code, reason = closed.rcvd.code, closed.rcvd.reason
        else:
            return  # the client began the close; its own server finishes it
    await send(
        {"type": "websocket.close", "code": 1000 if code in _UNSENDABLE else code, "reason": reason}
    )


async def _to_upstream(receive: Receive, socket: ClientConnection) -> None:
    try:
        while True:
            message = await receive()
            if message["type"] == "websocket.receive":
                text = message.get("text")
                await socket.send(text if text is not None else message["bytes"])
            elif message["type"] == "websocket.disconnect":
                code = message.get("code") or 1000
                reason = message.get("reason") or ""
                await socket.close(1001 if code in _UNSENDABLE else code, reason)
                return
    except ConnectionClosed:
        return  # the other direction sees the same close and reports it


async def _refuse(scope: Scope, send: Send, status: int, body: bytes) -> None:
    if "websocket.http.response" in scope.get("extensions", {}):
        headers = [(b"content-length", str(len(body)).encode())]
        await send({"type": "websocket.http.response.start", "status": status, "headers": headers})
        await send({"type": "websocket.http.response.body", "body": body, "more_body": False})
    else:
        await send({"type": "websocket.close", "code": 1014, "reason": "bad gateway"})
