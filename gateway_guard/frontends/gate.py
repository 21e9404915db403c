"""Stands before everything on the admin port but what probes and Prometheus ask.

/healthz /readyz /metrics       for everybody, as always
the login page and its style    for everybody, where there is a dashboard
anything else                   for whom `access` lets in: others are sent to the login page
                                (a browser), which leads back, or get 401
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final
from urllib.parse import urlencode

from starlette.responses import PlainTextResponse, RedirectResponse, Response

from gateway_guard.frontends.access import Access, Visitor

Scope = MutableMapping[str, Any]
App = Callable[[Any, Any, Any], Awaitable[None]]

_OPEN: Final = frozenset(("/healthz", "/readyz", "/metrics"))
LOGIN: Final = "/dashboard/login"
STYLE: Final = "/dashboard/style.css"
#: Where handlers find the `Visitor` in the scope's state.
VISITOR: Final = "gateway_guard.visitor"

#: Pages that whoever signs in is led back to. Nothing else: a link must not lead elsewhere.
_PAGE: Final = re.compile(r"/dashboard/(accounts|campaigns|audit)(/[A-Za-z0-9_@]{1,40})?")

_NOT_HERE: Final = (
    "Nothing here is for everybody who can connect: set GATEWAY_GUARD_ADMIN_TOKEN or "
    "GATEWAY_GUARD_ADMIN_PROXIES, or bind the admin port to 127.0.0.1.\n"
)
_MISNAMED: Final = (
    "Without GATEWAY_GUARD_ADMIN_TOKEN this port answers only as 127.0.0.1 or localhost.\n"
)


class Gate:
    """Lets a request through to `app` when its visitor may come in.

    Args:
        app: what is behind.
        access: who may.
    """

    def __init__(self, app: App, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """Serve one connection, ASGI 3."""
        if scope["type"] != "http" or scope["path"] in _OPEN:
            await self._app(scope, receive, send)
            return
        answer = self._stopped(scope)
        await (self._app if answer is None else answer)(scope, receive, send)

    def _stopped(self, scope: Scope) -> Response | None:
        """What stops the request; None when it may go on."""
        access, path = self._access, scope["path"]
        peer = scope["client"][0] if scope.get("client") else None
        if not access.allowed:
            return PlainTextResponse(_NOT_HERE, 403)
        browsed = path.startswith("/dashboard") or path == "/"
        changes = scope["method"] not in ("GET", "HEAD")
        # Gateways, which may call this port by a name of theirs, send none; browsers do.
        foreign = any(name == b"origin" for name, _ in scope["headers"])
        read = browsed or path.startswith("/debug/")
        if (read or foreign) and not access.rightly_named(scope["headers"]):
            return PlainTextResponse(_MISNAMED, 421)
        if changes and foreign and not access.same_origin(scope["headers"], peer):
            return PlainTextResponse("This was sent by a page of another site.\n", 403)
        named = any(name == b"authorization" for name, _ in scope["headers"])
        if named or (path == LOGIN and changes):
            wait = access.attempts.wait(access.source(scope["headers"], peer))
            if wait > 0.0:
                # Whatever the token: a right one must not be told from a wrong one meanwhile.
                later = {"retry-after": str(math.ceil(wait))}
                return PlainTextResponse("Too many wrong tokens: wait a minute.\n", 429, later)
        visitor = access.visitor(scope["headers"], peer, time.time())
        if visitor is None and named:
            access.attempts.failed(access.source(scope["headers"], peer))
        if path in (LOGIN, STYLE) and access.asks:
            visitor = visitor or Visitor(how="")
        if visitor is None:
            return self._unknown(scope, changes, browsed)
        if changes and not visitor.reviews and not browsed:
            return PlainTextResponse("This token may only look.\n", 403)
        scope.setdefault("state", {})[VISITOR] = visitor
        return None

    def _unknown(self, scope: Scope, changes: bool, browsed: bool) -> Response:
        accept = b"".join(value for name, value in scope["headers"] if name == b"accept")
        if browsed and self._access.logs_in and b"text/html" in accept:
            return RedirectResponse(_asking(way_back(scope["path"]), ended=changes), 303)
        headers = {"www-authenticate": 'Bearer realm="gateway-guard admin"'}
        return PlainTextResponse("Say who you are: Authorization: Bearer …\n", 401, headers)


def way_back(path: str) -> str:
    """`path` where that is a page to come back to after signing in; empty otherwise."""
    return path if _PAGE.fullmatch(path) else ""


def _asking(back: str, *, ended: bool) -> str:
    """The login page that leads to `back`; `ended`: a form came that nobody is signed in for."""
    asked = ({"to": back} if back else {}) | ({"ended": "1"} if ended else {})
    return f"{LOGIN}?{urlencode(asked)}" if asked else LOGIN
