"""Calls to one server: some connections, each carrying a batch of calls at a time.

Calls made in one turn of the event loop travel together, one write and one read for all of them.

What is asked may be asked again: the scripts act once per id. So a connection that breaks before
all answers came is replaced, and what is open is asked once more, marked as such. Nothing is asked
again after a timeout: whoever asked has given up. No answer is given to the wrong asker.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from gateway_guard.errors import StoreError
from gateway_guard.stores import answers
from gateway_guard.stores.calls import Call, fail, packed
from gateway_guard.stores.connect import require_library
from gateway_guard.stores.deadlines import Deadlines

_ERRORS: Final[Any] = require_library().exceptions

#: Batches under way at once, each on a connection of its own. While all are, calls wait and then
#: travel together: a slow server gets fewer, larger batches. Not measured over real networks.
LANES: Final = 8
#: Most calls in one batch: an answer waits for those before it.
BATCH: Final = 256
#: Most calls that may wait for a lane; beyond, the store is hopelessly behind.
WAITING: Final = 10_000


class Source(Protocol):
    """Where lanes take connections from."""

    async def take(self) -> Any:
        """A connected connection. Raises what the library raises."""
        ...

    async def give(self, connection: Any) -> None:
        """It is free again, connected or not."""
        ...

    async def forget(self) -> None:
        """Drop idle connections: they lead where the last one broke."""
        ...


class Pool:
    """The pool of a client for one server."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool

    async def take(self) -> Any:
        """As `Source.take`."""
        return await self._pool.get_connection()

    async def give(self, connection: Any) -> None:
        """As `Source.give`."""
        await self._pool.release(connection)

    async def forget(self) -> None:
        """As `Source.forget`."""
        await self._pool.disconnect(inuse_connections=False)


#: Takes calls that this server cannot answer, for the reason given; False leaves them here.
Elsewhere = Callable[[Sequence[Call], BaseException], bool]


def _nowhere(_calls: Sequence[Call], _error: BaseException) -> bool:
    return False


