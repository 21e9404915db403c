"""What an application says of its requests, and what it is told of that."""

from __future__ import annotations

import asyncio
import enum
import uuid
from datetime import UTC, date, datetime
from typing import Any

import pytest

from gateway_guard.accounts.attributes import read
from gateway_guard.building import build_guard
from gateway_guard.frontends.asgi import EXCHANGE_KEY, GuardMiddleware
from gateway_guard.frontends.stating import MOST, Stating
from gateway_guard.network.unknown import NoNetwork
from gateway_guard.settings import Settings
from gateway_guard.types import Exchange
from tests import build
from tests.frontends.fakes import Client, body_of, http_scope

POLICY = build.policy("mode: enforce\n")
ID = uuid.UUID(int=7)


class Plan(enum.StrEnum):
    SCALE = "scale"


class Old(str, enum.Enum):  # noqa: UP042 - as applications from before 3.11 have them
    SCALE = "scale"


def judged(said: object) -> Exchange:
    seen: list[Exchange] = []

    async def app(scope: Any, _receive: Any, send: Any) -> None:
        seen.append(scope[EXCHANGE_KEY])
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    brain = build_guard(POLICY, network=NoNetwork(), settings=Settings(secret=build.SECRET))
    guarded = GuardMiddleware(app, guard=brain)
    client = Client(body_of(b""))
    scope = http_scope("/v1/models", method="GET", state={"gateway_guard": said})

    asyncio.run(guarded(scope, client.receive, client.send))
    return seen[0]


@pytest.mark.parametrize(
    ("name", "text"),
    [(ID, str(ID)), (7, "7"), (Plan.SCALE, "scale"), (Old.SCALE, "scale")],
    ids=["uuid", "integer", "enum", "old enum"],
)
def test_an_account_is_named_as_applications_name_them(name: object, text: str) -> None:
    request = judged({"account": name}).request

    assert request.credential == "state"
    assert request.account == judged({"account": text}).request.account


@pytest.mark.parametrize(
    ("member", "value", "meant"),
    [
        ("organisation", ID, str(ID)),
        ("tier", Old.SCALE, "scale"),
        ("created_at", datetime(2026, 1, 31, 9, tzinfo=UTC), 1769850000.0),
        ("created_at", datetime(2026, 1, 31, 9), 1769850000.0),  # noqa: DTZ001 - as many databases
        ("created_at", date(2026, 1, 31), 1769817600.0),
    ],
)
def test_attributes_may_be_what_a_database_gives(member: str, value: object, meant: object) -> None:
    assert read({member: value}) == {member: meant}


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("team-7", "is str and counts for nothing: it has to be a mapping"),
        ({"account": b"team-7"}, "'account' counts for nothing: bytes is no name of an account"),
        ({"acount": "team-7"}, "'acount' counts for nothing: it is no attribute (organisation, "),
        ({"verified": "maybe"}, "'verified' counts for nothing: this str makes no sense there"),
    ],
)
def test_what_is_said_in_vain_is_told(
    said: object, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    judged(said)

    assert 'scope["state"]["gateway_guard"]' in caplog.text
    assert told in caplog.text
    assert "maybe" not in caplog.text


@pytest.mark.parametrize(
    "said",
    [
        {"account": "team-7", "tier": "scale", "tags": [], "created_at": 1769850000},
        {"account": None, "organisation": "", "verified": False},
        {},
        None,
    ],
)
def test_what_counts_or_says_that_nothing_is_known_is_not_talked_about(
    said: object, caplog: pytest.LogCaptureFixture
) -> None:
    judged(said)

    assert not caplog.records


def test_an_account_that_no_source_of_the_policy_reads_is_told_of(
    caplog: pytest.LogCaptureFixture,
) -> None:
    policy = build.policy("identify: { account: { header: authorization } }\n")

    Stating().of({"state": {"gateway_guard": {"account": "team-7"}}}, policy)

    assert "no source of the policy's identify.account reads it" in caplog.text


def test_each_member_is_told_of_once_and_not_for_ever(caplog: pytest.LogCaptureFixture) -> None:
    stating = Stating()
    for number in range(MOST + 10):
        said = {"acount": number, f"made-up-{number}": "by a client"}
        assert stating.of({"state": {"gateway_guard": said}}, POLICY) == said

    assert len(caplog.records) == 20
    assert stating.left == 0
