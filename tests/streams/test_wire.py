"""What travels in the streams: it comes back as it was, and says nothing in plain words."""

from __future__ import annotations

import math
from typing import Any, Final

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.campaigns.digests import sighting_of
from gateway_guard.campaigns.reviews import Review, Ruling
from gateway_guard.campaigns.sighting import MOST_KEYS, Sighting
from gateway_guard.linking import address_key
from gateway_guard.streams import wire
from gateway_guard.streams.disguise import Disguise
from gateway_guard.streams.keys import fingerprint
from gateway_guard.streams.wire import Refusal, pack_batch, read_batch
from gateway_guard.types import CampaignFacts
from tests import build
from tests.campaigns import ring

KEY = fingerprint(build.SECRET)
DISGUISE = Disguise(build.SECRET)
GUARD = b"guard001"

_words = st.none() | st.text(max_size=40)
_digests = st.integers(0, 2**64 - 1)
_times = st.floats(0.0, 1e11)
sightings = st.builds(
    Sighting,
    at=_times,
    account=st.text(min_size=1, max_size=64),
    organisation=_words,
    payment=_words,
    created_at=st.none() | st.floats(-1e11, 1e11),
    verified=st.none() | st.booleans(),
    address=_digests,
    subnet=_digests,
    country=_words,
    asn=st.none() | st.integers(0, 2**32 - 1),
    flags=st.frozensets(st.sampled_from(["hosting", "tor", "vpn"])),
    declared=_words,
    client=_digests,
    model=_words,
    keys=st.lists(_digests, max_size=MOST_KEYS).map(tuple),
    chars=st.integers(0, 2**40),
    tokens=st.integers(0, 2**40),
    refused=st.booleans(),
)


def fields(seen: Sighting) -> dict[str, Any]:
    return {name: getattr(seen, name) for name in Sighting.__struct_fields__}


def disguised(seen: Sighting) -> Sighting:
    organisation, payment = DISGUISE(seen)
    return msgspec.structs.replace(seen, organisation=organisation, payment=payment)


def refusal(data: bytes, key: bytes = KEY) -> str:
    with pytest.raises(Refusal) as caught:
        read_batch(data, key)
    return caught.value.why


@given(st.lists(sightings, min_size=1, max_size=5), st.integers(0, 2**53))
def test_a_batch_comes_back_as_it_was(seen: list[Sighting], first: int) -> None:
    batch = read_batch(pack_batch(KEY, GUARD, first, seen, DISGUISE), KEY)

    assert (batch.guard, batch.first) == (GUARD, first)
    assert [fields(row) for row in batch.sightings] == [fields(disguised(one)) for one in seen]


def test_every_field_of_a_sighting_travels_but_the_text() -> None:
    assert (*wire._FIELDS, "sample") == Sighting.__struct_fields__


def test_neither_address_nor_key_nor_prompt_travel() -> None:
    exchange = build.exchange(
        request=build.request(
            client_ip="203.0.113.77",
            subnet="203.0.113.0/24",
            prompt=build.prompt(sample="a very secret question"),
        ),
        facts=build.facts(account=build.account(organisation="Acme Ltd", payment="4111-1111")),
    )
    seen = sighting_of(exchange, address_key(build.SECRET))
    assert seen is not None

    data = pack_batch(KEY, GUARD, 0, [seen], DISGUISE)

    assert b"secret question" not in data
    assert b"203.0.113" not in data
    assert b"Acme" not in data
    assert b"4111" not in data
    assert build.SECRET not in data
    assert read_batch(data, KEY).sightings[0].sample is None


@given(st.binary(max_size=200))
def test_bytes_that_are_no_batch_are_refused_and_never_raise_anything_else(data: bytes) -> None:
    for read in (wire.read_batch, wire.read_changes, wire.read_order, wire.read_minted):
        with pytest.raises(Refusal):
            read(data, KEY)
    assert wire.read_beat(data) is None or isinstance(wire.read_beat(data), wire.Beat)


@given(st.data())
def test_a_batch_with_one_byte_changed_is_a_batch_or_refused(data: st.DataObject) -> None:
    good = bytearray(pack_batch(KEY, GUARD, 7, [ring.member(1), ring.member(2)], DISGUISE))
    good[data.draw(st.integers(0, len(good) - 1))] ^= data.draw(st.integers(1, 255))

    try:
        batch = read_batch(bytes(good), KEY)
    except Refusal:
        return
    assert all(isinstance(row, Sighting) for row in batch.sightings)


#: Messages as guards write and read them since 2026-11-22, in this order: a batch, changes of
#: verdicts, a ban, a reload, a beat, a verdict in the table.
_HEX: Final = """
9301c4083e846f9e4370d92a93c40867756172643030310791dc0012cb41da695ef0000000b5616363745f6161616161
6161616161616161616161b46f72675f72357861757a6d656b37626663766179b47061795f6f76657233326e326e6576
3471713364cb41da694d5c000000c2cfabc0000000000000cfabc0000000000000a25553cdfbf491a376706ea2555300
a6617065782d3496cfc0ffee0000000000cfc0ffee0000000001cfc0ffee0000000002cfc0ffee0000000003cfc0ffee
0000000004cfc0ffee0000000005cd0384cd04b0c3

9301c4083e846f9e4370d92a9303c403352d309293a6616363745f31a6635f30303031cb3fe800000000000093a66163
63745f32c0cb0000000000000000

9301c4083e846f9e4370d92a92a6726576696577c4867b226174223a313737323435323830302e302c2272756c696e67
223a2262616e222c226163636f756e74223a22616363745f31222c2263616d706169676e223a6e756c6c2c2272656173
6f6e223a226672617564222c226279223a22616461222c22756e74696c223a6e756c6c2c227375626a656374223a2222
2c226c696e6b223a22227d0a

9301c4083e846f9e4370d92a91a672656c6f6164

94a6686f73743a31a439633930a5302e312e30c4083e846f9e4370d92a

92a6635f30303031cb3fe8000000000000
"""
WRITTEN: Final = tuple(map(bytes.fromhex, _HEX.split("\n\n")))


