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
- Spur's contexts: tunnels by type, `infrastructure`, proxies on the clients behind an address.
- Answers of web services kept as MMDB (IPinfo Max, MaxMind Insights, ip-api, ipapi.is, ipdata,
  ipregistry, IPLocate, ipgeolocation.io): facts in maps such as `geo`, `as`, `security`.
- Our own merged file: `country_code`, `asn`, `as_org`, `flags` (bits in `NETWORK_FLAGS`' order).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from gateway_guard.network.build import DATABASE_TYPE
from gateway_guard.network.flags import (
    FLAG_KEYS,
    FLAG_NAMES,
    RESIDENTIAL,
    USE_KEYS,
    context_bits,
    key_bits,
    proxy_type,
    use_bits,
)
from gateway_guard.policy import countries

#: (country, asn, as_org, flag bits); what a record does not tell is None or 0.
Reading = tuple[str | None, int | None, str | None, int]

#: Kinds of facts, as bits: which a file holds.
COUNTRY: Final = 1
ASN: Final = 2
FLAGS: Final = 4

#: Presence in such a file means "residential proxy"; these are all the keys it has.
_RESIDENTIAL_MAXMIND: Final = frozenset(
    ("anonymizer_confidence", "network_last_seen", "provider_name")
)
#: Keys that hold a country as a code, a name (which is no answer) or a map; the surest first.
_COUNTRY_KEYS: Final = (
    *("country_code", "countryCode", "country_code2", "country_iso_code", "country"),
)
#: Keys of the code in a map under one of those.
_CODE_KEYS: Final = ("iso_code", "code")
#: Keys that hold the number of an AS, and for each those of its name beside it: where MaxMind knows
#: no name, `organization` is whose network in it that is.
_SYSTEM_KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "autonomous_system_number": ("autonomous_system_organization",),
    "asn": ("as_org", "as_name", "asname", "as", "name", "organization", "org"),
    "number": ("organization", "name"),
    "as": ("asname",),
}
#: Maps that hold facts, by what is looked for in them.
_PLACES: Final = frozenset(("geo", "location"))
_SYSTEMS: Final = frozenset(("as", "asn", "connection", "traits"))
_FLAGGED: Final = frozenset(
    ("anonymous", "anonymizer", "privacy", "security", "threat", "traits", "connection")
)
_MAPS: Final = _PLACES | _SYSTEMS | _FLAGGED
#: Keys of one of Spur's contexts.
_CONTEXT: Final = frozenset(("tunnels", "infrastructure"))

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
    shapes = _shapes(sample)
    keys = shapes[None]
    lowered = database_type.lower()
    if _is_own(database_type, keys, sample):
        # What the sample shows. `read` finds more: a few flagged addresses among many countries.
        holds = (COUNTRY if "country_code" in keys else 0) | (ASN if "asn" in keys else 0)
        holds |= FLAGS if "flags" in keys or not holds else 0
        return Adapter(kind="gateway-guard", holds=holds, read=_read_own)
    flagged = not keys.isdisjoint(FLAG_NAMES)
    if (keys and keys <= _RESIDENTIAL_MAXMIND) or ("percent_days_seen" in keys and not flagged):
        return Adapter(kind="residential proxies", holds=FLAGS, read=_read_residential)
    if "residential" in lowered and "proxy" in lowered and not flagged:
        return Adapter(kind="residential proxies", holds=FLAGS, read=_read_residential)
    return _compose(lowered, shapes)


def _shapes(sample: Sequence[Any]) -> dict[str | None, set[str]]:
    """Keys of the records (under None), and of the maps in them that may hold facts."""
    shapes: dict[str | None, set[str]] = {None: set()}
    for record in sample:
        if not isinstance(record, Mapping):
            continue
        shapes[None].update(record)
        for name, value in record.items():
            if name in _MAPS and isinstance(value, Mapping):
                shapes.setdefault(name, set()).update(value)
    return shapes


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


