"""Envoy's rate-limit service: limits of the policy, asked for by name. Pure.

A descriptor of the domain `gateway_guard` names one limit and says what that limit counts by:

| entry | value |
| --- | --- |
| `limit` | name of a limit in the policy; required |
| `account` | the guard's name of the account, `acct_…`, as in the metadata of the authorisation |
| `credential` | or the value of `Authorization` or of a key's own header, digested at once; may
come once for each header |
| `remote_address` | the client's address; network facts follow from it |
| `model`, `path` | as the client asks for them |

Everything the limit counts by (`per`) must be there: address, /24 and network for `client_ip`,
`subnet`, `asn` and `country`; the account for `organisation`. Where an address is there, who shows
no credential counts by that, and so does who shows one that cannot be read, or two. No credential
makes a descriptor one that is not understood. The bucket is the very one that the same limit fills
behind the other frontends. `hits_addend` units are charged, 1 by default; an explicit 0 of a
descriptor charges nothing and is over only where the limit is overdrawn. All descriptors are
charged, or none.

Not understood, hence OK and counted (`Asked.unknown`): other domains, descriptors without a limit,
limits the policy does not have, limits per campaign and limits on concurrency (nobody would say
when a request has ended), and a limit whose `when` does not hold for what the descriptor says.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec
from google.protobuf.message import DecodeError

from gateway_guard.core import dialects, paths
from gateway_guard.core.address import parse_ip, subnet_of
from gateway_guard.core.credentials import ACCOUNT, Credential, read_credential
from gateway_guard.core.limits import charge_for
from gateway_guard.core.policy import Policy
from gateway_guard.frontends.envoy.api import RateLimitRequest, RateLimitResponse
from gateway_guard.frontends.extauth.original import Misasked
from gateway_guard.types import (
    Assessment,
    Charge,
    Dialect,
    Facts,
    Grant,
    Request,
)

DOMAIN: Final = b"gateway_guard"
#: `RateLimitResponse.Code`.
_OK, _OVER = 1, 2
#: Seconds of a window → `RateLimitResponse.RateLimit.Unit`; other windows cannot be said.
_UNITS: Final = {1.0: 1, 60.0: 2, 3600.0: 3, 86_400.0: 4, 604_800.0: 7}
_MOST: Final = 2**32 - 1
#: Entry → part of a limit that it makes known.
_GIVES: Final[Mapping[bytes, tuple[str, ...]]] = {
    b"account": ("account", "organisation"),
    b"credential": ("account", "organisation"),
    # Whoever is not known counts by the network, here as everywhere.
    b"remote_address": ("client_ip", "subnet", "asn", "country", "account", "organisation"),
    b"model": ("model",),
    b"path": ("route",),
}
_NOT_ASSESSED: Final = Assessment()

#: What is known about a request: `Facts` from its address and account.
Enrich = Callable[[Request], Facts]
#: The account a credential belongs to: `Guard.account_of`.
AccountOf = Callable[[bytes], str]


class Row(msgspec.Struct, frozen=True, gc=False):
    """One descriptor.

    Attributes:
        charge: what it asks of its limit; None when it is not understood.
        request: what it says; None likewise.
        why: what was not understood; empty otherwise.
    """

    charge: Charge | None = None
    request: Request | None = None
    why: str = ""


class Asked(msgspec.Struct, frozen=True, gc=False):
    """One question: its descriptors, and the charges they come to, one for each bucket.

    Attributes:
        id: of the reservation.
        rows: one for each descriptor, same order.
        charges: what to reserve: all or nothing.
    """

    id: str
    rows: tuple[Row, ...]
    charges: tuple[Charge, ...]

    @property
    def unknown(self) -> list[str]:
        """What was not understood, a sentence for each descriptor."""
        return [row.why for row in self.rows if row.charge is None]


def asked(
    message: bytes, policy: Policy, enrich: Enrich, *, id: str, at: float, account_of: AccountOf
) -> Asked | Misasked:
    """What a serialised `RateLimitRequest` asks of the policy's limits.

    `id` and `at` (Unix seconds) are the request's; `account_of` names the accounts of credentials.
    `enrich` is asked once for each descriptor that is understood.
    """
    try:
        said = RateLimitRequest.FromString(message)
    except DecodeError:
        return Misasked("the question is no RateLimitRequest")
    if said.domain != DOMAIN:
        why = f"the domain is not {DOMAIN.decode()!r}"
        return Asked(id, tuple(Row(why=why) for _ in said.descriptors), ())
    rows = []
    for descriptor in said.descriptors:
        hits = said.hits_addend or 1
        if descriptor.HasField("hits_addend"):
            hits = descriptor.hits_addend.value
        entries = {entry.key: entry.value for entry in descriptor.entries}
        shown = [entry.value for entry in descriptor.entries if entry.key == b"credential"]
        rows.append(_row(entries, shown, float(hits), policy, enrich, id, at, account_of))
    return Asked(id, tuple(rows), _together(rows))


def _row(
    entries: Mapping[bytes, bytes], shown: Sequence[bytes], hits: float, policy: Policy,
    enrich: Enrich, id: str, at: float, account_of: AccountOf,
) -> Row:  # fmt: skip
    name = entries.get(b"limit", b"").decode("utf-8", "replace")
    limit = next((limit for limit in policy.charged if limit.name == name), None)
    if limit is None:
        if any(limit.name == name for limit in policy.limits):
            return Row(why=f"limit {name!r} only rehearses (mode: shadow)")
        return Row(why=f"the policy has no limit {name!r}" if name else "no entry names a limit")
    if limit.unit == "concurrent":
        return Row(why=f"limit {name!r} counts requests in flight, whose end nobody reports here")
    given = {part for key in entries for part in _GIVES.get(key, ())} | {"everyone"}
    missing = [part for part in limit.per if part not in given]
    if missing:
        return Row(why=f"limit {name!r} counts by {', '.join(missing)}, which no entry says")
    request = _request(entries, shown, policy, id, at, account_of)
    if isinstance(request, str):
        return Row(why=request)
    facts = enrich(request)
    charge: Charge | None = None
    if all(test(request, facts, _NOT_ASSESSED) for test in limit.tests):
        charge = charge_for(limit, hits, request, facts, _NOT_ASSESSED)
    if charge is None:
        return Row(why=f"limit {name!r} does not apply to what the descriptor says")
    return Row(charge, request)


def _shown(credentials: Sequence[bytes], account_of: AccountOf) -> str | None:
    """The account of who shows `credentials`; None where they name none, or two."""
    accounts = set()
    for value in credentials:
        # Read as the authorisation reads it, so that it is the same account.
        read = read_credential(b"authorization", [value])
        if read is not None:
            accounts.add(account_of(read.token) if isinstance(read, Credential) else None)
    return accounts.pop() if len(accounts) == 1 else None


def _request(
    entries: Mapping[bytes, bytes], shown: Sequence[bytes], policy: Policy, id: str, at: float,
    account_of: AccountOf,
) -> Request | str:  # fmt: skip
    """What the entries say, as a request; a sentence where Envoy wrote one that cannot be read."""
    account: str | None = None
    if b"account" in entries:
        account = entries[b"account"].decode("ascii", "replace")
        # Exactly: directories are asked about it by URL.
        if ACCOUNT.fullmatch(account) is None:
            return "an account is not one of the guard's names (acct_…); is it a credential?"
    else:
        account = _shown(shown, account_of)
    address: str | None = None
    if b"remote_address" in entries:
        address = parse_ip(entries[b"remote_address"].decode("ascii", "replace"))
        if address is None:
            return "a remote_address is none"
    path: str | None = None
    dialect: Dialect | None = None
    if b"path" in entries:
        path = paths.canonical(entries[b"path"].partition(b"?")[0])
        if path is not None:
            routes = dialects.compile_routes(policy.identify.model_routes)
            dialect = dialects.route(path, routes)
    model = entries.get(b"model")
    return Request(
        id=id, at=at, method="", path=path, dialect=dialect or Dialect.OTHER,
        model_route=dialect is not None, client_ip=address, account=account,
        model=None if model is None else model.decode("utf-8", "replace"),
        subnet=None if address is None else subnet_of(address),
    )  # fmt: skip


def _together(rows: Sequence[Row]) -> tuple[Charge, ...]:
    """The charges of all descriptors; those of one bucket as one."""
    charges: dict[str, Charge] = {}
    for row in rows:
        charge = row.charge
        if charge is not None:
            same = charges.get(charge.key)
            if same is not None:
                charge = msgspec.structs.replace(charge, cost=charge.cost + same.cost)
            charges[charge.key] = charge
    return tuple(charges.values())


def limit_response(
    asked: Asked, grants: Sequence[Grant], *, over: bool,
    headers: Sequence[tuple[bytes, bytes]] = (), body: bytes = b"",
) -> bytes:  # fmt: skip
    """The serialised `RateLimitResponse`.

    `grants` are the store's answers to `asked.charges`, none when nobody counted. `over`: whether
    the request is refused; then each limit without room says so, and `headers` and `body` are the
    client's. In shadow the limits without room say so too, but the whole is OK.
    """
    by_key = {grant.charge.key: grant for grant in grants}
    response = RateLimitResponse(overall_code=_OVER if over else _OK)
    for row in asked.rows:
        status = response.statuses.add(code=_OK)
        grant = by_key.get(row.charge.key) if row.charge is not None else None
        if grant is not None:
            _status(status, grant, over=over)
    if over:
        for name, value in headers:
            response.response_headers_to_add.add(key=name, value=value)
        response.raw_body = body
    serialised: bytes = response.SerializeToString()
    return serialised


def _status(status: Any, grant: Grant, *, over: bool) -> None:
    charge = grant.charge
    if over and not grant.allowed:
        status.code = _OVER
    unit = _UNITS.get(charge.window)
    if unit is not None:
        status.current_limit.requests_per_unit = min(int(charge.quota), _MOST)
        status.current_limit.unit = unit
        status.current_limit.name = charge.limit.encode()
    status.limit_remaining = min(int(grant.remaining), _MOST)
    wait = grant.reset if grant.allowed else grant.retry_after
    if wait < _MOST:
        status.duration_until_reset.seconds = math.ceil(wait)


#: The answer to a question nobody should have asked.
MISASKED_RESPONSE: Final[bytes] = RateLimitResponse(overall_code=_OVER).SerializeToString()
