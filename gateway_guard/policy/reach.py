"""Rules that nothing, or hardly anything, ever reaches, because of those above them."""

from __future__ import annotations

import math
from typing import Final

from gateway_guard.policy.judgement import Read
from gateway_guard.policy.scope import Scope
from gateway_guard.policy.shapes import Bands, Networks, Not, Patterns, Shape, Values, merged
from gateway_guard.types import Action

#: Conditions that are bands, which several rules may tile.
_BANDED: Final = ("risk", "account_age", "campaign")
#: Conditions of which a request may meet two values that exclude nothing of each other.
_SEVERAL: Final = frozenset(("network", "account_tag", "prompt", "indicator"))


def check_reach(scope: Scope, rules: list[Read]) -> None:
    """Rules an earlier enforced rule always beats.

    One that challenges is passed over for accounts that have met a challenge, and so is the next:
    whatever else stands below it judges those.
    """
    blockers: list[Read] = []
    for read in rules:
        # A faulty condition only makes the rule look wider than it is, so what covers it covers it.
        final = [b for b in blockers if _challenges(read) or not _challenges(b)]
        blocker = _blocker(final, read)
        if blocker is not None:
            _unreached(scope, read, blocker)
        elif (
            len(final) < len(blockers)
            and not _only_verified(read)
            and (blocker := _blocker(blockers, read)) is not None
        ):
            scope.found.at(
                "GG311",
                read.node,
                f"rule '{read.name}' is reached only by accounts that met a challenge: "
                f"'{blocker.name}' (line {_line(blocker)}) challenges all others",
                hint=f"add `verified: true` if that is meant; else move it above '{blocker.name}'",
            )
        if read.complete and read.enforced:
            blockers.append(read)


def _unreached(scope: Scope, read: Read, blocker: Read) -> None:
    open_end = all(shape.everything for shape in blocker.shapes.values())
    scope.found.at(
        "GG301" if open_end else "GG302",
        read.node,
        f"rule '{read.name}' is never reached: '{blocker.name}' (line {_line(blocker)}) "
        + ("matches everything" if open_end else "matches all it matches"),
        hint=f"move it above '{blocker.name}', or narrow that rule",
    )


def _line(read: Read) -> int:
    return read.node.start_mark.line + 1


def _challenges(read: Read) -> bool:
    return read.action is Action.CHALLENGE


def _only_verified(read: Read) -> bool:
    verified = read.shapes.get("verified")
    return isinstance(verified, Values) and verified.words == {True}


def _blocker(blockers: list[Read], read: Read) -> Read | None:
    """The rule, or the last of several, that leaves nothing for `read`."""
    shading = next((b for b in blockers if _shades(b.shapes, read.shapes)), None)
    return shading if shading is not None else _tiled(blockers, read)


def _shades(earlier: dict[str, Shape], later: dict[str, Shape]) -> bool:
    return all(
        shape.everything
        or (name in later and shape.covers(later[name]))
        or (isinstance(shape, Not) and _avoids(shape, later))
        for name, shape in earlier.items()
    )


def _avoids(forbidden: Not, later: dict[str, Shape]) -> bool:
    """Whether nothing that `later` matches is among what is forbidden."""
    negated = later.get("not")
    also = negated.fields if isinstance(negated, Not) else {}
    for name, shape in forbidden.fields.items():
        if name in also and also[name].covers(shape):
            continue
        if name in _SEVERAL or name not in later:
            return False
        if not isinstance(shape, Values | Bands | Networks | Patterns):
            return False
        if not shape.apart(later[name]):
            return False
    return True


def _tiled(blockers: list[Read], read: Read) -> Read | None:
    """The last of several earlier rules that, band beside band over one field, leave nothing."""
    for name in _BANDED:
        spans: list[tuple[float, float]] = []
        unknown = False
        last: Read | None = None
        for blocker in blockers:
            band = blocker.shapes.get(name)
            if not isinstance(band, Bands):
                continue
            rest = {n: s for n, s in blocker.shapes.items() if n != name}
            if _shades(rest, read.shapes):
                spans += band.spans
                unknown = unknown or band.unknown
                last = blocker
        wanted = read.shapes.get(name) or Bands(((0.0, math.inf),), True, sure=name == "risk")
        if last is None or not isinstance(wanted, Bands):
            continue
        covered = Bands(merged(spans), unknown or name == "risk", sure=name == "risk")
        if covered.covers(wanted):
            return last
    return None
