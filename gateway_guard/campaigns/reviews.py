"""What people decided about accounts and campaigns: it stands above what the linker believes."""

from __future__ import annotations

import enum
from typing import Final

import msgspec

#: How long accounts of a released campaign are left alone, seconds: what convicted them was looked
#: at by somebody and found innocent; what they do from then on may show otherwise.
LEFT_ALONE: Final = 30 * 86400.0
#: Most reviewed accounts remembered; the oldest review goes first.
_MOST: Final = 100_000


#: What is found of an account nobody ruled on.
_NONE: Final = (None, 0.0)


class Ruling(enum.StrEnum):
    """What a reviewer decided."""

    ALLOW = "allow"
    BAN = "ban"
    CLEAR = "clear"
    RELEASE = "release"
    NOTE = "note"
    CHALLENGE = "challenge"
    VERIFY = "verify"
    ERASE = "erase"

    __hash__ = str.__hash__


#: Those that decide whether an account is in a campaign.
MEMBERSHIP: Final = frozenset((Ruling.ALLOW, Ruling.BAN, Ruling.CLEAR))


class Review(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One decision of a person.

    Attributes:
        at: Unix seconds.
        ruling: `allow`: the account is never a member; `ban`: it is, whatever the evidence;
            `clear`: neither any longer; `release`: the campaign is let go and its accounts left
            alone for 30 days; `note`: only words; `challenge`: the account is to verify itself
            before it goes on; `verify`: it has (`campaigns.standing`);
            `erase`: what was learnt of the account until then is forgotten, what people decided
            of it is not.
        account: keyed digest; None when the review is about a campaign.
        campaign: its name; None when the review is about an account.
        reason: why, in the reviewer's words.
        by: who; empty when unknown.
        until: of `verify`: when it ends, Unix seconds; None for 30 days.
        subject: of `verify`: keyed digest of who showed themselves; empty where a reviewer vouches.
        link: of `verify`: the nonce of the link that was used, in hex; empty without one.
    """

    at: float
    ruling: Ruling
    account: str | None = None
    campaign: str | None = None
    reason: str = ""
    by: str = ""
    until: float | None = None
    subject: str = ""
    link: str = ""


class Reviews:
    """The rulings in force, by account."""

    def __init__(self) -> None:
        #: account → the ruling (`ALLOW` or `BAN`) and until when, Unix seconds.
        self.rulings: dict[str, tuple[Ruling, float]] = {}

    def rule(self, account: str, ruling: Ruling, until: float = float("inf")) -> None:
        """Put a ruling in force; `CLEAR` lifts it."""
        self.rulings.pop(account, None)
        if ruling is Ruling.CLEAR:
            return
        if len(self.rulings) >= _MOST:
            del self.rulings[next(iter(self.rulings))]
        self.rulings[account] = ruling, until

    def banned(self, account: str) -> bool:
        """Whether a reviewer banned `account`; bans last until they are cleared."""
        return self.rulings.get(account, _NONE)[0] is Ruling.BAN

    def of(self, account: str, at: float) -> Ruling | None:
        """The ruling on `account` in force at `at` (Unix seconds); None when there is none."""
        found = self.rulings.get(account)
        if found is None:
            return None
        ruling, until = found
        if at >= until:
            del self.rulings[account]
            return None
        return ruling
