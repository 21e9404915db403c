"""The detectors: ours in an explicit table, third parties' by entry point."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import entry_points
from typing import Final

from gateway_guard.errors import SettingsError
from gateway_guard.signals.base import Detector
from gateway_guard.signals.geo_velocity import GeoVelocity
from gateway_guard.signals.low_variance import LowVariance
from gateway_guard.signals.machine_timing import MachineTiming
from gateway_guard.signals.network_mismatch import NetworkMismatch
from gateway_guard.signals.reasoning_elicit import ReasoningElicitation
from gateway_guard.signals.template_sweep import TemplateSweep
from gateway_guard.signals.volume_shift import VolumeShift

#: Name as policies spell it → class. A class is called with its parameters as keywords and raises
#: `ValueError` or `TypeError` for those it does not accept.
DETECTORS: Final[Mapping[str, type[Detector]]] = {
    TemplateSweep.name: TemplateSweep,
    LowVariance.name: LowVariance,
    ReasoningElicitation.name: ReasoningElicitation,
    MachineTiming.name: MachineTiming,
    VolumeShift.name: VolumeShift,
    GeoVelocity.name: GeoVelocity,
    NetworkMismatch.name: NetworkMismatch,
}

#: Entry-point group in which other packages name their detectors: `my-signal = "pkg.module:Class"`.
GROUP: Final = "gateway_guard.detectors"


@lru_cache(maxsize=1)
def detectors() -> Mapping[str, type[Detector]]:
    """Every detector installed, ours first. Read once per process; importing runs foreign code.

    Raises:
        SettingsError: a third party's detector cannot be imported, has no `look`, calls itself
            something else than its entry point, or takes a name that is taken.
    """
    found = dict(DETECTORS)
    for point in sorted(entry_points(group=GROUP), key=lambda point: (point.name, point.value)):
        if point.name in found:
            raise SettingsError(f"detector {point.name!r} ({point.value}): the name is taken")
        try:
            cls = point.load()
        except Exception as error:
            raise SettingsError(
                f"detector {point.name!r} ({point.value}) cannot be imported: {error}"
            ) from error
        if not isinstance(cls, type) or not callable(getattr(cls, "look", None)):
            raise SettingsError(f"detector {point.name!r} ({point.value}) is no class with `look`")
        if getattr(cls, "name", None) != point.name:
            raise SettingsError(
                f"detector {point.name!r} ({point.value}) calls itself"
                f" {getattr(cls, 'name', None)!r}"
            )
        found[point.name] = cls
    return found
