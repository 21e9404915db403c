"""The campaigns held, each in a line."""

from __future__ import annotations

from collections import Counter

import msgspec

from gateway_guard.campaigns.linker import Linker


class Summary(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One line of `campaign list`; fields as in `campaigns.report.Report`."""

    id: str
    members: int
    confidence: float
    first_seen: float
    alarm_at: float
    last_at: float
    exchanges: int
    refused: int
    share: float
    networks: dict[str, int]
    absorbed: tuple[str, ...] = ()


def summaries(linker: Linker, exchanges: int) -> list[Summary]:
    """Every campaign held, the oldest alarm first; `exchanges` are those of all accounts."""
    total = exchanges
    traces, numbers = linker.memory.traces, linker.memory.numbers
    found = []
    for campaign in linker.campaigns():
        members = [traces[numbers[account]] for account in campaign.members]
        exchanges = sum(trace.exchanges for trace in members)
        networks = Counter(
            "unknown" if trace.asn is None else f"AS{trace.asn}" for trace in members
        )
        found.append(
            Summary(
                id=campaign.id,
                members=len(members),
                confidence=campaign.confidence,
                first_seen=campaign.first_seen,
                alarm_at=campaign.alarm_at or 0.0,
                last_at=linker.held[campaign.id].last_at,
                exchanges=exchanges,
                refused=sum(trace.refused for trace in members),
                share=exchanges / total if total else 0.0,
                networks=dict(networks.most_common()),
                absorbed=tuple(linker.held[campaign.id].absorbed),
            )
        )
    return found
