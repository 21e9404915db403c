"""Compiles the merged network database from country, AS and address lists.

Overlapping ranges are flattened to disjoint ones that carry the country, the AS and *all* flags of
every list that covers them; nothing overwrites anything. The same inputs and date give the same
bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import maxminddb
import msgspec

from gateway_guard.errors import SourceError
from gateway_guard.network.lists import read_asns, read_ranges
from gateway_guard.network.ranges import (
    V4_END,
    Range,
    apart,
    difference,
    flatten,
    parse_range,
    union,
)
from gateway_guard.network.registered import settled
from gateway_guard.network.rows import read_rows
from gateway_guard.network.writer import Value, write_mmdb
from gateway_guard.policy.countries import known
from gateway_guard.types import NETWORK_FLAGS

#: `database_type` of what is written here.
DATABASE_TYPE: Final = "gateway-guard network"
#: Longest AS name kept, in characters; 98 % of the 91,000 names are shorter (measured).
MAX_ORG: Final = 60

#: Addresses that no client on the Internet has, or that stand for an IPv4 client (`core.address`
#: unwraps those). Sources do speak of them (`192.168.0.0/16` in Australia, all of 6to4 in the US, a
#: cloud provider's list with the documentation prefix), and are about somebody else when they do.
#: Source: IANA special-purpose registries (RFC 6890), RFC 4291.
NOBODY: Final = tuple(
    parse_range(prefix)
    for prefix in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16"),
        *("172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.168.0.0/16", "198.18.0.0/15"),
        *("198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3"),
        *("192.88.99.0/24", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "100:0:0:1::/64"),
        *("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16"),
        *("fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8"),
    )
)


#: Addresses inside somebody's own network. Published lists hold them, too (`10.0.0.0/8` among the
#: bogons), and would flag the operator's own machines.
PRIVATE: Final = tuple(
    parse_range(prefix)
    for prefix in (
        *("10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.168.0.0/16", "fc00::/7", "fe80::/10"),
    )
)


class FlagList(msgspec.Struct, frozen=True, kw_only=True):
    """One list that flags addresses.

    Attributes:
        file: name inside the sources' folder, or a path.
        flag: what it means, one of `NETWORK_FLAGS`.
        asns: whether it lists AS numbers rather than addresses.
    """

    file: str
    flag: str
    asns: bool = False


#: The lists known by name. `brianhama_bad_asn` is left out on purpose: it flags mobile carriers
#: (1.75 % of 22,800 addresses of consumer ISPs, against none without it, measured on the 2026-08
#: snapshot) and knows nine AS numbers that the list of X4BNet does not.
#:
#: Nothing is flagged for its neighbours. With 30 % of the entries held out, flagging each AS of
#: which half or more is listed finds 94.6 instead of 94.0 % of the rest of hosting, and none more
#: of VPNs and Tor; flagging each AS of a listed one's name would take in CenturyLink, TM and Play,
#: whose customers are at home or on the phone.
KNOWN_LISTS: Final = (
    FlagList(file="x4b_vpn.txt", flag="vpn"),
    FlagList(file="x4bnet_lists_vpn__input__vpn__ASN.txt", flag="vpn", asns=True),
    FlagList(file="la_protonvpn.txt", flag="vpn"),
    FlagList(file="x4b_datacenter.txt", flag="hosting"),
    FlagList(file="x4bnet_lists_vpn__input__datacenter__ASN.txt", flag="hosting", asns=True),
    FlagList(file="la_cloud_all.txt", flag="hosting"),
    FlagList(file="la_amazon.txt", flag="hosting"),
    FlagList(file="la_cloudflare.txt", flag="hosting"),
    FlagList(file="la_digitalocean.txt", flag="hosting"),
    FlagList(file="la_github.txt", flag="hosting"),
    FlagList(file="la_google.txt", flag="hosting"),
    FlagList(file="la_linode.txt", flag="hosting"),
    FlagList(file="la_microsoft.txt", flag="hosting"),
    FlagList(file="la_oracle.txt", flag="hosting"),
    FlagList(file="la_vultr.txt", flag="hosting"),
    FlagList(file="la_apple_relay.txt", flag="relay"),
    FlagList(file="tor_exits_alireza.txt", flag="tor"),
    FlagList(file="monosans.txt", flag="proxy"),
)


class AsRange(msgspec.Struct, frozen=True, gc=False):
    """Addresses announced by one autonomous system."""

    first: int
    last: int
    asn: int
    org: str


class Built(msgspec.Struct, frozen=True, kw_only=True):
    """What a build made.

    Attributes:
        data: the bytes of the MMDB file.
        ranges: disjoint ranges in it.
        records: distinct records in it.
        flagged: IPv4 addresses under each flag.
    """

    data: bytes
    ranges: int
    records: int
    flagged: Mapping[str, int]


def known_lists(folder: Path) -> list[FlagList]:
    """Those of `KNOWN_LISTS` that `folder` holds, with their paths.

    Raises:
        SourceError: it holds none of them.
    """
    found = [
        FlagList(file=str(folder / one.file), flag=one.flag, asns=one.asns)
        for one in KNOWN_LISTS
        if (folder / one.file).is_file()
    ]
    if not found:
        names = ", ".join(one.file for one in KNOWN_LISTS[:3])
        raise SourceError(f"{folder}: none of the known lists ({names}, …) is here")
    return found


def read_countries(path: Path) -> list[tuple[int, int, str]]:
    """Country ranges of an MMDB whose records hold a flat `country_code` or `country.iso_code`.

    Raises:
        SourceError: the file cannot be read or holds no countries.
    """
    ranges: list[tuple[int, int, str]] = []
    first, last, held = 0, -1, ""
    try:
        with path.open("rb") as file:  # what the system says is clearer than what the reader says
            file.read(1)
        with maxminddb.open_database(str(path)) as reader:
            for network, record in reader:
                code = _country_code(record)
                if code is None:
                    continue
                start = int(network.network_address)
                end = int(network.broadcast_address)
                if code == held and start == last + 1:
                    last = end
                    continue
                if last >= 0:
                    ranges.append((first, last, held))
                first, last, held = start, end, code
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (ValueError, maxminddb.InvalidDatabaseError) as error:
        raise SourceError(f"{path}: not a readable MMDB file (cut short?)") from error
    if last < 0:
        raise SourceError(f"{path}: no country codes in it")
    ranges.append((first, last, held))
    return ranges


def _country_code(record: Any) -> str | None:
    if not isinstance(record, dict):
        return None
    code = record.get("country_code")
    if code is None and isinstance(country := record.get("country"), dict):
        code = country.get("iso_code")
    # As where such a file is plugged in: a code of no country (EU, ZZ) would be neither a country
    # nor unknown to a policy.
    return known(code) if isinstance(code, str) else None


def read_as_ranges(path: Path) -> list[AsRange]:
    """AS ranges of a CSV file `first,last,number,name` (addresses as integers, no header).

    An IPv6 file has numbers of 2**32 and more.

    Raises:
        SourceError: the file cannot be read, has a bad line (the message begins `file:line:`) or
            none at all.
    """
    ranges: list[AsRange] = []

    def take(row: list[str], _number: int) -> None:
        first, last, asn = int(row[0]), int(row[1]), int(row[2])
        if not 0 <= first <= last < 1 << 128 or not 0 < asn < 1 << 32:
            raise ValueError("numbers out of range")
        ranges.append(AsRange(first, last, asn, _org(row[3])))

    read_rows(path, take, form="`first,last,number,name`", binary="is this a CSV file?")
    if not ranges:
        raise SourceError(f"{path}: no range in it")
    return ranges


def _org(name: str) -> str:
    name = " ".join(name.split())
    return name if len(name) <= MAX_ORG else name[: MAX_ORG - 1].rstrip() + "…"


def build(
    *,
    countries: Iterable[tuple[int, int, str]],
    systems: Sequence[AsRange],
    lists: Sequence[FlagList],
    build_epoch: int,
    registered: Iterable[tuple[int, int, str]] = (),
    ranges_by_flag: Mapping[str, Sequence[Range]] = MappingProxyType({}),
    progress: Callable[[str], None] = lambda _step: None,
) -> Built:
    """Compile everything into one MMDB file.

    Apple's relay egress is taken out of `vpn` (published VPN lists contain it): a relay hides the
    street, not the country, and its users are ordinary consumers.

    Args:
        countries, systems: ranges in any order; where some overlap, see `ranges.apart`.
        lists: what flags addresses; several lists may give the same flag.
        build_epoch: Unix seconds for the file's metadata.
        registered: country ranges by where the AS is registered, for what `countries` leaves open;
            see `registered.settled`.
        ranges_by_flag: what else flags addresses, read already.
        progress: told the name of each step.

    Raises:
        SourceError: a list cannot be read or has a bad line.
    """
    progress("reading lists")
    flagged = _flagged(lists, systems, ranges_by_flag)
    progress("merging")
    layers: list[Iterable[tuple[int, int, object]]] = [
        settled(countries, registered),
        apart((r.first, r.last, (r.asn, r.org)) for r in systems),
    ]
    layers += [_marked(flagged[flag]) for flag in NETWORK_FLAGS]
    layers.append(_marked(NOBODY))
    records: list[Value] = []
    index: dict[tuple[object, ...], int] = {}
    ranges: list[tuple[int, int, int]] = []
    for first, last, values in flatten(layers):
        if values[-1]:
            continue
        at = index.get(values)
        if at is None:
            at = index[values] = len(records)
            records.append(_record(values[:-1]))
        ranges.append((first, last, at))
    progress("writing")
    data = write_mmdb(
        ranges,
        records,
        database_type=DATABASE_TYPE,
        description="Country, AS and network flags; attributions in NOTICE",
        build_epoch=build_epoch,
    )
    return Built(
        data=data,
        ranges=len(ranges),
        records=len(records),
        flagged={
            flag: sum(last - first + 1 for first, last in flagged[flag] if last < V4_END)
            for flag in NETWORK_FLAGS
        },
    )


def _flagged(
    lists: Sequence[FlagList], systems: Sequence[AsRange], more: Mapping[str, Sequence[Range]]
) -> dict[str, list[Range]]:
    found: dict[str, list[Range]] = {flag: [*more.get(flag, ())] for flag in NETWORK_FLAGS}
    by_asn: dict[str, set[int]] = {}
    for entry in lists:
        if entry.flag not in found:
            raise SourceError(f"{entry.file}: unknown flag {entry.flag!r}")
        if entry.asns:
            by_asn.setdefault(entry.flag, set()).update(read_asns(Path(entry.file)))
        else:
            found[entry.flag] += read_ranges(Path(entry.file))
    for flag, numbers in by_asn.items():
        found[flag] += [(r.first, r.last) for r in systems if r.asn in numbers]
    found["vpn"] = difference(found["vpn"], found["relay"])
    return {flag: difference(ranges, NOBODY) for flag, ranges in found.items()}


def _marked(ranges: Iterable[Range]) -> list[tuple[int, int, object]]:
    return [(first, last, True) for first, last in ranges]


def _record(values: tuple[object, ...]) -> dict[str, Value]:
    """What a look-up decodes: only what is known, flags as bits in the order of `NETWORK_FLAGS`."""
    country, system, *flags = values
    record: dict[str, Value] = {}
    if isinstance(country, str):
        record["country_code"] = country
    if isinstance(system, tuple):
        record["asn"], record["as_org"] = system
        if not record["as_org"]:
            del record["as_org"]
    bits = sum(1 << at for at, flag in enumerate(flags) if flag)
    if bits:
        record["flags"] = bits
    return record


def merge_flags(ranges: Mapping[str, Sequence[Range]], *, build_epoch: int) -> bytes:
    """An MMDB file of flags alone, from ranges by flag; what `network update` makes of a list.

    Raises:
        ValueError: an unknown flag.
    """
    unknown = sorted(set(ranges) - set(NETWORK_FLAGS))
    if unknown:
        raise ValueError(f"unknown flag {unknown[0]!r}")
    layers: list[Iterable[tuple[int, int, object]]] = [[], []]
    for flag in NETWORK_FLAGS:
        layers.append(_marked(union(ranges.get(flag, ()))))
    records: list[Value] = []
    index: dict[tuple[object, ...], int] = {}
    flat: list[tuple[int, int, int]] = []
    for first, last, values in flatten(layers):
        if values not in index:
            index[values] = len(records)
            records.append(_record(values))
        flat.append((first, last, index[values]))
    return write_mmdb(
        flat,
        records,
        database_type=DATABASE_TYPE,
        description="Network flags from a list",
        build_epoch=build_epoch,
    )
