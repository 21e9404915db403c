"""How sure it is that a group of accounts acts as one: likelihood ratios, kind by kind.

A *kind* of evidence is a way in which accounts of different organisations are tied to each other.
For each kind the group's members are counted that have such a tie to another member, and the count
is compared with what chance and ordinary life would give. Content is no kind: it proposes groups,
it never convicts.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec


class Kind(enum.StrEnum):
    """A way in which accounts are tied."""

    PAYMENT = "payment"
    ADDRESSES = "addresses"
    SIGN_UP = "sign-up"
    PACE = "pace"
    PIVOT = "pivot"

    __hash__ = str.__hash__


#: The kinds that tie one account to certain others, strongest first. A pair of accounts counts for
#: the first of them only: whoever shares an office shares its payment, its address and often the
#: day of sign-up, and is one explanation, not three.
TIES: Final = (Kind.PAYMENT, Kind.ADDRESSES, Kind.SIGN_UP)

#: What every explanation leaves standing is counted against these shares of *ordinary* accounts
#: that have such a tie within a group they belong to: customers of a reseller, strangers behind
#: one carrier or office, people who sign up on the day of a workshop, steady small services.
#: Choices, not fits. Measured over two seeds of 1,998 honest accounts of recorded traffic: 2.5 %
#: pay with a card of three or more organisations, 23 to 24 % share a range of addresses with
#: others, 18 to 20 % have an even pace, 12 to 14 % moved to a release; sign-ups near those of
#: strangers are as many as their density makes, which `chance` accounts for.
ORDINARY: Final = {
    Kind.PAYMENT: 0.05,
    Kind.ADDRESSES: 0.25,
    Kind.SIGN_UP: 0.10,
    Kind.PACE: 0.35,
    Kind.PIVOT: 0.25,
}

#: The innocent explanations of a group, and the kinds each accounts for. A group is convicted only
#: when every one of them leaves something standing.
EXPLANATIONS: Final = {
    "one payer (reseller, concern)": frozenset({Kind.PAYMENT}),
    "one place (office, class, event)": frozenset({Kind.ADDRESSES, Kind.SIGN_UP}),
    "one product or benchmark": frozenset({Kind.ADDRESSES, Kind.PACE, Kind.PIVOT}),
}
#: And the composite one: a firm with several cards, networks and sign-up days, or an event among
#: whose guests a reseller's customers are. It accounts for every burst, and of the payments and
#: addresses for those that `Tied.lasting` does not name.
FIRM: Final = "one firm (its cards, networks and sign-up days)"
#: And that of a few who say what many people at places say; `linker` knows them.
AT_PLACES: Final = "many people at places (a trade, a school district)"

#: A tie that chance makes likelier than this is no tie of a kind.
_LIKELY: Final = 0.5
#: A trait must be known of this share of a group: the few of whom it is known may be chosen by it.
#: Of this share where it is the pace that stands against a firm: whose pace is known first ask the
#: most, and in a firm those are its services. Choices. With 0.75 for both, an honest franchise in
#: one of twelve generated worlds was held for ten hours; with 0.9 it was not.
_TRAIT_KNOWN: Final = 0.75
_PACE_KNOWN: Final = 0.9

#: The share of tied members under the hypothesis of a campaign is unknown: these, equally likely.
_SHARES: Final = (0.1, 0.2, 0.35, 0.5, 0.7, 0.9)


def log_ratio(tied: Sequence[bool], chance: Sequence[float]) -> float:
    """Natural logarithm of how much likelier a campaign makes these ties than chance does.

    `tied[i]` says whether member i has a tie, `chance[i]` in (0, 1) how likely that is without a
    campaign. The alternative is a mixture over the share of tied members, each share at least the
    chance of that member. Negative when the ties speak against a campaign; 0 for no members.

    Source: Bayes factor with a discrete mixture as in Robbins (1970); under the null hypothesis it
    exceeds 1/a with probability at most a, whenever one looks (Ville 1939).
    """
    if not tied:
        return 0.0
    logs = []
    for share in _SHARES:
        total = 0.0
        for has, p in zip(tied, chance, strict=True):
            q = share if share > p else p
            total += math.log(q / p) if has else math.log((1.0 - q) / (1.0 - p))
        logs.append(total)
    top = max(logs)
    return top + math.log(sum(math.exp(x - top) for x in logs) / len(logs))


def by_chance(share: float, others: int) -> float:
    """Chance that at least one of `others` random accounts has a value `share` of all have."""
    return 1.0 - (1.0 - min(max(share, 0.0), 1.0)) ** max(others, 0)


class Tied(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One member's ties: for each kind, whether it has one and the chance of it.

    A kind that could not be looked at (no payment known) is left out.

    Attributes:
        has: kind → whether this member is so tied to another.
        chance: kind → how likely that is without a campaign, in (0, 1).
        lasting: payment and addresses → whether the tie remains when a firm is thought away: its
            few or heavily used cards, and the addresses its people share.
        paid: whether any other organisation of the group pays with the same card; None when the
            card is unknown.
    """

    has: dict[Kind, bool]
    chance: dict[Kind, float]
    lasting: dict[Kind, bool] = {}
    paid: bool | None = None

    @property
    def kinds(self) -> int:
        """Number of kinds of `TIES` this member has, without those that chance makes likely."""
        return sum(self.has.get(kind, False) and self.chance[kind] <= _LIKELY for kind in TIES)


