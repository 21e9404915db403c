"""The guard of a middleware that was given a policy: what cannot be made is said in the log."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final
from weakref import WeakValueDictionary

from gateway_guard.accounts.base import Directory
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


def make_guard(
    policy: str | Path | Policy,
    *,
    settings: Settings | None,
    accounts: Directory | None,
    network: Network | None,
    store: Store | str | None,
    campaign_of: Callable[[str], CampaignFacts | None] | None,
    learners: Sequence[Learner],
    clock: Clock | None,
) -> Guard:
    """As `building.build_guard`, with the decision log that the settings name.

    Frameworks make their middleware when the server starts the application, and uvicorn takes what
    is raised there for "no lifespan" and says nothing of it. So whatever is raised is logged, too.

    Raises:
        SettingsError: the decision log cannot be opened; and as `building.build_guard`.
    """
    try:
        settings = Settings.from_environment() if settings is None else settings
        guard = build_guard(
            policy, settings=settings, accounts=accounts, network=network, store=store,
            campaign_of=campaign_of, learners=learners, clock=clock,
        )  # fmt: skip
        decisions = DecisionLog.configured(settings)
    except (GuardError, TypeError) as error:
        log.error("the guard cannot start, and nothing will be answered: %s", error)
        raise
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
