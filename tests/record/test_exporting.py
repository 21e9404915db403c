"""The decision log as ECS and OCSF: by their schemas, with everything in it and nothing added."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import jsonschema
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

from gateway_guard.errors import SourceError
from gateway_guard.record import ecs as elastic
from gateway_guard.record import ocsf as open_schema
from gateway_guard.record.ecs import ecs
from gateway_guard.record.exporting import OWN, SCHEMAS, encoder, exported
from gateway_guard.record.line import Addresses, line
from gateway_guard.record.ocsf import ocsf
from gateway_guard.record.schema import FIELDS
from gateway_guard.types import Action, Exchange, Inspection, Outcome, Usage
from tests import build
from tests.record.test_line import full

#: Every ECS field that may be written → its type. Source: elastic/ecs 9.3.0,
#: `generated/elasticsearch/composable/component/*.json`.
ECS: dict[str, type | tuple[type, ...]] = {
    "@timestamp": str,
    "message": str,
    "tags": list,
    "ecs.version": str,
    "event.action": str,
    "event.category": list,
    "event.dataset": str,
    "event.id": str,
    "event.kind": str,
    "event.module": str,
    "event.outcome": str,
    "event.provider": str,
    "event.reason": str,
    "event.risk_score": float,
    "event.risk_score_norm": float,
    "event.type": list,
    "gen_ai.operation.name": str,
    "gen_ai.request.model": str,
    "gen_ai.system": str,
    "gen_ai.usage.input_tokens": int,
    "gen_ai.usage.output_tokens": int,
    "http.request.method": str,
    "http.response.status_code": int,
    "observer.product": str,
    "observer.type": str,
    "observer.version": str,
    "organization.name": str,
    "related.ip": list,
    "related.user": list,
    "rule.name": str,
    "rule.ruleset": str,
    "source.address": str,
    "source.as.number": int,
    "source.as.organization.name": str,
    "source.geo.country_iso_code": str,
    "source.ip": str,
    "threat.enrichments": list,
    "url.path": str,
    "user.id": str,
}
#: Allowed values of ECS' categorization fields (`schemas/event.yml`).
KINDS = {"alert", "enrichment", "event", "metric", "state", "pipeline_error", "signal", "asset"}
TYPES_OF_API = {
    "access", "admin", "allowed", "change", "creation", "deletion", "denied", "end", "info",
    "start", "user",
}  # fmt: skip
TOP = {field.name for field in FIELDS if "[]" not in field.name}


def decoded(exchange: Exchange, addresses: Addresses = Addresses.FULL) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(line(exchange, addresses))
    return found


def flat(document: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in document.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


@cache
def judge(*profiles: str) -> jsonschema.Draft202012Validator:
    schema = OcsfJsonSchemaEmbedded(get_ocsf_schema(version=open_schema.VERSION))
    found = schema.get_class_schema("http_activity", list(profiles))
    if "osint" not in profiles:
        # Required by the profile, and listed for the class without it all the same.
        found["required"] = [name for name in found["required"] if name != "osint"]
    return jsonschema.Draft202012Validator(found)


def check_ocsf(event: dict[str, Any]) -> None:
    judge(*event["metadata"]["profiles"]).validate(event)


def check_ecs(document: dict[str, Any]) -> None:
    named = {k: v for k, v in document.items() if k != "gateway_guard"}
    for name, value in flat(named):
        assert isinstance(value, ECS[name]), name
    assert document["event"]["kind"] in KINDS
    assert set(document["event"]["type"]) <= TYPES_OF_API
    assert document["event"]["outcome"] in ("success", "failure", "unknown")


EXCHANGES = st.builds(
    lambda action, acted, status, method, path, outcome, risk, inspection, addresses: (
        build.exchange(
            request=build.request(method=method, path=path, inspection=inspection),
            assessment=build.exchange().assessment
            if risk is None
            else msgspec.structs.replace(build.exchange().assessment, risk=risk),
            decision=build.decision(
                action=action, acted=acted, status=status if action.refuses else None
            ),
            usage=outcome and Usage(outcome=outcome, status=status),
        ),
        addresses,
    ),
    st.sampled_from(Action),
    st.booleans(),
    st.sampled_from([200, 403, 429, 451, 503]),
    st.sampled_from(["GET", "POST", "WEBSOCKET", "PROPFIND", "CONNECT"]),
    st.sampled_from([None, "/v1/chat/completions", "/", "/é"]),
    st.sampled_from([None, *Outcome]),
    st.sampled_from([None, 0.0, 0.2, 0.5, 0.86, 1.0]),
    st.sampled_from(Inspection),
    st.sampled_from(Addresses),
)


@settings(max_examples=60, deadline=None)
@given(EXCHANGES)
def test_whatever_was_decided_is_valid_in_both_schemas(
    case: tuple[Exchange, Addresses],
) -> None:
    said = decoded(*case)

    check_ocsf(ocsf(said))
    check_ecs(ecs(said))


def test_a_line_with_everything_is_valid_in_both_schemas() -> None:
    said = decoded(full())

    event, document = ocsf(said), ecs(said)

    check_ocsf(event)
    check_ecs(document)
    assert event["metadata"]["profiles"] == ["security_control", "host", "osint"]
    assert event["osint"][0]["vendor_name"] == "acme"
    (enrichment,) = document["threat"]["enrichments"]
    assert enrichment["indicator"]["confidence"] == "High"


def test_what_judges_ocsf_refuses_what_is_not_in_the_schema() -> None:
    event = ocsf(decoded(full()))

    wrongs: list[dict[str, Any]] = [{"made_up": 1}, {"activity_id": "6"}, {"metadata": {}}]
    for wrong in wrongs:
        with pytest.raises(jsonschema.ValidationError):
            judge("security_control", "host", "osint").validate({**event, **wrong})


def test_every_field_of_the_log_is_somewhere_in_both_and_in_one_place_only() -> None:
    for plain, own, turned in (
        (set(elastic.PLAIN.values()) | {"rule"}, elastic.OWN, elastic.TURNED),
        (set(), open_schema.OWN, open_schema.TURNED),
    ):
        assert plain | set(own) | turned == TOP
        assert not set(own) & turned
        assert not plain & (set(own) | turned)


def test_nothing_is_said_that_the_line_does_not_say() -> None:
    said = decoded(full())
    texts = {value for _, value in flat(said) if isinstance(value, str) and len(value) > 3}

    for made in (ecs(said), ocsf(said)):
        for text in texts & {said["account"], said["id"], said["where"]}:
            assert text in json.dumps(made)
        assert said["account"] in json.dumps(made)


@pytest.mark.parametrize(
    ("action", "acted", "action_id", "disposition_id", "kind", "outcome"),
    [
        (Action.ALLOW, True, 1, 1, "event", "success"),
        (Action.RESTRICT, True, 4, 99, "alert", "success"),
        (Action.CHALLENGE, True, 2, 23, "alert", "failure"),
        (Action.THROTTLE, True, 2, 25, "alert", "failure"),
        (Action.DENY, True, 2, 2, "alert", "failure"),
        (Action.DENY, False, 3, 17, "alert", "success"),
    ],
)
def test_an_action_is_told_as_what_became_of_the_request(
    action: Action, acted: bool, action_id: int, disposition_id: int, kind: str, outcome: str
) -> None:
    ended = Outcome.REFUSED if acted and action.refuses else Outcome.COMPLETED
    said = decoded(
        build.exchange(
            decision=build.decision(
                action=action, acted=acted, status=403 if action.refuses else None
            ),
            usage=Usage(outcome=ended, status=None if ended is Outcome.REFUSED else 200),
        )
    )

    event, document = ocsf(said), ecs(said)

    assert (event["action_id"], event["disposition_id"]) == (action_id, disposition_id)
    assert (document["event"]["kind"], document["event"]["outcome"]) == (kind, outcome)
    refused = ended is Outcome.REFUSED
    assert event["http_response"]["code"] == (403 if refused else 200)
    assert document["http"]["response"]["status_code"] == (403 if refused else 200)
    assert event["type_uid"] == 400206


def test_a_subnet_is_not_told_as_an_address() -> None:
    said = decoded(build.exchange(), Addresses.SUBNET)

    assert ecs(said)["source"]["address"] == "198.51.100.0/24"
    assert "ip" not in ecs(said)["source"]
    assert "ip" not in ocsf(said)["src_endpoint"]
    assert "198.51.100.7" not in json.dumps([ecs(said), ocsf(said)])


@pytest.mark.parametrize("schema", SCHEMAS)
def test_a_line_is_exported_as_one_line_and_what_is_none_is_named(schema: str) -> None:
    made = exported(line(full()), schema)

    assert made.count(b"\n") == 1
    assert json.loads(made)
    for wrong in (b"{}", b"not json", b'{"time":"2026"}', b"[]", b"\xff"):
        with pytest.raises(SourceError, match="not a line"):
            exported(wrong, schema)


def test_an_action_nobody_knows_is_no_line() -> None:
    text = line(full()).replace(b'"throttle"', b'"guess"')

    with pytest.raises(SourceError):
        exported(text, "ocsf")


def test_a_figure_no_schema_can_hold_is_no_line() -> None:
    text = re.sub(rb'"risk":[0-9.]+', b'"risk":1e308', line(full()))

    with pytest.raises(SourceError, match="not a line"):
        exported(text, "ocsf")


def test_what_is_written_at_once_is_what_is_exported_afterwards() -> None:
    for schema in SCHEMAS:
        assert encoder(schema)(full(), Addresses.SUBNET) == exported(
            line(full(), Addresses.SUBNET), schema
        )
    assert encoder(OWN) is line
