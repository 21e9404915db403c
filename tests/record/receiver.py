"""Whoever is told by a webhook: a server that notes what it hears."""

from __future__ import annotations

import contextlib
import http.server
import threading
from collections.abc import Iterator


class Receiver(http.server.ThreadingHTTPServer):
    """Takes notices, and answers as it is told: the last of `answers` again and again."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers = [204]
        self.heard: list[tuple[dict[str, str], bytes]] = []
        self.came = threading.Semaphore(0)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/told?by=guard"

    @property
    def bodies(self) -> list[bytes]:
        return [body for _, body in self.heard]


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        server = self.server
        server.heard.append(({k.lower(): v for k, v in self.headers.items()}, body))
        self.send_response(server.answers[0])
        if len(server.answers) > 1:
            server.answers.pop(0)
        self.send_header("content-length", "0")
        self.end_headers()
        server.came.release()

    def log_message(self, *_: object) -> None:
        """Nothing on standard error."""


@contextlib.contextmanager
def receiving() -> Iterator[Receiver]:
    """One that serves on a thread."""
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
