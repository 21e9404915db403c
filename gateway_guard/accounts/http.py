"""Account attributes asked for over HTTP, kept in memory, and never waited for beyond a budget."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import httpx
import msgspec
from cachetools import TTLCache

from gateway_guard.accounts import answers
from gateway_guard.accounts.attributes import FIELDS, read
from gateway_guard.accounts.state import merged
from gateway_guard.core.body import parse
from gateway_guard.core.breaker import Breaker, State
from gateway_guard.errors import SourceError
from gateway_guard.types import AccountFacts
from gateway_guard.unanswered import unanswered

if TYPE_CHECKING:
    from gateway_guard.record.metrics import Metrics

log = logging.getLogger(__name__)

#: Where the account stands in the URL.
PLACE: Final = "{account}"
#: Largest answer read, bytes.
LARGEST: Final = 64 * 1024
#: Most accounts asked about at a time. More are unknown for the moment: whoever invents a new key
#: for each request must not make the guard a burden to its directory.
MOST_RUNNING: Final = 64
#: Half as many after each question that fails, one more after each that is answered within so many
#: seconds. After an outage next to everybody is to be asked about at once: a directory that answers
#: 30 a second answered 9, because all 64 waited longer than `TIMEOUT`, for as long as they were
#: asked for.
QUICKLY: Final = 0.25
#: Seconds one question may take, while the requests that wait for it have long gone on.
TIMEOUT: Final = 1.0
#: Seconds an answer is kept for the case that the directory does not answer any more.
STALE: Final = 3600.0
#: Seconds for which a stranger stays one: somebody who has just signed up must not wait long.
STRANGER: Final = 15.0

_UNKNOWN: Final = AccountFacts()
#: What `counts` counts.
RESULTS: Final = ("known", "stranger", "failed", "late", "not_asked")


class _Answer(msgspec.Struct, frozen=True, gc=False):
    """What was said of an account, and when (seconds of the directory's clock)."""

    facts: AccountFacts
    at: float


class HttpDirectory:
    """Asks `GET url` with the account (`acct_…`) in place of `{account}`.

    200 and a JSON object with the fields of `AccountFacts` say what is known; 404 and 410 that the
    account is a stranger. Everything else is a failure: the last answer serves on for `STALE`, and
    after several failures the directory is left alone for a while (`core.breaker`).

    A request waits only where nothing fresh is held, and at most `budget`; requests for one account
    share one question, which goes on when they do not wait any longer.

    Args:
        url: with `{account}` in it once; redirects are not followed.
        token: sent as a bearer token; None for none. Never logged.
        fresh: seconds for which an answer is not asked for again, > 0.
        budget: seconds a request waits, > 0.
        size: most accounts kept, and as many strangers again.
        now: seconds that only rise.

    Attributes:
        counts: how questions ended, by `RESULTS`; `late` are waits given up, `not_asked` those for
            which there was no room or the breaker was open.

    Raises:
        SourceError: the URL cannot be used; says what to write.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        fresh: float = 60.0,
        budget: float = 0.05,
        size: int = 100_000,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = checked(url)
        self._headers = {"accept": "application/json"}
        if token is not None:
            self._headers["authorization"] = f"Bearer {token}"
        self._fresh = fresh
        self._budget = budget
        self._now = now
        self._known: TTLCache[str, _Answer] = TTLCache(size, STALE, timer=now)
        # Apart, so that a flood of invented keys displaces nobody who is known.
        self._strangers: TTLCache[str, float] = TTLCache(size, min(STRANGER, fresh), timer=now)
        #: Answers from before count as old.
        self._since = now()
        self._running: dict[str, asyncio.Task[None]] = {}
        #: Most that may run, in [1, `MOST_RUNNING`].
        self._room = MOST_RUNNING
        self.breaker = Breaker()
        self.counts = dict.fromkeys(RESULTS, 0)
        self._why = ""
        limits = httpx.Limits(max_connections=MOST_RUNNING, max_keepalive_connections=8)
        # Made here and not while requests run: reading certificate authorities takes 30 ms.
        self._transport = httpx.AsyncHTTPTransport(limits=limits)
        self._client: httpx.AsyncClient | None = None

    def __len__(self) -> int:
        return len(self._known)

    @property
    def sizes(self) -> dict[str, tuple[int, int]]:
        """Table → (entries, most there may be)."""
        return {
            "accounts_kept": (len(self), round(self._known.maxsize)),
            "strangers_kept": (len(self._strangers), round(self._strangers.maxsize)),
            "account_questions": (len(self._running), MOST_RUNNING),
        }

    def lookup(self, account: str, state: Mapping[str, Any] | None) -> AccountFacts:
        """What was last said of the account with the application's on top; else all unknown."""
        answer = self._known.get(account)
        facts = _UNKNOWN if answer is None else answer.facts
        return merged(facts, state) if state else facts

    def due(self, account: str) -> bool:
        """Whether `ask` has something to do: no fresh answer about the account is held."""
        now, since = self._now(), self._since
        answer = self._known.get(account)
        if answer is not None and answer.at >= since and now - answer.at < self._fresh:
            return False
        at = self._strangers.get(account)
        return at is None or at < since

    async def ask(self, account: str) -> bool:
        """Ask about the account, within the budget; whether there is a fresh answer now."""
        task = self._running.get(account)
        if task is None:
            full = len(self._running) >= self._room
            ticket = None if full else self.breaker.admit(self._now())
            if ticket is None:
                self.counts["not_asked"] += 1
                return False
            task = asyncio.create_task(self._question(account, ticket))
            self._running[account] = task
            task.add_done_callback(lambda _: self._running.pop(account, None))
        # Neither the budget nor a client that goes away cancels what others wait for.
        done, _ = await asyncio.wait({task}, timeout=self._budget)
        if not done:
            self.counts["late"] += 1
            return False
        return not self.due(account)

    @property
    def trouble(self) -> str | None:
        """Why attributes may be old or unknown, in words; None while the directory answers."""
        if self.breaker.state is State.CLOSED:
            return None
        return f"the account directory does not answer ({self._why})"

    def publish(self, metrics: Metrics) -> None:
        """Have what is counted here read whenever somebody asks for `metrics`."""
        metrics.counters(
            "account_questions", "Questions to the account directory, by how they ended.",
            "result", lambda: self.counts,
        )  # fmt: skip
        metrics.gauge(
            "account_directory_up", "Whether the account directory answers; 0: it is left alone.",
            lambda: float(self.breaker.state is State.CLOSED),
        )  # fmt: skip
        metrics.gauge("accounts_kept", "Accounts whose attributes are held.", lambda: len(self))

    def reload(self) -> bool:
        """Ask anew about everybody; until an answer comes, the last one serves. Always True."""
        self._since = self._now()
        return True

    async def close(self) -> None:
        """Give up the questions under way and close the connections."""
        running = list(self._running.values())
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)
        if self._client is not None:
            await self._client.aclose()

    async def _question(self, account: str, ticket: int) -> None:
        began = self._now()
        try:
            async with asyncio.timeout(TIMEOUT):
                status, content = await self._get(self._url.replace(PLACE, account))
            facts = understood(status, content)
        except asyncio.CancelledError:
            self.breaker.dropped(ticket, self._now())
            raise
        except Exception as error:  # noqa: BLE001 - whatever it was, there is no answer
            self._failed(ticket, error)
            return
        self.breaker.succeeded(ticket)
        now = self._now()
        if now - began <= QUICKLY:
            self._room = min(self._room + 1, MOST_RUNNING)
        if facts is None:
            self.counts["stranger"] += 1
            self._known.pop(account, None)
            self._strangers[account] = now
            return
        self.counts["known"] += 1
        before = self._known.get(account)
        if before is not None and before.facts == facts:
            # The same object: whoever compares attributes is done sooner.
            facts = before.facts
        self._strangers.pop(account, None)
        self._known[account] = _Answer(facts, now)

    async def _get(self, url: str) -> tuple[int, bytes]:
        if self._client is None:
            self._client = httpx.AsyncClient(transport=self._transport, timeout=TIMEOUT)
        async with self._client.stream("GET", url, headers=self._headers) as response:
            return response.status_code, await answers.content(response, LARGEST)

    def _failed(self, ticket: int, error: Exception) -> None:
        self._why = unanswered(error)
        self.counts["failed"] += 1
        self._room = max(self._room // 2, 1)
        closed = self.breaker.state is State.CLOSED
        self.breaker.failed(ticket, self._now())
        if closed and self.breaker.state is not State.CLOSED:
            log.error("account directory left alone for a while: %s", self._why)


def checked(url: str) -> str:
    """`url` when accounts can be asked for there.

    Raises:
        SourceError: it is no http(s) URL, carries a password, or has not one `{account}`.
    """
    try:
        parts = httpx.URL(url.replace(PLACE, "acct_x"))
    except (httpx.InvalidURL, ValueError):
        parts = httpx.URL("")
    if parts.scheme not in ("http", "https") or not parts.host or parts.userinfo:
        raise SourceError(
            "the account directory needs an http(s) URL without a password in it, e.g. "
            "https://accounts.example/guard/{account}"
        )
    if url.count(PLACE) != 1:
        raise SourceError(
            f"the URL of the account directory needs {PLACE} once, where the account stands"
        )
    return url


def understood(status: int, content: bytes) -> AccountFacts | None:
    """What an answer says of an account; None when it is a stranger.

    Members nobody knows are passed over, and so are values that make no sense.

    Raises:
        SourceError: it says nothing; names the status or what is wrong.
    """
    if status in (404, 410):
        return None
    if status != 200:
        raise SourceError(f"status {status}")
    document = parse(content)
    if not isinstance(document, dict):
        raise SourceError("an answer is no JSON object")
    if document and not any(name in document for name in FIELDS):
        raise SourceError(f"an answer has none of {', '.join(FIELDS)}")
    return AccountFacts(**read(document))
