"""STIX 2.1 objects → indicators the guard can match, and why it takes no others. Total."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from gateway_guard.errors import UNDECODABLE, IntelError
from gateway_guard.intel.indicator import LONGEST, LONGEST_ID, Indicator, checked, named
from gateway_guard.intel.networks import Limits
from gateway_guard.intel.patterns import read_pattern
from gateway_guard.intel.times import parse_stamp

#: Most bytes and objects of one bundle or answer.
MAX_BYTES: Final = 64 << 20
MOST_OBJECTS: Final = 200_000
#: Indicators taken from one bundle or poll.
MOST_INDICATORS: Final = 100_000
#: What is believed of an indicator whose source says nothing, percent.
UNSAID: Final = 50
#: Seconds for which an indicator holds whose source does not say until when: 90 days.
USUAL: Final = 90 * 86_400
#: Most messages kept of what was not taken.
_MOST_MESSAGES: Final = 20
#: What was only seen somewhere, perhaps at the victim: no word against it.
_ADDRESSES: Final = ("ipv4-addr", "ipv6-addr")
_NONE: Final = "this is no STIX bundle: a mapping with a list of `objects` was expected"


class Taken(msgspec.Struct, kw_only=True):
    """What was made of a source's objects.

    Attributes:
        indicators: to be kept.
        removed: ids of objects that were revoked, have expired or are said anew: `gone` says what
            is to be taken out first.
        skipped: reason → how many were not taken.
        messages: of the first of them that were refused.
    """

    indicators: list[Indicator] = []
    removed: set[str] = set()
    skipped: Counter[str] = msgspec.field(default_factory=Counter)
    messages: list[str] = []

    def gone(self, held: Iterable[str]) -> set[str]:
        """Those of the ids `held` that stand for an object in `removed`, or an alternative of one.

        Looked up among what is held: 200,000 objects may each have had 64 alternatives.
        """
        removed = self.removed
        return {one for one in held if one in removed or one.rpartition("#")[0] in removed}

    def refuse(self, reason: str, message: str = "") -> None:
        """Count one that is not taken."""
        self.skipped[reason] += 1
        if message and len(self.messages) < _MOST_MESSAGES:
            self.messages.append(message)


def read_bundle(data: bytes) -> list[Mapping[str, Any]]:
    """The objects of a bundle in a file.

    Raises:
        IntelError: it is none, or is too large; says why.
    """
    if len(data) > MAX_BYTES:
        raise IntelError(f"a STIX bundle of {len(data):,} bytes: {MAX_BYTES:,} is the most")
    try:
        document = msgspec.json.decode(data)
    except UNDECODABLE as error:
        raise IntelError(f"this is no STIX bundle: no JSON: {str(error)[:200]}") from None
    if isinstance(document, dict) and "objects" not in document and "type" not in document:
        raise IntelError(_NONE)  # of a server that would be an empty envelope; no file is one
    return objects_of(document)


def objects_of(document: object) -> list[Mapping[str, Any]]:
    """The objects of a decoded bundle or envelope.

    Raises:
        IntelError: there are none, or too many.
    """
    objects = document.get("objects", []) if isinstance(document, dict) else None
    if not isinstance(objects, list) or (
        isinstance(document, dict)
        and "objects" not in document
        and document.get("type", "bundle") != "bundle"
    ):
        raise IntelError(_NONE)
    if len(objects) > MOST_OBJECTS:
        raise IntelError(f"more than {MOST_OBJECTS:,} STIX objects at once")
    return [one for one in objects if isinstance(one, dict)]


def taken(
    objects: Iterable[Mapping[str, Any]],
    *,
    now: float,
    limits: Limits,
    unsaid: int = UNSAID,
) -> Taken:
    """The indicators among `objects` that the guard can match and will.

    `now` is Unix seconds; `unsaid` the confidence, percent, of those whose source says none.
    Never raises: what makes no sense is counted in `skipped`.
    """
    out = Taken()
    latest: dict[str, tuple[float, Mapping[str, Any]]] = {}
    campaigns: dict[str, str] = {}
    indicates: dict[str, str] = {}
    for one in objects:
        kind, name = one.get("type"), one.get("id")
        if not isinstance(name, str) or not 1 <= len(name) <= LONGEST_ID - 4:
            out.refuse("without an id")
        elif kind == "indicator":
            version = parse_stamp(one.get("modified")) or 0.0
            if name not in latest or version >= latest[name][0]:
                latest[name] = (version, one)
        elif kind == "campaign":
            campaigns[name] = named(one.get("name"), name[:40])
        elif kind == "relationship" and one.get("relationship_type") == "indicates":
            source, target = one.get("source_ref"), one.get("target_ref")
            if isinstance(source, str) and isinstance(target, str):
                indicates[source] = target
        elif kind in _ADDRESSES:
            out.refuse("addresses that no indicator says anything of")
    for name, (_, one) in latest.items():
        label = campaigns.get(indicates.get(name, "")) or named(one.get("name"), name[:60])
        _take(out, name, one, label, now, limits, unsaid)
    return out


def _take(
    out: Taken, id: str, one: Mapping[str, Any], label: str, now: float, limits: Limits, unsaid: int
) -> None:
    out.removed.add(id)
    if one.get("revoked") is True:
        out.refuse("revoked")
        return
    since = parse_stamp(one.get("valid_from"))
    if since is None:
        out.refuse("without a valid_from that can be read")
        return
    said = one.get("valid_until")
    until = since + USUAL if said is None else parse_stamp(said)
    if until is None or until <= since:
        out.refuse("with a valid_until that makes no sense")
        return
    until = int(min(until, since + LONGEST))
    if until <= now:
        out.refuse("expired")
        return
    confidence = one.get("confidence", unsaid)
    if type(confidence) is not int or not 0 <= confidence <= 100:
        out.refuse("with a confidence that is not from 0 to 100")
        return
    if one.get("indicator_types") == ["benign"]:
        out.refuse("of benign things")
        return
    pattern = one.get("pattern")
    told = (
        read_pattern(pattern)
        if isinstance(pattern, str) and one.get("pattern_type", "stix") == "stix"
        else None
    )
    if told is None:
        out.refuse("with patterns the guard cannot match")
        return
    for name, (kind, value) in zip(_ids(id, len(told)), told, strict=True):
        if len(out.indicators) >= MOST_INDICATORS:
            out.refuse(f"beyond {MOST_INDICATORS:,}")
            return
        indicator = Indicator(
            id=name, kind=kind, value=value, name=label, confidence=confidence, since=int(since),
            until=until,
        )  # fmt: skip
        try:
            out.indicators.append(checked(indicator, limits))
        except IntelError as error:
            out.refuse("refused", str(error))


def _ids(id: str, count: int) -> list[str]:
    """The ids under which an indicator's alternatives are kept."""
    return [id, *(f"{id}#{number}" for number in range(1, count))]
