"""What a client says of itself: weak hints, each forgeable, each bounded."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Final

from gateway_guard.core.seeds import Seeds
from gateway_guard.core.shapes import LONGEST_AGENT, agent
from gateway_guard.types import Client

_SDK: Final = (
    b"x-stainless-lang",
    b"x-stainless-package-version",
    b"x-stainless-os",
    b"x-stainless-runtime",
)
#: JA4 has 36 characters; room for other fingerprints an edge may hand over.
_LONGEST_TLS: Final = 128
_FINGERPRINT: Final = re.compile(rb"[A-Za-z0-9_,.:/+=-]{1,%d}" % _LONGEST_TLS)
_OFFSET: Final = re.compile(rb"(?:UTC|GMT)?([+-])([01][0-9]|2[0-3]):?([0-5][0-9])")
_LANGUAGE: Final = re.compile(
    rb"[A-Za-z]{2,3}(?:-[A-Za-z]{4})?-([A-Za-z]{2})(?:-[A-Za-z0-9]{1,8})*"
)


def client(fields: Mapping[bytes, bytes], tls: bytes | None, keys: Seeds) -> Client:
    """The hints in the header fields; `tls` is a trusted edge's fingerprint of the client."""
    if tls is None and _SAID.isdisjoint(fields):
        return _silent(fields.get(b"user-agent", b"")[:LONGEST_AGENT], keys.agent)
    return told(fields, tls, keys)


def told(fields: Mapping[bytes, bytes], tls: bytes | None, keys: Seeds) -> Client:
    """The same, whatever there is."""
    get = fields.get
    lang = get(b"x-stainless-lang")
    accept = get(b"accept-language")
    offset = get(b"x-timezone")
    if offset is None:
        offset = get(b"x-utc-offset")
    return _client(
        get(b"user-agent", b"")[:LONGEST_AGENT],
        None if lang is None else tuple([get(name, b"")[:64] for name in _SDK]),
        None if accept is None else accept[:256],
        None if offset is None else offset[:16],
        None if tls is None else tls[: _LONGEST_TLS + 1],
        keys.agent,
    )


#: Headers without which a client says no more than its name.
_SAID: Final = frozenset(
    (_SDK[0], b"accept-language", b"x-timezone", b"x-utc-offset"),
)


@functools.lru_cache(maxsize=4096)
def _silent(user_agent: bytes, seed: int) -> Client:
    return Client(agent=agent(user_agent, seed))


# Few clients say many things: 4,096 of them are remembered, 1.2 KB of header each at most.
@functools.lru_cache(maxsize=4096)
def _client(
    user_agent: bytes,
    sdk: tuple[bytes, ...] | None,
    accept: bytes | None,
    offset: bytes | None,
    tls: bytes | None,
    seed: int,
) -> Client:
    return Client(
        agent=agent(user_agent, seed),
        sdk=None if sdk is None else _sdk(sdk),
        tls=None if tls is None else _tls(tls),
        languages=() if accept is None else _languages(accept),
        utc_offset=None if offset is None else _utc_offset(offset),
    )


def _sdk(said: tuple[bytes, ...]) -> str | None:
    parts = b"/".join(said).decode("ascii", "replace").lower()
    return parts if parts.isprintable() and parts.isascii() else None


def _tls(value: bytes) -> str | None:
    return value.decode("ascii") if _FINGERPRINT.fullmatch(value) else None


def _languages(value: bytes) -> tuple[str, ...]:
    """Regions in order of appearance, at most 8, those refused with `q=0` left out."""
    regions: list[str] = []
    for choice in value.split(b","):
        tag, _, weight = choice.partition(b";")
        match = _LANGUAGE.fullmatch(tag.strip(b" \t"))
        if match is None or weight.replace(b" ", b"") in (b"q=0", b"q=0.0"):
            continue
        region = match[1].decode("ascii").upper()
        if region not in regions and len(regions) < 8:
            regions.append(region)
    return tuple(regions)


def _utc_offset(value: bytes) -> int | None:
    value = value.strip(b" \t").upper()
    if value in (b"Z", b"UTC", b"GMT"):
        return 0
    match = _OFFSET.fullmatch(value)
    if match is None:
        return None
    minutes = int(match[2]) * 60 + int(match[3])
    # Offsets in use run from -12:00 to +14:00.
    if minutes > 14 * 60:
        return None
    return -minutes if match[1] == b"-" else minutes
