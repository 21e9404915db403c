"""The dashboard's addresses.

    GET  /  /dashboard                       the overview (`?window=day`, `?still`)
    GET  /dashboard/accounts  …/acct_…       a search, one account
    GET  /dashboard/campaigns  …/c_0001      all, one (`?find=`, `?by=`, `?from=`: its members)
    GET  /dashboard/audit                    decisions of people
    POST /dashboard/accounts/acct_…  /dashboard/campaigns/c_0001       decides something
    GET, POST /dashboard/login   POST /dashboard/logout

Who may come in is `gate`'s business; here it is checked that a form is the visitor's own and that
they may change things. No page holds a script, a style of its own or anything from elsewhere.
Pages are made beside the event loop, on which requests would wait: that of a campaign with a
thousand members takes 220 ms (measured).
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final
from urllib.parse import parse_qsl

import msgspec
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from gateway_guard.core.credentials import ACCOUNT
from gateway_guard.errors import GuardError, SettingsError
from gateway_guard.frontends.access import Access, Visitor
from gateway_guard.frontends.dashboard.account import account_page, accounts_page
from gateway_guard.frontends.dashboard.actions import CAMPAIGN, each_of, review_of
from gateway_guard.frontends.dashboard.audit import audit_page
from gateway_guard.frontends.dashboard.campaigns import (
    campaign_page,
    campaigns_page,
    ending,
)
from gateway_guard.frontends.dashboard.desk import Desk
from gateway_guard.frontends.dashboard.members import asked_of
from gateway_guard.frontends.dashboard.overview import overview_page
from gateway_guard.frontends.dashboard.shell import (
    HOME,
    Reader,
    account_path,
    campaign_path,
    login_page,
    message_page,
)
from gateway_guard.frontends.dashboard.style import CSS
from gateway_guard.frontends.gate import LOGIN, STYLE, VISITOR, way_back
from gateway_guard.frontends.sessions import (
    LASTS,
    Session,
    form_is_ours,
    form_token,
    sealed,
    set_cookie,
)
from gateway_guard.streams.bench import name_of

log = logging.getLogger(__name__)

Handler = Callable[[Request], Awaitable[Response]]

#: Seconds between two refreshes of the overview.
REFRESH: Final = 30
#: Largest form, bytes.
_MOST: Final = 32 * 1024
#: To whom sends a form after their session.
_ENDED: Final = "You were signed out, so nothing was changed: sign in, and decide again."

#: On every answer. `same-origin`: without a referrer browsers send `Origin: null` with forms.
HEADERS: Final[Mapping[str, str]] = {
    "content-security-policy": "default-src 'none'; style-src 'self'; img-src 'self' data:; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


class Dashboard:
    """The pages of one host's guards.

    Args:
        desk: answers and decides.
        access: who may.
    """

    def __init__(self, desk: Desk, access: Access) -> None:
        self._desk = desk
        self._access = access

    def routes(self) -> list[Route]:
        """What is served; `gate.Gate` must stand before it."""
        account, campaign = f"{HOME}/accounts/{{name}}", f"{HOME}/campaigns/{{name}}"
        post = ["POST"]
        return [
            Route("/", self._paged(self._home)),
            Route(HOME, self._paged(self._overview)),
            Route(f"{HOME}/accounts", self._paged(self._accounts)),
            Route(account, self._paged(self._account)),
            Route(account, self._paged(self._decide_account), methods=post),
            Route(f"{HOME}/campaigns", self._paged(self._campaigns)),
            Route(campaign, self._paged(self._campaign)),
            Route(campaign, self._paged(self._decide_campaign), methods=post),
            Route(f"{HOME}/audit", self._paged(self._audit)),
            Route(LOGIN, self._paged(self._login_form)),
            Route(LOGIN, self._paged(self._login), methods=post),
            Route(f"{HOME}/logout", self._paged(self._logout), methods=post),
            Route(STYLE, self._paged(self._style)),
        ]

    def _paged(self, handler: Handler) -> Handler:
        """`handler` with the headers of every page, and a session for its forms."""

        async def serve(request: Request) -> Response:
            visitor: Visitor = request.scope["state"][VISITOR]
            fresh = None
            if visitor.session is None and visitor.how in ("open", "proxy"):
                fresh = self._session(visitor.name, visitor.reviews)
                visitor = msgspec.structs.replace(visitor, session=fresh)
                request.scope["state"][VISITOR] = visitor
            try:
                response = await handler(request)
            except GuardError as error:
                page = message_page("That did not work", str(error), self._reader(request))
                response = HTMLResponse(page, 503)
            for name, value in HEADERS.items():
                response.headers.setdefault(name, value)
            if fresh is not None and "set-cookie" not in response.headers:
                self._set(request, response, fresh)
            return response

        return serve

    async def _home(self, request: Request) -> Response:  # noqa: ARG002
        return RedirectResponse(HOME, 303)

    async def _overview(self, request: Request) -> Response:
        asked = request.query_params
        day, still = asked.get("window") == "day", "still" in asked
        view = await self._desk.overview()
        page = await asyncio.to_thread(
            overview_page, view, self._reader(request), day=day, still=still
        )
        headers = {} if still else {"refresh": str(REFRESH)}
        return HTMLResponse(page, headers=headers)

    async def _accounts(self, request: Request) -> Response:
        asked = request.query_params.get("q", "").strip()
        if ACCOUNT.fullmatch(asked):
            return RedirectResponse(account_path(asked), 303)
        why = ""
        if asked.removeprefix("urn:gateway-guard:").startswith("r_"):
            why = (
                "That is a request, not an account: gateway-guard decision finds it by this id in "
                "the decision log, and says whose it was."
            )
            asked = ""
        elif asked and not ACCOUNT.pattern.startswith(asked[:5]):
            # Not shown again: it may be a key.
            why = (
                "That is no account: write acct_ and its 16 characters, as the decision log does. "
                "A key does not belong here."
            )
            asked = ""
        view = await self._desk.overview()
        page = await asyncio.to_thread(
            accounts_page, view.tally, view.campaigns, self._reader(request), asked=asked, why=why
        )
        return HTMLResponse(page, 400 if why else 200)

    async def _account(self, request: Request) -> Response:
        account = request.path_params["name"]
        if not ACCOUNT.fullmatch(account):
            return self._missing(request, "There is no such account.")
        view = await self._desk.account(account)
        done = request.query_params.get("done", "")
        reader = self._reader(request)
        page = await asyncio.to_thread(account_page, view, reader, time.time(), done=done)
        return HTMLResponse(page)

    async def _campaigns(self, request: Request) -> Response:
        view = await self._desk.campaigns()
        reader = self._reader(request)
        return HTMLResponse(await asyncio.to_thread(campaigns_page, view, reader, time.time()))

    async def _campaign(self, request: Request) -> Response:
        path = request.path_params["name"]
        asked = asked_of(request.query_params)
        view = await self._desk.campaign(path, asked.members) if CAMPAIGN.fullmatch(path) else None
        if view is None:
            if request.query_params.get("done") == "release":
                return RedirectResponse(f"{HOME}/campaigns", 303)
            return self._missing(request, ending(await self._desk.campaigns(), path))
        done = request.query_params.get("done", "")
        reader = self._reader(request)
        page = await asyncio.to_thread(
            campaign_page, view, path, reader, done=done, asked=asked
        )  # fmt: skip
        return HTMLResponse(page)

    async def _audit(self, request: Request) -> Response:
        view, reader = await self._desk.audit(), self._reader(request)
        return HTMLResponse(await asyncio.to_thread(audit_page, view, reader))

    async def _decide_account(self, request: Request) -> Response:
        account = request.path_params["name"]
        if not ACCOUNT.fullmatch(account):
            return self._missing(request, "There is no such account.")
        back = account_path(account)
        return await self._decide(request, "account", account, time.time(), back)

    async def _decide_campaign(self, request: Request) -> Response:
        path = request.path_params["name"]
        view = await self._desk.campaign(path) if CAMPAIGN.fullmatch(path) else None
        if view is None:
            return self._missing(request, ending(await self._desk.campaigns(), path))
        report = view.report
        # Recorded traffic may be from a clock that is ahead.
        at = max(time.time(), report.alarm_at)
        members = tuple(member.account for member in report.members)
        worker = path.partition("@")[2]
        return await self._decide(
            request, "campaign", report.id, at, campaign_path(path), members, worker
        )

    async def _decide(
        self,
        request: Request,
        what: str,
        name: str,
        at: float,
        back: str,
        members: Sequence[str] = (),
        worker: str = "",
    ) -> Response:
        visitor: Visitor = request.scope["state"][VISITOR]
        form = await _form(request)
        refused = self._refused(request, visitor, form)
        if refused is not None:
            return refused
        reader = self._reader(request)
        try:
            review = review_of(form, what, name, at, known_as=reader.name if reader.fixed else "")
            await self._desk.decide(*each_of(review, members), worker=worker)
        except SettingsError as error:
            return HTMLResponse(message_page("Nothing was changed", f"{error}.", reader), 400)
        log.info("decided what=%s about=%s via=dashboard", review.ruling.value, name)
        response = RedirectResponse(f"{back}?done={review.ruling.value}#decide", 303)
        if visitor.how == "open" and visitor.session is not None:
            # Remembered for the next form; nobody vouches for it.
            named = msgspec.structs.replace(visitor.session, name=review.by)
            self._set(request, response, named)
        return response

    async def _login_form(self, request: Request) -> Response:
        asked = request.query_params
        to = way_back(asked.get("to", ""))
        if not self._access.logs_in or request.scope["state"][VISITOR].how == "session":
            return RedirectResponse(to or HOME, 303)
        return HTMLResponse(login_page(_ENDED if "ended" in asked else "", to))

    async def _login(self, request: Request) -> Response:
        form = await _form(request)
        to = way_back(form.get("to", ""))
        if not self._access.same_origin(request.scope["headers"], _peer(request)):
            return HTMLResponse(login_page("This form came from elsewhere: sign in here.", to), 403)
        reviews = self._access.login(form.get("token", ""))
        if reviews is None:
            source = self._access.source(request.scope["headers"], _peer(request))
            self._access.attempts.failed(source)
            log.warning("admin-login-failed peer=%s", _peer(request))
            return HTMLResponse(login_page("That is not the token.", to), 403)
        try:
            name = name_of(form.get("name", ""))
        except SettingsError as error:
            return HTMLResponse(login_page(f"{error}.", to), 400)
        log.info("admin-login reviews=%s peer=%s", reviews, _peer(request))
        response = RedirectResponse(to or HOME, 303)
        self._set(request, response, self._session(name, reviews, signs_in=True))
        return response

    async def _logout(self, request: Request) -> Response:
        visitor: Visitor = request.scope["state"][VISITOR]
        refused = self._refused(request, visitor, await _form(request), reviews=False)
        if refused is not None:
            return refused
        response = RedirectResponse(LOGIN, 303)
        response.headers["set-cookie"] = set_cookie("", secure=self._secure(request), lasts=0)
        return response

    async def _style(self, request: Request) -> Response:  # noqa: ARG002
        return Response(CSS, media_type="text/css", headers={"cache-control": "no-cache"})

    def _refused(
        self, request: Request, visitor: Visitor, form: Mapping[str, str], *, reviews: bool = True
    ) -> Response | None:
        """Why a form is not acted upon; None when it is."""
        if reviews and not visitor.reviews:
            why = "You may only look."
        elif visitor.how == "bearer":
            # No other site can make a browser send this.
            return None
        elif not self._access.same_origin(request.scope["headers"], _peer(request)):
            why = "This form came from another site."
        elif visitor.session is None or not form_is_ours(
            form.get("form", ""), visitor.session, self._access.key
        ):
            why = "This form is not of this session (any more): go back and reload the page."
        else:
            return None
        return HTMLResponse(message_page("Nothing was changed", why, self._reader(request)), 403)

    def _reader(self, request: Request) -> Reader:
        visitor: Visitor = request.scope["state"][VISITOR]
        session = visitor.session
        return Reader(
            name=visitor.name,
            fixed=visitor.how in ("session", "proxy"),
            reviews=visitor.reviews,
            token=form_token(session, self._access.key) if session is not None else "",
            leaves=visitor.how == "session",
            locked=self._desk.locked,
        )

    def _missing(self, request: Request, why: str) -> Response:
        return HTMLResponse(message_page("Not here", why, self._reader(request)), 404)

    def _session(self, name: str, reviews: bool, *, signs_in: bool = False) -> Session:
        return Session(
            nonce=secrets.token_urlsafe(16), until=time.time() + LASTS, name=name,
            reviews=reviews, signs_in=signs_in,
        )  # fmt: skip

    def _set(self, request: Request, response: Response, session: Session) -> None:
        value = sealed(session, self._access.key)
        response.headers["set-cookie"] = set_cookie(value, secure=self._secure(request))

    def _secure(self, request: Request) -> bool:
        """Whether the browser came over TLS."""
        if _peer(request) in self._access.proxies:
            return request.headers.get("x-forwarded-proto", "").lower() == "https"
        return request.url.scheme == "https"


def _peer(request: Request) -> str | None:
    return request.client.host if request.client is not None else None


async def _form(request: Request) -> dict[str, str]:
    """The fields of a form; of one that is too large, has too many or is none at all, nothing."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST:
            return {}
    try:
        return dict(parse_qsl(body.decode("utf-8", "replace"), max_num_fields=20, errors="replace"))
    except ValueError:
        return {}
