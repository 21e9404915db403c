"""The decision log's line: exactly the documented fields, and nothing a client wrote."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.record.line import Addresses, Line, line
from gateway_guard.record.schema import FIELDS
from gateway_guard.types import (
    Action,
    Assessment,
    CampaignFacts,
    CredentialFault,
    Exchange,
    Inspection,
    NetworkFacts,
    Outcome,
    Restrictions,
    ShadowHit,
    Usage,
)
from tests import build

TYPES: dict[str, Any] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "object": dict,
    "array of string": list,
    "array of object": list,
}
TOP = {field.name: field for field in FIELDS if "[]" not in field.name}


def full() -> Exchange:
    """An exchange in which every field of the log has a value."""
    return build.exchange(
        request=build.request(
            prompt=build.prompt(stream=True), credential_fault=CredentialFault.EXPIRED
        ),
        facts=build.facts(
            network=build.network(flags={"vpn", "hosting"}),
            account=build.account(
                organisation="o_1",
                created_at=build.NOW - 60.0,
                tier="free",
                verified=False,
                tags=("partner",),
            ),
            campaign=CampaignFacts(id="c_1", confidence=0.5),
            indicators=(build.indicator(name="seen-elsewhere"),),
            vouched=True,
            challenged=True,
        ),
        assessment=Assessment(signals=(build.signal(),), risk=0.3),
        decision=build.decision(
            action=Action.THROTTLE,
            rule="limit:requests",
            where="policy.yaml:3",
            reason="no room",
            status=429,
            retry_after=1.5,
            grants=(build.grant(),),
            restrictions=Restrictions(n=1),
            shadow=(ShadowHit(rule="rehearsed", action=Action.DENY),),
            tarpit=2.0,
            degraded=("network",),
        ),
        usage=Usage(input_tokens=3, output_tokens=5, status=200, reported=True),
    )


def decoded(exchange: Exchange, addresses: Addresses = Addresses.FULL) -> dict[str, Any]:
    text = line(exchange, addresses)
    assert text.endswith(b"\n")
    assert text.count(b"\n") == 1
    fields: dict[str, Any] = msgspec.json.decode(text)
    return fields


def test_a_full_line_has_every_documented_field_in_order_and_no_other() -> None:
    fields = decoded(full())

    assert list(fields) == list(TOP)


def test_a_bare_line_has_exactly_the_fields_documented_as_always_there() -> None:
    exchange = build.exchange(
        request=build.request(
            path=None, model=None, client_ip=None, subnet=None, account=None, credential=None,
            prompt=None, inspection=Inspection.NONE,
        ),
        facts=build.facts(network=NetworkFacts()),
    )  # fmt: skip

    fields = decoded(exchange)

    assert set(fields) == {field.name for field in TOP.values() if field.always}


def test_every_value_has_its_documented_type() -> None:
    fields = decoded(full())

    for name, field in TOP.items():
        assert isinstance(fields[name], TYPES[field.type]), name
        if field.type in ("integer", "number"):
            assert not isinstance(fields[name], bool), name


def test_every_nested_object_has_exactly_its_documented_fields() -> None:
    fields = decoded(full())

    for parent in ("shadow", "signals", "limits"):
        prefix = f"{parent}[]."
        documented = {f.name.removeprefix(prefix): f for f in FIELDS if f.name.startswith(prefix)}
        assert set(fields[parent][0]) == set(documented)
        for name, field in documented.items():
            assert isinstance(fields[parent][0][name], TYPES[field.type]), name


def test_the_record_and_the_table_name_the_same_fields() -> None:
    assert Line.__struct_fields__ == tuple(TOP)
    assert all(field.meaning for field in FIELDS)


def test_time_is_utc_in_rfc_3339() -> None:
    assert decoded(full())["time"] == "2026-03-02T12:00:00Z"


def test_addresses_can_be_cut_to_the_subnet_or_left_out() -> None:
    assert decoded(full())["client_ip"] == "198.51.100.7"
    assert decoded(full(), Addresses.SUBNET)["client_ip"] == "198.51.100.0/24"
    assert "client_ip" not in decoded(full(), Addresses.NONE)


def test_an_unknown_network_is_named_not_empty() -> None:
    exchange = build.exchange(facts=build.facts(network=NetworkFacts(known=False, country="NO")))

    fields = decoded(exchange)

    assert fields["network"] == ["unknown"]
    assert "country" not in fields


def test_long_paths_and_models_are_cut() -> None:
    exchange = build.exchange(request=build.request(path="/" + "a" * 9999, model="m" * 9999))

    fields = decoded(exchange)

    assert (len(fields["path"]), len(fields["model"])) == (256, 128)


def test_what_is_not_unicode_is_escaped_rather_than_lost() -> None:
    signal = build.signal(evidence="said \udcff")
    odd = build.exchange(
        request=build.request(path="/v1/\ud800"),
        assessment=Assessment(signals=(signal,), risk=1.0),
    )
    fields = decoded(odd)

    assert fields["path"] == "/v1/\\ud800"
    assert fields["signals"][0]["evidence"] == "said \\udcff"
    assert fields["time"] == decoded(build.exchange())["time"]


@given(st.text(), st.text())
def test_any_path_and_model_gives_one_line_of_json(path: str, model: str) -> None:
    fields = decoded(build.exchange(request=build.request(path=path, model=model)))

    assert fields["id"] == "r_test000001"


def test_an_outcome_is_spelled_as_documented() -> None:
    exchange = build.exchange(usage=Usage(outcome=Outcome.CLIENT_GONE))

    assert decoded(exchange)["outcome"] == "client-gone"


@pytest.mark.parametrize("fault", CredentialFault)
def test_why_a_credential_failed_is_one_documented_word(fault: CredentialFault) -> None:
    exchange = build.exchange(request=build.request(credential_fault=fault))
    readme = Path(__file__).resolve().parents[2].joinpath("README.md").read_text("utf-8")

    word = decoded(exchange)["credential_fault"]

    assert re.fullmatch(r"[a-z-]{7,22}", word)
    assert word in TOP["credential_fault"].meaning
    assert f"`{word}`" in readme
