"""The nouns: what flows from stage to stage of one request.

All of them are frozen, keyword-only records except `Profile` (an account's memory, written only by
`core.profile`) and `Exchange` (one request under way, written only by `guard.Guard`). They are
`msgspec.Struct`s: as strict as frozen dataclasses, a fifth of the cost to build, and, with
`gc=False`, invisible to the garbage collector. None of them ever holds prompt text, a header
value or a credential; credentials and templates appear as keyed digests only.
"""

from __future__ import annotations

from gateway_guard.types.action import Action
from gateway_guard.types.assessment import Assessment, Signal
from gateway_guard.types.campaign import Campaign
from gateway_guard.types.credential import CredentialFault
from gateway_guard.types.exchange import Exchange, Outcome, Usage
from gateway_guard.types.facts import (
    INDICATOR_KINDS,
    NETWORK_FLAGS,
    UNKNOWN,
    AccountFacts,
    CampaignFacts,
    Facts,
    Held,
    IndicatorFacts,
    NetworkFacts,
)
from gateway_guard.types.judgement import Decision, Plan, Restrictions, ShadowHit
from gateway_guard.types.prompt import PromptShape, RoleShape
from gateway_guard.types.quota import Charge, Grant
from gateway_guard.types.request import Client, Dialect, Inspection, Request, Wire

__all__ = [
    "INDICATOR_KINDS",
    "NETWORK_FLAGS",
    "UNKNOWN",
    "AccountFacts",
    "Action",
    "Assessment",
    "Campaign",
    "CampaignFacts",
    "Charge",
    "Client",
    "CredentialFault",
    "Decision",
    "Dialect",
    "Exchange",
    "Facts",
    "Grant",
    "Held",
    "IndicatorFacts",
    "Inspection",
    "NetworkFacts",
    "Outcome",
    "Plan",
    "PromptShape",
    "Request",
    "Restrictions",
    "RoleShape",
    "ShadowHit",
    "Signal",
    "Usage",
    "Wire",
]
