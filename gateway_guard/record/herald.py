"""Sends notices to a URL, in order, on a thread of its own; nothing waits for it."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import httpx

from gateway_guard.core.callbacks import SHORTEST_KEY, key_of, sign
from gateway_guard.errors import SettingsError
from gateway_guard.record.beside import Beside
from gateway_guard.record.notices import Notice
from gateway_guard.settings import Settings
from gateway_guard.unanswered import unanswered

if TYPE_CHECKING:
    from gateway_guard.record.metrics import Metrics

log = logging.getLogger(__name__)

#: Notices that may wait; the oldest make room. A guard finds a few campaigns a day.
MOST: Final = 1_000
#: Seconds until the same notice is tried again: the first, doubling up to the last.
SOONEST: Final = 5.0
LATEST: Final = 600.0
#: Seconds an answer may take, and at the end of the process.
PATIENCE: Final = 10.0
AT_THE_END: Final = 2.0
#: Answers of a receiver that will take it later; any other 4xx says that it never will.
_LATER: Final = frozenset((401, 403, 404, 408, 409, 425, 429))


class Herald:
    """Tells one receiver.

    A notice is sent until it is answered with 2xx; those behind it wait. One that the receiver will
    never take (400, 410, 413, 422 …) is given up.

    Attributes:
        sent: notices the receiver took.
        failed: attempts that it did not.
        lost: notices given up, or never tried because too many waited.
        trouble: why the last attempt failed; None when it did not.
    """

    def __init__(
        self,
        url: str,
        key: bytes | None = None,
        *,
        clock: Callable[[], float] = time.time,
        threaded: bool = True,
    ) -> None:
        """`key` signs what is sent; None sends it unsigned. `clock` gives Unix seconds. Where it is
        not `threaded` the caller calls `attempt`.
        """
        self.sent = self.failed = self.lost = 0
        self.trouble: str | None = None
        self._url = url
        self._key = key
        self._clock = clock
        self._waiting: deque[Notice] = deque()
        self._lock = threading.Lock()
        self._pause = SOONEST
        self._beside = Beside(self, Herald.attempt, name="herald", interval=60.0, keeps=True)
        self._idle = threaded

    @classmethod
    def configured(cls, settings: Settings) -> Herald | None:
        """The one the settings name; None for none.

        Raises:
            SettingsError: the URL or the key cannot be used.
        """
        if settings.webhook_url is None:
            return None
        _check(settings.webhook_url)
        path = settings.webhook_key_file
        return cls(settings.webhook_url, _key(path) if path else None)

    @property
    def waiting(self) -> int:
        """Notices the receiver has not taken yet."""
        return len(self._waiting)

    def tell(self, notice: Notice) -> None:
        """Send `notice` when its turn comes. Never waits, never raises."""
        with self._lock:
            if len(self._waiting) >= MOST:
                self._waiting.popleft()
                self.lost += 1
            self._waiting.append(notice)
        if self._idle:
            self._idle = False
            self._beside.start()
            self._beside.at_exit()
        if self.trouble is None:
            self._beside.wake()

    def attempt(self, patience: float = PATIENCE) -> float | None:
        """Try the notice whose turn it is; seconds until the next try, None where nothing waits."""
        with self._lock:
            notice = self._waiting[0] if self._waiting else None
        if notice is None:
            return None
        why, never = self._post(notice, patience)
        if why is None:
            self.sent += 1
            if self.trouble is not None:
                log.info("the webhook takes notices again")
            self.trouble, self._pause = None, SOONEST
        else:
            self.failed += 1
            if self.trouble is None or never:
                log.warning(
                    "the webhook did not take %s: %s; %s", notice.id, why,
                    "given up" if never else "tried again until it does",
                )  # fmt: skip
            self.trouble = why
            self.lost += never
        if why is None or never:
            with self._lock:
                if self._waiting and self._waiting[0] is notice:
                    self._waiting.popleft()
            return 0.0 if self._waiting else None
        pause, self._pause = self._pause, min(2.0 * self._pause, LATEST)
        return pause

    def publish(self, metrics: Metrics) -> None:
        """Show how it goes among `metrics`."""
        metrics.counter("webhook_sent", "Notices the webhook took.", lambda: self.sent)
        metrics.counter("webhook_failed", "Attempts the webhook refused.", lambda: self.failed)
        metrics.counter("webhook_lost", "Notices the webhook never took.", lambda: self.lost)
        metrics.gauge("webhook_waiting", "Notices yet to be sent.", lambda: self.waiting)

    def close(self) -> None:
        """Try what waits once more, for a moment, and end. Blocks; a second call does nothing."""
        if self._beside.ended:
            return
        if self._beside.end(timeout=AT_THE_END):
            until = time.monotonic() + AT_THE_END
            while self._waiting and time.monotonic() < until:
                if self.attempt(until - time.monotonic()):
                    break
        if self._waiting:
            log.warning("%d notices were never taken by the webhook", len(self._waiting))

    def _post(self, notice: Notice, patience: float) -> tuple[str | None, bool]:
        """Why the receiver did not take `notice`, None when it did; whether it never will."""
        now = int(self._clock())
        headers = {
            "content-type": "application/json",
            "user-agent": "gateway-guard",
            "webhook-id": notice.id,
            "webhook-timestamp": str(now),
        }
        if self._key is not None:
            headers["webhook-signature"] = sign(self._key, notice.id, now, notice.body)
        try:
            # A connection for each: there are a few a day, and none is worth keeping.
            answer = httpx.post(
                self._url, content=notice.body, headers=headers, timeout=max(patience, 0.1)
            )
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            return unanswered(error), False
        status = answer.status_code
        if 200 <= status < 300:
            return None, False
        return f"it answered {status}", 400 <= status < 500 and status not in _LATER


def _check(url: str) -> None:
    """Never quoted: the URL of a chat's webhook is all it takes to write there."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or not url.isascii() or not url.isprintable() or " " in url:
        raise SettingsError("GATEWAY_GUARD_WEBHOOK_URL is no URL; write https://host/path")


def _key(path: str) -> bytes:
    name = "GATEWAY_GUARD_WEBHOOK_KEY_FILE"
    try:
        key = key_of(Path(path).read_bytes())
    except OSError as error:
        raise SettingsError(f"{name}: cannot read {path}: {error.strerror}") from error
    if key is None:
        raise SettingsError(
            f"{name}: {path} holds no key: whsec_ and base64, or at least {SHORTEST_KEY} bytes; "
            "openssl rand -hex 32 makes one"
        )
    return key


__all__ = ["LATEST", "MOST", "SOONEST", "Herald"]