class Lanes:
    """Calls to one server.

    Attributes:
        trips: writes made, each for a batch of calls.
        lost: connections dropped, because they broke, fell silent or answered out of order.
    """

    def __init__(
        self, source: Source, where: str, timeout: float, elsewhere: Elsewhere = _nowhere
    ) -> None:
        self.trips = 0
        self.lost = 0
        self.source = source
        self._where = where
        self._timeout = timeout
        self._deadlines = Deadlines(timeout)
        self._elsewhere = elsewhere
        self._waiting: deque[Call] = deque()
        #: Connections between two batches: handing them back to a pool, which looks whether they
        #: are still good, costs as much as all else here. One that is not shows, and is replaced.
        self._spare: list[tuple[Source, Any]] = []
        self._starting = False
        self._tasks: set[asyncio.Task[None]] = set()

    def add(self, call: Call) -> None:
        """Send `call` with the others of this turn.

        Raises:
            StoreError: too many calls wait.
        """
        if len(self._waiting) >= WAITING:
            raise StoreError(f"{self._where}: timeout: {WAITING} calls wait already")
        self._waiting.append(call)
        if not self._starting and len(self._tasks) < LANES:
            # It starts with the next turn of the loop, and takes what was added until then.
            self._starting = True
            task = asyncio.get_running_loop().create_task(self._run())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Fail what is open."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        fail(self._waiting, answers.closed(self._where))
        self._waiting.clear()
        await self._forget()

    async def _forget(self) -> None:
        """Drop connections that are not in use."""
        while self._spare:
            source, connection = self._spare.pop()
            await connection.disconnect()
            await self._give(source, connection)
        await self.source.forget()

    async def _give(self, source: Source, connection: Any) -> None:
        connection.socket_timeout = self._timeout
        await source.give(connection)

    def _batch(self) -> list[Call]:
        """The next calls to send."""
        return [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]

    async def _run(self) -> None:
        self._starting = False
        batch = self._batch()
        try:
            while batch:
                try:
                    await self._serve(batch)
                except Exception as error:  # noqa: BLE001 - of the library; everybody is told
                    fail(batch, answers.unreachable(error, self._where))
                batch = self._batch()
        except asyncio.CancelledError:
            fail(batch, answers.closed(self._where))
            raise

    async def _serve(self, batch: list[Call]) -> None:
        """Get every call of `batch` answered, failed, or sent elsewhere."""
        for last in (False, True):
            connection = None
            source = self.source
            try:
                if self._spare:
                    source, connection = self._spare.pop()
                else:
                    connection = await source.take()
                    # One limit for a trip, not one for each of its answers: a third of the cost
                    # of reading them.
                    connection.socket_timeout = None
                await self._converse(connection, batch)
                return
            except (TimeoutError, _ERRORS.TimeoutError) as error:
                self.lost += 1
                if connection is None and self._elsewhere(batch, error):
                    return
                fail(batch, answers.silent(self._where, self._timeout))
                return
            except MisorderedError:
                self.lost += 1
                fail(batch, answers.foreign(self._where))
                return
            except (_ERRORS.RedisError, OSError) as error:
                self.lost += 1
                batch = [call for call in batch if not call.answer.done()]
                named = answers.code_of(error) != "ERR"
                # A server that says why, or cannot be reached at all, would do so again.
                if last or connection is None or isinstance(error, _ERRORS.BusyLoadingError):
                    if not self._elsewhere(batch, error):
                        say = answers.refused if named else answers.unreachable
                        fail(batch, say(error, self._where))
                    return
                for call in batch:
                    call.again = True
            finally:
                if connection is not None:
                    if connection.is_connected:
                        self._spare.append((source, connection))
                    else:
                        await self._give(source, connection)
            # Its neighbours went the same way, or lead to the same demoted server.
            await self._forget()

    async def _converse(self, connection: Any, batch: list[Call]) -> None:
        """One trip; a second one when the server does not know the scripts (any more).

        Raises what the library does when the connection breaks. No answer is left behind on a
        connection that goes back to the pool: it is dropped, whatever went wrong.
        """
        whole = False
        try:
            with self._deadlines.limit():
                unknown = await self._trip(connection, batch, ())
                if unknown:
                    texts = {call.script.digest: call.script.text for call in unknown}
                    unknown = await self._trip(connection, unknown, tuple(texts.values()))
                    for call in unknown:
                        call.refuse(_ERRORS.NoScriptError("NOSCRIPT"), self._where)
            whole = True
        finally:
            if not whole:
                await connection.disconnect(nowait=True)

    async def _trip(
        self, connection: Any, batch: list[Call], load: tuple[bytes, ...]
    ) -> list[Call]:
        """Send `batch`, behind the scripts to load; the calls whose script is not known."""
        # Who left while a connection was made, or scripts were loaded, must not be charged any
        # more: what was never sent is given back by nobody.
        batch = [call for call in batch if not call.answer.done()]
        if not batch:
            return []
        commands = [packed(b"SCRIPT", b"LOAD", text) for text in load]
        for call in batch:
            call.sent = call.unsure = True
            if call.asking:
                commands.append(packed(b"ASKING"))
            commands.append(call.command())
        self.trips += 1
        await connection.send_packed_command(b"".join(commands), check_health=False)
        for _ in load:
            await connection.read_response()
        unknown: list[Call] = []
        read = connection.read_response
        for call in batch:
            try:
                if call.asking:
                    await read()
                reply = await read()
            except _ERRORS.NoScriptError:
                call.unsure = False
                unknown.append(call)
            except _ERRORS.ReadOnlyError as error:
                call.unsure = False
                if call.again:
                    call.refuse(error, self._where)
                    continue
                # The master was demoted; its name may lead to the new one.
                raise _ERRORS.ConnectionError(f"READONLY {error}") from error
            except _ERRORS.ResponseError as error:
                call.unsure = False
                if not self._elsewhere((call,), error):
                    call.refuse(error, self._where)
            else:
                if not call.take(reply):
                    raise MisorderedError
        return unknown


class MisorderedError(Exception):
    """An answer was not the one to the question."""
