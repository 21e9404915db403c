"""Keys that verify JSON Web Tokens, fetched over HTTP and kept in memory."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable
from typing import Any, Final

import httpx
import jwt

from gateway_guard.accounts import answers
from gateway_guard.core.body import parse
from gateway_guard.core.credentials import Credential, read_credential
from gateway_guard.core.fields import lines
from gateway_guard.core.offered_key import offered_key
from gateway_guard.core.sections import Identify
from gateway_guard.core.tokens import (
    ALGORITHMS,
    RETRY,
    KeySet,
    header_of,
    issued_by,
    unverified,
)
from gateway_guard.errors import SourceError
from gateway_guard.types import Wire
from gateway_guard.unanswered import unanswered

log = logging.getLogger(__name__)

#: Largest key set read, bytes, and most keys kept of it. Real ones have 2 to 10 keys in 10 KB.
LARGEST: Final = 256 * 1024
MOST_KEYS: Final = 64
#: Fewest seconds between two fetches of one URL that worked, whatever the tokens say: a stranger
#: who sends random key ids must not make the guard hammer its identity provider. One that failed
#: is tried again after `RETRY`.
INTERVAL: Final = 30.0
#: Seconds one fetch may take, all in all, while a request waits for it.
TIMEOUT: Final = 3.0
#: Seconds after which keys are fetched again although every key id is known: from `FRESH` on while
#: the old ones serve, from `OLDEST` on before they do, so that a withdrawn key stops working.
FRESH: Final = 2700.0
OLDEST: Final = 3600.0


class JwtKeys:
    """The keys of every JWKS URL the policy names.

    `keys` is what `identify` verifies with: URL → key set. A fetch that fails keeps the last good
    set, however old. `transport` is for tests and special networks; `now` gives seconds that only
    rise.
    """

    def __init__(
        self,
        transport: httpx.AsyncBaseTransport | None = None,
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.keys: dict[str, KeySet] = {}
        #: URL → why its last fetch failed; empty when all is well.
        self.errors: dict[str, str] = {}
        #: Told of every fetch that failed; must not raise.
        self.on_failure: Callable[[], object] | None = None
        self._transport = transport
        self._now = now
        #: URL → when it may be asked again.
        self._again: dict[str, float] = {}
        self._fetched: dict[str, float] = {}
        self._running: dict[str, asyncio.Task[None]] = {}

    def needs(self, wire: Wire, identify: Identify) -> bool:
        """Whether `refresh` has something to do for a token in the request."""
        return any(map(self._due, self._wanted(wire, identify)))

    async def refresh(self, wire: Wire, identify: Identify) -> None:
        """Fetch the key sets the request needs, and wait where that may help it. Never raises.

        Each is fetched at most once per `INTERVAL` (`RETRY` after a failure), and requests that
        need the same set share one fetch. After a failure only the request that asks again waits:
        an issuer that hangs must not hold up everybody.
        """
        for url, needed in self._wanted(wire, identify).items():
            if not self._due(url):
                continue
            failing, running = url in self.errors, self._running.get(url)
            fetch = running or self._start(url)
            if needed and (running is None or not failing):
                # A client that goes away must not cancel the fetch the others wait for.
                await asyncio.shield(fetch)

    def _wanted(self, wire: Wire, identify: Identify) -> dict[str, bool]:
        """URL of each set that should be fetched → whether the request needs that."""
        wanted: dict[str, bool] = {}
        for source in identify.accounts:
            url = source.jwks
            if url is None or source.kind != "jwt" or not source.verify:
                continue
            header = source.header.encode()
            values = lines(wire.headers, header)
            if not values and header == b"authorization" and wire.method == "WEBSOCKET":
                key = offered_key(wire.headers)
                values = [b"Bearer " + key] if isinstance(key, bytes) else []
            credential = read_credential(header, values) if values else None
            if not isinstance(credential, Credential):
                continue
            token = header_of(credential.token)
            if token is None or token.get("alg") not in source.algorithms:
                continue
            known, kid = self.keys.get(url), token.get("kid")
            missing = known is None or (isinstance(kid, str) and kid not in known.keys)
            age = 0.0 if known is None else self._now() - self._fetched[url]
            if not (missing or age > FRESH) or not issued_by(source, unverified(credential.token)):
                continue
            # Once an issuer does not answer, the last good keys serve on.
            serves_on = known is not None and (age <= OLDEST or not known.current)
            wanted[url] = wanted.get(url, False) or missing or not serves_on
        return wanted

    def _due(self, url: str) -> bool:
        return url in self._running or self._now() >= self._again.get(url, -math.inf)

    def _start(self, url: str) -> asyncio.Task[None]:
        running = self._running[url] = asyncio.create_task(self._fetch(url))
        running.add_done_callback(lambda _: self._running.pop(url, None))
        return running

    async def _fetch(self, url: str) -> None:
        try:
            async with asyncio.timeout(TIMEOUT):
                content = await self._download(url)
            keys = read_key_set(content)
        except Exception as error:  # noqa: BLE001 - whatever it was, these keys are not to be had
            self._failed(url, unanswered(error))
            return
        if not keys:
            self._failed(url, "answered without a usable key: is it a JSON Web Key Set?")
            return
        now = self._now()
        self.keys[url] = KeySet(keys)
        self._fetched[url] = now
        self._again[url] = now + INTERVAL
        self.errors.pop(url, None)

    async def _download(self, url: str) -> bytes:
        async with (
            httpx.AsyncClient(transport=self._transport, timeout=TIMEOUT) as client,
            client.stream("GET", url, headers={"accept": "application/json"}) as response,
        ):
            if response.status_code != 200:
                raise SourceError(f"answered {response.status_code}")
            return await answers.content(response, LARGEST)

    def _failed(self, url: str, why: str) -> None:
        self.errors[url] = why
        # Counted from the end of the attempt, which may have taken `TIMEOUT`.
        self._again[url] = self._now() + RETRY
        known = self.keys.get(url)
        if known is not None:
            self.keys[url] = KeySet(known.keys, current=False)
        if self.on_failure is not None:
            self.on_failure()
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
