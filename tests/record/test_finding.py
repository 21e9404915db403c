"""Looking for decisions in logs, one line in memory at a time."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from gateway_guard.errors import SourceError
from gateway_guard.record import finding
from gateway_guard.record.finding import LONGEST, Logs
from gateway_guard.record.line import line
from tests import build


def entry(number: int, account: str = "acct_test", at: float = 0.0) -> bytes:
    request = build.request(id=f"r_{number}", account=account, at=build.NOW + (at or number))
    return line(build.exchange(request=request))


def written(path: Path, *lines: bytes) -> Path:
    path.write_bytes(b"".join(lines))
    return path


def test_a_decision_is_found_by_its_id_wherever_it_stands(tmp_path: Path) -> None:
    new = written(tmp_path / "log", entry(3), entry(4))
    old = tmp_path / "log.1.gz"
    old.write_bytes(gzip.compress(entry(1) + entry(2)))
    logs = Logs([new, old])

    found = logs.decision("r_2")

    assert found is not None
    assert (found.place, found.text + b"\n") == (f"{old}:2", entry(2))
    assert found.at.timestamp() == build.NOW + 2
    assert logs.name == f"{new}, {old}"
    assert Logs([new, old]).decision("r_5") is None


def test_what_was_searched_is_counted_and_dated(tmp_path: Path) -> None:
    logs = Logs([written(tmp_path / "log", entry(7), entry(3), entry(5))])

    assert logs.decision("r_9") is None
    assert (logs.lines, logs.broken) == (3, 0)
    assert logs.earliest is not None
    assert logs.latest is not None
    assert (logs.earliest.timestamp(), logs.latest.timestamp()) == (build.NOW + 3, build.NOW + 7)


def test_lines_spaced_by_whoever_passed_them_on_are_read(tmp_path: Path) -> None:
    spaced = entry(1).replace(b'":', b'": ')

    assert Logs([written(tmp_path / "log", spaced)]).decision("r_1") is not None


def test_broken_lines_are_passed_over_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finding, "LONGEST", 4096)
    log = written(
        tmp_path / "log", b"\n", entry(1)[:-20] + b"\n", b"nonsense\n", b'{"id":"r_1"}\n',
        b'{"time":"2026-03-02T12:00:00","id":"r_1","action":"deny"}\n', b"\xff\n",
        b'{"id":"r_1","pad":"' + b"x" * 10_000 + b'"}\n', entry(2), entry(3)[:50],
    )  # fmt: skip
    logs = Logs([log])

    assert logs.decision("r_1") is None
    assert (logs.lines, logs.broken) == (1, 7)
    assert LONGEST > 4096


def test_the_latest_of_an_account_are_told_by_their_times(tmp_path: Path) -> None:
    new = written(tmp_path / "log", *(entry(n) for n in (8, 7, 9)), entry(10, "acct_other"))
    old = written(tmp_path / "log.1", *(entry(n) for n in range(1, 7)))

    for order in ([new, old], [old, new]):
        found = Logs(order).decisions("acct_test", 4)
        assert [one.at.timestamp() - build.NOW for one in found] == [9, 8, 7, 6]
    assert len(Logs([new, old]).decisions("acct_test", 100)) == 9


def test_the_latest_of_one_moment_are_the_last_ones_written(tmp_path: Path) -> None:
    log = written(tmp_path / "log", *(entry(n, at=5.0) for n in range(1, 5)))

    found = Logs([log]).decisions("acct_test", 2)

    assert [one.place.rpartition(":")[2] for one in found] == ["4", "3"]


@pytest.mark.parametrize(
    ("damage", "why"), [("cut", "it was cut short"), ("bits", "it is damaged (")]
)
def test_a_packed_log_that_ends_early_is_read_as_far_as_it_goes(
    damage: str, why: str, tmp_path: Path
) -> None:
    packed = gzip.compress(b"".join(entry(n) for n in range(1, 3000)), 0)
    if damage == "cut":
        packed = packed[: len(packed) // 2]
    else:
        packed = packed[:-8] + b"\0" * 8
    log = written(tmp_path / "log.gz", packed)
    logs = Logs([log, written(tmp_path / "log", entry(5000))])

    assert logs.decision("r_5000") is not None
    assert logs.lines > 1000
    (said,) = logs.damaged
    assert said.startswith(f"{log} cannot be read beyond line ")
    assert why in said


def test_how_far_a_long_search_is_can_be_shown(tmp_path: Path) -> None:
    log = written(tmp_path / "log", entry(1) * 9000)
    told: list[int] = []

    Logs([log], progress=told.append).decision("r_9")

    assert len(told) == 2
    assert 0 < sum(told) <= log.stat().st_size


@pytest.mark.parametrize("what", ["nothing", "directory"])
def test_a_log_that_cannot_be_opened_is_an_error(what: str, tmp_path: Path) -> None:
    path = tmp_path if what == "directory" else tmp_path / "none"

    with pytest.raises(SourceError, match="cannot be read: "):
        Logs([path]).decision("r_1")
