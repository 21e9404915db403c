"""The campaigns held: who belongs to which, how surely, and what people decided about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterable
from typing import Final

from gateway_guard.campaigns.acquittals import Acquittals
from gateway_guard.campaigns.alibis import ALIBIS
from gateway_guard.campaigns.belonging import Belonging
from gateway_guard.campaigns.elsewhere import Elsewhere
from gateway_guard.campaigns.ended import Endings, Why
from gateway_guard.campaigns.erasing import erase, expired
from gateway_guard.campaigns.evidence import Burden, Verdict
from gateway_guard.campaigns.held import Held
from gateway_guard.campaigns.membership import JOIN, LEAVE, Signature, confidence
from gateway_guard.campaigns.memory import Memory
from gateway_guard.campaigns.reviews import LEFT_ALONE, MEMBERSHIP, Review, Reviews, Ruling
from gateway_guard.campaigns.sighting import Sighting
from gateway_guard.campaigns.steps import Steps
from gateway_guard.types import CampaignFacts

#: A campaign that has become this share larger since is scored anew as a whole. Below, a find of a
#: part of it adds to it: else following a campaign would take time with the square of its size.
_LITTLE: Final = 0.02
#: Of one of so many members, one that has become this share larger; and a find of all of it adds
#: to it, too.
_LARGE: Final = 100
_LITTLE_OF_MANY: Final = 0.1
#: How long whoever was taken for people at a place, beside a group that was convicted, is not taken
#: in one by one, seconds: who works where members do would be, with the next request.
_PLACED: Final = 7 * 86400.0
#: Most campaigns held at once; the longest silent is let go.
_MOST_HELD: Final = 1000
#: Most accounts told of that are no members.
_MOST_SUSPECTS: Final = 100_000
#: The name of the campaign of accounts that a reviewer banned and no campaign holds.
BANNED: Final = "banned"


def banned_in(campaign: str) -> CampaignFacts:
    """The verdict on an account that a reviewer banned: only people are wholly sure
    (`membership.confidence` stays below 1).
    """
    return CampaignFacts(id=campaign, confidence=1.0, banned=True)


#: Judges accounts anew: the verdict and those of them it is about, or None for innocent.
Again = Callable[[set[int]], tuple[Verdict, set[int]] | None]


class Casebook:
    """Campaigns by name, their members, and the verdicts the guard is told.

    Attributes:
        held: campaigns held now, by name.
        elsewhere: what all members have in common, and how common it is among everybody else.
        acquittals: groups that were held and turned out innocent.
        member_of: account number → name of the campaign it belongs to.
        verdicts: account → what the guard is told of it. Replaced entry by entry, so that another
            thread may read it at any time.
        reviews: rulings of people, which stand above everything else.
        endings: campaigns that are held no longer.
    """

    def __init__(self, memory: Memory, burden: Burden) -> None:
        self.held: dict[str, Held] = {}
        self.member_of: dict[int, str] = {}
        self.verdicts: dict[str, CampaignFacts] = {}
        self.reviews = Reviews()
        #: Number of campaigns ever named.
        self.named = 0
        self._memory = memory
        self._burden = burden
        self._signatures: dict[str, Signature] = {}
        self.elsewhere = Elsewhere(memory, self.member_of)
        self._belonging = Belonging(memory, self.elsewhere, self.member_of, self.reviews)
        #: Accounts that are no members, but near enough to be told → the campaign.
        self._suspects: dict[int, str] = {}
        self.acquittals = Acquittals()
        self.endings = Endings()
        memory.kept = self._kept = set[int]()
        memory.dropped = self._drop
        memory.held_with = lambda key: self.elsewhere.everyone.keys[key]

    def count(self, number: int, seen: Sighting) -> None:
        """Count an exchange of a member."""
        name = self.member_of.get(number)
        if name is not None:
            common = self._signatures[name].keys
            self.held[name].count(seen, [key for key in seen.keys if common[key] > 1])

    def consider(self, number: int, near: Iterable[int], at: float) -> None:
        """Whether an account that came near members of campaigns belongs to one of them."""
        if number in self.member_of or not self.held:
            return
        around = self._memory.touching(number).union(near)
        names = {self.member_of[n] for n in around if n in self.member_of}
        placed = at - self._memory.traces[number].placed_at <= _PLACED
        if not names or placed or self._belonging.spared(number, at):
            if number in self._suspects:
                self._clear(number)
            return
        score, name = max((self.score(number, name)[0], name) for name in sorted(names))
        if score >= JOIN:
            # Not counted before the campaign is weighed again: one of a class that came near would
            # bring the class along.
            self._admit(self.held[name], number, score, counted=False)
        elif score >= LEAVE:
            # Not a member, but the guard may want to give it less.
            self.suspect(number, name, confidence(score))
        elif number in self._suspects:
            self._clear(number)

    def suspect(self, number: int, name: str, sure: float) -> None:
        """Tell the guard of an account that is near campaign `name` but no member."""
        if len(self._suspects) >= _MOST_SUSPECTS:
            self._clear(next(iter(self._suspects)))
        self._suspects[number] = name
        self._kept.add(number)
        self._tell(number, name, sure)

    def score(self, number: int, name: str) -> tuple[float, dict[str, float]]:
        """Points of account `number` towards campaign `name`, and what each thing adds; of one that
        is not counted in it, as of one that joins it."""
        signature = self._signatures[name]
        member = self._memory.traces[number].account in signature.accounts
        base = self.elsewhere.base(signature)
        return self._belonging.score(number, signature, base, member=member, joins=not member)

    def convict(
        self, part: set[int], verdict: Verdict, at: float, again: Again
    ) -> Steps[Held | None]:
        """Hold a group: as a new campaign, or as what is known of one already held.

        Whoever would be held is judged `again`, without the rest of the group, before anybody is
        told: None means that they look innocent then. None when nobody is held: too few of the
        group belong together, they look innocent by themselves, or they are a part of a larger
        group that was acquitted.
        """
        if self.acquittals.covers(part, at):
            return None
        known = Counter(self.member_of[n] for n in part if n in self.member_of)
        same = sorted(
            (
                name for name, count in known.items()
                if count >= 0.5 * min(len(part), len(self.held[name].members))
            ),
            key=lambda name: (self.held[name].alarm_at, len(name), name),
        )  # fmt: skip
        candidates = {n for n in part if self.member_of.get(n, "") in ("", *same)}
        if len(same) == 1:
            held = self.held[same[0]]
            fresh = candidates - held.members.keys()
            larger = len(held.members) + len(fresh)
            part_of_it = larger > len(candidates) or larger >= _LARGE
            little = _LITTLE if held.scored < _LARGE else _LITTLE_OF_MANY
            if part_of_it and larger < (1.0 + little) * held.scored:
                yield from self._join(held, fresh, at)
                return held
        for name in same:
            candidates.update(self.held[name].members)
        scores = yield from self._belonging.members(candidates, at)
        if len(scores) < self._burden.core:
            return None
        scores |= yield from self._belonging.neighbours(set(scores), at)
        second = again(set(scores))
        left_out: set[int] = set()
        if second is None:
            self.acquittals.add(scores, at)
            scores, why = {}, Why.INNOCENT
        else:
            verdict, meant = second
            why = Why.INNOCENT if verdict.at_places else Why.FADED
            left_out = scores.keys() - meant
            if left_out:
                scores = yield from self._belonging.members(meant, at)
        if len(scores) < self._burden.core:
            for name in same:
                self.end(self.held[name], why, at)
            return None
        if same:
            held = self.held[same[0]]
            for name in same[1:]:
                held.absorb(self.held[name])
                self.endings.add(self.held[name], Why.MERGED, at)
                self.let_go(self.held[name], into=scores)
            held.verdict, held.examined_at = verdict, at
        else:
            if len(self.held) >= _MOST_HELD:
                self.end(min(self.held.values(), key=lambda held: held.last_at), Why.ROOM, at)
            self.named += 1
            held = Held(
                id=self.name(self.named), members={}, first_seen=at, alarm_at=at, last_at=at,
                examined_at=at, verdict=verdict,
            )  # fmt: skip
            self.held[held.id] = held
        fresh = scores.keys() - self.member_of.keys()
        self._memory.place(left_out, at)
        self._replace(held, scores)
        held.judged = held.scored = len(scores)
        if held.scored >= _LARGE:
            # Those who do not belong were looked at as well, and would be news each time.
            held.scored = max(held.scored, len(candidates))
        yield from self._invite(fresh, at)
        return held

    def _join(self, held: Held, candidates: set[int], at: float) -> Steps[None]:
        """Add those of `candidates` that belong to a campaign whose members stay as they are."""
        scores = yield from self._belonging.members(candidates, at, self._signatures[held.id])
        for number, score in scores.items():
            self._admit(held, number, score)
        yield from self._invite(scores, at)

    def _invite(self, fresh: Iterable[int], at: float) -> Steps[None]:
        """Consider whoever is near new members: it had its say when there was nothing to join."""
        had: dict[int, int] = {}
        for number in sorted(fresh):
            for other in sorted(self._memory.near(number)):
                # Near several of them it has its say again only when somebody joined since.
                if had.get(other) != (members := len(self.member_of)):
                    had[other] = members
                    self.consider(other, (number,), at)
            yield

    def acquit(self, held: Held, at: float) -> None:
        """Let a campaign go that looks innocent now that more of it is known."""
        self.acquittals.add(held.members, at)
        self.end(held, Why.INNOCENT, at)

    def weigh_again(
        self, held: Held, members: set[int], verdict: Verdict, at: float
    ) -> Steps[None]:
        """Hold a campaign on by today's evidence, with those that are still taken for `members`, or
        let it go.

        What once was proved is held until the evidence is gone, not until it is a little less; or
        until it shows who they are.
        """
        held.verdict, held.examined_at, held.judged = verdict, at, len(members)
        if verdict.explanation in ALIBIS:
            self.acquit(held, at)
            return
        scores = yield from self._belonging.members(members, at)
        if len(scores) < self._burden.core or verdict.total < verdict.needed / 2:
            self.end(held, Why.INNOCENT if verdict.at_places else Why.FADED, at)
        else:
            self._memory.place(held.members.keys() - members, at)
            self._replace(held, scores)
            held.scored = max(len(scores), held.scored if len(scores) >= _LARGE else 0)

    @staticmethod
    def name(number: int) -> str:
        """The name of the campaign that is the `number`th ever found, from 1."""
        return f"c_{number:04d}"

    def end(self, held: Held, why: Why, at: float) -> None:
        """Hold a campaign no longer, and remember that it was held, and `why` not any more."""
        self.endings.add(held, why, at)
        self.let_go(held)

    def let_go(self, held: Held, into: Container[int] = ()) -> None:
        """Hold a campaign no longer; members `into` another one keep their verdict meanwhile."""
        del self.held[held.id]
        self._signatures.pop(held.id, None)
        for number in [n for n, name in self._suspects.items() if name == held.id]:
            self._clear(number)
        for number in held.members:
            if number not in into:
                self._forget(number)
            else:
                self.member_of.pop(number, None)
                self.elsewhere.left += 1

    def review(self, review: Review) -> bool:
        """Put a person's decision in force. False when it names a campaign that is not held."""
        if review.campaign is not None and review.ruling is Ruling.RELEASE:
            held = self.held.get(review.campaign)
            if held is None:
                return False
            for number in held.members:
                account = self._memory.traces[number].account
                if not self.reviews.banned(account):
                    self.reviews.rule(account, Ruling.ALLOW, review.at + LEFT_ALONE)
            self.end(held, Why.RELEASED, review.at)
        elif review.account is not None and review.ruling in MEMBERSHIP:
            self._rule(review.account, review.ruling, review.at)
        elif review.account is not None and review.ruling is Ruling.ERASE:
            self._erase(review.account, review.at)
        return True

    def restore(self, held: Iterable[Held]) -> None:
        """Take over campaigns held before a restart; their members must be remembered."""
        for one in held:
            self.held[one.id] = one
            scores = {n: s for n, s in one.members.items() if n in self._memory.traces}
            one.members = {}
            self._replace(one, scores)
        for account, (ruling, _) in list(self.reviews.rulings.items()):
            if ruling is Ruling.BAN:
                self._rule(account, ruling, 0.0)

    def _rule(self, account: str, ruling: Ruling, at: float) -> None:
        self.reviews.rule(account, ruling)
        number = self._memory.numbers.get(account)
        name = self.member_of.get(number) if number is not None else None
        if ruling is Ruling.BAN:
            self.verdicts[account] = banned_in(name or BANNED)
        elif number is not None and name is not None and ruling is Ruling.ALLOW:
            self._leave(number, self.held[name], at)
        elif number is None or name is None:
            self.verdicts.pop(account, None)
        else:
            self._tell(number, name, confidence(self.held[name].members[number]))

    def _leave(self, number: int, held: Held, at: float) -> None:
        """Count a member no longer, because people say so."""
        if held.members.keys() == {number}:
            # Nobody is left to hold.
            self.end(held, Why.RELEASED, at)
            return
        del held.members[number]
        self._replace(held, dict(held.members))
        self._forget(number)

    def _erase(self, account: str, at: float) -> None:
        """Forget what was learnt of an account, but not what was learnt after `at`: a journal is
        read more than once.
        """
        number = self._memory.numbers.get(account)
        if number is None or self._memory.traces[number].first_at > at:
            return
        if number in self.member_of:
            self._leave(number, self.held[self.member_of[number]], at)
        elif number in self._suspects:
            self._clear(number)
        erase(self._memory, number)

    def _clear(self, number: int) -> None:
        """Suspect an account no longer."""
        del self._suspects[number]
        self._forget(number)

    def _admit(self, held: Held, number: int, score: float, *, counted: bool = True) -> None:
        trace = self._memory.traces[number]
        self._suspects.pop(number, None)
        self._kept.add(number)
        held.members[number] = score
        held.first_seen = min(held.first_seen, trace.first_at)
        self.member_of[number] = held.id
        self._tell(number, held.id, confidence(score))
        if counted:
            self._signatures[held.id].add(trace)
        self.elsewhere.everyone.add(trace)

    def _tell(self, number: int, name: str, sure: float) -> None:
        account = self._memory.traces[number].account
        banned = self.reviews.banned(account)
        self.verdicts[account] = (
            banned_in(name) if banned else CampaignFacts(id=name, confidence=sure)
        )

    def _replace(self, held: Held, scores: dict[int, float]) -> None:
        for number in held.members.keys() - scores.keys():
            self._forget(number)
        held.members = {n: s for n, s in held.members.items() if n in scores}
        self._signatures[held.id] = Signature(self._memory.traces[n] for n in held.members)
        for number, score in scores.items():
            if self.member_of.get(number) == held.id:
                held.members[number] = score
                self._tell(number, held.id, confidence(score))
            else:
                self._admit(held, number, score)

    def _forget(self, number: int) -> None:
        if self.member_of.pop(number, None) is not None:
            self.elsewhere.left += 1
        self._kept.discard(number)
        account = self._memory.traces[number].account
        if self.reviews.banned(account):
            self.verdicts[account] = banned_in(BANNED)
        else:
            self.verdicts.pop(account, None)

    def _drop(self, number: int) -> None:
        """Let go of one account that must be forgotten: memory is full of members."""
        name = self.member_of.get(number)
        if name is None:
            self._suspects.pop(number, None)
        else:
            del self.held[name].members[number]
        self._forget(number)

    def recount(self, at: float) -> Steps[None]:
        """Count anew what all members have in common, and forget what is over."""
        yield from expired(self._memory, at)
        yield from self.elsewhere.recounted()
        self.acquittals.expire(self._memory.traces, at)
