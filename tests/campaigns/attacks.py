"""Campaigns, and what they do to bystanders, each a `Making` → its groups: parts of `worlds`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from tests.campaigns.making import Making
from tests.campaigns.nature import (
    DAY,
    HOUR,
    Group,
    Place,
    Span,
    Talk,
    Whereabouts,
    chat,
    digests,
    fills,
    long_ago,
    roams,
    sessions,
    stays,
    steady,
)

Maker = Callable[[Making], None]


def _fill(
    make: Making, group: Group, *, say: Callable[[], Talk] | None = None,
    q: float | tuple[float, float, float] = 1.0, exact: bool = False, one_card: bool = False,
    burst: int = 25, lives: float | None = None, daily: float = 26,
) -> None:  # fmt: skip
    """Harvesters: payment by tens, a pool of n/5 networks and sign-ups in bursts, each shared with
    the probabilities `q`; `lives` days each, its successor signing up an hour later."""
    rng, net, span, size = make.rng, make.net, make.span, make.size
    paid, pooled, bursts = (q, q, q) if isinstance(q, float) else q
    frame = make.frame()
    talk = say or (lambda: fills(rng, frame))
    cards = [make.card() for _ in range(1 if one_card else max(size // 10, 1))]
    pool = [net.fixed(rng) for _ in range(max(size // 5, 3))]
    starts = [span.start - rng.uniform(0.2, 20) * DAY for _ in range(max(size // burst, 1))]
    for i in range(size):
        payment = rng.choice(cards) if rng.random() < paid else make.card()
        if rng.random() < pooled:
            mine = rng.sample(pool, 3)
            if not exact:
                mine = [net.fixed(rng, place.subnet, asn=place.asn) for place in mine]
        else:
            mine = [net.fixed(rng) for _ in range(2)]
        if rng.random() < bursts:
            created = starts[i % len(starts)] + rng.uniform(0, 1200)
        else:
            created = long_ago(rng, span, days=60)
        times = steady(rng, span, daily=daily)
        if lives is not None:
            turn = i % int(span.days / lives)
            created = span.start + turn * lives * DAY + rng.uniform(0, HOUR)
            times = [t for t in times if created <= t < created + lives * DAY]
        make.add(
            group, times=times, at=roams(rng, mine, every=6 * HOUR), say=talk(), created=created,
            payment=payment, pivots=0.5,
        )  # fmt: skip


def hydra(
    make: Making, *, q: float | tuple[float, float, float] = 1.0, exact: bool = False,
    one_card: bool = False, lives: float | None = None,
) -> None:  # fmt: skip
    """Harvesters with a template of their own."""
    _fill(
        make, make.group("campaign", attack=True), q=q, exact=exact, one_card=one_card, lives=lives
    )


def system_only(make: Making) -> None:
    """The template is in the system role, what is asked differs: fewer keys in common."""
    frame = digests(make.rng, 3)
    _fill(
        make, make.group("campaign", attack=True), q=0.75,
        say=lambda: fills(make.rng, frame, fresh=9),
    )  # fmt: skip


def no_content(make: Making) -> None:
    """Nothing said twice; only infrastructure."""
    _fill(
        make, make.group("campaign", attack=True), q=0.75,
        say=lambda: fills(make.rng, (), fresh=9),
    )  # fmt: skip


def cover(make: Making) -> None:
    """Two in three prompts are strangers' (cover traffic)."""
    rng, frame = make.rng, make.frame()

    def talk() -> Talk:
        mine, theirs = fills(rng, frame), chat(rng, make.net)
        return lambda: mine() if rng.random() < 0.33 else theirs()

    _fill(make, make.group("campaign", attack=True), q=0.5, say=talk)


