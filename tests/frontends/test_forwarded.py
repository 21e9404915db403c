"""Which fields go on to the upstream, and which come back."""

from __future__ import annotations

import ipaddress

import pytest

from gateway_guard.errors import SettingsError, UpstreamError
from gateway_guard.frontends.forwarded import (
    _MOST_SENDERS,
    TrustedPeers,
    _senders,
    forwarding_fields,
    request_fields,
    response_fields,
)
from gateway_guard.frontends.upstream import Origin
from gateway_guard.frontends.upstream_head import framing

NETWORKS = [ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("::1/128")]


def test_a_trusted_peers_chain_is_continued() -> None:
    headers = [
        (b"host", b"api.test"),
        (b"x-forwarded-for", b"203.0.113.1"),
        (b"x-forwarded-for", b"203.0.113.2"),
        (b"x-forwarded-proto", b"https"),
        (b"x-forwarded-host", b"public.test"),
    ]

    fields = b"".join(
        forwarding_fields(
            headers, peer="10.0.0.1", scheme="http", trusted=True, client_ip="203.0.113.2"
        )
    )

    assert b"x-forwarded-for: 203.0.113.1, 203.0.113.2, 10.0.0.1\r\n" in fields
    assert b"x-forwarded-proto: https\r\n" in fields
    assert b"x-forwarded-host: public.test\r\n" in fields
    assert b"x-real-ip: 203.0.113.2\r\n" in fields


def test_anybody_elses_chain_is_replaced() -> None:
    headers = [(b"host", b"api.test"), (b"x-forwarded-for", b"203.0.113.1")]

    fields = b"".join(
        forwarding_fields(headers, peer="192.0.2.1", scheme="https", trusted=False, client_ip=None)
    )

    assert b"203.0.113.1" not in fields
    assert b"x-forwarded-for: 192.0.2.1\r\nx-forwarded-proto: https\r\n" in fields


def test_one_peers_introduction_is_not_anothers() -> None:
    def fields(peer: str, client_ip: str | None) -> bytes:
        headers = [(b"host", b"api.test")]
        return b"".join(
            forwarding_fields(headers, peer=peer, scheme="http", trusted=False, client_ip=client_ip)
        )

    assert b"x-real-ip: 192.0.2.1\r\n" in fields("192.0.2.1", None)
    assert b"x-real-ip: 192.0.2.2\r\n" in fields("192.0.2.2", None)
    assert b"x-real-ip: 192.0.2.3\r\n" in fields("192.0.2.2", "192.0.2.3")


def test_connection_cannot_remove_what_the_policy_judges_by() -> None:
    headers = [
        (b"connection", b"close, X-Tenant, X-Other, Authorization"),
        (b"x-tenant", b"t"),
        (b"x-other", b"o"),
        (b"authorization", b"Bearer k"),
    ]

    fields = request_fields(headers, trusted=False, protected=frozenset((b"x-tenant",)))

    assert fields == [b"x-tenant: t\r\n", b"authorization: Bearer k\r\n"]


def test_client_address_fields_pass_from_trusted_peers_only() -> None:
    headers = [(b"cf-connecting-ip", b"203.0.113.1")]

    assert request_fields(headers, trusted=False) == []
    assert request_fields(headers, trusted=True) == [b"cf-connecting-ip: 203.0.113.1\r\n"]


@pytest.mark.parametrize(
    "name",
    [b"x-sucuri-clientip", b"ali-cdn-real-ip", b"x-backend-remote-addr", b"x-forward-for", b"x-ip",
     b"x-envoy-internal", b"cloudfront-viewer-address", b"x-originating-ip"],
)  # fmt: skip
def test_a_field_made_like_a_clients_address_passes_from_trusted_peers_only(name: bytes) -> None:
    headers = [(name, b"203.0.113.1")]

    assert request_fields(headers, trusted=False) == []
    assert request_fields(headers, trusted=True) == [name + b": 203.0.113.1\r\n"]


@pytest.mark.parametrize(
    "name",
    [b"cf-ipcountry", b"cf-region-code", b"cloudfront-viewer-country", b"x-appengine-country",
     b"x-vercel-ip-country", b"x-country-code", b"x-client-country", b"x-geo-country",
     b"geoip-city", b"x-client-geo-location", b"x-akamai-edgescape", b"front-end-https",
     b"x-scheme"],
)  # fmt: skip
def test_where_a_client_is_and_by_which_scheme_it_came_is_told_by_trusted_peers_only(
    name: bytes,
) -> None:
    headers = [(name, b"US")]

    assert request_fields(headers, trusted=False) == []
    assert request_fields(headers, trusted=True) == [name + b": US\r\n"]


