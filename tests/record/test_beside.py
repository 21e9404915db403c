"""Work beside the event loop is done, ends with its owner, and never outlives it."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading

import pytest

from gateway_guard.record.beside import REST, Beside, rest
from tests.processes import PATIENCE

#: Long enough to tell a turn that was asked for from one whose time had come; seconds.
NEVER = 3600.0


class Owner:
    """Counts its turns, and can be made to stay in one."""

    def __init__(self, *, keeps: bool = False, interval: float = NEVER) -> None:
        self.turned = threading.Semaphore(0)
        self.go_on = threading.Event()
        self.go_on.set()
        self.turns = 0
        self.closed = 0
        turn = type(self)._turn
        self.beside = Beside(self, turn, name="test", interval=interval, keeps=keeps)

    def _turn(self) -> float | None:
        self.turns += 1
        self.turned.release()
        self.go_on.wait(PATIENCE)
        return None

    def close(self) -> None:
        self.closed += 1
        self.beside.end(PATIENCE)


def test_a_turn_is_taken_when_it_is_woken() -> None:
    owner = Owner()
    owner.beside.start()

    owner.beside.wake()

    assert owner.turned.acquire(timeout=PATIENCE)
    assert owner.beside.end(PATIENCE)


def test_turns_are_taken_without_being_asked_for() -> None:
    owner = Owner(interval=0.001)

    owner.beside.start()

    assert owner.turned.acquire(timeout=PATIENCE)
    assert owner.turned.acquire(timeout=PATIENCE)
    assert owner.beside.end(PATIENCE)


class Piecemeal(Owner):
    """Has so many pieces of work, each time it is woken."""

    def __init__(self, pieces: int) -> None:
        super().__init__()
        self.left = pieces

    def _turn(self) -> float | None:
        super()._turn()
        self.left -= 1
        return rest(self.left, 1_000)


def test_as_long_as_something_is_left_turns_follow_without_the_interval() -> None:
    owner = Piecemeal(3)
    owner.beside.start()

    owner.beside.wake()

    for _ in range(3):
        assert owner.turned.acquire(timeout=PATIENCE)
    assert owner.beside.end(PATIENCE)
    assert owner.left == 0


@pytest.mark.parametrize(
    ("waiting", "seconds"),
    [(0, None), (1, 0.998 * REST), (250, REST / 2), (500, 0.0), (1_000, 0.0)],
)
def test_the_more_wait_the_shorter_is_the_rest(waiting: int, seconds: float | None) -> None:
    assert rest(waiting, 1_000) == pytest.approx(seconds)


def test_after_the_end_no_turn_is_taken() -> None:
    owner = Owner()
    owner.beside.start()

    assert owner.beside.end(PATIENCE)

    assert owner.turns == 0
    assert owner.beside.thread is not None
    assert not owner.beside.thread.is_alive()


def test_one_that_was_never_started_ends_at_once() -> None:
    assert Owner().beside.end(0.0)


def test_a_turn_that_does_not_end_is_told() -> None:
    owner = Owner()
    owner.go_on.clear()
    owner.beside.start()
    owner.beside.wake()
    assert owner.turned.acquire(timeout=PATIENCE)

    assert not owner.beside.end(0.0)

    owner.go_on.set()
    assert owner.beside.end(PATIENCE)


@pytest.mark.parametrize("keeps", [True, False])
def test_an_owner_that_is_dropped_lives_on_only_where_it_is_kept(keeps: bool) -> None:
    owner = Owner(keeps=keeps)
    beside = owner.beside
    beside.start()
    thread, still_there = beside.thread, beside._owner
    assert thread is not None

    del owner
    gc.collect()
    kept = still_there()
    beside.wake()

    assert (kept is not None) is keeps
    if kept is not None:
        assert kept.turned.acquire(timeout=PATIENCE)
        assert beside.end(PATIENCE)
    thread.join(PATIENCE)
    assert not thread.is_alive()


def at_exit(code: str) -> str:
    """What a process prints whose owner says when it is closed."""
    script = f"""
from gateway_guard.record.beside import Beside

class Owner:
    def close(self):
        print("closed")
        self.beside.end(10.0)

owner = Owner()
owner.beside = Beside(owner, lambda _: None, name="test", interval=3600.0, keeps=False)
owner.beside.start()
owner.beside.at_exit()
{code}
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return done.stdout


@pytest.mark.parametrize(
    ("code", "said"),
    [("", "closed\n"), ("owner.close()", "closed\n"), ("del owner", "")],
    ids=["left open", "closed before", "dropped before"],
)
def test_at_exit_an_owner_is_closed_once_if_it_is_there(code: str, said: str) -> None:
    assert at_exit(code) == said
