"""One limit of a policy: what it counts, for whom, and under which key."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from gateway_guard.core.adapt import Adapt
from gateway_guard.core.rules import Condition, Test, tests_of
from gateway_guard.types import UNKNOWN, Facts, Request

UNITS = ("requests", "tokens", "input-tokens", "output-tokens", "concurrent")
PARTS = (
    "account", "organisation", "client_ip", "subnet", "asn", "country", "model", "route",
    "campaign", "everyone",
)  # fmt: skip

#: Longest model or path that stands in a key as it is, characters; a longer one is digested,
#: because the client chooses it and the store keeps it.
_LONGEST_PART: Final = 96

#: What a request is charged under for one limit; None when the limit does not apply to it.
KeyBuilder = Callable[[Request, Facts], str | None]


class Limit(msgspec.Struct, frozen=True, kw_only=True):
    """One line of `limits:`.

    Attributes:
        name: kebab-case, unique in the policy.
        per: which parts make the key, from `PARTS`, one or more.
        unit: from `UNITS`.
        quota: units per `window`; for `concurrent` the most in flight.
        window: seconds; 0 for `concurrent`.
        burst: most units outstanding at once; the quota when not written.
        adapt: how risk, region, age and tier shrink it; None for never.
        conditions: scope (`when:`); the limit is charged only where all hold.
        shadow: rehearse only: it counts, and refuses nothing.
        rollout: share of accounts, in (0, 1], for whom it is in force; for the others it rehearses.
        where: `file:line` of its name.
        key: builds the key; always made from `name`, `unit` and `per`, whatever is given.
        rate: units regained per second before adaptation; always made from `quota` and `window`.
        tests: the tests of `conditions`; always made from them.
        hidden: whether it counts campaigns, of which no client is told; always made from `per`.
        counts: what of a request is charged: 0 the request itself, 1 its tokens, 2 those read, 3
            those written; always made from `unit`.
    """

    name: str
    per: tuple[str, ...]
    unit: str
    quota: float
    window: float
    burst: float
    adapt: Adapt | None = None
    conditions: tuple[Condition, ...] = ()
    shadow: bool = False
    rollout: float = 1.0
    where: str = ""
    key: KeyBuilder | None = None
    rate: float = 0.0
    tests: tuple[Test, ...] = ()
    hidden: bool = False
    counts: int = 0

    def __post_init__(self) -> None:
        force = msgspec.structs.force_setattr
        force(self, "key", key_builder(_counted_as(self.name, self.unit), self.per))
        force(self, "rate", self.quota / self.window if self.window > 0.0 else 0.0)
        force(self, "tests", tests_of(self.conditions))
        force(self, "hidden", "campaign" in self.per)
        force(self, "counts", _COUNTS.get(self.unit, 0))


_COUNTS: Final = {"tokens": 1, "input-tokens": 2, "output-tokens": 3}


def _counted_as(name: str, unit: str) -> str:
    """What the keys of a limit begin with: a limit that comes to count something else counts anew.

    Taken for requests, the tokens an account has used would keep it out for days.
    """
    return f"{name}/{unit}" if unit in _COUNTS else name


def limit_of(counted_as: str) -> str:
    """The name of the limit whose keys begin like this."""
    return counted_as.partition("/")[0]


#: What the keys of accounts, of requests without one, and of `_organisation` begin with.
_TAKEN: Final = ("acct_", "anonymous:", "organisation:")


def _account(request: Request, _facts: Facts) -> str:
    account = request.account
    if account is not None:
        return account
    return "anonymous:" + (request.subnet or request.client_ip or UNKNOWN)


def _organisation(request: Request, facts: Facts) -> str:
    organisation = facts.account.organisation
    if organisation is None:
        return _account(request, facts)
    # Where customers name their organisations, none may be called what somebody is charged by.
    apart = "organisation:" if organisation.startswith(_TAKEN) else ""
    return apart + _short(organisation)


def _client_ip(request: Request, _facts: Facts) -> str:
    address = request.client_ip
    if address is None:
        return UNKNOWN
    return request.subnet or address if ":" in address else address


def _subnet(request: Request, _facts: Facts) -> str:
    return request.subnet or UNKNOWN


def _asn(_request: Request, facts: Facts) -> str:
    asn = facts.network.asn
    return UNKNOWN if asn is None else f"AS{asn}"


def _country(_request: Request, facts: Facts) -> str:
    return facts.network.country or UNKNOWN


def _model(request: Request, _facts: Facts) -> str:
    model = request.model
    # Upstreams ignore case and white space: another spelling is not another quota.
    return UNKNOWN if model is None else _short(model.strip().casefold())


def _route(request: Request, _facts: Facts) -> str:
    path = request.path
    return UNKNOWN if path is None else _short(path.casefold().rstrip("/") or "/")


def _campaign(_request: Request, facts: Facts) -> str | None:
    campaign = facts.campaign
    return None if campaign is None else campaign.id


def _everyone(_request: Request, _facts: Facts) -> str:
    return "everyone"


def _short(text: str) -> str:
    if len(text) <= _LONGEST_PART:
        return text
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
    return f"{text[:32]}~{digest}"


_PART_OF: Final[dict[str, KeyBuilder]] = {
    "account": _account,
    "organisation": _organisation,
    "client_ip": _client_ip,
    "subnet": _subnet,
    "asn": _asn,
    "country": _country,
    "model": _model,
    "route": _route,
    "campaign": _campaign,
    "everyone": _everyone,
}


def key_builder(name: str, per: Sequence[str]) -> KeyBuilder:
    """The function that says under which key the limit `name` charges a request.

    A part nobody knows is spelled `unknown` (the account: `anonymous:` and the subnet), so that
    nothing goes uncounted. Different tuples of parts never give the same key.

    Raises:
        KeyError: a part is not in `PARTS`.
    """
    prefix = name + ":"
    parts = tuple(_PART_OF[part] for part in per)
    if len(parts) == 1:
        (only,) = parts
        if only is _account:

            def account(request: Request, facts: Facts) -> str | None:
                name = request.account
                return prefix + (name if name is not None else _account(request, facts))

            return account

        def single(request: Request, facts: Facts) -> str | None:
            value = only(request, facts)
            return None if value is None else prefix + value

        return single

    def several(request: Request, facts: Facts) -> str | None:
        values = []
        for part in parts:
            value = part(request, facts)
            if value is None:
                return None
            # The client chooses model and path; a separator in them must not forge another tuple.
            if "|" in value or "%" in value:
                value = value.replace("%", "%25").replace("|", "%7C")
            values.append(value)
        return prefix + "|".join(values)

    return several
