"""Settings, ids, the clock and the nouns."""

from __future__ import annotations

import math
import os
import re
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from gateway_guard import ids
from gateway_guard.clock import Clock, steady_clock
from gateway_guard.errors import SettingsError
from gateway_guard.ids import request_ids
from gateway_guard.settings import VARIABLES, Settings
from gateway_guard.types import Action, Inspection, Signal
from tests import build


def test_ids_are_unique_and_of_one_form() -> None:
    make, other = request_ids(), request_ids()

    made = [one() for _ in range(2000) for one in (make, other)]

    assert len(set(made)) == 4000
    assert all(re.fullmatch("r_[0-9a-hjkmnp-tv-z]{14}", one) for one in made)


def test_ids_tell_nothing_of_how_many_there_were() -> None:
    """Every letter of the next one is free, and each as likely as another."""
    make = request_ids()
    made = [make() for _ in range(3200)]

    for place in range(2, 16):
        counts = Counter(one[place] for one in made)
        assert len(counts) == 32
        assert max(counts.values()) < 200  # 100 each; ten standard deviations
    assert sum(one < after for one, after in pairwise(made)) < 2000


def test_a_process_does_not_go_on_with_the_ids_of_its_parent() -> None:
    make = request_ids()
    make()
    while not ids._ready:
        make()  # that was the last one of those made together
    child = os.fork()
    if not child:
        os._exit(bool(ids._ready))

    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 0
    assert ids._ready


def test_the_clock_never_runs_backwards_when_the_wall_clock_is_set_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = steady_clock()
    before = clock()

    monkeypatch.setattr("time.time", lambda: 0.0)

    assert clock() >= before


class Wall:
    """A wall clock that is set, beside the other one, which only goes on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.passed = 100.0
        self.wall = build.NOW
        monkeypatch.setattr("time.monotonic", lambda: self.passed)
        monkeypatch.setattr("time.time", lambda: self.wall)

    def goes_on(self, clock: Clock, seconds: float) -> float:
        """What `clock` says in the end; it is asked every second."""
        for _ in range(int(seconds)):
            self.passed += 1.0
            self.wall += 1.0
            clock()
        return clock()


def test_the_clock_follows_the_wall_clock_forward_once_that_has_lasted(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """After a machine was suspended, no token issued since was valid until a restart."""
    wall = Wall(monkeypatch)
    clock = steady_clock()

    wall.wall += 7200.0
    soon = wall.goes_on(clock, 25.0)
    later = wall.goes_on(clock, 25.0)

    assert soon == build.NOW + 25.0
    assert later == wall.wall == build.NOW + 7250.0
    wall.wall += 7200.0
    assert wall.goes_on(clock, 50.0) == wall.wall
    assert "clock-followed seconds=7200" in caplog.text


@pytest.mark.parametrize("back", [7200.0, 7195.5, 3600.0])
def test_a_slip_of_the_wall_clock_is_not_followed(
    monkeypatch: pytest.MonkeyPatch, back: float
) -> None:
    wall = Wall(monkeypatch)
    clock = steady_clock()

    wall.wall += 7200.0
    wall.goes_on(clock, 25.0)
    wall.wall -= back
    after = wall.goes_on(clock, 25.0)

    assert after == build.NOW + 50.0


def test_a_wall_clock_that_is_set_back_for_good_is_followed_and_what_is_kept_is_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Tokens expired an hour early, and links of verification an hour late, until a restart."""
    wall, told = Wall(monkeypatch), Told()
    clock = steady_clock(object(), told)

    wall.wall -= 3600.0
    soon = wall.goes_on(clock, 25.0)
    later = wall.goes_on(clock, 25.0)

    assert soon == build.NOW + 25.0
    assert later == wall.wall == build.NOW - 3550.0
    assert told.seconds == [3600.0]
    assert "clock-followed seconds=-3600" in caplog.text
    wall.wall += 3600.0
    assert wall.goes_on(clock, 50.0) == wall.wall
    assert told.seconds == [3600.0]


