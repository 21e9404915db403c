"""Who a group may be although more than chance ties it: people, neighbours, one maker's machines.

A card, a range and a morning of sign-up are shared by people who work for one firm, ride for one
service or take one course, and by whatever one maker has installed. Two such ties are their life;
a campaign that wants to pass for them must give up the third, or its pace, or its proxies.

What each of these costs and spares is in README, What is caught.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

import msgspec

from gateway_guard.campaigns.evidence import ORDINARY, TIES, USUAL, Burden, Kind, Verdict, Weight
from gateway_guard.campaigns.ties import NETWORKS, Group

#: The explanations. Where one holds nothing is left standing, however much ties the group.
PEOPLE: Final = "people (they keep people's hours)"
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

    `NEIGHBOURS` come straight from the same `NETWORKS` networks of homes and phones and are not
    known never to sleep; `PEOPLE` are known to sleep and mostly come straight; one `PRODUCT`'s
    installations all show the same software and say the same. What convicts them all the same is
    to be tied in all three ways, and besides: neighbours to say the same, a product to be mostly
    tied in each way, people either.
    """
    alibi = _alibi(group, verdict, burden)
    if alibi is None:
        return verdict
    return msgspec.structs.replace(verdict, convicted=False, left=0.0, explanation=alibi)


def _alibi(group: Group, verdict: Verdict, burden: Burden) -> str | None:
    found = {weight.kind: weight for weight in verdict.weights}
    ways = [found[kind] for kind in TIES if kind in found and found[kind].log_ratio >= burden.kinds]
    alike = group.alike() >= burden.alike
    most = all(2 * way.tied > way.looked for way in ways)
    awake = _awake(group, found.get(Kind.PACE), burden)
    if not awake and _neighbours(group):
        alibi, refuted = NEIGHBOURS, alike
    elif awake is False and _straight(group):
        alibi, refuted = PEOPLE, alike or most
    elif alike and verdict.members > _INSTALLED and _one_software(group):
        alibi, refuted = PRODUCT, most
    else:
        return None
    return None if refuted and len(ways) == len(TIES) else alibi


def _awake(group: Group, pace: Weight | None, burden: Burden) -> bool | None:
    """Whether the group never sleeps; None where its hours are not known, or are mixed.

    Mixed ones acquit nobody: else whoever adds accounts that sleep to his campaign would be people.
    `pace` is what was made of their pace; None also where it says nothing, because most of the
    population never sleeps.
    """
    if pace is not None:
        even, known, awake = pace.tied, pace.looked, pace.log_ratio >= burden.left
    else:
        paces = [trace.even() for trace in group.traces]
        even, known = paces.count(True), len(paces) - paces.count(None)
        if known < _NEARLY_ALL * len(paces):
            return None
        awake = 2 * even >= known
    if awake:
        return True
    return False if even <= ORDINARY[Kind.PACE] * known else None


def _one_software(group: Group) -> bool:
    """Whether nearly all show the same client software. What shows nothing is not the same."""
    shown = Counter(trace.client for trace in group.traces if trace.client)
    return max(shown.values(), default=0) >= _NEARLY_ALL * len(group.traces)


def _straight(group: Group) -> bool:
    """Whether most come straight from homes and phones, as far as is known."""
    return 2 * sum(trace.straight for trace in group.traces) > len(group.traces)


def _neighbours(group: Group) -> bool:
    """Whether nearly all come straight from the same few networks of homes and phones."""
    networks = Counter(t.asn for t in group.traces if t.straight and t.asn is not None)
    most = sum(count for _, count in networks.most_common(NETWORKS))
    return most >= _NEARLY_ALL * len(group.traces)
