"""uvicorn as it is used here: no signals of its own, and nobody is lost who was connected."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Callable, Iterator

import uvicorn
from starlette.types import ASGIApp

from gateway_guard.frontends.inbound import GuardProtocol
from gateway_guard.frontends.patience import Limits
from gateway_guard.frontends.sweeping import sweep

log = logging.getLogger(__name__)

#: Seconds for the TLS handshakes of connections accepted while the listener closes.
TAKE_SECONDS = 2.0
#: Connections that one turn of the loop accepts. libuv accepts a single one for each listener it
#: watches, however many wait: where turns are long, clients wait for the kernel's next try (after
#: 1 s, then 2 s) and get neither an answer nor a refusal. Each more costs a vain system call for
#: every connection that comes alone.
ACCEPTS = 8

#: What a port beside the sidecar's own allows; probes, Prometheus and some browsers need little.
BESIDE = Limits(connections=1000)


class Server(uvicorn.Server):
    """uvicorn's server without its signal handlers: whoever starts it has its own.

    Attributes:
        announce: whether it says in the log that it serves.
        ready: told once it does.
    """

    announce = False
    ready: Callable[[], None] | None = None

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        if sockets is not None:
            # None of them is not no list: then uvicorn would open a port of its own.
            sockets = [*sockets, *(one.dup() for one in sockets for _ in range(ACCEPTS - 1))]
        await super().startup(sockets)
        if self.announce:
            log.info("serving")
            if self.ready is not None:
                self.ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self._take_backlog(sockets or [])
        await super().shutdown(sockets)

    async def _take_backlog(self, sockets: list[socket.socket]) -> None:
        """Stop listening, but serve those the kernel has connected already.

        Closing a listener resets every connection it holds that was not accepted. So the loop lets
        go of it first, while a duplicate keeps it open; what has queued up until then is accepted
        here, the last of them microseconds before the closing. Those few the kernel leaves nobody.
        """
        loop = asyncio.get_running_loop()
        held = [listener.dup() for listener in sockets]
        for server in self.servers:
            server.close()
        await asyncio.sleep(0)
        accepted: list[socket.socket] = []
        for listener in held:
            listener.setblocking(False)
            try:
                while True:
                    accepted.append(listener.accept()[0])
            except OSError:
                listener.close()
        taken = [loop.create_task(self._take(connection)) for connection in accepted]
        if taken:
            await asyncio.wait(taken, timeout=TAKE_SECONDS)

    async def _take(self, connection: socket.socket) -> None:
        config = self.config
        connection.setblocking(False)
        with contextlib.suppress(OSError):
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: config.http_protocol_class(  # type: ignore[call-arg]
                    config=config, server_state=self.server_state, app_state=self.lifespan.state
                ),
                connection,
                ssl=config.ssl,
            )


@contextlib.asynccontextmanager
async def beside(app: ASGIApp, listener: socket.socket) -> AsyncIterator[None]:
    """Serve `app` on `listener` until the block ends."""
    config = uvicorn.Config(
        app,
        # As in front, because it is the same loop: with h11 a quarter of a megabyte in chunks of
        # one byte held it for 0.6 s, before anybody was asked who they are; with uvicorn's own
        # httptools the trailers of a chunked request are taken for header fields.
        http=GuardProtocol.bound(BESIDE),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=1,
    )
    server = Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    sweeping = asyncio.create_task(sweep(server, BESIDE))
    try:
        yield
    finally:
        sweeping.cancel()
        server.should_exit = True
        await task
