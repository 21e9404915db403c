"""How limits lie in a shared store: keys, slots, and the bytes the scripts read. Pure.

    gg:{acct_k3vq…}:b          buckets of all limits of this account, packed in one string
    gg:{acct_k3vq…}:c:in-flight    ids of its requests in flight, by when their lease ends
    gg:{acct_k3vq…}:r:r_7k2m…  a reservation not settled yet
    gg:{acct_k3vq…}:o          open reservations, where those never settled are given back
    gg:{9Hx2…}:b               buckets of an address, a country, a model …

What a limit is charged by (`Charge.key` behind its first colon) is a keyed digest already when it
is an account, and made one when it is anything else; names of limits stand as the policy has them.
What stands in braces decides the slot of a Cluster. A key of several parts lies with the account
among them: so does every limit of one account, alone or per model, in one slot.
"""

from __future__ import annotations

import base64
import hashlib
import re
import struct
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from gateway_guard.core.buckets import taken
from gateway_guard.core.credentials import ACCOUNT
from gateway_guard.errors import SettingsError
from gateway_guard.types import Charge

#: Keys whose place is remembered; working one out costs some 5 µs.
_REMEMBERED: Final = 16_384
#: Sets of keys whose way is remembered, some 1.5 kB each.
_ROUTES: Final = 4_096
#: Longest name of a limit that is kept as it is, bytes; the scripts count it in one byte.
_LONGEST_NAME: Final = 200

_NAMESPACE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")

#: Bytes of a bucket behind its name: units used, when, rate.
_NUMBERS: Final = 24
_LEVEL: Final = struct.Struct("<ddd")
#: whether in flight, number of the key, units, capacity, rate; the name follows.
_CHARGE: Final = struct.Struct("<BHddd")
#: whether in flight, number of the key, units to add, rate; the name follows.
_CHANGE: Final = struct.Struct("<BHdd")


class Place(NamedTuple):
    """Where one charge is counted.

    Attributes:
        group: what it shares a slot with: an account, or what is charged instead; accounts first,
            then in order of their digests, the same for everybody.
        key: the key.
        name: the limit's name behind its length, as the scripts read it.
        flying: whether it counts requests in flight.
    """

    group: tuple[bool, bytes]
    key: bytes
    name: bytes
    flying: bool


class Stop(NamedTuple):
    """One group that charges of certain keys are counted in, whoever asks and for how much.

    Attributes:
        tag: what its keys begin with, up to the closing brace.
        keys: of buckets and of requests in flight; last, where there is one, the list of open
            reservations.
        numbers: which charges of the request are counted here.
        spots: of each of them: whether it counts requests in flight, the number of its key as the
            scripts count (KEYS[1] is the reservation), and its limit's name.
        leases: those of `keys` the reservation must be renewed in.
    """

    tag: bytes
    keys: tuple[bytes, ...]
    numbers: tuple[int, ...]
    spots: tuple[tuple[bool, int, bytes], ...]
    leases: tuple[bytes, ...]


class Visit(NamedTuple):
    """What one request asks of one slot, or, outside a Cluster, of all.

    Attributes:
        stop: where.
        keys: what the scripts call KEYS; the reservation's first.
        asks: the charges, packed for `reserve.lua`.
    """

    stop: Stop
    keys: tuple[bytes, ...]
    asks: bytes

    @property
    def renews(self) -> tuple[bytes, ...]:
        """Keys for `renew.lua`: the reservation's, and those it has a lease in."""
        return (self.keys[0], *self.stop.leases)


