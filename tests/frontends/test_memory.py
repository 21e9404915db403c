"""What unfinished bodies may take where a container has little memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway_guard.frontends.holding import MOST
from gateway_guard.frontends.memory import for_bodies

MIB = 1024 * 1024
UNIT = "0::/system.slice/gateway-guard.service\n"
OLD = "4:memory:/docker/abc\n3:cpuset:/\n0::/\n"


@pytest.mark.parametrize(
    ("groups", "files", "workers", "most"),
    [
        # As in a container of 512 MiB, by either version of control groups.
        ("0::/\n", {"memory.max": "536870912\n"}, 1, 128 * MIB),
        ("0::/\n", {"memory.max": "536870912\n"}, 4, 32 * MIB),
        ("0::/\n", {"memory.max": "536870912\n"}, 64, 16 * MIB),
        (OLD, {"memory/memory.limit_in_bytes": "536870912\n"}, 1, 128 * MIB),
        (OLD, {"memory/docker/abc/memory.limit_in_bytes": "268435456"}, 1, 64 * MIB),
        # A unit of systemd, and the slice around it that has less.
        (UNIT, {"system.slice/gateway-guard.service/memory.max": "268435456"}, 1, 64 * MIB),
        (UNIT, {"system.slice/gateway-guard.service/memory.max": "max\n",
                "system.slice/memory.max": "134217728"}, 1, 32 * MIB),
        # Nobody said, or it is more than is needed.
        ("0::/\n", {"memory.max": "max\n"}, 1, MOST),
        ("0::/\n", {"memory.max": "68719476736"}, 1, MOST),
        (OLD, {"memory/memory.limit_in_bytes": "9223372036854771712"}, 1, MOST),
        ("0::/\n", {}, 1, MOST),
        ("", {}, 1, MOST),
        ("nonsense\n0::/../../etc\n", {}, 1, MOST),
    ],
)  # fmt: skip
def test_bodies_leave_room_for_everything_else(
    tmp_path: Path, groups: str, files: dict[str, str], workers: int, most: int
) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text(groups)
    for name, text in files.items():
        path = tmp_path / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    assert for_bodies(workers, root=tmp_path) == most


def test_where_there_are_no_control_groups_there_is_no_limit(tmp_path: Path) -> None:
    assert for_bodies(root=tmp_path) == MOST
