"""Where visitors go: an ASGI app that answers below the policy's verification URL.

    GET  PATH?t=LINK       the form; or the way to whoever finds out
    POST PATH              the form, filled in
    POST PATH/callback     the provider says who it was
    GET  PATH/done?t=…     back from the provider
    GET  PATH/go?t=…       the click that leads to the sign-in
    GET  PATH/signed-in    back from there
    GET  PATH/style.css

Looking at a link changes nothing, so whoever does before its visitor (scanners of mail, previews of
chats) does no harm. Everything else goes to the app behind, or is not found.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway_guard.core.links import LinkFault, Purpose
from gateway_guard.core.sections import Verification
from gateway_guard.errors import SettingsError, SourceError, StoreError
from gateway_guard.guard import Guard
from gateway_guard.verification import form, page, provider, signing_in, web
from gateway_guard.verification.checks import Check, installed
from gateway_guard.verification.office import Office
from gateway_guard.verification.openid import SignIn
from gateway_guard.verification.reception import Reception

log = logging.getLogger(__name__)

_LATER: Final = (503, "Please try again", "Nothing was changed. Try again in a few seconds.")


class VerificationApp:
    """The visitors' side of `guard`.

    Args:
        guard: whose policy says how accounts are verified; without such a section everything goes
            to `otherwise`.
        otherwise: the app behind; None: nothing else is found here.
        check: has the last word on a form, instead of an installed one that the policy names.
        sign_in: asks OpenID providers; None for one over the usual network.

    Raises:
        SettingsError: the check that the policy names is not installed.
    """

    def __init__(
        self,
        guard: Guard,
        otherwise: ASGIApp | None = None,
        *,
        check: Check | None = None,
        sign_in: SignIn | None = None,
    ) -> None:
        self._guard = guard
        self._desk = Reception(guard, check, sign_in or SignIn())
        self._otherwise = otherwise
        verification = guard.policy.verification
        asked = verification.form if verification is not None else None
        if asked is not None and asked.check is not None and check is None:
            installed(asked.check)

    @property
    def office(self) -> Office:
        """What puts it in force; its `outcomes` are for metrics."""
        return self._desk.office

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, ASGI 3."""
        await self.route(scope, receive, send)

    def route(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """The same for who awaits what it is given: without verification it costs no coroutine."""
        verification = self._guard.policies.current.verification
        otherwise = self._otherwise
        if otherwise is not None:
            if verification is None or scope["type"] != "http":
                return otherwise(scope, receive, send)
            tail = web.tail(scope, verification.path)
            if tail is None:
                return otherwise(scope, receive, send)
            return self._serve(scope, receive, send, verification, tail)
        if scope["type"] == "lifespan":
            return web.lifespan(receive, send)
        tail = web.tail(scope, verification.path) if verification is not None else None
        return self._serve(scope, receive, send, verification, tail)

    async def _serve(
        self, scope: Scope, receive: Receive, send: Send, verification: Verification | None,
        tail: str | None,
    ) -> None:  # fmt: skip
        if scope["type"] != "http":
            await receive()  # websocket.connect
            await send({"type": "websocket.close", "code": 1008, "reason": ""})
            return
        if verification is None:
            response = Response(status_code=404)
        else:
            response = await self._answer(Request(scope, receive), tail, verification)
        await response(scope, receive, send)

    async def _answer(
        self, request: Request, tail: str | None, verification: Verification
    ) -> Response:
        reception = self._desk
        method = "GET" if request.method == "HEAD" else request.method
        route = _ROUTES.get((method, tail or ""))
        if tail is None or route is None:
            allowed = [name for name, place in _ROUTES if place == tail]
            if not allowed:
                return reception.told(
                    verification, 404, "Nothing here", "This address leads nowhere."
                )
            told = reception.told(verification, 405, "Not this way", "Open your link once more.")
            told.headers["allow"] = ", ".join(["HEAD", *allowed] if "GET" in allowed else allowed)
            return told
        try:
            return await route(reception, request, verification)
        except (SettingsError, SourceError, StoreError) as error:
            log.error("verification: %s", error)
            reception.office.count("unavailable")
            return reception.told(verification, *_LATER)


async def _visited(reception: Reception, request: Request, verification: Verification) -> Response:
    """Somebody opens a link."""
    token = request.query_params.get(page.LINK, "")
    claims = reception.office.read(token, Purpose.VISIT)
    if isinstance(claims, LinkFault):
        return reception.refused(verification, claims)
    if verification.form is not None:
        return form.shown(reception, request, verification, verification.form, claims, token)
    if verification.openid is not None:
        return signing_in.shown(
            reception, request, verification, verification.openid, claims, token
        )
    assert verification.provider is not None  # noqa: S101 - a policy has one of the three
    return provider.shown(reception, verification, verification.provider, claims)


async def _style(reception: Reception, request: Request, verification: Verification) -> Response:  # noqa: ARG001
    return web.css(page.CSS)


_Route = Callable[[Reception, Request, Verification], Awaitable[Response]]
_ROUTES: Final[dict[tuple[str, str], _Route]] = {
    ("GET", ""): _visited,
    ("POST", ""): form.filled_in,
    ("POST", "/callback"): provider.called_back,
    ("GET", "/done"): provider.returned,
    ("GET", "/go"): signing_in.sent,
    ("GET", "/signed-in"): signing_in.returned,
    ("GET", "/style.css"): _style,
}
