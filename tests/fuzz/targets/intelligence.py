"""STIX, patterns, TAXII and CrowdSec answers, tables and collections of indicators: an
`IntelError` or a result within its bounds, each indicator checked, and what is written again reads
the same."""

from __future__ import annotations

import contextlib
import ipaddress
from typing import Final

import httpx
import msgspec

from gateway_guard.errors import IntelError
from gateway_guard.intel import collection, crowdsec, table, taxii_client
from gateway_guard.intel.http import Web
from gateway_guard.intel.indicator import checked
from gateway_guard.intel.keys import read_trusted
from gateway_guard.intel.networks import Limits, fit_network
from gateway_guard.intel.patterns import MOST_ALTERNATIVES, pattern_of, read_pattern
from gateway_guard.intel.stix_reading import read_bundle, taken
from gateway_guard.intel.taxii import MEDIA_TYPE, Ask, answer, password_digest
from gateway_guard.intel.times import parse_go, parse_stamp, stamp
from tests.fuzz.taken import Taken

WORDS = (
    b'{"type":"bundle","objects":[', b'{"type":"indicator","id":"indicator--1",',
    b'"pattern_type":"stix"', b"\"pattern\":\"[ipv4-addr:value = '203.0.113.0/24']\"",
    b'"valid_from":"2026-01-01T00:00:00Z"', b'"valid_until":"2027-01-01T00:00:00.123Z"',
    b'"confidence":80', b'"revoked":true', b"]}",
    b'{"type":"relationship","id":"r","relationship_type":"indicates","source_ref":"indicator--1"',
    b"[ipv4-addr:value ISSUBSET '198.51.100.0/24']", b" OR ", b" AND ",
    b"[ipv6-addr:value = '2a00::/48']", b"[x-gateway-guard-client:ja4 = 't13d']", b"'", b"\\'",
    b"\\\\", b"(", b'{"new":[{"id":1,"scope":"Ip",',
    b'"value":"203.0.113.7","duration":"4h0m0s","origin":"cscli"', b'"deleted":[',
    b'"more":true,"next":"x"', b"203.0.113.0/24", b"0.0.0.0/0", b"2001:db8::/48", b"1h59m12.5s",
    b"-5m", b"2026-02-30T00:00:00Z", b"acme ed25519:", b"# ", b"\n", b"/shared/collections/",
    b"/taxii2/", b"objects/", b"manifest/", b"[" * 60,
)  # fmt: skip
_NOW: Final = 1_790_000_000.0
_LIMITS: Final = Limits()
_STATUS: Final = (200, 200, 200, 202, 304, 403, 500)
#: `me` with sixteen times `p`.
_LET_IN: Final = "Basic bWU6cHBwcHBwcHBwcHBwcHBwcA=="
_USERS: Final = {"me": password_digest("p" * 16)}


def target(data: bytes) -> None:
    """A status, what to ask of, then a text or answer."""
    taken_ = Taken(data)
    status, asks = taken_.pick(_STATUS), taken_.byte()
    body = taken_.rest()
    text = body.decode("utf-8", "replace")

    _files(body, text)
    _words(text)
    if asks & 1:
        _answers(status, body)
    if asks & 2:
        _questions(text)


def _files(body: bytes, text: str) -> None:
    with contextlib.suppress(IntelError):
        objects = read_bundle(body)
        found = taken(objects, now=_NOW, limits=_LIMITS)
        assert len(found.indicators) + sum(found.skipped.values()) <= 65 * len(objects)
        for one in found.indicators:
            assert checked(one, _LIMITS) == one
            assert one.until > _NOW
            if one.kind == "network":
                assert str(ipaddress.ip_network(one.value)) == one.value
                assert read_pattern(pattern_of(one.kind, one.value)) == [(one.kind, one.value)]
    with contextlib.suppress(IntelError):
        held = table.decode(body)
        assert table.decode(table.encode(held)) == held
    with contextlib.suppress(IntelError):
        shared = collection.decode(body, "here")
        assert collection.decode(collection.encode(shared), "here") == shared
    with contextlib.suppress(IntelError):
        assert len(read_trusted(text, "keys")) <= text.count("\n") + 1


def _words(text: str) -> None:
    told = read_pattern(text)
    if told is not None:
        assert 0 < len(told) <= MOST_ALTERNATIVES
        for kind, value in told:
            assert read_pattern(pattern_of(kind, value)) == [(kind, value)]
    with contextlib.suppress(IntelError):
        fitting = fit_network(text, _LIMITS)
        network = ipaddress.ip_network(fitting)
        assert fit_network(fitting, _LIMITS) == fitting == str(network)
        assert network.prefixlen >= (24 if network.version == 4 else 48)
        assert network.is_global or network.version == 6 or network.is_private
    moment = parse_stamp(text)
    if moment is not None:
        assert abs((parse_stamp(stamp(moment)) or 0.0) - moment) <= 1e-3
    seconds = parse_go(text)
    assert seconds is None or seconds == seconds


def _answers(status: int, body: bytes) -> None:
    def replied(_: httpx.Request) -> httpx.Response:
        return httpx.Response(
            status, headers={"content-type": MEDIA_TYPE}, stream=httpx.ByteStream(body)
        )

    with Web("http://127.0.0.1:1/v1/", transport=httpx.MockTransport(replied)) as web:
        with contextlib.suppress(IntelError):
            said = crowdsec.stream(web, startup=True, now=_NOW, limits=_LIMITS)
            assert all(checked(one, _LIMITS) == one for one in said.taken.indicators)
        with contextlib.suppress(IntelError):
            assert crowdsec.login(web, "machine", "password")
        with contextlib.suppress(IntelError):
            assert len(list(taxii_client.poll(web, now=0.0, etag="x"))) <= 2
        with contextlib.suppress(IntelError):
            taxii_client.collections(web)


def _questions(text: str) -> None:
    held = collection.empty("t")
    for path in (
        text,
        f"/shared/collections/{held.id}/{text}",
        f"/shared/collections/{held.id}/objects/",
    ):
        for word in (text, _LET_IN):
            ask = Ask(
                method="GET", path=path, query=[("limit", text), ("added_after", text)],
                headers={"authorization": word, "accept": text if word == _LET_IN else ""},
            )  # fmt: skip
            told = answer(ask, held, _USERS, "t")
            assert 200 <= told.status < 500
            assert (told.status == 401) == (word != _LET_IN)
            msgspec.json.decode(told.body)
