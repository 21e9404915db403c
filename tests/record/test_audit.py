"""The audit file: nothing can be changed, removed, moved or added without being found."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.campaigns.reviews import Review, Ruling
from gateway_guard.errors import SettingsError, SourceError
from gateway_guard.record.audit import Audit
from gateway_guard.record.chain import Entry, Place, check, key_of, line_of
from gateway_guard.settings import Settings
from tests import build

NEWLINE = b"\n"
KEY = key_of(build.SECRET)


def review(number: int = 1, **fields: object) -> Review:
    given_ = {"at": build.NOW + number, "ruling": Ruling.BAN, "account": "acct_" + "a" * 16,
              "reason": f"reason {number}", "by": "mia"}  # fmt: skip
    return Review(**{**given_, **fields})  # type: ignore[arg-type]


def chain(count: int, *, reason: str = "r") -> tuple[list[bytes], Place]:
    """`count` lines, and the last place."""
    lines, at = [], Place()
    for number in range(1, count + 1):
        entry = Entry(n=number, at=build.NOW + number, action="note", reason=f"{reason}{number}",
                      prev=at.mac)  # fmt: skip
        line, mac = line_of(entry, KEY)
        lines.append(line)
        at = Place(number, mac)
    return lines, at


def checked(data: bytes, head: Place | None = None) -> str | None:
    lines = data.splitlines(keepends=True)
    return check([(f"f:{i}", line) for i, line in enumerate(lines, 1)], KEY, head=head).broken


@pytest.fixture
def audit(tmp_path: Path) -> Audit:
    return Audit(tmp_path / "audit", build.SECRET)


def test_a_chain_as_it_was_written_is_whole() -> None:
    lines, last = chain(5)

    assert checked(b"".join(lines), last) is None


@given(position=st.integers(min_value=0), new=st.integers(0, 255))
def test_any_byte_changed_is_found(position: int, new: int) -> None:
    lines, last = chain(4)
    data = bytearray(b"".join(lines))
    at = position % len(data)
    if data[at] == new:
        new ^= 1
    data[at] = new

    broken = checked(bytes(data), last)

    assert broken == f"f:{b''.join(lines).count(NEWLINE, 0, at) + 1}"


@given(st.sets(st.integers(0, 5), min_size=1, max_size=6))
def test_any_lines_removed_are_found(gone: set[int]) -> None:
    lines, last = chain(6)

    left = b"".join(line for i, line in enumerate(lines) if i not in gone)

    assert checked(left, last) is not None


@given(st.permutations(range(5)))
def test_any_other_order_is_found(order: list[int]) -> None:
    lines, last = chain(5)

    broken = checked(b"".join(lines[i] for i in order), last)

    assert (broken is None) == (order == sorted(order))


@given(at=st.integers(0, 4), line=st.binary(max_size=40).map(lambda b: b.replace(b"\n", b"")))
def test_any_line_added_is_found(at: int, line: bytes) -> None:
    lines, last = chain(4)
    lines.insert(at, line + b"\n")

    assert checked(b"".join(lines), last) is not None


def test_a_line_that_is_repeated_is_found() -> None:
    lines, last = chain(3)

    assert checked(b"".join([*lines, lines[-1]]), last) == "f:4"


@pytest.mark.parametrize(("at", "where"), [(0, "f:2"), (1, "f:2"), (2, "f:3"), (3, "f:4")])
def test_a_line_of_another_history_is_found_though_the_same_secret_wrote_it(
    at: int, where: str
) -> None:
    lines, last = chain(4)
    others, _ = chain(4, reason="another ")
    lines[at] = others[at]

    assert checked(b"".join(lines), last) == where


def test_a_last_line_that_was_written_twice_is_the_one_the_head_names() -> None:
    lines, last = chain(4)
    _, before = chain(3)
    entry = Entry(n=4, at=build.NOW, action="note", reason="another", prev=before.mac)
    other, _ = line_of(entry, KEY)

    assert checked(b"".join([*lines[:3], other])) is None
    assert checked(b"".join([*lines[:3], other]), last) is not None


def test_nobody_without_the_secret_can_write_one(audit: Audit) -> None:
    audit.append(review(), via="cli")

    with pytest.raises(SourceError, match="another secret"):
        Audit(audit.path, b"another secret, also long").append(review(), via="cli")


def test_entries_say_what_was_decided_by_whom_and_where(audit: Audit) -> None:
    audit.append(review(), via="cli")
    audit.append(review(2, ruling=Ruling.RELEASE, account=None, campaign="c_0001"), via="dashboard")

    first, second = audit.entries()
    assert (first.n, first.action, first.account, first.by, first.via, first.reason) == (
        1, "ban", "acct_" + "a" * 16, "mia", "cli", "reason 1"
    )  # fmt: skip
    assert (second.n, second.campaign, second.via) == (2, "c_0001", "dashboard")
    found = audit.verify()
    assert (found.entries, found.broken) == (2, None)


@pytest.mark.parametrize(
    ("harm", "where"),
    [
        (lambda lines: lines[:-1], "audit:2, after it"),
        (lambda lines: lines[1:], "audit:1"),
        (lambda lines: [lines[1], lines[0], lines[2]], "audit:1"),
        (lambda lines: [lines[0], lines[1].replace(b"reason 2", b"reason 9"), lines[2]], "audit:2"),
        (lambda lines: [], "after it"),
    ],
)
def test_verify_names_the_first_line_that_is_not_as_it_was(
    audit: Audit, harm: Callable[[list[bytes]], list[bytes]], where: str
) -> None:
    for number in (1, 2, 3):
        audit.append(review(number), via="cli")
    lines = audit.path.read_bytes().splitlines(keepends=True)
    audit.path.write_bytes(b"".join(harm(lines)))

    found = audit.verify()

    assert found.broken is not None
    assert found.broken.endswith(where)
    assert found.why


def test_lines_cut_off_the_end_stop_the_next_decision(audit: Audit) -> None:
    audit.append(review(1), via="cli")
    audit.append(review(2), via="cli")
    lines = audit.path.read_bytes().splitlines(keepends=True)
    audit.path.write_bytes(lines[0])

    with pytest.raises(SourceError, match="audit verify"):
        audit.append(review(3), via="cli")


def test_without_the_note_of_the_last_line_a_cut_cannot_be_excluded(audit: Audit) -> None:
    audit.append(review(), via="cli")
    Path(f"{audit.path}.head").unlink()

    found = audit.verify()

    assert found.broken == f"{audit.path}.head"


def test_a_place_noted_elsewhere_finds_older_copies_of_all_files(audit: Audit) -> None:
    audit.append(review(1), via="cli")
    old = {p: p.read_bytes() for p in (audit.path, Path(f"{audit.path}.head"))}
    audit.append(review(2), via="cli")
    noted = Place.parse(str(audit.verify().last))
    for path, data in old.items():
        path.write_bytes(data)

    assert audit.verify().broken is None
    assert audit.verify(expected=noted).broken is not None


def test_a_file_moved_away_is_continued(audit: Audit) -> None:
    audit.append(review(1), via="cli")
    audit.path.rename(f"{audit.path}.2")
    audit.append(review(2), via="cli")
    audit.path.rename(f"{audit.path}.1")
    audit.append(review(3), via="cli")

    found = audit.verify()

    assert (found.entries, found.broken) == (3, None)
    assert [entry.n for entry in audit.entries()] == [1, 2, 3]


def test_a_file_that_was_moved_away_and_is_gone_is_missed(audit: Audit, tmp_path: Path) -> None:
    audit.append(review(1), via="cli")
    away = tmp_path / "elsewhere"
    audit.path.rename(away)
    audit.append(review(2), via="cli")

    found = audit.verify()

    assert found.broken == f"{audit.path}:1"
    assert audit.verify(files=[audit.path, away]).broken is None


def test_a_file_that_was_removed_whole_is_missed_by_its_note_or_a_place_noted_elsewhere(
    audit: Audit,
) -> None:
    audit.append(review(1), via="cli")
    last = audit.verify().last
    audit.path.unlink()
    gone = audit.verify()
    Path(f"{audit.path}.head").unlink()
    by_place = audit.verify(expected=last)

    for found in (gone, by_place):
        assert found.broken == str(audit.path)
        assert found.why.startswith("it is gone: entries 1 to 1 were written")
    with pytest.raises(SourceError, match="it is made by the first decision"):
        audit.verify()


def test_what_a_dying_writer_left_does_not_break_the_chain(audit: Audit) -> None:
    audit.append(review(1), via="cli")
    with audit.path.open("ab") as file:
        file.write(b'{"n":2,"at":17')

    before = audit.verify()
    audit.append(review(2), via="cli")

    assert before.broken == f"{audit.path}:2"
    assert audit.verify().broken is None
    torn = audit.path.read_bytes().replace(b'"at":17\n', b'"at":18\n')
    audit.path.write_bytes(torn)
    assert audit.verify().broken == f"{audit.path}:2"


def test_a_writer_that_died_before_it_noted_its_line_is_no_trouble(audit: Audit) -> None:
    audit.append(review(1), via="cli")
    head = Path(f"{audit.path}.head").read_bytes()
    audit.append(review(2), via="cli")
    Path(f"{audit.path}.head").write_bytes(head)

    assert audit.verify().broken is None
    assert audit.append(review(3), via="cli").n == 3
    assert audit.verify().entries == 3


@pytest.mark.parametrize("written", [0, 2])
@pytest.mark.parametrize("room", [0, 100, 350])
def test_what_a_full_disk_refused_was_never_decided(
    audit: Audit, monkeypatch: pytest.MonkeyPatch, written: int, room: int
) -> None:
    for number in range(written):
        audit.append(review(number), via="cli")
    left, write = [room], os.write  # for nothing, for part of the line, for the line but no note

    def filling(handle: int, data: bytes) -> int:
        part = bytes(data)[: left[0]]
        if not part:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        left[0] -= len(part)
        return write(handle, part)

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", filling)
        with pytest.raises(SourceError, match=r"No space left.*Make room"):
            audit.append(review(8, reason="r" * 20), via="cli")
    begun, entries = audit.begun(), len(list(audit.entries()))
    found = audit.verify() if written else None
    audit.append(review(9), via="cli")

    assert (begun, entries) == (written > 0, written)
    assert found is None or (found.entries, found.broken) == (written, None)
    assert [entry.reason for entry in audit.entries()][written:] == ["reason 9"]
    assert audit.verify().broken is None


def test_a_note_that_is_there_though_the_disk_complained_counts(
    audit: Audit, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync, folder = os.fsync, audit.path.parent.stat().st_ino

    def failing(handle: int) -> None:
        if os.fstat(handle).st_ino == folder:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        sync(handle)

    monkeypatch.setattr(os, "fsync", failing)
    entry = audit.append(review(1), via="cli")

    assert (entry.n, audit.verify().entries, audit.verify().broken) == (1, 1, None)


def test_several_writers_make_one_chain(audit: Audit) -> None:
    def write(number: int) -> None:
        Audit(audit.path, build.SECRET).append(review(number), via="cli")

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(write, range(24)))

    found = audit.verify()
    assert (found.entries, found.broken) == (24, None)


def test_it_is_readable_by_its_owner_only(audit: Audit) -> None:
    audit.append(review(), via="cli")

    modes = {path.stat().st_mode & 0o777 for path in audit.path.parent.iterdir()}
    assert modes == {0o600}


def test_a_file_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="nothing was changed"):
        Audit(tmp_path / "nowhere" / "audit", build.SECRET).append(review(), via="cli")


def test_it_lies_where_the_settings_say_or_beside_the_campaigns() -> None:
    settings = Settings(secret=build.SECRET, audit_file="/here/audit")

    assert Audit.configured(settings).path == Path("/here/audit")
    assert Audit.configured(Settings(secret=build.SECRET), "/c").path == Path("/c.audit")
    with pytest.raises(SettingsError, match="GATEWAY_GUARD_AUDIT_FILE"):
        Audit.configured(Settings(secret=build.SECRET))
    with pytest.raises(SettingsError, match="GATEWAY_GUARD_SECRET"):
        Audit.configured(msgspec.structs.replace(settings, secret_lasts=False))


def test_an_entry_that_nobody_could_read_again_is_refused_and_the_chain_goes_on(
    audit: Audit,
) -> None:
    audit.append(review(), via="cli")

    with pytest.raises(SourceError, match="nothing was changed"):
        audit.append(review(reason="x" * 40_000), via="cli")

    assert audit.append(review(2), via="cli").n == 2
    assert audit.verify().broken is None
