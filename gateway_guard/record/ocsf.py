"""A line of the decision log → an event of the Open Cybersecurity Schema Framework. Pure.

HTTP Activity (class 4002) of OCSF 1.8.0 with the profile `security_control`; with `host`, which has
the actor, where an account is known, and `osint` where a shared indicator matched. What it has no
name for stands in `unmapped`, named as in the line. As the line itself, it holds nothing a client
wrote but method, path and model.

Source: github.com/ocsf/ocsf-schema at 1.8.0, `events/network/http_activity.json`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from gateway_guard import __version__
from gateway_guard.record.risks import CRITICAL, HIGH, LOW, MEDIUM

VERSION: Final = "1.8.0"
CLASS: Final = 4002

#: Method → `activity_id` and its caption.
ACTIVITIES: Final[Mapping[str, tuple[int, str]]] = {
    "CONNECT": (1, "Connect"),
    "DELETE": (2, "Delete"),
    "GET": (3, "Get"),
    "HEAD": (4, "Head"),
    "OPTIONS": (5, "Options"),
    "POST": (6, "Post"),
    "PUT": (7, "Put"),
    "TRACE": (8, "Trace"),
    "PATCH": (9, "Patch"),
}
#: Action that was carried out → `action_id`, `disposition_id`, with their captions, `severity_id`.
DISPOSITIONS: Final[Mapping[str, tuple[int, str, int, str, int]]] = {
    "allow": (1, "Allowed", 1, "Allowed", 1),
    "restrict": (4, "Modified", 99, "Restricted", 2),
    "challenge": (2, "Denied", 23, "Challenge", 3),
    "throttle": (2, "Denied", 25, "Rejected", 2),
    "deny": (2, "Denied", 2, "Blocked", 3),
}
#: The same of whatever was only rehearsed.
_REHEARSED: Final = (3, "Observed", 17, "Logged", 1)
_SEVERITIES: Final = ("Unknown", "Informational", "Low", "Medium", "High")
#: From which risk on a level begins. Not measured.
_RISKS: Final = (
    (CRITICAL, 4, "Critical"), (HIGH, 3, "High"), (MEDIUM, 2, "Medium"), (LOW, 1, "Low"),
)  # fmt: skip

#: Fields of the line that OCSF has no name for.
OWN: Final = (
    "acted", "retry_after", "restrictions", "tarpit", "shadow", "credential", "credential_fault",
    "account_age", "tier", "verified", "vouched", "challenged", "tags", "ip_source", "network",
    "dialect", "model", "inspection", "stream", "signals", "campaign", "confidence", "limits",
    "outcome", "input_tokens", "output_tokens", "usage_reported", "degraded",
)  # fmt: skip
#: Fields of the line that become part of something.
TURNED: Final = frozenset((
    "time", "id", "action", "rule", "where", "reason", "status", "account", "organisation",
    "client_ip", "country", "asn", "as_org", "method", "path", "risk", "indicators",
    "upstream_status", "policy",
))  # fmt: skip


def ocsf(line: Mapping[str, Any]) -> dict[str, Any]:
    """The event of one line, decoded."""
    action = line["action"]
    done = DISPOSITIONS[action] if line["acted"] or action == "allow" else _REHEARSED
    action_id, action_name, disposition_id, disposition, severity = done
    if line.get("campaign") and severity > 1:
        severity = 4
    method = "GET" if line["method"] == "WEBSOCKET" else line["method"]
    activity, activity_name = ACTIVITIES.get(method, (99, method))
    refused = action_id == 2
    status = line.get("status") if refused else line.get("upstream_status")
    level, level_name = _risk(line["risk"])
    profiles = ["security_control"]
    made: dict[str, Any] = {
        "activity_id": activity,
        "activity_name": activity_name,
        "category_uid": 4,
        "category_name": "Network Activity",
        "class_uid": CLASS,
        "class_name": "HTTP Activity",
        "type_uid": CLASS * 100 + activity,
        "type_name": f"HTTP Activity: {activity_name if activity != 99 else 'Other'}",
        "time": _milliseconds(line["time"]),
        "severity_id": severity,
        "severity": _SEVERITIES[severity],
        "message": f"{action}: {line.get('reason') or 'nothing speaks against it'}",
        "action_id": action_id,
        "action": action_name,
        "disposition_id": disposition_id,
        "disposition": disposition,
        "is_alert": action != "allow",
        "risk_score": round(100.0 * line["risk"]),
        "risk_level_id": level,
        "risk_level": level_name,
        "policy": {"name": "gateway-guard", "uid": line["policy"], "is_applied": line["acted"]},
        "firewall_rule": _rule(line),
        "http_request": _request(line, method),
        "metadata": {
            "version": VERSION,
            "uid": line["id"],
            "log_name": "gateway-guard decisions",
            "profiles": profiles,
            "product": {
                "name": "gateway-guard", "vendor_name": "gateway-guard", "version": __version__
            },
        },
        **_outcome(line, refused),
    }  # fmt: skip
    if status is not None:
        made["http_response"] = {"code": status}
        made["status_code"] = str(status)
    signals = line.get("signals", ())
    if signals:
        made["risk_details"] = "; ".join(f"{one['name']}: {one['evidence']}" for one in signals)
    if line.get("confidence") is not None:
        made["confidence_score"] = round(100.0 * line["confidence"])
    parts = {
        "src_endpoint": _source(line),
        "actor": _actor(line),
        "observables": _observables(line),
    }
    made |= {name: part for name, part in parts.items() if part}
    if "actor" in made:
        profiles.append("host")
    indicators = line.get("indicators", ())
    if indicators:
        profiles.append("osint")
        made["osint"] = [_osint(one) for one in indicators]
    made["unmapped"] = {name: line[name] for name in OWN if name in line}
    if not refused and line.get("status") is not None:
        made["unmapped"]["status"] = line["status"]
    return made


def _milliseconds(time: str) -> int:
    return round(datetime.fromisoformat(time).timestamp() * 1_000)


def _risk(risk: float) -> tuple[int, str]:
    found = next(((level, name) for floor, level, name in _RISKS if risk >= floor), None)
    return found or (0, "Info")


def _rule(line: Mapping[str, Any]) -> dict[str, Any]:
    made = {"name": line.get("rule") or "default", "type": line["action"]}
    if line.get("reason"):
        made["desc"] = line["reason"]
    if line.get("where"):
        made["uid"] = line["where"]
    return made


def _request(line: Mapping[str, Any], method: str) -> dict[str, Any]:
    made: dict[str, Any] = {"uid": line["id"]}
    if method in ACTIVITIES:  # the schema knows no others
        made["http_method"] = method
    if line.get("path") is not None:
        made["url"] = {"path": line["path"]}
    return made


def _outcome(line: Mapping[str, Any], refused: bool) -> dict[str, Any]:
    outcome = line.get("outcome")
    if refused or outcome in ("upstream-error", "upstream-cut"):
        found: dict[str, Any] = {"status_id": 2, "status": "Failure"}
    elif outcome == "completed":
        found = {"status_id": 1, "status": "Success"}
    elif outcome is None:
        return {"status_id": 0, "status": "Unknown"}
    else:
        found = {"status_id": 99, "status": outcome}
    return {**found, "status_detail": outcome or line["action"]}


def _source(line: Mapping[str, Any]) -> dict[str, Any] | None:
    made: dict[str, Any] = {}
    address = line.get("client_ip")
    if address is not None:
        # A subnet is no address.
        made["name" if "/" in address else "ip"] = address
    if line.get("country"):
        made["location"] = {"country": line["country"]}
    system = {
        name: line[field] for name, field in (("number", "asn"), ("name", "as_org"))
        if line.get(field) is not None
    }  # fmt: skip
    if system:
        made["autonomous_system"] = system
    if made and address is None:
        made["name"] = "not logged"  # an endpoint needs one of its names
    return made or None


def _actor(line: Mapping[str, Any]) -> dict[str, Any] | None:
    if line.get("account") is None:
        return None
    user: dict[str, Any] = {"uid": line["account"]}
    if line.get("organisation"):
        user["org"] = {"name": line["organisation"]}
    return {"user": user}


def _observables(line: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = []
    address = line.get("client_ip")
    if address is not None and "/" not in address:
        found.append(
            {"name": "src_endpoint.ip", "type_id": 2, "type": "IP Address", "value": address}
        )
    if line.get("account") is not None:
        found.append(
            {"name": "actor.user.uid", "type_id": 31, "type": "User Object: uid",
             "value": line["account"]}
        )  # fmt: skip
    return found


def _osint(one: Mapping[str, Any]) -> dict[str, Any]:
    sure = one["confidence"]
    level, word = (3, "High") if sure >= 0.7 else (2, "Medium") if sure >= 0.3 else (1, "Low")
    return {
        "value": one["name"],
        "name": one["name"],
        "vendor_name": one["source"],
        # What it matches by is not in the log, only what its source calls it.
        "type_id": 99,
        "type": one["kind"],
        "confidence_id": level,
        "confidence": word,
        "created_time": round(one["at"] * 1_000),
    }
