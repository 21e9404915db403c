"""Who may look at the admin port, and who may change things through it.

a bearer token         `GATEWAY_GUARD_ADMIN_TOKEN` (may change), `…_ADMIN_READ_TOKEN`
a session              a cookie that the login form set for one of these tokens
an OIDC proxy          `X-Forwarded-User` from `GATEWAY_GUARD_ADMIN_PROXIES`; who is in a group
                       of `GATEWAY_GUARD_ADMIN_REVIEWERS` (`X-Forwarded-Groups`) may change
nobody is asked        on loopback, where none of these is set: whoever is on this machine
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import logging
import time
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

import msgspec

from gateway_guard.core.address import subnet_of
from gateway_guard.core.client_ip import Trust, forwarded_for, peer_address
from gateway_guard.errors import SettingsError
from gateway_guard.frontends.attempts import Attempts
from gateway_guard.frontends.forwarded import TrustedPeers
from gateway_guard.frontends.sessions import Session, cookie_of, opened, session_key
from gateway_guard.settings import Settings

log = logging.getLogger(__name__)

Headers = Iterable[tuple[bytes, bytes]]

_LONGEST_NAME: Final = 120
_LOCAL_NAMES: Final = frozenset(("localhost", "127.0.0.1", "::1"))


class Visitor(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks.

    Attributes:
        name: of the reviewer, as far as is known; else empty.
        reviews: whether they may change things.
        how: `bearer`, `session`, `proxy` or `open`.
        session: theirs; None where the browser has none (yet).
    """

    name: str = ""
    reviews: bool = False
    how: str
    session: Session | None = None