class Told:
    """Something that keeps moments of a clock."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def set_back(self, seconds: float) -> None:
        self.seconds.append(seconds)


@pytest.mark.parametrize("step", [4.5, -4.5])
def test_a_wall_clock_that_is_off_by_little_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, step: float
) -> None:
    wall = Wall(monkeypatch)
    clock = steady_clock()

    wall.wall += step

    assert wall.goes_on(clock, 600.0) == build.NOW + 600.0
    assert caplog.text == ""


def test_a_secret_in_a_file_is_used(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("0123456789abcdef0123456789abcdef\n")

    settings = Settings.from_environment({"GATEWAY_GUARD_SECRET_FILE": str(tmp_path / "key")})

    assert settings.secret == b"0123456789abcdef0123456789abcdef"


def test_without_a_secret_every_process_makes_its_own() -> None:
    one, two = Settings.from_environment({}), Settings.from_environment({})

    assert one.secret != two.secret
    assert len(one.secret) == 32


@pytest.mark.parametrize(
    ("environ", "part"),
    [
        ({"GATEWAY_GUARD_SECRET": "short"}, "at least 16"),
        ({"GATEWAY_GUARD_SECRET": " " * 20}, "holds 0 bytes"),
        ({"GATEWAY_GUARD_SECRET_FILE": "/nonexistent/key"}, "cannot read"),
        ({"GATEWAY_GUARD_MAX_ACCOUNTS": "many"}, "whole number"),
        ({"GATEWAY_GUARD_LOG_QUEUE": "0"}, "whole number"),
        ({"GATEWAY_GUARD_LINKER_ACCOUNTS": "999"}, "from 1000 to"),
        ({"GATEWAY_GUARD_LINKER_ACCOUNTS": "-5"}, "from 1000 to"),
        ({"GATEWAY_GUARD_LINKER_ACCOUNTS": "1e6"}, "from 1000 to"),
    ],
)
def test_a_variable_that_makes_no_sense_says_what_to_write(
    environ: dict[str, str], part: str
) -> None:
    with pytest.raises(SettingsError, match=part) as caught:
        Settings.from_environment(environ)

    assert "short" not in str(caught.value)


def test_a_line_break_behind_a_secret_makes_no_other_key_wherever_it_stands(tmp_path: Path) -> None:
    """One guard has it from a mounted file, the next from its environment, of one Secret."""
    (tmp_path / "key").write_text("0123456789abcdef\n")

    file = Settings.from_environment({"GATEWAY_GUARD_SECRET_FILE": str(tmp_path / "key")})
    variable = Settings.from_environment({"GATEWAY_GUARD_SECRET": "0123456789abcdef\n"})

    assert file.secret == variable.secret


def test_two_secrets_are_one_too_many_unless_they_are_one(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("0123456789abcdef\n")
    one = {"GATEWAY_GUARD_SECRET_FILE": str(tmp_path / "key")}

    same = Settings.from_environment(one | {"GATEWAY_GUARD_SECRET": "0123456789abcdef"})

    assert same.secret == b"0123456789abcdef"
    with pytest.raises(SettingsError, match="hold two keys"):
        Settings.from_environment(one | {"GATEWAY_GUARD_SECRET": "fedcba9876543210"})


def test_an_unknown_variable_is_named_in_the_log_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("gateway_guard.settings._TOLD", set())
    for _ in range(2):
        Settings.from_environment({"GATEWAY_GUARD_SECRT": "x"})

    told = "unknown variable GATEWAY_GUARD_SECRT is ignored; did you mean GATEWAY_GUARD_SECRET?"
    assert caplog.text.count(told) == 1


def test_of_an_unknown_variable_like_no_other_all_that_are_known_are_named(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("gateway_guard.settings._TOLD", set())

    Settings.from_environment({"GATEWAY_GUARD_COLOUR": "x"})

    assert all(name in caplog.text for name in VARIABLES)


@pytest.mark.parametrize("score", [-0.1, 1.1, math.nan, math.inf])
def test_a_signal_outside_its_range_is_refused(score: float) -> None:
    with pytest.raises(ValueError, match="not in"):
        Signal(name="x", score=score)


def test_actions_rise_in_severity_and_spell_themselves() -> None:
    words = [action.word for action in Action]

    assert words == ["allow", "restrict", "challenge", "throttle", "deny"]
    assert all(Action.from_word(word) is Action(i) for i, word in enumerate(words))
    assert [action.refuses for action in Action] == [False, False, True, True, True]


def test_only_a_body_that_exists_and_could_not_be_read_is_unknown() -> None:
    known = {inspection for inspection in Inspection if not inspection.unknown}

    assert known == {Inspection.NONE, Inspection.UNSEEN, Inspection.FULL}
