"""Whatever others send: a clear `IntelError` or a result, never another exception."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Any

import httpx
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_guard.errors import IntelError
from gateway_guard.intel import bundle, collection, crowdsec, http, table, taxii_client
from gateway_guard.intel.http import Web
from gateway_guard.intel.keys import Signer, read_trusted
from gateway_guard.intel.networks import Limits, fit_network
from gateway_guard.intel.patterns import read_pattern
from gateway_guard.intel.stix_reading import read_bundle, taken
from gateway_guard.intel.taxii import MEDIA_TYPE, Ask, answer, password_digest
from tests import build
from tests.intel import cases

SIGNER = Signer.made()
TRUSTED = read_trusted(f"acme {SIGNER.public}", "keys")
SIGNED = bundle.signed(
    bundle.bundle_of([cases.indicator()], now=build.NOW, days=30, tlp="amber", group=""), SIGNER
)

SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=20),
    st.sampled_from(["indicator", "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z", "indicates",
                     "[ipv4-addr:value = '203.0.113.7']", "Ip", "range", "203.0.113.7", "4h",
                     "0.0.0.0/0", "relationship", "campaign", "stix"]),
)  # fmt: skip
KEYS = st.sampled_from(
    ["type", "id", "objects", "pattern", "pattern_type", "valid_from", "valid_until", "confidence",
     "revoked", "name", "modified", "source_ref", "target_ref", "relationship_type", "new",
     "deleted", "scope", "value", "duration", "until", "scenario", "origin", "simulated", "more",
     "next", "payload", "key", "signature", "status", "failures", "success_count", "sources"]
)  # fmt: skip
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=8),
    max_leaves=20,
)
OBJECTS: st.SearchStrategy[list[dict[str, Any]]] = st.lists(
    st.dictionaries(KEYS, SCALARS | st.just([[]]), max_size=14), max_size=4
)


def encoded(value: object) -> bytes:
    with contextlib.suppress(UnicodeEncodeError, OverflowError):
        return msgspec.json.encode(value)
    return b"{}"


@settings(max_examples=60)
@given(OBJECTS)
def test_stix_objects(objects: list[dict[str, Any]]) -> None:
    out = taken(objects, now=build.NOW, limits=Limits())

    assert len(out.indicators) + sum(out.skipped.values()) <= 64 * len(objects)


@settings(max_examples=60)
@given(st.binary(max_size=200) | JSON.map(encoded))
def test_bundles_of_stix_tables_collections_and_signed_ones(data: bytes) -> None:
    with contextlib.suppress(IntelError):
        taken(read_bundle(data), now=build.NOW, limits=Limits())
    with contextlib.suppress(IntelError):
        table.decode(data)
    with contextlib.suppress(IntelError):
        collection.decode(data, "here")
    with contextlib.suppress(IntelError):
        bundle.verified(data, TRUSTED, now=build.NOW)


@given(st.integers(min_value=0, max_value=len(SIGNED) - 3), st.integers(0, 255))
def test_a_bundle_with_any_byte_changed_is_the_same_or_refused(at: int, byte: int) -> None:
    data = SIGNED[:at] + bytes([byte]) + SIGNED[at + 1 :]

    try:
        made, _, _ = bundle.verified(data, TRUSTED, now=build.NOW)
    except IntelError:
        return

    # Only the spelling of the same thing (white space, spare bits of base64) may pass.
    assert made == bundle.verified(SIGNED, TRUSTED, now=build.NOW)[0]


@given(st.text(max_size=200))
def test_patterns_networks_and_lists_of_keys(text: str) -> None:
    read_pattern(text)
    with contextlib.suppress(IntelError):
        fit_network(text, Limits())
    with contextlib.suppress(IntelError):
        read_trusted(text, "keys")


@given(st.text("[]()='\\ ORAND:ipv4-addrvalueISUBT0123456789./", max_size=120))
def test_texts_that_look_like_patterns(text: str) -> None:
    read_pattern(text)


def test_a_server_that_never_comes_to_its_answer_is_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http, "TOTAL_SECONDS", 0.1)
    left = threading.Event()

    def hints(listener: socket.socket) -> None:
        client, _ = listener.accept()
        with client, contextlib.suppress(OSError):
            client.recv(65_536)
            while True:
                client.sendall(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        left.set()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = threading.Thread(target=hints, args=(listener,))
        serving.start()
        with (
            Web(f"http://127.0.0.1:{listener.getsockname()[1]}/") as web,
            pytest.raises(IntelError, match=r"took longer than 0 s"),
        ):
            web.ask("GET", "decisions/stream", most=1)
        serving.join(20.0)

    assert left.is_set()


def served(status: int, headers: dict[str, str], body: bytes) -> Web:
    def answer_all(_: httpx.Request) -> httpx.Response:
        return httpx.Response(status, headers=headers, stream=httpx.ByteStream(body))

    answers = httpx.MockTransport(answer_all)
    return Web("http://127.0.0.1:1/v1/", transport=answers)


@settings(max_examples=25)
@given(st.sampled_from([200, 202, 304, 403, 500]), st.binary(max_size=80) | JSON.map(encoded))
def test_answers_of_crowdsec_and_taxii(status: int, body: bytes) -> None:
    with served(status, {"content-type": MEDIA_TYPE}, body) as web:
        with contextlib.suppress(IntelError):
            crowdsec.stream(web, startup=True, now=build.NOW, limits=Limits())
        with contextlib.suppress(IntelError):
            crowdsec.login(web, "machine", "password")
        with contextlib.suppress(IntelError):
            crowdsec.push(web, "token", [{}])
        with contextlib.suppress(IntelError):
            list(taxii_client.poll(web, now=0.0, etag="x"))
        with contextlib.suppress(IntelError):
            taxii_client.push(web, [{}], wait=lambda _: None)
        with contextlib.suppress(IntelError):
            taxii_client.collections(web)


#: `me` with sixteen times `p`.
LET_IN = "Basic bWU6cHBwcHBwcHBwcHBwcHBwcA=="
QUERY = st.lists(
    st.tuples(
        st.sampled_from(["limit", "next", "added_after", "match[id]", "match[version]", "x"]),
        st.text(max_size=20) | st.sampled_from(["1", "last", "all", "2026-01-01T00:00:00Z"]),
    ),
    max_size=4,
)


@given(
    st.sampled_from(["GET", "POST", "DELETE", "HEAD"]), st.text(max_size=60), QUERY,
    st.text(max_size=40),
)  # fmt: skip
def test_questions_to_the_taxii_server(
    method: str, path: str, query: list[tuple[str, str]], header: str
) -> None:
    held = collection.empty("t")
    users = {"me": password_digest("p" * 16)}
    places = (path, f"/shared/collections/{held.id}/objects/", f"/shared/collections/{path}/")
    for place in places:
        for headers in ({"authorization": header}, {"authorization": LET_IN, "accept": header}):
            told = answer(
                Ask(method=method, path=place, query=query, headers=headers), held, users, "t"
            )

            assert 200 <= told.status < 500
            msgspec.json.decode(told.body)
