"""A sign-in by OpenID Connect: the way there, and what comes back.

Whoever is sent somebody else's link must not verify that one's account by being signed in already:
so it takes a click on the page, in the browser that comes back.
"""

from __future__ import annotations

import secrets
from typing import Final
from urllib.parse import urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from gateway_guard.core.links import Claims, LinkFault, Purpose
from gateway_guard.core.sections import OpenId, Verification
from gateway_guard.verification import page, web
from gateway_guard.verification.reception import Reception

#: Kept by the browser that was sent away; unlike the page's own it comes along on the way back.
_BACK: Final = "gg_verify_back"


def shown(
    reception: Reception, request: Request, verification: Verification, openid: OpenId,
    claims: Claims, token: str,
) -> Response:  # fmt: skip
    """The page before signing in."""
    visitor = reception.known(request)
    query = urlencode({page.LINK: token, page.GUARD: reception.seal(visitor, claims)})
    text = page.leaving_page(
        account=claims.account, host=urlsplit(openid.issuer).netloc,
        url=f"{verification.path}/go?{query}", style=web.style(verification),
    )  # fmt: skip
    answer = web.html(text)
    reception.remember(answer, verification, visitor)
    return answer


async def sent(reception: Reception, request: Request, verification: Verification) -> Response:
    """The click: to where the visitor signs in.

    Raises:
        SourceError: the provider does not say where that is.
    """
    openid = verification.openid
    claims = reception.office.read(request.query_params.get(page.LINK, ""), Purpose.VISIT)
    if openid is None:
        return reception.told(verification, 404, "Nothing here", "This address leads nowhere.")
    if isinstance(claims, LinkFault):
        return reception.refused(verification, claims)
    if not reception.same_visitor(
        request, verification, claims, request.query_params.get(page.GUARD, "")
    ):
        return reception.elsewhere(verification)
    visitor, state = secrets.token_urlsafe(18), reception.office.onward(claims, verification)
    nonce, verifier = _secrets(reception, visitor, state)
    where = await reception.sign_in.address(
        openid, state=state, back=_back(verification), nonce=nonce, verifier=verifier
    )
    answer = RedirectResponse(where, 303, headers=web.HEADERS)
    reception.remember(answer, verification, visitor, name=_BACK, samesite="lax")
    return answer


async def returned(reception: Reception, request: Request, verification: Verification) -> Response:
    """What becomes of a visitor who comes back.

    Raises:
        SourceError: the provider does not answer, or refuses what came back.
        StoreError: shared state does not answer.
    """
    openid = verification.openid
    if openid is None:
        return reception.told(verification, 404, "Nothing here", "This address leads nowhere.")
    state = request.query_params.get("state", "")
    claims = reception.office.read(state, Purpose.RETURN)
    if isinstance(claims, LinkFault):
        return reception.refused(verification, claims)
    visitor = request.cookies.get(_BACK, "")
    if not visitor:
        return reception.elsewhere(verification)
    code = request.query_params.get("code", "")
    if not code:
        # They changed their mind, or the provider knows nobody.
        return reception.unconfirmed(verification)
    # Whoever has a link must not make the guard hammer its provider with codes. By account only:
    # a network may hold a whole firm, and codes of a provider are not to be guessed.
    too_many = await reception.tried(verification, claims, None)
    if too_many is not None:
        return too_many
    nonce, verifier = _secrets(reception, visitor, state)
    subject = await reception.sign_in.subject(
        openid, code=code[:4_096], back=_back(verification), nonce=nonce, verifier=verifier,
        at=reception.office.now(),
    )  # fmt: skip
    if subject is None:
        return reception.unconfirmed(verification)
    return await reception.admitted(verification, claims, subject, by="openid")


def _secrets(reception: Reception, visitor: str, state: str) -> tuple[str, str]:
    """Nonce and PKCE verifier of one sign-in in one browser: made anew, not kept."""
    nonce = reception.office.seal("nonce", visitor, state)
    return nonce, "".join(reception.office.seal(f"pkce {half}", visitor, state) for half in "ab")


def _back(verification: Verification) -> str:
    return f"{verification.url}/signed-in"
