"""Requests that ask for another protocol: WebSocket handshakes are handed over, nothing else is.

Anything else (`h2c`, `TLS/1.0`) is declined by answering as if it had not been asked for, which is
what RFC 9110 §7.8 allows and what keeps one reading of the bytes that follow.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from gateway_guard.frontends.head import BadHead, Head

if TYPE_CHECKING:
    from gateway_guard.frontends.inbound import GuardProtocol

log = logging.getLogger(__name__)


class _Quiet(logging.Filter):
    """Drops what uvicorn says of every handshake: the target with its query, where some clients
    have their key, and the client's address. It also calls a refusal an error of the application's,
    and whoever is refused could fill the log with that.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        refused = record.msg == "ASGI callable returned without completing handshake."
        return record.levelno >= logging.WARNING and not refused


log.addFilter(_Quiet())


def is_handshake(head: Head, method: bytes, *, busy: bool, served: bool = True) -> bool:
    """Whether this is a WebSocket handshake; of any other upgrade the connection ends afterwards.

    `busy`: an earlier request of the connection is still being answered. `served`: WebSockets are;
    otherwise a handshake is one of those others.

    Raises:
        BadHead: what follows this head could be read in two ways.
    """
    body = head.chunked or bool(head.length)
    if served and head.upgrade == b"websocket" and method == b"GET" and not body:
        if busy:
            raise BadHead(400, "an upgrade behind a request that is still being answered")
        return True
    if body:
        raise BadHead(400, "an upgrade on a request with a body")
    # The parser reads nothing after this head.
    head.close = True
    return False


def hand_over(http: GuardProtocol, head: Head) -> None:
    """Give the connection of `http` to uvicorn's WebSocket protocol, which reads `head` again."""
    lines = [b"GET ", head.raw_path, b"?" + head.query if head.query else b"", b" HTTP/1.1\r\n"]
    lines += [b"%b: %b\r\n" % field for field in head.headers]
    lines.append(b"\r\n")
    http.connections.discard(http)
    protocol: Any = http.ws_protocol_class(  # type: ignore[call-arg, misc]
        config=http.config,
        server_state=http.server_state,
        app_state=http.app_state,
    )
    protocol.logger = log
    protocol.limits = http.limits
    protocol.let_in = http.door is not None
    protocol.connection_made(http.transport)
    protocol.client = http.client  # PROXY protocol may have named another than the socket
    protocol.data_received(b"".join(lines))
    http.transport.set_protocol(protocol)
