"""A guard from a policy, with everything it needs opened as the settings say."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from gateway_guard.accounts.base import Directory
from gateway_guard.accounts.jwks import JwtKeys
from gateway_guard.accounts.opening import open_directory
from gateway_guard.clock import Clock
from gateway_guard.core.guessable import guessable
from gateway_guard.core.policy import Policy
from gateway_guard.core.profile import Profiles
from gateway_guard.guard import Guard, Learner
from gateway_guard.intel.file import Indicators
from gateway_guard.linking import Linking
from gateway_guard.network.base import Network
from gateway_guard.network.database import NetworkDatabase
from gateway_guard.parts import check_parts
from gateway_guard.policy.source import PolicySource
from gateway_guard.settings import Settings
from gateway_guard.stores.base import ImmediateStore, Store
from gateway_guard.stores.connect import TIMEOUT, open_store
from gateway_guard.stores.patience import PatientStore
from gateway_guard.streams.opening import open_linking
from gateway_guard.streams.shared import SharedLinking
from gateway_guard.types import CampaignFacts

log = logging.getLogger(__name__)


def build_guard(
    policy: str | Path | Policy,
    *,
    settings: Settings | None = None,
    accounts: Directory | None = None,
    network: Network | None = None,
    store: Store | str | None = None,
    campaign_of: Callable[[str], CampaignFacts | None] | None = None,
    learners: Sequence[Learner] = (),
    clock: Clock | None = None,
) -> Guard:
    """A guard for `policy` (a file, or one compiled already) with everything else at its default.

    `store` is where limits are counted: a URI (`stores.connect`), a store of one's own, or None for
    the URI in the settings, without one this process's memory. One that has to be waited for is
    waited for within the settings' budget (`stores.patience`).

    Campaigns are looked for in the guard's own traffic while its policy asks for them, unless
    `campaign_of` says who is in one. Where a URI names a shared store, they are looked for in the
    traffic of all its guards.

    A decision log is written by `GuardMiddleware` where it builds the guard itself; of a guard made
    here, by the `record.log.DecisionLog` whose `write` is among `learners`.

    Raises:
        TypeError: something of what was given is of the wrong kind.
        PolicyError: the policy does not load; every finding is in it.
        SettingsError: an environment variable makes no sense.
        IntelError: the table of indicators cannot be used.
        SnapshotError: what was kept of campaigns cannot be taken over; says what to do.
        SourceError: the accounts or network file cannot be used.
    """
    check_parts(
        policy, settings, accounts=accounts, network=network, store=store,
        campaign_of=campaign_of, learners=learners, clock=clock,
    )  # fmt: skip
    settings = Settings.from_environment() if settings is None else settings
    policies = PolicySource.fixed(policy) if isinstance(policy, Policy) else PolicySource(policy)
    if accounts is None:
        accounts = open_directory(settings)
    linking: Linking | SharedLinking | None = None
    if campaign_of is None:
        where = store if isinstance(store, str) else settings.store if store is None else None
        linking = open_linking(where, settings, policies)
        campaign_of = linking.facts
        learners = (*learners, linking.write)
    guard = Guard(
        policies=policies,
        network=NetworkDatabase.bundled(settings.network_files) if network is None else network,
        accounts=accounts,
        store=_store(store, settings),
        profiles=Profiles(settings.max_accounts),
        secret=settings.secret,
        jwt=JwtKeys(),
        campaign_of=campaign_of,
        linking=linking,
        indicators=Indicators.configured(settings, clock=clock),
        group_key=settings.intel_group_key,
        register=linking.register if linking is not None else None,
        mint=linking.mint if isinstance(linking, SharedLinking) else None,
        learners=learners,
        clock=clock,
    )
    if isinstance(linking, SharedLinking):
        linking.reload = guard.reload
    _tell_of_guessable(settings)
    return guard


def _tell_of_guessable(settings: Settings) -> None:
    """Warn of secrets that look as if somebody made them up, without a piece of them."""
    for name, secret in (
        ("GATEWAY_GUARD_SECRET", settings.secret),
        ("GATEWAY_GUARD_INTEL_GROUP_KEY_FILE", settings.intel_group_key),
        ("GATEWAY_GUARD_ADMIN_TOKEN", settings.admin_token),
        ("GATEWAY_GUARD_ADMIN_READ_TOKEN", settings.admin_read_token),
    ):
        why = guessable(secret.encode() if isinstance(secret, str) else secret or b"")
        if secret and why is not None:
            log.warning(
                "%s can be guessed: %s. Whoever does can test keys, names and addresses against "
                "every digest, or come in. openssl rand -hex 32 makes one; what another secret "
                "changes, the README says under Deploying", name, why,
            )  # fmt: skip


def _store(store: Store | str | None, settings: Settings) -> Store:
    """The store to ask, bounded in time where it has to be waited for."""
    keeps = False
    if store is None or isinstance(store, str):
        uri = store or settings.store or "memory://"
        found = open_store(
            uri,
            secret=settings.secret,
            namespace=settings.store_namespace,
            max_keys=settings.max_keys,
            timeout=max(TIMEOUT, 2.0 * settings.store_budget),
            # Told in time that a slot is moving, a decision knows that the store is not down.
            patience=0.8 * settings.store_budget,
            unsettled=settings.store_unsettled,
        )
        if not isinstance(found, ImmediateStore):
            settings.require_secret()
        store, keeps = found, True
    if isinstance(store, ImmediateStore | PatientStore):
        return store
    return PatientStore(
        store,
        keeps=keeps,
        budget=settings.store_budget,
        share=1.0 / settings.total_workers,
        max_keys=settings.max_keys,
    )
