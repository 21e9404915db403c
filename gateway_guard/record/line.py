"""Exchange → one line of the decision log. `record.schema` says what each field means."""

from __future__ import annotations

import enum
from datetime import UTC, datetime
from typing import Final

import msgspec

from gateway_guard.types import CredentialFault, Exchange, Inspection, Restrictions

_MAX_PATH: Final = 256
_MAX_MODEL: Final = 128


class Addresses(enum.StrEnum):
    """How much of a client's address the decision log keeps."""

    FULL = "full"
    SUBNET = "subnet"
    NONE = "none"


class _Shadow(msgspec.Struct, gc=False):
    rule: str
    action: str


class _Signal(msgspec.Struct, gc=False):
    name: str
    score: float
    evidence: str


class _Indicator(msgspec.Struct, gc=False):
    name: str
    source: str
    kind: str
    confidence: float
    at: float


class _Limit(msgspec.Struct, gc=False):
    limit: str
    unit: str
    allowed: bool
    cost: float
    remaining: float
    capacity: float
    quota: float
    window: float


class Line(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """One line before encoding; fields as in `record.schema.FIELDS`, in that order."""

    time: datetime
    id: str
    action: str
    acted: bool
    rule: str | None = None
    where: str | None = None
    reason: str = ""
    status: int | None = None
    retry_after: float | None = None
    restrictions: Restrictions | None = None
    tarpit: float | None = None
    shadow: tuple[_Shadow, ...] = ()
    account: str | None = None
    credential: str | None = None
    credential_fault: CredentialFault | None = None
    organisation: str | None = None
    account_age: float | None = None
    tier: str | None = None
    verified: bool | None = None
    vouched: bool = False
    challenged: bool = False
    tags: tuple[str, ...] = ()
    client_ip: str | None = None
    ip_source: str
    country: str | None = None
    asn: int | None = None
    as_org: str | None = None
    network: tuple[str, ...] = ()
    method: str
    path: str | None = None
    dialect: str
    model: str | None = None
    inspection: Inspection
    stream: bool = False
    risk: float
    signals: tuple[_Signal, ...] = ()
    campaign: str | None = None
    confidence: float | None = None
    indicators: tuple[_Indicator, ...] = ()
    limits: tuple[_Limit, ...] = ()
    outcome: str | None = None
    upstream_status: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    usage_reported: bool = False
    degraded: tuple[str, ...] = ()
    policy: str


_encode: Final = msgspec.json.Encoder().encode


def build(exchange: Exchange, addresses: Addresses = Addresses.FULL) -> Line:
    """The fields of one exchange, settled or not."""
    request, facts, decision = exchange.request, exchange.facts, exchange.decision
    account = facts.account
    network, usage, prompt, campaign = facts.network, exchange.usage, request.prompt, facts.campaign
    path, model = request.path, request.model
    if addresses is Addresses.FULL:
        client_ip = request.client_ip
    else:
        client_ip = request.subnet if addresses is Addresses.SUBNET else None
    known = network.known
    if not known:
        flags: tuple[str, ...] = ("unknown",)
    else:
        flags = tuple(sorted(network.flags)) if network.flags else ()
    return Line(
        time=datetime.fromtimestamp(request.at, UTC),
        id=request.id,
        action=decision.action.word,
        acted=decision.acted,
        rule=decision.rule,
        where=decision.where,
        reason=decision.reason,
        status=decision.status,
        retry_after=decision.retry_after,
        restrictions=decision.restrictions,
        tarpit=decision.tarpit or None,
        shadow=tuple([_Shadow(hit.rule, hit.action.word) for hit in decision.shadow]),
        account=request.account,
        credential=request.credential,
        credential_fault=request.credential_fault,
        organisation=account.organisation,
        account_age=None if account.created_at is None else request.at - account.created_at,
        tier=account.tier,
        verified=account.verified,
        vouched=facts.vouched,
        challenged=facts.challenged,
        tags=account.tags,
        client_ip=client_ip,
        ip_source=request.ip_source,
        country=network.country if known else None,
        asn=network.asn if known else None,
        as_org=network.as_org if known else None,
        network=flags,
        method=request.method,
        path=path[:_MAX_PATH] if path is not None else None,
        dialect=request.dialect,
        model=model[:_MAX_MODEL] if model is not None else None,
        inspection=request.inspection,
        stream=prompt.stream if prompt is not None else False,
        risk=exchange.assessment.risk,
        signals=tuple([_Signal(s.name, s.score, s.evidence) for s in exchange.assessment.signals]),
        campaign=campaign.id if campaign is not None else None,
        confidence=campaign.confidence if campaign is not None else None,
        indicators=tuple(
            [_Indicator(i.name, i.source, i.kind, i.confidence, i.at) for i in facts.indicators]
        )
        if facts.indicators
        else (),
        limits=tuple(
            [
                _Limit(
                    g.charge.limit, g.charge.unit, g.allowed, g.charge.cost, g.remaining,
                    g.charge.capacity, g.charge.quota, g.charge.window,
                )
                for g in decision.grants
            ]
        ),
        outcome=usage.outcome if usage is not None else None,
        upstream_status=usage.status if usage is not None else None,
        input_tokens=usage.input_tokens if usage is not None else None,
        output_tokens=usage.output_tokens if usage is not None else None,
        usage_reported=usage.reported if usage is not None else False,
        degraded=decision.degraded,
        policy=decision.policy,
    )  # fmt: skip


def line(exchange: Exchange, addresses: Addresses = Addresses.FULL) -> bytes:
    """One JSON object and a newline; no other newline is in it.

    Text that is not Unicode (lone surrogates from an odd server) is written with backslash escapes
    rather than losing the line.
    """
    fields = build(exchange, addresses)
    try:
        return _encode(fields) + b"\n"
    except UnicodeEncodeError:
        for name in fields.__struct_fields__:
            value = getattr(fields, name)
            if isinstance(value, str):
                clean = value.encode("utf-8", "backslashreplace").decode()
                setattr(fields, name, clean)
        return _encode(fields) + b"\n"
