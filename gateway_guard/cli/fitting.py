"""Whether what `serve` was told fits together, and fits the policy."""

from __future__ import annotations

import ipaddress
import logging
import re
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Final

import typer

from gateway_guard.cli.outputs import same_file
from gateway_guard.cli.usage import usage
from gateway_guard.core.policy import Policy
from gateway_guard.core.sections import Verification
from gateway_guard.errors import SettingsError
from gateway_guard.policy.asking import asked_of_accounts, in_words, naming_accounts
from gateway_guard.settings import Settings
from gateway_guard.verification.checks import installed

if TYPE_CHECKING:
    from gateway_guard.frontends.upstream import Origin

log = logging.getLogger(__name__)

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
_LOOPBACK: Final = {4: ipaddress.ip_address("127.0.0.1"), 6: ipaddress.ip_address("::1")}

#: What `--frontend` may say.
FRONTENDS: Final = ("proxy", "extauth", "spoe", "envoy")


def check_frontends(
    frontends: list[str], upstream: str | None, spoe: str | None, envoy: str | None, lease: float,
    workers: int,
) -> None:  # fmt: skip
    """Whether what was said of frontends fits together.

    Raises:
        typer.BadParameter: it does not; says what to write.
    """
    for name in frontends:
        if name not in FRONTENDS:
            raise typer.BadParameter(f"--frontend {name!r}: write {', '.join(FRONTENDS)}")
    for name, address in (("spoe", spoe), ("envoy", envoy)):
        if address is not None and name not in frontends:
            raise typer.BadParameter(
                f"--{name} says where --frontend {name} listens: say that, too"
            )
    if "proxy" in frontends:
        if len(set(frontends)) > 1:
            raise typer.BadParameter(
                "--frontend proxy forwards, the others only answer: run one process for each"
            )
        if upstream is None:
            raise typer.BadParameter(
                "--upstream is missing: where the model API is. Gateways that only ask need "
                "--frontend extauth, spoe or envoy instead"
            )
        if lease:
            raise typer.BadParameter(
                "--usage-lease is for gateways that ask: say --frontend extauth, spoe or envoy"
            )
        return
    if upstream is not None:
        raise typer.BadParameter(
            f"--frontend {frontends[0]} forwards nothing: leave out --upstream"
        )
    if workers > 1 and (lease or {"spoe", "envoy"} & set(frontends)):
        raise typer.BadParameter(
            "--frontend spoe, envoy and --usage-lease need one worker: requests wait for their "
            "end in the process that decided them"
        )


def check_loop(origin: Origin, host: str, port: int, uds: str | None) -> None:
    """Whether requests would come back here, each judged and charged again and again.

    Only names that resolve now can be compared. Port 0 is none yet.

    Raises:
        typer.BadParameter: the upstream is where `serve` listens.
    """
    if uds is not None:
        loops = origin.socket is not None and Path(origin.socket).resolve() == Path(uds).resolve()
        here = f"--uds {uds}"
    else:
        loops = origin.host is not None and origin.port == port and _same(origin.host, host, port)
        here = f"--host {host} --port {port}"
    if loops:
        raise typer.BadParameter(
            f"--upstream is where this guard itself listens ({here}): every request would come "
            "back and be charged again. Name the model API, or listen on another --port"
        )


def check_log(policy: str, settings: Settings) -> None:
    """Whether decisions would be written behind what another file is read for.

    Raises:
        typer.BadParameter: the decision log is one of the guard's other files.
    """
    if settings.decision_log in (None, "-"):
        return
    others = (
        policy, settings.accounts_file, settings.campaigns_file, settings.audit_file,
        settings.intel_file,
    )  # fmt: skip
    if any(same_file(Path(settings.decision_log), Path(one)) for one in others if one):
        raise typer.BadParameter(
            f"the decision log {settings.decision_log} is a file the guard reads, too, and "
            "decisions would stand behind what is in it: name one of its own"
        )


