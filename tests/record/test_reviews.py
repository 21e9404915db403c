"""The journal of reviews: appended by people, read on from where it stopped, never trusted."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_guard.campaigns.journal import Applied, line_of, review_of
from gateway_guard.campaigns.reviews import Review, Ruling
from gateway_guard.record.reviews import Journal, append
from tests import build


def ban(number: int) -> Review:
    return Review(
        at=build.NOW, ruling=Ruling.BAN, account=f"acct_{number}", reason="réseau", by="me"
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "campaigns.reviews"


def test_what_was_appended_is_read_once_in_order(path: Path) -> None:
    journal = Journal(path)
    append(path, ban(1))
    append(path, ban(2))
    first = journal.new()
    append(path, ban(3))

    assert first == [ban(1), ban(2)]
    assert journal.new() == [ban(3)]
    assert journal.new() == []


def test_a_journal_that_is_not_there_is_empty_until_it_is(path: Path) -> None:
    journal = Journal(path)
    before = journal.new()
    append(path, ban(1))

    assert before == []
    assert journal.applied == Applied()
    assert journal.new() == [ban(1)]


def test_a_torn_last_line_is_waited_for(path: Path) -> None:
    journal, line = Journal(path), line_of(ban(1))
    path.write_bytes(line[:20])
    torn = journal.new()
    with path.open("ab") as file:
        file.write(line[20:])

    assert torn == []
    assert journal.new() == [ban(1)]
    assert journal.bad == 0


def test_a_review_after_a_line_that_was_never_finished_stands_alone(path: Path) -> None:
    journal = Journal(path, complain=lambda *_: None)
    path.write_bytes(line_of(ban(1))[:20])

    append(path, ban(2))

    assert journal.new() == [ban(2)]
    assert journal.bad == 1


def test_a_review_the_disk_takes_in_pieces_is_written_whole_or_said_not_to_be(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, room = os.write, [10_000]

    def filling(handle: int, data: bytes) -> int:
        if room[0] <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        part = data[: min(40, room[0])]
        room[0] -= len(part)
        return write(handle, part)

    monkeypatch.setattr(os, "write", filling)
    append(path, ban(1))
    room[0] = 60
    with pytest.raises(OSError, match="No space left"):
        append(path, ban(2))
    room[0] = 10_000
    append(path, ban(3))

    journal = Journal(path, complain=lambda *_: None)
    assert (journal.new(), journal.bad) == ([ban(1), ban(3)], 0)


def test_bad_lines_are_reported_with_their_number_and_skipped(path: Path) -> None:
    told: list[tuple[int, str]] = []
    path.write_bytes(
        line_of(ban(1)) + b"nonsense\n\n" + b'{"at":1,"ruling":"hang","account":"a"}\n'
        + b'{"at":1,"ruling":"ban"}\n' + b'{"at":1,"ruling":"ban","campaign":"c_1"}\n'
        + b'{"at":1,"ruling":"release","account":"a"}\n' + b'"' + b"x" * 20_000 + b'"\n'
        + line_of(ban(2)) + b'{"at":1795411270072,"ruling":"ban","account":"a"}\n'
        + b'{"at":1,"until":1e300,"ruling":"verify","account":"a"}\n'
    )  # fmt: skip

    found = Journal(path, complain=lambda number, why: told.append((number, why))).new()

    assert found == [ban(1), ban(2)]
    assert [number for number, _ in told] == [2, 4, 5, 6, 7, 8, 10, 11]
    assert "neither" in told[2][1]
    assert "bytes" in told[5][1]
    assert "not milliseconds" in told[6][1]


def test_a_journal_full_of_nonsense_does_not_fill_the_log(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path.write_bytes(b"nonsense\n" * 1000)
    journal = Journal(path)

    found = journal.new()

    assert found == []
    assert journal.bad == 1000
    assert len(caplog.records) == 20


def test_it_goes_on_where_a_snapshot_stopped(path: Path) -> None:
    journal = Journal(path)
    append(path, ban(1))
    journal.new()
    append(path, ban(2))

    assert Journal(path, journal.applied).new() == [ban(2)]


def test_a_journal_that_begins_otherwise_is_read_from_its_start(path: Path) -> None:
    journal = Journal(path)
    append(path, ban(1))
    journal.new()
    path.write_bytes(line_of(ban(3)) + line_of(ban(4)))

    assert Journal(path, journal.applied).new() == [ban(3), ban(4)]


@pytest.mark.parametrize("way", ["shorter", "another file"])
def test_a_journal_that_is_not_the_same_any_more_is_read_from_its_start(
    way: str, path: Path
) -> None:
    journal = Journal(path)
    append(path, ban(1))
    append(path, ban(2))
    journal.new()
    if way == "shorter":
        path.write_bytes(line_of(ban(3)))
    else:
        fresh = path.with_suffix(".fresh")
        fresh.write_bytes(b"".join(line_of(ban(n)) for n in (3, 4, 5)))
        fresh.replace(path)

    assert journal.new()[0] == ban(3)


def test_one_that_cannot_be_read_is_reported_once_and_read_when_it_can(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path.mkdir()
    journal = Journal(path)
    for _ in range(3):
        journal.new()
    error = journal.error
    path.rmdir()
    append(path, ban(1))

    assert error is not None
    assert len(caplog.records) == 1
    assert journal.new() == [ban(1)]
    assert journal.error is None


def test_the_journal_is_its_owners_only(path: Path) -> None:
    append(path, ban(1))

    assert path.stat().st_mode & 0o777 == 0o600


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_no_line_makes_it_crash(line: bytes) -> None:
    review = None
    with contextlib.suppress(ValueError):
        review = review_of(line)

    assert review is None or review_of(line_of(review)) == review
