"""IP2Proxy's CSV files → address ranges by flag: its vendor has no MMDB edition.

Both forms are read: CIDR in the first column (`"192.0.2.0/24","VPN","NL",…`), or first and last
address as integers (`"3221225984","3221226239","VPN",…`; of IPv6 files those of IPv4 are mapped,
`::ffff:0:0/96`). The next column is the type, and no other is used. Types are what `vendors` makes
of the same words in an MMDB: `DCH` is hosting, `CPN` a relay; search engines (`SES`), companies'
own networks (`EPN`), crawlers (`AIC`) and `-` flag nothing.
"""

from __future__ import annotations

from pathlib import Path

from gateway_guard.errors import SourceError
from gateway_guard.network.flags import FLAG_SETS, proxy_type
from gateway_guard.network.lists import too_wide
from gateway_guard.network.ranges import Range, parse_range, union
from gateway_guard.network.rows import read_rows

_END = 1 << 128


def read_ip2proxy(path: Path) -> dict[str, list[Range]]:
    """Flag → disjoint ranges, in order, of the file at `path`; an address may have several flags.

    Raises:
        SourceError: it cannot be read, has a bad line (the message begins `file:line:`), or flags
            nothing.
    """
    found: dict[str, list[Range]] = {}

    def take(row: list[str], number: int) -> None:
        if not row or (number == 1 and not any(map(str.isdigit, row[0]))):
            return  # a line of nothing, or one of names
        where, kind = _row(row)
        for flag in FLAG_SETS[proxy_type(kind)]:
            found.setdefault(flag, []).append(where)

    read_rows(
        path, take, form="`CIDR,type,…` or `first,last,type,…`",
        binary="is it the BIN edition? Fetch the CSV or CIDR one",
    )  # fmt: skip
    if not found:
        raise SourceError(f"{path}: no proxy in it")
    return {flag: union(ranges) for flag, ranges in found.items()}


def _row(row: list[str]) -> tuple[Range, str]:
    """Addresses and type of one line; raises `ValueError` or `IndexError` when it is none."""
    if not row[0].isdigit():
        where, kind = parse_range(row[0]), row[1]
    else:
        where, kind = (_plain(int(row[0])), _plain(int(row[1]))), row[2]
        if not 0 <= where[0] <= where[1] < _END:
            raise ValueError("numbers out of range")
    if proxy_type(kind) and too_wide(where):
        raise ValueError("a large part of the Internet")
    return where, kind


def _plain(number: int) -> int:
    """An IPv4-mapped address as the IPv4 one."""
    return number & 0xFFFFFFFF if number >> 32 == 0xFFFF else number
