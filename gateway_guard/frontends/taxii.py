"""The TAXII server: `intel.taxii` behind a listener of its own; reads its files as they change."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl

import uvicorn
import uvloop
from starlette.types import Receive, Scope, Send

from gateway_guard.errors import IntelError
from gateway_guard.files import Stamp, stamp
from gateway_guard.frontends.certificate import Certificate
from gateway_guard.frontends.inbound import GuardProtocol
from gateway_guard.frontends.patience import Limits
from gateway_guard.frontends.reload import Reloader
from gateway_guard.frontends.serving import Server
from gateway_guard.frontends.sweeping import sweep
from gateway_guard.intel.collection import MAX_BYTES, Collection, decode
from gateway_guard.intel.file import read_bounded
from gateway_guard.intel.taxii import Answer, Ask, answer, password_digest

log = logging.getLogger(__name__)

#: Most users, and shortest password.
MOST_USERS = 1_000
SHORTEST = 16
_LONGEST_QUERY = 8_192
_MOST_LIST = 1 << 20
_LISTS = frozenset(("accept", "if-none-match"))


def read_users(text: str, where: str) -> dict[str, bytes]:
    """Name → digest of the password, from lines `NAME PASSWORD`; `#` begins a comment line.

    Raises:
        IntelError: a line makes no sense; says which, never what the password is.
    """
    users: dict[str, bytes] = {}
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if len(words) != 2 or len(words[1]) < SHORTEST or ":" in words[0]:
            raise IntelError(
                f"{where}:{number}: write a name and a password of at least {SHORTEST} characters "
                "without spaces, e.g. from: openssl rand -hex 16"
            )
        if words[0] in users or len(users) >= MOST_USERS:
            raise IntelError(f"{where}:{number}: {words[0]!r} twice, or more than {MOST_USERS}")
        users[words[0]] = password_digest(words[1])
    if not users:
        raise IntelError(f"{where}: nobody may read: write lines of a name and a password")
    return users


class _Watched:
    """One file's content, read again when it changes; the last good one stays."""

    def __init__(self, path: Path, most: int) -> None:
        self.path, self._most = path, most
        self._stamp: Stamp | None = None

    def newer(self) -> bytes | None:
        """The content when it is not the one given last; None otherwise.

        Raises:
            IntelError: it cannot be read.
        """
        try:
            found = stamp(self.path)
            if found == self._stamp:
                return None
            data = read_bounded(self.path, self._most)
        except OSError as error:
            raise IntelError(f"{self.path}: cannot be read: {error.strerror}") from None
        self._stamp = found
        return data


class TaxiiApp:
    """An ASGI application that serves one collection.

    Args:
        collection: the file `intel publish` writes.
        users: lines of a name and a password.
        title: of the server, for people.

    Raises:
        IntelError: a file cannot be used.
    """

    def __init__(self, collection: Path, users: Path, title: str) -> None:
        self._title = title
        self._collection_file = _Watched(collection, MAX_BYTES)
        self._users_file = _Watched(users, _MOST_LIST)
        self._collection: Collection
        self._users: dict[str, bytes]
        #: Why a file's last good content is served; said once, whoever asks how often.
        self._trouble = ""
        self._refresh()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Answer one request; its body is never read."""
        if scope["type"] != "http":
            return
        try:
            await asyncio.to_thread(self._refresh)
        except IntelError as error:
            if str(error) != self._trouble:
                self._trouble = str(error)
                log.warning("taxii-kept reason=%s", error)
        else:
            self._trouble = ""
        told = await asyncio.to_thread(self._answer, scope)
        headers = [(name.encode(), value.encode()) for name, value in told.headers.items()]
        headers.append((b"content-length", str(len(told.body)).encode()))
        await send({"type": "http.response.start", "status": told.status, "headers": headers})
        await send({"type": "http.response.body", "body": told.body})

    def _answer(self, scope: Scope) -> Answer:
        query = scope["query_string"][:_LONGEST_QUERY].decode("latin-1")
        headers: dict[str, str] = {}
        for name, value in scope["headers"]:
            key, said = name.decode("latin-1"), value.decode("latin-1")
            # Of what clients may choose from, several lines are one list (RFC 9110 §5.3).
            before = headers.get(key) if key in _LISTS else None
            headers[key] = said if before is None else f"{before}, {said}"
        try:
            pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=50)
        except ValueError:
            pairs = []
        ask = Ask(method=scope["method"], path=scope["path"], query=pairs, headers=headers)
        return answer(ask, self._collection, self._users, self._title)

    def _refresh(self) -> None:
        # Each for itself: a damaged collection lets nobody go on reading whom the list lost.
        try:
            data = self._users_file.newer()
            if data is not None:
                text = data.decode("utf-8", "replace")
                self._users = read_users(text, str(self._users_file.path))
        finally:
            data = self._collection_file.newer()
            if data is not None:
                self._collection = decode(data, str(self._collection_file.path))


#: Few read, and whoever takes long with a request takes a place from them.
LIMITS: Final = Limits(connections=256)


def run(
    app: TaxiiApp, listener: socket.socket, tls: Certificate | None, limits: Limits = LIMITS
) -> None:
    """Serve until SIGTERM or SIGINT; what clients may take is `limits`.

    The certificate is read again on SIGHUP and when its files change.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(app, listener, tls, limits))


async def _serve(
    app: TaxiiApp, listener: socket.socket, tls: Certificate | None, limits: Limits
) -> None:
    config = uvicorn.Config(
        app, interface="asgi3", http=GuardProtocol.bound(limits), ws="none",
        lifespan="off", log_config=None, access_log=False, proxy_headers=False,
        server_header=False, timeout_graceful_shutdown=5,
    )  # fmt: skip
    config.load()
    config.ssl = tls.context if tls is not None else None
    server = Server(config)
    loop = asyncio.get_running_loop()

    def stop() -> None:
        server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    reloader = Reloader(None, lambda _: None, renewed=[tls] if tls is not None else [])
    # Also without a certificate: whoever asks for files to be read again must not end this.
    loop.add_signal_handler(signal.SIGHUP, reloader.ask)
    works = [loop.create_task(sweep(server, limits)), loop.create_task(reloader.run())]
    try:
        await server.serve(sockets=[listener])
    finally:
        for work in works:
            work.cancel()
