"""Cases → a STIX 2.1 bundle: campaign, indicators, sightings and how they hang together.

Every id is the same at the next export (`intel.sharing`), and `modified` moves only when what is
said may have: whoever takes it in again updates.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from gateway_guard.intel.evidence import SUREST, Case
from gateway_guard.intel.groups import Group
from gateway_guard.intel.patterns import pattern_of
from gateway_guard.intel.sharing import (
    DAYS,
    Shared,
    campaign_id,
    identifier,
    identity_id,
    shared,
)
from gateway_guard.intel.times import stamp
from gateway_guard.intel.tlp import LEVELS, marking

#: When objects that never change were first published, Unix seconds (2026-01-01).
_ALWAYS: Final = 1_767_225_600.0
_LABELS: Final = ["model-extraction"]
_WORDS: Final = {
    "network": "rented address range used by members of campaign {}",
    "client": "client software of campaign {}, a digest sealed for the group",
    "template": "prompt template of campaign {}, a digest sealed for the group",
}
#: Most that STIX lets a sighting count.
_MOST_COUNT: Final = 999_999_999


def bundle(
    cases: Iterable[Case],
    who: str,
    *,
    tlp: str = "amber",
    group: Group | None = None,
    days: Mapping[str, int] = DAYS,
) -> dict[str, Any]:
    """The STIX bundle of `cases`, as said by `who`, marked with a level of `intel.tlp`.

    Digests are left out without a `group`: nobody else could compare them.
    """
    author = identity_id(who)
    objects: list[dict[str, Any]] = [
        {
            "type": "identity",
            "spec_version": "2.1",
            "id": author,
            "created": stamp(_ALWAYS),
            "modified": stamp(_ALWAYS),
            "name": who,
            "identity_class": "organization",
            "object_marking_refs": [LEVELS[tlp]],
        },
        marking(tlp),
    ]
    for case in cases:
        objects += _graph(case, who, author, list(shared(who, case, group, days)), LEVELS[tlp])
    content = msgspec.json.encode([(o["id"], o.get("modified")) for o in objects]).decode()
    return {
        "type": "bundle",
        "id": f"bundle--{uuid.uuid5(uuid.NAMESPACE_OID, content)}",
        "objects": objects,
    }


def _graph(
    case: Case, who: str, author: str, findings: list[Shared], level: str
) -> list[dict[str, Any]]:
    campaign = case.campaign
    created = campaign.alarm_at or campaign.first_seen
    changed = max(created, case.changed_at)

    def made(kind: str, id: str, sure: int | None = None, **fields: Any) -> dict[str, Any]:
        return {
            "type": kind,
            "spec_version": "2.1",
            "id": id,
            "created_by_ref": author,
            "created": stamp(created),
            "modified": stamp(changed),
            **({} if sure is None else {"confidence": sure}),
            "labels": _LABELS,
            "object_marking_refs": [level],
            **fields,
        }

    name = campaign.id
    hub = campaign_id(who, case)
    objects = [
        made(
            "campaign", hub, round(100 * min(SUREST, campaign.confidence)), name=name,
            description=f"{len(campaign.members)} accounts that act as one",
            objective="to harvest the outputs of a model through its API",
            first_seen=stamp(campaign.first_seen),
            last_seen=stamp(max(case.last_at, campaign.first_seen)),
        )
    ]  # fmt: skip
    for one in findings:
        told, finding = one.indicator, one.finding
        objects.append(
            made(
                "indicator", told.id, told.confidence, name=_WORDS[told.kind].format(name),
                indicator_types=["malicious-activity"], pattern=pattern_of(told.kind, told.value),
                pattern_type="stix", pattern_version="2.1", valid_from=stamp(told.since),
                valid_until=stamp(told.until),
            )
        )  # fmt: skip
        seen: dict[str, Any] = {
            "sighting_of_ref": told.id,
            "where_sighted_refs": [author],
            "first_seen": stamp(finding.first_at),
            "last_seen": stamp(finding.last_at),
        }
        if finding.exchanges:
            seen["count"] = min(finding.exchanges, _MOST_COUNT)
        objects.append(made("sighting", identifier("sighting", told.id), told.confidence, **seen))
        objects.append(
            made(
                "relationship", identifier("relationship", told.id, hub), told.confidence,
                relationship_type="indicates", source_ref=told.id, target_ref=hub,
            )
        )  # fmt: skip
    together = [one["id"] for one in objects]
    objects.append(
        made(
            "grouping", identifier("grouping", hub), name=f"campaign {name}",
            context="suspicious-activity", object_refs=together,
        )
    )  # fmt: skip
    return objects
