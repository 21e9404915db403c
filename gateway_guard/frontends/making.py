"""The guard of a middleware that was given a policy: what cannot be made is said in the log."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from weakref import WeakValueDictionary

from gateway_guard.accounts.base import AskedDirectory, Directory
from gateway_guard.building import build_guard
from gateway_guard.clock import Clock
from gateway_guard.core.policy import Policy
from gateway_guard.errors import GuardError
from gateway_guard.guard import Guard, Learner
from gateway_guard.network.base import Network
from gateway_guard.record.log import DecisionLog
from gateway_guard.settings import Settings
from gateway_guard.stores.base import Store
from gateway_guard.types import CampaignFacts

log = logging.getLogger(__name__)

#: Digest of a policy → the guard that this process made of it last.
_made: Final[WeakValueDictionary[str, Guard]] = WeakValueDictionary()
#: Digests of policies of which several guards at a time were told of.
_told: Final[set[str]] = set()


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """What a middleware makes its guard of; as `building.build_guard` takes it."""

    policy: str | Path | Policy
    settings: Settings
    accounts: Directory | None
    network: Network | None
    store: Store | str | None
    campaign_of: Callable[[str], CampaignFacts | None] | None
    learners: Sequence[Learner]
    clock: Clock | None

    @property
    def again(self) -> bool:
        """Whether another guard can be made when the first is closed: a store and a directory that
        the application brought are closed with it.
        """
        return isinstance(self.store, str | None) and not isinstance(self.accounts, AskedDirectory)

    def guard(self) -> Guard:
        """As `building.build_guard`, with the decision log that the settings name.

        Frameworks make their middleware when the server starts the application, and uvicorn takes
        what is raised there for "no lifespan" and says nothing of it. So whatever is raised is
        logged, too.

        Raises:
            SettingsError: the decision log cannot be opened; and as `building.build_guard`.
        """
        settings = self.settings
        with _logged():
            guard = build_guard(
                self.policy, settings=settings, accounts=self.accounts, network=self.network,
                store=self.store, campaign_of=self.campaign_of, learners=self.learners,
                clock=self.clock,
            )  # fmt: skip
            decisions = DecisionLog.configured(settings)
        guard.policies.warn()
        if decisions is not None:
            guard.learners = (*guard.learners, decisions.write)
            guard.closes.append(decisions.close)
        if guard.policy.verification is not None and not settings.secret_lasts:
            log.warning(
                "links to verify an account work only in the process that made them, until it "
                "ends: set GATEWAY_GUARD_SECRET (openssl rand -hex 32)"
            )
        _tell_of_others(guard)
        return guard


def settings_or(settings: Settings | None) -> Settings:
    """`settings`, or what the environment says.

    Raises:
        SettingsError: it says something that makes no sense; logged, too.
    """
    with _logged():
        return Settings.from_environment() if settings is None else settings


@contextmanager
def _logged() -> Iterator[None]:
    try:
        yield
    except (GuardError, TypeError) as error:
        log.error("the guard cannot start, and nothing will be answered: %s", error)
        raise


def _tell_of_others(guard: Guard) -> None:
    """Warn where guards of one policy count beside each other: whoever asks has several quotas.

    Frameworks whose own way to add middleware makes one for each route (Litestar) come to that.
    """
    policy = guard.policy
    other = _made.get(policy.digest)
    _made[policy.digest] = guard
    if other is None or other.closed or guard.shared is not None or policy.digest in _told:
        return
    _told.add(policy.digest)
    log.warning(
        "%s: this process has another guard of this policy, and each counts by itself. If it is "
        "one application, put one GuardMiddleware around all of it (not into a framework's list of "
        "middleware that is made for each route); several applications share a guard with "
        "GuardMiddleware(other, guard=first.guard)",
        policy.source,
    )
