"""The decision log: everything queued arrives, the loop never waits, failures are counted."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway_guard.errors import SettingsError
from gateway_guard.record.beside import Beside
from gateway_guard.record.line import Addresses, line
from gateway_guard.record.log import DecisionLog
from gateway_guard.settings import Settings
from gateway_guard.types import Usage
from tests import build
from tests.processes import PATIENCE


def ids(path: Path) -> list[str]:
    return [msgspec.json.decode(text)["id"] for text in path.read_bytes().splitlines()]


def exchange(number: int) -> Any:
    return build.exchange(request=build.request(id=f"r_{number}"))


@pytest.fixture
def idle(monkeypatch: pytest.MonkeyPatch) -> None:
    """No writer thread: only `flush` and `close` write."""
    monkeypatch.setattr(Beside, "start", lambda self: None)


def test_closing_writes_everything_in_order(tmp_path: Path) -> None:
    log = DecisionLog(tmp_path / "log")
    for number in range(1000):
        log.write(exchange(number))

    log.close()

    assert ids(tmp_path / "log") == [f"r_{number}" for number in range(1000)]
    assert (log.written, log.dropped, log.errors) == (1000, 0, 0)


def test_the_thread_writes_without_being_asked(tmp_path: Path) -> None:
    log = DecisionLog(tmp_path / "log")
    arrived = threading.Event()
    append = log._append

    def tell(lines: list[bytes]) -> None:
        append(lines)
        arrived.set()

    log._append = tell  # type: ignore[method-assign]
    log.write(exchange(1))

    assert arrived.wait(PATIENCE)
    assert ids(tmp_path / "log") == ["r_1"]
    log.close()


def test_a_line_says_what_was_known_when_it_was_written(tmp_path: Path, idle: None) -> None:
    log = DecisionLog(tmp_path / "log")
    settled = build.exchange(usage=Usage(output_tokens=7))
    log.write(settled)
    settled.usage = None

    log.close()

    assert msgspec.json.decode((tmp_path / "log").read_bytes())["output_tokens"] == 7


def test_a_full_queue_drops_the_newest_and_counts(tmp_path: Path, idle: None) -> None:
    log = DecisionLog(tmp_path / "log", queue=3)
    for number in range(5):
        log.write(exchange(number))

    log.close()

    assert ids(tmp_path / "log") == ["r_0", "r_1", "r_2"]
    assert log.dropped == 2


def test_after_rotation_reopening_writes_to_the_new_file(tmp_path: Path, idle: None) -> None:
    log = DecisionLog(tmp_path / "log")
    log.write(exchange(1))
    log.flush()
    (tmp_path / "log").rename(tmp_path / "log.1")
    log.write(exchange(2))
    log.reopen()

    log.close()

    assert ids(tmp_path / "log.1") == ["r_1"]
    assert ids(tmp_path / "log") == ["r_2"]


@pytest.mark.parametrize("removed", [False, True])
def test_a_file_that_was_moved_away_or_removed_is_made_anew_though_nobody_says_so(
    removed: bool, tmp_path: Path, idle: None
) -> None:
    """The middleware heeds no signal, and what is written to a removed file is in none."""
    log = DecisionLog(tmp_path / "log")
    log.write(exchange(1))
    log.flush()
    (tmp_path / "log").rename(tmp_path / "log.1")
    if removed:
        (tmp_path / "log.1").unlink()
    log.write(exchange(2))

    log.close()

    assert ids(tmp_path / "log") == ["r_2"]
    assert (log.written, log.errors, log.trouble) == (2, 0, None)


def test_a_link_that_points_to_another_file_by_now_is_followed(tmp_path: Path, idle: None) -> None:
    link = tmp_path / "log"
    link.symlink_to("monday")
    log = DecisionLog(link)
    log.write(exchange(1))
    log.flush()
    link.unlink()
    link.symlink_to("tuesday")
    log.write(exchange(2))

    log.close()

    assert (ids(tmp_path / "monday"), ids(tmp_path / "tuesday")) == (["r_1"], ["r_2"])


def test_a_file_that_is_emptied_in_place_is_written_from_its_beginning(
    tmp_path: Path, idle: None
) -> None:
    """As `copytruncate` does it."""
    log = DecisionLog(tmp_path / "log")
    log.write(exchange(1))
    log.flush()
    os.truncate(tmp_path / "log", 0)
    log.write(exchange(2))

    log.close()

    assert ids(tmp_path / "log") == ["r_2"]


def test_reopening_that_fails_keeps_the_old_file(
    tmp_path: Path, idle: None, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    log = DecisionLog(folder / "log")
    folder.rename(tmp_path / "moved")
    log.reopen()
    log.write(exchange(1))

    log.close()

    assert ids(tmp_path / "moved" / "log") == ["r_1"]
    assert log.errors == 1
    assert "cannot open" in caplog.text
    assert log.trouble is not None
    assert "cannot be opened anew: No such file or directory" in log.trouble


def test_a_full_disk_is_counted_reported_once_and_survived(
    tmp_path: Path, idle: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    log = DecisionLog(tmp_path / "log")
    real, full = os.write, True

    def write(fd: int, data: Any) -> int:
        if not full:
            return real(fd, data)
        if len(data) > 20:
            return real(fd, data[:20])  # a torn line, as a disk that fills up leaves it
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, bytes(data)))
    with caplog.at_level(logging.WARNING):
        for number in range(2):
            log.write(exchange(number))
            log.flush()
        meanwhile = log.trouble
        full = False
        log.write(exchange(2))
        log.close()

    assert (log.errors, log.lost, log.written) == (2, 2, 1)
    assert caplog.text.count("No space left") == 1
    assert meanwhile is not None
    assert "cannot be written: No space left on device; lines lost so far: 2" in meanwhile
    assert log.trouble is None
    assert "written again; lines lost until now: 2" in caplog.text
    assert msgspec.json.decode((tmp_path / "log").read_bytes().splitlines()[-1])["id"] == "r_2"


def test_what_a_disk_took_before_it_was_full_is_not_counted_as_lost(
    tmp_path: Path, idle: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = DecisionLog(tmp_path / "log")
    real, room = os.write, 0

    def write(fd: int, data: Any) -> int:
        nonlocal room
        if not room:
            raise OSError(errno.ENOSPC, "No space left on device")
        taken, room = min(room, len(data)), 0
        return real(fd, bytes(data)[:taken])

    for number in range(3):
        log.write(exchange(number))
    monkeypatch.setattr(os, "write", write)
    room = len(line(exchange(0), Addresses.FULL)) * 2 + 20
    log.flush()
    monkeypatch.setattr(os, "write", real)
    log.write(exchange(3))
    log.close()

    assert (log.written, log.lost, log.errors) == (3, 1, 1)
    found = (tmp_path / "log").read_bytes().splitlines()
    assert [msgspec.json.decode(found[n])["id"] for n in (0, 1, 3)] == ["r_0", "r_1", "r_3"]


def test_workers_that_share_a_pipe_tear_no_line_of_each_other(idle: None) -> None:
    """A container's standard output: a batch of lines is more than a pipe takes at once."""
    ours, theirs = os.pipe()
    workers = []
    for _ in range(2):
        worker = os.fork()
        if not worker:
            with contextlib.suppress(BaseException):
                os.close(ours)
                os.dup2(theirs, 1)
                log = DecisionLog("-")
                for number in range(20 * 256):
                    log.write(exchange(number))
                    if number % 256 == 255:
                        log.flush()
                log.close()
            os._exit(0)
        workers.append(worker)
    os.close(theirs)
    with os.fdopen(ours, "rb") as reader:
        lines = reader.readlines()
    for worker in workers:
        os.waitpid(worker, 0)

    assert len(lines) == 2 * 20 * 256
    assert {msgspec.json.decode(text)["id"][:2] for text in lines} == {"r_"}


