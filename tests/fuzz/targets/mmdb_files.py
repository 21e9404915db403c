"""A database with any bytes changed is refused as a `SourceError`, or answers for every address
without another exception, in facts of the types that are promised."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final

import maxminddb

from gateway_guard.errors import SourceError
from gateway_guard.network.flags import FLAG_SETS
from gateway_guard.network.mmdb import MAX_DEPTH, MAX_VALUES, Decoder, Opened, open_bytes
from gateway_guard.network.vendors import recognise
from gateway_guard.network.writer import Value, write_mmdb
from tests.fuzz.taken import Taken

WORDS = (
    b"\xab\xcd\xefMaxMind.com", b"\xe0", b"\xe1\x44is_vpn", b"\x47country", b"\x48iso_code",
    b"\x42KP", b"\xe3", b"\x00\x04", b"\x01\x07", b"\x00\x07", b"\x20\x00", b"\x28\x00\x00",
    b"\x38\xff\xff\xff\xff", b"\x5f", b"\x5d\xff", b"\xc1\x01", b"\xa2\xff\xff", b"\x4anode_count",
    b"\x4brecord_size", b"\x43asn", b"\x45flags", b"\x4ccountry_code", b"\x4bproxy_type",
    b"\x43VPN", b"\x68\x7f\xf8\x00\x00\x00\x00\x00\x00",
)  # fmt: skip
_FIXTURES: Final = Path(__file__).parents[2] / "network" / "fixtures"
_PROBES: Final = ("1.1.1.1", "0.0.0.0", "255.255.255.255", "192.0.2.9", "2001:db8::1", "::1")
_FLAGS: Final = frozenset().union(*FLAG_SETS)


@cache
def bases() -> tuple[bytes, ...]:
    """Sound files of a few kinds, small."""
    entries: list[Value] = [
        {"country_code": "NO", "asn": 1, "flags": 3},
        {"country": {"iso_code": "SE"}},
    ]
    own = [
        write_mmdb(
            [(0, 255, 0), (1 << 24, (2 << 24) - 1, 1), (0xC0000200, 0xC00002FF, 0)], entries,
            database_type=kind, description="d", build_epoch=1, ip_version=6, record_size=size,
        )
        for kind, size in (("GeoIP2-Country", 24), ("gateway-guard", 28), ("x", 32))
    ]  # fmt: skip
    small = sorted(_FIXTURES.glob("*/*.mmdb"), key=lambda path: path.stat().st_size)
    return (*own, *(path.read_bytes() for path in small if path.stat().st_size < 4000))


def target(data: bytes) -> None:
    """Which file, then up to eight places and what to put there; the rest is decoded as records."""
    taken = Taken(data)
    base = bytearray(taken.pick(bases()))
    for _ in range(1 + taken.byte() % 8):
        # From the end, where the metadata is, as often as from the front.
        place, back, piece = taken.number(2), taken.byte(), taken.piece(1 + taken.byte() % 4)
        spot = (len(base) - 1 - place if back & 1 else place) % len(base)
        base[spot : spot + len(piece)] = piece
    rest = taken.rest()

    for content in (bytes(base), rest):
        try:
            opened = open_bytes(content, "fuzz")
        except SourceError as error:
            said = str(error)
        else:
            _answers(opened)
            said = "fuzz"
        assert said.startswith("fuzz")
    _records(rest)


def _answers(opened: Opened) -> None:
    adapter = recognise(opened.database_type, opened.sample)
    for probe in _PROBES:
        try:
            record = opened.reader.get(probe)
        except (maxminddb.InvalidDatabaseError, ValueError):
            continue  # passed over, and counted (`failed_lookups`)
        if adapter is None or record is None:
            continue
        country, asn, org, bits = adapter.read(record)
        own = adapter.kind == "gateway-guard"
        assert own or country is None or len(country) == 2
        assert asn is None or isinstance(asn, int)
        assert org is None or isinstance(org, str)
        assert own or FLAG_SETS[bits] <= _FLAGS


def _records(data: bytes) -> None:
    """Records by themselves: bounded in depth and in values."""
    try:
        found = Decoder(data, 0, len(data)).decode(0)
    except (ValueError, OverflowError) as error:
        said = str(error)
        assert said is not None
        return
    depth, values, level = 0, 0, [found]
    while level:
        depth, values = depth + 1, values + len(level)
        inner: list[object] = []
        for item in level:
            inner += (
                item.values() if isinstance(item, dict) else item if isinstance(item, list) else ()
            )
        level = inner
    assert depth <= MAX_DEPTH + 2
    assert values <= MAX_VALUES
