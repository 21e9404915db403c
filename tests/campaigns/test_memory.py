"""What is remembered of accounts, who is near whom, and that nothing sent makes it grow."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_guard.campaigns.membership import BURST
from gateway_guard.campaigns.memory import Bounds, Memory
from gateway_guard.campaigns.sighting import Sighting
from gateway_guard.campaigns.traces import MOST_PLACES, MOST_SHARED, Trace
from tests.campaigns import build
from tests.campaigns.build import DAY, HOUR, NOW, TINY

#: To the second: whole quarters of an hour are dates.
CREATED = NOW - 30 * DAY + 7
KEY = 77


def told(memory: Memory, account: str, **fields: Any) -> bool:
    """Whether a sighting was news."""
    return memory.note(build.sighting(account, **fields))[1]


def trace(memory: Memory, account: str) -> Trace:
    return memory.traces[memory.numbers[account]]


def near(memory: Memory, account: str) -> set[str]:
    """The accounts near an account, by name."""
    return {memory.traces[n].account for n in memory.near(memory.numbers[account])}


def pair(bounds: Bounds | None = None, *later: Sighting, **fields: Any) -> Memory:
    """`a` and `b`, of two organisations, with these things in common; a list is dealt out."""
    first, second = (
        build.sighting(who, **{k: v[n] if isinstance(v, list) else v for k, v in fields.items()})
        for n, who in enumerate("ab")
    )
    return build.remembered([first, second, *later], bounds)


# One account.


def test_an_account_is_remembered_with_what_was_known_at_first() -> None:
    memory = build.remembered(
        [build.sighting("a", organisation="o", payment="p", created_at=CREATED, client=3,
                        verified=True, declared="US")]
    )  # fmt: skip

    found = trace(memory, "a")

    assert (found.organisation, found.payment, found.created_at) == ("o", "p", CREATED)
    assert (found.client, found.verified, found.declared) == (3, True, "US")
    assert (found.first_at, found.last_at, found.exchanges) == (NOW, NOW, 1)


def test_an_account_of_which_nothing_is_known_is_an_organisation_of_its_own() -> None:
    found = trace(build.remembered([build.sighting("a")]), "a")

    assert (found.organisation, found.payment, found.created_at) == ("a", "", 0.0)
    assert not [*found.subnets, *found.addresses, *found.shared]


def test_exchanges_refusals_and_tokens_add_up() -> None:
    memory = build.remembered(
        build.sighting("a", at=NOW + n, tokens=10, refused=n > 2, country=f"C{n}", asn=n)
        for n in range(5)
    )

    found = trace(memory, "a")

    assert (found.exchanges, found.refused, found.tokens) == (5, 2, 50)
    assert (found.first_at, found.last_at) == (NOW, NOW + 4)
    assert (found.country, found.asn) == ("C4", 4)


def test_what_was_unknown_at_first_is_taken_in_once_it_is_told() -> None:
    """The account directory may have been down when an account first came."""
    memory = build.remembered(
        [
            build.sighting("a"),
            build.sighting("a", organisation="o", payment="p", created_at=CREATED),
        ]
    )

    found = trace(memory, "a")

    assert (found.organisation, found.payment, found.created_at) == ("o", "p", CREATED)


@pytest.mark.parametrize("later", [{"payment": "p"}, {"created_at": CREATED}])
def test_what_becomes_known_later_is_news_once_and_ties_as_if_it_had_been_known(
    later: dict[str, Any],
) -> None:
    memory = build.remembered(
        build.sighting(who, subnet=1, **(later if who == "b" else {})) for who in "ab"
    )
    assert near(memory, "a") == set()

    first, again = told(memory, "a", **later), told(memory, "a", **later)

    assert (first, again) == (True, False)
    assert near(memory, "a") == {"b"}
    assert near(memory, "b") == {"a"}


def test_what_becomes_known_later_is_counted_once() -> None:
    memory = Memory(Bounds())

    for _ in range(3):
        told(memory, "a", payment="p", created_at=CREATED)
        told(memory, "b")
    told(memory, "b", payment="p", created_at=CREATED)
    told(memory, "b", payment="p", created_at=CREATED)

    posting = memory.payments.get("p")
    assert posting is not None
    assert posting.count == 2
    assert memory.signed_up_at.near(CREATED) == 2


def test_what_is_known_of_an_account_is_not_replaced_later() -> None:
    known = {"organisation": "o", "payment": "p", "created_at": CREATED}
    memory = build.remembered(
        [
            build.sighting("a", **known),
            build.sighting("a", organisation="o2", payment="p2", created_at=CREATED + DAY),
            build.sighting("a"),
        ]
    )

    found = trace(memory, "a")

    assert (found.organisation, found.payment, found.created_at) == ("o", "p", CREATED)
    assert memory.payments.get("p2") is None


def test_an_organisation_that_becomes_known_parts_it_from_its_own_accounts() -> None:
    memory = build.remembered(build.sighting(who, payment="p") for who in "ab")
    assert near(memory, "a") == {"b"}

    for who in "ab":
        told(memory, who, organisation="o", payment="p")

    assert near(memory, "a") == set()


def test_a_step_back_of_the_clock_changes_no_latest_time() -> None:
    memory = build.remembered([build.sighting("a"), build.sighting("a", at=NOW - DAY)])

    assert trace(memory, "a").last_at == NOW


def test_the_latest_ranges_addresses_and_keys_are_remembered() -> None:
    things = range(1, 101)
    seen = [
        build.sighting(who, at=NOW + n, subnet=n, address=n, keys=(n,))
        for n in things
        for who in ("a", "b")
    ]

    found = trace(build.remembered(seen), "b")

    assert list(found.subnets) == list(things)[-MOST_PLACES:]
    assert list(found.addresses) == list(things)[-MOST_PLACES:]
    assert list(found.shared) == list(things)[-MOST_SHARED:]


def test_a_key_in_use_is_remembered_however_many_others_come() -> None:
    memory = pair(keys=(KEY,))

    for n in range(1000, 1100):
        for who in ("a", "b"):
            told(memory, who, keys=(KEY, n))

    assert KEY in trace(memory, "b").shared


def test_a_key_of_one_account_is_not_shared_with_itself() -> None:
    memory = build.remembered(build.sighting("a", keys=(KEY,)) for _ in range(3))

    assert not trace(memory, "a").shared


def test_a_key_of_one_organisation_is_not_shared() -> None:
    memory = pair(organisation="o", keys=(KEY,))

    assert not trace(memory, "b").shared


def test_a_key_whose_first_user_was_forgotten_begins_anew() -> None:
    memory = build.remembered([build.sighting("a", keys=(KEY,))], TINY)
    for n in range(100):
        told(memory, f"other{n}", at=NOW + 1 + n)

    news = (
        told(memory, "b", at=NOW + 999, keys=(KEY,)),
        told(memory, "c", at=NOW + 999, keys=(KEY,)),
    )

    assert "a" not in memory.numbers
    assert trace(memory, "c").shared == trace(memory, "b").shared
    assert list(trace(memory, "c").shared) == [KEY]
    assert news == (True, True)


# What is news.


def test_a_new_account_range_or_shared_key_is_news() -> None:
    memory = build.remembered([build.sighting("other", keys=(KEY,))])

    assert told(memory, "a")
    assert told(memory, "a", subnet=1)
    assert told(memory, "a", subnet=1, keys=(KEY,))
    assert not told(memory, "a", subnet=1, keys=(KEY, 78))


def test_a_popular_key_is_no_news() -> None:
    memory = build.remembered(build.sighting(f"a{n}", keys=(KEY,)) for n in range(1000))

    told(memory, "b")

    assert not told(memory, "b", keys=(KEY,))


def test_a_pace_that_becomes_known_is_news_and_counted_once() -> None:
    memory = Memory(Bounds())

    news = [told(memory, "a", at=NOW + n * 2 * HOUR) for n in range(90)]

    assert news.count(True) == 2
    assert sum(memory.paces) == 1


# Who is near whom.


def test_accounts_that_share_a_payment_are_near() -> None:
    assert near(pair(payment="p"), "b") == {"a"}


@pytest.mark.parametrize("fields", [{"subnet": 1}, {"created_at": CREATED}, {"keys": (KEY,)}])
def test_a_range_a_half_hour_or_content_alone_bring_nobody_together(fields: dict[str, Any]) -> None:
    assert near(pair(**fields), "b") == set()


@pytest.mark.parametrize(
    "fields",
    [
        {"subnet": 1, "created_at": [CREATED, CREATED + BURST]},
        {"subnet": 1, "keys": (KEY,)},
        {"created_at": [CREATED + BURST, CREATED], "keys": (KEY,)},
        {"payment": "p", "subnet": 1, "created_at": CREATED, "keys": (KEY,)},
    ],
)
def test_two_of_range_half_hour_and_content_do(fields: dict[str, Any]) -> None:
    memory = pair(**fields)

    assert near(memory, "a") == {"b"}
    assert near(memory, "b") == {"a"}


@pytest.mark.parametrize(
    "fields",
    [
        {"subnet": 1, "created_at": [CREATED, CREATED + BURST + 1]},
        {"created_at": [CREATED, CREATED + BURST + 1], "keys": (KEY,)},
        {"created_at": CREATED, "keys": [(1,), (2,)]},
        {"subnet": [1, 2], "keys": (KEY,)},
        {"payment": ["p", "q"]},
    ],
)
def test_almost_the_same_is_not_the_same(fields: dict[str, Any]) -> None:
    assert near(pair(**fields), "b") == set()


def test_accounts_of_one_organisation_are_not_near() -> None:
    memory = pair(organisation="o", payment="p", subnet=1, created_at=CREATED)

    assert near(memory, "b") == set()


def test_a_crowded_range_brings_nobody_together() -> None:
    seen = [build.sighting(f"a{n}", subnet=1, created_at=CREATED) for n in range(300)]

    assert near(build.remembered(seen), "a299") == set()


def test_an_account_that_goes_round_many_ranges_is_one_account_in_each() -> None:
    """Else nine ranges in turn make each of them look like a carrier's, which ties nobody."""
    memory = Memory(Bounds())
    for n in range(100):
        told(memory, "a", at=NOW + n, subnet=1 + n % (MOST_PLACES + 1))

    posting = memory.subnets.get(1)

    assert posting is not None
    assert posting.count == 1


