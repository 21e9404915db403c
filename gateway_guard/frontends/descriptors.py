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


def room(connections: int, *, sides: int) -> int:
    """`connections`, >= 1, or as many as this process has descriptors for.

    The soft limit is raised to what they need, at most to the hard one; where that is less, a
    warning says so. `sides` is how many descriptors one takes: 2 where it is forwarded.
    """
    needed = RESERVE + sides * connections
    limit, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY or limit >= needed:
        return connections
    wanted = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError):  # a kernel or a sandbox that allows less than it says
        wanted = limit
    if wanted >= needed:
        return connections
    # With next to none, half of them are for connections all the same.
    fits = max((wanted - min(RESERVE, wanted // 2)) // sides, 1)
    log.warning(
        "open-files limit=%s: room for %s connections, not for the %s of --max-connections: raise "
        "it to %s (LimitNOFILE, ulimit -n), or lower --max-connections",
        wanted, fits, connections, needed,
    )  # fmt: skip
    return fits
