"""What every way to verify an account has in common: telling visitors, knowing their browser."""

from __future__ import annotations

import hmac
import re
import secrets
from typing import Final, Literal

from starlette.requests import Request
from starlette.responses import Response

from gateway_guard.core import prepared
from gateway_guard.core.links import Claims, LinkFault
from gateway_guard.core.origin import origin
from gateway_guard.core.sections import Verification
from gateway_guard.guard import Guard
from gateway_guard.types import Wire
from gateway_guard.verification import page, web
from gateway_guard.verification.checks import Check
from gateway_guard.verification.office import Office
from gateway_guard.verification.openid import SignIn

_COOKIE: Final = "gg_verify"
#: A secret of a browser's as this page makes them: nothing else is taken, nor sent back.
_SECRET: Final = re.compile(r"[A-Za-z0-9_-]{24}", re.ASCII)
AGAIN: Final = "Make your request again: its answer holds a new link."
#: Why a link is not taken → status, heading, what to do.
FAULTS: Final = {
    LinkFault.FORGED: (403, "This link does not work", f"It is incomplete or damaged. {AGAIN}"),
    LinkFault.PURPOSE: (403, "This link does not work", f"It is meant for another page. {AGAIN}"),
    LinkFault.EXPIRED: (410, "This link has expired", AGAIN),
    LinkFault.USED: (409, "This link was used", f"Each link works once. {AGAIN}"),
    LinkFault.CROWDED: (
        403, "Too many accounts",
        "You have verified as many accounts as one person can. Ask whoever runs this service.",
    ),
}  # fmt: skip


class Reception:
    """Where a visitor stands.

    Attributes:
        office: what puts it in force.
        check: has the last word on a form, instead of an installed one; None for that one.
        sign_in: asks OpenID providers.
    """

    def __init__(self, guard: Guard, check: Check | None, sign_in: SignIn) -> None:
        self.office = Office(guard)
        self.check = check
        self.sign_in = sign_in

    def told(self, verification: Verification, status: int, title: str, text: str) -> Response:
        """A page that says so."""
        return web.html(page.trouble_page(title, text, style=web.style(verification)), status)

    def refused(self, verification: Verification, fault: LinkFault) -> Response:
        """The page for a link that is not taken."""
        if fault not in (LinkFault.USED, LinkFault.CROWDED):
            self.office.count(fault.value)
        return self.told(verification, *FAULTS[fault])

    def unconfirmed(self, verification: Verification) -> Response:
        """The page for who did not pass."""
        self.office.count("refused")
        return self.told(
            verification, 403, "Not verified",
            "Who you are could not be confirmed. Ask whoever runs this service.",
        )  # fmt: skip

    def elsewhere(self, verification: Verification) -> Response:
        """The page for what another page sent."""
        self.office.count("cross-site")
        return self.told(
            verification, 403, "This came from elsewhere",
            "Open the link itself, with cookies allowed, and go on from there.",
        )  # fmt: skip

    async def tried(
        self, verification: Verification, claims: Claims, subnet: str | None
    ) -> Response | None:
        """Count one try of a link's account from a subnet; the page for too many, else None."""
        wait = await self.office.may_try(claims.account, subnet)
        if wait is None:
            return None
        answer = self.told(verification, 429, "Too many tries", "Please try again later.")
        answer.headers["retry-after"] = str(max(1, round(wait)))
        return answer

    async def admitted(
        self, verification: Verification, claims: Claims, subject: str, *, by: str
    ) -> Response:
        """What is said to whoever passed, once that is in force.

        Raises:
            StoreError: as `Office.admit`.
        """
        fault = await self.office.admit(claims, verification, subject, by=by)
        return self.refused(verification, fault) if fault else self.done(verification, claims)

    def done(self, verification: Verification, claims: Claims) -> Response:
        """The page for whoever passed."""
        return web.html(
            page.done_page(
                account=claims.account, lasts=verification.lasts, style=web.style(verification)
            )
        )

    def known(self, request: Request) -> str:
        """The secret of this browser's; a new one where it has none."""
        said = request.cookies.get(_COOKIE, "")
        return said if _SECRET.fullmatch(said) else secrets.token_urlsafe(18)

    def remember(
        self, answer: Response, verification: Verification, visitor: str, *, name: str = _COOKIE,
        samesite: Literal["strict", "lax"] = "strict",
    ) -> None:  # fmt: skip
        """Have the browser keep its secret, for this page alone and as long as a link lasts."""
        answer.set_cookie(
            name, visitor, path=verification.path, httponly=True, samesite=samesite,
            secure=verification.url.startswith("https:"), max_age=round(verification.expires),
        )  # fmt: skip

    def seal(self, visitor: str, claims: Claims) -> str:
        """What a page that was shown to this browser for this link brings back."""
        return self.office.seal("page", visitor, claims.nonce.hex())

    def same_visitor(
        self, request: Request, verification: Verification, claims: Claims, seal: str
    ) -> bool:
        """Whether it comes from where it was shown: nobody lends a visitor's browser."""
        site = request.headers.get("sec-fetch-site")
        sent_from = request.headers.get("origin")
        if site is not None and site not in ("same-origin", "none"):
            return False
        if sent_from is not None and sent_from != web.origin_of(verification.url):
            return False
        visitor = request.cookies.get(_COOKIE, "")
        wanted = self.seal(visitor, claims)
        return bool(visitor) and hmac.compare_digest(seal.encode(), wanted.encode())

    def address(self, request: Request) -> tuple[str | None, str | None]:
        """The visitor's address and its subnet, found as a client's is."""
        policy = self.office.guard.policy
        client = request.scope.get("client")
        wire = Wire(
            method=request.method, raw_path=b"/", headers=list(request.scope["headers"]),
            peer=client[0] if client else None,
        )  # fmt: skip
        fields = dict(wire.headers)
        ready = prepared.latest
        if ready.identify is not policy.identify or ready.inspect is not policy.inspect:
            ready = prepared.prepare(policy.identify, policy.inspect)
        address, subnet, _, _ = origin(wire, ready, fields, len(fields) != len(wire.headers))
        return address, subnet
