"""What the environment sets. The only reader of `os.environ`, and it reads once."""

from __future__ import annotations

import difflib
import ipaddress
import logging
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from gateway_guard.errors import SettingsError
from gateway_guard.types.veiled import Veiled

log = logging.getLogger(__name__)

#: Variables nobody knows that were named: a command that reads its settings twice says so once.
_TOLD: set[str] = set()

IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

#: What every variable begins with.
_PREFIX: Final = "GATEWAY_GUARD_"
#: variable → what it says, in a line; README.md has more of each.
VARIABLES: Mapping[str, str] = {
    "GATEWAY_GUARD_SECRET": "key of every digest, at least 16 bytes",
    "GATEWAY_GUARD_SECRET_FILE": "a file that holds the key",
    "GATEWAY_GUARD_MAX_ACCOUNTS": "accounts remembered, default 100000",
    "GATEWAY_GUARD_MAX_KEYS": "limit keys counted exactly, default 400000",
    "GATEWAY_GUARD_STORE": "URI of the shared store, e.g. redis://host/0; unset: memory",
    "GATEWAY_GUARD_STORE_NAMESPACE": "what its keys begin with, default gg",
    "GATEWAY_GUARD_STORE_BUDGET": "milliseconds a decision waits for it, default 50",
    "GATEWAY_GUARD_STORE_UNSETTLED": "a dead worker's reservations cost estimate or nothing",
    "GATEWAY_GUARD_TOTAL_WORKERS": "workers on all hosts, each of which limits by its share alone",
    "GATEWAY_GUARD_LINKER": "auto: link campaigns here while no gateway-guard linker does; never",
    "GATEWAY_GUARD_LINKER_ACCOUNTS": "accounts the linker remembers, default 1000000",
    "GATEWAY_GUARD_LINKER_DAYS": "days after which it forgets an account unseen; unset: never",
    "GATEWAY_GUARD_NETWORK_FILES": "further network databases, separated by ':'",
    "GATEWAY_GUARD_ACCOUNTS_FILE": "account attributes, JSON lines or CSV",
    "GATEWAY_GUARD_ACCOUNTS_URL": "where they are asked for instead, https://host/{account}",
    "GATEWAY_GUARD_ACCOUNTS_TOKEN": "bearer token for it, 16 characters or more",
    "GATEWAY_GUARD_ACCOUNTS_FRESH": "seconds an answer is not asked for again, default 60",
    "GATEWAY_GUARD_ACCOUNTS_BUDGET": "milliseconds a request waits for one, default 50",
    "GATEWAY_GUARD_CAMPAIGNS_FILE": "what was learnt of campaigns, kept over restarts",
    "GATEWAY_GUARD_WEBHOOK_URL": "who is told of campaigns held and let go, https://host/path",
    "GATEWAY_GUARD_WEBHOOK_KEY_FILE": "key its messages are signed with (Standard Webhooks)",
    "GATEWAY_GUARD_INTEL_FILE": "indicators taken in from others, see gateway-guard intel",
    "GATEWAY_GUARD_INTEL_GROUP_KEY_FILE": "key of template digests that a group of guards shares",
    "GATEWAY_GUARD_INTEL_ALLOW": "networks no indicator may touch, separated by ','",
    "GATEWAY_GUARD_INTEL_WIDEST": "broadest networks an indicator may name, default /24,/48",
    "GATEWAY_GUARD_MAX_INDICATORS": "indicators kept, default 100000",
    "GATEWAY_GUARD_DECISION_LOG": "where decisions are written, '-' for standard output",
    "GATEWAY_GUARD_LOG_QUEUE": "decisions that may wait to be written, default 10000",
    "GATEWAY_GUARD_LOG_ADDRESSES": "of client addresses, log full (default), subnet or none",
    "GATEWAY_GUARD_AUDIT_FILE": "what people decide, chained; default: .audit beside the campaigns",
    "GATEWAY_GUARD_ADMIN_TOKEN": "lets in to the admin port, 16 characters or more; may change",
    "GATEWAY_GUARD_ADMIN_READ_TOKEN": "the same for those who may only look",
    "GATEWAY_GUARD_ADMIN_PROXIES": "OIDC proxies whose X-Forwarded-User is believed: 10.0.0.0/8,…",
    "GATEWAY_GUARD_ADMIN_REVIEWERS": "groups of X-Forwarded-Groups that may change things: a,b",
}

#: How much of a client's address the decision log may keep.
LOG_ADDRESSES = ("full", "subnet", "none")
#: What a reservation nobody settled may cost.
UNSETTLED = ("estimate", "nothing")
#: Whether a guard of a shared store may be its linker.
LINKER = ("auto", "never")
#: Fewest accounts a linker may be told to remember: with fewer, a campaign of hundreds would be
#: forgotten while it is still being gathered.
FEWEST_LINKED = 1_000


