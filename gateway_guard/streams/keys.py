"""What the streams are called, how much of them is kept, and for how long.

    gg:{campaigns}:sightings   stream: what guards saw, in batches
    gg:{campaigns}:verdicts    stream: what the linker made of it; only changes
    gg:{campaigns}:reviews     stream: what people decided, and calls to reload
    gg:{campaigns}:table       every verdict in force, by account, for whoever comes late
    gg:{campaigns}:told        up to where in the two streams above the table is true
    gg:{campaigns}:lease       who learns now; gone when it stops saying so
    gg:{campaigns}:lead        the number of whoever learnt last, and the secret's fingerprint
    gg:{campaigns}:dedicated   there while a `gateway-guard linker` runs: sidecars stand back
    gg:{campaigns}:guards      who is there, with which policy
    gg:{campaigns}:snapshot    which pieces make up the latest snapshot of the linker
    gg:{campaigns}:s:…         its pieces
    gg:{campaigns}:verified    accounts that met a challenge, by when that ends
    gg:{campaigns}:challenged  accounts that were asked to, by when that was
    gg:{campaigns}:l:…         a verification link that was used
    gg:{campaigns}:v:…         the accounts that one subject verified, by when that ends
    gg:{campaigns}:minted      stream: client secrets that accounts had made

All lie in one slot of a Cluster, because scripts change several of them in one step. All have a
time to live, and what grows has a bound.
"""

from __future__ import annotations

import hashlib
from typing import Final

from gateway_guard.core.credentials import subkey
from gateway_guard.stores.layout import check_namespace

#: Entries kept of each stream, roughly: the server trims whole nodes of a hundred. An entry of
#: sightings is a batch of 1 to 100, some 250 bytes each; once they are in a snapshot they go.
SIGHTINGS_KEPT: Final = 10_000
VERDICTS_KEPT: Final = 10_000
REVIEWS_KEPT: Final = 10_000

#: Seconds that what was learnt outlives the last sign of anybody who keeps it.
LASTS: Final = 7 * 86_400
#: The same of the number of the linker: it begins anew at the time of day, which is larger.
LEAD_LASTS: Final = 3_600
#: Most accounts of each of the two tables of verification, and seconds they last untouched: longer
#: than a policy lets an account stay verified.
STANDING_KEPT: Final = 100_000
STANDING_LASTS: Final = 400 * 86_400


class Keys:
    """The names in one namespace.

    Raises:
        SettingsError: the namespace has characters it cannot have.
    """

    def __init__(self, namespace: str) -> None:
        prefix = check_namespace(namespace).encode() + b":{campaigns}:"
        self.sightings = prefix + b"sightings"
        self.verdicts = prefix + b"verdicts"
        self.reviews = prefix + b"reviews"
        self.table = prefix + b"table"
        self.told = prefix + b"told"
        self.lease = prefix + b"lease"
        self.lead = prefix + b"lead"
        self.dedicated = prefix + b"dedicated"
        self.guards = prefix + b"guards"
        self.snapshot = prefix + b"snapshot"
        self.piece = prefix + b"s:"
        self.verified = prefix + b"verified"
        self.challenged = prefix + b"challenged"
        self.link = prefix + b"l:"
        self.subject = prefix + b"v:"
        self.minted = prefix + b"minted"


def fingerprint(secret: bytes) -> bytes:
    """8 bytes that tell one guard's secret from another's, and nothing else about it."""
    return hashlib.blake2b(key=subkey(secret, b"streams id"), digest_size=8).digest()


def order(id: bytes) -> tuple[int, int]:
    """An entry's id as it compares: milliseconds, number.

    Raises:
        ValueError: it is no id.
    """
    milliseconds, _, number = id.partition(b"-")
    return int(milliseconds), int(number)
