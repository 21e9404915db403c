"""A key in a header that the policy does not read: noticed from what arrives.

Whoever shows it there has no account: all customers of one network share one limit, and nothing
that is said of accounts holds for any. Nothing else would show it.
"""

from __future__ import annotations

from typing import Final

from gateway_guard.core.policy import Policy
from gateway_guard.types import Request, Wire

#: In which clients of model APIs show their keys.
_USUAL: Final = frozenset((b"authorization", b"x-api-key", b"api-key", b"x-goog-api-key"))


def unread(wire: Wire, request: Request, policy: Policy) -> str | None:
    """What is wrong where a request without an account shows a key that nobody looked at."""
    if request.account is not None or request.credential_fault or not request.model_route:
        return None
    read = {source.header for source in policy.identify.accounts if source.header}
    sent = [name.decode() for name, _ in wire.headers if name in _USUAL]
    said = next((name for name in sent if name not in read), None)
    if said is None:
        return None
    return (
        f"a request for a model has {said} and no account: identify.account reads "
        f"{', '.join(sorted(read)) or 'no header'}. If customers show their keys there, all of "
        "them are strangers to rules and limits, until the policy names it, "
        f"identify: {{ account: [{{ header: {said} }}] }}"
    )