def under_product(make: Making, *, q: float = 0.75) -> None:
    """Under a genuine product's prompt, together with its genuine users."""
    rng, net = make.rng, make.net
    product = digests(rng, 6)
    users = make.group("users")
    for _ in range(make.size):
        make.add(
            users, times=make.times(0.8, 0), at=net.home(rng), say=fills(rng, product),
            payment=make.card() if rng.random() < 0.6 else None,
        )  # fmt: skip
    _fill(make, make.group("campaign", attack=True), q=q, say=lambda: fills(rng, product))


def _victims(
    make: Making, count: int, say: Callable[[], Talk], *,
    at: Callable[[], Whereabouts] | None = None, created: Sequence[float] | None = None,
    steadily: float = 1.0,
) -> None:  # fmt: skip
    """Customers whose template is copied: by default steady round the clock, on clouds."""
    rng = make.rng
    group = make.group("victims")
    for i in range(count):
        service = rng.random() < steadily
        make.add(
            group, say=say(), created=created[i] if created else None, payment=make.card(),
            at=at() if at else stays(make.net.cloud(rng)) if service else make.net.home(rng),
            times=steady(rng, make.span, daily=20) if service else sessions(rng, make.span),
        )  # fmt: skip


def copies_victims(make: Making) -> None:
    """A campaign sends the templates of batch customers, each of whom runs steadily."""
    rng = make.rng
    frames = [make.frame() for _ in range(4)]
    _victims(make, 24, lambda: fills(rng, rng.choice(frames)))
    _fill(
        make, make.group("campaign", attack=True), q=0.75,
        say=lambda: fills(rng, rng.choice(frames)),
    )  # fmt: skip


def poison_popular(make: Making) -> None:
    """Many organisations are registered to get the users of a popular template held."""
    rng, frame = make.rng, make.frame()
    _victims(make, 60, lambda: fills(rng, frame), steadily=0.3)
    _fill(make, make.group("campaign", attack=True), say=lambda: fills(rng, frame))


def poison_vpn(make: Making) -> None:
    """And come through the very VPN exits their victims use: one kind in common."""
    rng, net, frame = make.rng, make.net, make.frame()
    exits = net.vpns[1][:4]
    _victims(make, 12, lambda: fills(rng, frame), at=lambda: roams(rng, exits))
    _joined(make, frame, pool=exits, created=None)


def poison_sign_up(make: Making) -> None:
    """And sign up in the half hours in which their victims do: one kind in common."""
    rng, frame = make.rng, make.frame()
    created = [make.span.start + rng.uniform(-5 * DAY, DAY) for _ in range(12)]
    _victims(make, 12, lambda: fills(rng, frame), created=created)
    _joined(make, frame, pool=None, created=created)


def poison_both(make: Making) -> None:
    """And do both: two kinds in common with every victim."""
    rng, net, frame = make.rng, make.net, make.frame()
    exits = net.vpns[1][:4]
    created = [make.span.start + rng.uniform(-5 * DAY, DAY) for _ in range(12)]
    _victims(make, 12, lambda: fills(rng, frame), at=lambda: roams(rng, exits), created=created)
    _joined(make, frame, pool=exits, created=created)


def poison_product(make: Making) -> None:
    """And sign up whenever users of a product did, as many as they, and say its prompt."""
    rng, product = make.rng, digests(make.rng, 6)
    created = [long_ago(rng, make.span, days=30) for _ in range(make.size)]
    _victims(make, make.size, lambda: fills(rng, product), created=created, steadily=0.0)
    _joined(make, product, pool=None, created=created, late=True)


