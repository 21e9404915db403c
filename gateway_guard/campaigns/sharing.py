"""What the members of a campaign share, named by labels that mean nothing outside of a report."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeVar

import msgspec

from gateway_guard.campaigns.held import Held
from gateway_guard.campaigns.membership import BURST
from gateway_guard.campaigns.memory import Memory
from gateway_guard.campaigns.postings import Posting
from gateway_guard.campaigns.traces import Trace

V = TypeVar("V")

#: Most shared values of one kind.
MOST_TIES: Final = 100
#: Characters of a template's digest that are shown.
_DIGEST: Final = 12


class Tie(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One value that members of different organisations share.

    Attributes:
        label: `P1` (payment), `A1` (address range), `S1` (sign-up burst), `C1` (client software)
            or `T1` (template); the most shared first.
        kind: `payment`, `addresses`, `sign-up`, `client` or `content`.
        members: the accounts that share it; in a report, those it lists.
        size: all members that share it, listed or not.
        outside: accounts in no part of this campaign among the latest that came with the same
            value, which is the least there are; None where they are not remembered
            (sign-up, client).
        first_at, last_at: of a sign-up burst, Unix seconds of its first and last sign-up; None
            for other kinds.
    """

    label: str
    kind: str
    members: tuple[str, ...]
    size: int
    outside: int | None = None
    first_at: float | None = None
    last_at: float | None = None


class Template(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Content that members have in common.

    Attributes:
        label: `T1`, …; the same as in `Tie`.
        digest: start of a keyed digest; means nothing without the guard's secret.
        parts: content keys (ends, skeletons, fragments) that the very same members share, taken
            as one template.
        members: members that used it.
        outside: accounts in no part of this campaign among the latest that came with one of its
            parts, which is the least there are.
        exchanges: exchanges of members with it since the alarm; 0 when it was not used since, or
            too rarely to be among the 64 keys that are counted.
        shortest, longest: characters of the prompts it stood in; None when not counted.
        sample: how the latest prompt with it began; None unless the policy says `keep_samples`.
    """

    label: str
    digest: str
    parts: int
    members: int
    outside: int
    exchanges: int
    shortest: int | None
    longest: int | None
    sample: str | None = None


def shared(
    held: Held, memory: Memory, sample: Callable[[int], str | None]
) -> tuple[tuple[Tie, ...], tuple[Template, ...]]:
    """What members of different organisations share, as ties and (content) as templates.

    `sample` gives the text kept of a content key.
    """
    members = [memory.traces[n] for n in held.members if n in memory.traces]
    members.sort(key=lambda trace: trace.account)
    payments: dict[str, list[Trace]] = defaultdict(list)
    subnets: dict[int, list[Trace]] = defaultdict(list)
    clients: dict[int, list[Trace]] = defaultdict(list)
    keys: dict[int, list[Trace]] = defaultdict(list)
    for trace in members:
        if trace.payment:
            payments[trace.payment].append(trace)
        for subnet in trace.subnets:
            subnets[subnet].append(trace)
        if trace.client:
            clients[trace.client].append(trace)
        for key in trace.shared:
            keys[key].append(trace)

    def outside(posting: Posting | None) -> int:
        latest = posting.latest if posting is not None else ()
        return len({n for n in latest if n not in held.members})

    def tie(label: str, kind: str, sharing: list[Trace], others: int | None) -> Tie:
        created = [trace.created_at for trace in sharing] if kind == "sign-up" else None
        return Tie(
            label=label,
            kind=kind,
            members=tuple(trace.account for trace in sharing),
            size=len(sharing),
            outside=others,
            first_at=min(created) if created else None,
            last_at=max(created) if created else None,
        )

    ties = []
    for i, (payment, sharing) in enumerate(_widest(payments), 1):
        ties.append(tie(f"P{i}", "payment", sharing, outside(memory.payments.get(payment))))
    for i, (subnet, sharing) in enumerate(_widest(subnets), 1):
        ties.append(tie(f"A{i}", "addresses", sharing, outside(memory.subnets.get(subnet))))
    for i, (_, sharing) in enumerate(_widest(_bursts(members)), 1):
        ties.append(tie(f"S{i}", "sign-up", sharing, None))
    for i, (_, sharing) in enumerate(_widest(clients), 1):
        ties.append(tie(f"C{i}", "client", sharing, None))
    templates = []
    for i, (parts, sharing) in enumerate(_widest(_together(keys, held)), 1):
        key = parts[0]
        others = max(outside(memory.templates.shared.get(part)) for part in parts)
        used = held.templates.get(key)
        ties.append(tie(f"T{i}", "content", sharing, others))
        templates.append(
            Template(
                label=f"T{i}",
                digest=f"{key:016x}"[:_DIGEST],
                parts=len(parts),
                members=len(sharing),
                outside=others,
                exchanges=used.exchanges if used is not None else 0,
                shortest=used.shortest if used is not None else None,
                longest=used.longest if used is not None else None,
                sample=next((text for part in parts if (text := sample(part)) is not None), None),
            )
        )
    return tuple(ties), tuple(templates)


def _widest(values: Mapping[V, list[Trace]]) -> list[tuple[V, list[Trace]]]:
    """The values several organisations share, the most shared first, at most `MOST_TIES`."""
    wide = [
        (value, sharing)
        for value, sharing in values.items()
        if len({trace.organisation for trace in sharing}) > 1
    ]
    wide.sort(key=lambda one: (-len(one[1]), [trace.account for trace in one[1]]))
    return wide[:MOST_TIES]


def _together(keys: Mapping[int, list[Trace]], held: Held) -> dict[tuple[int, ...], list[Trace]]:
    """Content keys that the very same members share, as one; the most used of them first."""
    same: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for key, sharing in keys.items():
        same[tuple(trace.account for trace in sharing)].append(key)

    def use(key: int) -> tuple[int, int]:
        used = held.templates.get(key)
        return -(used.exchanges if used is not None else 0), key

    return {tuple(sorted(parts, key=use)): keys[parts[0]] for parts in same.values()}


def _bursts(members: Iterable[Trace]) -> dict[int, list[Trace]]:
    """Sign-ups that follow each other within `BURST`, by number of the burst."""
    bursts: dict[int, list[Trace]] = defaultdict(list)
    number, before = 0, float("-inf")
    for trace in sorted(members, key=lambda trace: (trace.created_at, trace.account)):
        if not trace.created_at:
            continue
        if trace.created_at - before > BURST:
            number += 1
        before = trace.created_at
        bursts[number].append(trace)
    return bursts
