"""A linker, and how much of the streams it has learnt from: what a restart must find as one."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from gateway_guard.campaigns.ended import none_yet
from gateway_guard.campaigns.journal import apply
from gateway_guard.campaigns.linker import Linker
from gateway_guard.campaigns.reviews import Review
from gateway_guard.campaigns.sighting import Sighting
from gateway_guard.errors import UNDECODABLE
from gateway_guard.record.announcing import Announcer
from gateway_guard.record.notices import Notices, Tell
from gateway_guard.streams.keys import order
from gateway_guard.streams.wire import Refusal, Told, plausible, read_batch, read_order
from gateway_guard.types import CampaignFacts

log = logging.getLogger(__name__)

#: Most starts of guards remembered, beyond which the one silent longest is forgotten.
_MOST_GUARDS: Final = 10_000
START: Final = b"0-0"
#: Seconds a sighting may lie ahead of the moment it came into the stream, by the server's clock.
#: None happens after it is told of: a guard whose clock runs ahead by days would end every campaign
#: as silent, one by hours make the linker look around anew with each exchange. Clocks of hosts that
#: are looked after differ by less than a second.
_AHEAD: Final = 60.0


class Position(msgspec.Struct, array_like=True):
    """What has been learnt from.

    Attributes:
        sightings, reviews: ids of the last entries.
        guards: start of a guard → how many of its sightings are in, those lost included; the one
            heard last stands last.
    """

    sightings: bytes = START
    reviews: bytes = START
    guards: dict[bytes, int] = {}


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Position).decode


def position_of(data: bytes) -> Position:
    """The position in a snapshot; the start when it has none, or one of another form."""
    try:
        found = _decode(data) if data else Position()
        order(found.sightings), order(found.reviews)
    except (*UNDECODABLE, ValueError):
        return Position()
    return found


class Noting(dict[str, CampaignFacts]):
    """Verdicts that remember which of them were touched."""

    def __init__(self, verdicts: Mapping[str, CampaignFacts]) -> None:
        super().__init__(verdicts)
        self.touched: set[str] = set(verdicts)

    def __setitem__(self, account: str, facts: CampaignFacts) -> None:
        self.touched.add(account)
        super().__setitem__(account, facts)

    def __delitem__(self, account: str) -> None:
        self.touched.add(account)
        super().__delitem__(account)

    def pop(self, account: str, *default: Any) -> Any:
        """As of any dictionary."""
        self.touched.add(account)
        return super().pop(account, *default)


class Counts(msgspec.Struct):
    """What was met in the streams.

    Attributes:
        learnt: sightings taken in.
        repeated: sightings that came a second time.
        lost: sightings that guards sent and that were gone before they could be learnt from.
        failed: sightings the linker could not take in.
        ahead: sightings of a guard whose clock was ahead, taken as of the moment they came.
        skipped: entries not taken, by why: `malformed`, `version`, `secret`.
        let_go: campaigns held no longer, by why.
    """

    learnt: int = 0
    repeated: int = 0
    lost: int = 0
    failed: int = 0
    ahead: int = 0
    skipped: dict[str, int] = {}
    let_go: Counter[str] = msgspec.field(default_factory=none_yet)


class Pupil:
    """Takes entries of the streams in order, each once, however often they come.

    Attributes:
        linker: what learns.
        position: how far it is.
        counts: what it met; may be another one's, to count on.
        news: entries taken in since the last snapshot.
        counting: whether sightings of guards unknown so far, sent before the first one seen, count
            as lost; not for a linker that has only just begun to exist.
    """

    def __init__(
        self,
        linker: Linker | None = None,
        position: Position | None = None,
        counts: Counts | None = None,
        tell: Tell | None = None,
    ) -> None:
        """`tell` takes notices of campaigns held and let go."""
        self.linker = linker or Linker()
        self.counting = position is not None and position.sightings != START
        self.position = position or Position()
        self.counts = counts or Counts()
        self.news = 0
        self.linker.cases.endings.counts = self.counts.let_go
        notices = Notices(self.linker, tell) if tell is not None else None
        self._announcer = Announcer(self.linker.cases, notices)
        self._verdicts = self.linker.cases.verdicts = Noting(self.linker.cases.verdicts)

    @property
    def packed(self) -> bytes:
        """The position, for a snapshot."""
        return _encode(self.position)

    def take(
        self,
        sightings: Iterable[tuple[bytes, Mapping[bytes, bytes]]],
        reviews: Iterable[tuple[bytes, Mapping[bytes, bytes]]],
        key: bytes,
    ) -> list[Review]:
        """Learn from entries of both streams in the order they were written; the reviews in them.

        `key` is the fingerprint of the secret.
        """
        heard = []
        ordered = sorted(
            [(order(entry), 0, entry, fields) for entry, fields in sightings]
            + [(order(entry), 1, entry, fields) for entry, fields in reviews],
            key=lambda one: one[:2],
        )
        for _, kind, entry, fields in ordered:
            self.news += 1
            try:
                if kind:
                    self.position.reviews = entry
                    orders = read_order(fields.get(b"r", b""), key)
                    if orders.kind == "review":
                        review = orders.review()
                        heard.append(review)
                        self.heed(review)
                else:
                    self.position.sightings = entry
                    self._batch(fields.get(b"b", b""), key, order(entry)[0] / 1_000)
            except Refusal as refusal:
                self._skip(refusal.why)
        self._announcer.announce()
        return heard

    def heed(self, review: Review) -> None:
        """Put a person's decision in force; twice is harmless."""
        try:
            if not apply(self.linker, review):
                log.info("review skipped: campaign %s is not held", review.campaign)
        except Exception as error:
            log.exception("a review failed: %s", type(error).__name__)

    def touched(self) -> set[str]:
        """Accounts whose verdict may have changed since the last call."""
        found, self._verdicts.touched = self._verdicts.touched, set()
        return found

    def again(self, accounts: Iterable[str]) -> None:
        """Count these as touched (once more)."""
        self._verdicts.touched.update(accounts)

    def changes(self, accounts: Iterable[str], published: Mapping[str, CampaignFacts]) -> Told:
        """The verdicts on `accounts` that are not as `published`."""
        verdicts = self._verdicts
        for account in accounts:
            now = verdicts.get(account)
            if now != published.get(account):
                yield account, now

    def _batch(self, data: bytes, key: bytes, came: float) -> None:
        batch = read_batch(data, key)
        guards, counts = self.position.guards, self.counts
        known = guards.pop(batch.guard, None)
        done = known if known is not None else 0 if self.counting else batch.first
        if batch.first > done:
            counts.lost += batch.first - done
            done = batch.first
        for number, seen in enumerate(batch.sightings, batch.first):
            if number < done:
                counts.repeated += 1
                continue
            if not plausible(seen):
                # Whatever makes no sense in it, others of the batch are not to blame.
                counts.failed += 1
                continue
            try:
                self.linker.learn(self._no_later(seen, came + _AHEAD))
                counts.learnt += 1
            except Exception as error:
                counts.failed += 1
                if counts.failed == 1:
                    log.exception("the linker failed: %s", type(error).__name__)
        guards[batch.guard] = max(done, batch.first + len(batch.sightings))
        if len(guards) > _MOST_GUARDS:
            del guards[next(iter(guards))]

    def _no_later(self, seen: Sighting, latest: float) -> Sighting:
        """`seen`, as of `latest` (Unix seconds) where its guard's clock is beyond that."""
        if seen.at <= latest:
            return seen
        counts = self.counts
        counts.ahead += 1
        if not counts.ahead & (counts.ahead - 1):
            log.error(
                "the clock of a guard is %.0f s ahead of the store's: set one of them "
                "(%d sightings so far)", seen.at - latest + _AHEAD, counts.ahead,
            )  # fmt: skip
        return msgspec.structs.replace(seen, at=latest)

    def _skip(self, why: str) -> None:
        skipped = self.counts.skipped
        count = skipped[why] = skipped.get(why, 0) + 1
        if count & (count - 1):
            return
        if why == "secret":
            log.error(
                "a guard with another GATEWAY_GUARD_SECRET sends into this stream; what it sends "
                "is not learnt from (%d batches so far)", count,
            )  # fmt: skip
        elif why == "version":
            log.error(
                "what guards of another version send is not understood here, so it is not learnt "
                "from (%d entries so far): have all guards and the linker of one store be of one "
                "version", count,
            )  # fmt: skip
        else:
            log.error("an entry of the streams was skipped: %s (%d so far)", why, count)
