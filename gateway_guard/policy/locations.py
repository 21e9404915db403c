"""Conditions on where a request comes from and goes: countries, networks, paths, models."""

from __future__ import annotations

import functools
import ipaddress
import re
from typing import Final
from urllib.parse import quote

from yaml.nodes import Node, ScalarNode

from gateway_guard.core.globs import model_matcher, path_matcher
from gateway_guard.core.paths import canonical
from gateway_guard.policy.countries import COUNTRIES, bad_code, is_name, is_part
from gateway_guard.policy.diagnostics import nearest, suggest
from gateway_guard.policy.reader import Findings
from gateway_guard.policy.schema import Key
from gateway_guard.policy.scope import Compiled, Scope, member
from gateway_guard.policy.shapes import IPNetwork, Networks, Patterns, Ranges, Values
from gateway_guard.policy.values import items, name_of
from gateway_guard.types import UNKNOWN, Assessment, Facts, Request


def countries(scope: Scope, node: Node, key: Key) -> Compiled | None:
    words: set[object] = set()
    good = True
    for item in items(scope.found, node):
        more = country(scope, item, unknown=True)
        good = good and more is not None
        words |= more or set()
    accepted = frozenset(words)
    return (member(key.name, accepted), Values(accepted)) if good and words else None


def country(scope: Scope, node: ScalarNode, *, unknown: bool = False) -> frozenset[str] | None:
    """The countries a word stands for: one code, a region's, or `unknown` where allowed."""
    value = node.value
    if value in COUNTRIES or (unknown and value == UNKNOWN):
        return frozenset((value,))
    if value in scope.regions:
        return scope.regions[value]
    near = nearest(value, [*scope.regions, *((UNKNOWN,) if unknown else ())])
    written = is_name(value) or is_part(value)
    if len(value) > 3 and (near is not None or "-" in value) and not written:
        hint = f"did you mean '{near}'?" if near else "define it in `regions:`"
        scope.found.at("GG203", node, f"unknown region '{value[:60]}'", hint=hint)
        return None
    better = suggest(value, (UNKNOWN,)) if unknown and value == "known" else bad_code(value)
    if not unknown and value == UNKNOWN:
        better = "a region lists countries; write `unknown` beside the region in `when`"
    scope.found.at("GG212", node, f"'{value[:60]}' is no country code", hint=better or "")
    return None


def asns(scope: Scope, node: Node, _key: Key) -> Compiled | None:
    words: set[object] = set()
    good = True
    for item in items(scope.found, node):
        digits = re.fullmatch(r"(?:AS)?(\d{1,10})", item.value, re.ASCII)
        if item.value == UNKNOWN:
            words.add(UNKNOWN)
        elif digits is not None and int(digits.group(1)) < 2**32:
            words.add(int(digits.group(1)))
        else:
            scope.found.at(
                "GG207",
                item,
                f"'{item.value[:40]}' is no AS number",
                hint="write 64500 or AS64500, at most 4294967295",
            )
            good = False
    accepted = frozenset(words)
    return (member("asn", accepted), Values(accepted)) if good and words else None


#: 6to4, Teredo, NAT64: `core.address.parse_ip` unwraps those that carry a public IPv4 address.
_TRANSITION: Final = tuple(
    ipaddress.IPv6Network(prefix) for prefix in ("2002::/16", "2001::/32", "64:ff9b::/96")
)


def network_of(found: Findings, node: ScalarNode) -> IPNetwork | None:
    """The network a CIDR or a single address spells."""
    hint = "e.g. 192.0.2.7, 10.0.0.0/8 or 2001:db8::/32"
    try:
        network = ipaddress.ip_network(node.value, strict=False)
        if "%" in node.value:
            hint = "an address with a zone has no meaning beyond its own link"
        elif network.version == 6 and network.network_address.ipv4_mapped is not None:
            hint = (
                "IPv4-mapped addresses are unwrapped before they are compared: write the IPv4 form"
            )
        elif str(network.network_address) != _address(node.value):
            hint = f"the network is {network}"
        else:
            return network
    except ValueError:
        pass
    found.at("GG213", node, f"'{node.value[:60]}' is no address or network", hint=hint)
    return None


def _address(text: str) -> str:
    """The address part of a CIDR, in canonical form."""
    return str(ipaddress.ip_address(text.partition("/")[0]))


def networks_of(found: Findings, nodes: list[ScalarNode]) -> list[IPNetwork]:
    """The good ones of a list; one within another is noted."""
    good: list[IPNetwork] = []
    ranges = Ranges()
    for node in nodes:
        network = network_of(found, node)
        if network is None:
            continue
        wider = ranges.wider(network)
        if wider is not None:
            found.at("GG217", node, f"'{node.value}' is within {wider}, which stands here too")
        if network.version == 6 and any(network.subnet_of(outer) for outer in _TRANSITION):
            found.at(
                "GG307",
                node,
                f"'{node.value}' matches no address that carries a public IPv4 address",
                hint="those are unwrapped before they are compared: write the IPv4 network",
            )
        good.append(network)
        ranges.add(network)
    return good


