"""Stand-ins for servers that are asked over HTTP: each on a free port of loopback, in a `with`."""

from __future__ import annotations

import threading
from collections.abc import Callable
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

from tests.processes import PATIENCE

#: Method, path with query, headers, body → status, Content-Type, body.
Answer = Callable[[str, str, Message, bytes], tuple[int, str, bytes]]


class Answering:
    """One server, from the beginning of a `with` block to its end.

    Attributes:
        origin: `http://` and where it listens.

    Args:
        answer: what is answered to a GET or POST; called in a thread for each connection.
    """

    def __init__(self, answer: Answer) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                sent = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                status, kind, body = answer(self.command, self.path, self.headers, sent)
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET  # noqa: N815 - the library asks for it by this name

            def log_message(self, format: str, *args: object) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.origin = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join(PATIENCE)
        self._server.server_close()
