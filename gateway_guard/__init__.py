"""gateway_guard: one decision before a request reaches a model API, and it can say why.

The public names. Importing does nothing else; what is heavy loads when it is first named.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from gateway_guard.building import build_guard
    from gateway_guard.core.policy import Policy
    from gateway_guard.errors import GuardError, PolicyError
    from gateway_guard.frontends.asgi import GuardMiddleware
    from gateway_guard.guard import Guard
    from gateway_guard.policy.compile import load_policy
    from gateway_guard.types import Action, Decision, Exchange, Signal
    from gateway_guard.verification.app import VerificationApp

__all__ = [
    "Action",
    "Decision",
    "Exchange",
    "Guard",
    "GuardError",
    "GuardMiddleware",
    "Policy",
    "PolicyError",
    "Signal",
    "VerificationApp",
    "__version__",
    "build_guard",
    "load_policy",
]

_HOMES = {
    "Action": "gateway_guard.types",
    "Decision": "gateway_guard.types",
    "Exchange": "gateway_guard.types",
    "Signal": "gateway_guard.types",
    "Guard": "gateway_guard.guard",
    "build_guard": "gateway_guard.building",
    "GuardError": "gateway_guard.errors",
    "PolicyError": "gateway_guard.errors",
    "GuardMiddleware": "gateway_guard.frontends.asgi",
    "Policy": "gateway_guard.core.policy",
    "load_policy": "gateway_guard.policy.compile",
    "VerificationApp": "gateway_guard.verification.app",
}


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'gateway_guard' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(home), name)
