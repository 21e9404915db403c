"""Files are replaced whole; what is no file is written to and stays what it is."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from gateway_guard.files import Files, write_whole


def test_a_file_has_changed_once_it_rests_whatever_becomes_of_others(tmp_path: Path) -> None:
    busy, still = tmp_path / "busy", tmp_path / "still"
    files = Files([busy, still])
    looks = []

    still.write_bytes(b"new")
    for size in range(4):
        busy.write_bytes(bytes(size))
        looks.append(files.changed())
    looks += [files.changed(), files.changed()]

    assert looks == [False, True, False, False, True, False]


def test_a_file_that_came_and_went_has_not_changed(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    files = Files([path])

    path.write_bytes(b"")
    before = files.changed()
    path.unlink()

    assert [before, files.changed(), files.changed()] == [False, False, False]


def test_a_file_has_changed_when_it_can_be_read_at_last_or_keeps_its_times(tmp_path: Path) -> None:
    """What `chmod` and copies that preserve times leave as it was, but for the inode's own time."""
    path = tmp_path / "accounts.csv"
    path.write_bytes(b"old")
    kept = path.stat()
    files = Files([path])
    looks = []

    path.chmod(0o600 if kept.st_mode & 0o077 else 0o644)
    looks += [files.changed(), files.changed()]
    path.write_bytes(b"new")
    os.utime(path, ns=(kept.st_atime_ns, kept.st_mtime_ns))
    looks += [files.changed(), files.changed()]

    assert looks == [False, True, False, True]


def test_a_folder_has_changed_once_the_databases_in_it_rest(tmp_path: Path) -> None:
    files = Files([tmp_path])
    looks = []

    for size in range(1, 4):
        # Written in place: the folder itself stays as it is from the second piece on.
        (tmp_path / "tor.mmdb").write_bytes(bytes(size))
        looks.append(files.changed())
    looks += [files.changed(), files.changed()]

    assert looks == [False, False, False, True, False]


def test_a_new_file_is_its_owners_only(tmp_path: Path) -> None:
    path = tmp_path / "snapshot"

    write_whole(path, b"new")

    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["snapshot"]


@pytest.mark.parametrize("laid", ["link", "dangling", "file"])
def test_what_somebody_laid_beside_it_gets_none_of_the_content(laid: str, tmp_path: Path) -> None:
    path, beside, elsewhere = tmp_path / "file", tmp_path / ".file.new", tmp_path / "elsewhere"
    if laid == "file":
        beside.write_bytes(b"")
        beside.chmod(0o666)
    else:
        beside.symlink_to(elsewhere)
    if laid == "link":
        elsewhere.write_bytes(b"theirs")

    write_whole(path, b"secret")

    assert path.read_bytes() == b"secret"
    assert not path.is_symlink()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert elsewhere.exists() == (laid == "link")
    assert laid != "link" or elsewhere.read_bytes() == b"theirs"


def test_a_link_stays_and_leads_to_the_new_content(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    real, link = tmp_path / "disk" / "snapshot", tmp_path / "snapshot"
    real.write_bytes(b"old")
    link.symlink_to(real)

    write_whole(link, b"new")

    assert link.is_symlink()
    assert real.read_bytes() == b"new"


def test_a_link_that_leads_nowhere_yet_leads_to_the_content(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    link.symlink_to(real)

    write_whole(link, b"new")

    assert link.is_symlink()
    assert real.read_bytes() == b"new"


def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    heard: list[bytes] = []
    reader = threading.Thread(target=lambda: heard.append(pipe.read_bytes()))
    reader.start()

    write_whole(pipe, b"x" * 200_000)

    reader.join(10)
    assert heard == [b"x" * 200_000]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root could lose a device")
def test_a_device_stays_one(tmp_path: Path) -> None:
    nowhere = tmp_path / "null"
    try:
        os.mknod(nowhere, stat.S_IFCHR | 0o666, os.makedev(1, 3))
        nowhere.write_bytes(b"")
    except PermissionError:
        pytest.skip("devices cannot be made here")

    write_whole(nowhere, b"new")

    assert stat.S_ISCHR(nowhere.stat().st_mode)


def test_a_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        write_whole(tmp_path, b"new")
