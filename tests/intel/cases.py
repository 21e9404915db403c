"""A campaign, its traffic and its keys, for tests of what is handed on and taken in."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final

import msgspec

from gateway_guard.campaigns.linker import Linker
from gateway_guard.campaigns.snapshot import freeze
from gateway_guard.intel.evidence import Case, Traffic, case_of
from gateway_guard.intel.indicator import Indicator
from tests import build
from tests.campaigns import ring
from tests.campaigns.build import learnt

GROUP_KEY: Final = b"what guards of one group share, 1"
#: When the campaign was last seen.
LAST: Final = build.NOW + ring.EXCHANGES * ring.HOUR
#: Two rented ranges, one that strangers use as well, an access provider's, a VPN's.
RENTED, ALSO, BUSY, HOME, VPN = (
    "203.0.113.", "198.51.100.", "192.0.2.", "81.2.69.", "185.65.135.",
)  # fmt: skip
_CLIENT: Final = 0xC11E47


@cache
def linker() -> Linker:
    """A linker that holds the campaign of `ring`, whose members use one client software."""

    def stream() -> Iterator[Any]:
        for seen in ring.stream():
            member = seen.account.startswith("acct_a")
            yield msgspec.structs.replace(seen, client=_CLIENT if member else 7)

    made = learnt(stream())
    assert len(made.held) == 1
    return made


def frozen(secret: bytes = build.SECRET) -> bytes:
    """Its snapshot."""
    return freeze(linker(), secret, saved_at=LAST)


def lines() -> Iterator[dict[str, Any]]:
    """The decision log: members in several ranges, and the bystanders."""
    for number in range(ring.MEMBERS):
        account = ring.account("a", number)
        for prefix, flags in (
            (RENTED, ["hosting"]), (ALSO, ["hosting", "proxy"]), (BUSY, ["hosting"]),
            (HOME, []), (VPN, ["hosting", "vpn"]),
        ):  # fmt: skip
            yield _line(account, f"{prefix}{10 + number}", flags, number)
        yield _line(account, f"2001:db8:7:{number:x}::9", ["hosting"], number)
    yield _line(ring.account("a", 0), "203.0.114.9", ["hosting"], 50)
    for number in range(ring.BYSTANDERS):
        account = ring.account("b", number)
        yield _line(account, f"{BUSY}{10 + number}", ["hosting"], number)
        yield _line(account, f"{HOME}{10 + number}", [], number)


def traffic() -> Traffic:
    """The same, read."""
    from gateway_guard.intel.networks import shared_network

    made = Traffic()
    for line in lines():
        at = datetime.fromisoformat(line["time"]).timestamp()
        made.note(shared_network(line["client_ip"]), line["account"], line["network"], at)
    return made


def case() -> Case:
    """What is fit to be handed on of it."""
    made = linker()
    (campaign,) = made.campaigns()
    return case_of(made, campaign, traffic())


def indicator(**fields: Any) -> Indicator:
    """A network of a campaign, in force for two weeks around `build.NOW`."""
    defaults: dict[str, Any] = {
        "id": "indicator--5a0cd7a4-0000-5000-8000-000000000001",
        "kind": "network",
        "value": "203.0.113.0/24",
        "name": "c_0012",
        "confidence": 90,
        "since": int(build.NOW) - 7 * 86_400,
        "until": int(build.NOW) + 7 * 86_400,
    }
    return Indicator(**defaults | fields)


def _line(account: str, address: str, flags: list[str], number: int) -> dict[str, Any]:
    moment = datetime.fromtimestamp(build.NOW + 60.0 * number, UTC)
    return {
        "time": moment.isoformat().replace("+00:00", "Z"), "id": "r_1", "action": "allow",
        "account": account, "client_ip": address, "network": flags, "risk": 0.0,
    }  # fmt: skip
