"""Whether what `serve` was told fits together, and fits the policy."""

from __future__ import annotations

import logging
from typing import Final

from gateway_guard.core.sections import Verification
from gateway_guard.errors import SettingsError
from gateway_guard.settings import Settings
from gateway_guard.verification.checks import installed

log = logging.getLogger(__name__)

#: What `--frontend` may say.
FRONTENDS: Final = ("proxy", "extauth", "spoe", "envoy")


def check_frontends(
    frontends: list[str], upstream: str | None, spoe: str | None, envoy: str | None, lease: float,
    workers: int,
) -> None:  # fmt: skip
    """Whether what was said of frontends fits together."""
    for name in frontends:
        if name not in FRONTENDS:
            raise SettingsError(f"--frontend {name!r}: write {', '.join(FRONTENDS)}")
    for name, address in (("spoe", spoe), ("envoy", envoy)):
        if address is not None and name not in frontends:
            raise SettingsError(f"--{name} says where --frontend {name} listens: say that, too")
    if "proxy" in frontends:
        if len(set(frontends)) > 1:
            raise SettingsError(
                "--frontend proxy forwards, the others only answer: run one process for each"
            )
        if upstream is None:
            raise SettingsError(
                "--upstream is missing: where the model API is. Gateways that only ask need "
                "--frontend extauth, spoe or envoy instead"
            )
        if lease:
            raise SettingsError(
                "--usage-lease is for gateways that ask: say --frontend extauth, spoe or envoy"
            )
        return
    if upstream is not None:
        raise SettingsError(f"--frontend {frontends[0]} forwards nothing: leave out --upstream")
    if workers > 1 and (lease or {"spoe", "envoy"} & set(frontends)):
        raise SettingsError(
            "--frontend spoe, envoy and --usage-lease need one worker: requests wait for their "
            "end in the process that decided them"
        )


def check_verification(
    verification: Verification, settings: Settings, workers: int, *, visited: bool
) -> None:
    """Whether the links that this process hands out lead somewhere."""
    form = verification.form
    if form is not None and form.check is not None:
        installed(form.check)
    if not visited:
        raise SettingsError(
            "the policy verifies accounts, and gateways that ask send nobody on to the page: say "
            "where visitors are received, --verify 127.0.0.1:8081, and lead verification.url there"
        )
    if workers > 1 and not settings.secret_lasts:
        raise SettingsError(
            "the policy verifies accounts: workers take each other's links only where they share "
            "a key. Set GATEWAY_GUARD_SECRET or GATEWAY_GUARD_SECRET_FILE (openssl rand -hex 32)"
        )
    if not settings.secret_lasts or not (settings.campaigns_file or settings.store):
        log.warning(
            "verified accounts are forgotten when this process ends: set GATEWAY_GUARD_SECRET and "
            "GATEWAY_GUARD_CAMPAIGNS_FILE, or share a store"
        )
