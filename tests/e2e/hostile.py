"""What hostile cases are sent to, and what must hold of every one of them.

One sidecar in front of one upstream that keeps every byte it gets. A case is bytes on a fresh
connection; whatever it is, nothing denied arrives, what arrives has one reading in three parsers
and none of them sees what was denied, no answer is a server error, and the next request on the
connection gets its own answer or none.
"""

from __future__ import annotations

import itertools
import re
import secrets
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final
from urllib.parse import unquote

import h11
import httptools

from tests.e2e.servers import Answer, Client, Script, Seen, Sidecar, Upstream

#: In the path of whatever is denied by path, and in the text of whatever is denied by text.
MARK: Final = "DENYME-7f3a"
MODEL: Final = "forbidden-9"

POLICY: Final = f"""\
version: 1
mode: enforce
websocket: allow
identify:
  client_ip: x-forwarded-for
  trusted_proxies: [192.0.2.0/24]
inspect: {{ max_body: 1 MB }}
rules:
  - {{ name: no-admin, when: {{ path: [/admin, /admin/**] }}, then: deny }}
  - {{ name: ours, when: {{ path: /ours, client_ip: 127.0.0.1 }}, then: allow }}
  - {{ name: not-ours, when: {{ path: /ours }}, then: deny }}
  - {{ name: no-model, when: {{ model: {MODEL} }}, then: deny }}
  - {{ name: no-text, when: {{ prompt: {MARK} }}, then: deny }}
"""
FLAGS: Final = ("--max-body", str(1024 * 1024))


class Recording(Upstream):
    """An upstream that keeps the bytes of every request it got.

    Attributes:
        raw: of each request, by its identity.
    """

    def __init__(self) -> None:
        super().__init__()
        self.raw: dict[int, bytes] = {}

    def _request(self, stream: object, number: int) -> Seen | None:
        kept = bytearray()
        seen = super()._request(_Tee(stream, kept), number)  # type: ignore[arg-type]
        if seen is not None:
            self.raw[id(seen)] = bytes(kept)
        return seen


class _Tee:
    """Reads from a stream and keeps what it read."""

    def __init__(self, stream: IO[bytes], kept: bytearray) -> None:
        self._stream = stream
        self._kept = kept

    def readline(self) -> bytes:
        line = self._stream.readline()
        self._kept += line
        return line

    def read(self, size: int) -> bytes:
        data = self._stream.read(size)
        self._kept += data
        return data


@dataclass
class Reading:
    """A request as one parser reads it."""

    method: str
    target: str
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""


def by_h11(raw: bytes) -> list[Reading]:
    """As Python's reference parser reads it.

    Raises:
        h11.RemoteProtocolError: it does not.
    """
    found: list[Reading] = []
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    connection.receive_data(raw)
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            over = (h11.IDLE, h11.DONE, h11.MUST_CLOSE)
            assert connection.their_state in over, "an incomplete request"
            return found
        if event is h11.PAUSED:
            connection.send(h11.Response(status_code=200, headers=[("content-length", "0")]))
            connection.send(h11.EndOfMessage())
            connection.start_next_cycle()
        elif isinstance(event, h11.Request):
            headers = [(name.decode(), value.decode("latin-1")) for name, value in event.headers]
            found.append(Reading(event.method.decode(), event.target.decode("latin-1"), headers))
        elif isinstance(event, h11.Data):
            found[-1].body += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage):
            assert not event.headers, "trailers"


