"""The baseline of template width: who sends what many organisations send is refused, nothing else.

DETECTION T1, as a guard of its own: the head and the tail of the user's text are digested (eight
words each, digits masked: what `identify` keeps). A request is wide once eight organisations have
sent its head, or eight its tail. An account is refused while at least three of its requests, and
at least half of them, are wide.
"""

from __future__ import annotations

import ipaddress
import json
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import msgspec

from gateway_guard.cli.replay import REPLAY_SECRET
from gateway_guard.cli.replay_files import DecidedLine
from gateway_guard.cli.traffic import Malformed, Recorded, Traffic, as_recorded
from gateway_guard.core.identify import identify
from gateway_guard.core.sections import Identify, Inspect
from gateway_guard.types import PromptShape, Request

#: Organisations that make a head or a tail wide. Source: DETECTION T1.
WIDE: Final = 8
#: Fewest wide requests, and least share of them, of an account that is refused. Source: as above.
FEWEST: Final = 3
SHARE: Final = 0.5
#: An organisation counts for a head or a tail for so long after it last sent it, seconds. Source:
#: the longest DETECTION T1 gives.
REMEMBERED: Final = 72 * 3600.0

_IDENTIFY: Final = as_recorded(
    Identify(), (ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0"))
)
_INSPECT: Final = Inspect()


class Sender(msgspec.Struct):
    """One account: its requests, its wide ones, and the wide ends it has sent."""

    requests: int = 0
    wide: int = 0
    ends: Counter[int] = msgspec.field(default_factory=Counter)
    refused_at: float | None = None


class Width:
    """The baseline, request by request."""

    def __init__(self) -> None:
        self._organisations: dict[int, dict[str, float]] = {}
        self.senders: dict[str, Sender] = {}

    def refuses(self, account: str, organisation: str, ends: tuple[int, ...], at: float) -> bool:
        """Whether the request is refused, itself counted. `ends`: digests of its head and tail."""
        sender = self.senders.setdefault(account, Sender())
        sender.requests += 1
        wide = [end for end in ends if end and self._wide(end, organisation, at)]
        sender.wide += bool(wide)
        sender.ends.update(wide)
        refused = sender.wide >= FEWEST and sender.wide >= SHARE * sender.requests
        if refused and sender.refused_at is None:
            sender.refused_at = at
        return refused

    def campaigns(self) -> list[dict[str, Any]]:
        """The refused accounts, together with those that sent the same wide end most often."""
        groups: dict[int, list[tuple[float, str]]] = {}
        for account, sender in self.senders.items():
            if sender.refused_at is not None:
                (end, _), *_ = sender.ends.most_common(1)
                groups.setdefault(end, []).append((sender.refused_at, account))
        return [
            {
                "id": f"{end:016x}",
                "accounts": sorted(account for _, account in members),
                "alarm_at": min(members)[0],
            }
            for end, members in sorted(groups.items())
        ]

    def _wide(self, end: int, organisation: str, at: float) -> bool:
        senders = self._organisations.setdefault(end, {})
        senders[organisation] = at
        if len(senders) < WIDE:
            return False
        lately = at - REMEMBERED
        for name in [name for name, last in senders.items() if last < lately]:
            del senders[name]
        return len(senders) >= WIDE


def ends(prompt: PromptShape | None) -> tuple[int, ...]:
    """Digests of the head and the tail of the user's text; 0 for what is too short."""
    for role in prompt.roles if prompt is not None else ():
        if role.role == "user":
            return role.head, role.tail
    return ()


def requests(traffic: Traffic) -> Iterator[tuple[Recorded, Request]]:
    """Every recorded exchange, identified as a policy without an `identify` section does."""
    for line in traffic:
        if not isinstance(line, Malformed):
            yield line, identify(
                line.wire(_INSPECT.max_body), _IDENTIFY, _INSPECT, id=str(line.id), at=line.at,
                secret=REPLAY_SECRET, keys={},
            )  # fmt: skip


def main(traffic: Path, accounts: Path, decisions: Path, campaigns: Path) -> None:
    """Write the baseline's decisions and campaigns in the formats of `gateway-guard replay`."""
    with accounts.open("rb") as file:
        known = {row["account"]: row.get("organisation") for row in map(msgspec.json.decode, file)}
    width = Width()
    encode = msgspec.json.Encoder().encode
    with closing(Traffic(traffic)) as source, decisions.open("wb") as sink:
        for line, request in requests(source):
            account = line.account or ""
            organisation = known.get(account) or account
            refused = width.refuses(account, organisation, ends(request.prompt), line.at)
            decided = DecidedLine(
                line.id, "deny" if refused else "allow", float(refused),
                "template-width" if refused else None, None,
            )  # fmt: skip
            sink.write(encode(decided) + b"\n")
    campaigns.write_text(json.dumps(width.campaigns()))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
