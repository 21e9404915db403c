"""Questions as Envoy writes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway_guard.frontends.envoy import api
from tests.frontends.asking import CHAT

CLIENT = "192.0.2.7"


def check(
    path: str = CHAT, *, method: str = "POST", body: bytes = b"", key: str | None = "sk-1",
    source: str | None = CLIENT, raw: bool = True, text_body: bool = False, host: str = "api.test",
    headers: Mapping[str, str] | None = None,
) -> Any:  # fmt: skip
    """A `CheckRequest`, for tests to change before they serialise it."""
    message = api.CheckRequest()
    http = message.attributes.request.http
    http.method, http.path = method.encode(), path.encode()
    if source is not None:
        message.attributes.source.address.socket_address.address = source.encode()
    fields = {":authority": host, ":method": method, ":path": path, ":scheme": "https"}
    if key is not None:
        fields["authorization"] = f"Bearer {key}"
    if body:
        fields["content-type"] = "application/json"
        if text_body:
            http.body = body
        else:
            http.raw_body = body
    for name, value in (fields | dict(headers or {})).items():
        if raw:
            http.header_map.headers.add(key=name.encode(), raw_value=value.encode("latin-1"))
        else:
            http.headers.add(key=name.encode(), value=value.encode())
    return message


def rate(
    *descriptors: Mapping[str, str], hits: int | None = None, domain: str = "gateway_guard",
    own: int | None = None,
) -> bytes:  # fmt: skip
    """A serialised `RateLimitRequest`; `own` is the `hits_addend` of every descriptor."""
    message = api.RateLimitRequest(domain=domain.encode())
    if hits is not None:
        message.hits_addend = hits
    for entries in descriptors:
        descriptor = message.descriptors.add()
        if own is not None:
            descriptor.hits_addend.value = own
        for key, value in entries.items():
            descriptor.entries.add(key=key.encode(), value=value.encode())
    serialised: bytes = message.SerializeToString()
    return serialised


def logged(
    request_id: str | None = "r_1", *, status: int | None = 200, flags: tuple[str, ...] = (),
    decision: Mapping[str, str | float] | None = None,
    metadata: Mapping[str, Mapping[str, str | float]] | None = None,
    headers: Mapping[str, str] | None = None, trailers: Mapping[str, str] | None = None,
    kind: int = 6, intermediate: bool = False,
) -> Any:  # fmt: skip
    """A `StreamAccessLogsMessage` with one entry."""
    message = api.StreamAccessLogsMessage()
    entry = message.http_logs.log_entry.add()
    common = entry.common_properties
    common.access_log_type = kind
    common.intermediate_log_entry = intermediate
    for flag in flags:
        setattr(common.response_flags, flag, True)
    spaces = dict(metadata or {})
    if request_id is not None:
        spaces["envoy.filters.http.ext_authz"] = {"request_id": request_id, **(decision or {})}
    for namespace, values in spaces.items():
        space = common.metadata.filter_metadata.add(key=namespace.encode())
        for key, value in values.items():
            field = space.value.fields.add(key=key.encode()).value
            if isinstance(value, str):
                field.string_value = value.encode()
            else:
                field.number_value = value
    if status is not None:
        entry.response.response_code.value = status
    for name, value in (headers or {}).items():
        entry.response.response_headers.add(key=name.encode(), value=value.encode())
    for name, value in (trailers or {}).items():
        entry.response.response_trailers.add(key=name.encode(), value=value.encode())
    return message
