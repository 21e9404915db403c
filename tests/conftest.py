"""What every test shares: how hypothesis runs.

On a fresh machine hypothesis builds its tables of characters during the first draw, which takes
longer than its limits allow; and shared cores make single examples slow. Neither says anything
about the code.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile(
    "gateway_guard", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("gateway_guard")
