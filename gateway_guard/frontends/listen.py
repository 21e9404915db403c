"""Where the sidecar listens: sockets bound before anything starts, so that workers share them."""

from __future__ import annotations

import socket
import stat
from pathlib import Path

from gateway_guard.errors import SettingsError

#: Connections the kernel holds before they are accepted.
BACKLOG = 2048


def bind(address: str, *, flag: str) -> socket.socket:
    """A listening socket for `host:port`, `[host]:port` or `unix:/path`.

    Raises:
        SettingsError: it is none of these, or cannot be bound; `flag` is named in the message.
    """
    host, port = parse(address, flag=flag)
    return bind_unix(host) if port is None else bind_tcp(host, port, flag=flag)


def parse(address: str, *, flag: str) -> tuple[str, int | None]:
    """Host and port of `address`, or the path of a unix socket and None.

    Raises:
        SettingsError: it is neither; `flag` is named in the message.
    """
    if address.startswith("unix:"):
        return address.removeprefix("unix:"), None
    host, colon, port = address.rpartition(":")
    valid = port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= 65535
    if not colon or not host or not valid:
        raise SettingsError(f"{flag} {address!r}: write host:port, [host]:port or unix:/path")
    return bare(host), int(port)


def bare(host: str) -> str:
    """An address without the brackets that URLs put around IPv6; anything else as it is."""
    return host[1:-1] if host.startswith("[") and host.endswith("]") else host


def shown(listener: socket.socket) -> str:
    """Where it listens, as `parse` reads it."""
    if listener.family == socket.AF_UNIX:
        return f"unix:{listener.getsockname()}"
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def bind_tcp(host: str, port: int, *, flag: str) -> socket.socket:
    """A listening socket; port 0 takes a free one.

    Raises:
        SettingsError: it cannot be bound; `flag` is named in the message.
    """
    if not 0 <= port <= 65535:
        raise SettingsError(f"cannot listen on port {port}: it must be 0 to 65535; see {flag}")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, proto, _, address = found[0]
        listener = socket.socket(family, kind, proto)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            listener.bind(address)
            listener.listen(BACKLOG)
        except BaseException:
            listener.close()
            raise
    except (OSError, OverflowError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise SettingsError(f"cannot listen on {host[:100]}:{port}: {why}; see {flag}") from None
    listener.setblocking(False)
    return listener


def bind_unix(path: str, *, mode: int = 0o660) -> socket.socket:
    """A listening unix socket; one left behind by a dead process is replaced.

    Raises:
        SettingsError: it cannot be bound, somebody listens there, or the path is something else.
    """
    where = Path(path)
    try:
        if dead_socket(path):
            where.unlink()
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listener.bind(path)
            where.chmod(mode)
            listener.listen(BACKLOG)
        except BaseException:
            listener.close()
            raise
    except OSError as error:
        why = error.strerror or error
        raise SettingsError(f"cannot listen on {path}: {why}; see --uds") from None
    listener.setblocking(False)
    return listener


def dead_socket(path: str) -> bool:
    """Whether a dead process has left its socket at `path`, where there is nothing otherwise.

    Raises:
        SettingsError: somebody listens there, or it is something else.
        OSError: nobody can say.
    """
    where = Path(path)
    if not where.exists():
        return False
    if not stat.S_ISSOCK(where.stat().st_mode):
        raise SettingsError(f"cannot listen on {path}: it exists and is no socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        if probe.connect_ex(path) == 0:
            raise SettingsError(f"cannot listen on {path}: another process does")
    return True
