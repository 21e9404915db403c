"""How many connections there may be at once: what was asked for, as far as the system has room.

Each takes a descriptor, and a forwarded one another to the upstream. A process that has none left
resets whoever connects, its own probes included, and no log and no metric tells of it: libuv takes
such connections off the queue and closes them. So the limit is raised as far as it may be, and no
more connections are taken than fit in.
"""

from __future__ import annotations

import logging
import resource
from typing import Final

log = logging.getLogger(__name__)

#: Descriptors kept for everything else: 36 of a sidecar at rest; logs and databases read anew, the
#: shared store, the probes and people on the admin port.
RESERVE: Final = 128
#: Where they are scarce: ten of nineteen are for clients. Idle ones take none to the upstream, and
#: beyond nine in ten a request is told that all connections there are busy.
_OF_CLIENTS: Final = 10
_OF_BOTH: Final = 19


def room(connections: int, *, forwards: bool) -> tuple[int, int]:
    """How many connections there may be from clients, and how many to the upstream where requests
    are forwarded: `connections`, >= 1, of each, or as many as this process has descriptors for.

    The soft limit is raised to what they need, at most to the hard one. Where that is less, one
    client in ten is taken to be idle; where it is less than that, a warning says so.
    """
    needed = RESERVE + (2 if forwards else 1) * connections
    limit, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY or limit >= needed:
        return connections, connections
    wanted = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError):  # a kernel or a sandbox that allows less than it says
        wanted = limit
    if wanted >= needed:
        return connections, connections
    # With next to none, half of them are for connections all the same.
    left = wanted - min(RESERVE, wanted // 2)
    clients = max(min(connections, left * _OF_CLIENTS // _OF_BOTH if forwards else left), 1)
    if clients < connections:
        log.warning(
            "open-files limit=%s: room for %s connections, not for the %s of --max-connections: "
            "raise it to %s (LimitNOFILE, ulimit -n), or lower --max-connections",
            wanted, clients, connections, needed,
        )  # fmt: skip
    return clients, max(left - clients, 1)
