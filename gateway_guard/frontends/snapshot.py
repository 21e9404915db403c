"""The diagnostic snapshot: what an operator wants to know of a process that behaves oddly.

    GET /debug/snapshot   on the admin port, for whoever may look there
    SIGUSR1               the same, to standard error or a file (`OnSignal`)

Made on a thread of its own, so that it comes even when the event loop stands still, and then says
where. Nothing of a client is in it: no address, account, path, header or text; and no key,
password or token of the operator's: URLs are shown without user, password and query.
"""

from __future__ import annotations

import asyncio
import logging
import os
import platform
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway_guard import __version__
from gateway_guard.core.minted import MOST_MINTED
from gateway_guard.files import write_whole
from gateway_guard.guard import Guard
from gateway_guard.record import running
from gateway_guard.settings import Settings
from gateway_guard.stores.connect import parse_address

log = logging.getLogger(__name__)

PATH: Final = "/debug/snapshot"
#: Seconds the event loop gets to show that it turns.
PATIENCE: Final = 1.0

#: What stands between `://` and `@`, and what stands behind `?`, of anything like a URL.
_USER: Final = re.compile(r"(?<=://)[^/\s@?#]*@")
_QUERY: Final = re.compile(r"(://[^\s?#'\"]*)[?#][^\s'\"]*")

#: Table → (entries, most there may be).
Sizes = Mapping[str, tuple[int, int]]


class Snapshot:
    """One process, as it is whenever somebody asks.

    Args:
        settings: what the environment said; of what is secret there only whether it is set.
        parts: section → what it says. Called on any thread; one that raises is shown by the name
            of its error, and the others all the same.
        sizes: every bounded table.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        parts: Mapping[str, Callable[[], Any]],
        sizes: Callable[[], Sizes],
    ) -> None:
        self._settings = settings
        self._parts = parts
        self._sizes = sizes
        self._started = time.monotonic()

    def take(self, loop: asyncio.AbstractEventLoop) -> dict[str, Any]:
        """The snapshot, of a process whose event loop is `loop`. Not to be called in it."""
        made: dict[str, Any] = {
            "taken": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "version": __version__,
            "python": platform.python_version(),
            "system": platform.platform(terse=True),
        }
        parts: dict[str, Callable[[], Any]] = {
            "process": lambda: running.process(self._started),
            "event_loop": lambda: _turning(loop),
            "settings": lambda: settings_shown(self._settings),
            **self._parts,
            "tables": lambda: _tables(self._sizes()),
            "tasks": lambda: running.tasks(loop),
            "threads": running.threads,
        }
        for name, part in parts.items():
            try:
                made[name] = cleaned(msgspec.to_builtins(part(), enc_hook=str))
            except Exception as error:  # noqa: BLE001 - what works is shown
                made[name] = {"unavailable": type(error).__name__}
        return made

    def route(self) -> Route:
        """For the admin port."""

        async def snapshot(request: Request) -> Response:  # noqa: ARG001
            taken = await asyncio.to_thread(self.take, asyncio.get_running_loop())
            return Response(encoded(taken), media_type="application/json")

        return Route(PATH, snapshot)


class OnSignal:
    """Takes a snapshot for each SIGUSR1, until closed.

    Handlers run between two steps of the main thread and may interrupt anything, so that this one
    only wakes a thread. Signals that come while a snapshot is being taken lead to one more.

    Args:
        snapshot: what is taken.
        loop: of the process.
        folder: where it is put, as `snapshot-PID.json`, the last one in place of the one before;
            None for standard error, as one line.
    """

    def __init__(
        self, snapshot: Snapshot, loop: asyncio.AbstractEventLoop, folder: str | None
    ) -> None:
        self._snapshot = snapshot
        self._loop = loop
        self._folder = folder
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)
        signal.signal(signal.SIGUSR1, self._wake)
        self._thread = threading.Thread(target=self._run, name="snapshot", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Heed the signal no more; one that still comes does nothing."""
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        os.close(self._write)
        self._thread.join(5.0)

    def _wake(self, number: int, frame: object) -> None:  # noqa: ARG002
        try:
            os.write(self._write, b"1")
        except OSError:  # so many wait already
            return

    def _run(self) -> None:
        while os.read(self._read, 4096):
            try:
                self._put(encoded(self._snapshot.take(self._loop)))
            except Exception as error:  # noqa: BLE001 - the next one may succeed
                log.error("snapshot-failed reason=%s", type(error).__name__)
        os.close(self._read)

    def _put(self, data: bytes) -> None:
        if self._folder is None:
            sys.stderr.buffer.write(data + b"\n")
            sys.stderr.buffer.flush()
            return
        path = Path(self._folder) / f"snapshot-{os.getpid()}.json"
        try:
            write_whole(path, data + b"\n")
        except OSError as error:
            log.error("snapshot-failed file=%s reason=%s", path, error.strerror)
        else:
            log.info("snapshot-taken file=%s", path)


