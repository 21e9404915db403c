"""A campaign under way: who belongs to it, why, since when, and what it did."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from gateway_guard.campaigns.evidence import Verdict
from gateway_guard.campaigns.sighting import Sighting

#: Hours of the timeline kept: 45 days (DETECTION A1: the longest campaign known).
_HOURS: Final = 45 * 24
#: Most content keys counted for one campaign.
_TEMPLATES: Final = 64


class Hour(msgspec.Struct, gc=False):
    """One hour of a campaign.

    Attributes:
        exchanges: by its members, refused ones included.
        refused: of those.
        tokens: of the others.
    """

    exchanges: int = 0
    refused: int = 0
    tokens: int = 0


class Template(msgspec.Struct, gc=False):
    """One content key as members of a campaign use it.

    Attributes:
        exchanges: number of exchanges with it.
        shortest, longest: characters of the prompts it stood in.
    """

    exchanges: int
    shortest: int
    longest: int


class Held(msgspec.Struct, kw_only=True, gc=False):
    """A group of accounts held to act as one, or suspected to. Written by the linker only.

    Attributes:
        id: stable name, `c_0001`, ….
        members: account number → points of membership (natural logarithm of the odds).
        first_seen: Unix seconds of the first exchange of any member.
        alarm_at: Unix seconds at which it was first convicted.
        last_at: Unix seconds of the latest exchange of a member.
        examined_at: Unix seconds at which the evidence was last weighed.
        verdict: the evidence at that time.
        judged: members at that time.
        scored: members when the points of all were last worked out together; of a large one with
            those looked at besides.
        hours: hour since 1970 → what its members did, from the alarm on; the latest 45 days.
        templates: content key → how often members used it, from the alarm on; the 64 most used.
        absorbed: names of campaigns that turned out to be this one.
    """

    id: str
    members: dict[int, float]
    first_seen: float
    alarm_at: float
    last_at: float
    examined_at: float
    verdict: Verdict
    judged: int = 0
    scored: int = 0
    hours: dict[int, Hour] = {}
    absorbed: list[str] = []
    templates: dict[int, Template] = {}

    def absorb(self, other: Held) -> None:
        """Take over what another campaign did that turned out to be this one."""
        self.absorbed += [other.id, *other.absorbed]
        self.first_seen = min(self.first_seen, other.first_seen)
        self.last_at = max(self.last_at, other.last_at)
        for number, theirs in other.hours.items():
            hour = self.hours.setdefault(number, Hour())
            hour.exchanges += theirs.exchanges
            hour.refused += theirs.refused
            hour.tokens += theirs.tokens
        for key, template in other.templates.items():
            mine = self.templates.get(key)
            if mine is not None:
                mine.exchanges += template.exchanges
                mine.shortest = min(mine.shortest, template.shortest)
                mine.longest = max(mine.longest, template.longest)
            elif len(self.templates) < _TEMPLATES:
                self.templates[key] = template
        while len(self.hours) > _HOURS:
            del self.hours[min(self.hours)]

    def count(self, seen: Sighting, templates: Iterable[int] = ()) -> None:
        """Count one exchange of a member, and those of its content keys that other members use."""
        at = seen.at
        self.last_at = max(self.last_at, at)
        number = int(at // 3600)
        hour = self.hours.get(number)
        if hour is None:
            if len(self.hours) >= _HOURS:
                del self.hours[min(self.hours)]
            hour = self.hours[number] = Hour()
        hour.exchanges += 1
        hour.refused += seen.refused
        hour.tokens += 0 if seen.refused else seen.tokens
        for key in templates:
            template = self.templates.get(key)
            if template is None:
                if len(self.templates) >= _TEMPLATES:
                    rarest = min(self.templates, key=lambda k: self.templates[k].exchanges)
                    del self.templates[rarest]
                template = self.templates[key] = Template(0, seen.chars, seen.chars)
            template.exchanges += 1
            template.shortest = min(template.shortest, seen.chars)
            template.longest = max(template.longest, seen.chars)
