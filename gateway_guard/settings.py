"""What the environment sets. The only reader of `os.environ`, and it reads once.

| variable | meaning |
| --- | --- |
| `GATEWAY_GUARD_SECRET` | key of every digest, at least 16 bytes; guards that must agree share it |
| `GATEWAY_GUARD_SECRET_FILE` | a file that holds it |
| `GATEWAY_GUARD_MAX_ACCOUNTS` | accounts remembered (default 100,000) |
| `GATEWAY_GUARD_MAX_KEYS` | limit keys counted exactly (default 400,000) |
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
    "GATEWAY_GUARD_NETWORK_FILES": "further network databases, separated by ':'",
    "GATEWAY_GUARD_ACCOUNTS_FILE": "account attributes, JSON lines or CSV",
    "GATEWAY_GUARD_CAMPAIGNS_FILE": "what was learnt of campaigns, kept over restarts",
    "GATEWAY_GUARD_DECISION_LOG": "where decisions are written, '-' for standard output",
    "GATEWAY_GUARD_LOG_QUEUE": "decisions that may wait to be written, default 10000",
    "GATEWAY_GUARD_LOG_ADDRESSES": "of client addresses, log full (default), subnet or none",
}

#: How much of a client's address the decision log may keep.
LOG_ADDRESSES = ("full", "subnet", "none")


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is not policy.

    Attributes:
        secret: key of all digests, >= 16 bytes.
        secret_lasts: whether it is the same after a restart; False when it was made up here.
        max_accounts: accounts whose profile is kept; the least recently seen goes first.
        max_keys: limit keys counted exactly; see `stores.memory` for what happens beyond.
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
            network_files=tuple(
                part for part in env.get("GATEWAY_GUARD_NETWORK_FILES", "").split(":") if part
            ),
            accounts_file=env.get("GATEWAY_GUARD_ACCOUNTS_FILE") or None,
            campaigns_file=env.get("GATEWAY_GUARD_CAMPAIGNS_FILE") or None,
            decision_log=env.get("GATEWAY_GUARD_DECISION_LOG") or None,
            log_queue=_count(env, "GATEWAY_GUARD_LOG_QUEUE", 10_000),
            log_addresses=_addresses(env),
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


def _addresses(env: Mapping[str, str]) -> str:
    text = env.get("GATEWAY_GUARD_LOG_ADDRESSES") or "full"
    if text not in LOG_ADDRESSES:
        raise SettingsError(
            f"GATEWAY_GUARD_LOG_ADDRESSES is {text!r}; write {', '.join(LOG_ADDRESSES)}"
        )
    return text


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
