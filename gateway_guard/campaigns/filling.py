"""A linker filled with what was saved of another one: rows put back where they belong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from gateway_guard.campaigns.held import Held
from gateway_guard.campaigns.indexes import indexes, values_of
from gateway_guard.campaigns.linker import Linker
from gateway_guard.campaigns.postings import Lone, Posting, Postings
from gateway_guard.campaigns.reviews import Ruling
from gateway_guard.campaigns.rows import COLUMNS, Head
from gateway_guard.campaigns.traces import Trace


class Filling:
    """Fills an empty linker: the head, rows of each kind in the order they were saved, `finish`.

    What is wrong with a row raises as it comes (`TypeError`, `KeyError`, `ValueError`, …).
    """

    def __init__(self, linker: Linker, head: Head) -> None:
        self._linker = linker
        #: Which columns of a trace this version knows.
        self._columns = [(i, name) for i, name in enumerate(head.trace, 1) if name in COLUMNS]
        self._held: list[Held] = []
        self._told: list[tuple[str, str, float]] = []
        self._take: dict[str, Callable[[list[Any]], None]] = {
            **{name: _into(postings) for name, postings in indexes(linker.memory)},
            "traces": self._traces,
            "claims": self._claims,
            "webs": self._webs,
            "held": self._cases,
            "told": self._tell,
            "acquitted": self._acquitted,
            "rulings": self._rulings,
        }
        #: (index, its values of an account) of whatever a row of a trace fills in by itself.
        self._alone = [
            (postings, values_of(name))
            for name, postings in indexes(linker.memory)
            if name != "shared"
        ]
        memory, releases = linker.memory, linker.memory.releases
        linker.examined = head.examined
        linker.cases.named = head.named
        linker.cases.endings.restore(head.ended)
        memory.next, memory.paces = head.next, head.paces
        releases.began, releases.models = head.began, head.models
        releases.latest, releases.latest_at, releases.moves = (
            head.latest, head.latest_at, head.moves,
        )  # fmt: skip

    def take(self, kind: str, rows: list[Any]) -> None:
        """Put some rows of one kind where they belong."""
        self._take[kind](rows)

    def finish(self) -> None:
        """Hold what was held, now that its members and what people decided of them are known."""
        cases, memory = self._linker.cases, self._linker.memory
        numbers = memory.numbers
        memory.at_once.restore(trace.created_at for trace in memory.traces.values())
        memory.paying.restore(
            (trace.payment, trace.organisation)
            for trace in memory.traces.values() if trace.payment
        )  # fmt: skip
        cases.restore(self._held)
        for account, name, confidence in self._told:
            number = numbers.get(account)
            if number is not None and name in cases.held:
                cases.suspect(number, name, confidence)

    def _traces(self, rows: list[Any]) -> None:
        memory = self._linker.memory
        for row in rows:
            number, trace = row[0], Trace(**{name: row[i] for i, name in self._columns})
            memory.traces[number] = trace
            memory.numbers[trace.account] = number
            # Right for whoever is alone with a value; replaced where others have it, too.
            for postings, values in self._alone:
                for value in values(trace):
                    postings.put(value, Lone(number, trace.first_at))

    def _claims(self, rows: list[Any]) -> None:
        for key, number, at in rows:
            self._linker.memory.templates.claim(key, number, at)

    def _webs(self, rows: list[Any]) -> None:
        for members, news, examined in rows:
            web = self._linker.webs.link(members[0], set(members[1:]))
            web.news, web.examined = news, int(examined)  # once it was whether

    def _cases(self, rows: list[Any]) -> None:
        self._held += msgspec.convert(rows, list[Held])

    def _tell(self, rows: list[Any]) -> None:
        self._told += msgspec.convert(rows, list[tuple[str, str, float]])

    def _acquitted(self, rows: list[Any]) -> None:
        for number, size, at in rows:
            self._linker.cases.acquittals.restore(number, size, at)

    def _rulings(self, rows: list[Any]) -> None:
        for account, ruling, until in rows:
            self._linker.cases.reviews.rulings[account] = Ruling(ruling), until


def _into(postings: Postings[Any]) -> Callable[[list[Any]], None]:
    def take(rows: list[Any]) -> None:
        for value, count, latest, first_at, last_at, *first in rows:
            # Once nobody was told who came first.
            postings.put(value, Posting(count, latest, first_at, last_at, *first))

    return take
