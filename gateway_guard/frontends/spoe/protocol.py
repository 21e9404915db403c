"""The agent's end of one SPOP 2.0 connection. Sans-I/O: bytes in, events and bytes out.

    HAPROXY-HELLO → AGENT-HELLO, then any number of NOTIFY → ACK in any order, until one side says
    DISCONNECT. A health check ends after the hello.

Fragmented payloads are not taken (HAProxy 3.1 gave them up), and neither are answers over another
connection (`async`). Source: HAProxy 2.6, `doc/SPOE.txt` §3.2.
"""

from __future__ import annotations

import enum
import re
from typing import Final

import msgspec

from gateway_guard.frontends.spoe import data
from gateway_guard.frontends.spoe.data import Data, Malformed
from gateway_guard.frontends.spoe.frames import (
    ACK,
    AGENT_DISCONNECT,
    AGENT_HELLO,
    FIN,
    HAPROXY_DISCONNECT,
    HAPROXY_HELLO,
    NOTIFY,
    OVERHEAD,
    PREFIX,
    UNSET,
    Frame,
    Message,
    frame,
    pairs,
    read_frame,
    read_messages,
    read_pairs,
)

#: Largest frame taken, bytes, unless told otherwise. HAProxy sends none larger than its buffer.
MOST: Final = 1024 * 1024
#: Smallest frame that every answer fits into; HAProxy's own default is 16,380 bytes.
LEAST: Final = 1024
#: Largest frame before sizes have been agreed on; a hello has about 150 bytes.
_FIRST: Final = 4096
_VERSION: Final = re.compile(rb"([0-9]{1,4})\.([0-9]{1,4})")


class Code(enum.IntEnum):
    """Why a connection ends."""

    NORMAL = 0
    IO = 1
    TIMEOUT = 2
    TOO_BIG = 3
    INVALID = 4
    NO_VERSION = 5
    NO_SIZE = 6
    NO_CAPABILITIES = 7
    BAD_VERSION = 8
    BAD_SIZE = 9
    FRAGMENTED = 10
    INTERLACED = 11
    UNKNOWN_FRAME = 12
    RESOURCES = 13
    UNKNOWN = 99


class Notify(msgspec.Struct, frozen=True, gc=False):
    """HAProxy asks. It waits for the acknowledgement of exactly this stream and frame.

    Attributes:
        stream, frame: HAProxy's numbers.
        messages: what it says.
    """

    stream: int
    frame: int
    messages: tuple[Message, ...]


class Ended(msgspec.Struct, frozen=True, gc=False):
    """The connection is over: send what is left to send, then close it. Comes once, last.

    Attributes:
        code: why; HAProxy's own code where it ended the connection.
        message: the same in words.
        by_peer: whether HAProxy ended it; a health check is one such end.
    """

    code: int
    message: str
    by_peer: bool


Event = Notify | Ended


class _Fault(Exception):  # noqa: N818 - control flow inside this module
    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code = code


