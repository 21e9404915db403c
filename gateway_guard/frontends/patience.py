"""How long a client may let others wait. Pure: the times come in, a verdict goes out."""

from __future__ import annotations

import enum
from typing import Final

import msgspec

from gateway_guard.frontends.forwarded import TrustedPeers

#: Seconds that anybody may be waited for while all connections are taken. Not measured.
HURRY: Final = 3.0
#: Bytes a second that a body must bring then. Source: Apache's mod_reqtimeout.
SLOWEST: Final = 500.0


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one listener allows, all > 0 but `rate`; times in seconds.

    Attributes:
        head: from the first byte of a request (or the connection) to the end of its head.
        body: between two pieces of a request body the application waits for.
        idle: between two requests on one connection.
        write: a client may leave a response unread.
        connections: open at once; further ones are closed unserved.
        proxies: peers whose PROXY protocol header is required and believed; None: not spoken.
        rate: bytes a second that a body brings on average, once it took longer than `body`; 0 for
            any number.
    """

    head: float = 10.0
    body: float = 30.0
    idle: float = 75.0
    write: float = 60.0
    connections: int = 10_000
    proxies: TrustedPeers | None = None
    rate: float = 0.0

    @property
    def hurried(self) -> Limits:
        """The same where there is no connection left for others: who does nothing makes room."""
        return msgspec.structs.replace(
            self, head=min(self.head, HURRY), body=min(self.body, HURRY),
            idle=min(self.idle, HURRY), rate=SLOWEST,
        )  # fmt: skip


class Late(enum.Enum):
    """What a client is late with."""

    READING = "reading the answer"
    HEAD = "the head of a request"
    BODY = "the body of a request"
    REQUEST = "a request, on a connection with none under way"


def late(
    limits: Limits,
    now: float,
    *,
    since: float,
    head_since: float,
    stalled_since: float,
    in_head: bool,
    answering: bool,
    fresh: bool,
    awaits_body: bool,
    received: int = 0,
) -> Late | None:
    """What the client has kept others waiting for too long with; None when it has not.

    All times are on one clock, in seconds: `since` is the last progress, `head_since` the first
    byte of the head being read, or the connection's beginning; `stalled_since` is 0 while the
    client reads. `fresh`: no request has begun yet. `awaits_body`: the application waits for more
    than the `received` bytes.
    """
    if stalled_since and now - stalled_since > limits.write:
        return Late.READING
    if answering:
        taken = now - head_since
        drips = taken > limits.body and received < limits.rate * taken
        return Late.BODY if awaits_body and (drips or now - since > limits.body) else None
    if in_head:
        return Late.HEAD if now - head_since > limits.head else None
    if fresh:
        return Late.REQUEST if now - head_since > limits.head else None
    return Late.REQUEST if now - since > limits.idle else None
