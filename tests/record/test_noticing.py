"""What shows in requests alone is said once under each policy, and then nobody looks any more."""

from __future__ import annotations

import pytest

from gateway_guard.record import noticing
from gateway_guard.record.noticing import Noticing
from gateway_guard.types import Request, Wire
from tests import build

MISSPELT = "mode: enforce\nidentify: { account: { header: x-api-kye } }"
INSIDE = "10.0.3.7"


def asked(**headers: str) -> tuple[Wire, Request]:
    """A request for a model without an account, from an inner network."""
    wire = build.wire(peer=INSIDE, key=None, headers=headers)
    return wire, build.request(account=None, client_ip=INSIDE, ip_source="peer")


def test_a_policy_that_comes_next_is_looked_at_anew(caplog: pytest.LogCaptureFixture) -> None:
    looked = Noticing()
    first, second = build.policy(MISSPELT), build.policy(f"{MISSPELT}\n# another")

    for policy in (first, first, second):
        looked.look(*asked(forwarded="for=203.0.113.9"), policy)

    assert len(caplog.records) == 2


def test_one_mistake_does_not_hide_another_and_after_both_nobody_looks(
    caplog: pytest.LogCaptureFixture,
) -> None:
    looked, policy = Noticing(), build.policy(MISSPELT)

    looked.look(*asked(forwarded="for=203.0.113.9"), policy)
    between = looked.left
    looked.look(*asked(authorization="Bearer sk-1"), policy)

    assert (between > 0, looked.left) == (True, 0)
    assert [record.message.split(":")[0] for record in caplog.records] == [
        "a peer within 10.0.0.0/8 sends forwarded and is not in identify.trusted_proxies",
        "a request for a model has authorization and no account",
    ]


def test_after_so_many_requests_nobody_looks_any_more(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(noticing, "MOST", 2)
    looked, policy = Noticing(), build.policy(MISSPELT)

    for headers in ({}, {}, {"authorization": "Bearer sk-1"}):
        looked.look(*asked(**headers), policy)

    assert (looked.left, looked.about) == (0, policy)
    assert caplog.records == []
