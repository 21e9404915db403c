"""Cases → indicators: who says so, under which names and for how long. Deterministic.

The same thing said again has the same id, so whoever takes it in replaces instead of piling up.
Ids are UUIDv5 in a namespace of this program's own: STIX 2.1 §2.9 keeps
00abedb4-aa42-466c-9c01-fed23315a9b7 for cyber-observables.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from gateway_guard.intel.evidence import DAY, Case, Finding
from gateway_guard.intel.groups import Group
from gateway_guard.intel.indicator import Indicator

_NAMESPACE: Final = uuid.UUID("3f0a7c52-8d0e-5b1f-9c53-6a0c1f6f9b7e")
#: Days for which a thing says something after it was last seen: addresses change hands first, a
#: template is used as long as the work it is for. Not measured.
DAYS: Final[Mapping[str, int]] = {"network": 14, "client": 30, "template": 90}


class Shared(msgspec.Struct, frozen=True, kw_only=True):
    """One finding as an indicator, with what its sighting says.

    Attributes:
        indicator: what is handed on.
        finding: what it was made of.
    """

    indicator: Indicator
    finding: Finding


def identifier(kind: str, *parts: str) -> str:
    """`KIND--UUID`, the same for the same `parts`."""
    name = msgspec.json.encode([kind, *parts]).decode()
    return f"{kind}--{uuid.uuid5(_NAMESPACE, name)}"


def identity_id(who: str) -> str:
    """The STIX id of whoever calls themselves `who`."""
    return identifier("identity", who)


def campaign_id(who: str, case: Case) -> str:
    """The STIX id of a campaign. Its name alone would come again after a restart without memory."""
    return identifier(
        "campaign", identity_id(who), case.campaign.id, str(int(case.campaign.first_seen))
    )


def shared(
    who: str, case: Case, group: Group | None, days: Mapping[str, int] = DAYS
) -> Iterable[Shared]:
    """The findings of one case as indicators; digests only where there is a `group` to read them.

    `who` is the name under which the exporter is known to others.
    """
    for finding in case.findings:
        if isinstance(finding.value, str):
            value = finding.value
        elif group is not None:
            value = group.seal(finding.kind, finding.value)
        else:
            continue
        yield Shared(
            finding=finding,
            indicator=Indicator(
                id=identifier("indicator", campaign_id(who, case), finding.kind, value),
                kind=finding.kind,
                value=value,
                name=case.campaign.id,
                confidence=round(100 * finding.confidence),
                since=int(finding.first_at),
                until=int(finding.last_at) + days[finding.kind] * DAY,
            ),
        )
