"""One line of the decision log → the exchange it recorded, as far as the line says."""

from __future__ import annotations

from math import inf

import msgspec

from gateway_guard.errors import UNDECODABLE, SourceError
from gateway_guard.record.line import Line
from gateway_guard.types import (
    AccountFacts,
    Action,
    Assessment,
    CampaignFacts,
    Charge,
    Decision,
    Dialect,
    Exchange,
    Facts,
    Grant,
    IndicatorFacts,
    Inspection,
    NetworkFacts,
    Outcome,
    Plan,
    PromptShape,
    Request,
    ShadowHit,
    Signal,
    Usage,
)

_decode = msgspec.json.Decoder(Line).decode

#: Unix seconds before which an account was made: pages show dates, which end in the year 9999.
_LATEST = 1e11


def exchange_of(text: bytes) -> Exchange:
    """The exchange a line of the decision log stands for: what `explain_tree` needs to say why.

    What no line holds is missing: the shape of the prompt (but for `stream`), the client's hints,
    the profile, the keys and rates of the charges. `settled` is True.

    Raises:
        SourceError: this is no line of a decision log.
    """
    try:
        line = _decode(text)
        return _exchange(line)
    except (*UNDECODABLE, KeyError, ValueError) as error:
        raise SourceError(f"not a line of a decision log: {error}") from None


def _exchange(line: Line) -> Exchange:
    at = line.time.timestamp()
    read = line.inspection is Inspection.FULL
    request = Request(
        id=line.id, at=at, method=line.method, path=line.path, dialect=Dialect(line.dialect),
        model_route=line.inspection is not Inspection.NONE, model=line.model,
        client_ip=line.client_ip, ip_source=line.ip_source, account=line.account,
        credential=line.credential, credential_fault=line.credential_fault,
        inspection=line.inspection, prompt=PromptShape(stream=line.stream) if read else None,
    )  # fmt: skip
    created = None if line.account_age is None else at - line.account_age
    if created is not None and not abs(created) < _LATEST:
        raise ValueError("account_age is no number of seconds that an account can have lived")
    known = line.network != ("unknown",)
    network = NetworkFacts(
        country=line.country, asn=line.asn, as_org=line.as_org, known=known,
        flags=frozenset(line.network) if known else frozenset(),
    )  # fmt: skip
    account = AccountFacts(
        organisation=line.organisation, tier=line.tier, verified=line.verified, tags=line.tags,
        created_at=created,
    )  # fmt: skip
    campaign = (
        CampaignFacts(id=line.campaign, confidence=line.confidence or 0.0)
        if line.campaign is not None
        else None
    )
    return Exchange(
        request=request,
        facts=Facts(
            network=network,
            account=account,
            campaign=campaign,
            vouched=line.vouched,
            challenged=line.challenged,
            indicators=tuple(
                IndicatorFacts(
                    name=one.name,
                    source=one.source,
                    kind=one.kind,
                    confidence=one.confidence,
                    at=one.at,
                )
                for one in line.indicators
            ),
        ),
        assessment=Assessment(
            signals=tuple(
                Signal(name=one.name, score=one.score, evidence=one.evidence)
                for one in line.signals
            ),
            risk=line.risk,
        ),
        plan=_plan(line),
        decision=_decision(line),
        usage=_usage(line),
        settled=True,
    )


def _plan(line: Line) -> Plan | None:
    """What the rules said; None where something else decided (`limit:…`, `guard:…`)."""
    if line.rule is not None and ":" in line.rule:
        return None
    return Plan(
        action=Action.from_word(line.action), rule=line.rule, reason=line.reason, where=line.where
    )


def _decision(line: Line) -> Decision:
    waits = inf if line.retry_after is None else line.retry_after
    return Decision(
        action=Action.from_word(line.action), acted=line.acted, rule=line.rule,
        reason=line.reason, where=line.where, status=line.status, retry_after=line.retry_after,
        grants=tuple(
            Grant(
                charge=Charge(
                    limit=one.limit, key="", unit=one.unit, cost=one.cost, rate=0.0,
                    # What 0.1.0 left out is the quota, or with a burst more: no less than is left.
                    capacity=(
                        max(one.quota, one.remaining) if one.capacity is None else one.capacity
                    ),
                    quota=one.quota, window=one.window,
                ),
                allowed=one.allowed, remaining=one.remaining,
                retry_after=0.0 if one.allowed else waits, reset=0.0,
            )
            for one in line.limits
        ),
        restrictions=line.restrictions,
        shadow=tuple(
            ShadowHit(rule=hit.rule, action=Action.from_word(hit.action)) for hit in line.shadow
        ),
        tarpit=line.tarpit or 0.0, degraded=line.degraded, policy=line.policy,
    )  # fmt: skip


def _usage(line: Line) -> Usage | None:
    if line.outcome is None:
        return None
    return Usage(
        input_tokens=line.input_tokens, output_tokens=line.output_tokens,
        outcome=Outcome(line.outcome), status=line.upstream_status, reported=line.usage_reported,
    )  # fmt: skip
