"""Text lists: what is read, what is refused, and where the message points."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway_guard.errors import SourceError
from gateway_guard.network import lists
from gateway_guard.network.lists import parse_ranges, read_asns, read_ranges
from gateway_guard.network.ranges import parse_range


def test_the_forms_found_in_the_wild_are_read() -> None:
    source = (
        b"\xef\xbb\xbf# a comment, caf\xe9\n\n192.0.2.1\r\n  198.51.100.0/24  ; note\n"
        b"203.0.113.7:8080\nsocks5://203.0.113.8:1080\nHTTP://203.0.113.9/\n[2001:db8::7]:3128\n"
        b"2001:db8::/32 # v6\n192.0.2.9,SE,example\n2001:db8::5\n10.1.2.3/8\n"
        b"[2001:db8::9]\n"
    )

    found = parse_ranges(source, "x")

    assert found == [
        parse_range(text)
        for text in (
            "192.0.2.1", "198.51.100.0/24", "203.0.113.7", "203.0.113.8", "203.0.113.9",
            "2001:db8::7", "2001:db8::/32", "192.0.2.9",
            "2001:db8::5", "10.0.0.0/8", "2001:db8::9",
        )
    ]  # fmt: skip


def test_a_range_is_from_its_first_to_its_last_address() -> None:
    found = parse_ranges(b"192.0.2.1 - 192.0.2.9\n2001:db8::1-2001:db8::3,x\n1.1.1.1-1.1.1.1", "x")

    assert [(last - first + 1, first & 0xFF) for first, last in found] == [(9, 1), (3, 1), (1, 1)]


def test_of_a_table_the_first_column_is_read() -> None:
    source = (
        b"192.0.2.7\t12\n192.0.2.8\t-\t192.0.2.9\n198.51.100.0/24,198.51.100.9\n192.0.2.1,caf\xe9\n"
        b"192.0.2.1,192.0.2.1,SE\n"
    )

    found = parse_ranges(source, "x")

    assert [last - first + 1 for first, last in found] == [1, 2, 256, 1, 1]


@pytest.mark.parametrize(
    "line", [b"9.0.0.1,9.0.0.9,SE", b'"2a00::1","2a00::9"', b"9.0.0.1\t9.0.0.9"]
)
def test_a_table_of_ranges_is_not_read_as_one_of_their_first_addresses(line: bytes) -> None:
    with pytest.raises(SourceError, match=r"feed:2: .*1' and another address; a range is written"):
        parse_ranges(b"9.0.0.1\n" + line + b"\n", "feed")


@pytest.mark.parametrize(
    "prefixes", [[f"{first}.0.0.0/8" for first in range(1, 66)],
                 [f"{first:x}::/12" for first in range(0x2000, 0x2900, 0x10)]],
)  # fmt: skip
def test_a_list_of_a_large_part_of_the_internet_is_one_of_something_else(
    prefixes: list[str],
) -> None:
    with pytest.raises(SourceError, match="feed: more than a quarter of the Internet"):
        parse_ranges("\n".join(prefixes).encode(), "feed")


def test_all_hosting_there_is_is_no_large_part_of_the_internet() -> None:
    twice = [f"{first}.0.0.0/8" for first in range(1, 65)] * 2

    assert len(parse_ranges("\n".join(twice).encode(), "feed")) == 128


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (b"192.0.2.1\nnonsense\n", "feed:2: 'nonsense' is not an IP address"),
        (b"192.0.2.1\n192.0.2.9 - 192.0.2.1\n", "feed:2: .* does not lead from one address up"),
        (b"192.0.2.0/24-192.0.3.0/24\n", "feed:1: .* does not lead"),
        (b"192.0.2.1-2001:db8::1\n", "feed:1: .* does not lead"),
        (b"192.0.2.1-9\n", "feed:1: '9' is not an IP address"),
        (b"0.0.0.0-9.255.255.255\n", "feed:1: .* large part"),
        (b"ftp://192.0.2.1\n", "feed:1: .* is not an IP address"),
        (b"[192.0.2.1\n", "feed:1: .* is not an IP address"),
        (b"\n\n192.0.2.0/40", "feed:3: prefix length 40"),
        (b"<html>\n", "feed:1: '<html>' is not"),
        (b"192.0.2.1:99999999\n", "feed:1:"),
        (b"192.0.2.1\n\xff\xfe1\n", "feed:2: not ASCII"),
        (b"x" * 5000, "feed:1: line of 5,000 bytes"),
        (b"", "no address in it"),
        (b"# only a comment\n", "no address in it"),
        (b"::/0\n", "feed:1: .*inside IPv6"),
        (b"192.0.2.1\n0.0.0.0/0\n", "feed:2: '0.0.0.0/0' is a large part of the Internet"),
        (b"128.0.0.0/6\n", "feed:1: .*large part"),
        (b"2000::/3\n", "feed:1: .*large part"),
    ],
)
def test_a_bad_line_is_an_error_with_its_place(source: bytes, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        parse_ranges(source, "feed")


def test_too_many_entries_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "MAX_ENTRIES", 3)

    with pytest.raises(SourceError, match=r"x:4: more than 3 entries"):
        parse_ranges(b"192.0.2.1\n" * 4, "x")


def test_too_many_bytes_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "MAX_BYTES", 10)
    file = tmp_path / "big.txt"
    file.write_bytes(b"192.0.2.1\n192.0.2.2\n")

    with pytest.raises(SourceError, match="larger than 10 bytes"):
        read_ranges(file)


def test_a_missing_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"gone\.txt: cannot be read: No such file"):
        read_ranges(tmp_path / "gone.txt")


def test_as_numbers_are_read_in_every_spelling(tmp_path: Path) -> None:
    file = tmp_path / "asn.csv"
    file.write_text('ASN,Entity\nAS64496 # one\n64497,"Two, Inc"\nas64498\n"64499"\n4294967295\n')

    assert read_asns(file) == {64496, 64497, 64498, 64499, 4294967295}


@pytest.mark.parametrize("line", ["AS", "ASx", "0", "4294967296", "99999999999999", "-1", "1.5"])
def test_what_is_no_as_number_is_an_error(tmp_path: Path, line: str) -> None:
    file = tmp_path / "asn.txt"
    file.write_text(f"AS64496\n{line}\n")

    with pytest.raises(SourceError, match=r"asn\.txt:2: .* is not an AS number"):
        read_asns(file)


def test_an_empty_list_of_as_numbers_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "asn.txt"
    file.write_text("ASN\n")

    with pytest.raises(SourceError, match="no AS number"):
        read_asns(file)