class Layout:
    """Keys and packed bytes for one namespace and secret.

    Args:
        secret: what digests are keyed with, >= 16 bytes.
        namespace: what every key begins with: letters, digits, `.`, `_`, `-`, at most 32.
        scattered: whether keys of different groups may lie on different servers (a Cluster).
        given_back: whether what is never settled is given back, which takes a list of it.

    Raises:
        SettingsError: the namespace has other characters.
    """

    def __init__(self, secret: bytes, namespace: str, *, scattered: bool, given_back: bool) -> None:
        self._prefix = check_namespace(namespace).encode() + b":{"
        self._scattered = scattered
        self._given_back = given_back
        self._secret = secret[:64]
        self._place = lru_cache(_REMEMBERED)(self._placed)
        self._route = lru_cache(_ROUTES)(self._routed)

    def visits(self, charges: Sequence[Charge], id: str) -> list[Visit]:
        """Where `charges` are counted: one visit, in a Cluster one a group, in everybody's order.

        Ordered, because two requests that want the last unit of two groups would otherwise each
        take one, and both be refused.
        """
        words: list[str] = []
        for charge in charges:
            words.append(charge.key)
            words.append(charge.unit)
        suffix = b":r:" + id.encode()
        pack = _CHARGE.pack
        visits = []
        for stop in self._route(tuple(words)):
            parts: list[bytes] = []
            for number, (flying, key, name) in zip(stop.numbers, stop.spots, strict=True):
                charge = charges[number]
                cost, capacity = charge.cost, charge.capacity
                if cost > capacity:
                    cost = capacity
                parts.append(pack(flying, key, cost, capacity, charge.rate))
                parts.append(name)
            visits.append(Visit(stop, (stop.tag + suffix, *stop.keys), b"".join(parts)))
        return visits

    def _routed(self, words: tuple[str, ...]) -> tuple[Stop, ...]:
        """The groups of charges with these keys and units, taken in turn."""
        places = [
            self._place(key, unit == "concurrent")
            for key, unit in zip(words[::2], words[1::2], strict=True)
        ]
        groups: dict[tuple[bool, bytes], list[int]] = {}
        for number, place in enumerate(places):
            groups.setdefault(place.group if self._scattered else places[0].group, []).append(
                number
            )
        return tuple(
            self._stop(self._prefix + group[1] + b"}", numbers, [places[n] for n in numbers])
            for group, numbers in sorted(groups.items())
        )

    def _stop(self, tag: bytes, numbers: Sequence[int], places: Sequence[Place]) -> Stop:
        keys: dict[bytes, int] = {}
        spots = []
        leases = []
        for place in places:
            key = keys.setdefault(place.key, len(keys) + 2)
            spots.append((place.flying, key, place.name))
            if place.flying:
                leases.append(place.key)
        opened = [tag + b":o"] if self._given_back else []
        return Stop(tag, (*keys, *opened), tuple(numbers), tuple(spots), (*leases, *opened))

    def _placed(self, key: str, flying: bool) -> Place:
        limit, _, who = key.partition(":")
        parts = who.split("|")
        owner = next((part for part in parts if ACCOUNT.fullmatch(part)), parts[0])
        tag = self._digest(owner)
        name = limit.encode("utf-8", "surrogatepass")
        if len(name) > _LONGEST_NAME:
            name = self._digest(limit)
        tail = b"" if owner == who else b":" + self._digest(who)
        kind = b"}:c:" + name if flying else b"}:b"
        return Place(
            group=(ACCOUNT.fullmatch(owner) is None, tag),
            key=self._prefix + tag + kind + tail,
            name=bytes((len(name),)) + name,
            flying=flying,
        )

    def _digest(self, text: str) -> bytes:
        if ACCOUNT.fullmatch(text):
            return text.encode()
        data = text.encode("utf-8", "surrogatepass")
        digest = hashlib.blake2b(data, digest_size=15, key=self._secret, person=b"shared store")
        return base64.urlsafe_b64encode(digest.digest())


def given_back(charges: Sequence[Charge], visit: Visit) -> bytes:
    """The changes that undo `visit`, packed for `settle.lua`."""
    return settled(charges, [0.0] * len(charges), visit)


def settled(charges: Sequence[Charge], actual: Sequence[float], visit: Visit) -> bytes:
    """The changes that put `actual` in place of what was reserved, packed for `settle.lua`."""
    pack = _CHANGE.pack
    parts: list[bytes] = []
    for number, (flying, key, name) in zip(visit.stop.numbers, visit.stop.spots, strict=True):
        if flying:
            parts.append(pack(True, key, 0.0, 0.0))
            parts.append(name)
            continue
        charge = charges[number]
        delta = actual[number] - taken(charge)
        if delta:
            parts.append(pack(False, key, delta, charge.rate))
            parts.append(name)
    return b"".join(parts)


def buckets_in(value: bytes) -> list[tuple[bytes, int]]:
    """(limit, bytes it takes) of every bucket in the value of a key; none of a value cut short."""
    found = []
    at = 0
    while at < len(value):
        size = 1 + value[at] + _NUMBERS
        found.append((value[at + 1 : at + 1 + value[at]], size))
        at += size
    return found if at == len(value) else []


def levels_in(value: bytes) -> list[tuple[bytes, float, float]]:
    """(limit, units used, when they were, Unix seconds) of every bucket in the value of a key."""
    found, at = [], 0
    for name, size in buckets_in(value):
        units, when, _ = _LEVEL.unpack_from(value, at + size - _NUMBERS)
        found.append((name, units, when))
        at += size
    return found


def check_namespace(namespace: str) -> str:
    """`namespace`, when it can be one.

    Raises:
        SettingsError: it cannot; braces would move slots, and `*` would flush other people's keys.
    """
    if _NAMESPACE.fullmatch(namespace) is None:
        raise SettingsError(
            f"{namespace!r} is no namespace: write letters, digits, '.', '_' and '-', at most 32"
        )
    return namespace
