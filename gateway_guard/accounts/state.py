"""Attributes the application knows: `scope["state"]["gateway_guard"]`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from gateway_guard.accounts.attributes import read
from gateway_guard.types import AccountFacts


def merged(known: AccountFacts, state: Mapping[str, Any] | None) -> AccountFacts:
    """`known` with what the application says on top.

    The state's members are named as the fields of `AccountFacts`; a member that makes no sense is
    passed over. Never raises.
    """
    if not state:
        return known
    said = read(state)
    return msgspec.structs.replace(known, **said) if said else known
