"""What is read back from files: lines of the decision log, recorded traffic, account files, labels,
answers of the account directory. Each is understood, or refused by its own error with the line."""

from __future__ import annotations

import atexit
import contextlib
import json
import re
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Final

import msgspec

from gateway_guard.accounts.attributes import read
from gateway_guard.accounts.file import FileDirectory
from gateway_guard.accounts.http import understood
from gateway_guard.campaigns.journal import line_of, review_of
from gateway_guard.cli.labels import read_labels
from gateway_guard.cli.traffic import Malformed, Recorded, Traffic, recorded
from gateway_guard.core.explain import explain_tree
from gateway_guard.errors import SourceError
from gateway_guard.policy.compile import compile_policy
from gateway_guard.record.read import exchange_of
from gateway_guard.types import AccountFacts
from tests.fuzz.taken import Taken

WORDS = (
    b'{"time":"2026-03-02T12:00:00Z","id":"r_1","action":"allow","acted":true,"ip_source":"peer","network":[],',
    b'"method":"POST","dialect":"openai","inspection":"full","risk":0.5,"policy":"abc"}',
    b'"action":"deny"', b'{"at":1.5,"method":"POST","path":"/v1/messages"}',
    b'"body":{"model":"m"}', b'"headers":{"a":"b"}', b'"usage":{"output_tokens":5}',
    b'"account":"acct_aaaaaaaaaaaaaaaa"', b'"kind":"name"', b'"tier":"gold"', b"account,label\n",
    b"account,tier,verified\n", b"a,attack\n", b"b,benign\n", b'"a ""b"""', b"\n", b",", b'"',
    b"\x1f\x8b\x08\x00", b"\xef\xbb\xbf", b'{"account":"a","created_at":1e300}', b"1" * 5000,
    b"[" * 1200, b'{"at":1,"ruling":"ban","account":"a"}', b'"ruling":"release","campaign":"c_1"',
    b"1e999", b"-1", b"NaN",
    b'"limits":[{"limit":"a","unit":"tokens","allowed":true,"cost":1,"remaining":1,"capacity":1,"quota":1,',
    b'"window":1}]', b'"shadow":[{"rule":"a","action":"deny"}]', b'"account_age":1e308',
    b"0001-01-01T00:00:00Z",
)  # fmt: skip
_SECRET: Final = b"0123456789abcdef"
_POLICY: Final = compile_policy(b"version: 1\n", "fuzz.yaml")
_KINDS: Final = ("accounts.jsonl", "accounts.csv")


@cache
def folder() -> Path:
    """Where files are put; gone with the process."""
    place = Path(tempfile.mkdtemp(prefix="gateway-guard-fuzz-"))
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    return place


def target(data: bytes) -> None:
    """Which kind of account file, then a file."""
    taken = Taken(data)
    kind = taken.pick(_KINDS)
    body = taken.rest()

    _lines(body)
    path = folder() / kind
    path.write_bytes(body)
    said = ""
    try:
        held = FileDirectory(path, secret=_SECRET)
    except SourceError as error:
        said = str(error)
    else:
        assert len(held) <= 2 * (body.count(b"\n") + body.count(b"\r") + 2)
    assert not said or re.match(rf"{re.escape(str(path))}:(?:[0-9]+:)? ", said), said
    try:
        labels = read_labels(path)
    except SourceError as error:
        assert str(error).startswith(str(path))  # noqa: PT017 - what is raised is the subject
    else:
        assert all(one.label in ("attack", "benign") for one in labels.values())
    _traffic(path, body)


def _lines(body: bytes) -> None:
    with contextlib.suppress(SourceError):
        exchange = exchange_of(body)
        assert explain_tree(exchange, _POLICY)
    with contextlib.suppress(ValueError):
        review = review_of(body)
        assert review_of(line_of(review).rstrip(b"\n")) == review
    with contextlib.suppress(SourceError):
        facts = understood(200, body)
        assert isinstance(facts, AccountFacts)
        said = json.loads(body)
        assert AccountFacts(**read(said)) == facts
        assert facts.created_at is None or abs(facts.created_at) < 1e11
        assert len(facts.tags) <= 32
        assert all(len(tag) <= 256 for tag in facts.tags)


def _traffic(path: Path, body: bytes) -> None:
    traffic = Traffic(path)
    try:
        found = list(traffic)
    except SourceError:
        # By its first line a decision log, of which nothing can be replayed.
        return
    finally:
        traffic.close()
    for one in found:
        if isinstance(one, Malformed):
            assert len(one.reason) <= 230
            continue
        assert isinstance(one, Recorded)
        assert 0.0 <= one.duration() <= 600.0
        wire = one.wire(len(body))
        # A body that is no JSON by itself is written anew, in ASCII.
        assert wire.body is None or 0 < len(wire.body) <= len(body) or body[:2] == b"\x1f\x8b"
        one.settlement()
    if not body.startswith(b"\x1f\x8b"):
        assert len(found) <= body.count(b"\n") + 1
        # Each by itself reads as it does among the others.
        for line in body.split(b"\n")[:20]:
            with contextlib.suppress(msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
                alone = recorded(line, 1)
                assert any(isinstance(one, Recorded) and one.at == alone.at for one in found)
