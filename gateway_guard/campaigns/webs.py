"""Which accounts hang together at all: sets that only ever grow together (union by size)."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec


class Web(msgspec.Struct, gc=False):
    """One connected set of accounts.

    Attributes:
        members: their numbers.
        news: links found since it was last examined.
        examined: how often it counts as examined: once, and once more for each size of what is
            examined together.
        due: accounts that wait for their turn (`turns`), oldest first; None while the web itself
            waits for none.
        cost: what looking at it has cost, and at others until it began to wait; likewise.
    """

    members: list[int]
    news: int = 0
    examined: int = 0
    due: dict[int, None] | None = None
    cost: float = 0.0


class Webs:
    """Disjoint sets of account numbers."""

    def __init__(self) -> None:
        self._parent: dict[int, int] = {}
        self._webs: dict[int, Web] = {}

    def __len__(self) -> int:
        return len(self._webs)

    def all(self) -> Iterator[Web]:
        """Every web, those of one account included."""
        yield from self._webs.values()

    def of(self, number: int) -> Web:
        """The web of an account; one of its own when it was never linked."""
        root = self._root(number)
        web = self._webs.get(root)
        if web is None:
            web = self._webs[root] = Web([number])
        return web

    def link(self, number: int, others: set[int]) -> Web:
        """Put an account and `others` into one web."""
        parent, webs = self._parent, self._webs
        root = self._root(number)
        web = self.of(root)
        for other in others:
            there = self._root(other)
            if there == root:
                continue
            them = self.of(there)
            if len(them.members) > len(web.members):
                root, there, web, them = there, root, them, web
            parent[there] = root
            web.members.extend(them.members)
            web.news += them.news
            web.examined += them.examined
            web.cost = max(web.cost, them.cost)
            if them.due is not None:
                web.due = them.due if web.due is None else web.due | them.due
            del webs[there]
        return web

    def _root(self, number: int) -> int:
        parent = self._parent
        up = parent.get(number)
        if up is None:
            return number
        while True:
            higher = parent.get(up)
            if higher is None:
                return up
            parent[number] = higher
            number, up = up, higher
