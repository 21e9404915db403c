"""A proxy that the policy does not name is noticed by what it sends, and said once."""

from __future__ import annotations

import pytest

from tests import build
from tests.record import noticed

POLICY = "mode: enforce"
NAMED = "mode: enforce\nidentify: { trusted_proxies: [10.0.0.0/8] }"
BY_PEER = "mode: enforce\nidentify: { trusted_proxies: [127.0.0.1], client_ip: peer }"
FORWARDED = {"x-forwarded-for": "203.0.113.9"}


def warned(
    caplog: pytest.LogCaptureFixture,
    text: str = POLICY,
    peer: str | None = "10.0.3.7",
    headers: dict[str, str] | None = None,
    times: int = 1,
) -> list[str]:
    """What was logged of requests from `peer`."""

    return noticed.warned(
        caplog, text, lambda: build.wire(peer=peer, headers=headers or FORWARDED), times
    )


def test_a_proxy_nobody_named_is_said_once_with_what_to_write(
    caplog: pytest.LogCaptureFixture,
) -> None:
    (message,) = warned(caplog, times=3)

    assert "10.0.0.0/8 sends x-forwarded-for" in message
    assert "identify: { trusted_proxies: [its network] }" in message
    assert "10.0.3.7" not in message


@pytest.mark.parametrize("peer", ["127.0.0.1", "::ffff:192.168.1.9", "fd00::1", "100.64.0.9"])
def test_inner_networks_of_either_family_are_where_proxies_are(
    peer: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert len(warned(caplog, peer=peer)) == 1


@pytest.mark.parametrize("name", ["forwarded", "cf-connecting-ip", "X-Real-IP"])
def test_other_ways_to_say_it_count_too(name: str, caplog: pytest.LogCaptureFixture) -> None:
    assert len(warned(caplog, headers={name: "203.0.113.9"})) == 1


@pytest.mark.parametrize(
    ("text", "peer", "headers"),
    [
        (NAMED, "10.0.3.7", FORWARDED),
        (BY_PEER, "10.0.3.7", FORWARDED),
        (POLICY, "198.51.100.7", FORWARDED),
        (POLICY, None, FORWARDED),
        (POLICY, "10.0.3.7", {"accept": "*/*"}),
    ],
    ids=["named", "told to look no further", "from outside", "a unix socket", "nothing said"],
)
def test_nothing_is_said_where_nothing_is_wrong(
    text: str,
    peer: str | None,
    headers: dict[str, str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert warned(caplog, text, peer, headers) == []


BY_HEADER = "mode: enforce\nidentify: { trusted_proxies: [10.0.0.0/8], client_ip: x-real-ip }"


@pytest.mark.parametrize(
    ("text", "sent", "wanted"),
    [(BY_HEADER, "x-forwarded-for", "x-real-ip"), (NAMED, "x-real-ip", "x-forwarded-for")],
)
def test_a_proxy_that_sends_another_header_than_the_policy_reads_is_said_once(
    text: str, sent: str, wanted: str, caplog: pytest.LogCaptureFixture
) -> None:
    (message,) = warned(caplog, text, headers={sent: "203.0.113.9"}, times=3)

    assert f"sends {sent} and no {wanted}, " in message
    assert f"identify: {{ client_ip: {sent} }}" in message


@pytest.mark.parametrize(
    "headers", [{"accept": "*/*"}, {"x-real-ip": "203.0.113.9"}, {"x-real-ip": "nonsense"}]
)
def test_a_probe_or_what_the_policy_reads_is_no_reason_to_warn(
    headers: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    assert warned(caplog, BY_HEADER, headers=headers) == []