class _Llhttp:
    """Collects what llhttp reads."""

    def __init__(self) -> None:
        self.found: list[Reading] = []
        self.complete = 0
        self.parser = httptools.HttpRequestParser(self)

    def on_message_begin(self) -> None:
        self.found.append(Reading("", ""))

    def on_url(self, url: bytes) -> None:
        self.found[-1].target += url.decode("latin-1")

    def on_header(self, name: bytes, value: bytes) -> None:
        self.found[-1].headers.append((name.decode().lower(), value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        self.found[-1].method = self.parser.get_method().decode()

    def on_body(self, body: bytes) -> None:
        self.found[-1].body += body

    def on_message_complete(self) -> None:
        self.complete += 1


def by_llhttp(raw: bytes) -> list[Reading]:
    """As Node and uvicorn read it."""
    reader = _Llhttp()
    reader.parser.feed_data(raw)
    assert reader.complete == len(reader.found), "an incomplete request"
    return reader.found


@dataclass
class Site:
    """A running sidecar and its upstream."""

    sidecar: Sidecar
    upstream: Recording

    @property
    def port(self) -> int:
        return self.sidecar.port

    def arrived(self, token: str) -> list[Seen]:
        """Requests that arrived with `token` in their target, header or body."""
        mark = token.encode()
        return [
            seen for seen in list(self.upstream.seen)
            if token in seen.line or mark in seen.body or seen["x-tok"] == token
        ]  # fmt: skip

    def read(self, seen: Seen) -> Reading:
        """What parsers find in the bytes of a request.

        Raises:
            AssertionError: two of them differ, or find anything but one request.
        """
        raw = self.upstream.raw[id(seen)]
        (one,), (other,) = by_h11(raw), by_llhttp(raw)
        assert one == other, (one, other)
        return one


class _Echo(dict[str, Script]):
    """Answers every path with the token in its query, but for those with a script of their own."""

    def get(self, path: str, default: object = None) -> Script:
        return super().get(path) or _echo


def _echo(connection: socket.socket, request: Seen, upstream: Upstream) -> bool:
    token = request.line.split(" ")[1].partition("t=")[2].encode()
    body = b"" if request.line.startswith("HEAD ") else b"{}"
    connection.sendall(
        b"HTTP/1.1 200 OK\r\nX-Token: %b\r\nContent-Length: 2\r\n\r\n%b" % (token, body)
    )
    return True


@contextmanager
def site(folder: Path, *flags: str, policy: str = POLICY) -> Iterator[Site]:
    """The sidecar and its upstream, until the block ends."""
    with Recording() as upstream:
        upstream.scripts = _Echo()
        with Sidecar(folder, upstream.url, *FLAGS, *flags, policy=policy, admin=False) as sidecar:
            yield Site(sidecar, upstream)


_numbers = itertools.count()


def new_token() -> str:
    """A name nothing else has."""
    return f"t{next(_numbers)}x{secrets.token_hex(4)}"


@dataclass
class Outcome:
    """What a case came to.

    Attributes:
        answers: to the case, in order, interim ones left out.
        arrived: what reached the upstream of it, as h11 and llhttp read it.
        kept: the connection went on, and the next request got its own answer.
    """

    answers: list[Answer]
    arrived: list[Reading]
    kept: bool

    @property
    def statuses(self) -> list[int]:
        return [answer.status for answer in self.answers]


def attack(
    where: Site, raw: bytes, token: str, *, requests: int = 1, cut: bool = False, head: bool = False
) -> Outcome:
    """Send `raw` and judge what came of it; a request of its own follows, which must be answered
    as itself or not at all.

    `token` stands in whatever of the case may arrive. `requests`: how many answers to wait for;
    `cut`: then end our half of the connection, for cases that leave the server waiting for more;
    `head`: the answers have no bodies.
    """
    after = new_token()
    answers: list[Answer] = []
    kept = False
    with Client(where.port) as client:
        client.send(raw)
        if cut:
            client.socket.shutdown(socket.SHUT_WR)
        going = True
        while going and len(answers) < requests:
            going = _next(client, answers, head_only=head)
        if going and not cut:
            client.send(f"GET /v1/models?t={after} HTTP/1.1\r\nHost: api.test\r\n\r\n".encode())
            while going and not kept:
                going = _next(client, answers, head_only=False)
                if answers and answers[-1].headers.get("x-token") == after:
                    answers.pop()
                    kept = True
    arrived = [where.read(seen) for seen in where.arrived(token)]
    for answer in answers:
        assert answer.status < 500 or answer.status in (501, 505), answer
    for reading in arrived:
        assert not re.match(r"/admin(?![^/?#])", unquote(reading.target), re.IGNORECASE), reading
    return Outcome(answers, arrived, kept)


def _next(client: Client, answers: list[Answer], *, head_only: bool) -> bool:
    """Take one more answer; whether the connection goes on."""
    answer = client.answer(head_only=head_only)
    if answer.status == 0:
        return False
    if answer.status < 200 and answer.status != 101:
        return True
    answers.append(answer)
    return answer.complete and answer.headers.get("connection") != "close" and answer.status != 101


Case = bytes | tuple[bytes, dict[str, Any]]


def outcomes(where: Site, cases: Mapping[str, Case]) -> Iterator[tuple[str, Outcome | str]]:
    """Every case by its name with what it came to, or what was wrong with it at once.

    A case is bytes, in which `{T}` stands for its token, or bytes and options of `attack`.
    """
    for name, case in cases.items():
        raw, options = (case, {}) if isinstance(case, bytes) else case
        token = new_token()
        try:
            yield name, attack(where, raw.replace(b"{T}", token.encode()), token, **options)
        except (AssertionError, h11.RemoteProtocolError, httptools.HttpParserError) as error:
            yield name, f"{type(error).__name__}: {error}"


def not_refused(where: Site, cases: Mapping[str, Case]) -> dict[str, object]:
    """Cases that were answered with anything but a refusal, or of which something arrived."""
    return {
        name: found
        for name, found in outcomes(where, cases)
        if isinstance(found, str)
        or found.arrived
        or not all(400 <= status < 500 or status in (501, 505) for status in found.statuses)
    }
