"""From a storage URI to the store, or to the client of the server behind it.

| URI | what answers |
| --- | --- |
| `memory://` | this process alone; nothing to install |
| `redis://[user:password@]host:port/db` | one server |
| `redis+unix:///path/to/socket?db=0` | one server on this host |
| `redis+sentinel://host:port,host:port/service` | the master that Sentinels name |
| `redis+cluster://host:port,host:port` | a Cluster |

As the library `limits` writes them: with or without `async+` in front, with `valkey` for `redis`
(the protocol is the same), `rediss` and `valkeys` for TLS. Beyond `limits`, TLS works with
Sentinels and Clusters too (`rediss+cluster://`), and a port may be left out. The parsing is our
own, because that of `limits` is private, quotes passwords in its messages, and does not decode
`%40` in them.

What stands after `?`: `db`, a number; `ssl_ca_certs`, `ssl_certfile`, `ssl_keyfile`, paths;
`ssl_check_hostname=false`; for Sentinels that want another password than the server,
`sentinel_username` and `sentinel_password`, which may be empty for none.
"""

from __future__ import annotations

import asyncio
import importlib
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from gateway_guard.errors import SettingsError
from gateway_guard.stores.base import Store
from gateway_guard.stores.memory import MemoryStore
from gateway_guard.types.veiled import Veiled

if TYPE_CHECKING:
    from redis.asyncio import Redis, RedisCluster

    #: What `connect` returns. Both understand `execute_command`.
    Client: TypeAlias = Redis | RedisCluster

#: Seconds to wait for a connection, and for an answer. A decision's own budget is shorter and is
#: kept by whoever asks; this bounds what is left behind.
TIMEOUT: Final = 1.0
#: Most connections of one client. Requests share them: a batch of them occupies one.
CONNECTIONS: Final = 32

_SCHEME: Final = re.compile(
    r"(?:async\+)?(?:(?P<memory>memory)"
    r"|(?P<engine>redis|valkey)(?P<tls>s?)(?:\+(?P<kind>unix|sentinel|cluster))?)"
)
_FORMS: Final = (
    "memory://, redis://host:6379/0, rediss://…, redis+unix:///path, "
    "redis+sentinel://host:26379,host:26379/service or redis+cluster://host:6379,host:6379"
)
#: Storages of `limits` that cannot be used, and why.
_CANNOT: Final = {
    "memcached": "Memcached changes one key at a time: a request that one limit refuses would "
    "already have been charged to the others",
    "mongodb": "MongoDB has no script that drains and charges several limits in one step: two "
    "workers could both take the last unit",
    "etcd": "etcd commits every charge to disk by majority vote, milliseconds each, and cannot "
    "compute how far a limit has drained",
}
_OPTIONS: Final = frozenset(
    ("db", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_check_hostname",
     "sentinel_username", "sentinel_password")
)  # fmt: skip
_PORT: Final = {"": 6379, "cluster": 6379, "sentinel": 26379}


class Address(Veiled, msgspec.Struct, frozen=True, kw_only=True):
    """Where shared state lives. Its text, and its representation, name no password.

    Attributes:
        kind: `memory`, `server`, `unix`, `sentinel` or `cluster`.
        engine: `redis` or `valkey`; empty for `memory`.
        hosts: (host, port) of the server, the Sentinels, or some nodes of the Cluster.
        path: of the socket; empty for other kinds.
        service: what Sentinels call the master; empty for other kinds.
        database: its number, >= 0.
        tls: whether connections are encrypted.
        username, password: None for none.
        options: what stood after `?`, without `db`.
    """

    veiled = frozenset(("username", "password", "options"))

    kind: str
    engine: str = ""
    hosts: tuple[tuple[str, int], ...] = ()
    path: str = ""
    service: str = ""
    database: int = 0
    tls: bool = False
    username: str | None = None
    password: str | None = None
    options: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        if self.kind == "memory":
            return "memory://"
        kind = "" if self.kind == "server" else f"+{self.kind}"
        hosts = ",".join(f"[{h}]:{p}" if ":" in h else f"{h}:{p}" for h, p in self.hosts)
        tail = self.path or (f"/{self.service}" if self.service else "")
        database = f"/{self.database}" if self.kind == "server" else ""
        return f"{self.engine}{'s' if self.tls else ''}{kind}://{hosts}{tail}{database}"

    def __repr__(self) -> str:
        return f"<Address {self}>"

    @property
    def shared(self) -> bool:
        """Whether other processes see the same state."""
        return self.kind != "memory"


