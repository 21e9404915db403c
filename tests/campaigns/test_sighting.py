"""What the linker is told of an exchange."""

from __future__ import annotations

from typing import Any

import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.campaigns.digests import FRAGMENT_SAMPLE, content_keys, sighting_of
from gateway_guard.campaigns.sighting import MOST_KEYS
from gateway_guard.types import Action, NetworkFacts, Outcome, PromptShape, RoleShape, Usage
from tests import build

KEY = bytes(range(32))
_ALL = 2**64 - 1
_digests = st.integers(0, _ALL)


def role(name: str = "user", **fields: Any) -> RoleShape:
    defaults: dict[str, Any] = {"head": 11, "tail": 22, "skeleton": 33, "chars": 40}
    return RoleShape(role=name, **defaults | fields)


def prompt(*roles: RoleShape, shingles: tuple[int, ...] = ()) -> PromptShape:
    return build.prompt(roles=roles, shingles=shingles)


def test_an_exchange_is_told_by_its_facts() -> None:
    exchange = build.exchange(
        request=build.request(prompt=prompt(role())),
        facts=build.facts(
            account=build.account(
                organisation="org", payment="card", created_at=5.0, verified=True, country="US"
            ),
            network=build.network(country="NO", asn=64500, flags=["vpn"]),
        ),
        usage=Usage(input_tokens=5, output_tokens=7),
    )

    seen = sighting_of(exchange, KEY)

    assert seen is not None
    assert (seen.at, seen.account, seen.model) == (build.NOW, "acct_test", "apex-4")
    assert (seen.organisation, seen.payment, seen.created_at) == ("org", "card", 5.0)
    assert (seen.verified, seen.declared) == (True, "US")
    assert (seen.country, seen.asn, seen.flags) == ("NO", 64500, frozenset({"vpn"}))
    assert (seen.chars, seen.tokens, seen.refused) == (40, 12, False)
    assert len(seen.keys) == 3


def test_an_unknown_account_world_and_address_are_told_as_unknown() -> None:
    exchange = build.exchange(
        request=build.request(client_ip=None, subnet=None, prompt=None, model=None),
        facts=build.facts(network=NetworkFacts()),
    )

    seen = sighting_of(exchange, KEY)

    assert seen is not None
    assert (seen.organisation, seen.payment, seen.created_at, seen.verified) == (None,) * 4
    assert (seen.address, seen.subnet, seen.country, seen.asn) == (0, 0, None, None)
    assert (seen.model, seen.keys, seen.chars, seen.tokens) == (None, (), 0, 0)


def test_usage_that_is_known_in_part_counts_in_part() -> None:
    seen = sighting_of(build.exchange(usage=Usage(input_tokens=5)), KEY)

    assert seen is not None
    assert seen.tokens == 5


@pytest.mark.parametrize("fields", [{"account": None}, {"model_route": False}])
def test_there_is_nothing_to_learn_without_an_account_or_off_the_model_routes(
    fields: dict[str, Any],
) -> None:
    assert sighting_of(build.exchange(request=build.request(**fields)), KEY) is None


@pytest.mark.parametrize(
    ("outcome", "status", "learnt"),
    [
        (Outcome.COMPLETED, 200, True),
        (Outcome.COMPLETED, None, True),  # nobody sees the answers: a gateway asks
        (Outcome.COMPLETED, 401, False),
        (Outcome.COMPLETED, 403, False),
        (Outcome.COMPLETED, 400, False),
        (Outcome.COMPLETED, 503, False),
        (Outcome.CLIENT_GONE, 200, True),
        (Outcome.CLIENT_GONE, None, False),
        (Outcome.UPSTREAM_ERROR, None, False),
        (Outcome.UPSTREAM_CUT, 200, True),
        (Outcome.REFUSED, 403, True),  # by the guard
    ],
)
def test_what_the_upstream_did_not_answer_teaches_nothing(
    outcome: Outcome, status: int | None, learnt: bool
) -> None:
    usage = Usage(input_tokens=5, outcome=outcome, status=status)

    assert (sighting_of(build.exchange(usage=usage), KEY) is not None) is learnt