def sizes_of(guard: Guard, *others: object) -> dict[str, tuple[int, int]]:
    """Every bounded table of `guard` and of whoever else has a `sizes`, as `Sizes`."""
    standing, profiles = guard.standing, guard.profiles
    found = {
        "profiles": (len(profiles), profiles.capacity),
        "accounts_decided": (len(standing.places), standing.bound[0]),
        "client_secrets": (len(guard.minted.accounts), MOST_MINTED),
    }
    # What an application brings along may not say.
    for owner in (guard.store, guard.network, guard.accounts, guard.linking, *others):
        found |= getattr(owner, "sizes", {})
    return found


def given_up_of(guard: Guard) -> dict[str, int]:
    """Table of `guard` → entries that went before their time, since the start: to make room, or
    because nobody settled them. Tables that never do so are not among them.
    """
    found = {"profiles": guard.profiles.evicted}
    for owner in (guard.store, guard.linking):
        found |= getattr(owner, "given_up", {})
    return found


def settings_shown(settings: Settings) -> dict[str, Any]:
    """What the environment said: numbers, choices and paths; of secrets whether they are set."""
    store = settings.store
    return {
        "secret": "set" if settings.secret_lasts else "made up for this process",
        "admin_token": settings.admin_token is not None,
        "admin_read_token": settings.admin_read_token is not None,
        "accounts_token": settings.accounts_token is not None,
        "intel_group_key": settings.intel_group_key is not None,
        "store": str(parse_address(store)) if store else "memory",
        "accounts_url": settings.accounts_url,
        **{
            name: getattr(settings, name)
            for name in (
                "store_namespace", "store_budget", "store_unsettled", "total_workers", "linker",
                "network_files", "accounts_file", "accounts_fresh", "accounts_budget",
                "campaigns_file", "intel_file", "max_accounts", "max_keys", "max_indicators",
                "decision_log", "log_queue", "log_addresses", "audit_file",
            )
        },
    }  # fmt: skip


def cleaned(value: Any) -> Any:
    """`value` with no user, password or query left in any URL of it."""
    if isinstance(value, str):
        # File names need not be Unicode.
        value = value.encode("utf-8", "backslashreplace").decode()
        return _QUERY.sub(r"\1?…", _USER.sub("…@", value)) if "://" in value else value
    if isinstance(value, Mapping):
        return {cleaned(key): cleaned(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [cleaned(entry) for entry in value]
    return value


def encoded(taken: Mapping[str, Any]) -> bytes:
    """One line of JSON."""
    return msgspec.json.encode(taken)


def _turning(loop: asyncio.AbstractEventLoop) -> dict[str, Any]:
    seconds = running.lag(loop, PATIENCE)
    return {
        "answers": seconds is not None,
        "lag_seconds": None if seconds is None else round(seconds, 6),
    }


def _tables(sizes: Sizes) -> list[dict[str, Any]]:
    return [
        {"table": name, "entries": entries, "most": most}
        for name, (entries, most) in sorted(sizes.items())
    ]
