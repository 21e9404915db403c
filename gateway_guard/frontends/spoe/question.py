"""What HAProxy asks about: the client's request, put together from one message. Pure.

| argument | sample | |
| --- | --- | --- |
| `src` | `src` | address of the client's connection |
| `method` | `method` | |
| `path` | `path` | without the query |
| `query` | `query` | may be left out: then keys and models in it are not seen |
| `headers` | `req.hdrs` | as a block that ends with an empty line |
| `body` | `req.body` | may be left out: then bodies are not judged |
| `cut` | `bool(true)` | may be left out: says that the body is not sent because it is too long |

Only the operator names arguments: one that is missing is a mistake of the configuration. What is
in them comes from the client: a head that two readers could read in two ways is refused.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final

import msgspec

from gateway_guard.frontends.extauth.original import Headers, Misasked, take_body
from gateway_guard.frontends.extauth.original import request as request_of
from gateway_guard.frontends.head import MAX_HEAD_BYTES, MAX_HEADERS, MAX_TARGET
from gateway_guard.frontends.spoe.data import BINARY, BOOL, STRING, Data, Value
from gateway_guard.frontends.spoe.frames import Message
from gateway_guard.types import Wire


class Doubtful(msgspec.Struct, frozen=True, gc=False):
    """Why a client's head is refused without a judgement.

    Attributes:
        status: 400, 414 or 431.
        why: in words a client's author can act on; nothing of the head itself.
    """

    status: int
    why: str


_NEEDED: Final = (b"src", b"method", b"path", b"headers")
_TOKEN: Final = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]"
_METHOD: Final = re.compile(_TOKEN + rb"{1,32}")
# RFC 9110 §5.5 without the leniency: no control byte but the tab, no folded line. Possessive, so
# that a block that does not match is refused in one pass.
_VALUE: Final = rb"[\t\x20-\x7e\x80-\xff]"
_BLOCK: Final = re.compile(rb"(?:" + _TOKEN + rb"++:" + _VALUE + rb"*+\r\n)*+\r\n")
_FIELD: Final = re.compile(rb"([^:]+):([^\r]*)\r\n")
_PATH: Final = re.compile(rb"/[\x21-\x7e\x80-\xff]*")
_QUERY: Final = re.compile(rb"[\x21-\x7e\x80-\xff]*")


def request(messages: tuple[Message, ...], *, max_body: int) -> Wire | Misasked | Doubtful:
    """The request that a NOTIFY is about.

    `max_body` is the policy's, bytes. A body that is longer, or not all there, counts as one that
    could not be read.
    """
    if len(messages) != 1:
        return Misasked(f"{len(messages)} messages for one request: their conditions overlap")
    arguments = messages[0].arguments
    said = dict(arguments)
    if len(said) != len(arguments):
        return Misasked("an argument comes twice")
    for name in _NEEDED:
        if name not in said:
            return Misasked(f"the message has no argument {name.decode()}")
    method, path, block = (_bytes(said[name]) for name in _NEEDED[1:])
    if method is None or _METHOD.fullmatch(method) is None:
        return Doubtful(400, "the method is no method")
    raw_path = (path or b"").partition(b"?")[0]
    query = _bytes(said[b"query"]) or b"" if b"query" in said else b""
    if len(raw_path) + len(query) > MAX_TARGET:
        return Doubtful(414, f"the request target is longer than {MAX_TARGET} bytes")
    if _PATH.fullmatch(raw_path) is None or _QUERY.fullmatch(query) is None:
        return Doubtful(400, "the request target is no path")
    if block is None or len(block) > MAX_HEAD_BYTES:
        return Doubtful(431, f"the header fields are longer than {MAX_HEAD_BYTES} bytes")
    headers = fields(block)
    if headers is None:
        return Doubtful(400, "the header fields are malformed")
    if len(headers) > MAX_HEADERS:
        return Doubtful(431, f"more than {MAX_HEADERS} header fields")
    target = b"%b?%b" % (raw_path, query)
    wire = request_of(method.decode(), target, headers, _peer(said[b"src"]), whole=True)
    shown: bytes | None = None
    if b"body" in said:
        shown = _bytes(said[b"body"]) or b""
    take_body(wire, shown, most=max_body, cut=said.get(b"cut") == (BOOL, True))
    return wire


def fields(block: bytes) -> Headers | None:
    """The fields of a header block, names in lower case, values without outer white space.

    None for a block that is cut short, has folded lines, control bytes, bare CR or LF, or names
    that are none.
    """
    if _BLOCK.fullmatch(block) is None:
        return None
    return [
        (name.lower(), value.strip(b" \t"))
        for name, value in _FIELD.findall(block, 0, len(block) - 2)
    ]


def _bytes(value: Data) -> bytes | None:
    kind, found = value
    return found if kind in (STRING, BINARY) and isinstance(found, bytes) else None


def _peer(value: Data) -> str:
    """The address of the client's connection. One without is nobody's, and believed about nothing:
    unlike None, which would be a unix socket of the guard's own."""
    found: Value = value[1]
    if isinstance(found, ipaddress.IPv4Address | ipaddress.IPv6Address):
        return str(found)
    return ""
