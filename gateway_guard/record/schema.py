"""The decision log's fields: the one table of what a line may hold, and what it never holds.

A line is one JSON object, UTF-8, ended by a newline. A field that is not `always` there is left out
when it has no value (absent means null or empty). Nothing the client wrote is in it except method,
path without query string, and model name. Never: prompt or completion text, credentials, header
values, query strings.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from gateway_guard.types import CredentialFault

#: Every value of `credential_fault`; `CredentialFault.meaning` says each in a clause.
FAULTS: Final = tuple(fault.value for fault in CredentialFault)


class Field(NamedTuple):
    """One field of a line.

    Attributes:
        name: its JSON key; `signals[].score` is the key `score` of each object in `signals`.
        type: JSON type: string, number, integer, boolean, array of string, array of object.
        always: whether every line has it (for `parent[].name`: whether every such object has it).
        meaning: what it says, with unit and range.
    """

    name: str
    type: str
    always: bool
    meaning: str


FIELDS: Final = (
    Field("time", "string", True, "arrival, RFC 3339 in UTC with microseconds"),
    Field("id", "string", True, "request id, the one the client was shown"),
    Field("action", "string", True, "decided: allow, restrict, challenge, throttle or deny"),
    Field("acted", "boolean", True, "whether it was carried out; false in shadow"),
    Field("rule", "string", False, "rule that decided; limit:NAME, guard:NAME; absent: default"),
    Field("where", "string", False, "file:line of that rule"),
    Field("reason", "string", False, "why, in words"),
    Field("status", "integer", False, "HTTP status of the refusal (also when only decided)"),
    Field("retry_after", "number", False, "seconds until the same request would fit, exact"),
    Field("restrictions", "object", False, "what `restrict` took away"),
    Field("tarpit", "number", False, "seconds the refusal was held back"),
    Field(
        "shadow",
        "array of object",
        False,
        "rules that matched in rehearsal, in file order, then limits (`limit:NAME`) without room",
    ),
    Field("shadow[].rule", "string", True, "its name"),
    Field("shadow[].action", "string", True, "what it would have done"),
    Field("account", "string", False, "keyed digest acct_…; absent: no credential"),
    Field("credential", "string", False, "how the account was recognised: bearer, jwt, …"),
    Field("credential_fault", "string", False, f"why it names none: {', '.join(FAULTS)}"),
    Field("organisation", "string", False, "who pays for the account, as the directory says"),
    Field("account_age", "number", False, "seconds since the account was made"),
    Field("tier", "string", False, "the account's tier, as the directory says"),
    Field("verified", "boolean", False, "whether somebody checked who the account is"),
    Field("vouched", "boolean", False, "whether it met a challenge, and that still counts"),
    Field("challenged", "boolean", False, "whether a person asked it to verify itself"),
    Field("tags", "array of string", False, "the operator's labels of the account"),
    Field("client_ip", "string", False, "client IP after trusted hops; or its subnet, by setting"),
    Field("ip_source", "string", True, "where the client IP came from, in words"),
    Field("country", "string", False, "ISO 3166-1 alpha-2 of the address"),
    Field("asn", "integer", False, "autonomous system number of the address"),
    Field("as_org", "string", False, "operator of that autonomous system"),
    Field("network", "array of string", False, "hosting proxy relay residential tor vpn; unknown"),
    Field("method", "string", True, "HTTP method; WEBSOCKET for a handshake"),
    Field("path", "string", False, "canonical path, at most 256 characters; absent: ambiguous"),
    Field("dialect", "string", True, "openai, anthropic or other"),
    Field("model", "string", False, "model asked for, at most 128 characters"),
    Field("inspection", "string", True, "none, full, unseen, or why the body could not be read"),
    Field("stream", "boolean", False, "true when the client asked for a stream"),
    Field("risk", "number", True, "in [0, 1]"),
    Field("signals", "array of object", False, "what detectors saw, strongest first"),
    Field("signals[].name", "string", True, "the detector"),
    Field("signals[].score", "number", True, "in [0, 1]"),
    Field("signals[].evidence", "string", True, "the measured value and its threshold"),
    Field("campaign", "string", False, "campaign the account is held to belong to"),
    Field("confidence", "number", False, "how sure that is, in [0, 1]"),
    Field("indicators", "array of object", False, "shared indicators that match, surest first"),
    Field("indicators[].name", "string", True, "what its source calls it, e.g. a campaign"),
    Field("indicators[].source", "string", True, "who said so, as named when it was imported"),
    Field("indicators[].kind", "string", True, "network, client, template or tls"),
    Field("indicators[].confidence", "number", True, "how sure the source is, in [0, 1]"),
    Field("indicators[].at", "number", True, "Unix seconds since when it holds"),
    Field("limits", "array of object", False, "every limit's answer, in policy order"),
    Field("limits[].limit", "string", True, "its name"),
    Field("limits[].unit", "string", True, "requests, tokens, input-tokens, … or concurrent"),
    Field("limits[].allowed", "boolean", True, "whether it had room"),
    Field("limits[].cost", "number", True, "units reserved, or asked for when refused"),
    Field("limits[].remaining", "number", True, "units left right then"),
    Field("limits[].capacity", "number", True, "most units that may be outstanding at once"),
    Field("limits[].quota", "number", True, "units per window, after adaptation"),
    Field("limits[].window", "number", True, "seconds; 0 for concurrent"),
    Field("outcome", "string", False, "completed, refused, client-gone, upstream-cut, …"),
    Field(
        "upstream_status",
        "integer",
        False,
        "HTTP status of the answer; the sidecar's own 502 or "
        "504 where the upstream gave none (outcome upstream-error)",
    ),
    Field("input_tokens", "integer", False, "tokens read; absent: nobody said"),
    Field("output_tokens", "integer", False, "tokens written; absent: nobody said"),
    Field("usage_reported", "boolean", False, "true when the upstream counted, else estimated"),
    Field(
        "degraded",
        "array of string",
        False,
        "failed: store, network, accounts, campaigns, signals, jwks, guard",
    ),
    Field("policy", "string", True, "digest of the policy that decided"),
)
