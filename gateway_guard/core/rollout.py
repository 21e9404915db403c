"""For whom a rule, a limit or a whole policy is in force while it is rolled out."""

from __future__ import annotations

import hashlib

import msgspec

from gateway_guard.core.limit import Limit
from gateway_guard.core.rules import Condition
from gateway_guard.types import Assessment, Facts, Request


def chosen(share: float, salt: str, request: Request) -> bool:
    """Whether this account falls into `share` of all accounts: by hash, so replays repeat.

    Requests without an account are chosen by address. `salt` keeps two rollouts independent.
    """
    if share >= 1.0:
        return True
    who = request.account or request.client_ip or ""
    digest = hashlib.blake2b(f"{salt}\0{who}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") < share * 2**64


def in_force(limit: Limit) -> Limit:
    """The limit, for those accounts for whom it is in force."""
    return _only(limit, True)


def in_rehearsal(limit: Limit) -> Limit:
    """The limit, for those accounts for whom it only rehearses; it counts under the same keys."""
    return limit if limit.shadow else _only(limit, False)


def _only(limit: Limit, wanted: bool) -> Limit:
    share, salt = limit.rollout, f"limit:{limit.name}"
    if share >= 1.0:
        return limit

    def test(request: Request, _facts: Facts, _assessment: Assessment) -> bool:
        return chosen(share, salt, request) is wanted

    condition = Condition(field="rollout", text=f"{share:.6g}", test=test)
    return msgspec.structs.replace(limit, conditions=(*limit.conditions, condition))
