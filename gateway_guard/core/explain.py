"""Exchange → the tree that says why, one line of text each (ARCHITECTURE §8). Pure."""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil, inf

from gateway_guard.core.amounts import amount
from gateway_guard.core.policy import Policy
from gateway_guard.types import (
    Action,
    Decision,
    Exchange,
    Facts,
    Grant,
    IndicatorFacts,
    Outcome,
    Request,
    Restrictions,
    ShadowHit,
    Usage,
)

_DAY = 86_400.0
#: Dependency → what a decision without it goes by; `on_error` where nothing stands here.
_UNKNOWN = "what it knows may be missing"
_INSTEAD = {
    "jwks": "no key at hand verifies the token",
    "network": _UNKNOWN,
    "accounts": _UNKNOWN,
    "campaigns": _UNKNOWN,
    "signals": "those that failed saw nothing",
}
_ENDED = {
    Outcome.COMPLETED: "completed",
    Outcome.REFUSED: "refused · nothing reached the upstream, nothing was charged",
    Outcome.CLIENT_GONE: "the client left",
    Outcome.UPSTREAM_CUT: "the upstream broke off",
    Outcome.UPSTREAM_ERROR: "the upstream failed",
}


def explain_tree(exchange: Exchange, policy: Policy | None) -> list[str]:
    """The exchange as a tree, first line the summary. No prompt, key or header value is in it.

    `policy` is the one that decided: it knows the weights and the unshrunk quotas. None where
    nobody has it any more: then these are left out. How it ended is said of what has been settled.
    """
    decision = exchange.decision
    lines = [_summary(exchange)]
    lines.append(f"├ identify  {_identify(exchange.request)}")
    lines.append(f"├ enrich    {_enrich(exchange.request, exchange.facts)}")
    lines.extend(_assess(exchange, policy))
    lines.extend(_stage("decide", _decide(exchange, policy)))
    charged = all(grant.allowed for grant in decision.grants)
    lines.extend(_stage("reserve", [_grant(grant, policy, charged) for grant in decision.grants]))
    usage = exchange.usage
    lines.append(f"{'├' if usage else '└'} act       {_act(exchange)}")
    if usage is not None:
        lines.append(f"└ settle    {_settled(usage)}")
    return lines


def _summary(exchange: Exchange) -> str:
    request, decision = exchange.request, exchange.decision
    parts = [request.id, f"{request.method} {request.path or 'ambiguous path'}"]
    if request.model is not None:
        parts.append(request.model[:64])
    parts.append(_short(request.account) if request.account is not None else "no account")
    word = decision.action.word
    if decision.action.refuses and decision.status is not None:
        word += f" {decision.status}"
    if decision.shadow:
        word += f"  (shadow: {', '.join(hit.action.word for hit in decision.shadow)})"
    if not decision.acted:
        word += "  (in shadow: forwarded)"
    parts.append(word)
    return "  ".join(parts)


def _short(account: str) -> str:
    return account if len(account) <= 12 else account[:11] + "…"


def _identify(request: Request) -> str:
    parts = [f"{request.client_ip or 'no client IP'}, {request.ip_source}"]
    if request.credential_fault is not None:
        parts.append(f"{request.credential} credential failed: {request.credential_fault.value}")
    elif request.credential is not None:
        parts.append(f"account by {request.credential}")
    if request.model_route:
        parts.append(f"{request.dialect.value} body: {request.inspection.value}")
    elif request.inspection.unknown:
        parts.append(f"body: {request.inspection.value}")
    return " · ".join(parts)


def _enrich(request: Request, facts: Facts) -> str:
    network, account = facts.network, facts.account
    parts = []
    if not network.known:
        parts.append("network unknown")
    else:
        parts.append(network.country or "country unknown")
        flags = " ".join(sorted(network.flags)) or "no flags"
        place = f"AS{network.asn}" if network.asn is not None else "AS unknown"
        org = f" {network.as_org}" if network.as_org else ""
        parts.append(f"{flags} {place}{org}")
    if request.account is None:
        parts.append("no account")
    elif account.created_at is None:
        parts.append("account age unknown")
    else:
        parts.append(f"account {_age(request.at - account.created_at)} old")
    if account.tier is not None:
        parts.append(f"tier {account.tier}")
    if account.verified is not None:
        parts.append("verified" if account.verified else "not verified")
    if account.tags:
        parts.append(f"tags {', '.join(account.tags)}")
    if facts.campaign is None:
        parts.append("no campaign")
    else:
        parts.append(f"campaign {facts.campaign.id} {facts.campaign.confidence:.2f}")
    if facts.indicators:
        parts.extend(_indicator(one, request.at) for one in facts.indicators)
    return " · ".join(parts)


def _indicator(one: IndicatorFacts, at: float) -> str:
    age = _age(max(0.0, at - one.at))
    return f"{one.kind} indicator {one.name} from {one.source} {one.confidence:.2f}, {age} old"


def _assess(exchange: Exchange, policy: Policy | None) -> Iterable[str]:
    assessment = exchange.assessment
    if policy is not None and not policy.signals:
        yield "├ assess    signals are off"
        return
    saw = "" if assessment.signals else ", nothing seen"
    yield f"├ assess    risk {assessment.risk:.2f}{saw}"
    weights = {item.detector.name: item.weight for item in policy.signals} if policy else None
    width = max((len(signal.name) for signal in assessment.signals), default=0)
    for index, signal in enumerate(assessment.signals):
        branch = "└" if index == len(assessment.signals) - 1 else "├"
        score = f"{signal.score:.2f}"
        if weights is not None:
            score += f" × {weights.get(signal.name, 0.0):g}"
        yield f"│ {branch} {signal.name:<{width}}  {score}  {signal.evidence}".rstrip()