def check_prefix(origin: Origin) -> None:
    """Warn where the upstream is written as clients write their base URL: paths have its end, too.

    Nothing is refused: clients may leave it off.
    """
    last = origin.prefix.rpartition(b"/")[2].decode("latin-1")
    if re.fullmatch(r"v\d+(?:(?:alpha|beta)\d*)?", last):
        log.warning(
            "--upstream ends in /%s, and what clients ask for comes behind it: "
            "/%s/chat/completions goes to %s/%s/chat/completions. Leave it out, unless they do",
            last, last, origin.prefix.decode("latin-1"), last,
        )  # fmt: skip


def _same(upstream: str, host: str, port: int) -> bool:
    listens = _addresses(host, port, socket.AI_PASSIVE)[:1]
    for named in _addresses(upstream, port):
        # Who connects to 0.0.0.0 reaches this machine itself.
        address = _LOOPBACK[named.version] if named.is_unspecified else named
        for own in listens:
            # `::` takes IPv4, too.
            takes = own.is_unspecified and (own.version == 6 or address.version == 4)
            if address == own or (takes and _ours(address)):
                return True
    return False


def _addresses(host: str, port: int, flags: int = 0) -> list[IPAddress]:
    """What `host` stands for; nothing when that cannot be found out."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    except (OSError, UnicodeError):
        return []
    addresses = [ipaddress.ip_address(str(address[0]).partition("%")[0]) for *_, address in found]
    return [getattr(address, "ipv4_mapped", None) or address for address in addresses]


def _ours(address: IPAddress) -> bool:
    """Whether this machine has `address`: nobody can listen on another's."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind((str(address), 0))
    except OSError:
        return False
    return True


def check_verification(
    verification: Verification, settings: Settings, workers: int, *, visited: bool
) -> None:
    """Whether the links that this process hands out lead somewhere."""
    form = verification.form
    if form is not None and form.check is not None:
        installed(form.check)
    if not visited:
        raise SettingsError(
            "the policy verifies accounts, and gateways that ask send nobody on to the page: say "
            "where visitors are received, --verify 127.0.0.1:8081, and lead verification.url there"
        )
    if workers > 1 and not settings.secret_lasts:
        raise SettingsError(
            "the policy verifies accounts: workers take each other's links only where they share "
            "a key. Set GATEWAY_GUARD_SECRET or GATEWAY_GUARD_SECRET_FILE (openssl rand -hex 32)"
        )
    if not settings.secret_lasts or not (settings.campaigns_file or settings.store):
        log.warning(
            "verified accounts are forgotten when this process ends: set GATEWAY_GUARD_SECRET and "
            "GATEWAY_GUARD_CAMPAIGNS_FILE, or share a store"
        )


def check_accounts(policy: Policy, settings: Settings) -> None:
    """Warn where the policy asks for what nobody tells this process of accounts."""
    naming = naming_accounts(policy)
    if naming and not settings.secret_lasts:
        log.warning(
            "the policy names accounts acct_… (%s), and without GATEWAY_GUARD_SECRET every start "
            "gives all accounts other names: it means nobody. Set it, or GATEWAY_GUARD_SECRET_FILE "
            "(openssl rand -hex 32), and take the names from what is decided then",
            ", ".join(naming[:3]) + (f" and {len(naming) - 3} more" if len(naming) > 3 else ""),
        )
    if settings.accounts_file or settings.accounts_url:
        return
    asked = asked_of_accounts(policy)
    if asked:
        log.warning(
            "nobody says what the policy asks of accounts, so it is unknown of all: %s. Give "
            "--accounts FILE, or let a trusted proxy say it, identify: { attributes: … }",
            in_words(asked),
        )


def accounts_named(said: str | None) -> dict[str, str | None]:
    """Where attributes come from: what was said goes before what the environment says.

    Raises:
        typer.BadParameter: it is a URL, and not one to ask for an account at.
    """
    if not said:
        return {}
    if not said.startswith(("http://", "https://")):
        return {"accounts_file": said, "accounts_url": None}
    from gateway_guard.accounts.http import checked  # noqa: PLC0415  (httpx, for nothing else here)

    with usage("--accounts"):
        return {"accounts_file": None, "accounts_url": checked(said)}
