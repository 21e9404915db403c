"""The messages are Envoy's: held against the field numbers and types of its published API.

`published.json` holds every field of these messages, as PyPI's xds-protos 1.85.0 describes them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway_guard.frontends.envoy import answers, api, limits, logs

PUBLISHED: dict[str, Any] = msgspec.json.decode(
    Path(__file__).with_name("published.json").read_bytes()
)


def parts(full_name: str) -> list[tuple[str, str, str]]:
    """(Field, number, type) as our table has them."""
    lines = filter(None, api.MESSAGES[full_name].split(","))
    return [(name, number, kind) for name, number, kind in (line.split() for line in lines)]


@pytest.mark.parametrize("full_name", api.MESSAGES)
def test_every_field_has_the_published_number_and_type(full_name: str) -> None:
    published = PUBLISHED[full_name]

    for name, number, kind in parts(full_name):
        number_there, kind_there = published[name].split()
        assert number == number_there, name
        assert kind.endswith("*") == kind_there.endswith("*"), name
        # Messages by the last part of their names, which are distinct.
        assert kind.rstrip("*") == kind_there.rstrip("*").rpartition(".")[2], name


def test_the_short_names_are_distinct() -> None:
    assert len({name.rpartition(".")[2] for name in api.MESSAGES}) == len(api.MESSAGES)


def test_the_values_of_enumerations_are_the_published_ones() -> None:
    actions = PUBLISHED["envoy.config.core.v3.HeaderValueOption.HeaderAppendAction"]
    codes = PUBLISHED["envoy.service.ratelimit.v3.RateLimitResponse.Code"]
    units = PUBLISHED["envoy.service.ratelimit.v3.RateLimitResponse.RateLimit.Unit"]
    kinds = PUBLISHED["envoy.data.accesslog.v3.AccessLogType"]

    assert actions["APPEND_IF_EXISTS_OR_ADD"] == answers._APPEND
    assert actions["ADD_IF_ABSENT"] == answers._ADD_IF_ABSENT
    assert actions["OVERWRITE_IF_EXISTS_OR_ADD"] == answers._OVERWRITE
    assert (codes["OK"], codes["OVER_LIMIT"]) == (limits._OK, limits._OVER)
    seconds = {"SECOND": 1, "MINUTE": 60, "HOUR": 3600, "DAY": 86_400, "WEEK": 604_800}
    assert {float(seconds[name]): units[name] for name in seconds} == limits._UNITS
    assert (kinds["NotSet"], kinds["DownstreamEnd"]) == logs._ENDS


def test_the_statuses_envoy_can_say_are_the_published_ones() -> None:
    known = {status for status in PUBLISHED["envoy.type.v3.StatusCode"] if status >= 400}

    assert known == answers.STATUSES
    assert 451 not in known


def test_the_services_and_methods_are_the_published_ones() -> None:
    assert PUBLISHED["services"] == {
        "envoy.service.auth.v3.Authorization": ["Check"],
        "envoy.service.ratelimit.v3.RateLimitService": ["ShouldRateLimit"],
        "envoy.service.accesslog.v3.AccessLogService": ["StreamAccessLogs"],
    }


def test_fields_nobody_reads_are_skipped() -> None:
    # Field 15, which no message here has, as a varint, behind a path.
    known = api.CheckRequest()
    known.attributes.request.http.path = b"/x"

    read = api.CheckRequest.FromString(known.SerializeToString() + b"\x78\x01")

    assert read.attributes.request.http.path == b"/x"
