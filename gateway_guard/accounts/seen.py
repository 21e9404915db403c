"""What the processes of one guard tell each other of accounts: whether there were any."""

from __future__ import annotations

import mmap


class Seen:
    """Whether any process has read an account. To be made before the processes are forked, which
    share its memory.
    """

    def __init__(self) -> None:
        self._byte = mmap.mmap(-1, 1)

    def __bool__(self) -> bool:
        return self._byte[0] != 0

    def mark(self) -> None:
        """This process has read one."""
        self._byte[0] = 1
