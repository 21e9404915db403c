"""What lies in a shared store, limit by limit, and how to empty it. For operators, not for guards.

Keys are walked with `SCAN`, a thousand at a time, so that the server answers guards in between.
What a campaign's guards share lies in the same namespace and is left alone.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import msgspec

from gateway_guard.core.limit import limit_of
from gateway_guard.errors import StoreError
from gateway_guard.stores import answers
from gateway_guard.stores.connect import Address, connect, disconnect, require_library
from gateway_guard.stores.layout import buckets_in, check_namespace, levels_in

#: Keys whose memory and content are looked at; `SCAN` gives keys in the order of their hashes, so
#: the first are as good as drawn at random.
SAMPLE: Final = 20_000
#: Keys asked about, or deleted, in one trip.
_BATCH: Final = 500

#: Told how many keys were walked so far.
Progress = Callable[[int], None]


class LimitUse(msgspec.Struct, frozen=True, kw_only=True):
    """One limit.

    Attributes:
        limit: its name.
        keys: accounts, addresses … with something used of it, or in flight.
        memory: bytes of the server.
    """

    limit: str
    keys: int
    memory: int


class Stats(msgspec.Struct, frozen=True, kw_only=True):
    """What a namespace holds.

    Attributes:
        store: the server's address.
        namespace: what its keys begin with.
        limits: by name.
        reservations: requests that are not settled yet.
        keys: all keys of limits; one may hold several limits of an account.
        memory: bytes of all of them, estimated from `measured` keys when there are more.
        measured: keys looked at.
        policy: `maxmemory-policy` of the server; empty where it does not tell.
        maximum: `maxmemory`, bytes; 0 for none.
        server_memory: bytes the server uses, for everything.
    """

    store: str
    namespace: str
    limits: tuple[LimitUse, ...]
    reservations: int
    keys: int
    memory: int
    measured: int
    policy: str
    maximum: int
    server_memory: int

    @property
    def forgets(self) -> bool:
        """Whether a full server evicts what accounts owe instead of refusing writes."""
        return self.maximum > 0 and self.policy not in ("", "noeviction")


class Used(msgspec.Struct, frozen=True, kw_only=True):
    """What a store holds of one limit of an account.

    Attributes:
        limit: its name; where it counts tokens, with what of them (`NAME/tokens`).
        units: used as of `at`; of requests in flight, how many.
        at: Unix seconds; None of requests in flight.
        gone_in: seconds after which the server forgets it where nothing more is used.
    """

    limit: str
    units: float
    at: float | None
    gone_in: float


async def used(address: Address, namespace: str, account: str) -> tuple[Used, ...]:
    """What is held of the limits that `account` (a keyed digest) is charged by. Raises as `survey`.

    Those it shares with others (an organisation's, an address's) are counted under a digest of
    that, and name nobody.
    """
    walk = _Walk(address, namespace, account)
    found: list[Used] = []
    try:
        async for batch in walk.batches():
            for key, lasts, value in await walk.held(batch):
                tail = key.partition(b"}:")[2]
                if tail.startswith(b"c:"):
                    name = tail[2:].split(b":")[0].decode("utf-8", "replace")
                    found.append(Used(limit=name, units=value, at=None, gone_in=lasts))
                elif isinstance(value, bytes):
                    for bucket, units, at in levels_in(value):
                        name = bucket.decode("utf-8", "replace")
                        found.append(Used(limit=name, units=units, at=at, gone_in=lasts))
    finally:
        await walk.close()
    return tuple(sorted(found, key=lambda one: one.limit))


async def survey(address: Address, namespace: str, *, progress: Progress = lambda _: None) -> Stats:
    """What lies in `namespace`.

    Raises:
        SettingsError: the namespace is none, or the extra is missing.
        StoreError: the server cannot be reached, or refuses.
    """
    walk = _Walk(address, namespace)
    keys = measured = memory = reservations = 0
    counts: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    try:
        async for batch in walk.batches():
            keys += len(batch)
            progress(keys)
            reservations += sum(b"}:r:" in key for key in batch)
            if measured >= SAMPLE:
                continue
            measured += len(batch)
            for key, size, value in await walk.looked_at(batch):
                memory += size
                for name, share in _limits_of(key, value).items():
                    counts[name] += 1
                    sizes[name] += round(share * size)
        info = await walk.info()
    finally:
        await walk.close()
    scale = keys / measured if measured else 1.0
    return Stats(
        store=str(address),
        namespace=namespace,
        limits=tuple(
            LimitUse(limit=n, keys=round(counts[n] * scale), memory=round(sizes[n] * scale))
            for n in sorted(counts)
        ),
        reservations=reservations,
        keys=keys,
        memory=round(memory * scale),
        measured=measured,
        **info,
    )


async def count(address: Address, namespace: str) -> int:
    """Keys of limits in `namespace`. Raises as `survey`."""
    walk = _Walk(address, namespace)
    try:
        return sum([len(batch) async for batch in walk.batches()])
    finally:
        await walk.close()


async def flush(address: Address, namespace: str, *, progress: Progress = lambda _: None) -> int:
    """Forget what everybody owes in `namespace`; how many keys went. Raises as `survey`.

    What guards write meanwhile may stay.
    """
    walk = _Walk(address, namespace)
    gone = 0
    try:
        async for batch in walk.batches():
            gone += await walk.unlink(batch)
            progress(gone)
    finally:
        await walk.close()
    return gone


class _Walk:
    """The keys of one namespace, over all nodes; every failure is a `StoreError`."""

    def __init__(self, address: Address, namespace: str, account: str = "") -> None:
        """`account`: of whom alone; empty for everybody."""
        self._prefix = check_namespace(namespace).encode() + b":{"
        self._match = self._prefix + (account.encode() + b"}:*" if account else b"*")
        self._client: Any = connect(address, timeout=10.0)
        self._where = str(address)
        self._errors = require_library().exceptions
        self._ours = re.compile(re.escape(self._prefix) + rb"(?!campaigns\})[^}]*\}:[bcro](:.*)?")

    async def batches(self) -> AsyncIterator[list[bytes]]:
        """Keys of limits, in batches, each once or (when the server grows meanwhile) more often."""
        batch: list[bytes] = []
        try:
            async for key in self._client.scan_iter(match=self._match, count=1000):
                if self._ours.fullmatch(key):
                    batch.append(key)
                if len(batch) == _BATCH:
                    yield batch
                    batch = []
        except (self._errors.RedisError, OSError) as error:
            raise self._failed(error) from error
        if batch:
            yield batch

    async def looked_at(self, keys: list[bytes]) -> list[tuple[bytes, int, bytes]]:
        """Of each key that is still there: itself, its bytes of memory, its value if a string."""
        pipeline = self._client.pipeline(transaction=False)
        for key in keys:
            pipeline.execute_command("MEMORY", "USAGE", key)
            if key.endswith(b"}:b") or b"}:b:" in key:
                pipeline.execute_command("GET", key)
            else:
                pipeline.execute_command("EXISTS", key)
        found = await self._run(pipeline)
        return [
            (key, size, value if isinstance(value, bytes) else b"")
            for key, size, value in zip(keys, found[::2], found[1::2], strict=True)
            if size
        ]

    async def held(self, keys: list[bytes]) -> list[tuple[bytes, float, Any]]:
        """Of each key of buckets, or of requests in flight, that is still there: itself, the
        seconds it lasts, and its value or how many requests.
        """
        keys = [key for key in keys if re.search(rb"\}:[bc](:|$)", key)]
        pipeline = self._client.pipeline(transaction=False)
        for key in keys:
            pipeline.execute_command("PTTL", key)
            pipeline.execute_command("ZCARD" if b"}:c:" in key else "GET", key)
        found = await self._run(pipeline)
        return [
            (key, lasts / 1_000.0, value)
            for key, lasts, value in zip(keys, found[::2], found[1::2], strict=True)
            if lasts >= 0 and value is not None
        ]

    async def unlink(self, keys: list[bytes]) -> int:
        """Delete `keys`; how many there were."""
        pipeline = self._client.pipeline(transaction=False)
        for key in keys:
            pipeline.execute_command("UNLINK", key)
        return sum(await self._run(pipeline))

    async def info(self) -> dict[str, Any]:
        """What the server says of its memory; of a Cluster, of one node."""
        try:
            found: Any = await self._client.info("memory")
        except (self._errors.RedisError, OSError) as error:
            raise self._failed(error) from error
        return {
            "policy": str(found.get("maxmemory_policy", "")),
            "maximum": int(found.get("maxmemory", 0)),
            "server_memory": int(found.get("used_memory", 0)),
        }

    async def close(self) -> None:
        """Close connections."""
        await disconnect(self._client)

    async def _run(self, pipeline: Any) -> list[Any]:
        try:
            return list(await pipeline.execute())
        except (self._errors.RedisError, OSError) as error:
            raise self._failed(error) from error

    def _failed(self, error: BaseException) -> StoreError:
        known = answers.code_of(error) != "ERR"
        return (answers.refused if known else answers.unreachable)(error, self._where)


def _limits_of(key: bytes, value: bytes) -> dict[str, float]:
    """Limits that lie under `key`, and their share of it in [0, 1]; none for other keys."""
    _, _, tail = key.partition(b"}:")
    if tail.startswith(b"c:"):
        return {tail[2:].split(b":")[0].decode("utf-8", "replace"): 1.0}
    if tail != b"b" and not tail.startswith(b"b:"):
        return {}
    shares: Counter[str] = Counter()
    for name, size in buckets_in(value):
        shares[limit_of(name.decode("utf-8", "replace"))] += size
    return {name: size / len(value) for name, size in shares.items()}
