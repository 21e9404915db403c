"""What a request's head must look like to be served. Pure; the parser has done the grammar.

llhttp (strict, as httptools runs it) refuses already: bare CR or LF, folded lines, NUL and other
control bytes, white space in or after names, odd or repeated Content-Length, Content-Length with
Transfer-Encoding. Here is what it lets through and a guard must not: other codings than one
`chunked`, HTTP/0.9 and 2.0, missing, repeated or malformed Host, targets in other than origin
form, methods that act on a second path, fields that some upstream reads as another field
(`X_Forwarded_For`, `Content.Type`), and two lines of a field that has one value.
"""

from __future__ import annotations

import functools
import ipaddress
import re
from itertools import chain
from typing import Final

import msgspec

from gateway_guard.types.veiled import Veiled

Headers = list[tuple[bytes, bytes]]

#: Bounds of a head: fields, bytes in all, bytes of the target. Source of the first two:
#: Envoy's defaults.
MAX_HEADERS: Final = 100
MAX_HEAD_BYTES: Final = 64 * 1024
MAX_TARGET: Final = 32 * 1024

#: Methods served. CONNECT would open a tunnel; TRACE echoes credentials; COPY, MOVE, BIND, LINK and
#: their like act on a second path (`Destination`), which nobody has judged; the rest llhttp knows
#: belong to RTSP or Icecast.
METHODS: Final = frozenset(
    b"GET HEAD POST PUT DELETE OPTIONS PATCH LOCK MKCOL PROPFIND PROPPATCH SEARCH UNLOCK ACL "
    b"REPORT MKACTIVITY CHECKOUT MERGE NOTIFY SUBSCRIBE UNSUBSCRIBE PURGE MKCALENDAR "
    b"QUERY".split()
)

#: Fields with one value, where a second line means two readers may see two requests.
_SINGLE: Final = frozenset(
    (
        b"host",
        b"content-length",
        b"content-type",
        b"transfer-encoding",
        b"authorization",
        b"x-api-key",
    )
)
_SEEN: Final = _SINGLE | {b"connection", b"upgrade", b"expect"}
#: What a client is told whose field is named like another one.
IMITATES: Final = "a header field's name imitates another one"
#: Fields whose look-alikes (`X.Forwarded.For`, `Transfer.Encoding`) are refused.
_LOOKED_ALIKE: Final = re.compile(
    rb"^(x-forwarded.*|forwarded|x-real-ip|x-guard-.*|transfer-encoding|content-length|authorization|"
    rb"x-api-key|host|connection)$"
)
_PLAIN: Final = b"abcdefghijklmnopqrstuvwxyz0123456789-"
_ALIAS: Final = re.compile(rb"[^a-z0-9-]")
_HOST: Final = re.compile(
    rb"(?:[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\.?|\[([0-9A-Fa-f:.]{2,45})\])(?::([0-9]{1,5}))?"
)
#: Longest name of a host, its port included; names end at 253 bytes.
_LONGEST_HOST: Final = 262
_ABSOLUTE: Final = re.compile(rb"(?i:https?)://([^/?#]+)(.*)", re.DOTALL)


