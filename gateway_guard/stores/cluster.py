"""Scripts called on a Cluster: lanes to every node, and calls that follow the slots.

redis-py knows the Cluster (nodes, slots, TLS, passwords) and gives connections; its own way of
following redirections is not used: it tells the importing node `ASKING` on one connection and
may send the command on another, and closes all connections at every fifth `MOVED`, under calls
that others wait for.

| a node says | then |
| --- | --- |
| `MOVED` | this call goes there, and the map of slots is asked for anew |
| `ASK` | this call goes there, behind `ASKING` on the same connection |
| `TRYAGAIN` | some keys of the slot have moved and some have not: again after 5, 10, 20, … ms |
| `CLUSTERDOWN` | the call fails, and the map of slots is asked for anew |
| nothing | the map is asked for anew, and the call repeated once, marked as such |
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from gateway_guard.errors import StoreError
from gateway_guard.stores import answers
from gateway_guard.stores.calls import Call, fail
from gateway_guard.stores.connect import require_library
from gateway_guard.stores.lanes import WAITING, Lanes
from gateway_guard.stores.scripts import Script

_ERRORS: Final[Any] = require_library().exceptions

#: Most times a call is sent on to another node.
_HOPS: Final = 6
#: Seconds before the first repetition after `TRYAGAIN`; then as long as was waited so far.
_PAUSE: Final = 0.005


class _Node:
    """The connections of one node, as a `Source`."""

    def __init__(self, node: Any) -> None:
        self.node = node

    async def take(self) -> Any:
        """As `Source.take`."""
        connection = self.node.acquire_connection()
        try:
            await connection.connect()
        except BaseException:
            await connection.disconnect(nowait=True)
            self.node.release(connection)
            raise
        return connection

    async def give(self, connection: Any) -> None:
        """As `Source.give`."""
        self.node.release(connection)

    async def forget(self) -> None:
        """As `Source.forget`."""
        await self.node.disconnect_free_connections()


class Scatter:
    """A `Wire` to a Cluster: every call to the node that has its slot.

    `patience` is how long a call waits for a slot on its way to another node, in seconds.
    """

    def __init__(self, client: Any, where: str, timeout: float, patience: float) -> None:
        self._client = client
        self._where = where
        self._timeout = timeout
        self._patience = patience
        self._lanes: dict[str, Lanes] = {}
        #: Calls that wait for a new map of slots; the others go by the one there is.
        self._homeless: list[Call] = []
        self._drawn = False
        self._mapper: asyncio.Task[None] | None = None

    @property
    def trips(self) -> int:
        """As `Wire.trips`."""
        return sum(lanes.trips for lanes in self._lanes.values())

    @property
    def lost(self) -> int:
        """As `Wire.lost`."""
        return sum(lanes.lost for lanes in self._lanes.values())

    def call(
        self, script: Script, id: bytes, keys: tuple[bytes, ...], args: tuple[bytes, ...]
    ) -> Call:
        """As `Wire.call`."""
        call = Call(script, id, keys, args, asyncio.get_running_loop().create_future())
        self._place(call)
        return call

    async def close(self) -> None:
        """As `Wire.close`."""
        if self._mapper is not None:
            self._mapper.cancel()
            await asyncio.gather(self._mapper, return_exceptions=True)
        for lanes in self._lanes.values():
            await lanes.close()
        fail(self._homeless, answers.closed(self._where))
        self._homeless.clear()
        # The client closes nothing while it does not know the whole Cluster, and forgets nodes that
        # have left it.
        manager = self._client.nodes_manager
        sources = [lanes.source for lanes in self._lanes.values()]
        ours = [source.node for source in sources if isinstance(source, _Node)]
        for node in {*manager.startup_nodes.values(), *manager.nodes_cache.values(), *ours}:
            await node.disconnect()
        await self._client.aclose()
        # Closed without waiting, connections are gone with the loop's next turn.
        await asyncio.sleep(0)

    def _place(self, call: Call) -> None:
        """Hand `call` to the node that has its slot, as far as is known."""
        if not self._drawn:
            self._hold((call,))
            return
        slot = self._client.keyslot(call.keys[0])
        try:
            node = self._client.nodes_manager.get_node_from_slot(slot)
        except _ERRORS.RedisClusterException as error:
            self._redraw()
            raise StoreError(f"{self._where}: CLUSTERDOWN: no node has slot {slot}") from error
        self._lanes_of(node).add(call)

    def _hold(self, calls: Sequence[Call]) -> None:
        """Keep `calls` until the map of slots is drawn anew."""
        if len(self._homeless) >= WAITING:
            raise StoreError(f"{self._where}: timeout: {WAITING} calls wait for the map of slots")
        self._homeless.extend(calls)
        self._redraw()

    def _redraw(self) -> None:
        if self._mapper is None:
            self._mapper = asyncio.get_running_loop().create_task(self._map())

    def _lanes_of(self, node: Any) -> Lanes:
        lanes = self._lanes.get(node.name)
        if lanes is None:
            lanes = Lanes(_Node(node), f"{self._where} ({node.name})", self._timeout, self._send_on)
            self._lanes[node.name] = lanes
        elif isinstance(lanes.source, _Node) and lanes.source.node is not node:
            # A new map has new objects for the nodes it names anew.
            lanes.source = _Node(node)
        return lanes

    async def _map(self) -> None:
        """Ask the Cluster which node has which slot, then place those who wait."""
        trouble: StoreError | None = None
        try:
            if self._drawn:
                await self._client.nodes_manager.initialize()
            else:
                await self._client.initialize()
            self._drawn = True
        except Exception as error:  # noqa: BLE001 - of the library; everybody is told
            trouble = answers.unreachable(error, self._where)
        finally:
            self._mapper = None
        calls, self._homeless = self._homeless, []
        if trouble is not None:
            fail(calls, trouble)
            return
        for call in calls:
            self._again(call)

    def _again(self, call: Call) -> None:
        """Place a call nobody is there to raise to."""
        if call.answer.done():
            return
        try:
            self._place(call)
        except StoreError as error:
            call.fail(error)

    def _send_on(self, calls: Sequence[Call], error: BaseException) -> bool:
        """As `lanes.Elsewhere`."""
        if isinstance(error, _ERRORS.TryAgainError):
            return all([self._wait(call) for call in calls])  # noqa: C419 - every one of them
        for call in calls:
            call.hops += 1
            call.asking = False
            if call.hops > _HOPS:
                return False
        if isinstance(error, _ERRORS.AskError):
            # The library takes a slot that has moved for a kind of this.
            moved = isinstance(error, _ERRORS.MovedError)
            if moved:
                self._redraw()
            node = self._client.nodes_manager.get_node(host=error.host, port=error.port)
            if node is not None:
                for call in calls:
                    call.asking = not moved
                    self._lanes_of(node).add(call)
                return True
            # A node that joined after the map was drawn.
        elif isinstance(error, _ERRORS.ClusterDownError):
            self._redraw()
            return False
        else:
            if isinstance(error, _ERRORS.ResponseError) or any(call.again for call in calls):
                return False
            for call in calls:
                call.again = True
        self._hold(calls)
        return True

    def _wait(self, call: Call) -> bool:
        """Ask again when more of the slot has moved; False when that would take too long."""
        pause = max(_PAUSE, call.waited)
        if call.waited + pause > self._patience:
            return False
        call.waited += pause
        call.asking = False
        asyncio.get_running_loop().call_later(pause, self._again, call)
        return True
