"""What limits ask of a request, under which key, and what it really cost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.core.adapt import Adapt
from gateway_guard.core.limits import (
    DEFAULT_INPUT_TOKENS,
    DEFAULT_OUTPUT_TOKENS,
    MOST_RESERVED_OUTPUT,
    PARTS,
    UNITS,
    Limit,
    actuals,
    charges_for,
)
from gateway_guard.core.rules import Condition
from gateway_guard.types import (
    Assessment,
    CampaignFacts,
    Charge,
    Facts,
    Inspection,
    Outcome,
    PromptShape,
    Request,
    Usage,
)
from tests import build


def limit(*per: str, unit: str = "requests", **fields: object) -> Limit:
    defaults: dict[str, object] = {
        "name": "some",
        "per": per or ("account",),
        "unit": unit,
        "quota": 120.0,
        "window": 0.0 if unit == "concurrent" else 60.0,
        "burst": 240.0,
    }
    return Limit(**defaults | fields)  # type: ignore[arg-type]  # the builder's own defaults


def ask(
    subject: Limit, request: Request | None = None, facts: Facts | None = None, risk: float = 0.0
) -> Charge | None:
    charges = charges_for(
        (subject,), request or build.request(), facts or build.facts(), Assessment(risk=risk)
    )
    return charges[0] if charges else None


def key(subject: Limit, request: Request | None = None, facts: Facts | None = None) -> str | None:
    charge = ask(subject, request, facts)
    return None if charge is None else charge.key


_NOBODY = build.request(
    account=None, client_ip=None, subnet=None, model=None, path=None, prompt=build.prompt()
)
_NOTHING = build.facts(network=build.network(country=None, asn=None))


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ("account", "some:acct_test"),
        ("organisation", "some:acct_test"),
        ("client_ip", "some:198.51.100.7"),
        ("subnet", "some:198.51.100.0/24"),
        ("asn", "some:AS64500"),
        ("country", "some:NO"),
        ("model", "some:apex-4"),
        ("route", "some:/v1/chat/completions"),
        ("campaign", None),
        ("everyone", "some:everyone"),
    ],
)
def test_each_part_names_what_is_charged(part: str, expected: str | None) -> None:
    assert key(limit(part)) == expected


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ("account", "some:anonymous:unknown"),
        ("organisation", "some:anonymous:unknown"),
        ("client_ip", "some:unknown"),
        ("subnet", "some:unknown"),
        ("asn", "some:unknown"),
        ("country", "some:unknown"),
        ("model", "some:unknown"),
        ("route", "some:unknown"),
        ("campaign", None),
        ("everyone", "some:everyone"),
    ],
)
def test_what_nobody_knows_is_counted_as_unknown(part: str, expected: str | None) -> None:
    assert key(limit(part), _NOBODY, _NOTHING) == expected


def test_the_tables_above_cover_every_part() -> None:
    assert PARTS == (
        "account", "organisation", "client_ip", "subnet", "asn", "country", "model", "route",
        "campaign", "everyone",
    )  # fmt: skip


def test_a_request_without_an_account_is_charged_to_its_subnet() -> None:
    assert key(limit("account"), build.request(account=None)) == "some:anonymous:198.51.100.0/24"


def test_an_organisation_shares_one_key() -> None:
    facts = build.facts(account=build.account(organisation="org_1"))

    assert key(limit("organisation"), facts=facts) == "some:org_1"


@pytest.mark.parametrize("whose", ["acct_test", "anonymous:198.51.100.0/24"])
def test_no_organisation_is_charged_for_who_has_none_whatever_it_calls_itself(whose: str) -> None:
    account = None if whose.startswith("anonymous") else whose
    alone = key(limit("organisation"), build.request(account=account))
    named = [whose, f"organisation:{whose}", f"organisation:organisation:{whose}"]

    keys = {
        key(limit("organisation"), facts=build.facts(account=build.account(organisation=name)))
        for name in named
    }

    assert alone == f"some:{whose}"
    assert alone not in keys
    assert len(keys) == 3


def test_a_campaign_shares_one_key() -> None:
    facts = build.facts(campaign=CampaignFacts(id="c_1", confidence=0.9))

    assert key(limit("campaign"), facts=facts) == "some:c_1"
    assert key(limit("campaign", "model"), facts=facts) == "some:c_1|apex-4"
    assert key(limit("campaign", "model")) is None


def test_an_ipv6_client_is_charged_by_its_64() -> None:
    request = build.request(client_ip="2001:db8::7", subnet="2001:db8::/64")

    assert key(limit("client_ip"), request) == "some:2001:db8::/64"


def test_a_tuple_of_parts_makes_one_key() -> None:
    assert key(limit("account", "model")) == "some:acct_test|apex-4"


#: What might forge a separator. No case, white space or slash: of those, spellings do share a key.
_PARTS = st.text("ab|%~2507c", max_size=8)


@given(_PARTS, _PARTS, _PARTS, _PARTS)
def test_different_tuples_never_share_a_key(a: str, b: str, c: str, d: str) -> None:
    subject = limit("model", "route")

    one = key(subject, build.request(model=a, path=b))
    other = key(subject, build.request(model=c, path=d))

    assert (one == other) == ((a, b) == (c, d))


def test_a_long_model_name_is_digested() -> None:
    names = ["m" * 100_000, "m" * 100_001, "\ud800" * 200]

    keys = {key(limit("model"), build.request(model=name)) for name in names}

    assert len(keys) == 3
    assert all(text is not None and len(text) < 100 for text in keys)


@pytest.mark.parametrize(
    ("unit", "cost"),
    [("requests", 1), ("concurrent", 1), ("input-tokens", 10), ("output-tokens", 150),
     ("tokens", 160)],
)  # fmt: skip
def test_each_unit_costs_what_the_request_may_use(unit: str, cost: float) -> None:
    request = build.request(prompt=build.prompt(max_output_tokens=50, n=3))

    charge = ask(limit(unit=unit), request)

    assert unit in UNITS
    assert charge is not None
    assert (charge.cost, charge.unit) == (cost, unit)


@pytest.mark.parametrize(
    ("fields", "read", "written"),
    [
        ({}, 10, DEFAULT_OUTPUT_TOKENS),
        ({"prompt": build.prompt(n=2)}, 10, 2 * DEFAULT_OUTPUT_TOKENS),
        ({"prompt": build.prompt(max_output_tokens=0)}, 10, 0),
        ({"prompt": build.prompt(max_output_tokens=-5)}, 10, 0),
        ({"path": "/v1/embeddings"}, 10, 0),
        ({"path": "/v1/messages/count_tokens"}, 10, 0),
        (
            {"prompt": None, "inspection": Inspection.ENCODING},
            DEFAULT_INPUT_TOKENS,
            DEFAULT_OUTPUT_TOKENS,
        ),
        (
            {"prompt": None, "inspection": Inspection.NONE, "method": "WEBSOCKET"},
            DEFAULT_INPUT_TOKENS,
            DEFAULT_OUTPUT_TOKENS,
        ),
    ],
)
def test_tokens_are_estimated(fields: dict[str, object], read: int, written: int) -> None:
    request = build.request(**fields)
    limits = tuple(limit(unit=unit) for unit in ("input-tokens", "output-tokens", "tokens"))

    charges = charges_for(limits, request, build.facts(), Assessment())

    assert [charge.cost for charge in charges] == [read, written, read + written]


@pytest.mark.parametrize(
    "fields",
    [{"model_route": False}, {"method": "GET", "prompt": None, "inspection": Inspection.NONE}],
)
def test_where_no_model_is_reached_only_requests_and_places_are_charged(
    fields: dict[str, object],
) -> None:
    limits = tuple(limit(unit=unit) for unit in UNITS)

    charges = charges_for(limits, build.request(**fields), build.facts(), Assessment())

    assert [charge.unit for charge in charges] == ["requests", "concurrent"]


def test_the_charge_carries_rate_and_capacity() -> None:
    charge = ask(limit(unit="requests"))

    assert charge is not None
    assert (charge.rate, charge.capacity, charge.quota, charge.window) == (2, 240, 120, 60)


def test_a_limit_out_of_scope_charges_nothing() -> None:
    never = Condition(field="path", text="/x", test=lambda *_: False)
    always = Condition(field="path", text="/v1/*", test=lambda *_: True)

    assert ask(limit(conditions=(always, never))) is None
    assert ask(limit(conditions=(always,))) is not None


_HALF = Adapt(risk=((0.5, 0.25), (0.9, 0.0)))


def test_risk_shrinks_quota_rate_and_capacity_alike() -> None:
    charge = ask(limit(unit="tokens", adapt=_HALF), risk=0.5)

    assert charge is not None
    assert (charge.quota, charge.rate, charge.capacity) == (30, 0.5, 60)


def test_below_the_first_band_nothing_shrinks() -> None:
    assert ask(limit(adapt=_HALF), risk=0.49) == ask(limit())


@pytest.mark.parametrize("unit", UNITS)
def test_a_share_of_nothing_suspends(unit: str) -> None:
    charge = ask(limit(unit=unit, adapt=_HALF), risk=0.9)

    assert charge is not None
    assert (charge.capacity, charge.rate, charge.quota) == (0, 0, 0)


@pytest.mark.parametrize(
    ("unit", "capacity"), [("concurrent", 1), ("requests", 1), ("tokens", 0.5)]
)
def test_one_request_is_indivisible(unit: str, capacity: float) -> None:
    charge = ask(limit(unit=unit, burst=2.0, adapt=_HALF), risk=0.5)

    assert charge is not None
    assert charge.capacity == capacity


def test_places_in_flight_are_whole() -> None:
    charge = ask(limit(unit="concurrent", burst=15.0, adapt=_HALF), risk=0.5)

    assert charge is not None
    assert charge.capacity == 3


_UNIT_LIMITS = tuple(limit(unit=unit, name=unit) for unit in UNITS)
_CAPPED = build.request(prompt=build.prompt(max_output_tokens=100))


def real(usage: Usage, request: Request = _CAPPED) -> dict[str, float]:
    charges = charges_for(_UNIT_LIMITS, request, build.facts(), Assessment())
    costs = actuals(charges, request, usage)
    return {charge.unit: cost for charge, cost in zip(charges, costs, strict=True)}


@pytest.mark.parametrize(
    ("usage", "read", "written"),
    [
        (Usage(input_tokens=7, output_tokens=5, reported=True), 7, 5),
        (Usage(input_tokens=0, output_tokens=0, reported=True), 0, 0),
        (Usage(), 10, 100),
        (Usage(input_tokens=7), 7, 100),
        (Usage(output_tokens=5), 10, 5),
        (Usage(output_tokens=101), 10, 100),
        (Usage(output_tokens=464), 10, 100),
        # So much more than the cap that its upstream cannot have kept to it.
        (Usage(output_tokens=465), 10, 465),
        (Usage(outcome=Outcome.CLIENT_GONE, output_tokens=5000), 10, 5000),
        (Usage(output_tokens=5000, reported=True), 10, 5000),
        (Usage(outcome=Outcome.CLIENT_GONE), 10, 100),
        (Usage(outcome=Outcome.CLIENT_GONE, output_tokens=3), 10, 3),
        (Usage(outcome=Outcome.UPSTREAM_CUT, output_tokens=3), 10, 3),
        (Usage(outcome=Outcome.UPSTREAM_ERROR), 0, 0),
        (Usage(outcome=Outcome.UPSTREAM_ERROR, input_tokens=0, output_tokens=0), 0, 0),
        (Usage(outcome=Outcome.UPSTREAM_ERROR, input_tokens=9, reported=True), 9, 0),
    ],
)
def test_real_usage_replaces_the_estimate_and_absence_does_not(
    usage: Usage, read: int, written: int
) -> None:
    assert real(usage) == {
        "requests": 1,
        "concurrent": 0,
        "input-tokens": read,
        "output-tokens": written,
        "tokens": read + written,
    }


def test_a_delivery_without_a_cap_is_taken_as_estimated() -> None:
    assert real(Usage(output_tokens=5000), build.request())["output-tokens"] == 5000


_LATER = build.prompt(max_output_tokens=20_000, batch=1)


@pytest.mark.parametrize(
    ("prompt", "usage", "written"),
    [
        # Nobody waits for the end of it, so what was seen of it says nothing.
        (_LATER, Usage(output_tokens=3, outcome=Outcome.CLIENT_GONE, status=200), 20_000),
        (_LATER, Usage(output_tokens=0, outcome=Outcome.CLIENT_GONE), 20_000),
        (_LATER, Usage(outcome=Outcome.COMPLETED, status=200), 20_000),
        (build.prompt(batch=1), Usage(outcome=Outcome.COMPLETED, status=200), MOST_RESERVED_OUTPUT),
        # Counted or refused, it cost what was said.
        (_LATER, Usage(output_tokens=9, outcome=Outcome.COMPLETED, status=200, reported=True), 9),
        (_LATER, Usage(input_tokens=0, output_tokens=0, status=400), 0),
        (_LATER, Usage(outcome=Outcome.UPSTREAM_ERROR), 0),
    ],
)
def test_what_is_worked_on_later_costs_what_it_may_write(
    prompt: PromptShape, usage: Usage, written: int
) -> None:
    assert real(usage, build.request(prompt=prompt))["output-tokens"] == written