def parse_address(uri: str) -> Address:
    """What `uri` names.

    Raises:
        SettingsError: it names nothing that can keep the promises of a `Store`; says why and what
            to write, never a password.
    """
    scheme, separator, rest = uri.partition("://")
    found = _SCHEME.fullmatch(scheme)
    if not separator or found is None:
        raise _unusable(scheme if separator else "")
    if found["memory"]:
        return Address(kind="memory")
    kind = found["kind"] or ""
    if kind == "unix" and found["tls"]:
        raise _wrong(uri, f"a socket file is not encrypted; write {found['engine']}+unix")
    # A `#` in a password would end the URI for `urlsplit`; nobody means a fragment here.
    if "#" in rest:
        raise _wrong(uri, "'#' must be written %23")
    try:
        parts = urlsplit(f"//{rest}")
    except ValueError:
        raise _wrong(uri, "the host cannot be read; IPv6 addresses stand in [brackets]") from None
    if kind != "unix" and "@" in parts.path + parts.query:
        raise _wrong(uri, "'/', '?' and '@' in a password are written %2F, %3F and %40")
    user, at, places = parts.netloc.rpartition("@")
    name, colon, password = user.partition(":")
    options = _options(uri, parts.query)
    path = unquote(parts.path)
    database = options.pop("db", "")
    if not kind and path.strip("/"):
        if database:
            raise _wrong(uri, "the database is named twice, in the path and after '?'")
        database = path.strip("/")
    if not kind or kind == "sentinel":
        kind_of_path = "a database's number" if not kind else "the service's name"
        if "/" in path.strip("/"):
            raise _wrong(uri, f"the path is {kind_of_path}")
    if kind == "cluster" and (path.strip("/") or database not in ("", "0")):
        raise _wrong(uri, "a Cluster has one database and no path")
    if kind == "sentinel" and not path.strip("/"):
        raise _wrong(uri, "name the service the Sentinels watch: …:26379/mymaster")
    if kind == "unix" and (places or len(path) < 2):
        raise _wrong(uri, "name the socket with three slashes: redis+unix:///run/redis.sock")
    return Address(
        kind=kind or "server",
        engine=found["engine"],
        hosts=() if kind == "unix" else _hosts(uri, places, kind),
        path=path if kind == "unix" else "",
        service=path.strip("/") if kind == "sentinel" else "",
        database=_database(uri, database),
        tls=bool(found["tls"]),
        username=unquote(name) if at and name else None,
        password=unquote(password) if colon and password else None,
        options=tuple(sorted(options.items())),
    )


def connect(
    address: Address | str, *, timeout: float = TIMEOUT, connections: int = CONNECTIONS
) -> Client:
    """A client that connects when it is first used, and never tries anything twice by itself.

    `timeout` is in seconds, > 0, for connecting and for each answer; `connections` is the most
    kept open, >= 1. Close it with `disconnect`.

    Raises:
        SettingsError: the URI cannot be used, is `memory://`, or the extra `redis` is not
            installed.
    """
    if isinstance(address, str):
        address = parse_address(address)
    if not address.shared:
        raise SettingsError("memory:// is one process's own: there is no server to connect to")
    library: Any = require_library()
    common: dict[str, Any] = {
        "username": address.username,
        "password": address.password,
        "socket_timeout": timeout,
        "socket_connect_timeout": timeout,
        "max_connections": connections,
        # Whoever asks has a budget, and knows what may be asked twice.
        "retry": library.asyncio.retry.Retry(library.backoff.NoBackoff(), 0),
        "client_name": "gateway-guard",
        # The older protocol has no greeting to exchange and nothing that is pushed in between.
        "protocol": 2,
        **_tls(address),
    }
    if address.kind == "cluster":
        node = library.asyncio.cluster.ClusterNode
        cluster: RedisCluster = library.asyncio.RedisCluster(
            startup_nodes=[node(host, port) for host, port in address.hosts],
            # A slot without a node fails the requests of that slot, not all of them.
            require_full_coverage=False,
            **common,
        )
        return cluster
    common["db"] = address.database
    client: Redis
    if address.kind == "sentinel":
        options = dict(address.options)
        # As `limits` does: one password for both, unless another is named.
        asking = {**common, "db": 0}
        if "sentinel_username" in options or "sentinel_password" in options:
            asking["username"] = options.get("sentinel_username") or None
            asking["password"] = options.get("sentinel_password") or None
        sentinel = library.asyncio.Sentinel(address.hosts, sentinel_kwargs=asking, **common)
        client = sentinel.master_for(address.service)
        return client
    if address.kind == "unix":
        client = library.asyncio.Redis(unix_socket_path=address.path, **common)
        return client
    ((host, port),) = address.hosts
    client = library.asyncio.Redis(host=host, port=port, **common)
    return client


