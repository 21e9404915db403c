"""CrowdSec's local API as its OpenAPI has it: decisions in, alerts with decisions out.

Nothing of CrowdSec is in here: whoever runs it points these at its port. A bouncer's key belongs to
one poller only, because the server keeps the cursor per key; deltas overlap by seconds, so they are
applied idempotently.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from gateway_guard.errors import UNDECODABLE, IntelError
from gateway_guard.intel.evidence import Case, Finding
from gateway_guard.intel.http import Reply, Web, retry_after, retry_hint
from gateway_guard.intel.indicator import LONGEST, Indicator, checked, named
from gateway_guard.intel.networks import Limits, read_network
from gateway_guard.intel.stix_reading import MOST_INDICATORS, Taken
from gateway_guard.intel.times import go, parse_go, parse_stamp, stamp

#: Most bytes of one answer: a full list of 100,000 decisions has about 25 MB.
MAX_BYTES: Final = 64 << 20
#: What a decision is believed that does not say, percent; the console's and shared lists less: they
#: are others' experience, not this machine's. Not measured.
BELIEVED: Final[Mapping[str, int]] = {
    "crowdsec": 80, "cscli": 90, "console": 80, "cscli-import": 60, "lists": 50, "CAPI": 50,
}  # fmt: skip
_OTHERWISE: Final = 50
#: Under which scenario and origin the guard's own decisions stand; they are not taken back in.
SCENARIO: Final = "gateway-guard/model-extraction"
ORIGIN: Final = "gateway-guard"
_SCOPES: Final = frozenset({"ip", "range"})
#: Other scopes, lower case → why their decisions are not taken. They are asked for all the same, so
#: that whoever made one hears that nothing comes of it. Only what is as narrow as a network can be
#: an indicator, and never an account.
_NOT_TAKEN: Final[Mapping[str, str]] = {
    "country": "of scope Country: write a rule with `country` into the policy",
    "as": "of scope AS: write a rule with `asn` into the policy",
    "username": "of scope username: `gateway-guard account ban` bans accounts",
    "account": "of scope account: `gateway-guard account ban` bans accounts",
}
_ASKED: Final = ",".join(("ip", "range", *_NOT_TAKEN))
_BATCH: Final = 50


class Stream(msgspec.Struct, kw_only=True):
    """What one look at the stream says: decisions in force, and ids of those that ended."""

    taken: Taken
    ended: set[str]


def stream(web: Web, *, startup: bool, now: float, limits: Limits) -> Stream:
    """What changed since the last look with the same key; all there is when `startup`.

    `web` sends the bouncer's key as `X-Api-Key`; `now` is Unix seconds.

    Raises:
        IntelError: the API does not answer as its OpenAPI says; says what to do.
    """
    reply = web.ask(
        "GET", "decisions/stream", most=MAX_BYTES,
        params={"startup": "true" if startup else "false", "scopes": _ASKED},
        headers={"accept": "application/json"},
    )  # fmt: skip
    document = _json(web, reply, (200,))
    if not isinstance(document, dict):
        raise IntelError(f"{web.host} answers a decision stream that is no object")
    taken, ended = Taken(), set()
    for one in _listed(web, document, "deleted"):
        if (name := _id(one)) is not None:
            ended.add(name)
    for one in _listed(web, document, "new"):
        _take(taken, one, now, limits)
    return Stream(taken=taken, ended=ended)


def login(web: Web, machine: str, password: str) -> str:
    """The token of a machine, good for about an hour.

    Raises:
        IntelError: the API does not know it, or does not answer.
    """
    reply = web.ask(
        "POST", "watchers/login", most=1 << 16,
        headers={"accept": "application/json", "content-type": "application/json"},
        content=msgspec.json.encode(
            {"machine_id": machine, "password": password, "scenarios": [SCENARIO]}
        ),
    )  # fmt: skip
    document = _json(web, reply, (200,))
    token = document.get("token") if isinstance(document, dict) else None
    if not isinstance(token, str) or not token.isascii() or not 0 < len(token) <= 8_192:
        raise IntelError(f"{web.host} answers a login without a token")
    return token


def push(web: Web, token: str, alerts: Sequence[Mapping[str, Any]]) -> list[str]:
    """Hand over `alerts`; the ids they got.

    Raises:
        IntelError: the API does not take them.
    """
    ids: list[str] = []
    for start in range(0, len(alerts), _BATCH):
        reply = web.ask(
            "POST", "alerts", most=1 << 20,
            headers={
                "accept": "application/json", "content-type": "application/json",
                "authorization": f"Bearer {token}",
            },
            content=msgspec.json.encode(alerts[start : start + _BATCH]),
        )  # fmt: skip
        document = _json(web, reply, (200, 201))
        ids += [str(one)[:100] for one in document] if isinstance(document, list) else []
    return ids


def alerts_of(case: Case, *, now: float, kind: str, days: int) -> Iterable[dict[str, Any]]:
    """One alert with one decision for each network of a case that still holds.

    Args:
        now: Unix seconds.
        kind: of the decision: `ban`, `captcha` or what the operator's bouncers understand.
        days: a network is decided upon up to so many after it was last seen.
    """
    campaign = case.campaign
    for finding in case.findings:
        left = finding.last_at + days * 86_400 - now
        if finding.kind != "network" or left < 60.0:
            continue
        yield _alert(campaign.id, len(campaign.members), finding, go(left), kind)


def _alert(
    campaign: str, members: int, finding: Finding, duration: str, kind: str
) -> dict[str, Any]:
    network = str(finding.value)
    source = {"scope": "Range", "value": network, "range": network}
    return {
        "scenario": SCENARIO,
        "scenario_hash": hashlib.sha256(SCENARIO.encode()).hexdigest(),
        "scenario_version": "1",
        "message": f"{finding.members} of {members} accounts of campaign {campaign} from {network}",
        "events_count": max(finding.exchanges, 1),
        "start_at": stamp(finding.first_at),
        "stop_at": stamp(finding.last_at),
        "capacity": 0,
        "leakspeed": "0s",
        "simulated": False,
        "remediation": True,
        "events": [],
        "labels": ["model-extraction"],
        "source": source,
        "decisions": [
            {
                "origin": ORIGIN,
                "type": kind,
                "scope": "Range",
                "value": network,
                "duration": duration,
                "scenario": SCENARIO,
            }
        ],
    }


def _take(taken: Taken, one: Mapping[str, Any], now: float, limits: Limits) -> None:
    scenario, origin = named(one.get("scenario"), ""), named(one.get("origin"), "")
    if scenario == SCENARIO or origin == ORIGIN:
        taken.refuse("of this guard's own making")
        return
    if one.get("simulated") is True:
        taken.refuse("simulated")
        return
    name = _id(one)
    if name is None:
        scope = one.get("scope")
        known = scope.lower() if isinstance(scope, str) else ""
        taken.refuse(_NOT_TAKEN.get(known, "that name no address or range"))
        return
    left = parse_go(one.get("duration"))
    until = parse_stamp(one.get("until")) if left is None else now + left
    if until is None:
        taken.refuse("without a duration that can be read")
        return
    if until <= now:
        taken.refuse("expired")
        return
    if len(taken.indicators) >= MOST_INDICATORS:
        taken.refuse(f"beyond {MOST_INDICATORS:,}")
        return
    indicator = Indicator(
        id=name, kind="network", value=str(one["value"]), name=scenario or "a decision",
        confidence=BELIEVED.get(origin, _OTHERWISE), since=int(now),
        until=int(min(until, now + LONGEST)) + 1,
    )  # fmt: skip
    try:
        taken.indicators.append(checked(indicator, limits))
    except IntelError as error:
        taken.refuse("refused", str(error))


def _id(one: Mapping[str, Any]) -> str | None:
    """By what is decided, and for what: the number changes when a decision is made again."""
    scope, value = one.get("scope"), one.get("value")
    if not isinstance(scope, str) or scope.lower() not in _SCOPES or not isinstance(value, str):
        return None
    try:
        network = str(read_network(value))
    except IntelError:
        return None
    return f"{network} {named(one.get('scenario'), '')[:40]}".strip()


def _listed(web: Web, document: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    listed = document.get(key)
    if listed is None:
        return []
    if not isinstance(listed, list):
        raise IntelError(f"{web.host} answers a decision stream whose {key!r} is no list")
    return [one for one in listed if isinstance(one, dict)]


def _json(web: Web, reply: Reply, expected: tuple[int, ...]) -> object:
    if reply.status not in expected:
        raise IntelError(
            f"{web.host} answers {reply.status}{_why(reply)}",
            after=retry_after(reply, now=time.time()),
        )
    try:
        document: object = msgspec.json.decode(reply.body)
    except UNDECODABLE:
        raise IntelError(
            f"{web.host} answers something that is no JSON: is this CrowdSec's local API, "
            "http://127.0.0.1:8080/v1/?"
        ) from None
    return document


def _why(reply: Reply) -> str:
    if reply.status in (401, 403):
        return (
            ": the key or password is not known there. `cscli bouncers add` makes a key for "
            "pulling (one for each poller), `cscli machines add` a machine for pushing"
        )
    if reply.status == 404:
        return ": its URL ends in /v1/"
    return retry_hint(reply)