class Agent:
    """One connection from HAProxy.

    Attributes:
        max_frame: largest frame either side may send now, bytes.
        open: whether the hello has been exchanged and nobody has ended the connection.

    Args:
        max_frame: largest frame taken, bytes; HAProxy's own limit counts where it is lower.

    Raises:
        ValueError: `max_frame` is below `LEAST`.
    """

    def __init__(self, *, max_frame: int = MOST) -> None:
        if max_frame < LEAST:
            raise ValueError(f"an answer may need {LEAST} bytes, max_frame is {max_frame}")
        self.max_frame = min(_FIRST, max_frame)
        self.open = False
        self._most = max_frame
        self._ended: Ended | None = None
        self._told = False
        self._buffer = bytearray()
        self._read = 0
        self._out: list[bytes] = []
        self._waiting: set[tuple[int, int]] = set()

    @property
    def waiting(self) -> int:
        """Questions that have not been acknowledged."""
        return len(self._waiting)

    @property
    def ended(self) -> bool:
        """Whether either side has ended the connection."""
        return self._ended is not None

    @property
    def room(self) -> int:
        """Bytes that the actions of one acknowledgement may have."""
        return self.max_frame - OVERHEAD

    def receive(self, received: bytes) -> None:
        """Take bytes that arrived; `next_event` says what they mean."""
        if self._ended is not None:
            return
        if self._read:
            del self._buffer[: self._read]
            self._read = 0
        self._buffer += received

    def next_event(self) -> Event | None:
        """What happened next; None when more bytes have to arrive first.

        Nothing is read ahead: whoever stops asking leaves the rest in the buffer.
        """
        while self._ended is None:
            try:
                found = self._next_frame()
                if found is None:
                    return None
                event = self._take(found)
            except _Fault as fault:
                self.end(fault.code, str(fault))
            except Malformed as error:
                self.end(Code.INVALID, f"{error}")
            else:
                if event is not None:
                    return event
        if self._told:
            return None
        self._told = True
        return self._ended

    def acknowledge(self, notify: Notify, actions: bytes) -> None:
        """Answer a question. One whose connection has ended is left unanswered.

        Raises:
            ValueError: it has been answered already, or `actions` are longer than `room`.
        """
        if self._ended is not None:
            return
        if len(actions) > self.room:
            raise ValueError(f"{len(actions)} bytes of actions, there is room for {self.room}")
        key = (notify.stream, notify.frame)
        if key not in self._waiting:
            raise ValueError("nobody waits for this answer")
        self._waiting.remove(key)
        self._out.append(frame(ACK, notify.stream, notify.frame, actions))

    def end(self, code: int, message: str, *, by_peer: bool = False) -> None:
        """Say goodbye; nothing is taken or sent afterwards. A second call does nothing."""
        if self._ended is not None:
            return
        self.open = False
        self._ended = Ended(code, message, by_peer)
        self._buffer.clear()
        self._read = 0
        self._waiting.clear()
        said: dict[bytes, Data] = {
            # Goodbye in answer to goodbye says that all is well, whatever HAProxy complained of.
            b"status-code": (data.UINT32, 0 if by_peer else code),
            b"message": (data.STRING, b"goodbye" if by_peer else message.encode()),
        }
        self._out.append(frame(AGENT_DISCONNECT, 0, 0, pairs(said)))

    def data_to_send(self) -> bytes:
        """What has to be sent now; each byte is handed out once."""
        if not self._out:
            return b""
        out = b"".join(self._out)
        self._out.clear()
        return out

    def _next_frame(self) -> Frame | None:
        buffer, at = self._buffer, self._read
        if len(buffer) - at < PREFIX:
            return None
        length = int.from_bytes(buffer[at : at + PREFIX], "big")
        if length > self.max_frame:
            raise _Fault(
                Code.TOO_BIG, f"a frame of {length} bytes, {self.max_frame} were agreed on"
            )
        end = at + PREFIX + length
        if len(buffer) < end:
            return None
        self._read = end
        return read_frame(bytes(buffer[at + PREFIX : end]))

    def _take(self, found: Frame) -> Event | None:
        kind = found.kind
        if kind == UNSET or not found.flags & FIN:
            raise _Fault(Code.FRAGMENTED, "fragmented payloads are not taken")
        if kind == NOTIFY and self.open:
            key = (found.stream, found.frame)
            if key in self._waiting:
                raise _Fault(Code.INVALID, "a question with the numbers of another one")
            notify = Notify(found.stream, found.frame, read_messages(found.payload))
            self._waiting.add(key)
            return notify
        if kind in (HAPROXY_HELLO, HAPROXY_DISCONNECT) and (found.stream or found.frame):
            raise _Fault(Code.INVALID, "a hello or goodbye about a stream")
        if kind == HAPROXY_HELLO and not self.open:
            self._greet(read_pairs(found.payload))
            return None
        if kind == HAPROXY_DISCONNECT:
            self._part(read_pairs(found.payload))
            return None
        if kind in (HAPROXY_HELLO, NOTIFY, AGENT_HELLO, AGENT_DISCONNECT, ACK):
            raise _Fault(Code.INVALID, f"a frame of type {kind} out of turn")
        # "Unknown frames may be silently skipped."
        return None

    def _greet(self, said: dict[bytes, Data]) -> None:
        versions = _value(said, b"supported-versions", Code.NO_VERSION, (data.STRING,))
        size = _value(said, b"max-frame-size", Code.NO_SIZE, (data.UINT32, data.UINT64))
        capabilities = _value(said, b"capabilities", Code.NO_CAPABILITIES, (data.STRING,))
        assert isinstance(versions, bytes) and isinstance(capabilities, bytes)  # noqa: S101, PT018
        assert isinstance(size, int)  # noqa: S101
        if not any(_speaks_2(version) for version in versions.split(b",")):
            raise _Fault(Code.BAD_VERSION, "only version 2.0 is spoken here")
        if size < LEAST:
            raise _Fault(Code.BAD_SIZE, f"max-frame-size has to be at least {LEAST}")
        self.max_frame = min(size, self._most)
        pipelining = b"pipelining" in [word.strip() for word in capabilities.split(b",")]
        reply: dict[bytes, Data] = {
            b"version": (data.STRING, b"2.0"),
            b"max-frame-size": (data.UINT32, self.max_frame),
            b"capabilities": (data.STRING, b"pipelining" if pipelining else b""),
        }
        self._out.append(frame(AGENT_HELLO, 0, 0, pairs(reply)))
        if said.get(b"healthcheck") == (data.BOOL, True):
            # No goodbye: a check that hears one may take it for a failure.
            self._ended = Ended(Code.NORMAL, "health check", by_peer=True)
        else:
            self.open = True

    def _part(self, said: dict[bytes, Data]) -> None:
        _, code = said.get(b"status-code", (data.NULL, None))
        _, message = said.get(b"message", (data.NULL, None))
        if not isinstance(code, int):
            code = Code.UNKNOWN
        text = _printable(message) if isinstance(message, bytes) else "no reason"
        self.end(code, text, by_peer=True)


def _value(said: dict[bytes, Data], name: bytes, missing: Code, kinds: tuple[int, ...]) -> object:
    found = said.get(name)
    if found is None:
        raise _Fault(missing, f"no {name.decode()}")
    if found[0] not in kinds:
        raise _Fault(Code.INVALID, f"{name.decode()} of another type")
    return found[1]


def _printable(message: bytes) -> str:
    # It may end up in a log.
    return "".join(chr(byte) if 0x20 <= byte < 0x7F else "?" for byte in message[:200])


def _speaks_2(version: bytes) -> bool:
    # Whoever speaks a minor version speaks all earlier ones of its major one.
    match = _VERSION.fullmatch(version.strip())
    return match is not None and int(match[1]) == 2
