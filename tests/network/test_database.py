"""The network database: the bundled file, layers over it, reload and faults."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.errors import SourceError
from gateway_guard.network.base import Network
from gateway_guard.network.database import NetworkDatabase, Source, bundled_path
from gateway_guard.network.ranges import parse_range
from gateway_guard.network.unknown import NoNetwork
from gateway_guard.network.writer import Value, write_mmdb
from gateway_guard.types import NetworkFacts

FIXTURES = Path(__file__).parent / "fixtures"
UNKNOWN = NetworkFacts(known=False)


def write(path: Path, entries: dict[str, Value], *, ip_version: int = 6) -> Path:
    ranges = sorted((*parse_range(prefix), at) for at, prefix in enumerate(entries))
    data = write_mmdb(
        ranges, list(entries.values()), database_type="test", description="", build_epoch=1,
        ip_version=ip_version,
    )  # fmt: skip
    swap(path, data)
    return path


def swap(path: Path, data: bytes) -> None:
    """Replace the file as an updater does: whole, under a new inode."""
    fresh = path.with_suffix(".new")
    fresh.write_bytes(data)
    fresh.replace(path)


@pytest.fixture(scope="module")
def bundled() -> NetworkDatabase:
    return NetworkDatabase.bundled()


def test_the_bundle_answers_offline(bundled: NetworkDatabase) -> None:
    facts = bundled.lookup("8.8.8.8")

    assert facts == NetworkFacts(
        country="US", asn=15169, as_org="Google LLC", flags=frozenset({"hosting"})
    )


def test_the_bundle_answers_ipv6(bundled: NetworkDatabase) -> None:
    assert bundled.lookup("2001:4860:4860::8888").asn == 15169


@pytest.mark.parametrize(
    "spelling",
    ["::ffff:8.8.8.8", "2002:808:808::1", "64:ff9b::8.8.8.8", "2001::f7f7:f7f7", "::8.8.8.8"],
)
def test_every_spelling_of_an_address_has_the_same_facts(
    bundled: NetworkDatabase, spelling: str
) -> None:
    assert bundled.lookup(spelling) == bundled.lookup("8.8.8.8")


@pytest.mark.parametrize(
    "ip", ["10.0.0.1", "192.168.1.1", "127.0.0.1", "203.0.113.7", "2001:db8::1", "::1", "fe80::1"]
)
def test_the_bundle_says_nothing_of_addresses_that_are_nobodys(
    bundled: NetworkDatabase, ip: str
) -> None:
    assert bundled.lookup(ip) == NetworkFacts()


@pytest.mark.parametrize("text", ["", "x", "8.8.2056", "0x08080808", "8.8.8.8 ", "1" * 100_000])
def test_what_is_no_address_is_unknown(bundled: NetworkDatabase, text: str) -> None:
    assert bundled.lookup(text) == UNKNOWN


@given(st.text(max_size=60))
def test_a_lookup_never_raises(text: str) -> None:
    facts = _SHARED.lookup(text)

    assert isinstance(facts, NetworkFacts)


@given(st.ip_addresses())
def test_every_address_has_an_answer(ip: object) -> None:
    facts = _SHARED.lookup(str(ip))

    assert facts.known
    assert facts.country is None or len(facts.country) == 2


_SHARED = NetworkDatabase.bundled()


@pytest.mark.parametrize(
    ("ip", "country"),
    [
        ("154.24.0.1", "US"), ("154.5.0.1", "CA"), ("41.160.0.1", "ZA"),  # not AFRINIC's office
        ("197.224.0.1", "MU"), ("102.112.0.1", "MU"),  # people of Mauritius
        ("2c0f:f800::1", "ZA"), ("2c0f:fab0::1", "TN"),  # where the source is silent
        ("1.1.1.1", "AU"), ("24.48.0.1", "CA"),
    ],
)  # fmt: skip
def test_the_bundle_places_addresses_where_they_are_used(
    bundled: NetworkDatabase, ip: str, country: str
) -> None:
    assert bundled.lookup(ip).country == country


def test_the_bundle_keeps_relays_apart_from_vpns(bundled: NetworkDatabase) -> None:
    relay = bundled.lookup("104.28.28.1")

    assert "relay" in relay.flags
    assert "vpn" not in relay.flags


def test_the_bundle_merges_flags_of_overlapping_lists(bundled: NetworkDatabase) -> None:
    assert bundled.lookup("5.2.67.226").flags == {"hosting", "tor"}


def test_the_bundle_fits_a_wheel_and_names_its_sources() -> None:
    notice = bundled_path().with_name("NOTICE").read_text()

    assert bundled_path().stat().st_size <= 18_000_000
    for source in ("X4BNet", "lord-alfred", "alireza", "monosans", "ip-location-db",
                   "Number Resource Organization", "RouteViews", "https://db-ip.com"):  # fmt: skip
        assert source in notice


def test_the_bundle_was_built_on_the_day_its_notice_says() -> None:
    built = NetworkDatabase.bundled().describe()[0]["built"]

    assert f"build date {built}" in bundled_path().with_name("NOTICE").read_text()


def test_an_own_file_goes_before_the_bundle(tmp_path: Path) -> None:
    own = write(tmp_path / "own.mmdb", {"8.8.8.0/24": {"country_code": "SE"}})

    facts = NetworkDatabase.bundled([own]).lookup("8.8.8.8")

    assert (facts.country, facts.asn, facts.flags) == ("SE", 15169, frozenset({"hosting"}))


def test_flags_of_all_files_are_joined(tmp_path: Path) -> None:
    first = write(tmp_path / "a.mmdb", {"192.0.2.0/24": {"vpn": True, "tor": False}})
    second = write(tmp_path / "b.mmdb", {"192.0.2.0/25": {"is_tor": True}})

    database = NetworkDatabase([first, second])

    assert database.lookup("192.0.2.1").flags == {"vpn", "tor"}
    assert database.lookup("192.0.2.200").flags == {"vpn"}


def test_the_first_file_that_knows_a_fact_wins(tmp_path: Path) -> None:
    first = write(tmp_path / "a.mmdb", {"192.0.2.0/24": {"country_code": "-", "asn": 1}})
    second = write(
        tmp_path / "b.mmdb",
        {"192.0.2.0/24": {"country_code": "SE", "asn": 2, "as_name": "Two"}},
    )

    facts = NetworkDatabase([first, second]).lookup("192.0.2.1")

    assert (facts.country, facts.asn, facts.as_org) == ("SE", 1, None)


def test_an_authoritative_file_has_the_last_word_on_what_it_holds(tmp_path: Path) -> None:
    own = write(tmp_path / "own.mmdb", {"192.0.2.0/24": {"vpn": True, "hosting": False}})

    database = NetworkDatabase.bundled([f"authoritative={own}"])

    facts = database.lookup("8.8.8.8")
    assert facts.flags == frozenset()
    assert facts.country == "US"
    assert database.lookup("192.0.2.1").flags == {"vpn"}


def test_a_text_list_flags_addresses(tmp_path: Path) -> None:
    exits = tmp_path / "exits.txt"
    exits.write_text("# exits\n203.0.113.7\n2001:db8::/48\n")

    database = NetworkDatabase.bundled([f"tor={exits}"])

    assert database.lookup("203.0.113.7").flags == {"tor"}
    assert database.lookup("2001:db8::1").flags == {"tor"}
    assert database.lookup("203.0.113.8").flags == frozenset()


def test_a_folder_stands_for_the_databases_in_it(tmp_path: Path) -> None:
    write(tmp_path / "b.mmdb", {"192.0.2.0/24": {"country_code": "SE"}})
    write(tmp_path / "a.mmdb", {"192.0.2.0/25": {"country_code": "NO"}})
    (tmp_path / "a.json").write_text("{}")
    (tmp_path / ".a.mmdb.x.partial").write_bytes(b"half")
    database = NetworkDatabase([tmp_path])

    write(tmp_path / "c.mmdb", {"198.51.100.0/24": {"country_code": "FI"}})
    reloaded = database.reload()

    assert reloaded
    assert database.lookup("192.0.2.1").country == "NO"
    assert database.lookup("192.0.2.200").country == "SE"
    assert database.lookup("198.51.100.1").country == "FI"


def test_an_ipv4_file_asked_for_ipv6_is_passed_over(tmp_path: Path) -> None:
    v4 = write(tmp_path / "v4.mmdb", {"192.0.2.0/24": {"country_code": "SE"}}, ip_version=4)

    alone = NetworkDatabase([v4])
    layered = NetworkDatabase.bundled([v4])

    assert alone.lookup("192.0.2.1").country == "SE"
    assert alone.lookup("::ffff:192.0.2.1").country == "SE"
    assert alone.lookup("2001:4860:4860::8888") == UNKNOWN
    assert layered.lookup("2001:4860:4860::8888").asn == 15169


def test_a_list_of_vpns_that_holds_a_relay_refuses_nobody_who_calls_through_it(
    tmp_path: Path, bundled: NetworkDatabase
) -> None:
    # X4BNet's list of VPNs has all of Apple's relay in it; fetched afresh it lies over the bundle.
    fresh = tmp_path / "vpn.txt"
    fresh.write_text("172.224.0.0/12\n2a02:26f7::/32\n192.0.2.0/24\n")
    layered = NetworkDatabase.bundled([f"vpn={fresh}"])

    found = [layered.lookup(ip).flags for ip in ("172.226.45.1", "2a02:26f7:c000::1", "192.0.2.1")]

    assert "relay" in bundled.lookup("172.226.45.1").flags
    assert found == [{"hosting", "relay"}, {"hosting", "relay"}, {"vpn"}]


def test_a_vendor_file_layers_over_the_bundle() -> None:
    database = NetworkDatabase.bundled([FIXTURES / "maxmind/GeoIP2-Anonymous-IP-Test.mmdb"])

    assert database.lookup("1.124.213.1").flags >= {"tor", "vpn"}
    assert database.lookup("1.124.213.1").country == "AU"
    assert database.lookup("71.160.223.9").flags == {"hosting"}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("a.mmdb", Source(path=Path("a.mmdb"))),
        ("tor=a.txt", Source(path=Path("a.txt"), flag="tor")),
        ("authoritative=a.mmdb", Source(path=Path("a.mmdb"), authoritative=True)),
        ("authoritative,vpn=a", Source(path=Path("a"), authoritative=True, flag="vpn")),
        ("strange=a.mmdb", Source(path=Path("strange=a.mmdb"))),
        ("./tor=a.txt", Source(path=Path("tor=a.txt"))),
        (Path("x/y"), Source(path=Path("x/y"))),
    ],
)
def test_a_source_is_spelled_in_one_word(spec: str | Path, expected: Source) -> None:
    assert Source.parse(spec) == expected


@pytest.mark.parametrize("spec", ["", "tor=", "authoritative=", "tor,vpn=a.txt"])
def test_a_source_without_sense_is_an_error(spec: str) -> None:
    with pytest.raises(SourceError, match="write PATH"):
        Source.parse(spec)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("maxmind/GeoIP2-City-Test-Broken-Double-Format.mmdb", "damaged record"),
        ("maxmind/GeoIP2-Domain-Test.mmdb", "'GeoIP2-Domain' tells no country"),
        ("maxmind/none.mmdb", "No such file"),
    ],
)
def test_a_file_that_cannot_be_used_stops_the_start(name: str, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        NetworkDatabase.bundled([FIXTURES / name])


def test_a_lenient_start_says_what_is_missing_and_goes_on() -> None:
    broken = FIXTURES / "maxmind/GeoIP2-City-Test-Broken-Double-Format.mmdb"

    database = NetworkDatabase.bundled([broken], strict=False)

    assert "damaged record" in database.describe()[0]["error"]
    assert database.lookup("8.8.8.8").country == "US"


def test_no_file_at_all_is_unknown() -> None:
    assert NetworkDatabase([]).lookup("8.8.8.8") == UNKNOWN


def test_a_replaced_file_is_read_again(tmp_path: Path) -> None:
    path = write(tmp_path / "x.mmdb", {"192.0.2.0/24": {"country_code": "SE"}})
    database = NetworkDatabase([path])
    before = database.lookup("192.0.2.1").country
    write(path, {"192.0.2.0/24": {"country_code": "NO"}})

    unreloaded = database.lookup("192.0.2.1").country
    reloaded = database.reload()

    assert reloaded
    assert (before, unreloaded, database.lookup("192.0.2.1").country) == ("SE", "SE", "NO")


@pytest.mark.parametrize("damage", ["truncated", "garbage", "empty", "missing", "folder"])
def test_a_broken_replacement_keeps_the_last_good_file(tmp_path: Path, damage: str) -> None:
    path = write(tmp_path / "x.mmdb", {"192.0.2.0/24": {"country_code": "SE"}})
    good = path.read_bytes()
    database = NetworkDatabase([path])
    if damage == "truncated":
        os.truncate(path, len(good) // 2)
    elif damage == "missing":
        path.unlink()
    elif damage == "folder":
        path.unlink()
        path.mkdir()
    else:
        swap(path, b"garbage" * 100 if damage == "garbage" else b"")

    reloaded = database.reload()

    assert not reloaded
    assert database.lookup("192.0.2.1").country == "SE"
    assert database.describe()[0]["error"]
    assert not database.reload()

    if damage == "folder":
        path.rmdir()
    swap(path, good)

    assert database.reload()
    assert database.describe()[0]["error"] is None


def test_a_file_that_could_not_be_read_is_tried_again_although_it_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The guard may have had no descriptor left: nothing of that shows in the file."""
    path = write(tmp_path / "x.mmdb", {"192.0.2.0/24": {"country_code": "SE"}})
    database = NetworkDatabase([path])
    write(path, {"192.0.2.0/24": {"country_code": "NO"}})

    def refuse(_path: Path) -> None:
        raise SourceError(f"{path}: cannot be read: Too many open files")

    with monkeypatch.context() as full:
        full.setattr("gateway_guard.network.database.open_file", refuse)
        kept = database.reload()

    assert not kept
    assert database.reload()
    assert database.lookup("192.0.2.1").country == "NO"


