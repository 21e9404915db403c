"""JSON and msgpack nested deeper than the interpreter's stack are refused like any other nonsense:
msgspec raises `RecursionError` for them, which is none of its own errors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from gateway_guard.accounts.file import FileDirectory
from gateway_guard.campaigns.journal import review_of
from gateway_guard.cli import explain
from gateway_guard.cli.traffic import Malformed, Traffic
from gateway_guard.errors import IntelError, SourceError
from gateway_guard.intel import bundle, collection, stix_reading, table
from gateway_guard.record.read import exchange_of
from gateway_guard.streams import wire
from gateway_guard.streams.learning import Position, position_of
from tests import build

DEPTH = 100_000
JSON = b'{"x":' + b"[" * DEPTH + b"]" * DEPTH + b"}"
MSGPACK = b"\x91" * DEPTH + b"\x00"


@pytest.mark.parametrize(
    ("read", "refusal"),
    [
        (exchange_of, SourceError),
        (review_of, ValueError),
        (stix_reading.read_bundle, IntelError),
        (table.decode, IntelError),
        (lambda data: collection.decode(data, "here"), IntelError),
        (lambda data: bundle.verified(data, {}, now=build.NOW), IntelError),
    ],
)
def test_json_deeper_than_the_stack_is_refused_by_name(
    read: Callable[[bytes], object], refusal: type[Exception]
) -> None:
    with pytest.raises(refusal):
        read(JSON)


def test_files_of_json_deeper_than_the_stack_are_refused_with_their_line(tmp_path: Path) -> None:
    path = tmp_path / "deep.jsonl"
    path.write_bytes(b"\n" + JSON + b"\n")

    with pytest.raises(SourceError, match=r"deep\.jsonl:2: not JSON"):
        FileDirectory(path, secret=build.SECRET)
    with pytest.raises(SourceError, match=r"deep\.jsonl: "):
        explain._read(path)
    traffic = Traffic(path)
    found = list(traffic)
    traffic.close()

    assert [type(one) for one in found] == [Malformed]


def test_a_described_request_that_is_no_utf_8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "latin.json"
    path.write_bytes(b'{"method":"\xff"}')

    with pytest.raises(SourceError, match=r"latin\.json: "):
        explain._read(path)


@pytest.mark.parametrize("read", [wire.read_batch, wire.read_changes, wire.read_order])
def test_messages_between_guards_deeper_than_the_stack_are_malformed(
    read: Callable[[bytes, bytes], object],
) -> None:
    for data in (MSGPACK, b"\x93\x01\xc4\x08" + bytes(8) + MSGPACK):
        with pytest.raises(wire.Refusal, match="malformed"):
            read(data, bytes(8))


def test_what_else_the_shared_store_holds_deeper_than_the_stack_is_left_out() -> None:
    assert wire.read_beat(MSGPACK) is None
    assert wire.read_table({b"acct_a": MSGPACK}) == {}
    assert position_of(MSGPACK) == Position()
