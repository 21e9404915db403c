"""Requests whose end nobody sees: each is settled once, in time, and there are never too many."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.frontends.extauth.leases import Leases
from gateway_guard.types import Exchange
from tests import build


def exchange(name: str) -> Exchange:
    return build.exchange(request=build.request(id=name))


def test_a_report_takes_the_lease_and_a_second_one_finds_nothing() -> None:
    leases, one = Leases(60.0), exchange("r_1")
    leases.hold(one, build.NOW)

    assert leases.take("r_1") is one
    assert leases.take("r_1") is None
    assert leases.unknown == 1


@pytest.mark.parametrize(("later", "over"), [(59.9, 0), (60.0, 1)])
def test_a_lease_runs_out_after_its_seconds(later: float, over: int) -> None:
    leases = Leases(60.0)
    leases.hold(exchange("r_1"), build.NOW)

    assert len(leases.over(build.NOW + later)) == leases.expired == over
    assert len(leases) == 1 - over


def test_the_oldest_makes_room() -> None:
    leases = Leases(60.0, most=2)

    gone = [leases.hold(exchange(f"r_{n}"), build.NOW) for n in range(3)]

    assert [[one.request.id for one in made] for made in gone] == [[], [], ["r_0"]]
    assert leases.take("r_0") is None
    assert len(leases) == 2


@given(
    st.lists(st.tuples(st.sampled_from(["hold", "take", "over"]), st.integers(0, 9)), max_size=40)
)
def test_whatever_happens_every_exchange_comes_back_once(steps: list[tuple[str, int]]) -> None:
    leases, now = Leases(3.0, most=4), build.NOW
    held: list[str] = []
    back: list[Exchange] = []
    for n, (what, which) in enumerate(steps):
        now += which / 2
        if what == "hold":
            held.append(f"r_{n}")
            back += leases.hold(exchange(f"r_{n}"), now)
        elif what == "take" and held:
            found = leases.take(held[which % len(held)])
            back += [found] if found is not None else []
        else:
            back += leases.over(now)
        assert len(leases) <= 4
    back += leases.all()

    assert sorted(one.request.id for one in back) == sorted(held)
    assert len(leases) == 0
