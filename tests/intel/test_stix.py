"""STIX out and in: what OASIS's own library says of it, and what the guard takes from others."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import pytest
import stix2
from stix2patterns.validator import run_validator

from gateway_guard.errors import IntelError
from gateway_guard.intel.groups import group_of
from gateway_guard.intel.networks import Limits
from gateway_guard.intel.patterns import MOST_ALTERNATIVES, pattern_of, read_pattern
from gateway_guard.intel.stix import bundle
from gateway_guard.intel.stix_reading import Taken, read_bundle, taken
from gateway_guard.intel.tlp import LEVELS, level
from tests import build
from tests.intel import cases

GROUP = group_of(cases.GROUP_KEY)


def exported(**options: Any) -> dict[str, Any]:
    return bundle([cases.case()], "acme", **({"group": GROUP} | options))


def of_type(document: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [one for one in document["objects"] if one["type"] == kind]


def read(objects: Sequence[Mapping[str, Any]], now: float = build.NOW, **options: Any) -> Taken:
    return taken(objects, now=now, limits=Limits(), **options)


def indicator(pattern: str = "[ipv4-addr:value = '203.0.113.7']", **fields: Any) -> dict[str, Any]:
    return {
        "type": "indicator", "spec_version": "2.1", "pattern": pattern, "pattern_type": "stix",
        "id": "indicator--5a0cd7a4-0000-4000-8000-000000000001", "name": "theirs",
        "created": "2026-01-01T00:00:00.000Z", "modified": "2026-01-01T00:00:00.000Z",
        "valid_from": "2026-01-01T00:00:00Z", "valid_until": "2027-01-01T00:00:00Z",
        "confidence": 60,
    } | fields  # fmt: skip


@pytest.mark.parametrize("tlp", LEVELS)
def test_the_oasis_library_takes_every_object_without_custom_ones(tlp: str) -> None:
    document = exported(tlp=tlp)

    parsed = stix2.parse(document, allow_custom=False)

    kinds = {one.type for one in parsed.objects}
    assert kinds == {"identity", "marking-definition", "campaign", "indicator", "sighting",
                     "relationship", "grouping"}  # fmt: skip
    assert parsed.id == document["id"]


def test_every_pattern_is_one_by_the_oasis_grammar() -> None:
    for one in of_type(exported(), "indicator"):
        assert run_validator(one["pattern"], stix_version="2.1") == []


def test_every_reference_leads_to_an_object_of_the_bundle_and_all_is_marked() -> None:
    document = exported()
    ids = {one["id"] for one in document["objects"]}

    for one in document["objects"]:
        told = [value for key, value in one.items() if key.endswith("_ref")]
        for key in ("object_refs", "where_sighted_refs", "object_marking_refs"):
            told += one.get(key, ())
        assert set(told) <= ids
        if one["type"] != "marking-definition":
            assert one["object_marking_refs"] == [LEVELS["amber"]]


def test_ids_are_uuid5_of_no_reserved_namespace_and_all_different() -> None:
    ids = [one["id"] for one in exported()["objects"] if one["type"] != "marking-definition"]

    assert {uuid.UUID(one.partition("--")[2]).version for one in ids} == {5}
    assert len({one.partition("--")[2] for one in ids}) == len(ids)


def test_an_export_made_again_is_the_same_and_one_with_news_updates() -> None:
    again, later = exported(), exported(days={"network": 30, "client": 30, "template": 30})

    assert again == exported()
    assert [one["id"] for one in later["objects"]] == [one["id"] for one in again["objects"]]


def test_moments_are_in_order() -> None:
    for one in exported()["objects"]:
        assert one["created"] <= one.get("modified", one["created"])
        if one["type"] == "indicator":
            assert one["valid_from"] < one["valid_until"]
        if one["type"] == "sighting":
            assert one["first_seen"] <= one["last_seen"]


def test_what_is_exported_is_taken_in_under_the_campaigns_name() -> None:
    data = msgspec.json.encode(exported())

    out = read(read_bundle(data))

    assert {one.kind for one in out.indicators} == {"network", "client", "template"}
    assert {one.name for one in out.indicators} == {"c_0001"}
    assert not out.skipped


def test_tlp_levels_are_spelled_in_any_case_and_there_are_no_others() -> None:
    assert level("TLP:AMBER+STRICT") == "amber+strict"
    with pytest.raises(IntelError, match="one of: clear, green, amber"):
        level("white")


SOURCE, TARGET = "network-traffic:src_ref", "network-traffic:dst_ref"


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("[ipv4-addr:value = '203.0.113.7']", [("network", "203.0.113.7")]),
        ("[ipv4-addr:value ISSUBSET '203.0.113.0/24']", [("network", "203.0.113.0/24")]),
        ("  [ ipv6-addr:value='2001:db8::1' ]  ", [("network", "2001:db8::1")]),
        (
            "[ipv4-addr:value='1.2.3.4' OR ipv4-addr:value='5.6.7.8'] OR [ipv6-addr:value='::1']",
            [("network", "1.2.3.4"), ("network", "5.6.7.8"), ("network", "::1")],
        ),
        ("[x-gateway-guard-client:ja4 = 't13d']", [("tls", "t13d")]),
        (r"[ipv4-addr:value = 'a\'b\\c']", [("network", r"a'b\c")]),
        (
            f"[{SOURCE}.type = 'ipv4-addr' AND {SOURCE}.value = '203.0.113.7']",
            [("network", "203.0.113.7")],
        ),
        (
            "[ipv4-addr:value IN ('1.2.3.4', '5.6.7.8') OR (ipv4-addr:value = '9.9.9.9')]",
            [("network", "1.2.3.4"), ("network", "5.6.7.8"), ("network", "9.9.9.9")],
        ),
    ],
)
def test_patterns_the_guard_can_match_are_read(pattern: str, found: list[tuple[str, str]]) -> None:
    assert read_pattern(pattern) == found


@pytest.mark.parametrize(
    "pattern",
    [
        "", "[", "[]", "[ipv4-addr:value = '1.2.3.4'", "ipv4-addr:value = '1.2.3.4'",
        "[ipv4-addr:value = '1.2.3.4' AND ipv4-addr:value = '5.6.7.8']",
        "[NOT ipv4-addr:value = '1.2.3.4']", "[ipv4-addr:value != '1.2.3.4']",
        "[ipv4-addr:value = '1.2.3.4'] FOLLOWEDBY [ipv4-addr:value = '5.6.7.8']",
        "[ipv4-addr:value = '1.2.3.4'] WITHIN 5 SECONDS",
        "[domain-name:value = 'example.org']", "[ipv4-addr:value LIKE '1.2.%']",
        "[x-gateway-guard-client:ja4 ISSUBSET 't13d']", "[ipv4-addr:value = 1]",
        "[ipv4-addr:value = 'unfinished", "[ipv4-addr:value = '1.2.3.4'] OR",
        " OR ".join(["[ipv4-addr:value = '1.2.3.4']"] * (MOST_ALTERNATIVES + 1)),
        "[" * 9_000, "[" + "(" * 8_000, "[ipv4-addr:value IN ('1.2.3.4',)]",
        "[ipv4-addr:value IN ()]", "[ipv4-addr:value IN ('1.2.3.4'",
        "[(ipv4-addr:value = '1.2.3.4'",
        "[" + "(" * 9 + "ipv4-addr:value = '1.2.3.4'" + ")" * 9 + "]",
        "[ipv4-addr:value IN (" + ",".join(["'1.2.3.4'"] * (MOST_ALTERNATIVES + 1)) + ")]",
        # where the traffic went, not whence; and more than whence
        f"[{TARGET}.type = 'ipv4-addr' AND {TARGET}.value = '1.2.3.4']",
        f"[{SOURCE}.type = 'ipv4-addr' AND ipv4-addr:value = '1.2.3.4']",
        f"[{SOURCE}.type = 'mac-addr' AND {SOURCE}.value = '1.2.3.4']",
        f"[{SOURCE}.type = 'ipv4-addr']",
        f"[{SOURCE}.value = '1.2.3.4' AND network-traffic:dst_port = '22']",
    ],
)  # fmt: skip
def test_patterns_that_mean_more_than_the_guard_can_match_are_not(pattern: str) -> None:
    assert read_pattern(pattern) is None


@pytest.mark.parametrize(
    ("kind", "value"),
    [("network", "203.0.113.0/24"), ("network", "2001:db8::/48"), ("tls", "t13d"),
     ("template", "ab" * 24), ("client", "cd" * 24)],
)  # fmt: skip
def test_a_pattern_comes_back_as_what_it_was_made_of(kind: str, value: str) -> None:
    assert read_pattern(pattern_of(kind, value)) == [(kind, value)]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"revoked": True}, "revoked"),
        ({"valid_from": "yesterday"}, "without a valid_from that can be read"),
        ({"valid_until": "2025-01-01T00:00:00Z"}, "with a valid_until that makes no sense"),
        ({"valid_until": 7}, "with a valid_until that makes no sense"),
        ({"valid_until": "2026-02-01T00:00:00Z"}, "expired"),
        # Longer than the longest that anything is believed.
        (
            {"valid_from": "2024-01-01T00:00:00Z", "valid_until": "2036-01-01T00:00:00Z"},
            "expired",
        ),
        ({"confidence": 101}, "with a confidence that is not from 0 to 100"),
        ({"confidence": True}, "with a confidence that is not from 0 to 100"),
        ({"pattern_type": "snort"}, "with patterns the guard cannot match"),
        ({"pattern": None}, "with patterns the guard cannot match"),
        ({"indicator_types": ["benign"]}, "of benign things"),
        ({"pattern": "[ipv4-addr:value ISSUBSET '203.0.0.0/16']"}, "refused"),
        ({"pattern": "[ipv4-addr:value = '10.0.0.1']"}, "refused"),
        ({"id": 7}, "without an id"),
    ],
)
def test_what_is_not_taken_is_counted_by_its_reason(fields: dict[str, Any], reason: str) -> None:
    out = read([indicator(**fields)])

    assert (out.indicators, dict(out.skipped)) == ([], {reason: 1})
    assert bool(out.messages) == (reason == "refused")


def test_alternatives_are_kept_each_and_taken_back_together() -> None:
    both = indicator("[ipv4-addr:value = '1.2.3.4' OR ipv4-addr:value = '5.6.7.8']")

    first = read([both])
    gone = read([both | {"revoked": True}])

    assert [one.value for one in first.indicators] == ["1.2.3.4/32", "5.6.7.8/32"]
    held = [*(one.id for one in first.indicators), "another", "another#1"]
    assert gone.gone(held) == {one.id for one in first.indicators}
    assert len(gone.removed) == 1, "not one for each alternative it might have had"


def test_the_latest_version_counts_whatever_the_order() -> None:
    new = indicator(modified="2026-02-01T00:00:00.000Z", confidence=90)

    for objects in ([indicator(), new], [new, indicator()]):
        (one,) = read(objects).indicators

        assert one.confidence == 90


def test_what_a_source_does_not_say_is_assumed_cautiously() -> None:
    said = indicator(valid_from="2026-03-01T00:00:00Z")
    del said["confidence"], said["valid_until"]

    (one,) = read([said], unsaid=30).indicators

    assert one.confidence == 30
    assert one.until - one.since == 90 * 86_400


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"[]", b'"x"', b'{"type":"indicator"}', b'{"objects":{}}', b"\xff\xfe",
     b"[" * 200_000],
)  # fmt: skip
def test_something_else_is_no_bundle(data: bytes) -> None:
    with pytest.raises(IntelError, match="no STIX bundle"):
        read_bundle(data)


def test_addresses_that_were_only_seen_are_counted_and_not_believed() -> None:
    seen = {"type": "ipv4-addr", "id": "ipv4-addr--1", "value": "203.0.113.7"}

    read = taken([seen, seen], now=build.NOW, limits=Limits())

    assert read.indicators == []
    assert read.skipped == {"addresses that no indicator says anything of": 2}
