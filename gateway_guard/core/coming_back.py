"""When those who were turned away may come again: not all at once, and not too soon. Pure."""

from __future__ import annotations

import zlib
from typing import Final

#: Seconds after which those turned away may come back, spread so that they do not all do at once:
#: while next to everybody is taken. Not measured.
SOONEST: Final = 1
LATEST: Final = 3
#: Longest of them, however few are taken. Vendors' SDKs keep to a wait of up to a minute, beyond
#: that older releases come back after half a second.
LONGEST: Final = 60


def come_back(id: str, share: float = 1.0) -> float:
    """Whole seconds until the request `id` should be tried again, in [`SOONEST`, `LONGEST`].

    They are the more the smaller the `share`, in [0, 1], of requests that is taken. Otherwise those
    who come back after a pause are more than there is time even to turn away, next to nobody is
    served, and it never ends: at half of what the sidecar could do, with clients that all kept to
    1 to 3 s, 3 s without the process left a tenth of them served a quarter of a minute later.
    """
    return _spread(id, 1.0 / share if share > 0.0 else LONGEST)


def come_back_after(id: str, outage: float) -> float:
    """As `come_back`, where nobody is taken, for want of something away for `outage` seconds, >= 0.

    At most as long again as it has been away: a short outage is over soon for everybody, and in a
    long one clients by the thousand do not ask each second. When it returns nobody knows.
    """
    return _spread(id, max(1.0, outage / LATEST))


def _spread(id: str, scale: float) -> float:
    scale = min(scale, LONGEST / LATEST)
    soonest, latest = round(SOONEST * scale), round(LATEST * scale)
    return float(soonest + zlib.crc32(id.encode()) % (latest - soonest + 1))
