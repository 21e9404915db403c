"""Who signs in at an OpenID provider: the authorization code flow with PKCE (RFC 7636).

Keys and claims of the ID token are checked as those of access tokens are (`accounts.jwks`,
`core.tokens`). Source: OpenID Connect Core 1.0 §3.1, Discovery 1.0 §4.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

import httpx
import msgspec

from gateway_guard.accounts import answers
from gateway_guard.accounts.jwks import JwtKeys
from gateway_guard.core.sections import AccountSource, Identify, OpenId
from gateway_guard.core.tokens import LEEWAY, claims_of, name_of
from gateway_guard.errors import UNDECODABLE, SourceError
from gateway_guard.types import CredentialFault, Wire
from gateway_guard.types.veiled import Veiled
from gateway_guard.unanswered import unanswered

log = logging.getLogger(__name__)

#: Seconds one answer of the provider may take, and its configuration is believed.
_TIMEOUT: Final = 10.0
_FRESH: Final = 3600.0
#: Seconds for which nobody is asked for a configuration that could not be had: who clicks on must
#: not make the guard hammer the provider.
REST: Final = 30.0
_LARGEST: Final = 256 * 1024
_ALGORITHMS: Final = ("RS256", "PS256", "ES256", "EdDSA")
_LOOPBACK: Final = frozenset(("127.0.0.1", "::1", "localhost"))


class _Configuration(msgspec.Struct, frozen=True):
    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str


class _Tokens(Veiled, msgspec.Struct, frozen=True):
    veiled = frozenset(("id_token",))

    id_token: str


class SignIn:
    """Asks providers. For one event loop.

    Args:
        transport: for tests and special networks.
        now: seconds that only rise.
    """

    def __init__(
        self,
        transport: httpx.AsyncBaseTransport | None = None,
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._transport = transport
        self._keys = JwtKeys(transport)
        #: The last issuer asked, its configuration and until when that is believed.
        self._known: tuple[str, _Configuration, float] | None = None
        #: The last issuer that did not say, why, and until when it is left alone.
        self._silent: tuple[str, str, float] | None = None
        self._asking = asyncio.Lock()
        self._now = now

    async def address(
        self, openid: OpenId, *, state: str, back: str, nonce: str, verifier: str
    ) -> str:
        """Where a visitor signs in; `back` is where they are sent afterwards.

        Raises:
            SourceError: the provider does not say.
        """
        configuration = await self._configuration(openid)
        digest = hashlib.sha256(verifier.encode()).digest()
        query = {
            "response_type": "code", "client_id": openid.client_id, "redirect_uri": back,
            "scope": "openid", "state": state, "nonce": nonce,
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }  # fmt: skip
        url = configuration.authorization_endpoint
        return f"{url}{'&' if urlsplit(url).query else '?'}{urlencode(query)}"

    async def subject(
        self, openid: OpenId, *, code: str, back: str, nonce: str, verifier: str, at: float
    ) -> str | None:
        """Who signed in, as the provider names them; None when its token says nothing we believe.

        Arguments as `address` had them, but for the `code` that came back; `at` is Unix seconds.

        Raises:
            SourceError: the provider does not answer, or refuses the code.
        """
        configuration = await self._configuration(openid)
        form = {
            "grant_type": "authorization_code", "code": code, "redirect_uri": back,
            "code_verifier": verifier,
        }  # fmt: skip
        headers = {}
        if openid.secret is None:
            form["client_id"] = openid.client_id
        else:
            pair = f"{quote(openid.client_id, safe='')}:{quote(openid.secret, safe='')}"
            headers["authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        answer = await self._ask("POST", configuration.token_endpoint, form, headers)
        try:
            token = msgspec.json.decode(answer, type=_Tokens).id_token.encode("ascii")
        except (*UNDECODABLE, ValueError):
            raise SourceError(f"{configuration.token_endpoint}: no ID token") from None
        source = AccountSource(
            kind="jwt", header="authorization", jwks=configuration.jwks_uri,
            issuer=openid.issuer, audience=openid.client_id, algorithms=_ALGORITHMS,
        )  # fmt: skip
        wire = Wire(
            method="GET", raw_path=b"/", headers=[(b"authorization", b"Bearer " + token)], peer=None
        )
        await self._keys.refresh(wire, Identify(accounts=(source,)))
        claims = claims_of(token, source, self._keys.keys, at)
        found = claims if isinstance(claims, CredentialFault) else _subject(claims, nonce, at)
        if isinstance(found, CredentialFault):
            log.error("an ID token of %s is not taken: %s", openid.issuer, found.meaning)
        elif found is None:
            log.error(
                "an ID token of %s is not taken: it is not for this sign-in, or does not say from "
                "when (iat) until when (exp) it is valid", openid.issuer,
            )  # fmt: skip
        else:
            return f"{openid.issuer}\0{found}"
        return None

    async def _configuration(self, openid: OpenId) -> _Configuration:
        # Who comes while it is asked waits for the same answer.
        async with self._asking:
            known, silent, now = self._known, self._silent, self._now()
            if known is not None and known[0] == openid.issuer and now < known[2]:
                return known[1]
            if silent is not None and silent[0] == openid.issuer and now < silent[2]:
                raise SourceError(silent[1])
            try:
                found = await self._asked(openid)
            except SourceError as error:
                self._silent = openid.issuer, str(error), self._now() + REST
                raise
            self._known = openid.issuer, found, now + _FRESH
            return found

    async def _asked(self, openid: OpenId) -> _Configuration:
        url = f"{openid.issuer.rstrip('/')}/.well-known/openid-configuration"
        try:
            found = msgspec.json.decode(await self._ask("GET", url), type=_Configuration)
        except UNDECODABLE:
            raise SourceError(f"{url}: no configuration of OpenID Connect") from None
        if found.issuer != openid.issuer:
            raise SourceError(f"{url}: it is that of another issuer")
        # A provider elsewhere has nothing to ask for on this machine.
        near = urlsplit(openid.issuer).hostname in _LOOPBACK
        for there in (found.authorization_endpoint, found.token_endpoint, found.jwks_uri):
            try:
                parts = urlsplit(there)
                parts.port  # noqa: B018 - read for what it raises
            except ValueError:
                raise SourceError(f"{url}: names an address that is no URL") from None
            local = parts.hostname in _LOOPBACK
            if local and not near:
                raise SourceError(f"{url}: names an address of this machine")
            if parts.scheme != "https" and not (local and parts.scheme == "http"):
                raise SourceError(f"{url}: names an address that is not https")
        return found

    async def _ask(
        self,
        method: str,
        url: str,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> bytes:
        """The body of a 200.

        Raises:
            SourceError: there is none; never quotes what was sent.
        """
        fields: dict[str, Any] = {"headers": {"accept": "application/json", **(headers or {})}}
        try:
            async with (
                asyncio.timeout(_TIMEOUT),
                httpx.AsyncClient(transport=self._transport, timeout=_TIMEOUT) as client,
                client.stream(method, url, data=form, **fields) as response,
            ):
                if response.status_code != 200:
                    raise SourceError(f"status {response.status_code}")
                return await answers.content(response, _LARGEST)
        except SourceError as error:
            raise SourceError(f"{url}: {error}") from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError, TimeoutError, ValueError) as error:
            raise SourceError(f"{url}: {unanswered(error)}") from error


def _subject(claims: Mapping[str, Any], nonce: str, at: float) -> str | CredentialFault | None:
    """Whom an ID token names; a fault, or None, where it lacks what makes it one.

    Unlike an access token it must say when it was made and when it expires. Source: OpenID Connect
    Core 1.0 §2 and §3.1.3.7, 9 to 11.
    """
    made, said = claims.get("iat"), claims.get("nonce")
    if type(claims.get("exp")) not in (int, float) or not isinstance(made, int | float):
        return None
    if made > at + LEEWAY:
        return CredentialFault.NOT_YET_VALID
    if type(said) is not str:
        return None
    if not hmac.compare_digest(said.encode("utf-8", "replace"), nonce.encode()):
        return None
    return name_of(claims.get("sub")) or CredentialFault.CLAIM_MISSING