def poison_class(make: Making) -> None:
    """And copy a class's assignment, a third of the time through its school, some with its card:
    the class was there two days before."""
    rng, frame, group = make.rng, make.frame(), make.group("victims")
    rooms, card = make.offices(2), make.card()
    day = make.span.start - 20 * DAY
    for _ in range(make.size // 2):
        make.add(
            group, times=sessions(rng, make.span), at=roams(rng, rooms, every=3 * HOUR),
            say=fills(rng, frame), created=day + rng.uniform(0, 1200), payment=card,
        )  # fmt: skip
    _joined(make, frame, pool=rooms, created=None, late=True, card=card)


def _joined(
    make: Making, frame: tuple[int, ...], *, pool: Sequence[Place] | None,
    created: Sequence[float] | None, late: bool = False, card: str | None = None,
) -> None:  # fmt: skip
    """Poisoners: convictable by their shared cards and whatever they join; `late`: from the third
    day on. `card`: what some of them pay with."""
    rng, net, span = make.rng, make.net, make.span
    working = Span(span.start + 2 * DAY, span.end) if late else span
    group = make.group("campaign", attack=True)
    cards = [make.card() for _ in range(max(make.size // 10, 1))] + ([card] if card else [])
    own = [net.fixed(rng) for _ in range(make.size // 5)]
    for i in range(make.size):
        if created is None:
            signed = make.span.start - DAY + (i // 25) * 7200 + rng.uniform(0, 1200)
        else:
            signed = created[i % len(created)] + rng.uniform(-1200, 1200)
        places = [net.fixed(rng, place.subnet, asn=place.asn) for place in rng.sample(own, 2)]
        if pool:  # an exit is shared to the very address
            places.append(rng.choice(pool))
        make.add(
            group, times=steady(rng, working, daily=26), at=roams(rng, places, every=3 * HOUR),
            say=fills(rng, frame), created=signed, payment=rng.choice(cards),
        )  # fmt: skip


def through_reseller(make: Making) -> None:
    """Harvesters are customers of a genuine reseller: its three cards and six egress addresses,
    in bursts of 20, beside two thirds as many honest customers who came one by one."""
    rng, net = make.rng, make.net
    honest, group = make.group("customers"), make.group("campaign", attack=True)
    cards, egress = [make.card() for _ in range(3)], [net.cloud(rng) for _ in range(6)]
    frame = make.frame()
    for _ in range(make.size * 2 // 3):
        make.add(
            honest, times=make.times(), at=roams(rng, egress), payment=rng.choice(cards),
            say=chat(rng, net) if rng.random() < 0.5 else fills(rng, make.frame()),
        )  # fmt: skip
    for i in range(make.size):
        created = make.span.start - (1 + i // 20) * DAY + rng.uniform(0, 1200)
        make.add(
            group, times=steady(rng, make.span, daily=26), at=roams(rng, egress),
            say=fills(rng, frame), created=created, payment=rng.choice(cards), pivots=0.5,
        )  # fmt: skip


#: name → maker and default size.
ATTACKS: Final[dict[str, tuple[Maker, int]]] = {
    "hydra q=0.1": (partial(hydra, q=0.1), 200),
    "hydra q=0.25": (partial(hydra, q=0.25), 200),
    "hydra q=0.5": (partial(hydra, q=0.5), 200),
    "hydra q=0.75": (partial(hydra, q=0.75), 200),
    "hydra q=1": (partial(hydra, q=1.0), 200),
    "hydra exact addresses": (partial(hydra, q=0.75, exact=True), 200),
    "hydra one payment": (partial(hydra, q=0.75, one_card=True), 200),
    "hydra no payment": (partial(hydra, q=(0.0, 0.75, 0.75)), 200),
    "hydra no pool": (partial(hydra, q=(0.75, 0.0, 0.75)), 200),
    "hydra no burst": (partial(hydra, q=(0.75, 0.75, 0.0)), 200),
    "ban and replace": (partial(hydra, q=0.75, lives=0.5), 200),
    "system role only": (system_only, 200),
    "no content": (no_content, 200),
    "cover traffic q=0.5": (cover, 200),
    "under a product's prompt": (under_product, 150),
    "through a reseller": (through_reseller, 60),
    "copied victims": (copies_victims, 150),
    "poison: popular template": (poison_popular, 150),
    "poison: joins VPN": (poison_vpn, 100),
    "poison: joins sign-up": (poison_sign_up, 100),
    "poison: joins both": (poison_both, 100),
    "poison: joins product": (poison_product, 100),
    "poison: joins class": (poison_class, 100),
}
