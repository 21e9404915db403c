"""Finds the accounts that act as one: online, bounded, pure. Time comes in with each sighting."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Final

from gateway_guard.campaigns.acquittals import GROWN
from gateway_guard.campaigns.casebook import Casebook
from gateway_guard.campaigns.communities import communities
from gateway_guard.campaigns.ended import Why
from gateway_guard.campaigns.evidence import USUAL, Burden, Verdict
from gateway_guard.campaigns.held import Held
from gateway_guard.campaigns.hours import Hours
from gateway_guard.campaigns.judging import judged
from gateway_guard.campaigns.membership import JOIN, confidence
from gateway_guard.campaigns.memory import ROOMY, Bounds, Memory
from gateway_guard.campaigns.reviews import Review
from gateway_guard.campaigns.samples import Samples
from gateway_guard.campaigns.sighting import Sighting
from gateway_guard.campaigns.steps import Steps, finish
from gateway_guard.campaigns.surroundings import around, values
from gateway_guard.campaigns.ties import Group
from gateway_guard.campaigns.turns import Job, Turns
from gateway_guard.campaigns.webs import Web, Webs
from gateway_guard.campaigns.words import sentences
from gateway_guard.types import Campaign, CampaignFacts

#: Fewest accounts of a group worth examining.
FEWEST: Final = 4
#: A web of so few accounts is also examined as a whole.
_FEW: Final = 12
#: A piece of so many accounts shows by itself what it is.
_ALONE: Final = 12
#: A web is examined again when it has this share of new links.
_NEWS: Final = 0.1
#: And a campaign when at least so many members joined it since.
_MORE: Final = 3
#: How often a campaign held is weighed again, and how long after its last exchange it is over;
#: seconds.
_AGAIN: Final = 86400.0
_OVER: Final = 14 * 86400.0
#: Each hour so many accounts of large webs are examined for each exchange learnt since, at least so
#: many; the others wait. Else following a campaign of thousands would take most of the time.
_LOOKED: Final = 0.2
_LOOKED_AT_LEAST: Final = 600
#: Work goes on in steps of about so much, each taken for at least so much; and so much of what an
#: exchange ties is not paid for. As `Memory.effort`.
_STEP: Final = 2_000.0
_STEP_AT_LEAST: Final = 3.0
_RELATED: Final = 500.0
#: What it costs to judge one account of a group, as `Memory.effort`.
_JUDGED: Final = 35.0


class Linker:
    """Learns from exchanges which accounts belong together, and holds the groups it can prove.

    Not safe for several threads. Memory is bounded by `bounds`, whatever is sent.

    Attributes:
        memory: what is remembered of accounts and of what they share.
        webs: accounts that hang together at all.
        cases: the campaigns held.
        examined: webs ever examined, a large one several times: the more one looks, the more must
            be shown.
        samples: text of what members of campaigns have in common; empty unless asked for.
    """

    def __init__(self, *, bounds: Bounds = ROOMY, burden: Burden = USUAL) -> None:
        self.burden = burden
        self.memory = Memory(bounds)
        self.webs = Webs()
        self.cases = Casebook(self.memory, burden)
        self.examined = 0
        self.samples = Samples()
        self._hours = Hours()
        #: Exchanges learnt since either was looked at.
        self._learnt = 0
        #: Accounts with new links that have not been examined since; oldest first.
        self._waiting: dict[int, None] = {}
        #: Whose web is looked at next; and at how many of large ones still, this hour.
        self._turns = Turns()
        self._left = 0
        #: What is under way; accounts that may have new ties; when it was time to weigh what is
        #: held, and whether that is overdue.
        self._job: Job | None = None
        self._news: dict[int, None] = {}
        self._hour: float | None = None
        self._late_work = False

    @property
    def held(self) -> dict[str, Held]:
        """The campaigns held, by name."""
        return self.cases.held

    @property
    def behind(self) -> bool:
        """Whether something is left to be done with the next exchanges."""
        return bool(self._job or self._turns.waiting or self._hour is not None or self._news)

    def facts(self, account: str) -> CampaignFacts | None:
        """The campaign `account` (a keyed digest) is held to belong to; None for none."""
        return self.cases.verdicts.get(account)

    def campaigns(self) -> list[Campaign]:
        """The campaigns held now, oldest alarm first, members as account digests."""
        oldest_first = sorted(self.held.values(), key=lambda held: (held.alarm_at, held.id))
        return [self.campaign(held) for held in oldest_first]

    def campaign(self, held: Held) -> Campaign:
        """One of them, as it stands."""
        traces = self.memory.traces
        return Campaign(
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

    def review(self, review: Review) -> bool:
        """Put a person's decision in force. False when it names a campaign that is not held."""
        if self._job is not None:
            finish(self._job.steps)  # nobody may join or leave meanwhile
            self._job = None
        return self.cases.review(review)

    def learn(self, seen: Sighting) -> None:
        """Take in one exchange. Times should not decrease; a step back is harmless.

        Of an account that was never answered nothing is taken in: it may be nobody's.
        """
        if seen.refused and seen.account not in self.memory.numbers:
            return
        number, news = self.memory.note(seen)
        self._learnt += 1
        self.cases.count(number, seen)
        if seen.sample is not None and number in self.cases.member_of:
            self.samples.note(seen)
        if news:
            self._news[number] = None
        self._turns.begin()
        if news or self.behind:
            self._work(seen.at)
        if self.memory.forgotten > len(self.memory.traces):
            self._weave_anew()
        if self._hours.passed(seen.at):
            self._age(seen.at)

    def _weave_anew(self) -> None:
        """Forget which accounts hang together: too many of them are forgotten themselves.

        What still ties accounts is found again with whatever they do next.
        """
        self.memory.forgotten = 0
        self.webs = Webs()
        self._waiting = {}
        self._turns.clear()
        self._job = None
        for trace in self.memory.traces.values():
            trace.linked = 0

    def _relate(self, number: int, at: float) -> Steps[None]:
        near = self.memory.near(number)
        self.cases.consider(number, near, at)
        name = self.cases.member_of.get(number)
        if name is not None:
            yield from self._grown(self.held[name], at)
            name = self.cases.member_of.get(number)
        if not near:
            return
        web = self.webs.link(number, near)
        trace = self.memory.traces[number]
        if len(near) > trace.linked:
            trace.linked = len(near)
            if name is None or not near <= self.cases.held[name].members.keys():
                # A campaign held that ties its members once more is found already.
                web.news += 1
                self._waiting[number] = None
        if web.news and web.news >= _NEWS * min(len(web.members), self.memory.bounds.web):
            self._turns.add(number, web)

    def _work(self, at: float) -> None:
        """Do what is to be done, as far as may be now: what an exchange ties, then webs."""
        turns, memory = self._turns, self.memory
        if self._job is not None and memory.forgotten != self._job.forgotten:
            self._put_back(self._job)
        while not turns.enough and (job := self._job or self._next(at)) is not None:
            self._job, before = job, memory.effort
            for _ in job.steps:
                if memory.effort - before >= _STEP:
                    break
            else:
                self._job = None
            effort = max(memory.effort - before, _STEP_AT_LEAST)
            if job.relates:
                # What ties a new account is looked for whatever else there is to do.
                turns.use(effort)
                effort -= _RELATED
            if effort > 0.0:
                turns.spend(effort, job.web, hourly=job.hourly)

    def _put_back(self, job: Job) -> None:
        """Begin anew another time: accounts were forgotten that it was about."""
        job.steps.close()
        self._job = None
        if job.number is None:
            self._hour = job.at
        elif job.number in self.memory.traces:
            self._turns.add(job.number, self.webs.of(job.number))

    def _next(self, at: float) -> Job | None:
        memory, turns = self.memory, self._turns
        while self._news:
            number = next(iter(self._news))
            del self._news[number]
            if number in memory.traces:
                return Job(self._relate(number, at), at, memory.forgotten, number, relates=True)
        if self._hour is not None and (self._late_work or not turns.waiting):
            hour, self._hour, self._late_work = self._hour, None, False
            return Job(self._weigh(hour), hour, memory.forgotten)
        turn = turns.next(self.webs)
        if turn is None:
            return None
        number, hourly = turn
        web = self.webs.of(number)
        return Job(
            self._turn(number, web, at, hourly=hourly), at, memory.forgotten, number, web, hourly
        )

    def _turn(self, number: int, web: Web, at: float, *, hourly: bool) -> Steps[None]:
        if number not in self.memory.traces:
            return
        large = hourly and len(web.members) > self.memory.bounds.web
        if large and self._left <= 0:
            self._waiting[number] = None
            return
        looked = yield from self._examine(number, web, at)
        if large:
            self._left -= looked

    def _examine(self, number: int, web: Web, at: float) -> Steps[int]:
        """Look for campaigns among the accounts that hang together with account `number`; at how
        many one has looked.
        """
        web.news = 0
        if len(web.members) < FEWEST:
            self._waiting.pop(number, None)
            return 0
        traces, most = self.memory.traces, self.memory.bounds.web
        looks = -(-len(web.members) // most)
        if looks > web.examined:
            self.examined += looks - web.examined
            web.examined = looks
        members = [n for n in web.members if n in traces]
        if len(members) > most:
            members = yield from around(self.memory, number, most)
        for looked in members:
            self._waiting.pop(looked, None)
            self._turns.done(looked, web)
        shared = values(self.memory, members)
        yield
        # A half hour of sign-up is counted twice, from the hour and from the half.
        weights = {value: 0.5 if value[0] == "signed up" else 1.0 for value in shared}
        parts = communities(shared, weights)
        if len(parts) > 1 and len(members) <= _FEW:
            # So few may be one although they fall apart.
            parts.append([set(members)])
        for pieces in parts:
            yield
            if sum(map(len, pieces)) >= FEWEST:
                verdict, rest = self._joined(pieces, at)
                if not verdict.convicted:
                    continue
                again = partial(self._again, at=at)
                held = yield from self.cases.convict(rest, verdict, at, again)
                if held is not None:
                    yield from self._grown(held, at)
        return len(members)

    def _joined(self, pieces: list[set[int]], at: float) -> tuple[Verdict, set[int]]:
        """As `_judge` of all `pieces`, without those that look innocent by themselves and do not
        say what the others say.

        A reseller's customers and a class have an innocent explanation each, and none together:
        one pays, the other signed up in one hour. No piece of a campaign is innocent, unless it is
        too new to show what it is; then it says the same.
        """
        whole = set().union(*pieces)
        verdict, meant = self._judge(whole, at)
        if not verdict.convicted or len(pieces) == 1:
            return verdict, meant
        innocent = [
            piece for piece in pieces if len(piece) >= _ALONE and self._again(piece, at) is None
        ]
        others = whole.difference(*innocent) or whole
        left_out = [
            piece
            for piece in innocent
            if not Group(others | piece, self.memory).says_the_same(piece, self.burden.alike)
        ]
        return self._judge(whole.difference(*left_out), at) if left_out else (verdict, meant)

    def _again(self, members: set[int], at: float) -> tuple[Verdict, set[int]] | None:
        """What those who would be held look like without the rest of their group.

        Half of the proof will do, as that is what holds a campaign: they were proved together.
        None when they look innocent.
        """
        verdict, meant = self._judge(members, at)
        half = verdict.total >= verdict.needed / 2 and verdict.left >= self.burden.left / 2
        return (verdict, meant) if verdict.convicted or half else None

    def _grown(self, held: Held, at: float) -> Steps[None]:
        """Weigh a campaign again when it has become much larger than what was judged.

        A few accounts of a firm, a class or a reseller's customers can look like one hand; as more
        of them join, what they are shows. A real campaign only proves more.
        """
        while held.id in self.held and len(held.members) >= max(
            GROWN * held.judged, held.judged + _MORE
        ):
            verdict, rest = self._judge(held.members, at)
            if verdict.convicted:
                yield from self.cases.weigh_again(held, rest, verdict, at)
            else:
                self.cases.acquit(held, at)

    def _judge(self, part: Iterable[int], at: float) -> tuple[Verdict, set[int]]:
        """What the evidence comes to about those of a group that are not people at a place, and who
        they are. The people are left alone for a while when the others are convicted.
        """
        members = set(part)
        self.memory.effort += _JUDGED * len(members)
        found = judged(
            members, self.memory, self.cases.elsewhere.base(),
            examined=self.examined, burden=self.burden,
        )  # fmt: skip
        if found.verdict.convicted:
            self.memory.place(found.people, at)
        return found.verdict, found.meant

    def _age(self, at: float) -> None:
        """Have webs examined with news too few to be examined at once, and let go what is over."""
        self.samples.expire(at)
        self._left, self._learnt = max(int(_LOOKED * self._learnt), _LOOKED_AT_LEAST), 0
        if self._turns.every(self._waiting):
            self._waiting = {}
        self._late_work = self._hour is not None
        self._hour = at
        self._work(at)

    def _weigh(self, at: float) -> Steps[None]:
        """Weigh anew what is held, and let go what is over."""
        yield from self.cases.recount(at)
        for held in list(self.held.values()):
            if held.id not in self.held:
                continue
            if at - held.last_at > _OVER:
                self.cases.end(held, Why.SILENT, at)
            elif at - held.examined_at > _AGAIN:
                verdict, rest = self._judge(held.members, at)
                yield from self.cases.weigh_again(held, rest, verdict, at)
            yield
