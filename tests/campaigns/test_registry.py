"""Content keys: one integer while one account uses them, a posting from the second on."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.campaigns.registry import Templates
from tests.build import NOW

_KEYS, _SHARED, _MOST = 6, 4, 3

_uses = st.lists(st.tuples(st.integers(0, 40), st.integers(1, 2**29), st.booleans()), max_size=150)


def templates() -> Templates:
    return Templates(keys=_KEYS, shared=_SHARED, most=_MOST)


def test_a_key_never_seen_has_no_first_user() -> None:
    assert templates().first(1) is None


def test_the_first_user_of_a_key_and_the_second_of_arrival_are_known() -> None:
    registry = templates()

    registry.claim(1, 77, NOW + 0.5)

    assert registry.first(1) == (77, NOW)


def test_a_shared_key_has_both_users_and_no_longer_a_single_first_one() -> None:
    registry = templates()
    registry.claim(1, 7, NOW)

    registry.share(1, 8, NOW + 60)

    posting = registry.shared.get(1)
    assert posting is not None
    assert (posting.count, list(posting.latest)) == (2, [7, 8])
    assert (posting.first_at, posting.last_at) == (NOW, NOW + 60)
    assert registry.first(1) is None


def test_a_key_whose_first_user_was_forgotten_is_shared_by_the_second_alone() -> None:
    registry = templates()

    registry.share(1, 8, NOW)

    posting = registry.shared.get(1)
    assert posting is not None
    assert (posting.count, list(posting.latest)) == (1, [8])


def test_a_key_of_the_generation_before_is_still_known() -> None:
    registry = templates()
    registry.claim(0, 7, NOW)

    for key in range(1, _KEYS + 1):
        registry.claim(key, 8, NOW)

    assert registry.first(0) == (7, NOW)


def test_every_key_of_one_account_is_told_with_its_user() -> None:
    registry = templates()
    for key in range(_KEYS + 2):
        registry.claim(key, 10 + key, NOW)
    registry.share(3, 99, NOW)

    told = dict(registry.claims())

    assert told == {key: (10 + key, NOW) for key in range(_KEYS + 2) if key != 3}


def test_a_key_of_64_bits_is_known_again_and_shared_whole() -> None:
    key = (1 << 64) - 2
    registry = templates()
    registry.claim(key, 7, NOW)
    told = dict(registry.claims())

    again = templates()
    for kept, (number, at) in told.items():
        again.claim(kept, number, at)
    again.share(key, 8, NOW)

    assert registry.first(key) == (7, NOW)
    assert again.first(key) is None
    posting = again.shared.get(key)
    assert posting is not None
    assert list(posting.latest) == [7, 8]
    assert len(again) == 1


def test_a_key_not_used_for_a_whole_generation_is_forgotten() -> None:
    registry = templates()

    for key in range(2 * _KEYS + 1):
        registry.claim(key, 7, NOW)

    assert registry.first(0) is None


@given(st.integers(0, 2**34 - 1), st.integers(1, 2**40))
def test_any_second_since_1970_and_any_number_survive_packing(second: int, number: int) -> None:
    registry = templates()

    registry.claim(1, number, float(second))

    assert registry.first(1) == (number, float(second))


def test_a_moment_beyond_all_clocks_is_taken_for_the_latest_that_can_be_written() -> None:
    registry = templates()

    registry.claim(1, 7, 1e300)

    assert registry.first(1) == (7, float(2**34 - 1))


@given(_uses)
def test_no_sequence_exceeds_the_bounds(uses: list[tuple[int, int, bool]]) -> None:
    registry = templates()
    for key, number, share in uses:
        if share:
            registry.share(key, number, NOW)
        else:
            registry.claim(key, number, NOW)

        assert len(registry) <= 2 * _KEYS + 2 * _SHARED
