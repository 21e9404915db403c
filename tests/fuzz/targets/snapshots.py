"""A snapshot of the linker with any byte changed is refused, and rows that a guard with the secret
never wrote fail as `SnapshotError`; sealed blocks come back as they were."""

from __future__ import annotations

import contextlib
import struct
from functools import cache

from gateway_guard.campaigns.linker import Linker
from gateway_guard.campaigns.rows import encode
from gateway_guard.campaigns.sealed import seal, unseal
from gateway_guard.campaigns.snapshot import freeze, thaw
from gateway_guard.errors import SnapshotError
from gateway_guard.streams.learning import position_of
from tests.campaigns import ring
from tests.fuzz.taken import Taken, cut

WORDS = (
    b"GGCAMPS\n", b"\x00\x01", b"\x92\xa6traces\x90", b"\x92\xa6claims\x91\x93",
    b"\x92\xa4webs\x90", b"\x92\xa4held\x91", b"\x92\xa4told\x91", b"\x92\xa8rulings\x91",
    b"\x92\xa9acquitted\x91", b"\xc7\x08\x01", b"\xd7\x01", b"\xd4\x02\x01", b"\xd4\x07\x01",
    b"\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00", b"\xcf" + b"\xff" * 8, b"\xdd\xff\xff\xff\xff",
    b"\xdb\xff\xff\xff\xff", b"\x91" * 60, b"\xc0", b"\x80", b"\xa0", b"subnets", b"shared",
)  # fmt: skip
_SECRET = b"0123456789abcdef"


@cache
def frozen() -> tuple[bytes, list[bytes]]:
    """A small linker, and the blocks it is saved as."""
    linker = Linker()
    for seen in ring.stream(members=3, exchanges=2):
        linker.learn(seen)
    data = freeze(linker, _SECRET, saved_at=1e9)
    return data, [bytes(block) for block in unseal(data, _SECRET)]


def refused(data: bytes) -> bool:
    """Whether a snapshot is refused, as it should be."""
    try:
        thaw(data, _SECRET)
    except SnapshotError as error:
        return bool(str(error))
    return False


def target(data: bytes) -> None:
    """Where to change the file, which block to replace and how, then bytes."""
    taken = Taken(data)
    at, byte, number, how = taken.number(2), taken.byte(), taken.byte(), taken.byte()
    rest = taken.rest()
    whole, blocks = frozen()

    spot = at % len(whole)
    changed = whole[:spot] + bytes((byte,)) + whole[spot + 1 :]
    assert changed == whole or refused(changed)
    assert refused(rest)
    assert refused(whole[:spot])
    assert refused(whole + b"\0")
    # Sealed rightly, with something else in it: another version's, perhaps.
    chosen = number % len(blocks)
    block = blocks[chosen]
    inner = at % (len(block) + 1)
    put = (rest, block[:inner] + rest + block[inner + len(rest) :], encode(["told", [rest]]))[
        how % 3
    ]
    with contextlib.suppress(SnapshotError):
        thaw(seal([*blocks[:chosen], put, *blocks[chosen + 1 :]], _SECRET), _SECRET)
    pieces = cut(rest, bytes((byte, number, how)))
    assert [bytes(one) for one in unseal(seal(pieces, _SECRET), _SECRET)] == pieces
    broken = seal([rest], _SECRET) + struct.pack(">I", byte)
    assert refused(broken)
    position_of(rest)
