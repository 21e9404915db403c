"""The operator's own page: a visitor is sent there, it calls back, the visitor returns."""

from __future__ import annotations

import logging
from urllib.parse import urlencode, urlsplit

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from gateway_guard.core.callbacks import signed
from gateway_guard.core.links import Claims, LinkFault, Purpose
from gateway_guard.core.sections import Provider, Verification
from gateway_guard.errors import UNDECODABLE, StoreError
from gateway_guard.verification import page, web
from gateway_guard.verification.reception import FAULTS, Reception

log = logging.getLogger(__name__)

_LONGEST_SUBJECT = 256


class _Answer(msgspec.Struct, kw_only=True, frozen=True):
    """What a provider says."""

    state: str
    # Said in so many words: whoever forgets it has not verified anybody.
    verified: bool
    subject: str = ""


def shown(
    reception: Reception, verification: Verification, provider: Provider, claims: Claims
) -> Response:
    """The way there."""
    token = reception.office.onward(claims, verification)
    query = urlencode({"state": token, "return": f"{verification.url}/done?{page.LINK}={token}"})
    where = urlsplit(provider.url)
    text = page.leaving_page(
        account=claims.account, host=where.netloc,
        url=f"{provider.url}{'&' if where.query else '?'}{query}", style=web.style(verification),
    )  # fmt: skip
    return web.html(text)


async def called_back(
    reception: Reception, request: Request, verification: Verification
) -> Response:
    """What a provider is answered. Never raises for what it sent."""
    provider = verification.provider
    body = await web.body(request)
    if provider is None or body is None:
        return web.json(404 if provider is None else 413, "nobody asked")
    if not signed(provider.key, request.headers, body, now=reception.office.now()):
        reception.office.count("unsigned")
        return web.json(401, "not signed with the key of this provider, or not just now")
    try:
        said = msgspec.json.decode(body, type=_Answer)
    except UNDECODABLE:
        return web.json(400, "a JSON object with state, subject and verified was expected")
    claims = reception.office.read(said.state, Purpose.RETURN)
    if isinstance(claims, LinkFault):
        reception.office.count(claims.value)
        return web.json(410 if claims is LinkFault.EXPIRED else 403, claims.value)
    if not said.verified:
        reception.office.count("refused")
        log.info("verification account=%s by=provider: refused", claims.account)
        return web.json(200, "refused")
    if not 0 < len(said.subject) <= _LONGEST_SUBJECT:
        return web.json(400, "subject must say who it was: 1 to 256 characters")
    try:
        fault = await reception.office.admit(claims, verification, said.subject, by="provider")
    except StoreError:
        return web.json(503, "try again")
    if fault is not None:
        return web.json(FAULTS[fault][0], fault.value)
    return web.json(200, "verified")


async def returned(reception: Reception, request: Request, verification: Verification) -> Response:
    """What a visitor reads who comes back."""
    claims = reception.office.read(request.query_params.get(page.LINK, ""), Purpose.RETURN)
    if isinstance(claims, LinkFault):
        return reception.refused(verification, claims)
    if reception.office.guard.standing.verified(claims.account, reception.office.now()):
        return reception.done(verification, claims)
    return web.html(page.waiting_page(account=claims.account, style=web.style(verification)))
