"""How long connections last where several processes accept them."""

from __future__ import annotations

import pytest

from gateway_guard.frontends.door import Doorkeeper
from gateway_guard.frontends.head import Head
from gateway_guard.frontends.inbound import GuardProtocol
from gateway_guard.frontends.parting import A_SECOND, BUSY, LASTS, LOOK_EVERY, Parting
from gateway_guard.frontends.patience import Limits
from gateway_guard.frontends.refusals import Answer
from tests.frontends.conversation import conversation
from tests.frontends.test_inbound import app

GET = b"GET / HTTP/1.1\r\nHost: api.test\r\n\r\n"


def let_go(share: float, *, every: float = 0.01, seconds: float = 10.0) -> list[float]:
    """When connections were let go by a loop that works for so much of its time."""
    spent = 0.0

    def asked() -> float:
        return spent

    parting = Parting(asked)
    found = []
    for tick in range(int(seconds / every)):
        now, spent = 100.0 + tick * every, share * tick * every
        if parting.lets_go(now):
            found.append(now - 100.0)
    return found


def test_a_process_with_time_keeps_its_connections() -> None:
    assert let_go(BUSY - 0.1) == []


def test_one_that_has_much_to_do_lets_some_go_and_not_all_at_once() -> None:
    found = let_go(BUSY + 0.1)

    assert found[0] <= 2.5 * LOOK_EVERY
    assert 0.7 * A_SECOND <= len([when for when in found if 5.0 <= when < 6.0]) <= A_SECOND + 1


def test_after_a_rest_nobody_is_taken_to_be_busy() -> None:
    spent = 0.0
    parting = Parting(lambda: spent)
    assert not parting.lets_go(0.0)
    spent = 1000.0

    assert not parting.lets_go(1000.0)


def test_who_is_turned_away_may_try_another_process_so_many_a_second() -> None:
    parting = Parting(lambda: 0.0)

    ends = [parting.lets_go(50.0 + tick / 1000.0, turned_away=True) for tick in range(1000)]

    assert ends[0]
    assert 0.9 * A_SECOND <= sum(ends) <= A_SECOND + 1


def test_connections_last_between_half_and_all_of_it() -> None:
    parting = Parting(lambda: 0.0)

    until = [parting.until(10.0) - 10.0 for _ in range(1000)]

    assert LASTS / 2 <= min(until) < 0.6 * LASTS
    assert 0.9 * LASTS < max(until) <= LASTS


class Everybody:
    """Turns everybody away.

    Attributes:
        asked: how often it was.
    """

    asked = 0

    def refuses(self, method: str, head: Head) -> Answer | None:
        self.asked += 1
        return 503, [(b"content-length", b"0")], b""


class Retired(Parting):
    """No connection takes a second request."""

    def until(self, now: float) -> float:
        return now

    def lets_go(self, now: float, *, turned_away: bool = False) -> bool:
        return turned_away


def exchanged(sent: bytes, parting: Parting | None, door: Doorkeeper | None = None) -> bytes:
    """What comes back for `sent`, until all is answered or the connection ends."""
    bound = GuardProtocol.bound(Limits(), door, parting=parting)

    def over(got: bytes) -> bool:
        return b"connection: close" in got or got.count(b"HTTP/1.1 ") >= sent.count(b"GET ")

    return conversation(bound, app, sent, over)


@pytest.mark.parametrize("door", [None, Everybody()])
def test_a_connection_whose_time_is_over_ends_with_its_answer(door: Doorkeeper | None) -> None:
    answer = exchanged(GET, Retired(), door)

    assert answer.startswith(b"HTTP/1.1 503" if door else b"HTTP/1.1 200")
    assert b"\r\nconnection: close\r\n" in answer


def test_requests_that_came_together_are_all_answered() -> None:
    answers = exchanged(GET * 3, Retired())

    assert answers.count(b"HTTP/1.1 200") == 3
    assert answers.count(b"connection: close") == 1


def test_behind_the_last_answer_nothing_is_heard() -> None:
    door = Everybody()

    answers = exchanged(GET * 3, Retired(), door)

    assert answers.count(b"HTTP/1.1 503") == door.asked == 1


@pytest.mark.parametrize("door", [None, Everybody()])
def test_where_nobody_else_accepts_connections_last(door: Doorkeeper | None) -> None:
    assert b"connection: close" not in exchanged(GET, None, door)
