"""Every vendor's records in our words, read from the vendors' own sample files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.network.flags import FLAG_SETS
from gateway_guard.network.mmdb import open_file
from gateway_guard.network.vendors import ASN, COUNTRY, FLAGS, Adapter, Reading, recognise

FIXTURES = Path(__file__).parent / "fixtures"


def read(name: str, ip: str) -> tuple[str | None, int | None, str | None, list[str]]:
    """What the file `name` says of `ip`, flags as sorted words."""
    opened = open_file(FIXTURES / name)
    adapter = recognise(opened.database_type, opened.sample)
    assert adapter is not None
    record = opened.reader.get(ip)
    assert record is not None
    country, asn, org, bits = adapter.read(record)
    return country, asn, org, sorted(FLAG_SETS[bits])


@pytest.mark.parametrize(
    ("name", "holds"),
    [
        ("maxmind/GeoIP2-Country-Test.mmdb", COUNTRY),
        ("maxmind/GeoIP2-City-Test.mmdb", COUNTRY),
        ("maxmind/GeoIP2-Enterprise-Test.mmdb", COUNTRY | ASN | FLAGS),
        ("maxmind/GeoIP2-ISP-Test.mmdb", ASN),
        ("maxmind/GeoLite2-ASN-Test.mmdb", ASN),
        ("maxmind/GeoIP2-Anonymous-IP-Test.mmdb", FLAGS),
        ("maxmind/GeoIP-Anonymous-Plus-Test.mmdb", FLAGS),
        ("maxmind/GeoIP2-IP-Risk-Test.mmdb", FLAGS),
        ("maxmind/GeoIP-Residential-Proxy-Test.mmdb", FLAGS),
        ("ipinfo/ipinfo_lite_sample.mmdb", COUNTRY | ASN),
        ("ipinfo/ip_country_asn_sample.mmdb", COUNTRY | ASN),
        ("ipinfo/ip_country_sample.mmdb", COUNTRY),
        ("ipinfo/ip_asn_sample.mmdb", ASN),
        ("ipinfo/ipinfo_asn_sample.mmdb", ASN | FLAGS),
        ("ipinfo/ipinfo_core_sample.mmdb", COUNTRY | ASN | FLAGS),
        ("ipinfo/ipinfo_plus_sample.mmdb", COUNTRY | ASN | FLAGS),
        ("ipinfo/ipinfo_privacy_sample.mmdb", FLAGS),
        ("ipinfo/ipinfo_privacy_extended_sample.mmdb", FLAGS),
        ("ipinfo/privacy_detection_sample.mmdb", FLAGS),
        ("ipinfo/privacy_detection_extended_sample.mmdb", FLAGS),
        ("ipinfo/ip_residential_proxy_sample.mmdb", FLAGS),
    ],
)
def test_a_file_is_known_by_what_it_holds(name: str, holds: int) -> None:
    opened = open_file(FIXTURES / name)

    adapter = recognise(opened.database_type, opened.sample)

    assert adapter is not None
    assert adapter.holds == holds


@pytest.mark.parametrize(
    "name",
    ["GeoIP2-Domain-Test", "MaxMind-DB-test-decoder", "MaxMind-DB-string-value-entries"],
)
def test_a_file_about_something_else_is_not_recognised(name: str) -> None:
    opened = open_file(FIXTURES / "maxmind" / f"{name}.mmdb")

    assert recognise(opened.database_type, opened.sample) is None


@pytest.mark.parametrize(
    ("name", "ip", "expected"),
    [
        # where the address is, not where its block was registered
        ("maxmind/GeoIP2-Country-Test.mmdb", "81.2.69.160", ("GB", None, None, [])),
        ("maxmind/GeoIP2-City-Test.mmdb", "2.125.160.216", ("GB", None, None, [])),
        ("maxmind/GeoIP2-City-Test.mmdb", "67.43.156.1", ("BT", None, None, [])),
        ("maxmind/GeoIP2-Country-Test.mmdb", "2001:218::1", ("JP", None, None, [])),
        # AS numbers nested and not; an AS without a name
        (
            "maxmind/GeoIP2-Enterprise-Test.mmdb",
            "74.209.24.0",
            ("US", 14671, "FairPoint Communications", []),
        ),
        ("maxmind/GeoIP2-ISP-Test.mmdb", "12.87.118.0", (None, 7018, None, [])),
        ("maxmind/GeoLite2-ASN-Test.mmdb", "1.128.0.0", (None, 1221, "Telstra Pty Ltd", [])),
        # anonymous networks; `is_anonymous` alone is nothing
        ("maxmind/GeoIP2-Anonymous-IP-Test.mmdb", "1.2.3.4", (None, None, None, ["vpn"])),
        (
            "maxmind/GeoIP2-Anonymous-IP-Test.mmdb",
            "1.124.213.1",
            (None, None, None, ["tor", "vpn"]),
        ),
        ("maxmind/GeoIP2-Anonymous-IP-Test.mmdb", "65.1.1.1", (None, None, None, ["tor"])),
        ("maxmind/GeoIP2-Anonymous-IP-Test.mmdb", "71.160.223.9", (None, None, None, ["hosting"])),
        ("maxmind/GeoIP2-Anonymous-IP-Test.mmdb", "186.30.236.9", (None, None, None, ["proxy"])),
        ("maxmind/GeoIP2-Anonymous-IP-Test.mmdb", "6.1.0.4", (None, None, None, ["residential"])),
        (
            "maxmind/GeoIP2-Anonymous-IP-Test.mmdb",
            "81.2.69.1",
            (None, None, None, ["hosting", "proxy", "residential", "tor", "vpn"]),
        ),
        ("maxmind/GeoIP2-Anonymous-IP-Test.mmdb", "abcd:1000::1", (None, None, None, ["proxy"])),
        ("maxmind/GeoIP-Anonymous-Plus-Test.mmdb", "1.2.0.1", (None, None, None, ["vpn"])),
        ("maxmind/GeoIP-Anonymous-Plus-Test.mmdb", "71.160.223.1", (None, None, None, ["hosting"])),
        ("maxmind/GeoIP2-IP-Risk-Test.mmdb", "11.1.2.3", (None, None, None, ["proxy"])),
        ("maxmind/GeoIP2-IP-Risk-Test.mmdb", "214.2.3.0", (None, None, None, ["vpn"])),
        (
            "maxmind/GeoIP-Residential-Proxy-Test.mmdb",
            "11.99.6.105",
            (None, None, None, ["residential"]),
        ),
        # IPinfo: `country` is a name here and a code there; `asn` is text, sometimes empty
        ("ipinfo/ipinfo_lite_sample.mmdb", "1.0.0.1", ("AU", 13335, "Cloudflare, Inc.", [])),
        ("ipinfo/ipinfo_lite_sample.mmdb", "1.0.1.1", ("CN", None, None, [])),
        ("ipinfo/ip_country_asn_sample.mmdb", "1.0.0.1", ("AU", 13335, "Cloudflare, Inc.", [])),
        ("ipinfo/ip_country_asn_sample.mmdb", "1.0.1.1", ("CN", None, None, [])),
        ("ipinfo/ip_country_sample.mmdb", "1.0.1.1", ("CN", None, None, [])),
        (
            "ipinfo/ipinfo_core_sample.mmdb",
            "1.0.0.1",
            ("AU", 13335, "Cloudflare, Inc.", ["hosting"]),
        ),
        (
            "ipinfo/ipinfo_plus_sample.mmdb",
            "1.0.0.2",
            ("AU", 13335, "Cloudflare, Inc.", ["hosting", "vpn"]),
        ),
        ("ipinfo/ip_asn_sample.mmdb", "1.0.4.1", (None, 38803, "Gtelecom Pty Ltd", [])),
        ("ipinfo/ipinfo_privacy_sample.mmdb", "1.0.0.1", (None, None, None, ["hosting"])),
        ("ipinfo/ipinfo_privacy_sample.mmdb", "1.0.7.231", (None, None, None, ["vpn"])),
        (
            "ipinfo/ipinfo_privacy_extended_sample.mmdb",
            "1.0.0.2",
            (None, None, None, ["hosting", "vpn"]),
        ),
        # the text '' is not true
        ("ipinfo/privacy_detection_sample.mmdb", "1.0.0.1", (None, None, None, ["hosting"])),
        ("ipinfo/privacy_detection_sample.mmdb", "1.0.7.231", (None, None, None, ["vpn"])),
        (
            "ipinfo/privacy_detection_extended_sample.mmdb",
            "201.216.83.149",
            (None, None, None, ["proxy"]),
        ),
        (
            "ipinfo/ip_residential_proxy_sample.mmdb",
            "1.0.72.254",
            (None, None, None, ["residential"]),
        ),
    ],
)
def test_a_record_says_what_its_vendor_means(name: str, ip: str, expected: object) -> None:
    assert read(name, ip) == expected


def test_the_country_of_an_as_is_not_the_country_of_an_address() -> None:
    country, asn, *_ = read("ipinfo/ipinfo_asn_sample.mmdb", "1.0.0.1")

    assert (country, asn) == (None, 13335)


def adapter_for(database_type: str, *sample: Any) -> Adapter:
    adapter = recognise(database_type, sample)
    assert adapter is not None
    return adapter


def flags_of(reading: Reading) -> list[str]:
    return sorted(FLAG_SETS[reading[3]])


@pytest.mark.parametrize(
    ("proxy_type", "flags"),
    [
        ("VPN", ["vpn"]), ("TOR", ["tor"]), ("PUB", ["proxy"]), ("WEB", ["proxy"]),
        ("DCH", ["hosting"]), ("RES", ["residential"]), ("CPN", ["relay"]), ("EPN", []),
        ("SES", []), ("AIC", []), ("-", []), ("", []), ("vpn", ["vpn"]),
        ("VPN/DCH", ["hosting", "vpn"]),
        (None, []), (7, []),
    ],
)  # fmt: skip
def test_ip2proxy_types_are_told_apart(proxy_type: object, flags: list[str]) -> None:
    record = {"proxy_type": proxy_type, "country_code": "NL", "asn": "64496", "as": "Example"}

    reading = adapter_for("IP2PROXY-LITE-PX11", record).read(record)

    assert flags_of(reading) == flags
    assert reading[:3] == ("NL", 64496, "Example")


def test_a_dash_is_missing() -> None:
    record = {"proxy_type": "-", "country_code": "-", "asn": "-", "as": "-", "usage_type": "-"}

    assert adapter_for("PX", record).read(record) == (None, None, None, 0)


@pytest.mark.parametrize("usage", ["DCH", "DCH/SES", "ISP/DCH"])
def test_a_data_centre_usage_is_hosting(usage: str) -> None:
    record = {"proxy_type": "-", "usage_type": usage}

    assert flags_of(adapter_for("PX", record).read(record)) == ["hosting"]


def test_ip2locations_clone_of_city_is_read_as_one() -> None:
    record = {"country": {"iso_code": "SE", "names": {"en": "Sweden"}}, "city": {}}

    assert adapter_for("GeoLite2-City", record).read(record)[0] == "SE"


def test_db_ip_native_and_flat_are_both_read() -> None:
    native = {
        "country": {"iso_code": "DE"},
        "traits": {
            "autonomous_system_number": 64496,
            "autonomous_system_organization": "Example",
            "user_type": "hosting",
        },
    }
    flat = {"country_code": "DE"}

    reading = adapter_for("DBIP-Location-ISP (compat=Enterprise)", native).read(native)

    assert reading[:3] == ("DE", 64496, "Example")
    assert flags_of(reading) == ["hosting"]
    assert adapter_for("country ipvAll", flat).read(flat) == ("DE", None, None, 0)


def test_the_flat_as_file_of_npm_is_read() -> None:
    record = {"autonomous_system_number": 64496, "autonomous_system_organization": "Example"}

    assert adapter_for("asn ipv4", record).read(record) == (None, 64496, "Example", 0)


@pytest.mark.parametrize(
    "value", ["XX", "ZZ", "EU", "AP", "A1", "AN", "QQ", "Norway", "no", "", "-", None, 5, "N0"]
)
def test_what_is_no_country_code_is_unknown(value: object) -> None:
    record = {"country_code": value}

    assert adapter_for("x", record).read(record)[0] is None


def test_the_united_kingdom_and_greece_are_told_under_the_codes_policies_have() -> None:
    adapter = adapter_for("x", {"country_code": "UK"})

    assert adapter.read({"country_code": "UK"})[0] == "GB"
    assert adapter.read({"country_code": "EL"})[0] == "GR"


def test_norway_is_a_country() -> None:
    assert adapter_for("x", {"country_code": "NO"}).read({"country_code": "NO"})[0] == "NO"


@pytest.mark.parametrize("value", [0, -1, 2**32, "ASx", "AS", True, 1.5, [], "9" * 30])
def test_what_is_no_as_number_is_unknown(value: object) -> None:
    record = {"asn": value, "as_name": "Example"}

    assert adapter_for("x", record).read(record)[1:3] == (None, None)


@pytest.mark.parametrize(
    ("value", "set_"),
    [(True, True), ("true", True), ("True", True), ("1", True), (1, True), (False, False),
     ("false", False), ("", False), ("-", False), (0, False), (None, False), ("no", False)],
)  # fmt: skip
def test_only_truth_sets_a_flag(value: object, set_: bool) -> None:
    record = {"vpn": value, "relay": False}

    assert flags_of(adapter_for("x", record).read(record)) == (["vpn"] if set_ else [])


def test_a_relay_is_not_a_vpn_and_anonymous_is_nothing() -> None:
    record = {"is_relay": True, "is_vpn": False, "is_anonymous": True}

    assert flags_of(adapter_for("x", record).read(record)) == ["relay"]


def test_records_that_only_look_like_ours_are_not_trusted_to_be() -> None:
    ours = recognise("gateway-guard network", [{"country_code": "SE", "flags": 1}])
    alike = recognise("other", [{"country_code": "SE", "flags": "vpn"}])

    assert ours is not None
    assert ours.kind == "gateway-guard"
    assert alike is not None
    assert alike.read({"country_code": "SE", "flags": "vpn"}) == ("SE", None, None, 0)


@pytest.mark.parametrize(
    ("seen", "rare", "flags"),
    [
        ({"is_anonymous": True, "is_anonymous_vpn": True}, {"is_tor_exit_node": True}, ["tor"]),
        ({"is_anonymous": True}, {"is_residential_proxy": True}, ["residential"]),
        ({"vpn": True}, {"relay": "true"}, ["relay"]),
        ({"is_hosting": True}, {"is_proxy": True}, ["proxy"]),
        ({"traits": {"is_public_proxy": True}}, {"traits": {"is_tor_exit_node": True}}, ["tor"]),
    ],
)
def test_what_the_sample_did_not_show_of_a_vendors_flags_is_read_all_the_same(
    seen: dict[str, Any], rare: dict[str, Any], flags: list[str]
) -> None:
    adapter = adapter_for("GeoIP2", seen)

    assert flags_of(adapter.read(rare)) == flags


def test_a_few_flagged_addresses_in_a_file_of_ours_about_countries_are_read() -> None:
    adapter = adapter_for("gateway-guard network", {"country_code": "SE"})

    assert adapter.holds == COUNTRY
    assert flags_of(adapter.read({"country_code": "SE", "flags": 16})) == ["tor"]


SPUR = {
    "ip": "192.0.2.1",
    "as": {"number": 64496, "organization": "Example"},
    "infrastructure": "DATACENTER",
    "location": {"country": "SE", "city": "Stockholm"},
    "client": {"count": 2, "types": ["MOBILE"]},
    "tunnels": [{"type": "VPN", "operator": "EXAMPLE_VPN", "anonymous": True}],
}


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        # IPinfo Max, nested as it is answered and flat as files are
        (
            {
                "geo": {"country": "India", "country_code": "IN"},
                "as": {"asn": "AS64496", "name": "Example", "type": "hosting"},
                "anonymous": {"is_proxy": False, "is_res_proxy": True, "percent_days_seen": 3},
                "is_anonymous": True,
            },
            ("IN", 64496, "Example", ["hosting", "residential"]),
        ),
        (
            {"country_code": "IN", "asn": "AS64496", "as_name": "Example", "is_res_proxy": True,
             "is_vpn": False, "percent_days_seen": 3},
            ("IN", 64496, "Example", ["residential"]),
        ),
        # MaxMind Insights
        (
            {
                "country": {"iso_code": "SE"},
                "traits": {"autonomous_system_number": 64496},
                "anonymizer": {"confidence": 99, "is_anonymous": True, "is_anonymous_vpn": True},
            },
            ("SE", 64496, None, ["vpn"]),
        ),
        # ip-api
        (
            {"countryCode": "SE", "as": "AS64496 Example AB", "mobile": False, "proxy": True,
             "hosting": True},
            ("SE", 64496, "Example AB", ["hosting", "proxy"]),
        ),
        # ipapi.is
        (
            {"is_datacenter": True, "is_tor": "true", "is_abuser": True,
             "location": {"country": "Sweden", "country_code": "SE"},
             "asn": {"asn": 64496, "org": "Example", "type": "isp"}},
            ("SE", 64496, "Example", ["hosting", "tor"]),
        ),
        # ipdata
        (
            {"country_code": "SE", "asn": {"asn": "AS64496", "name": "Example", "type": "business"},
             "threat": {"is_icloud_relay": True, "is_vpn": True, "is_datacenter": False}},
            ("SE", 64496, "Example", ["relay"]),
        ),
        # ipregistry
        (
            {"location": {"country": {"code": "SE", "name": "Sweden"}},
             "connection": {"asn": 64496, "organization": "Example", "type": "hosting"},
             "security": {"is_tor_exit": True, "is_cloud_provider": False}},
            ("SE", 64496, "Example", ["hosting", "tor"]),
        ),
        # ipgeolocation.io
        (
            {"location": {"country_code2": "SE"},
             "security": {"is_residential_proxy": True, "is_cloud_provider": True}},
            ("SE", None, None, ["hosting", "residential"]),
        ),
        # converters from JSON: numbers as floating point, words for truth
        (
            {"country_iso_code": "SE", "asn": 64496.0, "vpn": "yes", "tor": 1.0, "proxy": "no"},
            ("SE", 64496, None, ["tor", "vpn"]),
        ),
        # a name that begins with a number is none
        ({"country_code": "SE", "as": "7 Networks"}, ("SE", None, None, [])),
        (SPUR, ("SE", 64496, "Example", ["hosting", "vpn"])),
        (
            SPUR | {"tunnels": [], "client": {"proxies": ["EXAMPLE_PROXY"]},
                    "infrastructure": "MOBILE"},
            ("SE", 64496, "Example", ["residential"]),
        ),
        (
            SPUR | {"tunnels": [{"type": "PROXY", "operator": "ICLOUD_RELAY_PROXY"}]},
            ("SE", 64496, "Example", ["hosting", "relay"]),
        ),
        # a company's own VPN hides nobody
        (
            SPUR | {"tunnels": [{"type": "VPN", "operator": "EXAMPLE_SASE", "anonymous": False}]},
            ("SE", 64496, "Example", ["hosting"]),
        ),
        (
            SPUR | {"tunnels": [{"type": "TOR"}, {"type": "REMOTE_DESKTOP"}, {"type": 5}, None]},
            ("SE", 64496, "Example", ["hosting", "tor"]),
        ),
    ],
)  # fmt: skip
def test_newer_and_nested_shapes_are_read(record: dict[str, Any], expected: object) -> None:
    reading = adapter_for("x", record).read(record)

    assert (*reading[:3], flags_of(reading)) == expected


@pytest.mark.parametrize("name", ["vpn", "proxy"])
def test_a_relay_that_is_called_a_vpn_is_a_relay(name: str) -> None:
    record = {"relay": True, name: True}

    reading = adapter_for("x", record).read(record)

    assert flags_of(reading) == sorted({"relay", name} - {"vpn"})


MESS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.binary(max_size=3),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["country", "country_code", "iso_code", "traits", "asn", "vpn", "proxy_type",
             "user_type", "autonomous_system_number", "flags", "usage_type", "is_anonymous_vpn",
             "as", "number", "geo", "location", "security", "tunnels", "type", "client", "proxies"]
        ),
        inner,
        max_size=5,
    ),
    max_leaves=10,
)  # fmt: skip


@given(MESS, MESS)
def test_a_composed_adapter_is_total(sampled: Any, record: Any) -> None:
    adapter = recognise("x", [sampled, record])
    if adapter is None or adapter.kind == "gateway-guard":
        return

    country, asn, org, bits = adapter.read(record)

    assert country is None or len(country) == 2
    assert asn is None or 0 < asn < 1 << 32
    assert org is None or isinstance(org, str)
    assert 0 <= bits < len(FLAG_SETS)
