"""What an application brings for a guard to work with, looked at before anybody is judged.

A part of the wrong kind would else be found out by the first customer, and by each that follows.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Collection
from typing import Any, Final

from gateway_guard.core.policy import Policy
from gateway_guard.settings import Settings

#: Methods with arguments as they are called, by position and by name.
_Methods = tuple[tuple[str, tuple[Any, ...], dict[str, Any]], ...]

_WHEN: Final = {"id": "r_", "now": 0.0}
#: Part → the protocol it has to follow, and the methods of that.
_PARTS: Final[dict[str, tuple[str, _Methods]]] = {
    "accounts": (
        "gateway_guard.accounts.base.Directory",
        (("lookup", ("acct_", None), {}), ("reload", (), {})),
    ),
    "network": (
        "gateway_guard.network.base.Network",
        (("lookup", ("192.0.2.1",), {}), ("reload", (), {}), ("describe", (), {})),
    ),
    "store": (
        "gateway_guard.stores.base.Store",
        (("reserve", ((),), _WHEN), ("settle", ((), ()), _WHEN), ("close", (), {})),
    ),
}
_WAITED_FOR: Final = "store"


def check_parts(policy: object, settings: object, **parts: object) -> None:
    """Look at what `building.build_guard` was given; None stands for nothing.

    Raises:
        TypeError: something is of the wrong kind; says which, and what belongs there.
    """
    if isinstance(policy, str) and "\n" in policy:
        raise TypeError(
            "policy=… is a file, and this is its text: make a Policy of it with "
            "gateway_guard.policy.compile.compile_policy(text.encode(), 'policy.yaml')"
        )
    if not isinstance(policy, str | os.PathLike | Policy):
        raise TypeError(f"policy=… is a file or what load_policy made of one, not {_kind(policy)}")
    if not isinstance(settings, Settings | None):
        raise TypeError(
            "settings=… is a gateway_guard.settings.Settings (Settings.from_environment()), not "
            f"{_kind(settings)}"
        )
    for name in _PARTS:
        part = parts[name]
        if part is not None and not (name == "store" and isinstance(part, str)):
            _check_part(name, part)
    for name, arguments in (("campaign_of", ("acct_",)), ("clock", ())):
        if parts[name] is not None:
            _check_call(f"{name}=…", parts[name], arguments)
    learners = parts["learners"]
    if not isinstance(learners, Collection):
        raise TypeError(f"learners=… is a list of callables, not {_kind(learners)}")
    for learner in learners:
        _check_call("one of learners=…", learner, ("exchange",))


def _check_part(name: str, part: object) -> None:
    protocol, methods = _PARTS[name]
    for method, arguments, named in methods:
        found = getattr(part, method, None)
        if found is None:
            raise TypeError(f"{name}=… is no {protocol}: {_kind(part)} has no {method}()")
        what = f"{name}=…, a {_kind(part)}: its {method}()"
        _check_call(what, found, arguments, named, awaited=name == _WAITED_FOR, as_in=protocol)


def _check_call(
    what: str,
    found: object,
    arguments: tuple[Any, ...],
    named: dict[str, Any] | None = None,
    *,
    awaited: bool = False,
    as_in: str = "gateway_guard.building.build_guard",
) -> None:
    if not callable(found):
        raise TypeError(f"{what} cannot be called: it is {_kind(found)}")
    if not awaited and inspect.iscoroutinefunction(found):
        raise TypeError(f"{what} is a coroutine function, and nobody awaits it")
    signature = _signature(found)
    if signature is not None:
        try:
            signature.bind(*arguments, **(named or {}))
        except TypeError as error:
            raise TypeError(f"{what} cannot be called as {as_in} says: {error}") from None


def _signature(found: Callable[..., Any]) -> inspect.Signature | None:
    try:
        return inspect.signature(found)
    except ValueError:  # what is written in C need not say
        return None


def _kind(value: object) -> str:
    return "None" if value is None else type(value).__name__
