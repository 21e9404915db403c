"""The rate-limit service: what descriptors mean, and what they cost."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.core.credentials import digest
from gateway_guard.errors import StoreError
from gateway_guard.frontends.envoy import api
from gateway_guard.frontends.envoy.counting import Counting
from gateway_guard.frontends.envoy.question import Question, question
from gateway_guard.frontends.extauth.original import Misasked
from gateway_guard.types import AccountFacts, Charge, Grant
from tests import build
from tests.frontends import asking as asked
from tests.frontends.asking import CHAT, Clock
from tests.frontends.envoy.asking import CLIENT, check, rate

POLICY = asked.POLICY.replace(
    "rules:",
    """\
  by-model: { per: [account, model], requests: 2/hour }
  by-address: { per: client_ip, requests: 2/day }
  all: { per: everyone, requests: 100/hour }
  odd: { per: client_ip, requests: 5/10 minutes, when: { path: /v1/** } }
rules:""",
)
OK, OVER = 1, 2
ACCOUNT = digest(build.SECRET, b"sk-1")


class Asking:
    """Envoy, and the guard's counting."""

    def __init__(self, policy: str = POLICY) -> None:
        made = asked.Asked(policy)
        self.clock, self.guard = made.clock, made.guard
        self.counting = Counting(self.guard)

    def ask(self, *descriptors: Mapping[str, str], **more: Any) -> Any:
        return self.raw(rate(*descriptors, **more))

    def raw(self, message: bytes) -> Any:
        answer = asyncio.run(self.counting.answer(message))
        assert isinstance(answer, bytes)
        return api.RateLimitResponse.FromString(answer)

    def codes(self, *descriptors: Mapping[str, str], times: int, **more: Any) -> list[int]:
        return [self.ask(*descriptors, **more).overall_code for _ in range(times)]


REQUESTS = {"limit": "requests", "account": ACCOUNT}


def test_a_limit_named_by_a_descriptor_is_charged_until_it_has_no_room() -> None:
    asking = Asking()

    assert asking.codes(REQUESTS, times=4) == [OK, OK, OK, OVER]
    assert asking.counting.over == 1


def test_what_is_left_and_how_long_it_takes_is_told_for_each_descriptor() -> None:
    asking = Asking()
    by_address = {"limit": "by-address", "remote_address": CLIENT}

    first = asking.ask(REQUESTS, by_address)
    asking.ask(REQUESTS, by_address)
    over = asking.ask(REQUESTS, by_address)

    requests, address = first.statuses
    assert (requests.code, requests.limit_remaining, requests.duration_until_reset.seconds) == (
        OK, 2, 20,
    )  # fmt: skip
    assert (requests.current_limit.name, requests.current_limit.requests_per_unit) == (
        b"requests", 3,
    )  # fmt: skip
    assert (requests.current_limit.unit, address.current_limit.unit) == (2, 4)  # MINUTE, DAY
    assert [status.code for status in over.statuses] == [OK, OVER]
    assert over.statuses[1].duration_until_reset.seconds == 43_200


def test_all_descriptors_are_charged_or_none() -> None:
    asking = Asking()
    by_address = {"limit": "by-address", "remote_address": CLIENT}
    assert asking.codes(by_address, times=3) == [OK, OK, OVER]

    assert asking.codes(REQUESTS, by_address, times=5) == [OVER] * 5
    assert asking.codes(REQUESTS, times=4) == [OK, OK, OK, OVER]


def test_a_refused_client_hears_when_to_come_back_and_in_which_dialect() -> None:
    asking = Asking()
    entries = {"limit": "requests", "credential": "Bearer sk-1", "path": CHAT}
    asking.codes(entries, times=3)

    over = asking.ask(entries)

    headers = {header.key: header.value for header in over.response_headers_to_add}
    assert headers[b"retry-after"] == b"20"
    assert headers[b"content-type"] == b"application/json"
    assert headers[b"ratelimit"].startswith(b'"requests";r=0')
    assert b"content-length" not in headers
    assert msgspec.json.decode(over.raw_body)["error"]["code"] == "rate_limit_exceeded"


@pytest.mark.parametrize(
    "entries",
    [{"account": ACCOUNT}, {"credential": "Bearer sk-1"}, {"credential": "bearer   sk-1"},
     {"credential": "sk-1"}],
)  # fmt: skip
def test_the_bucket_is_the_one_the_authorisation_fills(entries: dict[str, str]) -> None:
    asking = Asking()
    asked = question(check(key="sk-1").SerializeToString(), 1_000)
    assert isinstance(asked, Question)
    wire = asked.wire
    asyncio.run(asking.guard.decide(wire))

    assert asking.codes({"limit": "requests", **entries}, times=3) == [OK, OK, OVER]


@pytest.mark.parametrize(
    "shown",
    [
        (), ("Bearer",), ("Bearer sk-9{n} x",), ("Bearer sk-1,Bearer sk-9{n}",),
        ("Bearer sk-1", "sk-9{n}"), ("sk-9{n}", "Bearer sk-1 x"),
    ],
)  # fmt: skip
def test_who_shows_no_key_or_none_that_can_be_read_counts_by_the_network(
    shown: tuple[str, ...],
) -> None:
    asking = Asking()
    codes = []

    for number in range(4):
        message = rate({"limit": "requests", "remote_address": CLIENT})
        said = api.RateLimitRequest.FromString(message)
        for value in shown:
            said.descriptors[0].entries.add(
                key=b"credential", value=value.format(n=number).encode()
            )
        codes.append(asking.raw(said.SerializeToString()).overall_code)

    assert codes == [OK, OK, OK, OVER]
    assert asking.counting.unknown == 0


def test_an_account_cannot_be_named_by_a_credential() -> None:
    asking = Asking()
    asking.codes(REQUESTS, times=3)

    # A client may send another's name as its key; it must be charged as itself.
    assert asking.codes({"limit": "requests", "credential": ACCOUNT}, times=1) == [OK]
    assert asking.counting.unknown == 0


def test_hits_say_how_much_is_charged() -> None:
    assert Asking().codes(REQUESTS, times=2, hits=3) == [OK, OVER]
    assert Asking().codes(REQUESTS, times=2, hits=1, own=3) == [OK, OVER]


def test_two_descriptors_of_one_bucket_are_charged_together() -> None:
    asking = Asking()

    answers = [asking.ask(REQUESTS, REQUESTS) for _ in range(2)]

    assert [answer.overall_code for answer in answers] == [OK, OVER]
    assert [status.code for status in answers[1].statuses] == [OVER, OVER]


def test_tokens_are_charged_as_many_as_are_said() -> None:
    tokens = {"limit": "tokens", "account": ACCOUNT}

    assert Asking().codes(tokens, times=2, hits=16_000) == [OK, OVER]


def test_an_explicit_nothing_asks_and_charges_nothing() -> None:
    asking = Asking()

    assert asking.codes(REQUESTS, times=10, own=0) == [OK] * 10
    assert asking.codes(REQUESTS, times=4) == [OK, OK, OK, OVER]


def test_limits_by_several_parts_need_all_of_them() -> None:
    asking = Asking()
    both = {"limit": "by-model", "account": ACCOUNT, "model": "apex-4"}

    assert asking.codes(both, times=3) == [OK, OK, OVER]
    assert asking.codes({**both, "model": "apex-5"}, times=1) == [OK]
    assert asking.codes({"limit": "by-model", "account": ACCOUNT}, times=5) == [OK] * 5
    assert "counts by model" in asking.counting.last_unknown


def test_a_limit_of_everyone_needs_no_entry_but_its_name() -> None:
    assert Asking().codes({"limit": "all"}, times=2, hits=60) == [OK, OVER]


def test_a_window_envoy_has_no_word_for_is_left_out() -> None:
    odd = {"limit": "odd", "remote_address": CLIENT, "path": "/v1/models?x=1"}

    (status,) = Asking().ask(odd).statuses

    assert not status.HasField("current_limit")
    assert status.limit_remaining == 4


@pytest.mark.parametrize(
    ("entries", "why"),
    [
        ({}, "no entry names a limit"),
        ({"generic_key": "requests"}, "no entry names a limit"),
        ({"limit": "reqests"}, "no limit 'reqests'"),
        ({"limit": "requests"}, "counts by account"),
        ({"limit": "in-flight", "account": ACCOUNT}, "in flight"),
        ({"limit": "requests", "account": "sk-1"}, "is it a credential?"),
        ({"limit": "requests", "account": f"{ACCOUNT}/../admin?x="}, "is it a credential?"),
        ({"limit": "by-address", "remote_address": "somewhere"}, "remote_address"),
        ({"limit": "odd", "remote_address": CLIENT}, "does not apply"),
        ({"limit": "odd", "remote_address": CLIENT, "path": "/files"}, "does not apply"),
        ({"limit": "odd", "remote_address": CLIENT, "path": "/v1/%2e%2e/x"}, "does not apply"),
    ],
)
def test_what_is_not_understood_is_ok_and_counted(entries: dict[str, str], why: str) -> None:
    asking = Asking()

    answer = asking.ask(entries)

    assert (answer.overall_code, [status.code for status in answer.statuses]) == (OK, [OK])
    assert asking.counting.unknown == 1
    assert why in asking.counting.last_unknown


def test_a_limit_per_campaign_is_not_understood() -> None:
    asking = Asking("limits: { one: { per: campaign, requests: 1/hour } }")

    assert asking.codes({"limit": "one", "account": ACCOUNT}, times=3) == [OK] * 3
    assert "counts by campaign" in asking.counting.last_unknown


def test_other_domains_are_somebody_elses() -> None:
    asking = Asking()

    assert asking.codes(REQUESTS, times=5, domain="elsewhere") == [OK] * 5
    assert asking.counting.unknown == 5


def test_in_shadow_everything_is_ok_and_counted_all_the_same() -> None:
    asking = Asking(POLICY.replace("enforce", "shadow"))

    answers = [asking.ask(REQUESTS) for _ in range(4)]

    assert [answer.overall_code for answer in answers] == [OK] * 4
    assert answers[3].statuses[0].limit_remaining == 0
    assert answers[3].statuses[0].code == OK
    assert not answers[3].response_headers_to_add


def test_nothing_is_remembered_of_a_charge_but_the_charge() -> None:
    asking = Asking()
    asking.codes(REQUESTS, times=3)

    asking.clock.now += 20.0

    assert asking.codes(REQUESTS, times=2) == [OK, OVER]


def test_bytes_that_are_no_question_are_said_to_be_none() -> None:
    found = asyncio.run(Asking().counting.answer(b"\xff"))

    assert isinstance(found, Misasked)


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["limit", "account", "credential", "remote_address", "model", "path"]),
            st.sampled_from(["", "requests", "by-model", ACCOUNT, "acct_", "\0", "ÿ|%", "1.2.3.4"]),
        ),
        max_size=4,
    ),
    st.integers(0, 2**32 - 1),
)
def test_no_descriptors_make_it_raise(rows: list[dict[str, str]], hits: int) -> None:
    answer = Asking().ask(*rows, hits=hits, own=hits)

    assert len(answer.statuses) == len(rows)


class Broken:
    """A store that does not answer."""

    async def reserve(self, charges: Sequence[Charge], *, id: str, now: float) -> tuple[Grant, ...]:
        raise StoreError("gone")

    async def settle(
        self, charges: Sequence[Charge], actual: Sequence[float], *, id: str, now: float
    ) -> None:
        raise StoreError("gone")

    async def close(self) -> None:
        return


@pytest.mark.parametrize(
    ("choice", "codes"),
    [("deny", [OVER] * 4), ("allow", [OK] * 4), ("local", [OK, OK, OK, OVER])],
)
def test_a_store_that_does_not_answer_is_decided_by_the_policy(
    choice: str, codes: list[int]
) -> None:
    from gateway_guard.building import build_guard
    from gateway_guard.network.unknown import NoNetwork
    from gateway_guard.settings import Settings

    policy = build.policy(POLICY + f"\non_error: {{ store: {choice} }}\n")
    guard = build_guard(
        policy, settings=Settings(secret=build.SECRET), network=NoNetwork(), store=Broken(),
        clock=Clock(),
    )  # fmt: skip
    asking = Asking()
    asking.counting = Counting(guard)

    assert asking.codes(REQUESTS, times=4) == codes
    assert guard.failures["store"] == 4


class Directory:
    """A directory that knows only what it was told when it was asked."""

    def __init__(self) -> None:
        self.told: dict[str, AccountFacts] = {}

    def lookup(self, account: str, state: Mapping[str, Any] | None) -> AccountFacts:
        return self.told.get(account, AccountFacts())

    def reload(self) -> bool:
        return True

    def due(self, account: str) -> bool:
        return account not in self.told

    async def ask(self, account: str) -> bool:
        self.told[account] = AccountFacts(organisation=f"of {account}", tier="pro")
        return True

    async def close(self) -> None:
        return


def test_a_directory_is_asked_before_a_limit_by_organisation_is_charged() -> None:
    from gateway_guard.building import build_guard
    from gateway_guard.network.unknown import NoNetwork
    from gateway_guard.settings import Settings

    policy = POLICY.replace(
        "rules:",
        "  by-organisation: { per: organisation, requests: 1/hour, when: { tier: pro } }\nrules:",
    )
    guard = build_guard(
        build.policy(policy), settings=Settings(secret=build.SECRET), network=NoNetwork(),
        accounts=Directory(), clock=Clock(),
    )  # fmt: skip
    asking = Asking()
    asking.counting = Counting(guard)

    codes = [
        asking.codes({"limit": "by-organisation", "credential": f"Bearer sk-{key}"}, times=2)
        for key in (1, 2)
    ]

    assert codes == [[OK, OVER], [OK, OVER]]
    assert asking.counting.unknown == 0
