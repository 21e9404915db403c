"""Where a web of accounts and what they share falls into parts.

Louvain's method (Blondel et al. 2008) on the two-sided graph of accounts and shared values, in a
fixed order, so that equal input gives equal parts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from typing import Final, TypeVar

V = TypeVar("V", bound=Hashable)

#: Passes over all nodes in one level, and levels; the gain of later ones is small.
_PASSES: Final = 12
_LEVELS: Final = 8
#: Two parts are one when they share this many values, and this share of the smaller one's.
_BRIDGES: Final = 3
_BRIDGE_SHARE: Final = 0.2


def communities(
    values: Mapping[V, Sequence[int]], weight: Mapping[V, float] | None = None
) -> list[list[set[int]]]:
    """The parts of a web given as value → the accounts that share it; largest first.

    An account with no value is in no part. `weight` is a value's weight, 1 when missing. The method
    alone cuts large parts: pieces joined by several values are put together again. A part is given
    as its pieces, for what joins them may be chance: half hours and carriers are shared by many.
    """
    # In an order of their own: what came first must not decide.
    ordered = sorted((-len(m), sorted(m), str(v), v) for v, m in values.items())
    values = {value: members for _, members, _, value in ordered}
    accounts = sorted({a for members in values.values() for a in members})
    number = {account: i for i, account in enumerate(accounts)}
    edges: list[dict[int, float]] = [{} for _ in range(len(accounts) + len(values))]
    for i, (value, members) in enumerate(values.items(), len(accounts)):
        w = 1.0 if weight is None else weight.get(value, 1.0)
        for member in members:
            j = number[member]
            edges[i][j] = edges[j][i] = w
    label = _louvain(edges)
    parts: dict[int, set[int]] = defaultdict(set)
    for account, i in number.items():
        parts[label[i]].add(account)
    return _bridged([[parts[k]] for k in sorted(parts)], values)


def _louvain(edges: list[dict[int, float]]) -> list[int]:
    label = list(range(len(edges)))
    loops = [0.0] * len(edges)
    for _ in range(_LEVELS):
        part = _one_level(edges, loops)
        names = {name: i for i, name in enumerate(dict.fromkeys(part))}
        if len(names) == len(edges):
            break
        label = [names[part[i]] for i in label]
        folded: list[dict[int, float]] = [defaultdict(float) for _ in names]
        inner = [0.0] * len(names)
        for i, row in enumerate(edges):
            here = names[part[i]]
            inner[here] += loops[i]
            for j, w in row.items():
                there = names[part[j]]
                if here == there:
                    inner[here] += w
                else:
                    folded[here][there] += w
        edges, loops = folded, inner
    return label


def _one_level(edges: list[dict[int, float]], loops: list[float]) -> list[int]:
    part = list(range(len(edges)))
    degree = [sum(row.values()) + loop for row, loop in zip(edges, loops, strict=True)]
    total = sum(degree) or 1.0
    sums = list(degree)
    for _ in range(_PASSES):
        moved = False
        for i, row in enumerate(edges):
            if not row:
                continue
            own = part[i]
            near: dict[int, float] = defaultdict(float)
            for j, w in row.items():
                near[part[j]] += w
            sums[own] -= degree[i]
            best, gain = own, near.get(own, 0.0) - sums[own] * degree[i] / total
            for other, w in near.items():
                worth = w - sums[other] * degree[i] / total
                if worth > gain + 1e-12:
                    best, gain = other, worth
            sums[best] += degree[i]
            if best != own:
                part[i] = best
                moved = True
        if not moved:
            break
    return part


def _bridged(
    parts: list[list[set[int]]], values: Mapping[V, Sequence[int]]
) -> list[list[set[int]]]:
    """Put parts together again that several values join."""
    while len(parts) > 1:
        home = {a: i for i, pieces in enumerate(parts) for piece in pieces for a in piece}
        own = [0] * len(parts)
        bridges: dict[tuple[int, int], int] = defaultdict(int)
        for members in values.values():
            touched = sorted({home[a] for a in members if a in home})
            for n, i in enumerate(touched):
                own[i] += 1
                for j in touched[n + 1 :]:
                    bridges[i, j] += 1
        best = None
        for (i, j), count in sorted(bridges.items()):
            share = count / min(own[i], own[j])
            if count >= _BRIDGES and share >= _BRIDGE_SHARE and (best is None or share > best[0]):
                best = share, i, j
        if best is None:
            break
        _, i, j = best
        parts[i] += parts.pop(j)
    return sorted(parts, key=_largest)


def _largest(pieces: list[set[int]]) -> tuple[int, int]:
    return -sum(map(len, pieces)), min(min(piece) for piece in pieces)
