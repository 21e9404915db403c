"""CrowdSec's decisions in and out, against a stand-in that follows its OpenAPI (`lapi`)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gateway_guard.errors import IntelError
from gateway_guard.intel import crowdsec
from gateway_guard.intel.http import Web, checked_url
from gateway_guard.intel.networks import Limits
from tests import build
from tests.intel import cases
from tests.intel.lapi import StandIn, decision

AT = cases.LAST


@pytest.fixture
def lapi() -> Iterator[StandIn]:
    with StandIn() as running:
        yield running


def bouncer(lapi: StandIn, key: str = "bouncer-key") -> Web:
    return Web(lapi.url, headers={"x-api-key": key})


def look(web: Web, *, startup: bool = False) -> crowdsec.Stream:
    return crowdsec.stream(web, startup=startup, now=build.NOW, limits=Limits())


def test_everything_comes_first_and_then_what_changes(lapi: StandIn) -> None:
    lapi.decide(decision(), decision(value="198.51.100.0/24", scope="Range"))
    with bouncer(lapi) as web:
        first = look(web, startup=True)
        nothing = look(web)
        lapi.decide(decision(value="2001:db8:7::9"))
        lapi.end(decision())
        then = look(web)

    assert [one.value for one in first.taken.indicators] == ["203.0.113.7/32", "198.51.100.0/24"]
    assert (nothing.taken.indicators, nothing.ended) == ([], set())
    assert [one.value for one in then.taken.indicators] == ["2001:db8:7::9/128"]
    assert then.ended == {first.taken.indicators[0].id}
    assert lapi.asked[0].startswith("GET /v1/decisions/stream?startup=true&scopes=ip%2Crange%2C")


def test_a_decision_says_how_sure_its_origin_is_and_until_when(lapi: StandIn) -> None:
    lapi.decide(decision(), decision(value="198.51.100.9", origin="lists", duration="1h0m0s"))

    with bouncer(lapi) as web:
        ours, lists = look(web, startup=True).taken.indicators

    assert (ours.confidence, lists.confidence) == (80, 50)
    assert ours.name == "crowdsecurity/http-probing"
    assert lists.until - lists.since == 3_601


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"scenario": crowdsec.SCENARIO}, "of this guard's own making"),
        ({"origin": crowdsec.ORIGIN}, "of this guard's own making"),
        ({"simulated": True}, "simulated"),
        ({"duration": "-1s"}, "expired"),
        ({"duration": "soon"}, "without a duration that can be read"),
        ({"value": "nobody"}, "that name no address or range"),
        ({"value": "NL", "scope": "Country"}, crowdsec._NOT_TAKEN["country"]),
        ({"value": "64500", "scope": "AS"}, crowdsec._NOT_TAKEN["as"]),
        ({"value": "jo", "scope": "username"}, crowdsec._NOT_TAKEN["username"]),
        ({"value": "acct_1", "scope": "account"}, crowdsec._NOT_TAKEN["account"]),
        ({"value": "203.0.0.0/16", "scope": "Range"}, "refused"),
        ({"value": "10.0.0.1"}, "refused"),
    ],
)
def test_what_is_not_taken_is_counted_by_its_reason(
    lapi: StandIn, fields: dict[str, object], reason: str
) -> None:
    lapi.decide(decision(**fields))

    with bouncer(lapi) as web:
        found = look(web, startup=True)

    assert (found.taken.indicators, dict(found.taken.skipped)) == ([], {reason: 1})


def test_a_wrong_key_says_how_to_make_one(lapi: StandIn) -> None:
    with bouncer(lapi, "wrong") as web, pytest.raises(IntelError, match="cscli bouncers add"):
        look(web, startup=True)


def test_nobody_there_says_so_without_the_key() -> None:
    with StandIn() as gone:
        url = gone.url
    with (
        Web(url, headers={"x-api-key": "secret-key"}) as web,
        pytest.raises(IntelError, match=r"http://127\.0\.0\.1:\d+ cannot be reached") as caught,
    ):
        look(web)

    assert "secret-key" not in str(caught.value)


def test_networks_of_a_campaign_are_handed_over_as_the_openapi_asks(lapi: StandIn) -> None:
    alerts = list(crowdsec.alerts_of(cases.case(), now=AT, kind="captcha", days=14))

    with Web(lapi.url) as web:
        ids = crowdsec.push(web, crowdsec.login(web, "guard", "pass-word"), alerts)

    assert len(ids) == len(lapi.alerts) == 3
    values = {one["decisions"][0]["value"] for one in lapi.alerts}
    assert values == {"203.0.113.0/24", "198.51.100.0/24", "2001:db8:7::/48"}
    assert {one["decisions"][0]["type"] for one in lapi.alerts} == {"captcha"}
    assert "acct_" not in str(lapi.alerts)


def test_what_is_over_is_not_handed_over() -> None:
    later = AT + 15 * 86_400

    assert list(crowdsec.alerts_of(cases.case(), now=later, kind="ban", days=14)) == []


def test_a_wrong_password_and_a_token_that_is_none_are_said(lapi: StandIn) -> None:
    with Web(lapi.url) as web:
        with pytest.raises(IntelError, match="cscli machines add"):
            crowdsec.login(web, "guard", "wrong")
        with pytest.raises(IntelError, match="answers 401"):
            crowdsec.push(web, "none", [{}])


@pytest.mark.parametrize(
    ("url", "part"),
    [
        ("http://192.0.2.1/v1/", "in the clear"),
        ("ftp://127.0.0.1/", "must begin with https"),
        ("https://me:secret@example.org/", "holds credentials"),
        ("", "must begin with https"),
        ("\udcff", "must begin with https"),
    ],
)
def test_a_url_that_would_give_credentials_away_is_refused(url: str, part: str) -> None:
    with pytest.raises(IntelError, match=part) as caught:
        checked_url(url, insecure=False)

    assert "secret" not in str(caught.value)


def test_credentials_stay_with_the_server_they_are_for(lapi: StandIn) -> None:
    with bouncer(lapi) as web, pytest.raises(IntelError, match="points to another server"):
        web.ask("GET", "http://127.0.0.1:1/", most=1)


def test_a_server_whose_name_cannot_be_does_not_answer() -> None:
    with (
        Web(f"https://{'a' * 64}.example/") as web,
        pytest.raises(IntelError, match="cannot be reached"),
    ):
        web.ask("GET", "decisions/stream", most=10)


def test_an_answer_that_is_too_large_is_cut_off(lapi: StandIn) -> None:
    lapi.decide(decision())

    with bouncer(lapi) as web, pytest.raises(IntelError, match="more than 10 bytes"):
        web.ask("GET", "decisions/stream", most=10)
