"""Who a group may be although more than chance ties it: people, neighbours, one maker's machines.

A card, a range and a morning of sign-up are shared by people who work for one firm, ride for one
service or take one course, and by whatever one maker has installed. Two such ties are their life.
What they do not have is a pace that never sleeps behind software that is not one product's.

What each of these costs and spares is in README, What is caught.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

import msgspec

from gateway_guard.campaigns.evidence import TIES, USUAL, Burden, Kind, Verdict
from gateway_guard.campaigns.ties import NETWORKS, Group

#: The explanations. Where one holds nothing is left standing, however much ties the group.
PEOPLE: Final = "people (they keep people's hours, and not all three ways tie them)"
NEIGHBOURS: Final = "neighbours (the same few networks of homes and phones)"
PRODUCT: Final = "one product's installations (the same software everywhere)"
ALIBIS: Final = frozenset({PEOPLE, NEIGHBOURS, PRODUCT})

#: Share of a group that is nearly all of it. A choice, as `Burden.everybody`.
_NEARLY_ALL: Final = 0.85
#: A product has more installations than this. A choice: with none, a cell of 14 that shows one
#: software is let go in each of two sets of recorded traffic, for a handful of honest accounts.
_INSTALLED: Final = 20


def explained(group: Group, verdict: Verdict, burden: Burden = USUAL) -> Verdict:
    """`verdict` on `group`, or, where an alibi accounts for the group, an acquittal that names it.

    Two kinds of ties convict only what has a pace of its own: people (the pace is known, and does
    not speak for one hand) and the installations of one product must be tied in all three ways and
    say the same. Nothing convicts people, or installations, that nearly all come straight from the
    same `NETWORKS` networks of homes and phones.
    """
    alibi = _alibi(group, verdict, burden)
    if alibi is None:
        return verdict
    return msgspec.structs.replace(verdict, convicted=False, left=0.0, explanation=alibi)


def _alibi(group: Group, verdict: Verdict, burden: Burden) -> str | None:
    found = {weight.kind: weight.log_ratio for weight in verdict.weights}
    awake = _awake(group, found.get(Kind.PACE), burden)
    one_software = _one_software(group)
    if (one_software or not awake) and _neighbours(group):
        return NEIGHBOURS
    people = awake is False
    if not people and not (one_software and verdict.members > _INSTALLED):
        return None
    in_all_ways = all(found.get(kind, 0.0) >= burden.kinds for kind in TIES)
    if in_all_ways and group.alike() >= burden.alike:
        return None
    return PEOPLE if people else PRODUCT


def _awake(group: Group, pace: float | None, burden: Burden) -> bool | None:
    """Whether the group never sleeps; None where its hours are not known.

    `pace` is what an even pace says for one hand, as natural logarithm. It says nothing, and is
    None, where most of the population never sleeps; whoever does are people there, too.
    """
    if pace is not None:
        return pace >= burden.left
    paces = [even for trace in group.traces if (even := trace.even()) is not None]
    if len(paces) < _NEARLY_ALL * len(group.traces):
        return None
    return 2 * sum(paces) >= len(paces)


def _one_software(group: Group) -> bool:
    """Whether nearly all show the same client software. What shows nothing is not the same."""
    shown = Counter(trace.client for trace in group.traces if trace.client)
    return max(shown.values(), default=0) >= _NEARLY_ALL * len(group.traces)


def _neighbours(group: Group) -> bool:
    """Whether nearly all come straight from the same few networks of homes and phones."""
    networks = Counter(t.asn for t in group.traces if t.straight and t.asn is not None)
    most = sum(count for _, count in networks.most_common(NETWORKS))
    return most >= _NEARLY_ALL * len(group.traces)