@pytest.mark.parametrize(
    "name", [b"x-geometry", b"cf-ray", b"x-schema", b"x-country2", b"x-billing-country", b"geode"]
)
def test_a_field_that_only_sounds_like_it_passes(name: bytes) -> None:
    assert request_fields([(name, b"v")], trusted=False) == [name + b": v\r\n"]


@pytest.mark.parametrize(
    "name",
    [b"x-original-uri", b"x-rewrite-path", b"x-http-path-override", b"x-host", b"x-accel-mapping",
     b"script-name", b"forwarded-host", b"x-middleware-subrequest"],
)  # fmt: skip
def test_a_field_that_names_another_request_passes_only_where_accounts_are_known_by_it(
    name: bytes,
) -> None:
    headers = [(name, b"/admin")]

    assert request_fields(headers, trusted=True) == []
    assert request_fields(headers, trusted=False, protected={name}) == [name + b": /admin\r\n"]


def test_what_is_remembered_of_names_is_bounded() -> None:
    for number in range(_MOST_SENDERS + 10):
        request_fields([(b"x-%d" % number, b""), (b"y" * 999, b"")], trusted=False)

    assert 0 < len(_senders) <= _MOST_SENDERS
    assert max(map(len, _senders)) <= 64


def test_an_answers_connection_fields_stay_here() -> None:
    headers = [(b"connection", b"X-A, Content-Type"), (b"x-a", b"1"), (b"content-type", b"t")]

    assert response_fields(headers) == [(b"content-type", b"t")]


@pytest.mark.parametrize("name", [b"alt-svc", b"x-accel-redirect", b"x-sendfile"])
def test_an_answer_leads_nobody_around_the_guard(name: bytes) -> None:
    kept = [(b"content-type", b"t"), (b"x-accel-buffering", b"no")]

    assert response_fields([*kept, (name, b"elsewhere")]) == kept


@pytest.mark.parametrize(
    ("peer", "trusted"),
    [
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("::1", True),
        ("11.0.0.1", False),
        ("", False),
    ],
)
def test_who_is_trusted(peer: str, trusted: bool) -> None:
    assert (peer in TrustedPeers(NETWORKS)) is trusted
    assert peer not in TrustedPeers(())


@pytest.mark.parametrize(
    "headers",
    [
        [(b"content-length", b"1"), (b"content-length", b"1")],
        [(b"content-length", b"1"), (b"transfer-encoding", b"chunked")],
        [(b"transfer-encoding", b"gzip")],
        [(b"transfer-encoding", b"chunked"), (b"transfer-encoding", b"chunked")],
        [(b"content-length", b"-1")],
        [(b"x", b"a" * 70_000)],
    ],
)
def test_an_answer_with_two_readings_is_not_believed(headers: list[tuple[bytes, bytes]]) -> None:
    with pytest.raises(UpstreamError):
        framing(headers)


@pytest.mark.parametrize(
    ("url", "authority", "prefix"),
    [
        ("http://model", b"model", b""),
        ("http://model:8000/", b"model:8000", b""),
        ("https://api.test/openai/", b"api.test", b"/openai"),
        ("https://[::1]:443", b"[::1]", b""),
        ("unix:/run/model.sock", b"localhost", b""),
    ],
)
def test_origins(url: str, authority: bytes, prefix: bytes) -> None:
    origin = Origin.parse(url)

    assert (origin.authority, origin.prefix) == (authority, prefix)


@pytest.mark.parametrize(
    "url",
    [
        *("", "model:80", "ftp://x", "http://", "http://a:x", "http://u@h", "http://h?q", "unix:x"),
        # They would go into every request's head as they are.
        *("http://h/a b", "http://h/\x00", "http://[::1%\x00a]/", "http://h/\x7f", "http://h\t/x"),
    ],
)
def test_urls_that_are_no_origin_say_what_to_write(url: str) -> None:
    with pytest.raises(SettingsError, match="upstream"):
        Origin.parse(url)