def test_who_came_through_a_proxy_is_counted_once_in_each_range() -> None:
    flags = [frozenset({"vpn"}), frozenset({"hosting", "proxy"}), frozenset({"relay"}), frozenset()]
    memory = build.remembered(
        build.sighting(f"a_{n}", subnet=subnet, flags=flags[n])
        for _ in range(3)
        for subnet in range(1, 12)
        for n in range(4)
    )

    assert {posting.count for _, posting in memory.hidden.items()} == {2}
    assert {posting.count for _, posting in memory.subnets.items()} == {4}


def test_an_account_that_goes_round_many_keys_is_one_account_in_each() -> None:
    memory = Memory(Bounds())
    for n in range(100):
        for who in ("a", "b"):
            told(memory, who, at=NOW + n, keys=(1 + n % (MOST_SHARED + 1),))

    posting = memory.templates.shared.get(1)

    assert posting is not None
    assert posting.count == 2


def test_a_popular_key_brings_nobody_together() -> None:
    seen = [build.sighting(f"a{n}", keys=(KEY,), subnet=1 + n // 2) for n in range(1000)]

    assert near(build.remembered(seen), "a999") == set()


def test_whoever_was_forgotten_is_near_nobody() -> None:
    memory = pair(TINY, payment="p", subnet=1, created_at=CREATED, keys=(KEY,))
    del memory.numbers["a"]
    del memory.traces[1]

    assert near(memory, "b") == set()


def test_what_the_indexes_forgot_brings_nobody_together() -> None:
    memory = pair(TINY, payment="p", subnet=1, created_at=CREATED, keys=(KEY,))
    for n in range(100):
        memory.payments.add(f"p{n}", 1, NOW)
        memory.subnets.add(1000 + n, 1, NOW)
        memory.signups.add(-n, 1, NOW)

    assert near(memory, "b") == set()
    assert memory.touching(2) == set()
    assert memory.signed_up_at.near(CREATED) == 0


def test_keys_the_registry_forgot_are_not_common() -> None:
    memory = pair(TINY, keys=(KEY,))
    for n in range(100):
        memory.templates.share(1000 + n, 1, NOW)

    assert memory.common(trace(memory, "b")) == set()


@pytest.mark.parametrize("fields", [{"payment": "p"}, {"subnet": 1}])
def test_accounts_that_share_a_payment_or_a_range_touch(fields: dict[str, Any]) -> None:
    memory = pair(**fields)

    assert memory.touching(memory.numbers["a"]) == {1, 2}


def test_a_crowded_range_is_not_touched() -> None:
    memory = build.remembered(build.sighting(f"a{n}", subnet=1) for n in range(300))

    assert memory.touching(1) == set()


def test_sign_ups_are_near_within_a_burst() -> None:
    times = (CREATED - BURST - 1, CREATED - BURST, CREATED, CREATED + BURST, CREATED + BURST + 1)
    memory = build.remembered(build.sighting(f"a{n}", created_at=at) for n, at in enumerate(times))

    assert memory.signed_up_at.near(CREATED) == 3


def many(count: int) -> Memory:
    """So many accounts of one template."""
    return build.remembered(
        build.sighting(f"a{n}", organisation=f"o{n}", subnet=1 + n % 2, keys=(KEY,))
        for n in range(count)
    )


def test_members_of_campaigns_make_no_template_popular() -> None:
    memory = many(320)
    newest = trace(memory, "a319")

    popular = (memory.common(newest), near(memory, "a319"))
    memory.held_with = {KEY: 20}.__getitem__

    assert popular == (set(), set())
    assert memory.common(newest) == {KEY}
    assert near(memory, "a319")
    assert told(memory, "b", organisation="o_b", keys=(KEY,))


def test_who_uses_more_templates_than_are_remembered_makes_none_more_popular() -> None:
    """Else twenty accounts that fill forty templates in turn look like thousands."""
    rng = random.Random(4)
    keys = [rng.getrandbits(64) for _ in range(40)]
    seen = [
        build.sighting(f"a{n}", at=NOW + turn, organisation=f"o{n}", keys=(keys[turn % 40],))
        for turn in range(400)
        for n in range(80)
    ]
    memory = build.remembered(seen)

    counts = [posting.count for key, posting in memory.templates.shared.items() if key in keys]

    assert MOST_SHARED < 40
    assert len(counts) == 40
    assert all(70 <= count <= 80 for count in counts)


# Bounds.


def test_the_longest_unseen_are_forgotten() -> None:
    memory = build.remembered(
        (build.sighting(f"a{n}", at=NOW + n) for n in range(TINY.accounts + 1)), TINY
    )

    assert "a0" not in memory.numbers
    assert {"a39", "a40"} <= memory.numbers.keys()


def test_members_of_campaigns_are_not_forgotten() -> None:
    memory = build.remembered([build.sighting("a0")], TINY)
    memory.kept = {1}

    for n in range(1, 500):
        told(memory, f"a{n}", at=NOW + n)

    assert "a0" in memory.numbers


def test_memory_full_of_members_does_not_grow() -> None:
    memory = Memory(TINY)
    memory.kept = memory.traces

    for n in range(2 * TINY.accounts):
        told(memory, f"a{n}", at=NOW + n)

    assert len(memory.traces) <= TINY.accounts


def assert_bounded(memory: Memory) -> None:
    """No table of `memory` is larger than its bounds say, and the two maps of accounts agree."""
    bounds = memory.bounds
    assert len(memory.traces) <= bounds.accounts
    assert {n: t.account for n, t in memory.traces.items()} == {
        n: account for account, n in memory.numbers.items()
    }
    assert len(memory.templates) <= 2 * bounds.keys + 2 * bounds.shared
    for index in (memory.payments, memory.subnets, memory.signups, memory.clients):
        assert len(index) <= 2 * bounds.values
    for posting in (p for _, p in memory.templates.shared.items()):
        assert len(posting.latest) <= bounds.most
    assert len(memory.releases.models) <= 256
    for one in memory.traces.values():
        assert len(one.subnets) <= MOST_PLACES
        assert len(one.addresses) <= MOST_PLACES
        assert len(one.shared) <= MOST_SHARED
        assert one.pace_hours.bit_length() <= 7 * 24


_digests = st.integers(0, 30) | st.integers(0, 2**64 - 1)
_sightings = st.builds(
    Sighting,
    at=st.integers(-20, 20).map(lambda n: NOW + n * DAY) | st.floats(-1e12, 1e12),
    account=st.integers(0, 200).map("a{}".format),
    organisation=st.none() | st.integers(0, 20).map("o{}".format),
    payment=st.none() | st.integers(0, 20).map("p{}".format),
    created_at=st.none() | st.floats(-1e12, 1e12) | st.just(CREATED),
    address=_digests,
    subnet=_digests,
    client=_digests,
    model=st.none() | st.text(max_size=2),
    keys=st.lists(_digests, max_size=16, unique=True).map(tuple),
    chars=st.integers(0, 10**30),
    tokens=st.integers(0, 10**30),
    refused=st.booleans(),
)


@given(st.lists(_sightings, max_size=80))
@settings(max_examples=40)
def test_nothing_that_is_sent_exceeds_the_bounds_or_raises(seen: list[Sighting]) -> None:
    memory = Memory(TINY)

    for one in seen:
        number, _ = memory.note(one)
        memory.near(number)
        memory.touching(number)

        assert memory.traces[number].account == one.account
    assert_bounded(memory)


def flood(what: str) -> Iterable[Sighting]:
    """Five thousand exchanges that are all different in one thing, or all the same."""
    for n in range(5000):
        things: dict[str, dict[str, Any]] = {
            "accounts": {"account": f"a{n}"},
            "payments": {"account": f"a{n}", "payment": f"p{n}"},
            "one payment": {"account": f"a{n}", "payment": "p"},
            "addresses": {"account": "a", "subnet": n + 1, "address": n + 1},
            "sign-ups": {"account": f"a{n}", "created_at": NOW - n * HOUR},
            "one sign-up": {"account": f"a{n}", "created_at": CREATED, "keys": (KEY,)},
            "keys": {"account": f"a{n % 9}", "keys": tuple(range(16 * n, 16 * n + 16))},
            "shared keys": {"account": f"a{n % 2}", "keys": (n // 2,)},
            "models": {"account": f"a{n % 9}", "model": f"m{n}"},
            "clients": {"account": f"a{n}", "client": n + 1},
        }
        yield build.sighting(**{"at": NOW + n} | things[what])


@pytest.mark.parametrize(
    "what",
    ["accounts", "payments", "one payment", "addresses", "sign-ups", "one sign-up", "keys",
     "shared keys", "models", "clients"],
)  # fmt: skip
def test_a_flood_of_one_thing_stays_within_the_bounds(what: str) -> None:
    memory = build.remembered(flood(what), TINY)

    assert_bounded(memory)
