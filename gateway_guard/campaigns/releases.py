"""New models, and who moves to them at once."""

from __future__ import annotations

from typing import Final

from gateway_guard.campaigns.traces import Trace

#: A model first asked for this long after the linker began to watch is a release; before, it may
#: just not have been asked for yet. Seconds.
_SETTLED: Final = 86400.0
#: How long after a release its users are watched, seconds. Source: DETECTION A1 (a campaign moved
#: half its traffic within 24 h).
_WATCHED: Final = 86400.0
#: Accounts that must ask for a name before it is a model: clients ask for names that do not exist.
_USERS: Final = 20
#: Most model names remembered.
_MOST: Final = 256
#: Fewest exchanges in the watched time, and the share of them that is a move.
_EXCHANGES: Final = 4
_MOVED: Final = 0.25


class Releases:
    """When each model was first asked for."""

    def __init__(self) -> None:
        self.began: float | None = None
        #: model → (Unix seconds of its first request, the first accounts that asked for it, until
        #: it is known to be one; from then on, and of those erased, so many empty words)
        self.models: dict[str, tuple[float, list[str]]] = {}
        self.latest: str | None = None
        self.latest_at = float("-inf")
        #: Accounts that did not move to a release, that did.
        self.moves = [0, 0]

    def note(self, trace: Trace, model: str, at: float) -> None:
        """Count one exchange of `trace` with `model` at `at` (Unix seconds)."""
        if self.began is None:
            self.began = at
        known = self.models.get(model)
        if known is None:
            if len(self.models) >= _MOST:
                # Names that few asked for make room: clients ask for names that do not exist.
                del self.models[min(self.models, key=lambda name: len(self.models[name][1]))]
            known = self.models[model] = at, []
        first, users = known
        if len(users) < _USERS and trace.account not in users:
            users.append(trace.account)
            if len(users) == _USERS and first - self.began > _SETTLED and first > self.latest_at:
                self.latest, self.latest_at = model, first
            if len(users) == _USERS:
                users[:] = [""] * _USERS
        if at - self.latest_at <= _WATCHED:
            if trace.first_at > self.latest_at - _SETTLED:
                # Whoever came for the new model did not move to it.
                return
            if trace.release_at != self.latest_at:
                trace.release_at, trace.released, trace.pivoted = self.latest_at, 0, 0
            before = pivot(trace)
            trace.released += 1
            trace.pivoted += model == self.latest
            after = pivot(trace)
            if after is not None and before is not after:
                self.moves[after] += 1
                if before is not None:
                    self.moves[before] -= 1

    def forget(self, account: str) -> None:
        """Count an account where it is counted, without its name."""
        for _, users in self.models.values():
            if account in users:
                users[users.index(account)] = ""


def pivot(trace: Trace) -> bool | None:
    """Whether an account moved a quarter of its traffic at once; None when it cannot be told."""
    if trace.released < _EXCHANGES:
        return None
    return trace.pivoted >= _MOVED * trace.released
