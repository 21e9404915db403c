"""A line of the decision log → a document of the Elastic Common Schema. Pure.

Fields of ECS 9.3; what it has no name for stands under `gateway_guard`, named as in the line. As
the line itself, it holds nothing a client wrote but method, path and model.

Source: github.com/elastic/ecs, `generated/ecs`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gateway_guard import __version__
from gateway_guard.record.spans import operation_at

VERSION: Final = "9.3.0"

#: ECS field → field of the line it is, as it stands.
PLAIN: Final[Mapping[str, str]] = {
    "@timestamp": "time",
    "event.id": "id",
    "event.action": "action",
    "event.reason": "reason",
    "event.risk_score": "risk",
    "rule.name": "rule",
    "user.id": "account",
    "organization.name": "organisation",
    "source.geo.country_iso_code": "country",
    "source.as.number": "asn",
    "source.as.organization.name": "as_org",
    "http.request.method": "method",
    "url.path": "path",
    "gen_ai.request.model": "model",
    "gen_ai.usage.input_tokens": "input_tokens",
    "gen_ai.usage.output_tokens": "output_tokens",
    "tags": "tags",
}
#: Fields of the line that ECS has no name for.
OWN: Final = (
    "acted", "where", "retry_after", "restrictions", "tarpit", "shadow", "credential",
    "credential_fault", "account_age", "tier", "verified", "vouched", "challenged", "ip_source",
    "network", "dialect", "inspection", "stream", "signals", "campaign", "confidence", "limits",
    "outcome", "usage_reported", "degraded", "policy",
)  # fmt: skip
#: Fields of the line that become several, or others.
TURNED: Final = frozenset(("client_ip", "status", "upstream_status", "indicators"))

_REFUSES: Final = frozenset(("challenge", "throttle", "deny"))
_FAILED: Final = frozenset(("upstream-error", "upstream-cut"))
#: From which confidence on an indicator's is said to be.
_CONFIDENCE: Final = ((0.7, "High"), (0.3, "Medium"), (0.0, "Low"))


def ecs(line: Mapping[str, Any]) -> dict[str, Any]:
    """The document of one line, decoded: nested, without empty fields."""
    flat: dict[str, Any] = {name: line.get(field) for name, field in PLAIN.items()}
    refused = line["acted"] and line["action"] in _REFUSES
    risk = float(line["risk"])
    flat |= {
        "ecs.version": VERSION,
        "event.kind": "alert" if line["action"] != "allow" else "event",
        "event.category": ["api"],
        "event.type": ["access", "denied" if refused else "allowed"],
        "event.outcome": _outcome(line, refused),
        "event.module": "gateway_guard",
        "event.dataset": "gateway_guard.decision",
        "event.provider": "gateway-guard",
        "event.risk_score_norm": round(100.0 * risk, 2),
        "message": f"{line['action']}: {line.get('reason') or 'nothing speaks against it'}",
        "observer.type": "gateway",
        "observer.product": "gateway-guard",
        "observer.version": __version__,
        "rule.name": line.get("rule") or "default",
        "rule.ruleset": line["policy"],
        "http.response.status_code": line.get("status") if refused else line.get("upstream_status"),
        "gen_ai.operation.name": _operation(line),
        "gen_ai.system": line["dialect"] if line["dialect"] != "other" else None,
        "related.user": [line["account"]] if line.get("account") else None,
        "threat.enrichments": [_enrichment(one) for one in line.get("indicators", ())],
    }
    address = line.get("client_ip")
    if address is not None:
        flat["source.address"] = address
        if "/" not in address:  # a subnet is no address
            flat["source.ip"] = address
            flat["related.ip"] = [address]
    own = {name: line[name] for name in OWN if name in line}
    if not refused and line.get("status") is not None:
        own["status"] = line["status"]
    return {**_nested(flat), "gateway_guard": own}


def _outcome(line: Mapping[str, Any], refused: bool) -> str:
    outcome = line.get("outcome")
    if refused or outcome in _FAILED:
        return "failure"
    return "success" if outcome == "completed" else "unknown"


def _operation(line: Mapping[str, Any]) -> str | None:
    path = line.get("path")
    return None if path is None or line["inspection"] == "none" else operation_at(path)


def _enrichment(one: Mapping[str, Any]) -> dict[str, Any]:
    sure = next(word for floor, word in _CONFIDENCE if one["confidence"] >= floor)
    return {
        "indicator": {
            "name": one["name"],
            "provider": one["source"],
            "type": one["kind"],
            "confidence": sure,
            "first_seen": _moment(one["at"]),
        },
        "matched": {"type": "indicator_match_rule"},
    }


def _moment(seconds: float) -> int:
    """As Elasticsearch reads a date that is a number: milliseconds."""
    return round(seconds * 1_000)


def _nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name, value in flat.items():
        if value is None or value in ("", [], ()):
            continue
        *parents, last = name.split(".")
        place = made
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = value
    return made
