"""Plain-text lists: an address, prefix, range or AS number a line, `#` or `;` starts a comment.

The forms found in the wild are read (`AS` before the number, tables by comma or tab whose first
column it is, host bits behind a prefix, `first-last`, proxies as `address:port` or as URLs);
anything else is an error with its line, because a list that half parses is a list nobody knows.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from gateway_guard.core.address import parse_ip_afresh as parse_ip
from gateway_guard.errors import SourceError
from gateway_guard.network.ranges import V4_END, Range, parse_range, union

#: Most bytes of one list. The largest published ones (all cloud prefixes) have 3 MB.
MAX_BYTES: Final = 64 * 1024 * 1024
#: Most entries of one list.
MAX_ENTRIES: Final = 2_000_000
#: Longest line, in characters, comment included.
MAX_LINE: Final = 1_000
#: Most addresses one entry may name, IPv4 and IPv6: a /7 and a /12. The widest networks that belong
#: to somebody are a /8 and a /16; a damaged list (`0.0.0.0/0`) must not flag everybody.
_WIDEST_V4: Final = 1 << 25
_WIDEST_V6: Final = 1 << 116
#: Most addresses of a whole list, IPv4 and IPv6: a quarter of what there is to announce. All
#: hosting comes to a tenth (405 million); a list of more is one of something else (countries, all
#: routes), and would refuse nearly everybody.
_MOST_V4: Final = 1 << 30
_MOST_V6: Final = 1 << 123

#: Of proxies that are written as URLs.
_SCHEMES: Final = frozenset(("http", "https", "socks4", "socks4a", "socks5", "socks5h"))


def read_ranges(path: Path) -> list[Range]:
    """The ranges a list file names, in the order of the file.

    Raises:
        SourceError: the file cannot be read, is too large, names nothing, or has a bad line; the
            message begins with `file:line:`.
    """
    return parse_ranges(_read(path), str(path))


def parse_ranges(source: bytes, name: str) -> list[Range]:
    """The ranges the list `source` names; `name` stands in the messages of `SourceError`."""
    ranges: list[Range] = []
    for number, word in _words(source, name):
        try:
            found = _range(word)
        except ValueError as error:
            raise SourceError(
                f"{name}:{number}: {error}; one address, CIDR or first-last a line"
            ) from None
        if too_wide(found):
            raise SourceError(
                f"{name}:{number}: {word[:60]!r} is a large part of the Internet; "
                "no list means that"
            )
        ranges.append(found)
    if not ranges:
        raise SourceError(f"{name}: no address in it; an empty list would clear a flag by accident")
    v4, v6 = 0, 0
    for first, last in union(ranges):
        if last < V4_END:
            v4 += last - first + 1
        else:
            v6 += last - first + 1
    if v4 > _MOST_V4 or v6 > _MOST_V6:
        raise SourceError(
            f"{name}: more than a quarter of the Internet; is it a list of countries or routes?"
        )
    return ranges


def too_wide(named: Range) -> bool:
    """Whether one entry names more addresses than anybody has."""
    first, last = named
    return last - first >= (_WIDEST_V4 if last < V4_END else _WIDEST_V6)


def read_asns(path: Path) -> frozenset[int]:
    """The AS numbers a list file names.

    A first line `ASN` (a CSV header) is skipped.

    Raises:
        SourceError: as `read_ranges`.
    """
    name = str(path)
    numbers: set[int] = set()
    for number, word in _words(_read(path), name):
        digits = word[2:] if word[:2].upper() == "AS" else word
        if not (digits.isascii() and digits.isdigit()) or not 0 < int(digits[:11]) < 1 << 32:
            if number == 1 and word.upper() == "ASN":
                continue
            raise SourceError(f"{name}:{number}: {word[:60]!r} is not an AS number")
        numbers.add(int(digits))
    if not numbers:
        raise SourceError(f"{name}: no AS number in it")
    return frozenset(numbers)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            source = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror}") from error
    if len(source) > MAX_BYTES:
        raise SourceError(f"{path}: larger than {MAX_BYTES:,} bytes")
    return source


def _words(source: bytes, name: str) -> list[tuple[int, str]]:
    """What each line says before its comment, with its number from 1."""
    if source[:3] == b"\xef\xbb\xbf":
        source = source[3:]
    words: list[tuple[int, str]] = []
    for number, line in enumerate(source.split(b"\n"), 1):
        if len(line) > MAX_LINE:
            raise SourceError(f"{name}:{number}: line of {len(line):,} bytes; is this a text list?")
        try:
            # Comments may hold any bytes; the part that is read may not.
            word = _entry(line.split(b"#", 1)[0].split(b";", 1)[0])
        except UnicodeDecodeError:
            raise SourceError(f"{name}:{number}: not ASCII text; is this a text list?") from None
        except ValueError as error:
            raise SourceError(f"{name}:{number}: {error}") from None
        if word:
            words.append((number, word))
            if len(words) > MAX_ENTRIES:
                raise SourceError(f"{name}:{number}: more than {MAX_ENTRIES:,} entries")
    return words


def _entry(line: bytes) -> str:
    """The first column of a line; raises `ValueError` where the next one is an address, too.

    That may be the end of a range, or where a proxy comes out: half of it would be flagged, or
    whoever lies between the two.
    """
    columns = line.split(b",", 2)
    if len(columns) == 1 and b"-" not in line:
        columns = line.strip().split(b"\t", 2)
    first, *others = (cell.decode("ascii", "replace").strip().strip('"') for cell in columns[:2])
    if others and others[0] != first and parse_ip(others[0]) and "/" not in first:
        raise ValueError(f"{first[:60]!r} and another address; a range is written first-last")
    return columns[0].decode("ascii").strip().strip('"')


def _range(word: str) -> Range:
    first, dash, last = word.partition("-")
    if not dash:
        return parse_range(without_port(word))
    (low, low_end), (high, high_end) = parse_range(first.strip()), parse_range(last.strip())
    prefixes = low != low_end or high != high_end
    if prefixes or low > high or (low < V4_END) != (high < V4_END):
        raise ValueError(f"{word[:60]!r} does not lead from one address up to another")
    return low, high


def without_port(word: str) -> str:
    """`192.0.2.1` of `192.0.2.1:8080` and `socks5://192.0.2.1:1080`: so lists name proxies."""
    scheme, slashes, rest = word.rpartition("://")
    if slashes and scheme.lower() in _SCHEMES:
        word = rest.removesuffix("/")
    bracketed, closing, behind = word.partition("]")
    if closing and bracketed[:1] == "[":
        address, colon, port = bracketed[1:], behind[:1], behind[1:]
        if not behind and ":" in address:
            return address
    else:
        address, colon, port = word.partition(":")
        if "." not in address:
            return word
    if colon == ":" and port.isascii() and port.isdigit() and len(port) <= 5:
        return address
    return word