class Weight(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One kind of evidence about a group.

    Attributes:
        kind: which.
        tied: members with such a tie.
        looked: members of whom it could be told.
        chance: mean chance of a tie without a campaign, in (0, 1).
        log_ratio: natural logarithm of the likelihood ratio.
    """

    kind: Kind
    tied: int
    looked: int
    chance: float
    log_ratio: float


class Verdict(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a group's evidence comes to.

    Attributes:
        weights: each kind that could be looked at, strongest first.
        total: sum of the positive log ratios.
        needed: the threshold `total` was held against.
        left: what the explanation that accounts for most leaves standing; natural logarithm.
        explanation: that explanation.
        core: members with ties of at least two kinds to different others.
        members: size of the group.
        convicted: whether the group is held to be a campaign.
        at_places: accounts that hang together with these and were left out, as people at a place.
    """

    weights: tuple[Weight, ...]
    total: float
    needed: float
    left: float
    explanation: str
    core: int
    members: int
    convicted: bool
    at_places: int = 0


class Burden(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """How much has to be proved. The defaults are choices, not fits.

    Attributes:
        false_alarms: budget of groups convicted by chance among all ever examined, in (0, 1).
            A guide, not a proof: only kinds that speak for a campaign are summed, and groups are
            found by the very ties they are judged by.
        left: natural logarithm of the likelihood ratio every explanation must leave (3.5: 33 to 1).
        everybody: share of the members tied by payment, or by sign-up, from which `FIRM` is to be
            reckoned with: a firm pays for all of its people, an event is where all signed up; the
            accounts of a campaign are bought and paid for here and there. In (0, 1).
        alike: smallest share of the members that have one content key in common, in (0, 1), where
            neither their pace nor ties of all three kinds speak for one hand. Content convicts
            nobody; that there is none in common may acquit.
        before: groups taken to have been examined before the first one, >= 0: that a guard has just
            begun is no licence.
        kinds: natural logarithm a kind must reach to count as one of two (2: 7 to 1).
        core: fewest members tied by two kinds.
        core_share: smallest share of members tied by two kinds, in (0, 1).
    """

    false_alarms: float = 0.01
    before: int = 100
    left: float = 3.5
    everybody: float = 0.85
    alike: float = 0.4
    kinds: float = 2.0
    core: int = 3
    core_share: float = 0.15


#: The burden of proof where none other is asked for.
USUAL: Final = Burden()


def everybody(tied: Sequence[bool], share: float) -> bool:
    """Whether (nearly) all are tied: `share` of them, in (0, 1).

    One is given away: the first of a firm's people to come on a new card has it alone.
    """
    return bool(tied) and sum(tied) + 1 >= share * (len(tied) + 1)


def _beyond_a_firm(group: Sequence[Tied], share: float) -> float | None:
    """What payments and addresses say when a firm is thought away; natural logarithm, >= 0.

    None where no firm is to be reckoned with: where neither (nearly) all pay with a card of several
    nor (nearly) all signed up with others. Where all cards of several are of more than a household,
    every one may be the firm's.
    """
    paid = [m.paid for m in group if m.paid is not None]
    signed_up = [m.has[Kind.SIGN_UP] for m in group if Kind.SIGN_UP in m.has]
    if not everybody(paid, share) and not everybody(signed_up, share):
        return None
    its_cards = sum(m.has.get(Kind.PAYMENT, False) for m in group) > share * len(paid)
    rest = 0.0
    for kind in (Kind.ADDRESSES,) if its_cards else (Kind.PAYMENT, Kind.ADDRESSES):
        looked = [m for m in group if kind in m.has]
        lasting = [m.lasting.get(kind, m.has[kind]) for m in looked]
        rest += max(log_ratio(lasting, [m.chance[kind] for m in looked]), 0.0)
    return rest


def judge(
    members: Iterable[Tied], *, examined: int, alike: float = 1.0, at_places: int = 0,
    burden: Burden = USUAL,
) -> Verdict:  # fmt: skip
    """Hold a group's ties against chance and against every innocent explanation.

    `alike` is the largest share of the members that have one content key in common. `examined` is
    the number of groups looked at so far, this one included: the more one looks, the more must be
    shown (Bonferroni). `at_places` is as in `Verdict`.
    """
    group = list(members)
    weights = []
    for kind in Kind:
        looked = [m for m in group if kind in m.has]
        if not looked or (kind not in TIES and len(looked) < _TRAIT_KNOWN * len(group)):
            continue
        chance = [m.chance[kind] for m in looked]
        tied = [m.has[kind] for m in looked]
        weights.append(
            Weight(
                kind=kind, tied=sum(tied), looked=len(looked), chance=sum(chance) / len(chance),
                log_ratio=log_ratio(tied, chance),
            )
        )  # fmt: skip
    weights.sort(key=lambda weight: -weight.log_ratio)
    found = {w.kind: max(w.log_ratio, 0.0) for w in weights}
    total = sum(found.values())
    left, explanation = total, "chance"
    for name, explained in EXPLANATIONS.items():
        rest = sum(value for kind, value in found.items() if kind not in explained)
        if rest < left:
            left, explanation = rest, name
    beyond = _beyond_a_firm(group, burden.everybody)
    if beyond is not None:
        rest = beyond + found.get(Kind.PIVOT, 0.0)
        known = sum(Kind.PACE in m.has for m in group)
        if found.get(Kind.ADDRESSES, 0.0) >= burden.kinds and known >= _PACE_KNOWN * len(group):
            # That a firm's services run round the clock says something only where they also come
            # through shared ranges: shops of one franchise have a connection each.
            rest += found.get(Kind.PACE, 0.0)
        if rest < left:
            left, explanation = rest, FIRM
    count = burden.before + max(examined, 1)
    needed = math.log(count * (count + 1) / burden.false_alarms)
    core = sum(member.kinds >= 2 for member in group)
    strong = sum(found.get(kind, 0.0) >= burden.kinds for kind in TIES)
    convicted = (
        total >= needed
        and left >= burden.left
        and strong >= 2
        and (
            alike >= burden.alike or strong == len(TIES) or found.get(Kind.PACE, 0.0) >= burden.left
        )
        and core >= burden.core
        and core >= burden.core_share * len(group)
    )
    return Verdict(
        weights=tuple(weights), total=total, needed=needed, left=left, explanation=explanation,
        core=core, members=len(group), convicted=convicted, at_places=at_places,
    )  # fmt: skip
