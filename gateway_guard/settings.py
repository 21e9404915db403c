"""What the environment sets. The only reader of `os.environ`, and it reads once.

| variable | meaning |
| --- | --- |
| `GATEWAY_GUARD_SECRET` | key of every digest, at least 16 bytes; guards that must agree share it |
| `GATEWAY_GUARD_SECRET_FILE` | a file that holds it |
| `GATEWAY_GUARD_MAX_ACCOUNTS` | accounts remembered (default 100,000) |
| `GATEWAY_GUARD_MAX_KEYS` | limit keys counted exactly (default 400,000) |
| `GATEWAY_GUARD_STORE` | URI of the shared store, `redis://host/0`; needs the key; unset: memory |
| `GATEWAY_GUARD_STORE_NAMESPACE` | what its keys begin with (default `gg`) |
| `GATEWAY_GUARD_STORE_BUDGET` | milliseconds a decision waits for it (default 50) |
| `GATEWAY_GUARD_STORE_UNSETTLED` | a dead worker's reservations cost the `estimate` or `nothing` |
| `GATEWAY_GUARD_TOTAL_WORKERS` | workers on all hosts, for `on_error: { store: local }` |
| `GATEWAY_GUARD_LINKER` | with a shared store, link campaigns here: `auto` (default) or `never` |
| `GATEWAY_GUARD_NETWORK_FILES` | further network databases, separated by `:` |
| `GATEWAY_GUARD_ACCOUNTS_FILE` | account attributes, JSON lines or CSV |
| `GATEWAY_GUARD_CAMPAIGNS_FILE` | what was learnt of campaigns, kept over restarts; needs the key |
| `GATEWAY_GUARD_DECISION_LOG` | where decisions go, `-` for standard output; unset for nowhere |
| `GATEWAY_GUARD_LOG_QUEUE` | decisions that may wait to be written (default 10,000) |
| `GATEWAY_GUARD_LOG_ADDRESSES` | of client addresses, log `full` (default), `subnet` or `none` |
"""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

import msgspec

from gateway_guard.errors import SettingsError

log = logging.getLogger(__name__)

#: variable → one line for `--help` and the README; a test walks it.
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
    "GATEWAY_GUARD_NETWORK_FILES": "further network databases, separated by ':'",
    "GATEWAY_GUARD_ACCOUNTS_FILE": "account attributes, JSON lines or CSV",
    "GATEWAY_GUARD_CAMPAIGNS_FILE": "what was learnt of campaigns, kept over restarts",
    "GATEWAY_GUARD_DECISION_LOG": "where decisions are written, '-' for standard output",
    "GATEWAY_GUARD_LOG_QUEUE": "decisions that may wait to be written, default 10000",
    "GATEWAY_GUARD_LOG_ADDRESSES": "of client addresses, log full (default), subnet or none",
}

#: How much of a client's address the decision log may keep.
LOG_ADDRESSES = ("full", "subnet", "none")
#: What a reservation nobody settled may cost.
UNSETTLED = ("estimate", "nothing")
#: Whether a guard of a shared store may be its linker.
LINKER = ("auto", "never")


class Settings(msgspec.Struct, frozen=True, kw_only=True):
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
        network_files: further databases, asked before the bundled one.
        accounts_file: account attributes; None for none.
        campaigns_file: snapshot of what was learnt of campaigns, the journal of reviews beside it
            under the same name and `.reviews`; None for none.
        decision_log: path, `-` for standard output, None for nowhere.
        log_queue: decisions that may wait to be written; more are dropped and counted.
        log_addresses: what the decision log keeps of client addresses, from `LOG_ADDRESSES`; the
            subnet is the /24 (IPv4) or /64 (IPv6).
    """

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
    network_files: tuple[str, ...] = ()
    accounts_file: str | None = None
    campaigns_file: str | None = None
    decision_log: str | None = None
    log_queue: int = 10_000
    log_addresses: str = "full"

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """The settings named in `environ` (the process's own when None).

        Raises:
            SettingsError: a variable cannot be used; says which and what to write instead, never
                its value when that is the secret.
        """
        env = os.environ if environ is None else environ
        for name in env:
            if name.startswith("GATEWAY_GUARD_") and name not in VARIABLES:
                log.warning("unknown variable %s is ignored; known: %s", name, ", ".join(VARIABLES))
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
            network_files=tuple(
                part for part in env.get("GATEWAY_GUARD_NETWORK_FILES", "").split(":") if part
            ),
            accounts_file=env.get("GATEWAY_GUARD_ACCOUNTS_FILE") or None,
            campaigns_file=env.get("GATEWAY_GUARD_CAMPAIGNS_FILE") or None,
            decision_log=env.get("GATEWAY_GUARD_DECISION_LOG") or None,
            log_queue=_count(env, "GATEWAY_GUARD_LOG_QUEUE", 10_000),
            log_addresses=_word(env, "GATEWAY_GUARD_LOG_ADDRESSES", LOG_ADDRESSES),
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


def _secret(env: Mapping[str, str]) -> bytes:
    path = env.get("GATEWAY_GUARD_SECRET_FILE")
    if path:
        try:
            secret = Path(path).read_bytes().strip()
        except OSError as error:
            raise SettingsError(
                f"GATEWAY_GUARD_SECRET_FILE: cannot read {path}: {error.strerror}; "
                "write a key there with: openssl rand -hex 32"
            ) from error
        source = f"the file {path}"
    elif env.get("GATEWAY_GUARD_SECRET"):
        secret = env["GATEWAY_GUARD_SECRET"].encode("utf-8", "surrogateescape")
        source = "GATEWAY_GUARD_SECRET"
    else:
        log.info("no GATEWAY_GUARD_SECRET: digests are keyed at random and change with every start")
        return secrets.token_bytes(32)
    if len(secret) < 16:
        raise SettingsError(
            f"{source} holds {len(secret)} bytes; a key needs at least 16: openssl rand -hex 32"
        )
    return secret


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


def _count(env: Mapping[str, str], name: str, default: int) -> int:
    text = env.get(name)
    if not text:
        return default
    try:
        value = int(text)
    except ValueError:
        value = 0
    if not 1 <= value <= 100_000_000:
        raise SettingsError(f"{name} is {text!r}; write a whole number from 1 to 100000000")
    return value
