"""A connection to the server that every failure of comes out of as a `StoreError`."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any, Final

from gateway_guard.errors import StoreError
from gateway_guard.stores import answers
from gateway_guard.stores.connect import Address, connect, disconnect
from gateway_guard.stores.scripts import Script

#: Seconds an answer may take, a wait for entries (`BLOCK`) included.
TIMEOUT: Final = 3.0
#: Seconds between attempts while the server cannot be reached: at first, and at last.
PAUSES: Final = (0.1, 2.0)

Word = bytes | str | int | float


class Link:
    """Commands and scripts over connections of its own. For one event loop.

    Nothing is connected to before the first call; nothing is tried twice.

    Raises:
        SettingsError: the address is of no server, or the extra `redis` is not installed.
    """

    def __init__(self, address: Address) -> None:
        self._client: Any = connect(address, timeout=TIMEOUT, connections=4)
        self._where = str(address)
        from redis import exceptions as theirs  # noqa: PLC0415 - an extra

        self._failures = (theirs.RedisError, OSError, TimeoutError)
        self._lost = (theirs.ConnectionError, OSError, TimeoutError)
        self._unknown = theirs.NoScriptError

    async def do(self, *words: Word) -> Any:
        """The answer to one command.

        Raises:
            StoreError: there is none, or the server refuses.
        """
        try:
            # The client's own timeouts bound each step, not their sum.
            async with asyncio.timeout(2 * TIMEOUT):
                return await self._client.execute_command(*words)
        except self._failures as error:
            raise self._failed(error) from error

    async def run(self, script: Script, keys: Sequence[bytes], args: Sequence[Word]) -> Any:
        """The answer of a script, which the server need not know yet.

        Raises:
            StoreError: as `do`.
        """
        rest = (len(keys), *keys, *args)
        try:
            async with asyncio.timeout(2 * TIMEOUT):
                try:
                    return await self._client.execute_command("EVALSHA", script.digest, *rest)
                except self._unknown:
                    return await self._client.execute_command("EVAL", script.text, *rest)
        except self._failures as error:
            raise self._failed(error) from error

    async def all(self, commands: Sequence[Sequence[Word]]) -> None:
        """Several commands in one trip, their answers not needed.

        Raises:
            StoreError: any of them failed; others may have been done.
        """
        pipeline = self._client.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        try:
            async with asyncio.timeout(2 * TIMEOUT):
                await pipeline.execute()
        except self._failures as error:
            raise self._failed(error) from error

    async def entries(
        self, streams: Sequence[tuple[bytes, bytes]], *, most: int, wait: int
    ) -> list[list[tuple[bytes, dict[bytes, bytes]]]]:
        """What stands in each of `streams` after an id, at most `most` each: [(id, fields), …].

        Waits at most `wait` milliseconds, > 0, for the first of them.

        Raises:
            StoreError: as `do`.
        """
        names = [name for name, _ in streams]
        answer = await self.do(
            "XREAD", "COUNT", most, "BLOCK", wait, "STREAMS", *names, *(last for _, last in streams)
        )
        found: dict[bytes, list[tuple[bytes, dict[bytes, bytes]]]] = {}
        for name, entries in answer.items() if isinstance(answer, dict) else answer or ():
            # What was deleted in between has no fields.
            found[bytes(name)] = [(entry, fields or {}) for entry, fields in entries]
        return [found.get(name, []) for name in names]

    async def table(self, key: bytes) -> dict[bytes, bytes]:
        """A hash of any size, in pieces the server is not held up by.

        Raises:
            StoreError: as `do`.
        """
        found: dict[bytes, bytes] = {}
        cursor: Any = 0
        while True:
            cursor, part = await self.do("HSCAN", key, cursor, "COUNT", 1_000)
            found.update(part)
            if not int(cursor):
                return found

    async def close(self) -> None:
        """End the connections."""
        with contextlib.suppress(*self._failures):
            await disconnect(self._client)

    def _failed(self, error: Exception) -> StoreError:
        if answers.code_of(error) != "ERR":
            return answers.refused(error, self._where)
        if isinstance(error, self._lost):
            return answers.unreachable(error, self._where)
        # The server may quote what it was sent.
        return StoreError(f"{self._where}: {type(error).__name__}")


class Pauses:
    """How long to wait after each failure in a row."""

    def __init__(self) -> None:
        self._next = PAUSES[0]

    def __call__(self) -> float:
        """Seconds to wait now; twice as long each time."""
        now = self._next
        self._next = min(2 * now, PAUSES[1])
        return now

    def over(self) -> None:
        """It worked."""
        self._next = PAUSES[0]


async def until(stop: asyncio.Event, seconds: float) -> bool:
    """Wait for `stop`, at most so long; whether it has come."""
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return False
    return True