class Access:
    """The rules of one admin port.

    Attributes:
        asks: whether anybody must say who they are.
        allowed: whether anybody gets in at all: not where nobody is asked and others can connect.
        key: of sessions.
        attempts: wrong tokens, which who guesses has to wait after.

    Args:
        settings: tokens, proxies, groups.
        host: the address it is bound to; None for a unix socket.
    """

    def __init__(self, settings: Settings, host: str | None) -> None:
        tokens = ((settings.admin_token, True), (settings.admin_read_token, False))
        self._tokens = [(_digest(token.encode()), reviews) for token, reviews in tokens if token]
        self.proxies = TrustedPeers(settings.admin_proxies)
        self._trust = Trust(settings.admin_proxies)
        self._reviewers = frozenset(settings.admin_reviewers)
        self.key = session_key(settings)
        self.attempts = Attempts(time.monotonic)
        self.asks = bool(self._tokens or settings.admin_proxies)
        self.allowed = self.asks or host is None or is_loopback(host)

    @property
    def logs_in(self) -> bool:
        """Whether there is a token to log in with."""
        return bool(self._tokens)

    def visitor(self, headers: Headers, peer: str | None, now: float) -> Visitor | None:
        """Who asks with these `headers` (lower-case names) from `peer`; None for nobody known."""
        found = _by_name(headers)
        cookie = cookie_of(b"; ".join(found.get("cookie", ())).decode("latin-1"))
        session = opened(cookie, self.key, now) if cookie is not None else None
        credentials = found.get("authorization", ())
        if credentials:
            # Who says something wrong is not somebody else instead.
            reviews = self._bearer(credentials)
            return None if reviews is None else Visitor(how="bearer", reviews=reviews)
        if peer in self.proxies and "x-forwarded-user" in found:
            return self._proxied(found, session)
        if not self.asks:
            if not self.allowed:
                return None
            name = session.name if session is not None else ""
            return Visitor(how="open", reviews=True, name=name, session=session)
        if session is not None and session.signs_in and self._tokens:
            return Visitor(
                how="session", name=session.name, reviews=session.reviews, session=session
            )  # fmt: skip
        return None

    def source(self, headers: Headers, peer: str | None) -> str | None:
        """Whose wrong tokens are counted together: an address, of IPv6 the network (/64) that its
        holder may choose addresses from; None on a unix socket.

        That of the client by `X-Forwarded-For` where a proxy of ours wrote it. Otherwise whoever
        guesses through the proxy would make everybody behind it wait.
        """
        address = peer_address(peer)
        if peer in self.proxies:
            lines = [value for name, value in headers if name == b"x-forwarded-for"]
            address = forwarded_for(lines, self._trust)[0] or address
        if address is None:
            return peer
        return subnet_of(address) if ":" in address else address

    def login(self, token: str) -> bool | None:
        """Whether who knows `token` may change things; None when it is no token of ours."""
        given = _digest(token.strip().encode("utf-8", "replace"))
        reviews = None
        # Every token is compared, whatever the first comparison said; digests, as these are of one
        # length.
        for known, may in self._tokens:
            if hmac.compare_digest(given, known) and reviews is not True:
                reviews = may
        return reviews

    def same_origin(self, headers: Headers, peer: str | None) -> bool:
        """Whether a form was sent by a page of this port, as far as the browser says so.

        One of `Origin`, `Sec-Fetch-Site` and `Referer` must say it: browsers send them.
        """
        found = _by_name(headers)
        hosts = {value.decode("latin-1").lower() for value in found.get("host", ())}
        if peer in self.proxies:
            hosts |= {v.decode("latin-1").lower() for v in found.get("x-forwarded-host", ())}
        said = [value.decode("latin-1") for value in found.get("origin", ())]
        if not said:
            site = found.get("sec-fetch-site", ())
            if site:
                return list(site) == [b"same-origin"]
            said = [value.decode("latin-1") for value in found.get("referer", ())]
        if len(said) != 1:
            return False
        try:
            where = urlsplit(said[0]).netloc.lower()
        except ValueError:
            return False
        return bool(where) and where in hosts

    def rightly_named(self, headers: Headers) -> bool:
        """Whether the request names this machine as its host, where nobody is asked who they are.

        Else a page elsewhere could have its own name point here, and read and act as the visitor
        (DNS rebinding).
        """
        if self.asks:
            return True
        hosts = _by_name(headers).get("host", ())
        return len(hosts) == 1 and is_loopback(_host(hosts[0].decode("latin-1")))

    def _bearer(self, credentials: list[bytes]) -> bool | None:
        if len(credentials) != 1:
            return None
        scheme, _, token = credentials[0].decode("latin-1").partition(" ")
        return self.login(token) if scheme.lower() == "bearer" else None

    def _proxied(self, found: dict[str, list[bytes]], session: Session | None) -> Visitor | None:
        names = [value.decode("utf-8", "replace").strip() for value in found["x-forwarded-user"]]
        if len(names) != 1 or not names[0] or not names[0].isprintable():
            return None
        groups = {
            group.strip()
            for value in found.get("x-forwarded-groups", ())
            for group in value.decode("utf-8", "replace").split(",")
        }
        return Visitor(
            how="proxy", name=names[0][:_LONGEST_NAME], reviews=bool(groups & self._reviewers),
            session=session,
        )  # fmt: skip


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()


def is_loopback(host: str) -> bool:
    """Whether only this machine can connect to `host` (an address or `localhost`)."""
    if host.lower() in _LOCAL_NAMES:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def opens(settings: Settings, host: str, asked: bool | None, *, usage: bool) -> bool:
    """Whether the admin port at `host` has a dashboard. `asked`: whether it must (True), must not
    (False), or may (None); `usage`: whether gateways report usage there.

    Raises:
        SettingsError: something would be open to everybody who can connect; says what to do.
    """
    if Access(settings, host).allowed:
        return asked is not False
    what = "the dashboard" if asked else "POST /v1/usage" if usage else ""
    if what:
        raise SettingsError(
            f"{what} on {host} would be open to everybody who can connect: set "
            "GATEWAY_GUARD_ADMIN_TOKEN (openssl rand -hex 32), or GATEWAY_GUARD_ADMIN_PROXIES to "
            "the address of an OIDC proxy, or leave --admin-host at 127.0.0.1"
        )
    if asked is None:
        log.info(
            "no dashboard on %s: nobody is asked who they are (GATEWAY_GUARD_ADMIN_TOKEN)", host
        )
    return False


def _host(text: str) -> str:
    """Of `host:port`, `[host]:port` or either without a port."""
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.rpartition(":")[0] if text.count(":") == 1 else text


def _by_name(headers: Headers) -> dict[str, list[bytes]]:
    found: dict[str, list[bytes]] = {}
    for name, value in headers:
        found.setdefault(name.decode("latin-1"), []).append(value)
    return found