def _stage(name: str, texts: Iterable[str]) -> Iterable[str]:
    head = f"├ {name:<10}"
    for text in texts:
        yield head + text
        head = "│" + " " * 11


def _decide(exchange: Exchange, policy: Policy | None) -> Iterable[str]:
    decision, plan = exchange.decision, exchange.plan
    for hit in decision.shadow:
        yield _join(hit.rule, _place(policy, hit), f"would {hit.action.word}; shadow, passed over")
    if plan is None:
        yield _join(decision.rule or "", decision.reason)
    elif plan.rule is None:
        yield f"default {plan.action.word}"
    else:
        yield _join(plan.rule, plan.where, plan.action.word, plan.reason)
    for name in decision.degraded:
        yield f"{name} failed, {_INSTEAD.get(name, 'decided by on_error')}"


def _place(policy: Policy | None, hit: ShadowHit) -> str:
    if policy is None:
        return ""
    if hit.rule.startswith("limit:"):
        return next((one.where for one in policy.rehearsed if hit.rule == f"limit:{one.name}"), "")
    return next((rule.where for rule in policy.rules if rule.name == hit.rule), "")


def _join(*parts: str | None) -> str:
    return "  ".join(part for part in parts if part)


def _grant(grant: Grant, policy: Policy | None, charged: bool) -> str:
    """One limit's answer; `charged` is False where another had no room: then nothing was taken."""
    charge = grant.charge
    limits = policy.limits if policy is not None else ()
    full = next((limit.burst for limit in limits if limit.name == charge.limit), 0.0)
    text = f"{charge.limit} {amount(grant.remaining)} of {amount(charge.capacity)} left"
    if full and abs(charge.capacity / full - 1.0) > 1e-9:
        percent = 100.0 * charge.capacity / full
        share = f"{percent:.3g}" if percent < 999.5 else f"{percent:,.0f}"
        text += f" ({share} % of {amount(full)} for this account now)"
    if not grant.allowed:
        text += f", {amount(charge.cost)} asked: no room for {seconds(grant.retry_after)}"
    elif charge.cost != 1.0 and charged:
        text += f", {amount(charge.cost)} reserved"
    return text


def _act(exchange: Exchange) -> str:
    decision = exchange.decision
    would = _would(decision.shadow)
    if decision.forwards:
        if decision.action.refuses:
            return f"forwarded unchanged; would {_refusal(decision)}"
        if decision.action is Action.RESTRICT and decision.restrictions is not None:
            what = _restricted(decision.restrictions)
            if decision.acted:
                return f"forwarded with {what}"
            return f"forwarded unchanged; would restrict: {what}"
        return "forwarded unchanged" + would
    return _refusal(decision) + would


def _would(shadow: tuple[ShadowHit, ...]) -> str:
    return f"; rehearsed: {', '.join(hit.action.word for hit in shadow)}" if shadow else ""


def _refusal(decision: Decision) -> str:
    parts = [f"{decision.action.word} with {decision.status}"]
    if decision.retry_after is not None:
        parts.append(f"retry after {_exactly(decision.retry_after)}")
    if decision.challenge_url is not None:
        parts.append(f"verify at {decision.challenge_url}")
    if decision.tarpit:
        parts.append(f"held for {seconds(decision.tarpit)}")
    return ", ".join(parts)


def _restricted(restrictions: Restrictions) -> str:
    parts = []
    if restrictions.max_output_tokens is not None:
        parts.append(f"output capped at {restrictions.max_output_tokens} tokens")
    if restrictions.logprobs is False:
        parts.append("no logprobs")
    if restrictions.n is not None:
        parts.append(f"n at most {restrictions.n}")
    return ", ".join(parts) or "nothing taken away"


def _settled(usage: Usage) -> str:
    ended = _ENDED[usage.outcome]
    if usage.outcome is Outcome.REFUSED:
        return ended
    # Where the upstream failed, the answer may have been made for it.
    who = "answered" if usage.outcome is Outcome.UPSTREAM_ERROR else "upstream"
    parts = [ended, f"{who} {usage.status}" if usage.status else "no answer of the upstream"]
    read, written = usage.input_tokens, usage.output_tokens
    if read is None and written is None:
        parts.append("tokens unknown, the estimate stays charged")
    else:
        counts = " and ".join(
            f"{'unknown' if count is None else f'{count:,}'} {word}"
            for count, word in ((read, "tokens read"), (written, "written"))
        )
        parts.append(f"{counts}, {'reported by the upstream' if usage.reported else 'estimated'}")
    return " · ".join(parts)


def _exactly(wait: float) -> str:
    """To the millisecond, as the client was told; in larger units as well where it is long."""
    if wait == inf:
        return seconds(wait)
    exact = f"{ceil(round(wait * 1000, 3)) / 1000:,.3f}".rstrip("0").rstrip(".") + " s"
    return exact if wait < 120.0 else f"{seconds(wait)} ({exact})"


def _age(age: float) -> str:
    if age < 0.0:
        return "not yet a day"
    days = int(age // _DAY)
    return f"{days} day{'' if days == 1 else 's'}" if days else seconds(age)


def seconds(value: float) -> str:
    """A duration >= 0 in the unit people would choose, e.g. `90 s`, `3.5 h`; infinity is `ever`."""
    if value == inf:
        return "ever"
    if value < 120.0:
        return f"{value:.3g} s"
    if value < 7_200.0:
        return f"{value / 60.0:.3g} min"
    if value < 2 * _DAY:
        return f"{value / 3_600.0:.3g} h"
    return f"{value / _DAY:.3g} days" if value < 1_000 * _DAY else f"{value / _DAY:.0f} days"
