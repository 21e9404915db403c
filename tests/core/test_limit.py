"""Under which key a limit charges a request: nothing goes uncounted, and no two share one."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from gateway_guard.core.limit import PARTS, UNITS, Limit, key_builder, limit_of
from gateway_guard.core.limits import charge_for
from gateway_guard.types import Assessment, CampaignFacts
from tests import build


def limit(**fields: Any) -> Limit:
    defaults: dict[str, Any] = {"name": "l", "per": ("account",), "unit": "requests", "quota": 60.0,
                                "window": 60.0, "burst": 60.0}  # fmt: skip
    return Limit(**defaults | fields)


def key(
    *per: str, organisation: str | None = None, network: dict[str, Any] | None = None,
    campaign: CampaignFacts | None = None, **request: Any,
) -> str | None:  # fmt: skip
    facts = build.facts(
        account=build.account(organisation=organisation), network=build.network(**network or {}),
        campaign=campaign,
    )  # fmt: skip
    return key_builder("l", per)(build.request(**request), facts)


@pytest.mark.parametrize(
    ("part", "fields", "expected"),
    [
        ("account", {"account": "acct_1"}, "acct_1"),
        ("account", {"account": None, "subnet": "198.51.100.0/24"}, "anonymous:198.51.100.0/24"),
        ("account", {"account": None, "subnet": None, "client_ip": "::1"}, "anonymous:::1"),
        ("account", {"account": None, "subnet": None, "client_ip": None}, "anonymous:unknown"),
        ("organisation", {"account": "acct_1"}, "acct_1"),
        ("client_ip", {"client_ip": "198.51.100.7"}, "198.51.100.7"),
        ("client_ip", {"client_ip": "2001:db8::7", "subnet": "2001:db8::/64"}, "2001:db8::/64"),
        ("client_ip", {"client_ip": "2001:db8::7", "subnet": None}, "2001:db8::7"),
        ("client_ip", {"client_ip": None}, "unknown"),
        ("subnet", {"subnet": "198.51.100.0/24"}, "198.51.100.0/24"),
        ("subnet", {"subnet": None}, "unknown"),
        ("asn", {}, "AS64500"),
        ("country", {}, "NO"),
        ("model", {"model": " Apex-4 "}, "apex-4"),
        ("model", {"model": None}, "unknown"),
        ("route", {"path": "/V1/Chat/"}, "/v1/chat"),
        ("route", {"path": "/"}, "/"),
        ("route", {"path": None}, "unknown"),
        ("everyone", {}, "everyone"),
    ],
)
def test_each_part_is_spelled_and_what_is_not_known_counts_too(
    part: str, fields: dict[str, Any], expected: str
) -> None:
    assert key(part, **fields) == f"l:{expected}"


def test_what_is_not_known_of_the_network_is_one_key() -> None:
    assert key("asn", network={"asn": None}) == "l:unknown"
    assert key("country", network={"country": None}) == "l:unknown"


def test_an_organisation_pays_for_all_its_accounts() -> None:
    keys = {key("organisation", organisation="o", account=one) for one in "ab"}

    assert keys == {"l:o"}


def test_a_limit_per_campaign_is_none_for_who_is_in_none() -> None:
    campaign = CampaignFacts(id="c_0001", confidence=0.9)

    assert key("campaign") is None
    assert key("campaign", "model") is None
    assert key("campaign", campaign=campaign) == "l:c_0001"
    assert key("model", "campaign", campaign=campaign) == "l:apex-4|c_0001"


def test_what_a_client_chooses_forges_no_other_key() -> None:
    chosen = ["a", "b", "a|b", "b|a", "a|/b", "b|/a", "%7C", "%", "a%7Cb", "%25", ""]

    keys = [key("model", "route", model=model, path=f"/{path}")
            for model, path in itertools.product(chosen, chosen)]  # fmt: skip

    assert len(set(keys)) == len(chosen) ** 2


def test_long_names_are_cut_to_a_digest_and_stay_apart() -> None:
    kept, cut = "m" * 96, "m" * 97

    assert key("model", model=kept) == f"l:{kept}"
    shortened = key("model", model=cut)
    assert shortened is not None
    assert shortened.startswith("l:" + "m" * 32 + "~")
    assert len(shortened) == len("l:") + 32 + 1 + 32
    assert shortened != key("model", model=cut + "m")


def test_a_lone_surrogate_in_a_long_name_is_a_name_like_any_other() -> None:
    assert key("model", model="\udc80" * 97) is not None


@pytest.mark.parametrize("unit", UNITS)
def test_what_a_limit_counts_and_regains_follows_from_what_is_written(unit: str) -> None:
    one = limit(unit=unit, quota=120.0, window=0.0 if unit == "concurrent" else 60.0)

    assert one.rate == (0.0 if unit == "concurrent" else 2.0)
    assert one.counts == {"tokens": 1, "input-tokens": 2, "output-tokens": 3}.get(unit, 0)
    assert one.key is not None
    assert (one.key(build.request(account="acct_1"), build.facts()) or "").endswith(":acct_1")


@pytest.mark.parametrize("per", [("campaign",), ("campaign", "model"), ("account", "model")])
def test_only_what_counts_a_campaign_is_hidden(per: tuple[str, ...]) -> None:
    request, campaign = build.request(model="c_17"), CampaignFacts(id="c_17", confidence=0.9)
    facts = build.facts(campaign=campaign)

    charge = charge_for(limit(per=per), 1.0, request, facts, Assessment())

    assert charge is not None
    assert charge.hidden is ("campaign" in per)


def test_every_part_has_a_key_and_nothing_else_has() -> None:
    for part in PARTS:
        assert key(part, campaign=CampaignFacts(id="c", confidence=1.0)) is not None
    with pytest.raises(KeyError):
        key_builder("l", ("user",))


def test_a_limit_that_comes_to_count_something_else_counts_anew() -> None:
    units = ("requests", "tokens", "input-tokens", "output-tokens")

    keys = {limit(unit=unit).key(build.request(), build.facts()) for unit in units}  # type: ignore[misc]

    assert keys == {
        "l:acct_test",
        "l/tokens:acct_test",
        "l/input-tokens:acct_test",
        "l/output-tokens:acct_test",
    }


@pytest.mark.parametrize("unit", UNITS)
def test_what_a_limit_is_counted_as_says_which_limit_it_is(unit: str) -> None:
    key = limit(name="a-name", unit=unit).key(build.request(), build.facts())  # type: ignore[misc]

    assert limit_of((key or "").partition(":")[0]) == "a-name"