class BadHead(Exception):  # noqa: N818  (a verdict about input, turned into a status at once)
    """This head is refused.

    Attributes:
        status: 400, 405, 414, 417, 431 or 505.
        message: what is wrong, in words a client's author can act on.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class Head(Veiled, msgspec.Struct, gc=False):
    """A head that is served.

    Attributes:
        raw_path: as received, no query.
        query: without the question mark; empty when there is none.
        headers: (lower-case name, value without outer white space) in order.
        chunked: whether a chunked body follows.
        length: announced length of the body; None without one.
        expects_continue: whether the client waits for 100 before it sends the body.
        upgrade: lower-case protocol asked for, when `Connection` says so too, in HTTP/1.1; None
            otherwise.
        close: whether the client wants the connection closed afterwards.
    """

    veiled = frozenset(("query", "headers"))

    raw_path: bytes
    query: bytes
    headers: Headers
    chunked: bool = False
    length: int | None = None
    expects_continue: bool = False
    upgrade: bytes | None = None
    close: bool = False


def host_is_sound(host: bytes) -> bool:
    """Whether `host` is a name or address with an optional port, and nothing else."""
    return len(host) <= _LONGEST_HOST and _host_is_sound(host)


@functools.lru_cache(maxsize=1024)
def _host_is_sound(host: bytes) -> bool:
    match = _HOST.fullmatch(host)
    if match is None or (match[2] is not None and int(match[2]) > 65535):
        return False
    if match[1] is not None:
        # What looks like an address in brackets and is none, some readers refuse and others read.
        try:
            ipaddress.IPv6Address(match[1].decode("ascii"))
        except ValueError:
            return False
    return True


#: Field names as they came → in lower case, or empty for one to leave out. Long ones are not
#: remembered: a table of them would be as large as their senders like.
_names: dict[bytes, bytes] = {}
_MOST_NAMES: Final = 4096
_LONGEST_NAME: Final = 64


def _name(name: bytes) -> bytes:
    """The field's lower-case name; empty for one to leave out, because of its characters.

    Servers that turn `-` into `_` (CGI, WSGI) cannot tell `X_Forwarded_For` from `X-Forwarded-For`;
    some turn others into it, too. Nobody's fields are named with anything but letters, digits and
    `-`.

    Raises:
        BadHead: another look-alike of a field that matters.
    """
    lower = name.lower()
    if lower.translate(None, _PLAIN):
        if b"_" not in lower and _LOOKED_ALIKE.match(_ALIAS.sub(b"-", lower)):
            raise BadHead(400, IMITATES)
        lower = b""
    if len(name) <= _LONGEST_NAME:
        if len(_names) >= _MOST_NAMES:
            _names.clear()
        _names[name] = lower
    return lower


def imitations(fields: Headers) -> tuple[bytes, ...]:
    """Names (lower case) of those of `fields` that an upstream which reads names as CGI, WSGI and
    PHP do takes for fields that only a proxy, the guard or the framing may say.

    Keys are none of them: two that differ are an account's matter (`core.account`).
    """
    if not b"".join([name for name, _ in fields]).translate(None, _PLAIN):
        return ()
    return tuple(
        name
        for name, _ in fields
        if name.translate(None, _PLAIN)
        and (plain := _ALIAS.sub(b"-", name)) != b"x-api-key"
        and _LOOKED_ALIKE.match(plain)
    )


def underscored(fields: Headers) -> Headers:
    """Those of `fields` that `read_head` leaves out because of a `_` in their names.

    For a gateway that asks: it forwards them, and only a refusal keeps them from its upstream.

    Raises:
        BadHead: one imitates another field (`X_Guard_Account`).
    """
    found = [(name.lower(), value.strip(b" \t")) for name, value in fields if b"_" in name]
    if found and imitations(found):
        raise BadHead(400, IMITATES)
    return found


def read_head(method: bytes, target: bytes, version: str, fields: Headers) -> Head:
    """Judge a parsed head.

    `fields` are as the parser gave them; `version` is `1.1`, `1.0` or whatever the client claimed.

    Raises:
        BadHead: it is not served.
    """
    if version not in ("1.1", "1.0"):
        raise BadHead(505, "only HTTP/1.1 and HTTP/1.0 are spoken here")
    if method not in METHODS:
        raise BadHead(405, "this method is not served")
    if len(fields) > MAX_HEADERS:
        raise BadHead(431, f"more than {MAX_HEADERS} header fields")
    if len(target) > MAX_TARGET:
        raise BadHead(414, f"the request target is longer than {MAX_TARGET} bytes")
    headers: Headers = []
    names = _names
    seen: dict[bytes, bytes] = {}
    for raw, untrimmed in fields:
        name = names.get(raw)
        if name is None:
            name = _name(raw)
        if not name:
            continue
        value = untrimmed.strip(b" \t")
        headers.append((name, value))
        if name in _SEEN:
            if name not in seen:
                seen[name] = value
            elif name in _SINGLE:
                raise BadHead(400, f"two {name.decode()} header fields")
            else:
                seen[name] += b", " + value
    size = len(target) + 4 * len(fields) + sum(map(len, chain.from_iterable(fields)))
    if size > MAX_HEAD_BYTES:
        raise BadHead(431, f"the header fields are longer than {MAX_HEAD_BYTES} bytes")
    raw_path, query = _target(target, headers, seen)
    _check_host(seen.get(b"host"), version)
    head = Head(raw_path, query, headers)
    _framing(head, seen, version)
    connection = seen.get(b"connection")
    if connection is not None:
        tokens = [token.strip(b" \t") for token in connection.lower().split(b",")]
        head.close = b"close" in tokens
        # HTTP/1.0 does not know it, and whoever speaks that hands it on (RFC 9110 §7.8).
        if b"upgrade" in tokens and b"upgrade" in seen and version == "1.1":
            head.upgrade = seen[b"upgrade"].lower()
    return head


def _target(target: bytes, headers: Headers, seen: dict[bytes, bytes]) -> tuple[bytes, bytes]:
    if not target.startswith(b"/"):
        match = _ABSOLUTE.fullmatch(target)
        if match is None:
            raise BadHead(400, "the request target is neither a path nor an http(s) URL")
        if match[1].lower() != seen.get(b"host", match[1]).lower():
            raise BadHead(400, "the request target and Host name different servers")
        if b"host" not in seen:
            headers.append((b"host", match[1]))
            seen[b"host"] = match[1]
        target = match[2] if match[2].startswith(b"/") else b"/" + match[2]
    if b"#" in target:
        raise BadHead(400, "a fragment in the request target")
    path, _, query = target.partition(b"?")
    return path, query


def _check_host(host: bytes | None, version: str) -> None:
    if host is None:
        if version == "1.1":
            raise BadHead(400, "no Host header field")
    elif not host_is_sound(host):
        raise BadHead(400, "the Host header field is malformed")


def _framing(head: Head, seen: dict[bytes, bytes], version: str) -> None:
    coding = seen.get(b"transfer-encoding")
    length = seen.get(b"content-length")
    if coding is not None:
        if coding.lower() != b"chunked" or version == "1.0" or length is not None:
            raise BadHead(
                400, "only one transfer coding is read: chunked, in HTTP/1.1, without length"
            )
        head.chunked = True
    elif length is not None:
        if not length.isdigit() or len(length) > 18:
            raise BadHead(400, "Content-Length is not a number")
        head.length = int(length)
    expect = seen.get(b"expect")
    if expect is not None:
        if expect.lower() != b"100-continue":
            raise BadHead(417, "only the expectation 100-continue is known")
        head.expects_continue = version == "1.1" and (head.chunked or bool(head.length))


def error_response(
    status: int, message: str, default_headers: Headers, *, to_nginx: bool = False
) -> bytes:
    """A refusal below HTTP semantics, in the one body shape both dialects' clients can show.

    `to_nginx`: nginx's `auth_request` asked. It makes a 500 of everything but 401 and 403, which
    lets the request through where it fails open; the rest is said in fields, as `extauth.answers`
    says it.
    """
    body = msgspec.json.encode(
        {
            "type": "error",
            "error": {
                "message": message,
                "type": "invalid_request_error",
                "param": None,
                "code": None,
            },
        }
    )
    if to_nginx:
        said = [(b"x-guard-status", b"%d" % status), (b"x-guard-body", body)]
        default_headers, status = [*default_headers, *said], 403
    reason = _REASONS.get(status, b"Error")
    lines = [b"HTTP/1.1 %d %b\r\n" % (status, reason)]
    lines += [b"%b: %b\r\n" % field for field in default_headers]
    lines.append(
        b"content-type: application/json\r\nx-should-retry: false\r\n"
        b"content-length: %d\r\nconnection: close\r\n\r\n" % len(body)
    )
    return b"".join(lines) + body


_REASONS: Final = {
    400: b"Bad Request",
    403: b"Forbidden",
    405: b"Method Not Allowed",
    408: b"Request Timeout",
    414: b"URI Too Long",
    417: b"Expectation Failed",
    431: b"Request Header Fields Too Large",
    503: b"Service Unavailable",
    505: b"HTTP Version Not Supported",
}