async def disconnect(client: Client) -> None:
    """Close every connection of `client`, those to Sentinels too, which its own `aclose` leaves."""
    manager = getattr(getattr(client, "connection_pool", None), "sentinel_manager", None)
    # Each of them, whatever becomes of the others.
    closing = [one.aclose() for one in (client, *getattr(manager, "sentinels", ()))]
    failures = [e for e in await asyncio.gather(*closing, return_exceptions=True) if e is not None]
    if failures:
        raise failures[0]


def open_store(
    uri: str,
    *,
    secret: bytes,
    namespace: str = "gg",
    max_keys: int = 400_000,
    timeout: float = TIMEOUT,
    patience: float = TIMEOUT,
    unsettled: str = "estimate",
) -> Store:
    """The store `uri` names. Nothing is connected to yet.

    Args:
        uri: as `parse_address` reads it.
        secret: what keys are digested with, >= 16 bytes; all guards of one store share it.
        namespace: what keys of a shared store begin with.
        max_keys: as in `MemoryStore`; a shared store is bounded by its server.
        timeout: seconds, as in `connect`.
        patience: seconds, as in `RedisStore`.
        unsettled: what a reservation costs that its worker never settled, `estimate` or
            `nothing`; see `RedisStore`.

    Raises:
        SettingsError: the URI, the namespace or `unsettled` makes no sense, or the extra is not
            installed.
    """
    address = parse_address(uri)
    if not address.shared:
        return MemoryStore(max_keys=max_keys)
    require_library()
    from gateway_guard.stores.redis import RedisStore  # noqa: PLC0415 - needs the extra

    return RedisStore(
        address, secret=secret, namespace=namespace, timeout=timeout, patience=patience,
        unsettled=unsettled,
    )  # fmt: skip


def require_library() -> Any:
    """The module `redis`.

    Raises:
        SettingsError: it is not installed; says how to.
    """
    try:
        importlib.import_module("redis.asyncio.sentinel")
        return importlib.import_module("redis")
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"a shared store needs {error.name}: pip install '.[redis]' in a checkout"
        ) from None


def _options(uri: str, query: str) -> dict[str, str]:
    options = dict(parse_qsl(query, keep_blank_values=True))
    for name in options:
        if name not in _OPTIONS:
            raise _wrong(uri, f"unknown option {name!r}; known: {', '.join(sorted(_OPTIONS))}")
    return options


def _hosts(uri: str, places: str, kind: str) -> tuple[tuple[str, int], ...]:
    hosts = []
    for place in places.split(","):
        try:
            parts = urlsplit(f"//{place.strip()}")
            host, port = parts.hostname, parts.port
        except ValueError:
            raise _wrong(
                uri, "a port is a number from 1 to 65535; ':' in a password is written %3A"
            ) from None
        if port == 0:
            raise _wrong(uri, "a port is a number from 1 to 65535")
        if not host and (kind or place.strip()):
            raise _wrong(uri, "a host is missing")
        hosts.append((host or "localhost", port or _PORT[kind]))
    if not kind and len(hosts) > 1:
        raise _wrong(uri, "several hosts are a Cluster (redis+cluster://) or Sentinels")
    return tuple(hosts)


def _database(uri: str, text: str) -> int:
    if not text:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) < 6):
        raise _wrong(uri, "a database is a number, 0 when left out")
    return int(text)


def _tls(address: Address) -> Mapping[str, Any]:
    if not address.tls:
        return {}
    options = dict(address.options)
    found: dict[str, Any] = {name: v for name, v in options.items() if name.startswith("ssl_")}
    if "ssl_check_hostname" in found:
        found["ssl_check_hostname"] = found["ssl_check_hostname"].lower() not in ("false", "0")
    return {"ssl": True, **found}


def _unusable(scheme: str) -> SettingsError:
    """What to say of a scheme nobody here serves."""
    plain = scheme.removeprefix("async+").partition("+")[0]
    why = _CANNOT.get(plain)
    if why is not None:
        return SettingsError(f"{plain} cannot hold limits: {why}. Write one of {_FORMS}")
    if not scheme:
        # Perhaps a bare password or path: nothing of it is repeated.
        return SettingsError(f"a storage URI starts with a scheme: {_FORMS}")
    return SettingsError(f"unknown storage {scheme[:40]!r}; write one of {_FORMS}")


def _wrong(uri: str, what: str) -> SettingsError:
    """`what` is wrong with `uri`, shown without user, password and options."""
    scheme, _, rest = uri.partition("://")
    # To the last `@`: a password may hold one, and `/` or `?` too, unencoded.
    _, at, rest = rest.rpartition("@")
    shown = f"{scheme}://{'…@' if at else ''}{rest.partition('?')[0]}"
    return SettingsError(f"the storage URI {shown} cannot be used: {what}")
