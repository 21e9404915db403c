"""What a condition accepts, as a set that can be compared: why a rule is "unreachable".

Every comparison errs towards "not covered": a rule is called unreachable only when it surely is.
"""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


class Shape(Protocol):
    """A set of values."""

    def covers(self, other: object) -> bool:
        """Whether every value of `other` is surely a value of this."""
        ...

    @property
    def everything(self) -> bool:
        """Whether surely no value is left out."""
        ...


@dataclass(frozen=True, slots=True)
class Values:
    """Some words; `known` stands for every value but `unknown`."""

    words: frozenset[object]
    universe: frozenset[object] | None = None

    def covers(self, other: object) -> bool:
        if not isinstance(other, Values):
            return False
        left = other.words - self.words
        return not left or ("known" in self.words and "unknown" not in left)

    def apart(self, other: object) -> bool:
        """Whether surely no value of `other` is a value of this."""
        return (
            isinstance(other, Values)
            and "known" not in self.words | other.words
            and self.words.isdisjoint(other.words)
        )

    @property
    def everything(self) -> bool:
        whole = self.universe is not None and self.universe <= self.words
        return whole or {"known", "unknown"} <= self.words


@dataclass(frozen=True, slots=True)
class Bands:
    """Intervals [low, high), and whether *unknown* is in.

    Attributes:
        spans: disjoint, rising.
        floor: the least value there can be; `everything` starts here.
        sure: whether a value is always known, so that `unknown` does not count.
    """

    spans: tuple[tuple[float, float], ...]
    unknown: bool = False
    floor: float = 0.0
    sure: bool = True

    def covers(self, other: object) -> bool:
        if not isinstance(other, Bands) or (other.unknown and not self.unknown):
            return False
        return all(
            any(low <= start and end <= high for low, high in self.spans)
            for start, end in other.spans
        )

    def apart(self, other: object) -> bool:
        return (
            isinstance(other, Bands)
            and not (self.unknown and other.unknown)
            and all(
                end <= low or high <= start
                for low, high in self.spans
                for start, end in other.spans
            )
        )

    @property
    def everything(self) -> bool:
        whole = any(low <= self.floor and high == math.inf for low, high in self.spans)
        return whole and (self.sure or self.unknown)


class Ranges:
    """Address ranges, found by one look-up for each prefix length in use."""

    def __init__(self, networks: Iterable[IPNetwork] = ()) -> None:
        #: (version, host bits) → the network numbers of that length.
        self._heads: dict[tuple[int, int], set[int]] = {}
        for network in networks:
            self.add(network)

    def add(self, network: IPNetwork) -> None:
        """One more range."""
        bits = network.max_prefixlen - network.prefixlen
        heads = self._heads.setdefault((network.version, bits), set())
        heads.add(int(network.network_address) >> bits)

    def wider(self, network: IPNetwork) -> IPNetwork | None:
        """A range that holds all of `network`; None when there is none."""
        first, own = int(network.network_address), network.max_prefixlen - network.prefixlen
        for (version, bits), heads in self._heads.items():
            if version == network.version and bits >= own and first >> bits in heads:
                return network.supernet(new_prefix=network.max_prefixlen - bits)
        return None

    def holds(self, version: int, number: int) -> bool:
        """Whether an address, as a number, is in any range."""
        for (known, bits), heads in self._heads.items():
            if known == version and number >> bits in heads:
                return True
        return False


@dataclass(frozen=True, slots=True)
class Networks:
    """Address ranges, and whether *unknown* is in."""

    networks: tuple[IPNetwork, ...]
    ranges: Ranges = field(compare=False)
    unknown: bool = False
    everything: bool = field(default=False, init=False)

    def covers(self, other: object) -> bool:
        if not isinstance(other, Networks) or (other.unknown and not self.unknown):
            return False
        return all(self.ranges.wider(theirs) is not None for theirs in other.networks)

    def apart(self, other: object) -> bool:
        return (
            isinstance(other, Networks)
            and not (self.unknown and other.unknown)
            and all(other.ranges.wider(mine) is None for mine in self.networks)
            and all(self.ranges.wider(theirs) is None for theirs in other.networks)
        )


@dataclass(frozen=True, slots=True)
class Patterns:
    """Glob patterns; a literal is covered by any pattern that matches it."""

    texts: frozenset[str]
    match: Callable[[str], bool] = field(compare=False)
    everything: bool = False

    def covers(self, other: object) -> bool:
        return isinstance(other, Patterns) and all(
            text in self.texts or ("*" not in text and text != "unknown" and self.match(text))
            for text in other.texts
        )

    def apart(self, other: object) -> bool:
        return isinstance(other, Patterns) and all(
            text not in self.texts
            and "*" not in text
            and not (text != "unknown" and self.match(text))
            for text in other.texts
        )


@dataclass(frozen=True, slots=True)
class Named:
    """Bands by name; all must hold."""

    bands: Mapping[str, Bands]

    def covers(self, other: object) -> bool:
        return isinstance(other, Named) and all(
            band.everything or (name in other.bands and band.covers(other.bands[name]))
            for name, band in self.bands.items()
        )

    @property
    def everything(self) -> bool:
        return all(band.everything for band in self.bands.values())


@dataclass(frozen=True, slots=True)
class Not:
    """None of these may hold."""

    fields: Mapping[str, Shape]
    everything: bool = field(default=False, init=False)

    def covers(self, other: object) -> bool:
        """Whoever forbids at least as much is covered."""
        return isinstance(other, Not) and all(
            name in other.fields and other.fields[name].covers(shape)
            for name, shape in self.fields.items()
        )


def merged(spans: Iterable[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    """Disjoint, rising spans of the same values."""
    joined: list[tuple[float, float]] = []
    for low, high in sorted(spans):
        if joined and low <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(high, joined[-1][1]))
        else:
            joined.append((low, high))
    return tuple(joined)
