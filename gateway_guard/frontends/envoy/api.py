"""Envoy's messages, as far as they are read or written here.

Only the fields used are described; the others of a message are skipped when it is read. The
descriptions live in a pool of their own: an application that has Envoy's complete API loaded, or
any other with the same file names, is not disturbed.

Why this and not something else. Generated modules are bound to the protobuf release that made them,
and published packages of Envoy's API bring their own copies of `google.rpc` and `opentelemetry`,
which clash with those of others. A reader of our own took 24 µs for a question with 20 fields where
protobuf takes 8 µs, and would be ours to get right.

Strings are declared as bytes, which is the same on the wire: a value that is not UTF-8 is then
nobody's exception. Maps are declared as the repeated entries that they are on the wire.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

#: Where our names live in our pool; not on the wire.
_PACKAGE: Final = "gateway_guard.envoy"
#: Word of the table → type of a field. Any other word is a message of the table.
_SCALARS: Final = {
    "bytes": FieldDescriptorProto.TYPE_BYTES,
    "bool": FieldDescriptorProto.TYPE_BOOL,
    "double": FieldDescriptorProto.TYPE_DOUBLE,
    "enum": FieldDescriptorProto.TYPE_INT32,
    "int32": FieldDescriptorProto.TYPE_INT32,
    "int64": FieldDescriptorProto.TYPE_INT64,
    "uint32": FieldDescriptorProto.TYPE_UINT32,
    "uint64": FieldDescriptorProto.TYPE_UINT64,
}

#: Full name of the message in Envoy's API → its fields: `name number type`, `*` for repeated ones.
#: A name ending in `Entry` is one of a map.
MESSAGES: Final[Mapping[str, str]] = {
    # -- envoy.service.auth.v3 ------------------------------------------------------------------
    "envoy.service.auth.v3.CheckRequest": "attributes 1 AttributeContext",
    "envoy.service.auth.v3.AttributeContext": "source 1 Peer, request 4 Request",
    "envoy.service.auth.v3.AttributeContext.Peer": "address 1 Address",
    "envoy.service.auth.v3.AttributeContext.Request": "http 2 HttpRequest",
    "envoy.service.auth.v3.AttributeContext.HttpRequest": (
        "method 2 bytes, headers 3 HeadersEntry*, path 4 bytes, body 11 bytes, "
        "raw_body 12 bytes, header_map 13 HeaderMap"
    ),
    "envoy.service.auth.v3.AttributeContext.HttpRequest.HeadersEntry": "key 1 bytes, value 2 bytes",
    "envoy.service.auth.v3.CheckResponse": (
        "status 1 Status, denied_response 2 DeniedHttpResponse, ok_response 3 OkHttpResponse, "
        "dynamic_metadata 4 Struct"
    ),
    "envoy.service.auth.v3.DeniedHttpResponse": (
        "status 1 HttpStatus, headers 2 HeaderValueOption*, body 3 bytes"
    ),
    "envoy.service.auth.v3.OkHttpResponse": (
        "headers 2 HeaderValueOption*, headers_to_remove 5 bytes*, "
        "response_headers_to_add 6 HeaderValueOption*"
    ),
    # -- envoy.service.ratelimit.v3 -------------------------------------------------------------
    "envoy.service.ratelimit.v3.RateLimitRequest": (
        "domain 1 bytes, descriptors 2 RateLimitDescriptor*, hits_addend 3 uint32"
    ),
    "envoy.extensions.common.ratelimit.v3.RateLimitDescriptor": (
        "entries 1 Entry*, hits_addend 3 UInt64Value"
    ),
    "envoy.extensions.common.ratelimit.v3.RateLimitDescriptor.Entry": "key 1 bytes, value 2 bytes",
    "envoy.service.ratelimit.v3.RateLimitResponse": (
        "overall_code 1 enum, statuses 2 DescriptorStatus*, response_headers_to_add 3 HeaderValue*,"
        " raw_body 5 bytes"
    ),
    "envoy.service.ratelimit.v3.RateLimitResponse.DescriptorStatus": (
        "code 1 enum, current_limit 2 RateLimit, limit_remaining 3 uint32, "
        "duration_until_reset 4 Duration"
    ),
    "envoy.service.ratelimit.v3.RateLimitResponse.RateLimit": (
        "requests_per_unit 1 uint32, unit 2 enum, name 3 bytes"
    ),
    # -- envoy.service.accesslog.v3 -------------------------------------------------------------
    "envoy.service.accesslog.v3.StreamAccessLogsMessage": "http_logs 2 HTTPAccessLogEntries",
    "envoy.service.accesslog.v3.StreamAccessLogsMessage.HTTPAccessLogEntries": (
        "log_entry 1 HTTPAccessLogEntry*"
    ),
    "envoy.service.accesslog.v3.StreamAccessLogsResponse": "",
    "envoy.data.accesslog.v3.HTTPAccessLogEntry": (
        "common_properties 1 AccessLogCommon, response 4 HTTPResponseProperties"
    ),
    "envoy.data.accesslog.v3.AccessLogCommon": (
        "response_flags 16 ResponseFlags, metadata 17 Metadata, intermediate_log_entry 27 bool, "
        "access_log_type 33 enum"
    ),
    "envoy.data.accesslog.v3.ResponseFlags": (
        "no_healthy_upstream 2 bool, upstream_request_timeout 3 bool, local_reset 4 bool, "
        "upstream_remote_reset 5 bool, upstream_connection_failure 6 bool, "
        "upstream_connection_termination 7 bool, upstream_overflow 8 bool, no_route_found 9 bool, "
        "downstream_connection_termination 15 bool, upstream_retry_limit_exceeded 16 bool, "
        "stream_idle_timeout 17 bool, upstream_max_stream_duration_reached 20 bool, "
        "duration_timeout 23 bool, upstream_protocol_error 24 bool, no_cluster_found 25 bool, "
        "overload_manager 26 bool, dns_resolution_failure 27 bool, downstream_remote_reset 28 bool"
    ),
    "envoy.data.accesslog.v3.HTTPResponseProperties": (
        "response_code 1 UInt32Value, response_headers 4 ResponseHeadersEntry*, "
        "response_trailers 5 ResponseTrailersEntry*"
    ),
    "envoy.data.accesslog.v3.HTTPResponseProperties.ResponseHeadersEntry": (
        "key 1 bytes, value 2 bytes"
    ),
    "envoy.data.accesslog.v3.HTTPResponseProperties.ResponseTrailersEntry": (
        "key 1 bytes, value 2 bytes"
    ),
    # -- shared ---------------------------------------------------------------------------------
    "envoy.config.core.v3.Address": "socket_address 1 SocketAddress, pipe 2 Pipe",
    "envoy.config.core.v3.SocketAddress": "address 2 bytes",
    "envoy.config.core.v3.Pipe": "path 1 bytes",
    "envoy.config.core.v3.HeaderMap": "headers 1 HeaderValue*",
    "envoy.config.core.v3.HeaderValue": "key 1 bytes, value 2 bytes, raw_value 3 bytes",
    "envoy.config.core.v3.HeaderValueOption": "header 1 HeaderValue, append_action 3 enum",
    "envoy.config.core.v3.Metadata": "filter_metadata 1 FilterMetadataEntry*",
    "envoy.config.core.v3.Metadata.FilterMetadataEntry": "key 1 bytes, value 2 Struct",
    "envoy.type.v3.HttpStatus": "code 1 enum",
    "google.rpc.Status": "code 1 int32",
    "google.protobuf.Struct": "fields 1 FieldsEntry*",
    "google.protobuf.Struct.FieldsEntry": "key 1 bytes, value 2 Value",
    "google.protobuf.Value": "number_value 2 double, string_value 3 bytes",
    "google.protobuf.Duration": "seconds 1 int64, nanos 2 int32",
    "google.protobuf.UInt32Value": "value 1 uint32",
    "google.protobuf.UInt64Value": "value 1 uint64",
}


def _classes() -> dict[str, Any]:
    # proto2: what is set is written even where it is 0, as a risk in a metadata value has to be.
    file = FileDescriptorProto(name="gateway_guard/envoy.proto", package=_PACKAGE, syntax="proto2")
    for full_name, fields in MESSAGES.items():
        message = file.message_type.add(name=full_name.rpartition(".")[2])
        for line in filter(None, fields.split(",")):
            name, number, kind = line.split()
            repeated = kind.endswith("*")
            field = message.field.add(
                name=name,
                number=int(number),
                label=FieldDescriptorProto.LABEL_REPEATED
                if repeated
                else FieldDescriptorProto.LABEL_OPTIONAL,
            )
            kind = kind.rstrip("*")
            scalar = _SCALARS.get(kind)
            if scalar is not None:
                field.type = scalar
            else:
                field.type = FieldDescriptorProto.TYPE_MESSAGE
                field.type_name = f".{_PACKAGE}.{kind}"
    pool = DescriptorPool()
    pool.Add(file)
    found = {}
    for message in file.message_type:
        descriptor = pool.FindMessageTypeByName(f"{_PACKAGE}.{message.name}")
        found[message.name] = GetMessageClass(descriptor)
    return found


# Made from descriptions at import, so no type checker knows their fields.
_CLASSES: Final = _classes()
CheckRequest: Final[Any] = _CLASSES["CheckRequest"]
CheckResponse: Final[Any] = _CLASSES["CheckResponse"]
RateLimitRequest: Final[Any] = _CLASSES["RateLimitRequest"]
RateLimitResponse: Final[Any] = _CLASSES["RateLimitResponse"]
StreamAccessLogsMessage: Final[Any] = _CLASSES["StreamAccessLogsMessage"]
