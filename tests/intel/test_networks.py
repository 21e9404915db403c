"""Which networks an indicator may name."""

from __future__ import annotations

import ipaddress

import pytest

from gateway_guard.errors import IntelError
from gateway_guard.intel.indicator import LONGEST, checked, named
from gateway_guard.intel.networks import Limits, fit_network, shared_network
from tests import build
from tests.intel import cases


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("203.0.113.0/24", "203.0.113.0/24"),
        ("203.0.113.77/24", "203.0.113.0/24"),
        ("203.0.113.7", "203.0.113.7/32"),
        ("2001:DB8:7::/48", "2001:db8:7::/48"),
        ("2001:db8::1", "2001:db8::1/128"),
    ],
)
def test_a_network_has_one_spelling(text: str, fits: str) -> None:
    assert fit_network(text, Limits()) == fits


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("203.0.112.0/23", "broader than /24"),
        ("2001:db8::/47", "broader than /48"),
        ("0.0.0.0/0", "where no client can be"),
        ("10.1.2.0/24", "where no client can be"),
        ("192.168.1.7", "where no client can be"),
        ("100.64.0.0/24", "where no client can be"),
        ("127.0.0.1", "where no client can be"),
        ("224.0.0.0/24", "where no client can be"),
        ("fe80::/64", "where no client can be"),
        ("::1", "where no client can be"),
        ("fd00::/48", "where no client can be"),
        ("2002:c000:204::/48", "name the IPv4 network"),
        ("2001:0:4136:e378::/64", "name the IPv4 network"),
        ("::ffff:203.0.113.0/120", "name the IPv4 network"),
        ("203.0.113.0/255.255.255.0", "no address or network"),
        ("203.0.113.0/33", "no address or network"),
        ("fe80::1%eth0", "no address or network"),
        (" 203.0.113.0/24", "no address or network"),
        ("example.org", "no address or network"),
        ("", "no address or network"),
        ("٣.0.113.0/24", "no address or network"),
    ],
)
def test_what_would_match_strangers_or_nobody_is_refused(text: str, part: str) -> None:
    with pytest.raises(IntelError, match=part):
        fit_network(text, Limits())


def test_the_operator_may_allow_broader_ones() -> None:
    assert fit_network("203.0.0.0/16", Limits(widest_v4=16)) == "203.0.0.0/16"


@pytest.mark.parametrize("text", ["198.51.100.0/24", "198.51.100.9", "198.51.0.0/16"])
def test_an_allowed_network_is_touched_by_none_within_or_around_it(text: str) -> None:
    mine = Limits(widest_v4=8, allowed=(ipaddress.ip_network("198.51.100.0/24"),))

    with pytest.raises(IntelError, match="GATEWAY_GUARD_INTEL_ALLOW protects"):
        fit_network(text, mine)


def test_an_allowed_network_of_the_other_family_does_not_matter() -> None:
    mine = Limits(allowed=(ipaddress.ip_network("::/0"),))

    assert fit_network("198.51.100.0/24", mine) == "198.51.100.0/24"


@pytest.mark.parametrize(
    ("ip", "network"),
    [
        ("203.0.113.9", "203.0.113.0/24"),
        ("203.0.113.0/24", "203.0.113.0/24"),
        ("2001:db8:7:8::9", "2001:db8:7::/48"),
        ("2001:db8:7:8::/64", "2001:db8:7::/48"),
    ],
)
def test_what_is_handed_on_is_never_one_address(ip: str, network: str) -> None:
    assert shared_network(ip) == network


@pytest.mark.parametrize(
    ("fields", "part"),
    [
        ({"id": ""}, "an id has 1 to 100"),
        ({"id": "x" * 101}, "an id has 1 to 100"),
        ({"name": "new\nline"}, "a name has 1 to 80"),
        ({"kind": "domain"}, "unknown kind 'domain'"),
        ({"confidence": 101}, "not from 0 to 100"),
        ({"since": 20, "until": 10}, "begin to hold before"),
        ({"value": "0.0.0.0/0"}, "indicator 'indicator--5a0cd7a4"),
        ({"kind": "tls", "value": "white space"}, "no TLS fingerprint"),
        ({"kind": "template", "value": "ABCD"}, "48 hex digits"),
        ({"kind": "client", "value": "g" * 48}, "48 hex digits"),
    ],
)
def test_an_indicator_that_makes_no_sense_is_refused_with_its_id(
    fields: dict[str, object], part: str
) -> None:
    with pytest.raises(IntelError, match=part) as caught:
        checked(cases.indicator(**fields), Limits())

    assert "\n" not in str(caught.value)


def test_nothing_holds_for_ever() -> None:
    one = checked(cases.indicator(until=int(build.NOW) + 10 * LONGEST), Limits())

    assert one.until == one.since + LONGEST


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("a\x00b\n c", "ab c"),
        (7, "other"),
        ("", "other"),
        ("\x1b[31m", "[31m"),
        ("x" * 99, "x" * 80),
    ],
)
def test_names_from_others_are_made_safe_to_print(text: object, name: str) -> None:
    assert named(text, "other") == name