def test_a_message_of_another_form_is_of_another_version() -> None:
    # Or guards of two versions on one store would take each other's words for something else, or
    # for nothing. Where this fails, `VERSION` has to grow with the change.
    assert wire.VERSION == 1
    seen = msgspec.structs.replace(ring.member(0), flags=frozenset({"vpn"}), refused=True)
    ban = Review(at=build.NOW, ruling=Ruling.BAN, account="acct_1", reason="fraud", by="ada")
    facts = CampaignFacts(id="c_0001", confidence=0.75)

    written = (
        pack_batch(KEY, GUARD, 7, [seen], DISGUISE),
        wire.pack_changes(KEY, 3, b"5-0", [("acct_1", facts), ("acct_2", None)]),
        wire.pack_review(KEY, ban),
        wire.pack_reload(KEY),
        wire.pack_beat(wire.Beat(label="host:1", policy="9c90", version="0.1.0", key=KEY)),
        wire.pack_facts(facts),
    )

    assert written == WRITTEN
    assert fields(read_batch(WRITTEN[0], KEY).sightings[0]) == fields(disguised(seen))
    assert wire.read_order(WRITTEN[2], KEY).review() == ban


def test_another_secret_and_another_version_are_refused_by_name() -> None:
    data = pack_batch(KEY, GUARD, 0, [ring.member(1)], DISGUISE)
    later = msgspec.msgpack.encode((wire.VERSION + 1, KEY, "a form of tomorrow"))

    assert refusal(data, fingerprint(b"some other secret")) == "secret"
    assert refusal(later) == "version"


@pytest.mark.parametrize(
    "change",
    [
        {"at": math.nan}, {"at": math.inf}, {"at": -1.0}, {"account": ""}, {"account": "x" * 65},
        {"keys": tuple(range(MOST_KEYS + 1))}, {"keys": (-1,)}, {"model": "o" * 513},
        {"chars": -1}, {"tokens": -5}, {"created_at": math.nan}, {"address": -3},
    ],
    ids=lambda change: str(next(iter(change.items())))[:30],
)  # fmt: skip
def test_a_sighting_no_guard_could_have_made_is_told_from_others(change: dict[str, Any]) -> None:
    seen = Sighting(**fields(ring.member(1)) | change)

    batch = read_batch(pack_batch(KEY, GUARD, 0, [ring.member(0), seen], DISGUISE), KEY)

    assert [wire.plausible(one) for one in batch.sightings] == [True, False]


def test_a_batch_of_nothing_or_of_too_much_is_refused() -> None:
    assert refusal(pack_batch(KEY, GUARD, 0, [], DISGUISE)) == "malformed"
    assert (
        refusal(pack_batch(KEY, GUARD, 0, [ring.member(1)] * (wire.BATCH + 1), DISGUISE))
        == "malformed"
    )
    assert refusal(pack_batch(KEY, b"long name", 0, [ring.member(1)], DISGUISE)) == "malformed"


def test_changes_come_back_and_impossible_confidences_do_not() -> None:
    told = [("acct_1", CampaignFacts(id="c_0001", confidence=0.93)), ("acct_2", None)]
    good = wire.pack_changes(KEY, 7, b"5-0", told)
    bad = wire.pack_changes(KEY, 7, b"5-0", [("a", CampaignFacts(id="c", confidence=math.nan))])

    changes = wire.read_changes(good, KEY)

    assert (changes.fence, changes.reviews) == (7, b"5-0")
    assert changes.accounts == [("acct_1", "c_0001", 0.93), ("acct_2", None, 0.0)]
    with pytest.raises(Refusal):
        wire.read_changes(bad, KEY)


def test_reviews_and_reloads_come_back_and_other_orders_do_not() -> None:
    review = Review(at=build.NOW, ruling=Ruling.BAN, account="acct_1", reason="fraud", by="me")

    ordered = wire.read_order(wire.pack_review(KEY, review), KEY)

    assert ordered.review() == review
    assert wire.read_order(wire.pack_reload(KEY), KEY).kind == "reload"
    for rest in (("review", b"{}"), ("review", b""), ("shut-down",)):
        with pytest.raises(Refusal):
            wire.read_order(msgspec.msgpack.encode((wire.VERSION, KEY, rest)), KEY)


def test_a_table_comes_back_without_what_makes_no_sense() -> None:
    facts = CampaignFacts(id="c_0001", confidence=0.5)
    table = {
        b"acct_1": wire.pack_facts(facts),
        b"acct_2": b"rubbish",
        b"acct_\xff": wire.pack_facts(facts),
        b"acct_3": wire.pack_facts(CampaignFacts(id="c_0001", confidence=7.0)),
    }

    assert wire.read_table(table) == {"acct_1": facts}


def test_ids_of_the_operator_are_equal_where_they_were_and_nowhere_else() -> None:
    one, other = ring.member(1), ring.member(2)
    same = msgspec.structs.replace(other, organisation=one.organisation)

    stranger = Disguise(b"some other secret")

    assert DISGUISE(one)[0] == DISGUISE(same)[0] != DISGUISE(other)[0]
    assert stranger(one) != DISGUISE(one)
    assert DISGUISE(msgspec.structs.replace(one, payment=one.organisation))[1] != DISGUISE(one)[0]
