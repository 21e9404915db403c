"""Who finds campaigns for a guard: a linker of its own, or the one all guards of a store share."""

from __future__ import annotations

from gateway_guard.campaigns.erasing import bounds_of
from gateway_guard.campaigns.linker import Linker
from gateway_guard.linking import Linking
from gateway_guard.policy.source import PolicySource
from gateway_guard.record.herald import Herald
from gateway_guard.record.keeping import Keeper
from gateway_guard.record.snapshots import SnapshotFile
from gateway_guard.settings import Settings
from gateway_guard.stores.connect import parse_address
from gateway_guard.streams.shared import SharedLinking


def open_linking(
    store: str | None, settings: Settings, policies: PolicySource
) -> Linking | SharedLinking:
    """What learns for a guard whose limits are counted at `store`; None for its own memory.

    It is idle while the policy in force asks for no campaigns: the next reload may.

    Raises:
        SettingsError: the store or the file cannot be used.
        SnapshotError: what was kept of campaigns cannot be taken over; says what to do.
    """
    file = SnapshotFile.configured(settings)
    bounds = bounds_of(settings.linker_accounts, settings.linker_days)
    herald = Herald.configured(settings)

    def asked() -> bool:
        return policies.current.campaigns

    # Without a secret of its own no other guard would know this one's accounts; `build_guard` says
    # so.
    if store and settings.secret_lasts and parse_address(store).shared:
        return SharedLinking(
            store,
            settings.secret,
            namespace=settings.store_namespace,
            policy=lambda: policies.current.digest,
            asked=asked,
            leads=settings.linker == "auto",
            file=file,
            bounds=bounds,
            herald=herald,
        )
    if file is None:
        return Linking(settings.secret, linker=Linker(bounds=bounds), herald=herald, asked=asked)
    keeper = Keeper(file, settings.secret, bounds=bounds)
    return Linking(settings.secret, keeper=keeper, herald=herald, asked=asked)
