"""Which indicators match a request: from local memory, in a few look-ups whatever their number."""

from __future__ import annotations

import functools
import socket
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from gateway_guard.campaigns.digests import client_digest, template_keys
from gateway_guard.errors import IntelError
from gateway_guard.intel.groups import Group
from gateway_guard.intel.indicator import Indicator
from gateway_guard.intel.networks import Limits, read_network, touching
from gateway_guard.types import IndicatorFacts, Request

#: Most indicators told of one request: the surest.
MOST_MATCHES: Final = 8
#: Answers for addresses remembered.
_CACHED: Final = 8_192
_V4: Final = socket.AF_INET
_V6: Final = socket.AF_INET6

#: (Unix seconds up to which it holds, what is said of it)
Entry = tuple[int, IndicatorFacts]
Found = tuple[IndicatorFacts, ...]


class Matcher:
    """A table of indicators, compiled. Cannot change: a new table is a new matcher.

    Attributes:
        loaded: indicators that can match.
        protected: those left out because they touch an allowed network.
        sealed: those left out because they were sealed for another group, or no group key is set.
    """

    def __init__(
        self,
        table: Iterable[tuple[str, Indicator]],
        *,
        now: float,
        limits: Limits,
        group: Group | None = None,
    ) -> None:
        """Compile `table`, pairs of a source's name and an indicator; what has expired by `now`
        (Unix seconds) is left out.
        """
        self.loaded = self.protected = self.sealed = 0
        ranges: dict[tuple[int, int], dict[int, list[Entry]]] = defaultdict(
            lambda: defaultdict(list)
        )
        kinds: dict[str, dict[int | str, list[Entry]]] = defaultdict(lambda: defaultdict(list))
        for source, one in table:
            if one.until <= now:
                continue
            facts = IndicatorFacts(
                name=one.name, source=source, kind=one.kind, confidence=one.confidence / 100.0,
                at=float(one.since),
            )  # fmt: skip
            entry = (one.until, facts)
            if one.kind == "network":
                try:
                    network = read_network(one.value)
                except IntelError:
                    continue  # the file was written by hand; `intel list` shows what is wrong
                if limits.allowed and touching(network, limits.allowed) is not None:
                    self.protected += 1
                    continue
                bits = network.max_prefixlen - network.prefixlen
                ranges[network.version, bits][int(network.network_address) >> bits].append(entry)
            elif one.kind == "tls":
                kinds["tls"][one.value].append(entry)
            else:
                digest = group.open(one.kind, one.value) if group is not None else None
                if digest is None:
                    self.sealed += 1
                    continue
                kinds[one.kind][digest].append(entry)
            self.loaded += 1
        self._address: Callable[[str], tuple[Entry, ...]] | None = None
        if ranges:
            holding = _holding(_by_length(ranges, 4), _by_length(ranges, 6))
            self._address = functools.lru_cache(maxsize=_CACHED)(holding)
        self._templates = _frozen(kinds["template"])
        self._template_keys = frozenset(self._templates)
        self._clients = _frozen(kinds["client"])
        self._tls = _frozen(kinds["tls"])

    @property
    def match(self) -> Callable[[Request], Found] | None:
        """What says which indicators match a request; None when none can."""
        return self._match if self.loaded else None

    def _match(self, request: Request) -> Found:
        """The indicators in force that match, the surest first. Total: never raises."""
        hits: list[Entry] | None = None
        lookup, address = self._address, request.client_ip
        if lookup is not None and address is not None:
            entries = lookup(address)
            if entries:
                hits = [*entries]
        if self._clients or self._tls:
            hits = self._software(request, hits)
        prompt = request.prompt
        if self._template_keys and prompt is not None:
            keys = template_keys(prompt)
            if not self._template_keys.isdisjoint(keys):
                templates = self._templates
                hits = [] if hits is None else hits
                for key in keys:
                    hits.extend(templates.get(key, ()))
        if hits is None:
            return ()
        return _surest(hits, request.at)

    def _software(self, request: Request, hits: list[Entry] | None) -> list[Entry] | None:
        client = request.client
        entries: tuple[Entry, ...] = ()
        if self._clients:
            entries = self._clients.get(client_digest(client), ())
        if client.tls is not None:
            entries += self._tls.get(client.tls, ())
        if not entries:
            return hits
        return [*(hits or ()), *entries]


#: (host bits, network number → entries), the narrowest first.
Lengths = tuple[tuple[int, dict[int, tuple[Entry, ...]]], ...]


def _holding(v4: Lengths, v6: Lengths) -> Callable[[str], tuple[Entry, ...]]:
    """What gives the entries of every network that holds a canonical address.

    A closure, not a method: a matcher that refers to itself would outlive its table.
    """

    def holding(ip: str) -> tuple[Entry, ...]:
        wide = ":" in ip
        try:
            number = int.from_bytes(socket.inet_pton(_V6 if wide else _V4, ip), "big")
        except OSError:
            return ()
        found: tuple[Entry, ...] = ()
        for bits, networks in v6 if wide else v4:
            entries = networks.get(number >> bits)
            if entries is not None:
                found += entries
        return found

    return holding


def _surest(hits: Sequence[Entry], at: float) -> Found:
    """Those in force at `at`, each name of a source once a kind."""
    best: dict[tuple[str, str, str], IndicatorFacts] = {}
    for until, facts in hits:
        if facts.at <= at < until:
            key = (facts.source, facts.kind, facts.name)
            other = best.get(key)
            if other is None or facts.confidence > other.confidence:
                best[key] = facts
    ordered = sorted(best.values(), key=lambda f: (-f.confidence, -f.at, f.source, f.name))
    return tuple(ordered[:MOST_MATCHES])


def _by_length(ranges: dict[tuple[int, int], dict[int, list[Entry]]], version: int) -> Lengths:
    return tuple(
        (bits, {number: tuple(entries) for number, entries in ranges[key].items()})
        for key in sorted(ranges)
        for bits in (key[1],)
        if key[0] == version
    )


def _frozen(lists: dict[int | str, list[Entry]]) -> dict[int | str, tuple[Entry, ...]]:
    return {key: tuple(entries) for key, entries in lists.items()}
