"""What each vendor's records mean, in our words.

A file is recognised by the keys of a sample of its records and, where those are ambiguous, by a
word in its `database_type`; never by equality, because vendors rename editions and converters
invent names. Every rule below was read out of a vendor's sample file or documentation:

- MaxMind Country, City, Enterprise, ISP, ASN, Anonymous-IP, Anonymous-Plus, IP-Risk,
  Residential-Proxy. `is_anonymous` is no flag of ours: MaxMind sets it for plain hosting.
- IPinfo Lite, country/ASN (old), Core, Plus, Privacy (old: text `'true'` or `''`; new: booleans;
  extended), Residential Proxy. `country` is a *name* in Lite, a *code* in the old file, and in the
  ASN file the country of the AS.
- DB-IP native (MaxMind's shape) and the flat npm editions; IP2Location (MaxMind's shape).
- IP2Proxy columns as flat keys, `-` for missing. `DCH` (data centre) is hosting, not a proxy;
  `CPN` (consumer privacy network, such as iCloud Private Relay) is a relay, not a VPN.
- Our own merged file: `country_code`, `asn`, `as_org`, `flags` (bits in `NETWORK_FLAGS`' order).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from gateway_guard.network.build import DATABASE_TYPE
from gateway_guard.policy import countries
from gateway_guard.types import NETWORK_FLAGS

#: (country, asn, as_org, flag bits); what a record does not tell is None or 0.
Reading = tuple[str | None, int | None, str | None, int]

#: Kinds of facts, as bits: which a file holds.
COUNTRY: Final = 1
ASN: Final = 2
FLAGS: Final = 4

_BIT: Final = {flag: 1 << at for at, flag in enumerate(NETWORK_FLAGS)}
#: Every combination of flags as the set that `NetworkFacts` shows.
FLAG_SETS: Final = tuple(
    frozenset(flag for flag in NETWORK_FLAGS if bits & _BIT[flag])
    for bits in range(1 << len(NETWORK_FLAGS))
)

#: Boolean keys, by those who write them: MaxMind, IPinfo old and new. Vendors leave out what is not
#: true, and a sample of two thousand nodes can miss what a thousand addresses of millions are (Tor
#: exits): so where one key of a family was seen, all of them are looked for.
_FLAG_FAMILIES: Final = (
    {
        "is_anonymous": 0,  # any of the others, plain hosting too: no flag of ours
        "is_anonymous_vpn": _BIT["vpn"],
        "is_public_proxy": _BIT["proxy"],
        "is_residential_proxy": _BIT["residential"],
        "is_tor_exit_node": _BIT["tor"],
        "is_hosting_provider": _BIT["hosting"],
        "is_anonymous_proxy": _BIT["proxy"],  # City and Enterprise of years ago
    },
    {
        "hosting": _BIT["hosting"],
        "proxy": _BIT["proxy"],
        "relay": _BIT["relay"],
        "tor": _BIT["tor"],
        "vpn": _BIT["vpn"],
    },
    {
        "is_hosting": _BIT["hosting"],
        "is_proxy": _BIT["proxy"],
        "is_relay": _BIT["relay"],
        "is_tor": _BIT["tor"],
        "is_vpn": _BIT["vpn"],
    },
)
_FLAG_KEYS: Final = frozenset(
    key for family in _FLAG_FAMILIES for key, bit in family.items() if bit
)
_PROXY_TYPES: Final = {
    "VPN": _BIT["vpn"],
    "TOR": _BIT["tor"],
    "PUB": _BIT["proxy"],
    "WEB": _BIT["proxy"],
    "DCH": _BIT["hosting"],
    "RES": _BIT["residential"],
    "CPN": _BIT["relay"],
}
#: Keys whose word `hosting` (or `DCH`) says that the address is in a data centre.
_USE_KEYS: Final = ("user_type", "usage_type", "as_type")
#: Presence in such a file means "residential proxy"; these are all the keys it has.
_RESIDENTIAL_MAXMIND: Final = frozenset(
    ("anonymizer_confidence", "network_last_seen", "provider_name")
)


#: Keys of what our compiler writes.
_OWN_KEYS: Final = frozenset(("country_code", "asn", "as_org", "flags"))


class _OwnRecord(msgspec.Struct):
    country_code: str | None = None
    asn: int | None = None
    as_org: str | None = None
    flags: int = 0


class Adapter(msgspec.Struct, frozen=True, kw_only=True):
    """How to read one file's records.

    Attributes:
        kind: in words, for `describe` and messages.
        holds: bits of `COUNTRY`, `ASN`, `FLAGS`.
        read: record → reading; total over anything an MMDB can hold.
    """

    kind: str
    holds: int
    read: Callable[[Any], Reading]


def recognise(database_type: str, sample: Sequence[Any]) -> Adapter | None:
    """The adapter for a file, or None when its records tell nothing the guard wants."""
    keys: set[str] = set()
    trait_keys: set[str] = set()
    for record in sample:
        if isinstance(record, Mapping):
            keys.update(record)
            traits = record.get("traits")
            if isinstance(traits, Mapping):
                trait_keys.update(traits)
    lowered = database_type.lower()
    if _is_own(database_type, keys, sample):
        # What the sample shows. `read` finds more: a few flagged addresses among many countries.
        holds = (COUNTRY if "country_code" in keys else 0) | (ASN if "asn" in keys else 0)
        holds |= FLAGS if "flags" in keys or not holds else 0
        return Adapter(kind="gateway-guard", holds=holds, read=_read_own)
    if (keys and keys <= _RESIDENTIAL_MAXMIND) or (
        "percent_days_seen" in keys and not keys & _FLAG_KEYS
    ):
        return Adapter(kind="residential proxies", holds=FLAGS, read=_read_residential)
    if "residential" in lowered and "proxy" in lowered and not keys & _FLAG_KEYS:
        return Adapter(kind="residential proxies", holds=FLAGS, read=_read_residential)
    return _compose(lowered, keys, trait_keys)


def _is_own(database_type: str, keys: set[str], sample: Sequence[Any]) -> bool:
    """Whether these are records of our compiler, so sound that `_read_own` need not look."""
    if not (database_type == DATABASE_TYPE or "flags" in keys) or not keys <= _OWN_KEYS:
        return False
    try:
        for record in sample:
            msgspec.convert(record, _OwnRecord)
    except msgspec.ValidationError:
        return False
    return True


def _compose(lowered: str, keys: set[str], trait_keys: set[str]) -> Adapter | None:
    # In a file about AS numbers `country` is where the AS is registered, not where the address is.
    about_systems = "route" in keys or {"asn", "name"} <= keys
    country = (
        _flat_country if "country_code" in keys else _nested_country if "country" in keys else None
    )
    if about_systems:
        country = None
    asn: Callable[[Mapping[str, Any]], tuple[int | None, str | None]] | None = None
    nested = False
    if keys & {"autonomous_system_number", "asn"}:
        asn = _system
    elif "autonomous_system_number" in trait_keys:
        asn, nested = _system, True
    # An Anonymous-IP file of nothing but `is_anonymous` in the sample still is one.
    flag_keys = _flag_keys(keys | {"is_anonymous"} if "anonymous" in lowered else keys)
    trait_flags = _flag_keys(trait_keys)
    uses: tuple[str, ...] = tuple(key for key in _USE_KEYS if key in keys)
    if about_systems and "type" in keys:
        uses = (*uses, "type")
    trait_uses = tuple(key for key in _USE_KEYS if key in trait_keys)
    types = "proxy_type" in keys
    flags = bool(flag_keys or trait_flags or uses or trait_uses or types)
    holds = (COUNTRY if country else 0) | (ASN if asn else 0) | (FLAGS if flags else 0)
    if not holds:
        return None

    def read(record: Any) -> Reading:
        if not isinstance(record, Mapping):
            return None, None, None, 0
        traits = record.get("traits") if trait_keys else None
        if not isinstance(traits, Mapping):
            traits = {}
        code = country(record) if country is not None else None
        number, org = asn(traits if nested else record) if asn is not None else (None, None)
        bits = _bits(record, flag_keys, uses) | _bits(traits, trait_flags, trait_uses)
        if types:
            bits |= proxy_type(record.get("proxy_type"))
        return code, number, org, bits

    return Adapter(kind=_family(lowered, keys), holds=holds, read=read)


def _flag_keys(seen: set[str]) -> tuple[tuple[str, int], ...]:
    """Keys to look for, with their bits: those of each family of which one was `seen`."""
    return tuple(
        (key, bit)
        for family in _FLAG_FAMILIES
        if not seen.isdisjoint(family)
        for key, bit in family.items()
        if bit
    )


def _family(lowered: str, keys: set[str]) -> str:
    if "proxy_type" in keys:
        return "IP2Proxy"
    if lowered.startswith("ipinfo"):
        return "IPinfo"
    if lowered.startswith("dbip"):
        return "DB-IP"
    if lowered.startswith(("geoip", "geolite")):
        return "MaxMind or alike"
    return "recognised by its keys"


def _read_own(record: Any) -> Reading:
    get = record.get
    return get("country_code"), get("asn"), get("as_org"), get("flags", 0)


def _read_residential(record: Any) -> Reading:  # noqa: ARG001 - being listed is the message
    return None, None, None, _BIT["residential"]


def _code(value: Any) -> str | None:
    """`value` when it is an ISO 3166-1 alpha-2 code, else None (a name, a dash, '', EU, no)."""
    return countries.known(value) if isinstance(value, str) else None


def _flat_country(record: Mapping[str, Any]) -> str | None:
    return _code(record.get("country_code"))


def _nested_country(record: Mapping[str, Any]) -> str | None:
    country = record.get("country")
    if isinstance(country, Mapping):
        return _code(country.get("iso_code"))
    return _code(country)


def _system(record: Mapping[str, Any]) -> tuple[int | None, str | None]:
    get = record.get
    number = get("autonomous_system_number")
    if number is None:
        number = get("asn")
        org = get("as_org") or get("as_name") or get("as") or get("name")
    else:
        org = get("autonomous_system_organization")
    if isinstance(number, str):
        digits = number[2:] if number[:2].upper() == "AS" else number
        number = int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 11 else None
    if not isinstance(number, int) or isinstance(number, bool) or not 0 < number < 1 << 32:
        return None, None
    return number, org if isinstance(org, str) and org not in {"", "-"} else None


def _true(value: Any) -> bool:
    return (
        value is True
        or (isinstance(value, str) and value.lower() in {"true", "1"})
        or (isinstance(value, int) and value == 1)
    )


def _bits(
    record: Mapping[str, Any], flag_keys: tuple[tuple[str, int], ...], uses: tuple[str, ...]
) -> int:
    bits = 0
    for key, bit in flag_keys:
        value = record.get(key)
        if value and _true(value):
            bits |= bit
    for key in uses:
        use = record.get(key)
        if isinstance(use, str) and (use.lower() == "hosting" or "DCH" in use.split("/")):
            bits |= _BIT["hosting"]
    return bits


def proxy_type(value: Any) -> int:
    """The flag bits of one of IP2Proxy's types, or of several joined by `/`."""
    if not isinstance(value, str):
        return 0
    bits = 0
    for word in value.split("/"):
        bits |= _PROXY_TYPES.get(word.strip().upper(), 0)
    return bits
