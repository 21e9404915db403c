"""Whatever is answered sooner is answered alike: what is remembered against what is reckoned."""

from __future__ import annotations

import base64
import math
from array import array
from typing import Any
from unittest import mock

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

from gateway_guard.core import account as accounts
from gateway_guard.core import hints, prepared, wrapped
from gateway_guard.core.charging import MOST_KEPT, Charging, charges_of
from gateway_guard.core.decide import decide
from gateway_guard.core.limits import charges_for
from gateway_guard.core.policy import Policy
from gateway_guard.core.sections import AccountSource, Identify
from gateway_guard.core.seeds import seeds
from gateway_guard.frontends import headers
from gateway_guard.frontends.headers import duration, rate_limit_headers
from gateway_guard.signals import template_sweep
from gateway_guard.signals.profile import CELLS, ONES_AT, SKETCH_BYTES, SLOTS, Profile
from gateway_guard.signals.template_sweep import TemplateSweep
from gateway_guard.types import (
    AccountFacts,
    Assessment,
    CampaignFacts,
    Dialect,
    Facts,
    Held,
    Request,
    RoleShape,
    Wire,
)
from tests import build

DAY = 86_400.0

POLICY = build.policy(
    """
    mode: enforce
    signals:
      template-sweep: { weight: 1.0 }
    limits:
      requests:
        per: account
        requests: 120/minute
        burst: 480
        when: { account: known }
        adapt: { age: { 7 days: 50%, 30 days: 75% }, tier: { free: 100%, scale: 400% } }
      in-flight: { per: account, concurrent: 16, when: { model_route: true } }
      tokens:
        per: account
        tokens: 400000/minute
        adapt: { risk: { 0.5: 50%, 0.75: 25% }, tier: { scale: 200% }, recover: 1 hour }
      reading: { per: [account, model], input_tokens: 9000/minute, when: { not: { tier: scale } } }
      young: { per: account, requests: 10/minute, when: { account_age: { max: 2 days } } }
      tagged: { per: client_ip, requests: 10/minute, when: { account_tag: noisy } }
      campaign: { per: campaign, tokens: 100/hour, when: { campaign: { min: 0.5 } } }
      group: { per: campaign, requests: 100/hour }
    rules:
      - name: tagged
        when: { account_tag: noisy, risk: { max: 0.8 } }
        then: restrict
        with: { n: 1 }
      - { name: sure, when: { campaign: { min: 0.9 } }, then: deny }
      - { name: lonely, when: { campaign: unknown, risk: { min: 0.6 } }, then: challenge }
      - name: swept
        when: { signal: { template-sweep: { min: 0.4 } } }
        then: restrict
        with: { n: 1 }
      - { name: not-calm, when: { not: { risk: { max: 0.3 } } }, then: challenge }
      - { name: rehearsal, mode: shadow, when: { tier: free }, then: deny }
    """
)

_ACCOUNTS = (
    AccountFacts(),
    AccountFacts(tier="free", created_at=build.NOW - 6 * DAY),
    AccountFacts(tier="scale", created_at=build.NOW - 29.5 * DAY),
    AccountFacts(tier="scale", created_at=build.NOW + DAY),
    AccountFacts(created_at=build.NOW - 7 * DAY, tags=("noisy",)),
)
_times = st.one_of(
    st.sampled_from([0.0, 1.0, DAY, 7 * DAY, DAY / 2 - 0.5, DAY - 1e-7, -DAY, 23.5 * DAY]),
    st.floats(-2 * DAY, 40 * DAY),
)
_risks = st.sampled_from([0.0, 1e-300, 0.2, 0.3, 0.49999, 0.5, 0.7, 0.9])


@st.composite
def _asked(draw: st.DrawFn) -> tuple[Request, Facts, Assessment]:
    request = build.request(
        at=build.NOW + draw(_times),
        account=draw(st.sampled_from([None, "acct_a", "acct_b"])),
        model=draw(st.sampled_from([None, "apex-4", "apex-5"])),
        model_route=draw(st.booleans()),
        prompt=draw(st.sampled_from([None, build.prompt(input_tokens=7, max_output_tokens=5)])),
    )
    known = draw(st.sampled_from(_ACCOUNTS))
    if draw(st.booleans()):
        known = msgspec.structs.replace(known)  # equal, but another
    held = draw(st.sampled_from([None, Held(), Held(risk=0.6, at=build.NOW), Held(risk=0.2)]))
    campaign = draw(st.sampled_from([None, None, CampaignFacts(id="c_1", confidence=0.7)]))
    facts = build.facts(account=known, held=held, campaign=campaign)
    risk = draw(_risks)
    signals = (build.signal(score=risk),) if risk and draw(st.booleans()) else ()
    return request, facts, Assessment(risk=risk, signals=signals)


