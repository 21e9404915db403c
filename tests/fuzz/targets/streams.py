"""Messages between guards: refused by name, or within their bounds, and the same when packed
again; keys and values of the shared store are listed whole or not at all."""

from __future__ import annotations

import contextlib
from typing import Final

from gateway_guard.core.minted import ClientSecret
from gateway_guard.errors import StoreError
from gateway_guard.stores.answers import MEANINGS, code_of, refused
from gateway_guard.stores.layout import buckets_in
from gateway_guard.streams import wire
from gateway_guard.streams.disguise import Disguise
from gateway_guard.streams.keys import fingerprint, order
from gateway_guard.streams.wire import BATCH, Refusal
from tests.campaigns import ring
from tests.fuzz.taken import Taken

_SECRET: Final = b"0123456789abcdef"
KEY: Final = fingerprint(_SECRET)
_DISGUISE: Final = Disguise(_SECRET)
_PACKED: Final = wire.pack_batch(
    KEY, b"guard001", 0, [ring.member(1), ring.bystander(2)], _DISGUISE
)
_MADE: Final = wire.pack_minted(KEY, ClientSecret("acct_a", "acct_b", 1e9))
_TOLD: Final = wire.pack_changes(KEY, 1, b"1-0", [("acct_a", None)])
WORDS = (
    _PACKED, _TOLD, _MADE, wire.pack_reload(KEY),
    b"\x93\x01\xc4\x08" + KEY, b"\x93\x02\xc4\x08" + KEY,
    b"\x92", b"\xa6review", b"\xa6reload", b"\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00",
    b"\xcf" + b"\xff" * 8, b"\xd3\x80" + bytes(7), b"\xdd\xff\xff\xff\xff", b"\x91" * 1200,
    b"\xc0", b"1-0", b"-", b"NOAUTH ", b"OOM", b"MOVED 1 a:1", b"ERR ",
    b"\x92\xa1c\xcb?\xe0\x00\x00\x00\x00\x00\x00",
)  # fmt: skip
_WHY: Final = ("malformed", "version", "secret")


def target(data: bytes) -> None:
    """Where and how much of a sound message to replace, then bytes."""
    taken = Taken(data)
    at, much = taken.number(2), taken.byte()
    rest = taken.rest()

    spot = at % (len(_PACKED) + 1)
    for message in (rest, data, _PACKED[:spot] + rest + _PACKED[spot + much :]):
        _message(message)
    buckets = buckets_in(rest)
    assert not buckets or sum(size for _, size in buckets) == len(rest)
    text = rest.decode("utf-8", "replace")
    assert code_of(ValueError(text)) in (*MEANINGS, "ERR")
    error = refused(ValueError(text), "here")
    assert isinstance(error, StoreError)
    assert len(str(error)) <= 300
    with contextlib.suppress(ValueError):
        assert len(order(rest)) == 2


def _message(message: bytes) -> None:
    try:
        batch = wire.read_batch(message, KEY)
        assert 1 <= len(batch.sightings) <= BATCH
        sound = [seen for seen in batch.sightings if wire.plausible(seen)]
        assert all(0.0 <= seen.at <= 1e11 for seen in sound)
        if sound:
            packed = wire.pack_batch(KEY, batch.guard, batch.first, sound, _DISGUISE)
            assert len(wire.read_batch(packed, KEY).sightings) == len(sound)
    except Refusal as refusal:
        assert refusal.why in _WHY  # noqa: PT017 - what is raised is the subject
    try:
        changes = wire.read_changes(message, KEY)
        assert all(0.0 <= sure <= 1.0 for _, _, sure in changes.accounts)
    except Refusal as refusal:
        assert refusal.why in _WHY  # noqa: PT017
    try:
        told = wire.read_order(message, KEY)
        assert told.kind in ("review", "reload")
    except Refusal as refusal:
        assert refusal.why in _WHY  # noqa: PT017
    try:
        made = wire.read_minted(message, KEY)
        assert 0.0 <= made.until <= 1e11
        assert wire.read_minted(wire.pack_minted(KEY, made), KEY) == made
    except Refusal as refusal:
        assert refusal.why in _WHY  # noqa: PT017
    beat = wire.read_beat(message)
    assert beat is None or wire.read_beat(wire.pack_beat(beat)) == beat
    table = wire.read_table({message[:9]: message, b"acct_x": message})
    assert all(0.0 <= facts.confidence <= 1.0 for facts in table.values())
