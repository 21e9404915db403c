"""Which indicators match a request."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest

from gateway_guard.campaigns.digests import client_digest, template_keys
from gateway_guard.intel.groups import Group, group_of
from gateway_guard.intel.indicator import Indicator
from gateway_guard.intel.matching import MOST_MATCHES, Matcher
from gateway_guard.intel.networks import Limits
from gateway_guard.types import Client, Request, RoleShape
from tests import build
from tests.intel import cases

GROUP = group_of(cases.GROUP_KEY)
CLIENT = Client(
    agent=77, sdk="python/1.40.0/linux/cpython", tls="t13d1516h2_8daaf6152771_b0da82dd1658"
)
PROMPT = build.prompt(roles=(RoleShape(role="user", head=11, tail=12, skeleton=13, chars=400),))


def matcher(*ones: Indicator, source: str = "acme", **options: Any) -> Matcher:
    settings: dict[str, Any] = {"now": build.NOW, "limits": Limits(), "group": GROUP}
    return Matcher([(source, one) for one in ones], **settings | options)


def names(made: Matcher, request: Request) -> list[str]:
    match = made.match
    assert match is not None
    return [one.name for one in match(request)]


@pytest.mark.parametrize(
    ("value", "ip", "matches"),
    [
        ("203.0.113.0/24", "203.0.113.255", True),
        ("203.0.113.0/24", "203.0.114.0", False),
        ("203.0.113.7/32", "203.0.113.7", True),
        ("203.0.113.7/32", "203.0.113.8", False),
        ("2001:db8:7::/48", "2001:db8:7:ffff::1", True),
        ("2001:db8:7::/48", "2001:db8:8::1", False),
        ("203.0.113.0/24", "2001:db8::1", False),
        ("203.0.113.0/24", None, False),
        ("203.0.113.0/24", "nonsense", False),
    ],
)
def test_a_network_matches_the_addresses_in_it(value: str, ip: str | None, matches: bool) -> None:
    made = matcher(cases.indicator(value=value))

    assert names(made, build.request(client_ip=ip)) == (["c_0012"] if matches else [])


def test_networks_within_each_other_all_match_the_surest_first() -> None:
    made = matcher(
        cases.indicator(id="1", name="wide", confidence=40),
        cases.indicator(id="2", name="narrow", value="203.0.113.7/32", confidence=95),
    )

    assert names(made, build.request(client_ip="203.0.113.7")) == ["narrow", "wide"]


def test_what_matches_says_who_how_sure_and_since_when() -> None:
    made = matcher(cases.indicator())
    assert made.match is not None

    (facts,) = made.match(build.request(client_ip="203.0.113.7"))

    assert (facts.source, facts.kind, facts.confidence) == ("acme", "network", 0.9)
    assert facts.at == build.NOW - 7 * 86_400


@pytest.mark.parametrize("role", ["user", "system", "tool"])
def test_a_template_matches_by_its_ends_and_skeleton(role: str) -> None:
    prompt = build.prompt(roles=(RoleShape(role=role, head=11, tail=12, skeleton=13, chars=400),))
    for digest in template_keys(prompt):
        made = matcher(cases.indicator(kind="template", value=GROUP.seal("template", digest)))

        assert names(made, build.request(prompt=prompt)) == ["c_0012"]
        assert names(made, build.request(prompt=build.prompt())) == []
        assert names(made, build.request(prompt=None)) == []


def test_client_software_matches_as_a_whole_and_a_fingerprint_alone() -> None:
    software = cases.indicator(
        kind="client", name="software", value=GROUP.seal("client", client_digest(CLIENT))
    )
    ja4 = cases.indicator(kind="tls", name="ja4", value=CLIENT.tls)
    made = matcher(software, ja4)

    assert names(made, build.request(client=CLIENT)) == ["ja4", "software"]
    assert names(made, build.request(client=Client(agent=78, tls=CLIENT.tls))) == ["ja4"]
    assert names(made, build.request(client=Client())) == []


def test_what_was_sealed_for_another_group_or_without_a_key_is_left_out_and_counted() -> None:
    theirs = cases.indicator(kind="template", value=Group(b"x" * 16).seal("template", 5))

    for group in (GROUP, None):
        made = matcher(theirs, group=group)

        assert (made.loaded, made.sealed, made.match) == (0, 1, None)


def test_a_digest_of_one_kind_does_not_open_as_the_other() -> None:
    assert GROUP.open("client", GROUP.seal("template", 5)) is None
    assert GROUP.open("template", "zz") is None
    assert GROUP.open("network", GROUP.seal("template", 5)) is None


def test_sealing_is_the_same_every_time_and_another_key_gives_another() -> None:
    assert GROUP.seal("template", 5) == Group(cases.GROUP_KEY).seal("template", 5)
    assert GROUP.seal("template", 5) != Group(b"x" * 16).seal("template", 5)
    assert GROUP.id != Group(b"x" * 16).id


def test_an_indicator_holds_from_its_beginning_up_to_its_end() -> None:
    one = cases.indicator(since=int(build.NOW), until=int(build.NOW) + 10)
    made = matcher(one)

    def at(seconds: float) -> list[str]:
        return names(made, build.request(at=build.NOW + seconds, client_ip="203.0.113.7"))

    assert (at(-1.0), at(0.0), at(9.9), at(10.0)) == ([], ["c_0012"], ["c_0012"], [])


def test_what_has_expired_is_not_loaded() -> None:
    assert matcher(cases.indicator(until=int(build.NOW))).match is None


def test_an_allowed_network_is_never_matched_even_if_the_table_is_older() -> None:
    mine = Limits(allowed=(ipaddress.ip_network("203.0.113.0/28"),))

    made = matcher(cases.indicator(), limits=mine)

    assert (made.match, made.protected) == (None, 1)


def test_a_table_written_by_hand_does_no_harm() -> None:
    assert matcher(cases.indicator(value="nonsense")).match is None


def test_one_name_of_a_source_is_told_once_and_no_more_than_a_few() -> None:
    many = [cases.indicator(id=str(n), name=f"c_{n % 20}", confidence=n % 90) for n in range(60)]

    found = names(matcher(*many), build.request(client_ip="203.0.113.7"))

    assert len(found) == len(set(found)) == MOST_MATCHES


def test_an_empty_table_costs_nothing() -> None:
    assert matcher().match is None