def networks(scope: Scope, node: Node, _key: Key) -> Compiled | None:
    nodes = items(scope.found, node)
    named = [item for item in nodes if item.value != UNKNOWN]
    unknown = len(named) < len(nodes)
    networks = networks_of(scope.found, named)
    if len(networks) < len(named) or not nodes:
        return None
    ranges = Ranges(networks)

    @functools.lru_cache(maxsize=4096)
    def inside(ip: str) -> bool:
        address = ipaddress.ip_address(ip)
        return ranges.holds(address.version, int(address))

    def client_ip(request: Request, _facts: Facts, _assessment: Assessment) -> bool:
        return unknown if request.client_ip is None else inside(request.client_ip)

    return client_ip, Networks(tuple(networks), ranges, unknown)


#: `{id}`, `<id>`, `:id`: how web frameworks write a variable segment.
_PLACEHOLDER: Final = re.compile(r"/(?:\{[^/]*\}|<[^/]*>|:[^/]*)(?:/|$)")


#: What only regular expressions have, and no path or name of a model.
_REGEX: Final = re.compile(r"^\^|\$$|\\[.dw]|\(.*\||\[.*\][*+]")


def path_patterns(found: Findings, nodes: list[ScalarNode]) -> list[str]:
    """The good path patterns of a list."""
    good: list[str] = []
    for item in nodes:
        value = item.value
        wrong = ""
        if _REGEX.search(value):
            wrong = "patterns are no regular expressions: `*` is one segment, `/**` all below"
        elif "://" in value:
            rest = value.partition("://")[2].partition("?")[0].partition("#")[0]
            wrong = f"write the path alone: /{rest.partition('/')[2]}"
        elif not value.startswith("/"):
            wrong = f"write /{value.lstrip('./')}"
        elif "?" in value or "#" in value:
            wrong = "paths are matched without query string and fragment"
        elif "//" in value or "/../" in f"{value}/" or "/./" in f"{value}/" or "\\" in value:
            wrong = "write the canonical path: no empty or dot segments, no backslash"
        elif "%" in value:
            wrong = "paths are matched percent-decoded: write the character itself"
        elif any("**" in part and part != "**" for part in value.split("/")):
            wrong = "`**` must be a whole segment: /admin/**"
        elif _PLACEHOLDER.search(value):
            wrong = "write `*` for one segment, whatever it says: /v1/models/*"
        elif canonical(quote(value.replace("*", "x")).encode()) is None:
            wrong = (
                "no path the guard reads looks like this: `;`, control characters, a dot or "
                "space at the end of a segment make it ambiguous, and `on_error.path` decides"
            )
        if wrong:
            found.at("GG219", item, f"'{value[:60]}' is no path pattern", hint=wrong)
        else:
            good.append(value)
    return good


def paths(scope: Scope, node: Node, _key: Key) -> Compiled | None:
    nodes = items(scope.found, node)
    named = [item for item in nodes if item.value != UNKNOWN]
    unknown = len(named) < len(nodes)
    patterns = path_patterns(scope.found, named)
    if len(patterns) < len(named) or not nodes:
        return None
    match = path_matcher(patterns)
    shape = Patterns(
        frozenset(p.casefold() for p in patterns) | ({UNKNOWN} if unknown else frozenset()),
        match,
        everything="/**" in patterns and unknown,
    )
    return lambda r, _f, _a: unknown if r.path is None else match(r.path), shape


def models(scope: Scope, node: Node, key: Key) -> Compiled | None:
    nodes = items(scope.found, node)
    if None in [name_of(scope.found, item, key.name, patterns=True) for item in nodes]:
        return None
    regular = [item for item in nodes if _REGEX.search(item.value)]
    for item in regular:
        hint = "patterns are no regular expressions: `*` is any characters, a list any of them"
        scope.found.at("GG203", item, f"unknown model '{item.value[:60]}'", hint=hint)
    if regular:
        return None
    named = [item.value for item in nodes if item.value != UNKNOWN]
    unknown = len(named) < len(nodes)
    if not nodes:
        return None
    match = model_matcher(named)
    shape = Patterns(
        frozenset(n.casefold() for n in named) | ({UNKNOWN} if unknown else frozenset()),
        match,
        everything="*" in named and unknown,
    )
    return lambda r, _f, _a: unknown if r.model is None else match(r.model), shape
