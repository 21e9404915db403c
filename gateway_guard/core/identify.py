"""Wire → Request: who is asking, from where, for what. Pure and total: no bytes make it raise."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from gateway_guard.core import body as bodies
from gateway_guard.core import dialects, front_page, hints, members, prepared, prompt
from gateway_guard.core.account import account
from gateway_guard.core.caps import caps_told
from gateway_guard.core.fields import Headers, lines_of
from gateway_guard.core.offered_key import OFFERS, with_offered_key
from gateway_guard.core.origin import origin
from gateway_guard.core.query_key import with_query_key
from gateway_guard.core.query_model import agreed
from gateway_guard.core.query_type import type_in_query
from gateway_guard.core.sections import Identify, Inspect
from gateway_guard.core.seeds import seeds
from gateway_guard.core.tokens import Keys
from gateway_guard.types import Dialect, Inspection, PromptShape, Request, Wire

#: Looking up a member of an enumeration costs more than comparing with it.
_NONE: Final = Inspection.NONE
_FULL: Final = Inspection.FULL
_OTHER: Final = Dialect.OTHER


def needs_body(identify: Identify, method: str, raw_path: bytes, headers: Headers) -> bool:
    """Whether the frontend must read the body before `identify`: on every model route.

    Whatever the method and whatever the headers say of a body: an upstream may read one that comes
    with GET, and HTTP/2 announces none. An ambiguous path needs none; it is refused, not read.
    Of `/` see `front_page`.
    """
    if method == "WEBSOCKET":
        return False
    ready = prepared.latest
    if ready.identify is not identify:
        ready = prepared.prepare(identify, prepared.NO_INSPECT)
    place = ready.places.get(raw_path) or ready.place(raw_path)
    if place[1] is None and place[0] == "/":
        return front_page.may_ask(method, headers)
    return place[1] is not None


def identify(
    wire: Wire,
    policy_identify: Identify,
    inspect: Inspect,
    *,
    id: str,
    at: float,
    secret: bytes,
    keys: Keys,
    group_key: bytes | None = None,
) -> Request:
    """Everything later stages may know of what arrived. Never raises, whatever the bytes.

    `at` is Unix seconds; `secret` keys every digest, but `group_key` those of templates and client
    software where it is given; `keys` are the key sets at hand, by URL.
    Header names are lower case, as ASGI has them.
    """
    ready = prepared.latest
    if ready.identify is not policy_identify or ready.inspect is not inspect:
        ready = prepared.prepare(policy_identify, inspect)
    headers = wire.headers
    fields = dict(headers)
    repeated = len(fields) != len(headers)

    path, dialect, placed, caps = ready.places.get(wire.raw_path) or ready.place(wire.raw_path)
    front = dialect is None and path == "/" and front_page.may_ask(wire.method, headers)
    if front:
        dialect = _OTHER
    model_route = dialect is not None
    address, subnet, source, trusted = origin(wire, ready, fields, repeated)
    # Where the policy names proxies, one of them has to have brought what they verify.
    believed = trusted or wire.asked or ready.by_peer
    seen = account(wire, ready, fields, repeated, at, secret, keys, believed)
    if wire.method == "WEBSOCKET" and OFFERS in fields:
        seen = with_offered_key(seen, wire, ready, at, secret, keys, believed)
    if (
        wire.query
        and ready.keyed
        and path is not None
        and dialect is not None
        # Google's paths are nearly all of no known dialect; some are OpenAI's.
        and (dialect is _OTHER or wire.method == "WEBSOCKET" or dialects.own_words(path))
    ):
        seen = with_query_key(seen, wire.method, path, wire.query, secret)
    who, credential, fault, said = seen
    digesting = seeds(secret if group_key is None else group_key)
    tls = fields.get(ready.tls) if trusted and ready.tls is not None else None

    inspection: Inspection = _NONE
    model: str | None = None
    shape: PromptShape | None = None
    document: dict[str, Any] | None = None
    if dialect is None:
        dialect = dialects.by_client(path, fields)
    elif wire.body_too_large:
        inspection = Inspection.TOO_LARGE
    elif wire.unseen:
        inspection = Inspection.UNSEEN
    elif wire.body:
        if repeated or b"content-encoding" in fields:
            inspection, document = bodies.read(
                wire.body,
                _declared(lines_of(headers, fields, repeated, b"content-type"), path),
                lines_of(headers, fields, repeated, b"content-encoding"),
                inspect.max_body,
            )
        else:
            kind = fields.get(b"content-type")
            inspection, document = bodies.read(
                wire.body, _declared([] if kind is None else [kind], path), (), inspect.max_body
            )
        if wire.query and document is not None:
            inspection = type_in_query(path or "", wire.query)
            if inspection is not _FULL:
                document = None
        if document is not None:
            try:
                # Where the path decides upstream, what the body says is an ornament.
                model = members.model_of(document)
                if wire.query and placed is None:
                    model = agreed(model, wire.query)
                model = placed or model or dialects.model_in_path(path or "")
                if model is not None and len(model) > members.LONGEST_MODEL:
                    raise members.Misshapen
                shape = prompt.shape(
                    document,
                    digesting,
                    ready.phrases,
                    digests=inspect.shapes,
                    assumed_output_tokens=inspect.default_output_tokens,
                    keep=inspect.keep_samples,
                    caps=caps_told(path, document) if caps is None else caps,
                )
            except members.Misshapen:
                inspection, model = Inspection.SHAPE, None
            if dialect is _OTHER:
                if shape is not None and not shape.stream and dialects.streams(path, document):
                    shape = msgspec.structs.replace(shape, stream=True)
                if not dialects.own_words(path or ""):
                    dialect = dialects.by_headers(fields)
                    if dialect is _OTHER:
                        dialect = dialects.by_body(document)
    else:
        # Nothing is asked of it, but where the path decides it is that model; sockets say it in
        # their query.
        model = placed
        if model is not None and len(model) > members.LONGEST_MODEL:
            inspection, model = Inspection.SHAPE, None
        if wire.query and placed is None:
            try:
                model = agreed(None, wire.query)
            except members.Misshapen:
                inspection = Inspection.SHAPE
    if front and not front_page.asks(inspection, document):
        model_route, inspection, model, shape = False, _NONE, None, None
        dialect = dialects.by_client(path, fields)
    # At most 15 members in one call, here and in `prompt.shape`: beyond that CPython passes them in
    # a dict, which costs 0.5 µs, ten times the record. So the rarest members are put in afterwards.
    request = Request(
        id=id,
        at=at,
        method=wire.method,
        path=path,
        dialect=dialect,
        model_route=model_route,
        model=model,
        client_ip=address,
        ip_source=source,
        subnet=subnet,
        account=who,
        credential=credential,
        client=hints.client(fields, tls, digesting),
        inspection=inspection,
        prompt=shape,
    )
    if fault is None and said is None:
        return request
    return msgspec.structs.replace(request, credential_fault=fault, said=said)


#: What `curl -d` says of every body.
_CURLS: Final = b"application/x-www-form-urlencoded"


def _declared(content_types: list[bytes], path: str | None) -> list[bytes]:
    """The lines of Content-Type that the upstream at canonical `path` heeds.

    Ollama heeds none, and its own manual asks with `curl -d`. Others read forms where one is
    declared (LiteLLM at every path of OpenAI's), so there it stays what it says it is.
    """
    if content_types == [_CURLS] and path is not None and dialects.ollama(path):
        return []
    return content_types
