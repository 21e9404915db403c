"""How groups of accounts are put together: parts of `worlds`."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.campaigns.nature import (
    DAY,
    HOUR,
    Account,
    Group,
    Internet,
    Place,
    Span,
    Talk,
    Whereabouts,
    batch,
    chat,
    digests,
    fills,
    long_ago,
    recites,
    sessions,
    stays,
    steady,
)


@dataclass(slots=True, kw_only=True)
class Making:
    """What a maker of groups gets: the shared internet, its own chance, the time, and a size."""

    net: Internet
    rng: random.Random
    span: Span
    size: int
    made: list[Group] = field(default_factory=list)

    def group(self, name: str, *, attack: bool = False) -> Group:
        """A new, empty group of this world."""
        group = Group(name, attack)
        self.made.append(group)
        return group

    def organisation(self) -> str:
        """An opaque id."""
        return f"o_{self.rng.getrandbits(48):012x}"

    def card(self) -> str:
        """A payment instrument's digest, its own."""
        return f"p_{self.rng.getrandbits(48):012x}"

    def frame(self) -> tuple[int, ...]:
        """A new template."""
        return digests(self.rng, 7)

    def offices(self, count: int) -> list[Place]:
        """So many new addresses of offices."""
        return [self.net.fixed(self.rng) for _ in range(count)]

    def within(self, hours: float, *, before: float = 0.0) -> list[float]:
        """As many sign-ups as the size, at random within `hours`, `before` days before the start.

        With 0 they happen on the first day, from some hour between 06:00 and 12:00 on.
        """
        first = self.span.start + self.rng.uniform(6, 12) * HOUR - before * DAY
        return sorted(first + self.rng.uniform(0, hours * HOUR) for _ in range(self.size))

    def add(
        self, group: Group, *, times: Sequence[float], at: Whereabouts, say: Talk,
        created: float | None = None, payment: str | None = None, organisation: str | None = None,
        pivots: float = 0.15, client: int = 0,
    ) -> Account:  # fmt: skip
        """An account of `group`, by default an organisation of its own that signed up long ago."""
        signed = long_ago(self.rng, self.span) if created is None else created
        account = Account(
            name=f"a_{self.rng.getrandbits(56):014x}",
            organisation=organisation or self.organisation(), payment=payment, created_at=signed,
            times=[t for t in times if t >= signed], at=at, say=say, pivots=pivots,
            client=client,
        )  # fmt: skip
        group.accounts.append(account)
        return account

    def times(self, people: float = 0.7, jobs: float = 0.2, *, daily: float = 14) -> list[float]:
        """Times of a person, a job, or (the rest) a steady service."""
        kind = self.rng.random()
        if kind < people:
            return sessions(self.rng, self.span)
        if kind < people + jobs:
            return batch(self.rng, self.span)
        return steady(self.rng, self.span, daily=daily)


def ordinary(make: Making) -> None:
    """`size` accounts of a provider's everyday customers."""
    rng, net, span = make.rng, make.net, make.span
    group = make.group("ordinary")
    offices = [net.fixed(rng) for _ in range(max(make.size // 200, 2))]
    while len(group.accounts) < make.size:
        kind, created = rng.random(), None
        if rng.random() < 0.02:
            created = span.start + rng.uniform(0, span.days - 1) * DAY
        payment = make.card() if rng.random() < 0.7 else None
        if kind < 0.60:  # people
            where = rng.random()
            if where < 0.10:
                at = net.carrier(rng)
            elif where < 0.18:
                at = net.vpn(rng)
            elif where < 0.23:
                at = stays(rng.choice(offices))
            else:
                at = net.home(rng)
            times = sessions(rng, span)
            make.add(
                group, times=times, at=at, say=chat(rng, net), created=created, payment=payment
            )
        elif kind < 0.70:  # users of an agent product
            prompt = rng.choice(net.products)
            make.add(
                group, times=sessions(rng, span), at=net.home(rng), say=fills(rng, prompt),
                created=created, payment=payment,
            )  # fmt: skip
        elif kind < 0.82:  # jobs; some organisations have a few keys
            organisation, frame = make.organisation(), make.frame()
            for _ in range(rng.choice((1, 1, 1, 2, 4))):
                make.add(
                    group, times=batch(rng, span), at=stays(net.cloud(rng)),
                    say=fills(rng, frame), created=created, payment=payment or "p_" + organisation,
                    organisation=organisation,
                )  # fmt: skip
        elif kind < 0.92:  # small services, steady round the clock
            make.add(
                group, times=steady(rng, span, daily=rng.choice((8, 14, 26))),
                at=stays(net.cloud(rng)), say=fills(rng, make.frame()), created=created,
                payment=payment or make.card(),
            )  # fmt: skip
        elif kind < 0.96:  # users of public templates
            make.add(
                group, times=make.times(), at=net.home(rng),
                say=fills(rng, rng.choice(net.templates)), created=created, payment=payment,
            )  # fmt: skip
        else:  # evaluation harnesses
            make.add(
                group, times=batch(rng, span, runs=3), at=stays(net.cloud(rng)),
                say=recites(rng, rng.choice(net.benchmarks)), created=created, payment=payment,
            )  # fmt: skip
