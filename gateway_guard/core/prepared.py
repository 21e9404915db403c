"""What a policy's `identify` and `inspect` sections need at every request, built once."""

from __future__ import annotations

from typing import Final

from gateway_guard.core import client_ip, dialects, paths
from gateway_guard.core.caps import caps_of
from gateway_guard.core.phrases import Phrases
from gateway_guard.core.sections import AccountSource, Identify, Inspect
from gateway_guard.types import Dialect

#: Longest path remembered with what it means, bytes, and most of them.
LONGEST_REMEMBERED: Final = 256
MOST_REMEMBERED: Final = 4096

#: (canonical path, dialect of the model route, model the path decides on, members that bound the
#: output there); None for none, of the last: any.
Place = tuple[str | None, Dialect | None, str | None, tuple[str, ...] | None]


class Prepared:
    """Two sections, and everything that follows from them alone.

    Attributes:
        trust: whose forwarding headers are believed.
        by_peer: nobody is believed about anything, so the peer is the client.
        sources: (source, its header in either spelling, sources of tokens tried there), in the
            policy's order. Tokens in one header are tried by all that read it where the first one
            stands.
        schemed: whether Authorization is read.
        bearer: whether a bearer token in Authorization that comes alone is an API key.
        rivals: the other headers an account may be recognised by.
        keyed: whether an API key names an account anywhere.
        phrases: the scanner of the policy's own phrases; None when it has none.
        tls: header in which a trusted edge hands over a fingerprint; None for none.
        places: request target → what it means; bounded.
    """

    __slots__ = (
        "_routes", "bearer", "by_peer", "identify", "inspect", "keyed", "phrases", "places",
        "rivals", "schemed", "sources", "tls", "trust",
    )  # fmt: skip

    def __init__(self, identify: Identify, inspect: Inspect) -> None:
        self.identify = identify
        self.inspect = inspect
        self.trust = client_ip.Trust(identify.trusted)
        self.tls = identify.tls_header.lower().encode() if identify.tls_header else None
        self.phrases = (
            Phrases(((phrase, phrase) for phrase in inspect.phrases), spelled=True)
            if inspect.phrases
            else None
        )
        self.by_peer = not identify.trusted and not identify.trust_unix
        # The guard's own headers are never believed from outside. Applications behind CGI's and
        # WSGI's way of naming headers read a key in `x_api_key` as one in `x-api-key`.
        accounts = [
            source
            for source in identify.accounts
            if source.kind == "state" or not source.header.startswith("x-guard-")
        ]
        tokens: dict[str, list[AccountSource]] = {}
        for source in accounts:
            if source.kind == "jwt":
                tokens.setdefault(source.header, []).append(source)
        self.sources = tuple(
            (source, header, tuple(tokens.get(source.header, ())))
            for source in accounts
            if source.kind != "jwt" or source is tokens[source.header][0]
            for header in sorted({source.header.encode(), source.header.replace("-", "_").encode()})
        )
        kinds = {source.kind for source in accounts if source.header == "authorization"}
        self.schemed = bool(kinds)
        self.bearer = kinds == {"header"}
        self.keyed = any(source.kind == "header" for source, _, _ in self.sources)
        self.rivals = frozenset(header for _, header, _ in self.sources) - {b"authorization"}
        self._routes = dialects.compile_routes(identify.model_routes)
        self.places: dict[bytes, Place] = {}

    def place(self, raw_path: bytes) -> Place:
        """What a request target means."""
        place = self.places.get(raw_path)
        if place is None:
            path = paths.canonical(raw_path)
            place = (
                path,
                None if path is None else dialects.route(path, self._routes),
                None if path is None else dialects.model_by_path(path),
                None if path is None else caps_of(path),
            )
            if len(raw_path) <= LONGEST_REMEMBERED:
                if len(self.places) >= MOST_REMEMBERED:
                    self.places.clear()
                self.places[raw_path] = place
        return place


#: By identity of the two sections: they are frozen, and hashing them would cost more than the
#: request. An entry keeps its sections alive, so an id cannot come to mean another object.
kept: dict[tuple[int, int], Prepared] = {}
MOST_KEPT: Final = 16
NO_INSPECT: Final = Inspect()
#: The one used last: a process has one policy in force. Whoever reads it compares the sections.
latest = Prepared(Identify(), NO_INSPECT)


def prepare(identify: Identify, inspect: Inspect) -> Prepared:
    """The prepared form of two sections; `latest` from now on."""
    global latest
    key = (id(identify), id(inspect))
    ready = kept.get(key)
    if ready is None:
        if len(kept) >= MOST_KEPT:
            kept.clear()
        ready = kept[key] = Prepared(identify, inspect)
    latest = ready
    return ready
