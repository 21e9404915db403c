"""A stand-in for CrowdSec's local API: it is not CrowdSec, which cannot be run here.

It follows the OpenAPI document of that API (`localapi_swagger.yaml`) in paths, credentials,
statuses, required fields and their types, and its manual in this: the cursor of a decision stream
belongs to the key.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from email.message import Message
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.answering import Answering

#: Field → type, as `required` and `properties` have them.
ALERT = {
    "scenario": str, "scenario_hash": str, "scenario_version": str, "message": str,
    "events_count": int, "start_at": str, "stop_at": str, "capacity": int, "leakspeed": str,
    "simulated": bool, "events": list, "source": dict,
}  # fmt: skip
DECISION = dict.fromkeys(("origin", "type", "scope", "value", "duration", "scenario"), str)
SOURCE = {"scope": str, "value": str}
#: Those a machine may not set.
READ_ONLY = {"id", "machine_id", "created_at", "uuid"}


def decision(**fields: Any) -> dict[str, Any]:
    """A ban of an address for four hours."""
    return {
        "id": 1, "origin": "crowdsec", "type": "ban", "scope": "Ip", "value": "203.0.113.7",
        "duration": "3h59m12.5s", "scenario": "crowdsecurity/http-probing", "simulated": False,
    } | fields  # fmt: skip


class StandIn(Answering):
    """One API.

    Attributes:
        url: as a client is given it.
        asked: method and path with query of every request.
        alerts: what machines pushed.
        broken: whether it answers 500.
    """

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.broken = False
        self.alerts: list[dict[str, Any]] = []
        self._events: list[tuple[str, dict[str, Any]]] = []
        self._cursors: dict[str, int] = {"bouncer-key": 0, "other-key": 0}
        super().__init__(self._answer)
        self.url = f"{self.origin}/v1/"

    def _answer(
        self, method: str, path: str, headers: Message, body: bytes
    ) -> tuple[int, str, bytes]:
        self.asked.append(f"{method} {path}")
        if method == "GET":
            status, document = self.get(path, headers.get("X-Api-Key", ""))
        else:
            kind, token = headers.get("Content-Type", ""), headers.get("Authorization", "")
            status, document = self.post(path, kind, token, json.loads(body))
        return status, "application/json; charset=utf-8", json.dumps(document).encode()

    def decide(self, *decisions: dict[str, Any]) -> None:
        """Make decisions."""
        self._events += [("new", one) for one in decisions]

    def end(self, *decisions: dict[str, Any]) -> None:
        """End decisions."""
        self._events += [("deleted", one | {"duration": "-5s"}) for one in decisions]

    def get(self, target: str, key: str) -> tuple[int, object]:
        """What `GET target` answers to the holder of `key`."""
        path, query = urlsplit(target).path, parse_qs(urlsplit(target).query)
        if self.broken:
            return 500, {"message": "something is wrong"}
        if key not in self._cursors:
            return 403, {"message": "access forbidden"}
        if path != "/v1/decisions/stream":
            return 404, {"message": "page or method not found"}
        scopes = query.get("scopes", ["ip,range"])[0].split(",")
        ended = [one for what, one in self._events if what == "deleted"]
        start = self._cursors[key]
        if query.get("startup") == ["true"]:
            values = [one["value"] for one in ended]
            found = {
                "new": [o for w, o in self._events if w == "new" and o["value"] not in values],
                "deleted": ended,
            }
        else:
            news = self._events[start:]
            found = {name: [o for w, o in news if w == name] for name in ("new", "deleted")}
        self._cursors[key] = len(self._events)
        wanted = {
            name: [one for one in ones if one["scope"].lower() in scopes]
            for name, ones in found.items()
        }
        return 200, {name: ones or None for name, ones in wanted.items()}

    def post(self, path: str, kind: str, token: str, document: Any) -> tuple[int, object]:
        """What `POST path` answers."""
        if kind.partition(";")[0] != "application/json":
            return 400, {"message": "no JSON"}
        if path == "/v1/watchers/login":
            if (document.get("machine_id"), document.get("password")) != ("guard", "pass-word"):
                return 403, {"message": "incorrect Username or Password"}
            return 200, {"code": 200, "expire": "2099-01-01T00:00:00Z", "token": "a.b.c"}
        if path != "/v1/alerts":
            return 404, {"message": "page or method not found"}
        if token != "Bearer a.b.c":
            return 401, {"code": 401, "message": "cookie token is empty"}
        for alert in document:
            wrong = _wrong(alert, ALERT) or _wrong(alert.get("source"), SOURCE)
            for one in alert.get("decisions", ()):
                wrong = wrong or _wrong(one, DECISION)
            if wrong or READ_ONLY & alert.keys():
                return 400, {"message": f"validation failure: {wrong or 'read-only field'}"}
        self.alerts += document
        return 201, [str(number) for number in range(1, len(document) + 1)]


def _wrong(value: Any, fields: Mapping[str, type]) -> str:
    if not isinstance(value, dict):
        return "no object"
    for name, kind in fields.items():
        if type(value.get(name)) is not kind:
            return f"{name} in body is required"
    return ""
