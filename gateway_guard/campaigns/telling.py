"""Which payments and times of sign-up bring accounts together: not every value on record is one.

Accounts files hold dates for times, one word for how a third of the customers pay, the second in
which an old customer base was taken over. Who has that in common has nothing in common. Such a
value brings nobody near anybody and makes no group; what it is still worth as evidence its
frequency says (`ties`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final

# Choices, not fits. Without them dates for times, or one word for a third of the payments, accuse
# 1 to 3 % of honest accounts (CHANGELOG); what is found with such data: tests/evaluate/worse.md.

#: A sign-up at a whole multiple of this (seconds) is a date, in whatever time zone, or an hour.
#: One true time in 900 is taken for one.
_DATE: Final = 900
#: In a second in which more accounts than this signed up, they were taken over or made by a job.
_AT_ONCE: Final = 12
#: Such seconds remembered, the latest.
_SECONDS: Final = 10_000
#: Where about one time more than this share of all accounts signed up, and so many at least, they
#: were taken over one by one.
_TAKEN_OVER: Final = 1 / 3
_TAKEN_OVER_OF: Final = 64
#: What more than this share of all accounts pay with, at least and at most so many, is no
#: instrument: `invoice`, `free`, a bank.
_PAYS_FOR_SHARE: Final = 0.1
_PAYS_FOR: Final = (64, 256)
#: Where more than this share of the accounts came with a payment that another organisation had, of
#: at least so many accounts, what is on record are words: banks, kinds of cards.
_WORDS: Final = 0.5
_WORDS_OF: Final = 500


def taken_over(about_then: int, accounts: int) -> bool:
    """Whether those of all `accounts` remembered that signed up `about_then`, within an hour or
    two, are so many that they were taken over from another system."""
    return about_then > max(_TAKEN_OVER_OF, _TAKEN_OVER * accounts)


def instrument(shared: int, accounts: int) -> bool:
    """Whether what `shared` of all `accounts` remembered pay with can be one payer's instrument."""
    least, most = _PAYS_FOR
    return shared <= max(least, min(most, _PAYS_FOR_SHARE * accounts))


class Payments:
    """Whether the payments on record are instruments at all."""

    def __init__(self) -> None:
        self._accounts = self._shared = 0

    @property
    def tell(self) -> bool:
        """Whether whoever has one in common may have a payer in common."""
        return self._accounts < _WORDS_OF or self._shared <= _WORDS * self._accounts

    def note(self, organisation: str, others: Iterable[str]) -> None:
        """Note an account of `organisation`, its payment being that of `others` already."""
        self._accounts += 1
        self._shared += any(other != organisation for other in others)

    def restore(self, paid: Iterable[tuple[str, str]]) -> None:
        """Note all that are remembered, (payment, organisation), oldest first."""
        first: dict[str, str] = {}
        for payment, organisation in paid:
            self.note(organisation, (first.setdefault(payment, organisation),))


class SignUps:
    """The seconds in which accounts were made many at once."""

    def __init__(self) -> None:
        self._at_once: dict[int, None] = {}

    def tells(self, created: float) -> bool:
        """Whether `created` (Unix seconds; 0 for unknown) is a time at which somebody signed up."""
        return created % _DATE != 0 and int(created) not in self._at_once

    def note(self, created: float, others: Iterable[float]) -> None:
        """Note a sign-up at `created`, `others` being those of the latest accounts about then."""
        second = int(created)
        if not created or second in self._at_once:
            return
        if sum(int(other) == second for other in others) >= _AT_ONCE:
            self._add(second)

    def restore(self, created: Iterable[float]) -> None:
        """Find those seconds anew in all sign-ups that are remembered."""
        for second, count in Counter(int(one) for one in created).items():
            if second and count > _AT_ONCE:
                self._add(second)

    def _add(self, second: int) -> None:
        if len(self._at_once) >= _SECONDS:
            del self._at_once[next(iter(self._at_once))]
        self._at_once[second] = None
