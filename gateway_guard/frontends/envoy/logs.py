"""What Envoy's access log says of requests that have ended. Pure.

A request is known by the `request_id` in the metadata of the authorisation, which nobody but the
guard writes; or by `x-guard-request-id` there, where the authorisation goes over HTTP and Envoy is
told to keep that field of its answer (`dynamic_metadata_from_headers`). Not by the logged request
header: where Envoy answered by itself that is still the client's own, and could end somebody else's
request.

Tokens are counted by whoever puts them where Envoy logs them:

| from | input, output, or both together |
| --- | --- |
| metadata `gateway_guard` | `input_tokens`, `output_tokens`, `total_tokens` |
| metadata `io.envoy.ai_gateway` | `llm_input_token`, `llm_output_token`, `llm_total_token` |
| response headers or trailers, logged | `x-guard-{input,output,total}-tokens` |

Without any of them an answer costs its estimate, and one the upstream refused nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from gateway_guard.frontends.envoy.api import StreamAccessLogsMessage
from gateway_guard.types import Outcome, Usage

#: Where the authorisation's metadata lands (`answers`).
_AUTHORISED: Final = b"envoy.filters.http.ext_authz"
#: Namespace of metadata → keys of tokens read, written, and of both together.
_METADATA: Final = (
    (b"gateway_guard", (b"input_tokens", b"output_tokens", b"total_tokens")),
    # As the gateway's own examples name them (`llmRequestCosts[].metadataKey`).
    (b"io.envoy.ai_gateway", (b"llm_input_token", b"llm_output_token", b"llm_total_token")),
)
_HEADERS: Final = (b"x-guard-input-tokens", b"x-guard-output-tokens", b"x-guard-total-tokens")
#: Tokens read, written, both together; None each where nobody says.
_Counted = tuple[int | None, int | None, int | None]
#: `AccessLogType`: not said, and the end of a client's request. Others are about parts of one.
_ENDS: Final = (0, 6)
#: Most tokens believed of one request.
_MOST: Final = 2**53
#: `ResponseFlags` of a request the upstream never answered, however the client was told so …
_UNANSWERED: Final = (
    "no_healthy_upstream", "upstream_request_timeout", "upstream_connection_failure",
    "upstream_overflow", "no_route_found", "no_cluster_found", "dns_resolution_failure",
    "upstream_retry_limit_exceeded", "overload_manager",
)  # fmt: skip
#: … and of one whose answer was cut, or did not come for the same reason.
_CUT: Final = (
    "local_reset", "upstream_remote_reset", "upstream_connection_termination",
    "stream_idle_timeout", "upstream_max_stream_duration_reached", "duration_timeout",
    "upstream_protocol_error",
)  # fmt: skip
_LEFT: Final = ("downstream_connection_termination", "downstream_remote_reset")


def ended(message: bytes) -> list[tuple[str, Usage]]:
    """(Request id, what it cost) of every authorised request that a serialised
    `StreamAccessLogsMessage` says has ended.

    Raises:
        google.protobuf.message.DecodeError: it is none.
    """
    entries = StreamAccessLogsMessage.FromString(message).http_logs.log_entry
    return [found for entry in entries for found in _ended(entry)]


def _ended(entry: Any) -> Iterator[tuple[str, Usage]]:
    common = entry.common_properties
    if common.intermediate_log_entry or common.access_log_type not in _ENDS:
        return
    metadata = {e.key: e.value for e in common.metadata.filter_metadata}
    ours = metadata.get(_AUTHORISED)
    if ours is None:
        return
    decision = _fields(ours)
    name = decision.get(b"request_id", decision.get(b"x-guard-request-id"))
    # A refusal has a status and is settled already.
    if name is None or b"status" in decision:
        return
    yield name.string_value.decode("ascii", "replace"), usage(entry, metadata)


def usage(entry: Any, metadata: Mapping[bytes, Any]) -> Usage:
    """What the request of a log entry cost. `metadata` is the entry's, by namespace.

    Tokens are None, so that the estimate stands, where an answer was delivered and nobody counted.
    """
    read, written, total = _counted(entry.response, metadata)
    status = entry.response.response_code.value or None
    outcome = _outcome(entry.common_properties.response_flags, status)
    reported = read is not None or written is not None or total is not None
    if not reported:
        if outcome is Outcome.UPSTREAM_ERROR or (status is not None and status >= 400):
            # An upstream that only said no has produced nothing anybody pays for.
            read = written = 0
        elif outcome is Outcome.CLIENT_GONE and status is None:
            # The prompt may have reached the model; nothing came back.
            written = 0
    return Usage(
        input_tokens=read, output_tokens=written, total_tokens=total, outcome=outcome,
        status=status, reported=reported,
    )  # fmt: skip


def _outcome(flags: Any, status: int | None) -> Outcome:
    if any(getattr(flags, flag) for flag in _LEFT):
        return Outcome.CLIENT_GONE
    unanswered = status is None or status >= 500
    if unanswered and any(getattr(flags, flag) for flag in (*_UNANSWERED, *_CUT)):
        return Outcome.UPSTREAM_ERROR
    if any(getattr(flags, flag) for flag in _CUT):
        return Outcome.UPSTREAM_CUT
    return Outcome.COMPLETED if status is not None else Outcome.UPSTREAM_ERROR


def _counted(response: Any, metadata: Mapping[bytes, Any]) -> _Counted:
    for namespace, names in _METADATA:
        said = metadata.get(namespace)
        if said is not None:
            fields = _fields(said)
            read, written, total = [_number(fields.get(name)) for name in names]
            if (read, written, total) != (None, None, None):
                return read, written, total
    headers = {e.key: e.value for e in response.response_headers}
    headers |= {e.key: e.value for e in response.response_trailers}
    read, written, total = [_digits(headers.get(name)) for name in _HEADERS]
    return read, written, total


def _fields(struct: Any) -> dict[bytes, Any]:
    return {field.key: field.value for field in struct.fields}


def _number(value: Any) -> int | None:
    """A whole number of tokens in a metadata value, number or digits; None for anything else."""
    if value is None:
        return None
    if value.HasField("number_value"):
        number = value.number_value
        return int(number) if 0.0 <= number <= _MOST else None
    return _digits(value.string_value)


def _digits(text: bytes | None) -> int | None:
    if not text or len(text) > 16 or not text.isdigit():
        return None
    return min(int(text), _MOST)
