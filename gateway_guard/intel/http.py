"""Bounded requests to servers of others: bytes, time, no redirects; failures are `IntelError`s."""

from __future__ import annotations

import contextlib
import ssl
import time
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Final, Self

import httpx

from gateway_guard.errors import IntelError
from gateway_guard.heads import head
from gateway_guard.unanswered import unanswered

#: Seconds to connect, between two pieces of an answer, and for one answer altogether.
CONNECT_SECONDS: Final = 10.0
READ_SECONDS: Final = 30.0
TOTAL_SECONDS: Final = 300.0
#: Longest that somebody is heeded who asks to come back later, seconds.
MOST_AFTER: Final = 86_400.0


class Reply:
    """One answer, read to its end."""

    def __init__(self, status: int, headers: httpx.Headers, body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body


class Web:
    """Asks one server. Use it in a `with`.

    Args:
        base: URL everything asked begins with; http only to loopback and with `insecure`.
        headers: sent with everything; may hold credentials, which no message repeats.
        auth: name and password for HTTP Basic; None for none.
        transport: for tests; None for httpx's own.
        ca: a PEM file of the only authorities trusted; None for the system's.
        insecure: whether http to other hosts is meant.
    """

    def __init__(
        self,
        base: str,
        *,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        transport: httpx.BaseTransport | None = None,
        ca: str | None = None,
        insecure: bool = False,
    ) -> None:
        self.base = checked_url(base, insecure=insecure)
        self._client = httpx.Client(
            headers={"user-agent": "gateway-guard", "accept-encoding": "identity"}
            | dict(headers or {}),
            auth=auth,
            transport=transport,
            follow_redirects=False,
            trust_env=False,
            timeout=httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS),
            verify=True if ca is None else _authorities(ca),
        )

    def ask(
        self,
        method: str,
        url: str,
        *,
        most: int,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
    ) -> Reply:
        """The answer to one request, whatever its status.

        Args:
            most: most bytes of its body.

        Raises:
            IntelError: there is none in time, it is too large, or `url` is another server's.
        """
        try:
            target = httpx.URL(url)
            if target.is_relative_url:
                target = httpx.URL(self.base).join(target)
        except httpx.InvalidURL:
            # Parts of it are a server's own words, e.g. the id of a status.
            raise IntelError(f"{self.host} points to something that is no URL") from None
        if (target.scheme, target.host, target.port) != _origin(self.base):
            raise IntelError(
                f"{self.host} points to another server, {target.host}: credentials stay here. "
                "Name that server itself if you mean it"
            )
        deadline = time.monotonic() + TOTAL_SECONDS
        late = f"{self.host} took longer than {TOTAL_SECONDS:.0f} s"
        request = self._client.build_request(
            method, target, params=params, headers=headers, content=content
        )
        try:
            with contextlib.closing(head(self._client, request, TOTAL_SECONDS)) as response:
                body = bytearray()
                for chunk in response.iter_raw():
                    body += chunk
                    if len(body) > most:
                        raise IntelError(f"{self.host} sends more than {most:,} bytes at once")
                    if time.monotonic() > deadline:
                        raise IntelError(late)
                return Reply(response.status_code, response.headers, bytes(body))
        except TimeoutError:
            raise IntelError(late) from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise IntelError(f"{self.host} {unanswered(error)}") from None

    @property
    def host(self) -> str:
        """The server, for messages: no path, no credentials."""
        url = httpx.URL(self.base)
        return f"{url.scheme}://{url.netloc.decode('ascii', 'replace').rpartition('@')[2]}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.close()


def checked_url(text: str, *, insecure: bool) -> str:
    """`text` as the URL of a server, ending in a slash.

    Raises:
        IntelError: it is none, holds a password, or would send credentials unprotected.
    """
    try:
        url = httpx.URL(text)
    except (httpx.InvalidURL, TypeError, UnicodeError):
        url = httpx.URL("")
    if url.scheme not in ("http", "https") or not url.host:
        raise IntelError("the URL must begin with https:// (http:// for loopback)")
    if url.userinfo:
        raise IntelError("the URL holds credentials: put them into a file and name that")
    loopback = url.host in ("localhost", "127.0.0.1", "::1")
    if url.scheme == "http" and not loopback and not insecure:
        raise IntelError(
            f"http://{url.host} would carry credentials in the clear: use https://, or say "
            "--insecure where the network itself is protected"
        )
    return text if text.endswith("/") else f"{text}/"


def retry_hint(reply: Reply) -> str:
    """What a 429 or 503 says of when to come back; empty when nothing."""
    wait = reply.headers.get("retry-after", "")[:40]
    return f"; it asks to come back after {wait}" if wait and wait.isprintable() else ""


def retry_after(reply: Reply, *, now: float) -> float | None:
    """The same in seconds from `now` (Unix seconds), in [0, `MOST_AFTER`]; None when nothing that
    can be read is said.

    Source: RFC 9110 §10.2.3, seconds or a date.
    """
    said = reply.headers.get("retry-after", "").strip()[:40]
    if said.isascii() and said.isdigit():
        return min(float(said), MOST_AFTER)
    try:
        moment = parsedate_to_datetime(said)
    except (TypeError, ValueError, OverflowError):
        return None
    # A zone of `-0000` is left out, and is UTC.
    return min(max(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() - now, 0.0), MOST_AFTER)


def _origin(url: str) -> tuple[str, str, int | None]:
    parts = httpx.URL(url)
    return parts.scheme, parts.host, parts.port


def _authorities(ca: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca)
    except (OSError, ssl.SSLError) as error:
        raise IntelError(f"--ca {ca}: cannot be read as PEM certificates: {error}") from None
