"""Keys that an account has made for others: short-lived secrets with which its users' browsers open
realtime sessions. Who shows one is charged as the account that asked for it.

    POST /v1/realtime/client_secrets      {"value": "ek_…", "expires_at": 1756310470, …}
    POST /v1/realtime/sessions            {"client_secret": {"value": …, "expires_at": …}, …}

Kept of a secret is what is kept of every key: its account's digest. Guards of a shared store tell
each other; of those that have none, each knows what was made through its own process.

Source: OpenAI's API reference, "Create client secret" and "Create session"; Azure's and xAI's have
the same form. A secret makes any number of sessions within 10 s to 2 h.
"""

from __future__ import annotations

from itertools import islice
from typing import Final

import msgspec

from gateway_guard.core.credentials import digest
from gateway_guard.errors import UNDECODABLE
from gateway_guard.types import Request

#: `Request.credential` of who shows such a secret.
MINTED: Final = "client-secret"
#: Longest life believed, seconds: OpenAI's longest; that of a secret that says nothing of it, its
#: usual one; and what is added, because clocks differ.
_LONGEST: Final = 7200.0
_USUAL: Final = 600.0
_SLACK: Final = 60.0
#: Secrets remembered, some 200 bytes each. Beyond that the oldest is an account of its own again.
MOST_MINTED: Final = 65_536

_PATHS: Final = (
    "/client_secrets", "/realtime/sessions", "/realtime/transcription_sessions",
    "/realtimeapi/sessions",
)  # fmt: skip


def mints(request: Request) -> bool:
    """Whether the answer to `request` may hold a secret that counts as its account."""
    path = request.path
    if path is None:
        return False
    # However it is spelled: upstreams that do not mind make one all the same.
    low = path.casefold().rstrip("/")
    return low.endswith(_PATHS) and "realtime" in low


class _Secret(msgspec.Struct, gc=False):
    value: str | None = None
    expires_at: float | None = None


class _Answer(_Secret, gc=False):
    client_secret: _Secret | None = None


_decode: Final = msgspec.json.Decoder(_Answer).decode


class ClientSecret(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One secret that an account had made.

    Attributes:
        account: its digest, which is the account that it would be by itself.
        owner: the account that asked for it.
        until: Unix seconds from which on it makes no session any more.
    """

    account: str
    owner: str
    until: float


def secret_in(body: bytes, request: Request, *, secret: bytes, now: float) -> ClientSecret | None:
    """What the answer to `request` holds; None for no secret. `secret` keys the digests; `now` is
    Unix seconds.
    """
    owner = request.account
    try:
        answer = _decode(body)
    except UNDECODABLE:
        return None
    found = answer.client_secret or answer
    if owner is None or not found.value:
        return None
    account = digest(secret, found.value.encode())
    if account == owner:
        return None
    left = _USUAL if found.expires_at is None else found.expires_at - now
    return ClientSecret(account, owner, now + max(0.0, min(left, _LONGEST)) + _SLACK)


class Minted:
    """Whose secrets are in use. Its owner gives the time; nothing is removed but by `note`.

    Attributes:
        accounts: a secret's own account → that of who asked for it, and until when, Unix seconds.
    """

    __slots__ = ("_most", "accounts")

    def __init__(self, most: int = MOST_MINTED) -> None:
        self.accounts: dict[str, tuple[str, float]] = {}
        self._most = most

    def note(self, made: ClientSecret, now: float) -> None:
        """Take in a secret at `now`, Unix seconds; in place of some that are over."""
        accounts = self.accounts
        accounts.pop(made.account, None)
        for known in list(islice(accounts, 2)):
            if accounts[known][1] <= now or len(accounts) >= self._most:
                del accounts[known]
        accounts[made.account] = made.owner, made.until

    def owned(self, request: Request) -> Request:
        """`request` as that of the account that asked for the secret it shows, if it shows one."""
        known = self.accounts.get(request.account or "")
        if known is None or known[1] <= request.at:
            return request
        return msgspec.structs.replace(request, account=known[0], credential=MINTED)