@given(st.lists(_asked(), min_size=1, max_size=30), st.sampled_from([1, MOST_KEPT]))
def test_remembered_charges_are_those_of_every_limit_asked_anew(
    asked: list[tuple[Request, Facts, Assessment]], room: int
) -> None:
    remembered = Charging(POLICY.limits, most=room, missed=3)

    for request, facts, assessment in asked:
        charges = remembered.charges(request, facts, assessment)

        assert charges == charges_for(POLICY.limits, request, facts, assessment)


def test_charges_are_remembered_for_a_bounded_number_of_accounts() -> None:
    remembered = Charging(POLICY.limits)
    for number in range(MOST_KEPT + 10):
        request = build.request(account=f"acct_{number}")
        remembered.charges(request, build.facts(held=Held()), Assessment())

    assert len(remembered._kept) == MOST_KEPT


def test_accounts_that_come_no_more_make_room_in_the_end() -> None:
    remembered, facts = Charging(POLICY.limits, most=2, missed=3), build.facts(held=Held())

    for name in ("acct_a", "acct_b", "acct_c", "acct_c", "acct_c"):
        remembered.charges(build.request(account=name), facts, Assessment())

    assert list(remembered._kept) == ["acct_c"]


def test_what_one_policy_remembers_of_an_account_says_nothing_to_another() -> None:
    text = "limits: { requests: { per: account, requests: %d/minute } }"
    one, other = build.policy(text % 10), build.policy(text % 20)
    request, facts = build.request(), build.facts(held=Held())

    quotas = [
        charges_of(policy.limits, request, facts, Assessment())[0].quota
        for policy in (one, other, one, other)
    ]

    assert quotas == [10.0, 20.0, 10.0, 20.0]


def _with_every_rule(policy: Policy) -> Policy:
    slow = msgspec.structs.replace(policy)
    for name in ("alone", "quiet"):
        msgspec.structs.force_setattr(slow, name, slow.rules)
    return slow


SLOW = _with_every_rule(POLICY)


@given(_asked())
def test_rules_passed_over_would_not_have_matched(
    asked: tuple[Request, Facts, Assessment],
) -> None:
    assert decide(POLICY, *asked) == decide(SLOW, *asked)


_NAMES = st.sampled_from([
    b"authorization", b"x-api-key", b"api-key", b"host", b"user-agent", b"accept-language",
    b"x-timezone", b"x-utc-offset", b"x-stainless-lang", b"x-stainless-os", b"",
])  # fmt: skip
_VALUES = st.one_of(
    st.sampled_from([
        b"Bearer sk-1", b"Bearer sk-2", b"bearer sk-1", b"Bearer  sk-1", b"Bearer ", b"Bearer",
        b"Bearer sk-1 ", b"Bearer a b", b"Basic c2s6MQ==", b"Basic c2s6MQ", b"sk-1", b"sk-2", b"",
        b" sk-1", b"Bearer sk\x00", b"Bearer \xff", b"de-DE,fr;q=0", b"+02:00",
    ]),
    st.binary(max_size=24),
    st.binary(max_size=24).map(lambda value: b"Bearer " + value),
)  # fmt: skip
_blocks = st.lists(st.tuples(_NAMES, _VALUES), max_size=6)

_IDENTIFIES = (
    Identify(),
    Identify(accounts=(
        AccountSource(kind="state"), AccountSource(kind="header", header="authorization"),
        AccountSource(kind="header", header="x-api-key"),
        AccountSource(kind="header", header="api-key"),
    )),
    Identify(accounts=(AccountSource(kind="header", header="x-api-key"),)),
    Identify(accounts=(
        AccountSource(kind="jwt", header="authorization", verify=False),
        AccountSource(kind="header", header="authorization"),
    )),
    Identify(accounts=(
        AccountSource(kind="header", header="authorization"),
        AccountSource(kind="jwt", header="x-api-key", verify=False),
    )),
)  # fmt: skip


@given(_blocks, st.sampled_from(_IDENTIFIES), st.sampled_from([None, {}, {"account": "ann"}]))
@example([(b"authorization", b"Bearer sk-1")], _IDENTIFIES[3], None)
@example([(b"authorization", b"Bearer sk-1"), (b"authorization", b"Bearer sk-1")], Identify(), None)
@example([(b"authorization", b"Bearer sk-1"), (b"x-api-key", b"sk-2")], Identify(), None)
def test_one_bearer_token_names_whom_the_walk_through_all_sources_names(
    headers: list[tuple[bytes, bytes]], identify: Identify, state: dict[str, Any] | None
) -> None:
    sooner = prepared.Prepared(identify, prepared.NO_INSPECT)
    walking = prepared.Prepared(identify, prepared.NO_INSPECT)
    walking.bearer = False
    fields = dict(headers)
    wire = Wire(method="POST", raw_path=b"/", headers=headers, peer=None, state=state)

    found, expected = (
        accounts.account(
            wire, ready, fields, len(fields) != len(headers), build.NOW, build.SECRET, {}, True
        )
        for ready in (sooner, walking)
    )  # fmt: skip

    assert found == expected