class _Part(msgspec.Struct, frozen=True, kw_only=True):
    """What to read in a record, or in one map of it.

    Attributes:
        name: the map's key; None for the record itself.
        countries: keys that may hold the country, the surest first.
        system: whether it holds the number of an AS.
        flags: whether it has keys that are true or not.
        uses: keys whose word may be `hosting`.
        types: whether it has one of IP2Proxy's types.
        context: whether it is one of Spur's contexts.
    """

    name: str | None
    countries: tuple[str, ...] = ()
    system: bool = False
    flags: bool = False
    uses: tuple[str, ...] = ()
    types: bool = False
    context: bool = False

    @property
    def holds(self) -> int:
        """Bits of `COUNTRY`, `ASN`, `FLAGS`."""
        flags = self.flags or self.uses or self.types or self.context
        return (
            (COUNTRY if self.countries else 0)
            | (ASN if self.system else 0)
            | (FLAGS if flags else 0)
        )


def _part(name: str | None, keys: set[str], lowered: str) -> _Part:
    # In a file about AS numbers `country` is where the AS is registered, not where the address is.
    about_systems = name is None and ("route" in keys or {"asn", "name"} <= keys)
    plain = name is None
    # `type` is the kind of an AS only where the AS is what is spoken of.
    typed = about_systems or name in _SYSTEMS
    return _Part(
        name=name,
        countries=tuple(
            key
            for key in _COUNTRY_KEYS
            if key in keys and not about_systems and (plain or name in _PLACES)
        ),
        system=(plain or name in _SYSTEMS)
        and not keys.isdisjoint(_SYSTEM_KEYS.keys() - ({"number"} if plain else set())),
        # An Anonymous-IP file of nothing but `is_anonymous` in the sample still is one.
        flags=(plain or name in _FLAGGED)
        and ((plain and "anonymous" in lowered) or not keys.isdisjoint(FLAG_KEYS)),
        uses=tuple(key for key in USE_KEYS if key in keys)
        + (("type",) if typed and "type" in keys else ()),
        types=plain and "proxy_type" in keys,
        context=plain and not keys.isdisjoint(_CONTEXT),
    )


def _compose(lowered: str, shapes: Mapping[str | None, set[str]]) -> Adapter | None:
    parts = tuple(
        part for name, keys in shapes.items() if (part := _part(name, keys, lowered)).holds
    )
    holds = 0
    for part in parts:
        holds |= part.holds
    if not holds:
        return None

    def read(record: Any) -> Reading:
        code = number = org = None
        bits = 0
        if not isinstance(record, Mapping):
            return None, None, None, 0
        for part in parts:
            inner = record if part.name is None else record.get(part.name)
            if not isinstance(inner, Mapping):
                continue
            if code is None and part.countries:
                code = _country(inner, part.countries)
            if number is None and part.system:
                number, org = _system(inner)
            bits |= _bits(inner, part)
        return code, number, org, bits

    return Adapter(kind=_family(lowered, shapes[None]), holds=holds, read=read)


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
    return None, None, None, RESIDENTIAL


def _code(value: Any) -> str | None:
    """`value` when it is an ISO 3166-1 alpha-2 code, else None (a name, a dash, '', EU, no)."""
    return countries.known(value) if isinstance(value, str) else None


def _country(record: Mapping[str, Any], keys: tuple[str, ...]) -> str | None:
    for key in keys:
        value = record.get(key)
        if isinstance(value, Mapping):
            value = next((value[name] for name in _CODE_KEYS if name in value), None)
        if (code := _code(value)) is not None:
            return code
    return None


def _system(record: Mapping[str, Any]) -> tuple[int | None, str | None]:
    for key, names in _SYSTEM_KEYS.items():
        number, behind = _number(record.get(key))
        if number is not None:
            for org in (behind, *map(record.get, names)):
                if isinstance(org, str) and org not in {"", "-"}:
                    return number, org
            return number, None
    return None, None


def _number(value: Any) -> tuple[int | None, str]:
    """The number of an AS, and what is said behind it (`AS64496 Example`)."""
    rest = ""
    if isinstance(value, str):
        word, _, rest = value.partition(" ")
        named = word[:2].upper() == "AS"
        # Where more is said it may be a name that begins with a number.
        digits = word[2:] if named else "" if rest else word
        value = int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 11 else None
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # as converters from JSON write it
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 1 << 32:
        return None, ""
    return value, rest.strip()


def _bits(record: Mapping[str, Any], part: _Part) -> int:
    bits = key_bits(record) if part.flags else 0
    if part.uses:
        bits |= use_bits(record, part.uses)
    if part.types:
        bits |= proxy_type(record.get("proxy_type"))
    if part.context:
        bits |= context_bits(record)
    return bits