@pytest.mark.parametrize(
    ("action", "acted", "refused"),
    [(Action.DENY, True, True), (Action.DENY, False, False), (Action.RESTRICT, True, False)],
)
def test_only_what_was_really_refused_is_refused(
    action: Action, acted: bool, refused: bool
) -> None:
    seen = sighting_of(build.exchange(decision=build.decision(action=action, acted=acted)), KEY)

    assert seen is not None
    assert seen.refused is refused


def test_addresses_are_digests_under_the_key() -> None:
    one, same, other = (sighting_of(build.exchange(), key) for key in (KEY, KEY, KEY[::-1]))

    assert one is not None
    assert same is not None
    assert other is not None
    assert (one.address, one.subnet) == (same.address, same.subnet)
    assert one.address != other.address
    assert one.address != one.subnet


def test_nobody_who_knows_one_address_and_its_digest_can_tell_the_others() -> None:
    """As whoever has a snapshot and an account of their own does."""
    mine = sighting_of(build.exchange(request=build.request(client_ip="9.9.9.9")), KEY)
    theirs = sighting_of(build.exchange(request=build.request(client_ip="203.0.113.7")), KEY)
    assert mine is not None
    assert theirs is not None
    seed = xxh3_seed(b"9.9.9.9", mine.address)

    assert xxh3_seed(b"9.9.9.9", xxhash.xxh3_64_intdigest(b"9.9.9.9", 1234567)) == 1234567
    assert xxhash.xxh3_64_intdigest(b"203.0.113.7", seed) != theirs.address


def xxh3_seed(text: bytes, digest: int) -> int:
    """The seed with which XXH3 gives `digest` for `text` of 4 to 8 bytes: every step of it can be
    taken back. Source: the reference implementation, `XXH3_len_4to8_64b`.
    """
    factor = pow(0x9FB21C651E98DF25, -1, 1 << 64)

    def shifted_back(value: int, by: int, plus: int = 0) -> int:
        found = value
        for _ in range(64 // by + 1):
            found = value ^ ((found >> by) + plus)
        return found

    def turned(value: int, by: int) -> int:
        return (value << by | value >> (64 - by)) & _ALL

    mixed = shifted_back(shifted_back(digest, 28) * factor & _ALL, 35, len(text)) * factor & _ALL
    for _ in range(63):  # x ^ rot(x, 49) ^ rot(x, 24), 64 times over, is x
        mixed ^= turned(mixed, 49) ^ turned(mixed, 24)
    words = int.from_bytes(text[-4:], "little") + (int.from_bytes(text[:4], "little") << 32)
    seed = (0x1CAD21F72C81017C ^ 0xDB979083E96DD4DE) - (mixed ^ words) & _ALL
    low = seed & 0xFFFFFFFF
    return seed ^ int.from_bytes(low.to_bytes(4, "little"), "big") << 32


def test_the_same_text_in_two_roles_has_different_keys() -> None:
    user, system = content_keys(prompt(role("user"))), content_keys(prompt(role("system")))

    assert set(user).isdisjoint(system)


def test_the_same_digest_at_either_end_has_different_keys() -> None:
    keys = content_keys(prompt(role(head=5, tail=5, skeleton=5)))

    assert len(set(keys)) == 3


def test_ends_that_are_too_short_have_no_key() -> None:
    assert content_keys(prompt(role(head=0, tail=0, skeleton=0))) == ()


def test_a_role_nobody_thought_of_has_keys_too() -> None:
    assert len(content_keys(prompt(role("developer")))) == 3


def test_one_fragment_in_so_many_is_kept() -> None:
    keys = content_keys(prompt(shingles=tuple(range(1, 8 * FRAGMENT_SAMPLE + 1))))

    assert keys == tuple(n * FRAGMENT_SAMPLE for n in range(1, 9))


@given(
    st.lists(st.tuples(st.sampled_from(["system", "user", "tool"]), _digests, _digests, _digests)),
    st.lists(_digests, max_size=64),
)
def test_keys_are_few_distinct_and_of_64_bits_for_any_prompt(
    roles: list[tuple[str, int, int, int]], shingles: list[int]
) -> None:
    shape = prompt(
        *(role(name, head=head, tail=tail, skeleton=skeleton)
          for name, head, tail, skeleton in roles),
        shingles=tuple(shingles),
    )  # fmt: skip

    keys = content_keys(shape)

    assert len(keys) == len(set(keys)) <= MOST_KEYS
    assert all(0 <= key < 2**64 for key in keys)