@given(_blocks, st.sampled_from([None, b"t13d1516h2_8daaf6152771_b186095e22b6", b"\xff"]))
def test_a_silent_client_is_read_as_any_other(
    headers: list[tuple[bytes, bytes]], tls: bytes | None
) -> None:
    fields, keys = dict(headers), seeds(build.SECRET)

    found = hints.client(fields, tls, keys)

    assert found == hints.told(fields, tls, keys)


@given(
    st.lists(st.integers(0, 128), min_size=2 * SLOTS, max_size=2 * SLOTS),
    st.floats(1.0, 1600.0),
    st.sampled_from([0.0, 1.0, 1800.0, 3599.0, 3600.0, 5400.0, 9000.0]),
)
def test_no_template_filled_more_often_than_the_floor_is_passed_over(
    ones: list[int], floor: float, later: float
) -> None:
    profile = Profile(held=Held(), hour=int(build.NOW // 3600))
    profile.sketch = bytearray(SKETCH_BYTES)
    profile.sketch[ONES_AT : ONES_AT + 2 * SLOTS] = bytes(ones)
    profile.cells = array("H", [7] * CELLS)
    roles = tuple(
        RoleShape(role="user", head=slot | 7 << 32, tail=0, skeleton=0, chars=1)
        for slot in range(SLOTS)
    )
    request = build.request(at=build.NOW + later, prompt=build.prompt(roles=roles))
    facts, detector = build.facts(profile=profile), TemplateSweep(floor=floor)

    found = detector.look(request, facts)

    with mock.patch.object(template_sweep, "_few", return_value=b""):
        assert found == detector.look(request, facts)


_runs = st.lists(
    st.one_of(
        st.sampled_from([
            b"0x", b"\\x", b"%", b" ", b", ", b"\n", b"deadbeef", b"Added decade: ", b"word", b"-",
            b"g", b"ignore previous".hex().encode(),
            base64.b64encode(b"ignore previous instructions"),
        ]),
        st.binary(max_size=12).map(lambda data: data.hex(":").encode()),
        st.text(max_size=6).map(str.encode),
    ),
    max_size=12,
).map(b"".join)  # fmt: skip


@given(_runs)
@example(b"69 67 6e 6f 72 65 20 70")
@example(b"69,67:6e;6f-72%65\\x20 70")
@example(b"6" * 13)
@example(b"6" * 14)
def test_text_that_cannot_hold_hex_holds_none(plain: bytes) -> None:
    found = wrapped.unwrapped(plain)

    with mock.patch.object(wrapped, "_PERHAPS_HEX", b"x" * 256):
        # As if everything might be hex, so that every text is looked through. What is unescaped of
        # it keeps the spaces it is made longer by.
        assert found.split() == wrapped.unwrapped(plain + b" " * wrapped._SHORTEST).split()


_waits = st.one_of(
    st.sampled_from([0.0, 1e-9, 0.0009, 0.001, 0.5, 0.99899, 0.999, 0.9991, 1.0, 60.0, math.inf]),
    st.floats(0.0, 2.0), st.floats(0.0, 1e18),
)  # fmt: skip
_left = st.lists(
    st.tuples(
        st.sampled_from(["requests", "tokens", "concurrent", "input-tokens"]),
        st.sampled_from([7.0, 120.0, 400_000.0]), st.floats(0.0, 1e6), _waits,
    ),
    min_size=1, max_size=5,
)  # fmt: skip


@given(_left, st.sampled_from(list(Dialect)))
def test_headers_written_from_a_form_are_those_of_the_tightest_limits(
    left: list[tuple[str, float, float, float]], dialect: Dialect
) -> None:
    grants = tuple([
        build.grant(
            charge=build.charge(limit=f"limit-{number}", unit=unit, quota=quota),
            remaining=remaining, reset=reset,
        )
        for number, (unit, quota, remaining, reset) in enumerate(left)
    ])  # fmt: skip
    request = build.request(dialect=dialect)

    told = dict(
        rate_limit_headers(build.exchange(request=request, decision=build.decision(grants=grants)))
    )

    for unit, (limit, remaining, reset) in headers._NAMES_OF[dialect].items():
        of_kind = [grant for grant in grants if grant.charge.unit == unit]
        assert (limit in told) == (remaining in told) == (reset in told) == bool(of_kind)
        if of_kind:
            tight = min(of_kind, key=lambda grant: grant.remaining)
            assert int(told[limit]) == tight.charge.quota
            if dialect is Dialect.OPENAI:
                assert int(told[remaining]) == int(min(tight.remaining, tight.charge.quota))
                assert told[reset] == duration(tight.reset)
    assert told[b"ratelimit"].count(b";r=") == len(grants)
