"""A policy that changes while it is in force: atomic, last good kept."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gateway_guard.errors import PolicyError
from gateway_guard.policy.source import PolicySource
from tests import build

GOOD = "version: 1\nmode: shadow\n"
BETTER = "version: 1\nmode: enforce\n"
BAD = "version: 1\nmoed: enforce\n"


def noticed(source: PolicySource) -> bool:
    """What the second look after a change says; the first one only finds new content."""
    assert not source.changed()
    return source.changed()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "policy.yaml"
    file.write_text(GOOD)
    return file


def test_a_policy_that_does_not_load_at_first_is_an_error(path: Path) -> None:
    path.write_text(BAD)

    with pytest.raises(PolicyError, match="did you mean 'mode'"):
        PolicySource(path)


def test_an_untouched_file_has_not_changed(path: Path) -> None:
    source = PolicySource(path)

    assert [source.changed() for _ in range(3)] == [False, False, False]


def test_a_changed_file_is_seen_and_loaded(path: Path) -> None:
    source = PolicySource(path)
    before = source.current
    path.write_text(BETTER)

    seen = noticed(source)
    good = source.reload()

    assert (seen, good) == (True, True)
    assert source.current is not before
    assert source.current.enforce
    assert source.error is None
    assert not source.changed()


def test_a_touched_file_with_the_same_content_has_not_changed(path: Path) -> None:
    source = PolicySource(path)
    os.utime(path, ns=(1, 1))

    assert not source.changed()


def test_a_change_that_keeps_size_and_times_is_seen_right_after_loading(path: Path) -> None:
    source = PolicySource(path)
    stat = path.stat()
    path.write_text("version: 1\nmode: shadoW\n")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))

    assert noticed(source)


def test_a_bad_change_keeps_the_last_good_policy(path: Path) -> None:
    source = PolicySource(path)
    before = source.current
    path.write_text(BAD)

    good = source.reload()

    assert not good
    assert source.current is before
    assert source.error is not None
    assert "GG201" in str(source.error)


def test_a_bad_change_is_not_tried_again_until_it_changes(path: Path) -> None:
    source = PolicySource(path)
    path.write_text(BAD)
    source.reload()

    again = source.changed(), source.changed()
    path.write_text(BETTER)

    assert again == (False, False)
    assert noticed(source)
    assert source.reload()
    assert source.error is None


def test_a_file_that_vanishes_keeps_the_last_good_policy(path: Path) -> None:
    source = PolicySource(path)
    before = source.current
    path.unlink()

    seen, good = noticed(source), source.reload()

    assert (seen, good) == (True, False)
    assert source.current is before
    assert "GG101" in str(source.error)


def test_a_file_replaced_by_rename_is_seen(path: Path, tmp_path: Path) -> None:
    source = PolicySource(path)
    other = tmp_path / "other.yaml"
    other.write_text(BETTER)
    other.replace(path)

    assert noticed(source)


def test_a_file_caught_while_it_is_written_is_left_alone_until_it_rests(path: Path) -> None:
    source = PolicySource(path)
    whole = BETTER + "limits: { requests: { per: account, requests: 60/minute } }\n"
    looks = []
    for length in range(0, len(whole) + 1, 20):
        path.write_text(whole[:length])
        looks.append(source.changed())
    path.write_text(whole)

    after = source.changed(), source.changed()
    source.reload()

    assert not any(looks)
    assert after == (False, True)
    assert len(source.current.limits) == 1
    assert not source.changed()


def test_a_mounted_config_map_that_moves_on_is_seen(tmp_path: Path) -> None:
    for version, text in (("..v1", GOOD), ("..v2", BETTER)):
        (tmp_path / version).mkdir()
        (tmp_path / version / "policy.yaml").write_text(text)
    (tmp_path / "..data").symlink_to("..v1")
    (tmp_path / "policy.yaml").symlink_to("..data/policy.yaml")
    source = PolicySource(tmp_path / "policy.yaml")
    (tmp_path / "..next").symlink_to("..v2")
    (tmp_path / "..next").replace(tmp_path / "..data")

    seen, good = noticed(source), source.reload()

    assert (seen, good) == (True, True)
    assert source.current.enforce


def test_a_directory_in_its_place_keeps_the_last_good_policy(path: Path) -> None:
    source = PolicySource(path)
    before = source.current
    path.unlink()
    path.mkdir()

    seen, good = noticed(source), source.reload()

    assert (seen, good) == (True, False)
    assert source.current is before


def test_twenty_bad_reloads_leave_the_good_one(path: Path) -> None:
    source = PolicySource(path)
    before = source.current

    for bad in (Path(__file__).parent.parent / "golden" / "policy").glob("GG20*.yaml"):
        path.write_bytes(bad.read_bytes())
        assert not source.reload()

    assert source.current is before


def test_the_digest_follows_the_content(path: Path) -> None:
    source = PolicySource(path)
    first = source.current.digest
    path.write_text(GOOD + "# a comment\n")
    source.reload()

    assert source.current.digest != first
    assert len(first) == 12


def test_a_fixed_policy_never_changes() -> None:
    policy = build.policy("mode: enforce\n")

    source = PolicySource.fixed(policy)

    assert source.current is policy
    assert not source.changed()
    assert source.reload()


REFUSING = "version: 1\nmode: enforce\nrules: [{ name: all, then: deny }]\n"


def test_what_check_warns_of_is_in_the_log_when_the_policy_comes_into_force(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path.write_text(REFUSING)
    source = PolicySource(path)
    source.warn()
    path.write_text(GOOD)
    source.reload()
    path.write_text(REFUSING + "# again\n")
    source.reload()

    said = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(said) == 2
    assert all(f"{path}:3:17: GG308: every request is refused" in message for message in said)
