"""Policies without end, good and bad; network databases, whole and broken."""

from __future__ import annotations

import hashlib
import ipaddress
import random
from dataclasses import dataclass
from typing import Final

from gateway_guard.network.ranges import parse_range
from gateway_guard.network.writer import write_mmdb
from gateway_guard.policy.compile import check_policy
from tests.soak.asks import MODELS

#: The quota of every account, the same in all policies: requests a second, and most at once.
RATE, BURST = 1.0, 30
COUNTRIES: Final = ("DE", "FR", "KP", "NO", "US")
#: What a rule may say and look at.
STATUSES: Final = (403, 404, 451)
NETWORKS: Final = tuple(f"30.{16 * number}.0.0/12" for number in range(16))
ENDINGS: Final = ("admin", "files", "v1/models")

HEAD: Final = """\
version: 1
mode: enforce
identify:
  trusted_proxies: [127.0.0.0/8]
  client_ip: x-forwarded-for
on_error: {{ store: {store} }}
signals:
  template-sweep: {{ weight: 0.1 }}
limits:
  requests: {{ per: account, requests: 60/minute, burst: {burst} }}
  in-flight: {{ per: account, concurrent: 500 }}
"""


@dataclass(frozen=True)
class Rule:
    """One rule; None stands for any.

    Attributes:
        networks, countries, models, methods: any of these.
        ending: what the path ends with.
        action: `deny` or `allow`.
        status: of a denial.
    """

    name: str
    networks: tuple[str, ...] | None
    countries: tuple[str, ...] | None
    models: tuple[str, ...] | None
    methods: tuple[str, ...] | None
    ending: str | None
    action: str
    status: int

    def text(self) -> str:
        when = []
        if self.networks is not None:
            when.append(f"client_ip: [{', '.join(self.networks)}]")
        if self.countries is not None:
            when.append(f"country: [{', '.join(self.countries)}]")
        if self.models is not None:
            when.append(f"model: [{', '.join(self.models)}]")
        if self.methods is not None:
            when.append(f"method: [{', '.join(self.methods)}]")
        if self.ending is not None:
            when.append(f"path: /s/*/{self.ending}")
        status = f"\n    status: {self.status}" if self.action == "deny" else ""
        return (
            f"  - name: {self.name}\n    when: {{ {', '.join(when)} }}\n"
            f"    then: {self.action}{status}\n"
        )


@dataclass(frozen=True)
class Variant:
    """One good policy.

    Attributes:
        store: what `on_error.store` says.
        rules: in order.
        text: as a file.
    """

    store: str
    rules: tuple[Rule, ...]
    text: str

    @property
    def digest(self) -> str:
        """As decisions name it."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:12]


def _some(chance: random.Random, of: tuple[str, ...], most: int) -> tuple[str, ...]:
    return tuple(sorted(chance.sample(of, chance.randint(1, most))))


def _rule(chance: random.Random, number: int) -> Rule:
    while True:
        rule = Rule(
            name=f"rule-{number}",
            networks=_some(chance, NETWORKS, 4) if chance.random() < 0.6 else None,
            countries=_some(chance, COUNTRIES, 2) if chance.random() < 0.4 else None,
            models=_some(chance, MODELS, 2) if chance.random() < 0.3 else None,
            methods=_some(chance, ("DELETE", "GET", "POST"), 1) if chance.random() < 0.2 else None,
            ending=chance.choice(ENDINGS) if chance.random() < 0.3 else None,
            action="deny" if chance.random() < 0.7 else "allow",
            status=chance.choice(STATUSES),
        )  # fmt: skip
        # One thing it looks at would leave little to whatever comes after.
        if rule.networks or (rule.countries and (rule.models or rule.ending)):
            return rule


def variant(number: int) -> Variant:
    """Good policy number `number`, always the same."""
    chance = random.Random(f"policy {number}")
    while True:
        store = chance.choice(("deny", "local"))
        rules = tuple(_rule(chance, place) for place in range(chance.randint(3, 8)))
        text = (
            HEAD.format(store=store, burst=BURST) + "rules:\n"
            + "".join(rule.text() for rule in rules) + f"# {number}\n"
        )  # fmt: skip
        policy, _ = check_policy(text.encode(), "soak.yaml")
        if policy is not None:
            return Variant(store, rules, text)


def bad(number: int) -> bytes:
    """Bad policy number `number`: never taken into use."""
    good = variant(10_000_000 + number).text
    ways = (
        good.replace("version: 1", "version: 2"),
        good.replace("then: deny", "then: denny", 1).replace("then: allow", "then: alow", 1),
        good + "mode: shadow\n",
        good[: len(good) // 2] + "{[",
        good.replace("requests: 60/minute", "requests: many"),
        good.replace("rules:", "rulez:"),
        good.replace("30.", "300.", 1) + "x: 1\n",
        good + "rules: *anchor\n",
        "",
        "\0" * 4096,
    )
    return ways[number % len(ways)].encode()


def database(version: int) -> bytes:
    """A network database; two versions in a row differ in every address."""
    ranges = [parse_range(f"30.{octet}.0.0/16") for octet in range(256)]
    values = [
        {"country": {"iso_code": COUNTRIES[(octet + version) % len(COUNTRIES)]}}
        for octet in range(256)
    ]
    return write_mmdb(
        [(*span, place) for place, span in enumerate(ranges)], values,
        database_type="GeoLite2-Country", description="soak", build_epoch=1 + version, ip_version=4,
    )  # fmt: skip


def country_in(version: int, address: str) -> str:
    """What that database says."""
    octet = ipaddress.IPv4Address(address).packed[1]
    return COUNTRIES[(octet + version) % len(COUNTRIES)]


def broken(number: int) -> bytes:
    """Broken database number `number`: never taken into use."""
    whole = database(number)
    ways = (
        b"",
        whole[: len(whole) // 2],
        whole[:-40],
        b"\0" * len(whole),
        whole.replace(b"\xab\xcd\xefMaxMind.com", b"\xab\xcd\xefMinMaxd.com"),
    )
    return ways[number % len(ways)]
