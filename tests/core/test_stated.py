"""What an edge says of an account is believed from that edge alone."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.core.sections import Identify
from gateway_guard.core.stated import stated
from tests import build

EDGE = Identify(
    trusted=(ipaddress.ip_network("10.0.0.0/8"),),
    attributes=(("tier", b"x-tier"), ("tags", b"x-tags")),
)


def said(
    *headers: tuple[bytes, bytes], peer: str | None = "10.1.2.3", by: Identify = EDGE, **more: Any
) -> Any:
    wire = build.wire(peer=peer, **more)
    wire.headers += headers
    return stated(wire, by)


def test_a_trusted_edge_is_believed() -> None:
    assert said((b"x-tier", b"scale"), (b"x-tags", b"a, b")) == {"tier": "scale", "tags": "a, b"}


@pytest.mark.parametrize("peer", ["198.51.100.7", "::ffff:198.51.100.7", None, "nonsense"])
def test_nobody_else_is(peer: str | None) -> None:
    assert said((b"x-tier", b"scale"), peer=peer) is None


def test_a_client_does_not_become_trusted_by_what_it_says_of_its_address() -> None:
    forwarded = Identify(
        trusted=EDGE.trusted, attributes=EDGE.attributes, client_ip="x-forwarded-for"
    )

    found = said(
        (b"x-tier", b"scale"), (b"x-forwarded-for", b"10.1.2.3"),
        peer="198.51.100.7", by=forwarded,
    )  # fmt: skip

    assert found is None


def test_a_unix_socket_is_believed_where_the_policy_says_so() -> None:
    local = Identify(trust_unix=True, attributes=EDGE.attributes)

    assert said((b"x-tier", b"scale"), peer=None, by=local) == {"tier": "scale"}


def test_a_header_that_comes_twice_says_nothing() -> None:
    assert said((b"x-tier", b"scale"), (b"x-tier", b"free"), (b"x-tags", b"a")) == {"tags": "a"}


def test_a_header_that_is_no_text_says_nothing() -> None:
    assert said((b"x-tier", b"\xff")) == {}


def test_the_application_has_the_last_word() -> None:
    found = said((b"x-tier", b"scale"), (b"x-tags", b"a"), state={"tier": "free"})

    assert found == {"tier": "free", "tags": "a"}


def test_without_attributes_only_the_application_speaks() -> None:
    nothing = Identify(trusted=EDGE.trusted)

    assert said((b"x-tier", b"scale"), by=nothing, state={"tier": "free"}) == {"tier": "free"}
    assert said((b"x-tier", b"scale"), by=nothing) is None


@given(st.lists(st.tuples(st.sampled_from([b"x-tier", b"x-tags", b"other"]), st.binary())))
def test_no_bytes_make_it_raise(headers: list[tuple[bytes, bytes]]) -> None:
    assert isinstance(said(*headers), dict)