def test_an_exchange_that_cannot_be_encoded_loses_only_itself(tmp_path: Path, idle: None) -> None:
    log = DecisionLog(tmp_path / "log")
    log.write(build.exchange(request=build.request(at=float("inf"))))
    log.write(exchange(1))

    log.close()

    assert ids(tmp_path / "log") == ["r_1"]
    assert (log.lost, log.errors) == (1, 1)


def test_a_dash_is_standard_output(capfd: pytest.CaptureFixture[str], idle: None) -> None:
    log = DecisionLog("-")
    log.write(exchange(1))

    log.close()

    assert '"id":"r_1"' in capfd.readouterr().out


def test_a_file_that_cannot_be_opened_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be opened: No such file"):
        DecisionLog(tmp_path / "nowhere" / "log")


def test_a_pipe_that_nobody_reads_is_said_at_once_and_one_that_is_read_is_written(
    tmp_path: Path, idle: None
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    with pytest.raises(SettingsError, match="a pipe needs its reader first"):
        DecisionLog(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    log = DecisionLog(pipe)
    log.write(exchange(1))
    log.close()
    written = os.read(reader, 65_536)
    os.close(reader)

    assert msgspec.json.decode(written)["id"] == "r_1"


def test_closing_twice_and_writing_afterwards_do_no_harm(tmp_path: Path) -> None:
    log = DecisionLog(tmp_path / "log")
    log.close()

    log.close()
    log.write(exchange(1))

    assert (tmp_path / "log").read_bytes() == b""


def test_who_is_still_writing_when_it_is_closed_writes_into_no_other_file(
    tmp_path: Path, idle: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when nobody reads the pipe that is written to: its descriptor is another file's then."""
    log = DecisionLog(tmp_path / "log")
    log.write(exchange(1))
    monkeypatch.setattr(Beside, "end", lambda self, timeout: False)

    log.close()
    log.write(exchange(2))
    with (tmp_path / "another").open("wb"):
        log.flush()

    assert (tmp_path / "another").read_bytes() == b""
    assert (log.written, log.lost) == (0, 2)


def test_others_may_not_read_the_file(tmp_path: Path) -> None:
    DecisionLog(tmp_path / "log").close()

    assert (tmp_path / "log").stat().st_mode & 0o007 == 0


@pytest.mark.parametrize(
    ("word", "kept"), [("full", "198.51.100.7"), ("subnet", "198.51.100.0/24"), ("none", None)]
)
def test_the_settings_say_how_much_of_an_address_is_kept(
    word: str, kept: str | None, tmp_path: Path
) -> None:
    path = tmp_path / "log"
    settings = Settings.from_environment(
        {"GATEWAY_GUARD_DECISION_LOG": str(path), "GATEWAY_GUARD_LOG_ADDRESSES": word}
    )

    log = DecisionLog.configured(settings)
    assert log is not None
    log.write(build.exchange())
    log.close()

    assert msgspec.json.decode(path.read_bytes()).get("client_ip") == kept


def test_without_a_path_there_is_no_log() -> None:
    assert DecisionLog.configured(Settings.from_environment({})) is None


def test_how_much_of_an_address_is_one_of_three_words() -> None:
    with pytest.raises(SettingsError, match="full, subnet, none"):
        Settings.from_environment({"GATEWAY_GUARD_LOG_ADDRESSES": "some"})
