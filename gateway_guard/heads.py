"""The head of an answer over HTTP, within a time: the libraries bound each read, not their sum."""

from __future__ import annotations

import queue
import threading

import httpx


def head(client: httpx.Client, request: httpx.Request, seconds: float) -> httpx.Response:
    """The answer to `request`, its body still to be read and closed by whoever asked.

    httpx bounds the time between two reads, so a server that sends its head byte by byte, or one
    interim answer after the other, could hold its client for days: the request is sent on a thread,
    and left alone when it is late.

    Raises:
        TimeoutError: there is none within `seconds`.
        httpx.HTTPError, OSError: as httpx; also where the name of a host cannot be one.
    """
    came: queue.SimpleQueue[httpx.Response | BaseException] = queue.SimpleQueue()

    def send() -> None:
        try:
            came.put(client.send(request, stream=True))
        except BaseException as error:  # noqa: BLE001 - raised again by whoever waits
            came.put(error)

    threading.Thread(target=send, daemon=True).start()
    try:
        answer = came.get(timeout=max(0.0, seconds))
    except queue.Empty:
        raise TimeoutError("took too long") from None
    if isinstance(answer, UnicodeError):
        # Of a name with a part of more than 63 characters, e.g. one that a server redirects to.
        raise httpx.ConnectError(str(answer), request=request) from answer
    if isinstance(answer, BaseException):
        raise answer
    return answer
