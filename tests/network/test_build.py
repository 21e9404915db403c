"""The compiler of the network database, on small sources with every trap of the large ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway_guard.errors import SourceError
from gateway_guard.network.build import (
    KNOWN_LISTS,
    MAX_ORG,
    AsRange,
    Built,
    FlagList,
    build,
    known_lists,
    merge_flags,
    read_as_ranges,
    read_countries,
)
from gateway_guard.network.database import NetworkDatabase
from gateway_guard.network.mmdb import open_bytes
from gateway_guard.network.ranges import parse_range
from gateway_guard.network.registered import settled
from gateway_guard.network.writer import write_mmdb
from gateway_guard.types import NETWORK_FLAGS, NetworkFacts


def made(
    tmp_path: Path,
    lists: dict[str, str] | None = None,
    *,
    countries: dict[str, str] | None = None,
    registered: dict[str, str] | None = None,
    systems: dict[str, tuple[int, str]] | None = None,
    asns: dict[str, str] | None = None,
) -> Built:
    entries = []
    for kind, texts in ((False, lists or {}), (True, asns or {})):
        for flag, text in texts.items():
            file = tmp_path / f"{flag}-{kind}.txt"
            file.write_text(text)
            entries.append(FlagList(file=str(file), flag=flag, asns=kind))
    return build(
        countries=[(*parse_range(prefix), code) for prefix, code in (countries or {}).items()],
        registered=[(*parse_range(prefix), code) for prefix, code in (registered or {}).items()],
        systems=[
            AsRange(*parse_range(prefix), asn, org)
            for prefix, (asn, org) in (systems or {}).items()
        ],
        lists=entries,
        build_epoch=1_772_452_800,
    )


def ask(tmp_path: Path, built: Built, ip: str) -> NetworkFacts:
    file = tmp_path / "built.mmdb"
    file.write_bytes(built.data)
    return NetworkDatabase([file]).lookup(ip)


def test_overlapping_lists_merge_their_flags(tmp_path: Path) -> None:
    built = made(
        tmp_path,
        {"hosting": "9.0.0.0/8\n", "vpn": "9.1.0.0/16\n9.1.2.0/24\n", "tor": "9.1.2.3\n"},
        countries={"9.0.0.0/9": "SE"},
        systems={"9.1.0.0/17": (64496, "Example")},
    )

    assert ask(tmp_path, built, "9.1.2.3") == NetworkFacts(
        country="SE", asn=64496, as_org="Example", flags=frozenset({"hosting", "tor", "vpn"})
    )
    assert ask(tmp_path, built, "9.1.2.4").flags == {"hosting", "vpn"}
    assert ask(tmp_path, built, "9.1.200.1") == NetworkFacts(
        country="SE", flags=frozenset({"hosting", "vpn"})
    )
    assert ask(tmp_path, built, "9.200.0.1") == NetworkFacts(flags=frozenset({"hosting"}))
    assert ask(tmp_path, built, "11.0.0.1") == NetworkFacts()


def test_the_relay_is_taken_out_of_the_vpn_list(tmp_path: Path) -> None:
    built = made(tmp_path, {"vpn": "9.0.0.0/24\n", "relay": "9.0.0.64/26\n2a00::/32\n"})

    assert ask(tmp_path, built, "9.0.0.1").flags == {"vpn"}
    assert ask(tmp_path, built, "9.0.0.65").flags == {"relay"}
    assert built.flagged == {
        "hosting": 0, "proxy": 0, "relay": 64, "residential": 0, "tor": 0, "vpn": 192,
    }  # fmt: skip


def test_lists_of_as_numbers_flag_what_the_as_announces(tmp_path: Path) -> None:
    built = made(
        tmp_path,
        asns={"hosting": "AS64496 # cloud\n"},
        systems={
            "9.0.0.0/24": (64496, "Cloud"),
            "9.0.1.0/24": (64497, ""),
            "2a00::/32": (64496, "Cloud"),
        },
    )

    assert ask(tmp_path, built, "9.0.0.1").flags == {"hosting"}
    assert ask(tmp_path, built, "2a00::1").flags == {"hosting"}
    assert ask(tmp_path, built, "9.0.1.1") == NetworkFacts(asn=64497)


@pytest.mark.parametrize(
    "ip",
    ["192.168.1.1", "10.0.0.1", "203.0.113.1", "192.88.99.1", "2002:a00:1::", "2001:db8::1",
     "2001:10::1", "2001:1ff::1", "3fff::1", "100:0:0:1::1", "5f00::1", "fd00::1", "fec0::1"],
)  # fmt: skip
def test_what_sources_say_of_nobodys_addresses_is_dropped(tmp_path: Path, ip: str) -> None:
    built = made(
        tmp_path,
        {"hosting": "192.168.0.0/16\n2001:db8::/32\n203.0.0.0/16\n"},
        countries={
            "8.0.0.0/6": "US",
            "192.0.0.0/8": "AU",
            "100::/8": "US",
            "2000::/3": "US",
            "5f00::/8": "US",
            "fc00::/6": "US",
        },
        systems={"203.0.0.0/8": (64496, "Example")},
    )

    assert ask(tmp_path, built, ip) == NetworkFacts()


def test_the_same_sources_give_the_same_bytes(tmp_path: Path) -> None:
    lists = {"hosting": "9.0.0.0/8\n", "vpn": "9.1.0.0/16\n", "tor": "2a00::1\n"}

    once = made(tmp_path, lists, countries={"9.0.0.0/8": "SE"})
    twice = made(tmp_path, dict(reversed(lists.items())), countries={"9.0.0.0/8": "SE"})

    assert once.data == twice.data


V4_RANGES = st.lists(
    st.tuples(st.integers(0, 255), st.integers(24, 32)).map(lambda p: f"9.9.9.{p[0]}/{p[1]}"),
    max_size=5,
)


@given(
    st.fixed_dictionaries({}, optional=dict.fromkeys(("vpn", "tor", "proxy", "hosting"), V4_RANGES))
)
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_each_address_has_exactly_the_flags_of_the_lists_that_name_it(
    tmp_path: Path, lists: dict[str, list[str]]
) -> None:
    named = {flag: prefixes for flag, prefixes in lists.items() if prefixes}

    built = made(tmp_path, {flag: "\n".join(prefixes) for flag, prefixes in named.items()})

    reader = open_bytes(built.data, "x").reader if named else None
    base = parse_range("9.9.9.0")[0]
    for last in range(0, 256, 5):
        expected = {
            flag
            for flag, prefixes in named.items()
            if any(a <= base + last <= b for a, b in map(parse_range, prefixes))
        }
        record: Any = reader.get(f"9.9.9.{last}") if reader is not None else None
        bits = record["flags"] if record else 0
        found = {flag for at, flag in enumerate(NETWORK_FLAGS) if bits & 1 << at}
        assert found == expected


def test_known_lists_are_found_by_name(tmp_path: Path) -> None:
    (tmp_path / "x4b_vpn.txt").write_text("9.0.0.0/8\n")
    (tmp_path / "la_apple_relay.txt").write_text("9.0.0.0/24\n")
    (tmp_path / "readme.txt").write_text("hello\n")

    found = known_lists(tmp_path)

    assert [(Path(entry.file).name, entry.flag) for entry in found] == [
        ("x4b_vpn.txt", "vpn"),
        ("la_apple_relay.txt", "relay"),
    ]


def test_a_folder_without_known_lists_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="none of the known lists"):
        known_lists(tmp_path)


def test_no_list_that_flags_mobile_carriers_is_built_in() -> None:
    assert not [entry for entry in KNOWN_LISTS if "brianhama" in entry.file]
    assert {entry.flag for entry in KNOWN_LISTS} <= set(NETWORK_FLAGS)


def test_an_unknown_flag_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="unknown flag 'vnp'"):
        made(tmp_path, {"vnp": "9.0.0.0/8\n"})
    with pytest.raises(ValueError, match="unknown flag 'vnp'"):
        merge_flags({"vnp": []}, build_epoch=1)


def test_countries_are_read_from_both_shapes_and_joined(tmp_path: Path) -> None:
    records: list[Any] = [
        {"country_code": "SE"},
        {"country": {"iso_code": "SE"}},
        {"country_code": "-"},
        "text",
        {"country": {"iso_code": "NO"}},
        {"country_code": "EU"},
        {"country_code": "UK"},
    ]
    data = write_mmdb(
        [(*parse_range(f"9.0.{at}.0/24"), at) for at in range(len(records))],
        records, database_type="t", description="", build_epoch=1,
    )  # fmt: skip
    file = tmp_path / "c.mmdb"
    file.write_bytes(data)

    found = read_countries(file)

    assert found == [
        (*parse_range("9.0.0.0/23"), "SE"),
        (*parse_range("9.0.4.0/24"), "NO"),
        (*parse_range("9.0.6.0/24"), "GB"),
    ]


@pytest.mark.parametrize("content", [b"", b"not a database"])
def test_a_country_file_that_is_none_is_an_error(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "c.mmdb"
    file.write_bytes(content)

    with pytest.raises(SourceError, match=r"c\.mmdb: not a readable MMDB"):
        read_countries(file)


def test_a_country_file_without_countries_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "c.mmdb"
    file.write_bytes(merge_flags({"tor": [parse_range("9.9.9.9")]}, build_epoch=1))

    with pytest.raises(SourceError, match="no country codes"):
        read_countries(file)


def test_as_ranges_are_read_from_csv(tmp_path: Path) -> None:
    file = tmp_path / "asn.csv"
    name = "An Operator " * 20
    file.write_text(f'16777216,16777471,13335,"Cloudflare, Inc."\n4294967296,4294967300,1,{name}\n')

    first, second = read_as_ranges(file)

    assert first == AsRange(16777216, 16777471, 13335, "Cloudflare, Inc.")
    assert len(second.org) <= MAX_ORG
    assert second.org.endswith("…")


@pytest.mark.parametrize("row", ["1,2,3", "x,2,3,n", "9,2,3,n", "1,2,0,n", "1,2,9999999999,n", '"'])
def test_a_bad_as_row_is_an_error_with_its_place(tmp_path: Path, row: str) -> None:
    file = tmp_path / "asn.csv"
    file.write_text(f"1,2,3,name\n{row}\n")

    with pytest.raises(SourceError, match=r"asn\.csv:2: not `first,last,number,name`"):
        read_as_ranges(file)


def test_an_as_file_without_a_range_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "asn.csv"
    file.touch()

    with pytest.raises(SourceError, match=r"asn\.csv: no range in it"):
        read_as_ranges(file)


def test_an_as_file_that_is_no_text_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "asn.csv"
    file.write_bytes(b"\xff\xfe\x00")

    with pytest.raises(SourceError, match=r"asn\.csv: not text in UTF-8"):
        read_as_ranges(file)


def test_a_country_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="none: cannot be read: No such file or directory"):
        read_countries(tmp_path / "none")
    with pytest.raises(SourceError, match="cannot be read: Is a directory"):
        read_countries(tmp_path)


def test_a_missing_as_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="cannot be read"):
        read_as_ranges(tmp_path / "none.csv")


def test_a_range_within_another_takes_nothing_of_it_but_its_own(tmp_path: Path) -> None:
    built = made(
        tmp_path,
        countries={"8.0.0.0/8": "US", "8.8.8.0/24": "SE"},
        systems={"8.0.0.0/8": (1, "A"), "8.8.0.0/16": (2, "B")},
    )

    answers = [ask(tmp_path, built, ip) for ip in ("8.1.1.1", "8.8.8.8", "8.8.9.9", "8.200.1.1")]

    assert [facts.country for facts in answers] == ["US", "SE", "US", "US"]
    assert [facts.asn for facts in answers] == [1, 2, 2, 1]


def test_where_an_as_is_registered_answers_only_what_its_users_place_leaves_open(
    tmp_path: Path,
) -> None:
    built = made(
        tmp_path,
        countries={"9.0.0.0/24": "SE", "9.0.2.0/24": "MU", "9.0.3.0/24": "MU", "2c0f::/32": "MU"},
        registered={
            "9.0.0.0/22": "US", "9.0.3.0/24": "MU", "2a00::/32": "US", "2c0f::/31": "ZA",
        },
    )  # fmt: skip

    answers = {
        ip: ask(tmp_path, built, ip).country
        for ip in ("9.0.0.1", "9.0.1.1", "9.0.2.1", "9.0.3.1", "2a00::1", "2c0f::1", "2c0f:1::1")
    }

    assert answers == {
        "9.0.0.1": "SE",
        "9.0.1.1": "US",  # nobody else says
        "9.0.2.1": "US",  # only where AFRINIC has its office
        "9.0.3.1": "MU",  # somebody of Mauritius
        "2a00::1": "US",
        "2c0f::1": "MU",  # of IPv6 it is right
        "2c0f:1::1": "ZA",
    }


def test_neighbours_that_come_to_one_country_are_one_range() -> None:
    used = [(100, 199, "US"), (200, 299, "MU"), (400, 499, "SE")]

    assert settled(used, [(200, 399, "US")]) == [(100, 399, "US"), (400, 499, "SE")]