class Settings(Veiled, msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is not policy.

    Attributes:
        secret: key of all digests, >= 16 bytes.
        secret_lasts: whether it is the same after a restart; False when it was made up here.
        max_accounts: accounts whose profile is kept; the least recently seen goes first.
        max_keys: limit keys counted exactly; see `stores.memory` for what happens beyond.
        store: URI of the shared store, may hold a password; None for this process's memory.
        store_namespace: what the keys in it begin with.
        store_budget: seconds a decision waits for it, > 0.
        store_unsettled: what a reservation costs that nobody settled, from `UNSETTLED`.
        total_workers: guards that share the store, on all hosts, >= 1. While it does not answer and
            the policy says `local`, each limits by one part in so many of every quota.
        linker: from `LINKER`: `auto` finds campaigns for all guards of the store in this process
            while no other does; `never` leaves that to others.
        linker_accounts: accounts the linker remembers, >= `FEWEST_LINKED`; beyond it, the tenth of
            them unseen for longest is forgotten at once, members of campaigns last.
        linker_days: days after which it forgets an account that was not seen; 0 for never.
        network_files: further databases, asked before the bundled one.
        accounts_file: account attributes; None for none.
        accounts_url: where attributes are asked for, instead of the file; None for nowhere.
        accounts_token: bearer token sent along; None for none.
        accounts_fresh: seconds for which an answer is not asked for again, > 0.
        accounts_budget: seconds a request waits for an answer, > 0.
        campaigns_file: snapshot of what was learnt of campaigns, `.reviews` beside it; or None.
        webhook_url: told of campaigns held and let go (`record.herald`), may hold a secret; None
            for nobody.
        webhook_key_file: holds the key its messages are signed with; None for unsigned.
        intel_file: table of indicators taken in from others; None for none.
        intel_group_key: key of the digests of templates and client software that guards of one
            group compare, >= 16 bytes; None for `secret`, and then nobody else's can be compared.
        intel_allow: networks no indicator may touch.
        intel_widest: prefix lengths of the broadest networks an indicator may name, IPv4 and IPv6.
        max_indicators: indicators kept; of each large source the surest stay.
        decision_log: path, `-` for standard output, None for nowhere.
        log_queue: decisions that may wait to be written; more are dropped and counted.
        log_addresses: what the decision log keeps of client addresses, from `LOG_ADDRESSES`; the
            subnet is the /24 (IPv4) or /64 (IPv6).
        audit_file: what people decide; None for `.audit` beside the campaigns file.
        admin_token, admin_read_token: let in to the admin port; None for nobody.
        admin_proxies: networks of the proxies whose `X-Forwarded-User` is believed there.
        admin_reviewers: groups whose members may change things; others may only look.
    """

    veiled = frozenset((
        "secret", "store", "accounts_token", "webhook_url", "intel_group_key", "admin_token",
        "admin_read_token",
    ))  # fmt: skip

    secret: bytes = msgspec.field(default_factory=lambda: secrets.token_bytes(32))
    secret_lasts: bool = True
    max_accounts: int = 100_000
    max_keys: int = 400_000
    store: str | None = None
    store_namespace: str = "gg"
    store_budget: float = 0.05
    store_unsettled: str = "estimate"
    total_workers: int = 1
    linker: str = "auto"
    linker_accounts: int = 1_000_000
    linker_days: int = 0
    network_files: tuple[str, ...] = ()
    accounts_file: str | None = None
    accounts_url: str | None = None
    accounts_token: str | None = None
    accounts_fresh: float = 60.0
    accounts_budget: float = 0.05
    campaigns_file: str | None = None
    webhook_url: str | None = None
    webhook_key_file: str | None = None
    intel_file: str | None = None
    intel_group_key: bytes | None = None
    intel_allow: tuple[IPNetwork, ...] = ()
    intel_widest: tuple[int, int] = (24, 48)
    max_indicators: int = 100_000
    decision_log: str | None = None
    log_queue: int = 10_000
    log_addresses: str = "full"
    audit_file: str | None = None
    admin_token: str | None = None
    admin_read_token: str | None = None
    admin_proxies: tuple[IPNetwork, ...] = ()
    admin_reviewers: tuple[str, ...] = ()

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """The settings named in `environ` (the process's own when None).

        Raises:
            SettingsError: a variable cannot be used; says which and what to write instead, never
                its value when that is the secret.
        """
        env = os.environ if environ is None else environ
        for name in env:
            if name.startswith(_PREFIX) and name not in VARIABLES and name not in _TOLD:
                _TOLD.add(name)
                log.warning("unknown variable %s is ignored; %s", name, _meant(name))
        return cls(
            secret=_secret(env),
            secret_lasts=bool(
                env.get("GATEWAY_GUARD_SECRET") or env.get("GATEWAY_GUARD_SECRET_FILE")
            ),
            max_accounts=_count(env, "GATEWAY_GUARD_MAX_ACCOUNTS", 100_000),
            max_keys=_count(env, "GATEWAY_GUARD_MAX_KEYS", 400_000),
            store=env.get("GATEWAY_GUARD_STORE") or None,
            store_namespace=env.get("GATEWAY_GUARD_STORE_NAMESPACE") or "gg",
            store_budget=_milliseconds(env, "GATEWAY_GUARD_STORE_BUDGET", 50.0),
            store_unsettled=_word(env, "GATEWAY_GUARD_STORE_UNSETTLED", UNSETTLED),
            total_workers=_count(env, "GATEWAY_GUARD_TOTAL_WORKERS", 1),
            linker=_word(env, "GATEWAY_GUARD_LINKER", LINKER),
            linker_accounts=_count(
                env, "GATEWAY_GUARD_LINKER_ACCOUNTS", 1_000_000, least=FEWEST_LINKED
            ),
            linker_days=_count(env, "GATEWAY_GUARD_LINKER_DAYS", 0),
            network_files=tuple(
                part for part in env.get("GATEWAY_GUARD_NETWORK_FILES", "").split(":") if part
            ),
            accounts_file=env.get("GATEWAY_GUARD_ACCOUNTS_FILE") or None,
            accounts_url=_instead(env, "GATEWAY_GUARD_ACCOUNTS_URL", "GATEWAY_GUARD_ACCOUNTS_FILE"),
            accounts_token=_token(env, "GATEWAY_GUARD_ACCOUNTS_TOKEN"),
            accounts_fresh=float(_count(env, "GATEWAY_GUARD_ACCOUNTS_FRESH", 60)),
            accounts_budget=_milliseconds(env, "GATEWAY_GUARD_ACCOUNTS_BUDGET", 50.0),
            campaigns_file=env.get("GATEWAY_GUARD_CAMPAIGNS_FILE") or None,
            webhook_url=(env.get("GATEWAY_GUARD_WEBHOOK_URL") or "").strip() or None,
            webhook_key_file=env.get("GATEWAY_GUARD_WEBHOOK_KEY_FILE") or None,
            intel_file=env.get("GATEWAY_GUARD_INTEL_FILE") or None,
            intel_group_key=_group_key(env),
            intel_allow=_networks(env, "GATEWAY_GUARD_INTEL_ALLOW"),
            intel_widest=_widest(env, "GATEWAY_GUARD_INTEL_WIDEST"),
            max_indicators=_count(env, "GATEWAY_GUARD_MAX_INDICATORS", 100_000),
            decision_log=env.get("GATEWAY_GUARD_DECISION_LOG") or None,
            log_queue=_count(env, "GATEWAY_GUARD_LOG_QUEUE", 10_000),
            log_addresses=_word(env, "GATEWAY_GUARD_LOG_ADDRESSES", LOG_ADDRESSES),
            audit_file=env.get("GATEWAY_GUARD_AUDIT_FILE") or None,
            admin_token=_token(env, "GATEWAY_GUARD_ADMIN_TOKEN"),
            admin_read_token=_token(env, "GATEWAY_GUARD_ADMIN_READ_TOKEN"),
            admin_proxies=_networks(env, "GATEWAY_GUARD_ADMIN_PROXIES"),
            admin_reviewers=_list(env, "GATEWAY_GUARD_ADMIN_REVIEWERS"),
        )

    def require_secret(self) -> None:
        """Make sure that guards which share something know an account by one name.

        Raises:
            SettingsError: the key of all digests was made up by this process.
        """
        if not self.secret_lasts:
            raise SettingsError(
                "a shared store needs GATEWAY_GUARD_SECRET or GATEWAY_GUARD_SECRET_FILE, the same "
                "for all guards: each would know an account under a name of its own, and count "
                "it alone. openssl rand -hex 32 makes one"
            )


def _meant(name: str) -> str:
    """The variable that was meant by one nobody knows; all of them when none is near."""
    # Compared behind what all begin with, or any two were alike.
    known = {one.removeprefix(_PREFIX): one for one in VARIABLES}
    near = difflib.get_close_matches(name.removeprefix(_PREFIX), known, n=1, cutoff=0.75)
    return f"did you mean {known[near[0]]}?" if near else f"known: {', '.join(VARIABLES)}"


def _secret(env: Mapping[str, str]) -> bytes:
    path = env.get("GATEWAY_GUARD_SECRET_FILE")
    named = env.get("GATEWAY_GUARD_SECRET", "")
    # As of the file: a line break at the end, as `echo` puts it into a Secret, makes no other key.
    said = named.encode("utf-8", "surrogateescape").strip()
    if path:
        try:
            secret = Path(path).read_bytes().strip()
        except OSError as error:
            raise SettingsError(
                f"GATEWAY_GUARD_SECRET_FILE: cannot read {path}: {error.strerror}; "
                "write a key there with: openssl rand -hex 32"
            ) from error
        source = f"the file {path}"
        if said and said != secret:
            raise SettingsError(
                "GATEWAY_GUARD_SECRET and GATEWAY_GUARD_SECRET_FILE hold two keys, and accounts "
                "have other names by each: unset one"
            )
    elif named:
        secret = said
        source = "GATEWAY_GUARD_SECRET"
    else:
        log.info("no GATEWAY_GUARD_SECRET: digests are keyed at random and change with every start")
        return secrets.token_bytes(32)
    if len(secret) < 16:
        raise SettingsError(
            f"{source} holds {len(secret)} bytes; a key needs at least 16: openssl rand -hex 32"
        )
    return secret


def _token(env: Mapping[str, str], name: str) -> str | None:
    """A token; never quoted."""
    token = (env.get(name) or "").strip()
    if token and (len(token) < 16 or not token.isascii() or not token.isprintable()):
        raise SettingsError(
            f"{name} must be at least 16 printable ASCII characters: openssl rand -hex 32"
        )
    return token or None


def _instead(env: Mapping[str, str], name: str, other: str) -> str | None:
    """A variable that stands in for another; both together make no sense."""
    if env.get(name) and env.get(other):
        raise SettingsError(f"{name} and {other} are both set; leave out one of them")
    return env.get(name) or None


def _list(env: Mapping[str, str], name: str) -> tuple[str, ...]:
    """Words separated by commas."""
    return tuple(word for part in env.get(name, "").split(",") if (word := part.strip()))


def _networks(env: Mapping[str, str], name: str) -> tuple[IPNetwork, ...]:
    found = []
    for word in _list(env, name):
        try:
            found.append(ipaddress.ip_network(word))
        except ValueError as error:
            raise SettingsError(f"{name}: {error}; write 10.1.2.3 or 10.0.0.0/8") from None
    return tuple(found)


def _group_key(env: Mapping[str, str]) -> bytes | None:
    name = "GATEWAY_GUARD_INTEL_GROUP_KEY_FILE"
    path = env.get(name)
    if not path:
        return None
    try:
        key = Path(path).read_bytes().strip()
    except OSError as error:
        raise SettingsError(
            f"{name}: cannot read {path}: {error.strerror}; one guard of the group makes the key, "
            "openssl rand -hex 32, and the others get it from its operator"
        ) from error
    if len(key) < 16:
        raise SettingsError(f"the file {path} holds {len(key)} bytes; a key needs at least 16")
    return key


def _widest(env: Mapping[str, str], name: str) -> tuple[int, int]:
    text = env.get(name) or "/24,/48"
    parts = [part.strip().removeprefix("/") for part in text.split(",")]
    if len(parts) == 2 and all(part.isascii() and part.isdigit() for part in parts):
        v4, v6 = (int(part[:4]) for part in parts)
        if 8 <= v4 <= 32 and 16 <= v6 <= 128:
            return v4, v6
    raise SettingsError(
        f"{name} is {text[:40]!r}; write two prefix lengths, IPv4 (8 to 32) and IPv6 (16 to 128): "
        "/24,/48"
    )


def _word(env: Mapping[str, str], name: str, words: tuple[str, ...]) -> str:
    """One of `words`, the first when unset."""
    text = env.get(name) or words[0]
    if text not in words:
        raise SettingsError(f"{name} is {text!r}; write {', '.join(words)}")
    return text


def _milliseconds(env: Mapping[str, str], name: str, default: float) -> float:
    """Seconds, from a number of milliseconds."""
    text = env.get(name)
    try:
        value = float(text) if text else default
    except ValueError:
        value = 0.0
    if not 1.0 <= value <= 60_000.0:
        raise SettingsError(f"{name} is {text!r}; write milliseconds, from 1 to 60000")
    return value / 1_000.0


def _count(env: Mapping[str, str], name: str, default: int, *, least: int = 1) -> int:
    text = env.get(name)
    if not text:
        return default
    try:
        value = int(text)
    except ValueError:
        value = 0
    if not least <= value <= 100_000_000:
        raise SettingsError(f"{name} is {text!r}; write a whole number from {least} to 100000000")
    return value


def opentelemetry(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """OpenTelemetry's own variables in `environ` (the process's when None), in lower case, trimmed;
    without those that say nothing. Its library reads most of them itself.
    """
    env = os.environ if environ is None else environ
    said = {name: env[name].strip().lower() for name in env if name.startswith("OTEL_")}
    return {name: value for name, value in said.items() if value}
