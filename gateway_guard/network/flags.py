"""What vendors say of an address in many words, as our flags.

Keys of truth values, types, tunnels: every spelling below was read out of a vendor's sample file or
documentation. Flags are handled as bits, in the order of `NETWORK_FLAGS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gateway_guard.types import NETWORK_FLAGS

_BIT: Final = {flag: 1 << at for at, flag in enumerate(NETWORK_FLAGS)}
HOSTING: Final = _BIT["hosting"]
RESIDENTIAL: Final = _BIT["residential"]
_PROXY, _RELAY, _TOR, _VPN = _BIT["proxy"], _BIT["relay"], _BIT["tor"], _BIT["vpn"]


def _shown(bits: int) -> frozenset[str]:
    # A relay's operator publishes its addresses one by one, and lists of VPNs hold them, too
    # (X4BNet's has all of Apple's): whoever calls through a relay is no stranger behind a VPN, and
    # the lists may come from different files of different days.
    if bits & _RELAY:
        bits &= ~_VPN
    return frozenset(flag for flag in NETWORK_FLAGS if bits & _BIT[flag])


#: Every combination of bits as the set that `NetworkFacts` shows. A relay is never a VPN.
FLAG_SETS: Final = tuple(map(_shown, range(1 << len(NETWORK_FLAGS))))

#: Keys that are true or not. Vendors leave out what is not true, and a sample of two thousand nodes
#: can miss what a thousand addresses of millions are (Tor exits): so where one of these keys was
#: seen, all of them are looked for.
FLAG_KEYS: Final[Mapping[str, int]] = {
    # MaxMind. `is_anonymous` is any of the others, plain hosting too: no flag of ours.
    "is_anonymous": 0,
    "is_anonymous_vpn": _VPN,
    "is_public_proxy": _PROXY,
    "is_residential_proxy": RESIDENTIAL,
    "is_tor_exit_node": _TOR,
    "is_hosting_provider": HOSTING,
    "is_anonymous_proxy": _PROXY,  # City and Enterprise of years ago
    # IPinfo Privacy; ip-api and what follows it
    "hosting": HOSTING,
    "proxy": _PROXY,
    "relay": _RELAY,
    "tor": _TOR,
    "vpn": _VPN,
    # IPinfo Core, Plus and Max
    "is_hosting": HOSTING,
    "is_proxy": _PROXY,
    "is_relay": _RELAY,
    "is_res_proxy": RESIDENTIAL,
    "is_tor": _TOR,
    "is_vpn": _VPN,
    # ipapi.is, ipdata, ipregistry, ipgeolocation.io, IP2Location.io
    "is_cloud_provider": HOSTING,
    "is_data_center": HOSTING,
    "is_datacenter": HOSTING,
    "is_web_proxy": _PROXY,
    "is_consumer_privacy_network": _RELAY,
    "is_icloud_relay": _RELAY,
    "is_tor_exit": _TOR,
}

#: Those that are a flag of ours.
FLAG_NAMES: Final = frozenset(key for key, bit in FLAG_KEYS.items() if bit)

#: Keys whose word `hosting` (or `DCH`) says that the address is in a data centre.
USE_KEYS: Final = ("user_type", "usage_type", "as_type")

_PROXY_TYPES: Final = {
    "VPN": _VPN,
    "TOR": _TOR,
    "PUB": _PROXY,
    "WEB": _PROXY,
    "DCH": HOSTING,
    "RES": RESIDENTIAL,
    "CPN": _RELAY,
}
#: Of Spur's tunnels. `REMOTE_DESKTOP` is none of ours.
_TUNNELS: Final = {"VPN": _VPN, "TOR": _TOR, "PROXY": _PROXY}
_TRUE: Final = frozenset(("true", "1", "yes"))


def true(value: Any) -> bool:
    """Whether `value` says yes: a boolean, 1, or the words for it."""
    if isinstance(value, str):
        return value.lower() in _TRUE
    return isinstance(value, int | float) and value == 1


def key_bits(record: Mapping[str, Any]) -> int:
    """Flags of the `FLAG_KEYS` that are true in `record`."""
    bits = 0
    for key in FLAG_NAMES.intersection(record):
        if true(record[key]):
            bits |= FLAG_KEYS[key]
    return bits


def use_bits(record: Mapping[str, Any], uses: tuple[str, ...]) -> int:
    """Hosting, when a key of `uses` says so."""
    for key in uses:
        use = record.get(key)
        if isinstance(use, str) and (use.lower() == "hosting" or "DCH" in use.split("/")):
            return HOSTING
    return 0


def proxy_type(value: Any) -> int:
    """The flag bits of one of IP2Proxy's types, or of several joined by `/`."""
    if not isinstance(value, str):
        return 0
    bits = 0
    for word in value.split("/"):
        bits |= _PROXY_TYPES.get(word.strip().upper(), 0)
    return bits


def context_bits(record: Mapping[str, Any]) -> int:
    """Flags of one of Spur's contexts: its tunnels, its infrastructure, the proxies on its clients.

    A tunnel that is said not to be anonymous (a company's) flags nothing; one whose operator is
    called a relay is that and not the proxy or VPN that it is filed under.
    """
    bits = HOSTING if record.get("infrastructure") == "DATACENTER" else 0
    tunnels = record.get("tunnels")
    for tunnel in tunnels if isinstance(tunnels, list) else ():
        if not isinstance(tunnel, Mapping) or not true(tunnel.get("anonymous", True)):
            continue
        kind, operator = tunnel.get("type"), tunnel.get("operator")
        if isinstance(operator, str) and "RELAY" in operator.upper().split("_"):
            bits |= _RELAY
        elif isinstance(kind, str):
            bits |= _TUNNELS.get(kind.upper(), 0)
    client = record.get("client")
    proxies = client.get("proxies") if isinstance(client, Mapping) else None
    return bits | RESIDENTIAL if isinstance(proxies, list) and proxies else bits