@pytest.mark.parametrize("damage", ["gone", "emptied"])
def test_a_folder_that_goes_away_takes_no_answer_with_it(tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "feeds"
    folder.mkdir()
    path = write(folder / "tor.mmdb", {"192.0.2.0/24": {"flags": 16}})
    good = path.read_bytes()
    database = NetworkDatabase([folder])
    path.unlink()
    if damage == "gone":
        folder.rmdir()

    reloaded = database.reload()

    assert not reloaded
    assert database.lookup("192.0.2.1").flags == {"tor"}
    assert "tor.mmdb: cannot be read: No such file" in database.describe()[0]["error"]
    folder.mkdir(exist_ok=True)
    (folder / "vpn.mmdb").write_bytes(good)
    assert database.reload()
    assert [entry["path"] for entry in database.describe()] == [str(folder / "vpn.mmdb")]


def test_a_folder_with_nothing_in_it_is_said_and_waits_to_be_filled(tmp_path: Path) -> None:
    database = NetworkDatabase.bundled([tmp_path])

    said = database.describe()[0]["error"]
    write(tmp_path / "tor.mmdb", {"8.8.8.0/24": {"flags": 16}})

    assert said.endswith(
        "no .mmdb file in this folder; `gateway-guard network update --dir` fills it"
    )
    assert database.reload()
    assert "tor" in database.lookup("8.8.8.8").flags


def test_the_log_says_what_became_of_a_replaced_file(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    path = write(tmp_path / "x.mmdb", {"192.0.2.0/24": {"country_code": "SE"}})
    good = path.read_bytes()
    database = NetworkDatabase([path])

    swap(path, b"garbage" * 100)
    database.reload()
    path.unlink()
    database.reload()
    swap(path, good)
    database.reload()

    failed, gone, back = caplog.messages
    assert failed.startswith("network_reload_failed kept=")
    assert f"reason={path}: not a readable MMDB file" in failed
    assert f"reason={path}: cannot be read: No such file" in gone
    assert back.startswith(f"network_reloaded file={path} built=")


def test_the_log_says_what_a_file_of_another_kind_tells_no_longer(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "anonymous.mmdb"
    swap(path, (FIXTURES / "maxmind" / "GeoIP2-Anonymous-IP-Test.mmdb").read_bytes())
    database = NetworkDatabase([path])

    swap(path, (FIXTURES / "maxmind" / "GeoIP2-Country-Test.mmdb").read_bytes())

    assert database.reload()
    (line,) = [line for line in caplog.messages if "network_tells_less" in line]
    assert f"file={path} " in line
    assert "no_longer=network: " in line


def test_an_unchanged_file_is_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "x.mmdb", {"192.0.2.0/24": {"country_code": "SE"}})
    database = NetworkDatabase([path])

    def refuse(_path: Path) -> None:
        raise AssertionError("read again")

    monkeypatch.setattr("gateway_guard.network.database.open_file", refuse)

    assert database.reload()


class _Broken:
    """A reader that fails as the C reader does on a damaged record."""

    def get(self, _ip: str) -> Any:
        raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")


def _damage(database: NetworkDatabase, at: int) -> None:
    layer = list(database._layers.values())[at]
    assert layer.opened is not None
    from msgspec.structs import replace

    from gateway_guard.network import database as module

    layer.opened = replace(layer.opened, reader=_Broken())
    database._cached = module._answerer(list(database._layers.values()))


def test_a_record_that_cannot_be_read_is_unknown_and_counted(tmp_path: Path) -> None:
    database = NetworkDatabase(
        [write(tmp_path / "x.mmdb", {"192.0.2.0/24": {"country_code": "SE"}})]
    )
    _damage(database, 0)

    facts = database.lookup("192.0.2.1")

    assert facts == UNKNOWN
    assert database.describe()[0]["failed_lookups"] == 1


def test_another_file_stands_in_for_one_that_fails(tmp_path: Path) -> None:
    own = write(tmp_path / "x.mmdb", {"8.8.8.0/24": {"country_code": "SE"}})
    database = NetworkDatabase.bundled([own])
    _damage(database, 0)

    facts = database.lookup("8.8.8.8")

    assert (facts.known, facts.country) == (True, "US")
    assert database.describe()[0]["failed_lookups"] == 1


def test_flags_nobody_else_holds_make_the_answer_unknown(tmp_path: Path) -> None:
    flags = write(tmp_path / "f.mmdb", {"192.0.2.0/24": {"vpn": True}})
    country = write(tmp_path / "c.mmdb", {"192.0.2.0/24": {"country_code": "SE"}})
    database = NetworkDatabase([flags, country])
    _damage(database, 0)

    assert database.lookup("192.0.2.1") == UNKNOWN


def test_a_nonsense_build_date_does_not_break_the_description(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    data = write_mmdb(
        [(*parse_range("192.0.2.0/24"), 0)], [{"country_code": "SE"}],
        database_type="t", description="", build_epoch=2**64 - 1,
    )  # fmt: skip
    path = tmp_path / "x.mmdb"
    path.write_bytes(data)

    assert NetworkDatabase([path]).describe()[0]["built"] is None


def test_the_description_is_enough_for_a_health_check(bundled: NetworkDatabase) -> None:
    entry = bundled.describe()[0]

    assert entry["holds"] == ["country", "asn", "network"]
    assert entry["error"] is None
    assert len(entry["sha256"]) == 64


def test_no_network_knows_nothing() -> None:
    network: Network = NoNetwork()

    assert network.lookup("8.8.8.8") == UNKNOWN
    assert network.reload()
    assert network.describe() == []


def test_a_misspelt_flag_in_front_of_a_list_is_named() -> None:
    with pytest.raises(SourceError) as caught:
        NetworkDatabase(["vpnn=exits.txt"])

    assert "'vpnn' in front of `=` is none of authoritative, hosting, proxy" in str(caught.value)
