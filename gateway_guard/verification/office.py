"""Takes a visitor's link and what came of the visit, and puts it in force. The shell of it all."""

from __future__ import annotations

import hashlib
import hmac
import logging
import secrets
from typing import Final

from gateway_guard.campaigns.reviews import Review, Ruling
from gateway_guard.core.credentials import subkey
from gateway_guard.core.links import Claims, LinkFault, Purpose, make, read
from gateway_guard.core.sections import Verification
from gateway_guard.errors import StoreError
from gateway_guard.guard import Guard
from gateway_guard.types import Charge

log = logging.getLogger(__name__)

#: Tries an hour, by what they are counted for: no code of eight characters is found in them.
_TRIES: Final = {"account": 10, "address": 30}
_HOUR: Final = 3600.0


class Office:
    """One guard's reception for visitors.

    Attributes:
        guard: whose accounts these are.
        outcomes: how many visits ended how: `verified`, or the `LinkFault` or word that says why
            not; for metrics.
    """

    def __init__(self, guard: Guard) -> None:
        self.guard = guard
        self.outcomes: dict[str, int] = {}

    @property
    def verification(self) -> Verification | None:
        """The policy's section in force; None where it has none."""
        return self.guard.policy.verification

    def now(self) -> float:
        """Unix seconds, the guard's clock."""
        return self.guard.clock()

    def read(self, token: str, purpose: Purpose) -> Claims | LinkFault:
        """What a link says, or why it is not taken; one that was used is known by its end."""
        return read(self.guard.secret, token, purpose=purpose, now=self.now())

    def onward(self, claims: Claims, verification: Verification) -> str:
        """The token that comes back from the provider; the same link as far as its use goes."""
        until = self.now() + verification.expires
        onward = Claims(
            account=claims.account, expires=until, nonce=claims.nonce, purpose=Purpose.RETURN
        )
        return make(self.guard.secret, onward)

    def seal(self, *parts: str) -> str:
        """A digest of `parts` that nobody else can make, 32 hex digits."""
        key = subkey(self.guard.secret, b"verification csrf")
        return hmac.digest(key, "\0".join(parts).encode(), hashlib.sha256).hex()[:32]

    async def may_try(self, account: str, subnet: str | None) -> float | None:
        """Count one try; seconds to wait when there were too many, None when it may go on.

        Counted where limits are, so by all guards of a store together. While that does not answer
        nobody may try.
        """
        keys = {"account": account}
        if subnet is not None:
            keys["address"] = subnet
        charges = [
            Charge(
                limit=f"verification-{kind}", key=f"verification-{kind}:{keys[kind]}",
                unit="requests", cost=1.0, capacity=most, rate=most / _HOUR, quota=most,
                window=_HOUR,
            )
            for kind, most in _TRIES.items()
            if kind in keys
        ]  # fmt: skip
        name, now = f"v_{secrets.token_hex(8)}", self.now()
        store = self.guard.store
        try:
            grants = await store.reserve(charges, id=name, now=now)
            if all(grant.allowed for grant in grants):
                await store.settle(charges, [1.0] * len(charges), id=name, now=now)
        except StoreError:
            self.count("unavailable")
            return 5.0
        waits = [grant.retry_after for grant in grants if not grant.allowed]
        if waits:
            self.count("too-many-tries")
        return max(waits) if waits else None

    async def admit(
        self, claims: Claims, verification: Verification, subject: str, *, by: str
    ) -> LinkFault | None:
        """Verify an account, once for each link; why not, where it is not.

        `subject` is who the visitor is, in the words of whoever found out; `by` says who that was.

        Raises:
            StoreError: shared state does not answer; the link can be used again.
        """
        now = self.now()
        key = subkey(self.guard.secret, b"subjects")
        # An operator's check may return what is no text.
        words = f"{by}\0{subject}".encode("utf-8", "surrogatepass")
        who = hashlib.blake2b(words, key=key, digest_size=16).hexdigest()
        review = Review(
            at=now, ruling=Ruling.VERIFY, account=claims.account, by=by, reason="met a challenge",
            until=now + verification.lasts, subject=who, link=claims.nonce.hex(),
        )  # fmt: skip
        fault = await self.guard.register.enter(review, most=verification.accounts)
        self.count("verified" if fault is None else fault.value)
        log.info(
            "verification account=%s subject=%s by=%s: %s",
            claims.account, who, by, "verified" if fault is None else fault.value,
        )  # fmt: skip
        return fault

    def count(self, outcome: str) -> None:
        """Count one visit that ended so; only words of this package, so there are few."""
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1
