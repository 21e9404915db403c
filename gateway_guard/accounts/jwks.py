"""Keys that verify JSON Web Tokens, fetched over HTTP and kept in memory."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import httpx
import jwt

from gateway_guard.core.body import parse
from gateway_guard.core.credentials import CONFLICT, read_credential
from gateway_guard.core.identify import Identify, lines
from gateway_guard.core.tokens import ALGORITHMS, header_of
from gateway_guard.types import Wire

log = logging.getLogger(__name__)

#: Largest key set read, bytes, and most keys kept of it. Real ones have 2 to 10 keys in 10 KB.
LARGEST: Final = 256 * 1024
MOST_KEYS: Final = 64
#: Fewest seconds between two fetches of one URL, whatever the tokens say: a stranger who sends
#: random key ids must not make the guard hammer its identity provider.
INTERVAL: Final = 30.0
#: Seconds one fetch may take, all in all, while a request waits for it.
TIMEOUT: Final = 3.0
#: Seconds after which keys are fetched again although every key id is known, so that a withdrawn
#: key stops working.
OLDEST: Final = 3600.0


class JwtKeys:
    """The keys of every JWKS URL the policy names.

    `keys` is what `identify` verifies with: URL → key id → key. A fetch that fails keeps the last
    good set. `transport` is for tests and special networks; `now` gives seconds that only rise.
    """

    def __init__(
        self,
        transport: httpx.AsyncBaseTransport | None = None,
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.keys: dict[str, Mapping[str, object]] = {}
        #: URL → why its last fetch failed; empty when all is well.
        self.errors: dict[str, str] = {}
        self._transport = transport
        self._now = now
        self._tried: dict[str, float] = {}
        self._fetched: dict[str, float] = {}
        self._running: dict[str, asyncio.Task[None]] = {}

    def needs(self, wire: Wire, identify: Identify) -> bool:
        """Whether a token in the request can only be judged after `refresh`."""
        return any(self._due(url) for url in self._wanted(wire, identify))

    async def refresh(self, wire: Wire, identify: Identify) -> None:
        """Fetch the key sets the request needs, each at most once per `INTERVAL`. Never raises.

        Requests that need the same set wait for one fetch.
        """
        for url in self._wanted(wire, identify):
            if self._due(url):
                await self._fetch_once(url)

    def _wanted(self, wire: Wire, identify: Identify) -> list[str]:
        wanted: list[str] = []
        for source in identify.accounts:
            url = source.jwks
            if url is None or source.kind != "jwt" or not source.verify:
                continue
            header = source.header.encode()
            values = lines(wire.headers, header)
            credential = read_credential(header, values) if values else None
            if credential is None or credential is CONFLICT:
                continue
            token = header_of(credential.token)
            if token is None or token.get("alg") not in source.algorithms:
                continue
            if url not in wanted and self._lacks(url, token.get("kid")):
                wanted.append(url)
        return wanted

    def _lacks(self, url: str, kid: object) -> bool:
        known = self.keys.get(url)
        if not known or self._now() - self._fetched[url] > OLDEST:
            return True
        return isinstance(kid, str) and kid not in known

    def _due(self, url: str) -> bool:
        if url in self._running:
            return True
        tried = self._tried.get(url)
        return tried is None or self._now() - tried >= INTERVAL

    async def _fetch_once(self, url: str) -> None:
        running = self._running.get(url)
        if running is None:
            self._tried[url] = self._now()
            running = self._running[url] = asyncio.create_task(self._fetch(url))
            running.add_done_callback(lambda _: self._running.pop(url, None))
        # A client that goes away must not cancel the fetch the others wait for.
        await asyncio.shield(running)

    async def _fetch(self, url: str) -> None:
        try:
            async with asyncio.timeout(TIMEOUT):
                content = await self._download(url)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, OSError, ValueError) as error:
            self._failed(url, type(error).__name__)
            return
        keys = read_key_set(content)
        if not keys:
            self._failed(url, "no usable key in the answer")
            return
        self.keys[url] = keys
        self._fetched[url] = self._now()
        self.errors.pop(url, None)

    async def _download(self, url: str) -> bytes:
        async with (
            httpx.AsyncClient(transport=self._transport, timeout=TIMEOUT) as client,
            client.stream("GET", url, headers={"accept": "application/json"}) as response,
        ):
            if response.status_code != 200:
                raise ValueError("status")
            content = b""
            async for chunk in response.aiter_bytes(65_536):
                content += chunk
                if len(content) > LARGEST:
                    raise ValueError("size")
            return content

    def _failed(self, url: str, why: str) -> None:
        self.errors[url] = why
        log.error("key set not fetched from %s: %s", url, why)


def read_key_set(content: bytes) -> dict[str, object]:
    """Key id → key of a JSON Web Key Set (RFC 7517); empty when there is none to use.

    Only public keys meant for signatures (`use` absent or `sig`) of an accepted algorithm. A key
    without an id gets one that no token can name and is tried for tokens without `kid`.
    """
    document = parse(content)
    entries: Any = document.get("keys") if isinstance(document, dict) else None
    keys: dict[str, object] = {}
    for number, entry in enumerate(entries[:MOST_KEYS] if isinstance(entries, list) else ()):
        if not isinstance(entry, dict) or entry.get("use", "sig") != "sig":
            continue
        if entry.get("kty") == "oct" or entry.get("alg", "RS256") not in tuple(ALGORITHMS):
            continue
        try:
            key = jwt.PyJWK(entry)
        except (jwt.PyJWTError, ValueError, TypeError, KeyError):
            continue
        kid = entry.get("kid")
        keys[kid if isinstance(kid, str) else f"\0{number}"] = key
    return keys
