"""Finds the accounts that act as one: online, bounded, pure. Time comes in with each sighting."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Container, Hashable, Iterable
from typing import Final

from gateway_guard.campaigns.communities import communities
from gateway_guard.campaigns.evidence import USUAL, Burden, Verdict, judge
from gateway_guard.campaigns.held import Held
from gateway_guard.campaigns.membership import (
    BURST,
    JOIN,
    LEAVE,
    Outside,
    Signature,
    confidence,
    points,
)
from gateway_guard.campaigns.memory import ROOMY, Bounds, Memory
from gateway_guard.campaigns.sighting import Sighting
from gateway_guard.campaigns.ties import Base, Group
from gateway_guard.campaigns.traces import Trace
from gateway_guard.campaigns.webs import Web, Webs
from gateway_guard.campaigns.words import sentences
from gateway_guard.types import Campaign, CampaignFacts

#: Fewest accounts of a group worth examining.
_FEWEST: Final = 4
#: A web is examined again when it has this share of new links.
_NEWS: Final = 0.1
#: Rounds of scoring members against what the members have in common.
_ROUNDS: Final = 3
#: How often a campaign held is examined again, and how long after its last exchange it is over;
#: seconds.
_AGAIN: Final = 86400.0
_OVER: Final = 14 * 86400.0
#: Most campaigns held at once; the longest silent is let go.
_MOST_HELD: Final = 1000


class Linker:
    """Learns from exchanges which accounts belong together, and holds the groups it can prove.

    Not safe for several threads. Memory is bounded by `bounds`, whatever is sent.
    """

    def __init__(self, *, bounds: Bounds = ROOMY, burden: Burden = USUAL) -> None:
        self.burden = burden
        self.memory = Memory(bounds)
        self.webs = Webs()
        #: Campaigns held, by name.
        self.held: dict[str, Held] = {}
        #: Account → what the guard is told of it; replaced entry by entry, so that another thread
        #: may read it at any time.
        self.verdicts: dict[str, CampaignFacts] = {}
        #: Account number → name of the campaign it belongs to.
        self.member_of: dict[int, str] = {}
        self.memory.kept = self.member_of
        #: Webs ever examined: the more one looks, the more must be shown.
        self.examined = 0
        self._signatures: dict[str, Signature] = {}
        #: What all members of all campaigns have in common.
        self._everyone = Signature()
        self._named = 0
        self._review_at = float("-inf")

    def facts(self, account: str) -> CampaignFacts | None:
        """The campaign `account` (a keyed digest) is held to belong to; None for none."""
        return self.verdicts.get(account)

    def campaigns(self) -> list[Campaign]:
        """The campaigns held now, oldest alarm first, members as account digests."""
        traces = self.memory.traces
        return [
            Campaign(
                id=held.id,
                members={
                    traces[n].account: confidence(score)
                    for n, score in held.members.items()
                    if n in traces
                },
                evidence=sentences(held.verdict),
                confidence=confidence(held.verdict.total - held.verdict.needed + JOIN),
                first_seen=held.first_seen,
                alarm_at=held.alarm_at,
            )
            for held in sorted(self.held.values(), key=lambda held: (held.alarm_at, held.id))
        ]

    def learn(self, seen: Sighting) -> None:
        """Take in one exchange. Times should not decrease; a step back is harmless."""
        number, news = self.memory.note(seen)
        name = self.member_of.get(number)
        if name is not None:
            self.held[name].count(seen.at, refused=seen.refused, tokens=seen.tokens)
        if news:
            self._relate(number, seen.at)
        if seen.at >= self._review_at:
            self._review_at = seen.at + _AGAIN / 24
            self._review(seen.at)

    # -- linking ---------------------------------------------------------------------------------

    def _relate(self, number: int, at: float) -> None:
        near = self.memory.near(number)
        if not near:
            return
        if number not in self.member_of:
            for name in sorted({self.member_of[n] for n in near if n in self.member_of}):
                score, _ = self.score(number, name)
                if score >= JOIN:
                    self._admit(self.held[name], number, score)
                    break
        web = self.webs.link(number, near)
        web.news += 1
        if len(web.members) >= _FEWEST and web.news >= _NEWS * len(web.members):
            web.news = 0
            if not web.examined:
                web.examined = True
                self.examined += 1
            self._examine(number, web, at)

    def _examine(self, number: int, web: Web, at: float) -> None:
        """Look for campaigns among the accounts that hang together with account `number`."""
        traces, most = self.memory.traces, self.memory.bounds.web
        members = [n for n in web.members if n in traces]
        if len(members) > most:
            members = self._around(number, most)
        values = self._values(members)
        # A half hour of sign-up is counted twice, from the hour and from the half.
        weights = {value: 0.5 if value[0] == "signed up" else 1.0 for value in values}
        base = Base(self.memory, self.member_of)
        for part in communities(values, weights):
            if len(part) >= _FEWEST:
                verdict = self._judge(part, base)
                if verdict.convicted:
                    self._convict(part, verdict, at)

    def _judge(self, part: Iterable[int], base: Base) -> Verdict:
        views = Group(part, self.memory).views(base)
        verdicts = [judge(view, examined=self.examined, burden=self.burden) for view in views]
        return max(verdicts, key=lambda verdict: (verdict.convicted, verdict.total))

    def _around(self, number: int, most: int) -> list[int]:
        found = {number}
        queue = deque([number])
        while queue and len(found) < most:
            for other in sorted(self.memory.near(queue.popleft()) - found):
                found.add(other)
                queue.append(other)
        return sorted(found)

    def _values(self, members: Iterable[int]) -> dict[tuple[str, Hashable], list[int]]:
        """What several organisations among `members` share: value → accounts."""
        values: dict[tuple[str, Hashable], list[int]] = defaultdict(list)
        traces = self.memory.traces
        for number in members:
            trace = traces[number]
            if trace.payment:
                values["payment", trace.payment].append(number)
            for subnet in trace.subnets:
                values["addresses", subnet].append(number)
            if trace.created_at:
                half = trace.created_at / BURST
                values["signed up", int(half)].append(number)
                values["signed up", int(half + 0.5) + 0.5].append(number)
        return {
            value: sharing
            for value, sharing in values.items()
            if len(sharing) > 1 and len({traces[n].organisation for n in sharing}) > 1
        }

    # -- holding ---------------------------------------------------------------------------------

    def score(self, number: int, name: str) -> tuple[float, dict[str, float]]:
        """Points of account `number` towards campaign `name`, and what each thing adds."""
        return self._score(
            number, self._signatures[name], member=self.member_of.get(number) == name
        )

    def _score(
        self, number: int, signature: Signature, *, member: bool
    ) -> tuple[float, dict[str, float]]:
        trace = self.memory.traces[number]
        return points(trace, signature, self._outside(trace, signature), member=member)

    def _outside(self, trace: Trace, signature: Signature) -> Outside:
        """How common what `trace` has is among the accounts in no campaign."""
        memory, everyone = self.memory, self._everyone

        def rest(count: int, *counted: int) -> int:
            return max(count - max(counted), 0)

        payments: dict[str, int] = {}
        if trace.payment:
            posting = memory.payments.get(trace.payment)
            payments[trace.payment] = rest(
                posting.count if posting is not None else 0,
                everyone.payments[trace.payment], signature.payments[trace.payment],
            )  # fmt: skip
        subnets = {}
        for subnet in trace.subnets:
            posting = memory.subnets.get(subnet)
            subnets[subnet] = rest(
                posting.count if posting is not None else 0,
                everyone.subnets[subnet], signature.subnets[subnet],
            )  # fmt: skip
        keys = {}
        for key in trace.shared:
            shared = memory.templates.shared.get(key)
            keys[key] = rest(
                shared.count if shared is not None else 0, everyone.keys[key], signature.keys[key]
            )
        created = trace.created_at
        near = memory.signed_up_near(created) if created else 0
        return Outside(
            size=max(len(memory.traces) - max(everyone.size, signature.size), 1),
            payments=payments,
            subnets=subnets,
            keys=keys,
            near=rest(near, everyone.near(created), signature.near(created)) if created else 0,
            even=Base(memory, ()).even,
        )

    def _admit(self, held: Held, number: int, score: float) -> None:
        trace = self.memory.traces[number]
        held.members[number] = score
        held.first_seen = min(held.first_seen, trace.first_at)
        self.member_of[number] = held.id
        self.verdicts[trace.account] = CampaignFacts(id=held.id, confidence=confidence(score))
        self._signatures[held.id].add(trace)
        self._everyone.add(trace)

    def _convict(self, part: set[int], verdict: Verdict, at: float) -> None:
        """Hold a group: a new campaign, or what is known of one already held."""
        known = Counter(self.member_of[n] for n in part if n in self.member_of)
        same = sorted(
            name for name, count in known.items()
            if count >= 0.5 * min(len(part), len(self.held[name].members))
        )  # fmt: skip
        candidates = {n for n in part if self.member_of.get(n, "") in ("", *same)}
        for name in same:
            candidates.update(self.held[name].members)
        scores = self._members(candidates)
        if len(scores) < self.burden.core:
            return
        if same:
            held = self.held[same[0]]
            for name in same[1:]:
                held.absorbed += [name, *self.held[name].absorbed]
                self._let_go(self.held[name], into=scores)
            self._replace(held, scores)
            held.verdict, held.examined_at = verdict, at
            return
        if len(self.held) >= _MOST_HELD:
            self._let_go(min(self.held.values(), key=lambda held: held.last_at))
        self._named += 1
        held = Held(
            id=f"c_{self._named:04d}", members={}, first_seen=at, alarm_at=at, last_at=at,
            examined_at=at, verdict=verdict,
        )  # fmt: skip
        self.held[held.id] = held
        self._signatures[held.id] = Signature()
        self._replace(held, scores)

    def _members(self, candidates: set[int]) -> dict[int, float]:
        """Which of `candidates` belong together, and their points."""
        traces = self.memory.traces
        accepted = {n for n in candidates if n in traces}
        scores: dict[int, float] = {}
        for _ in range(_ROUNDS):
            signature = Signature(traces[n] for n in sorted(accepted))
            scores = {}
            for number in sorted(candidates & traces.keys()):
                score, _ = self._score(number, signature, member=number in accepted)
                if score >= (LEAVE if number in self.member_of else JOIN):
                    scores[number] = score
            if scores.keys() == accepted:
                break
            accepted = set(scores)
        return scores

    def _replace(self, held: Held, scores: dict[int, float]) -> None:
        for number in held.members.keys() - scores.keys():
            self._forget(number)
        for number in held.members:
            self.member_of.pop(number, None)
        held.members = {}
        self._signatures[held.id] = Signature()
        self._recount()
        for number, score in scores.items():
            self._admit(held, number, score)

    def _let_go(self, held: Held, into: Container[int] = ()) -> None:
        """Hold a campaign no longer; members `into` another one keep their verdict meanwhile."""
        del self.held[held.id], self._signatures[held.id]
        for number in held.members:
            if number not in into:
                self._forget(number)
        self._recount()

    def _forget(self, number: int) -> None:
        self.member_of.pop(number, None)
        trace = self.memory.traces.get(number)
        if trace is not None:
            self.verdicts.pop(trace.account, None)

    def _recount(self) -> None:
        traces = self.memory.traces
        self._everyone = Signature(traces[n] for n in self.member_of if n in traces)

    # -- ageing ----------------------------------------------------------------------------------

    def _review(self, at: float) -> None:
        """Weigh the evidence of campaigns again that were not for a day; let go what is over."""
        for held in list(self.held.values()):
            if at - held.last_at > _OVER:
                self._let_go(held)
            elif at - held.examined_at > _AGAIN:
                self._examine_held(held, at)

    def _examine_held(self, held: Held, at: float) -> None:
        held.examined_at = at
        members = set(held.members) & self.memory.traces.keys()
        held.verdict = self._judge(members, Base(self.memory, self.member_of))
        scores = self._members(members)
        # What once was proved is held until the evidence is gone, not until it is a little less.
        if len(scores) < self.burden.core or held.verdict.total < held.verdict.needed / 2:
            self._let_go(held)
        else:
            self._replace(held, scores)
