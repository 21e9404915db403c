"""What of a confirmed campaign is fit to be handed on: networks, client software, templates.

Fit is what names the campaign and hardly anybody else, and nobody in person:

* a **network** is a /24 or /48, never an address; *rented* (flagged hosting or open proxy), because
  behind an access provider's, a VPN's, a relay's or Tor's addresses are strangers, today or
  tomorrow; used by three members of two organisations at least; and at least half of the accounts
  seen from it are members;
* **client software** and **templates** are digests that only guards of one group can compare
  (`intel.groups`), shared by as many members, and by no more others than members.

Thresholds are not fitted: they keep back what a person would hesitate to sign. Pure.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from gateway_guard.campaigns.digests import FRAGMENT_SAMPLE
from gateway_guard.campaigns.held import Held
from gateway_guard.campaigns.linker import Linker
from gateway_guard.types import Campaign

#: Fewest members and organisations that share what is handed on, and the least share of all who
#: were seen with it that are members.
FEWEST_MEMBERS: Final = 3
FEWEST_ORGANISATIONS: Final = 2
LEAST_SHARE: Final = 0.5
#: Flags of which a network must have one, and of which it may have none.
RENTED: Final = frozenset(("hosting", "proxy"))
CROWDED: Final = frozenset(("relay", "residential", "tor", "vpn"))
#: Most of a kind handed on of one campaign, the surest first.
MOST: Final = {"network": 256, "client": 8, "template": 32}
#: Nobody is surer than this, in [0, 1]; of client software half as sure: many people have it
#: (DETECTION D3: alone it is nearly useless).
SUREST: Final = 0.95
_WEAK: Final = {"client": 0.5}
_EXPIRED: Final = "not seen for as long as they hold (--days)"
#: Seconds.
DAY: Final = 86_400
#: Networks and accounts of one remembered while a log is read.
_MOST_NETWORKS: Final = 200_000
_MOST_ACCOUNTS: Final = 4_096


class Seen(msgspec.Struct):
    """Who came from one network.

    Attributes:
        accounts: account → exchanges; at most 4,096 of them.
        flags: what the network database said of its addresses, of all together.
        first_at, last_at: Unix seconds.
    """

    accounts: dict[str, int] = {}
    flags: set[str] = set()
    first_at: float = float("inf")
    last_at: float = 0.0


class Traffic:
    """Who came from where, as a decision log tells. Bounded."""

    def __init__(self) -> None:
        self.networks: dict[str, Seen] = {}

    def note(self, network: str, account: str, flags: Iterable[str], at: float) -> None:
        """Count one exchange of `account` from `network` (`intel.networks.shared_network`)."""
        seen = self.networks.get(network)
        if seen is None:
            if len(self.networks) >= _MOST_NETWORKS:
                return
            seen = self.networks[network] = Seen()
        if account in seen.accounts or len(seen.accounts) < _MOST_ACCOUNTS:
            seen.accounts[account] = seen.accounts.get(account, 0) + 1
        seen.flags.update(flags)
        seen.first_at = min(seen.first_at, at)
        seen.last_at = max(seen.last_at, at)


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing a campaign can be recognised by.

    Attributes:
        kind: `network`, `client` or `template`.
        value: the network in CIDR form; or the guard's own digest, 64 bits.
        members: members seen with it.
        exchanges: theirs with it; 0 when nobody counted them.
        first_at, last_at: Unix seconds.
        confidence: that whoever shows it belongs to the campaign, in [0, 1].
    """

    kind: str
    value: str | int
    members: int
    exchanges: int
    first_at: float
    last_at: float
    confidence: float


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One campaign as it may be handed on.

    Attributes:
        campaign: as the linker holds it; its members stay here.
        last_at: Unix seconds of its latest exchange.
        changed_at: Unix seconds at which anything said of it last changed.
        findings: what it can be recognised by, the surest of a kind first.
        kept_back: reason → how many things were not fit to be handed on.
    """

    campaign: Campaign
    last_at: float
    changed_at: float
    findings: tuple[Finding, ...]
    kept_back: Mapping[str, int]

    def current(self, now: float, days: Mapping[str, int]) -> Case:
        """The case without what was not seen for the `days` that its kind holds, which is counted
        as kept back: nobody could take it in.
        """
        holding = tuple(
            one for one in self.findings if int(one.last_at) + days[one.kind] * DAY > now
        )
        gone = len(self.findings) - len(holding)
        if not gone:
            return self
        return msgspec.structs.replace(
            self, findings=holding, kept_back={**self.kept_back, _EXPIRED: gone}
        )


def case_of(linker: Linker, campaign: Campaign, traffic: Traffic) -> Case:
    """What is fit to be handed on of `campaign`, one that `linker` holds."""
    held = linker.held[campaign.id]
    kept_back: Counter[str] = Counter()
    found = [
        *_networks(linker, campaign, traffic, kept_back),
        *_templates(linker, campaign, held, kept_back),
        *_clients(linker, campaign, held, kept_back),
    ]
    found.sort(key=lambda one: (-one.confidence, -one.members, str(one.value)))
    chosen: list[Finding] = []
    many: Counter[str] = Counter()
    for one in found:
        if many[one.kind] < MOST[one.kind]:
            many[one.kind] += 1
            chosen.append(one)
        else:
            kept_back["more than one campaign needs"] += 1
    return Case(
        campaign=campaign,
        last_at=held.last_at,
        changed_at=max(held.last_at, held.examined_at, *(one.last_at for one in chosen), 0.0),
        findings=tuple(chosen),
        kept_back=dict(kept_back),
    )


def _networks(
    linker: Linker, campaign: Campaign, traffic: Traffic, kept_back: Counter[str]
) -> Iterable[Finding]:
    for network, seen in traffic.networks.items():
        inside = [account for account in seen.accounts if account in campaign.members]
        if not inside:
            continue
        share = len(inside) / len(seen.accounts)
        if seen.flags & CROWDED or not seen.flags & RENTED:
            kept_back["networks with strangers behind them (no rented ones)"] += 1
        elif _fits(linker, inside, share, kept_back, "networks"):
            yield Finding(
                kind="network", value=network, members=len(inside),
                exchanges=sum(seen.accounts[account] for account in inside),
                first_at=seen.first_at, last_at=seen.last_at,
                confidence=_sure(campaign, "network", share),
            )  # fmt: skip


def _templates(
    linker: Linker, campaign: Campaign, held: Held, kept_back: Counter[str]
) -> Iterable[Finding]:
    memory = linker.memory
    users: dict[int, list[str]] = defaultdict(list)
    for number in held.members:
        trace = memory.traces.get(number)
        if trace is not None:
            for key in trace.shared:
                # Only ends and skeletons: a fragment, a multiple of this, is a few words, easily
                # guessed and easily somebody else's. A quarter of the ends goes with them.
                if key in held.templates and key % FRAGMENT_SAMPLE:
                    users[key].append(trace.account)
    for key, inside in users.items():
        posting = memory.templates.shared.get(key)
        if posting is None or posting.count > memory.popular():
            kept_back["templates that are popular"] += 1
            continue
        share = min(1.0, len(inside) / max(posting.count, 1))
        if _fits(linker, inside, share, kept_back, "templates"):
            yield Finding(
                kind="template", value=key, members=len(inside),
                exchanges=held.templates[key].exchanges, first_at=posting.first_at,
                last_at=max(memory.traces[memory.numbers[one]].last_at for one in inside),
                confidence=_sure(campaign, "template", share),
            )  # fmt: skip


def _clients(
    linker: Linker, campaign: Campaign, held: Held, kept_back: Counter[str]
) -> Iterable[Finding]:
    users: dict[int, list[str]] = defaultdict(list)
    everybody: Counter[int] = Counter()
    for trace in linker.memory.traces.values():
        everybody[trace.client] += 1
        if trace.client and trace.account in campaign.members:
            users[trace.client].append(trace.account)
    for client, inside in users.items():
        share = len(inside) / everybody[client]
        if _fits(linker, inside, share, kept_back, "client software"):
            yield Finding(
                kind="client", value=client, members=len(inside), exchanges=0,
                first_at=held.first_seen, last_at=held.last_at,
                confidence=_sure(campaign, "client", share),
            )  # fmt: skip


def _fits(
    linker: Linker, inside: list[str], share: float, kept_back: Counter[str], what: str
) -> bool:
    memory = linker.memory
    payers = {memory.traces[memory.numbers[account]].organisation for account in inside}
    if len(inside) < FEWEST_MEMBERS or len(payers) < FEWEST_ORGANISATIONS:
        kept_back[f"{what} of fewer than {FEWEST_MEMBERS} members"] += 1
        return False
    if share < LEAST_SHARE:
        kept_back[f"{what} that others use as much"] += 1
        return False
    return True


def _sure(campaign: Campaign, kind: str, share: float) -> float:
    return min(SUREST, campaign.confidence * share) * _WEAK.get(kind, 1.0)
