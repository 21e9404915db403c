"""What of a confirmed campaign is handed on, and what never is."""

from __future__ import annotations

import msgspec

from gateway_guard.campaigns.digests import FRAGMENT_SAMPLE
from gateway_guard.intel import evidence
from gateway_guard.intel.evidence import Traffic, case_of
from gateway_guard.intel.groups import group_of
from gateway_guard.intel.sharing import shared
from gateway_guard.intel.stix import bundle
from tests import build
from tests.campaigns import ring
from tests.intel import cases

GROUP = group_of(cases.GROUP_KEY)


def values(kind: str) -> set[object]:
    return {one.value for one in cases.case().findings if one.kind == kind}


def test_rented_networks_that_are_hardly_anybody_elses_are_handed_on() -> None:
    assert values("network") == {"203.0.113.0/24", "198.51.100.0/24", "2001:db8:7::/48"}


def test_what_is_kept_back_is_counted_by_its_reason() -> None:
    kept_back = cases.case().kept_back

    assert kept_back["networks with strangers behind them (no rented ones)"] == 2
    assert kept_back["networks that others use as much"] == 1
    assert kept_back["networks of fewer than 3 members"] == 1


def test_without_traffic_there_are_no_networks_and_the_rest_is_the_same() -> None:
    (campaign,) = cases.linker().campaigns()

    kinds = {one.kind for one in case_of(cases.linker(), campaign, Traffic()).findings}

    assert kinds == {"client", "template"}


def test_templates_are_ends_and_skeletons_never_fragments() -> None:
    templates = values("template")

    assert len(templates) == 4
    assert all(isinstance(key, int) and key % FRAGMENT_SAMPLE for key in templates)


def test_client_software_is_believed_half_as_much() -> None:
    (client,) = [one for one in cases.case().findings if one.kind == "client"]

    assert client.confidence == evidence.SUREST / 2
    assert client.members == ring.MEMBERS


def test_nothing_that_is_handed_on_names_a_person() -> None:
    document = bundle([cases.case()], "acme", group=GROUP)
    told = [msgspec.to_builtins(one.indicator) for one in shared("acme", cases.case(), GROUP)]

    text = msgspec.json.encode([document, told]).decode()

    for number in range(ring.MEMBERS):
        assert ring.account("a", number) not in text
        assert f"org-a{number}" not in text
        assert f"{cases.RENTED}{10 + number}" not in text
    for finding in cases.case().findings:
        if isinstance(finding.value, int):
            assert f"{finding.value}" not in text
            assert f"{finding.value:x}" not in text
    assert "card-" not in text
    assert "acct_" not in text


def test_digests_are_handed_on_only_to_a_group() -> None:
    kinds = {one.indicator.kind for one in shared("acme", cases.case(), None)}

    assert kinds == {"network"}


def test_the_same_case_makes_the_same_indicators_and_another_exporter_others() -> None:
    once = [one.indicator for one in shared("acme", cases.case(), GROUP)]

    assert once == [one.indicator for one in shared("acme", cases.case(), GROUP)]
    others = {one.indicator.id for one in shared("other", cases.case(), GROUP)}
    assert others.isdisjoint(one.id for one in once)


def test_an_indicator_ends_some_days_after_it_was_last_seen() -> None:
    for one in shared("acme", cases.case(), GROUP, {"network": 1, "client": 2, "template": 3}):
        days = {"network": 1, "client": 2, "template": 3}[one.indicator.kind]

        assert one.indicator.until == int(one.finding.last_at) + days * 86_400


def test_what_is_remembered_of_traffic_is_bounded(monkeypatch: object) -> None:
    traffic = Traffic()
    most = evidence._MOST_ACCOUNTS + 10

    for number in range(most):
        traffic.note("203.0.113.0/24", f"acct_{number}", (), build.NOW)

    assert len(traffic.networks["203.0.113.0/24"].accounts) == evidence._MOST_ACCOUNTS
