"""Enrich: what is known of a request, from local memory.

Who is asked may be a part that an application brought. One that raises, or answers with something
else than facts, leaves unknown what it was asked for, which rules can match; it is told in the log,
and `Decision.degraded` names it. A customer is not refused because a look-up has a bug.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from gateway_guard.accounts.state import merged
from gateway_guard.core.minted import MINTED
from gateway_guard.errors import SourceError
from gateway_guard.network.base import UNKNOWN_NETWORK
from gateway_guard.types import AccountFacts, CampaignFacts, Facts, NetworkFacts, Request

if TYPE_CHECKING:
    from gateway_guard.accounts.base import AskedDirectory
    from gateway_guard.guard import Guard

_UNKNOWN_ACCOUNT: Final = AccountFacts()


def enrich(guard: Guard, request: Request, state: Mapping[str, Any] | None) -> Facts:
    """The facts of `request`; `state` is what the application and a trusted edge say of it."""
    address, account = request.client_ip, request.account
    network = UNKNOWN_NETWORK
    if address is not None:
        try:
            network = guard.network.lookup(address)
            if not isinstance(network, NetworkFacts):
                raise _no(network, NetworkFacts)
        except Exception as error:  # noqa: BLE001 - somebody else's; see above
            guard.silent("network", error)
            network = UNKNOWN_NETWORK
    match = guard.indicators.match
    indicators = match(request) if match is not None else ()
    if account is None:
        return Facts(network=network, indicators=indicators)
    if request.said is not None:
        # What the application and a trusted edge say stands above it.
        state = {**request.said, **state} if state else request.said
    try:
        attributes = guard.accounts.lookup(account, state)
        if not isinstance(attributes, AccountFacts):
            raise _no(attributes, AccountFacts)
    except Exception as error:  # noqa: BLE001 - somebody else's; see above
        guard.silent("accounts", error)
        attributes = merged(_UNKNOWN_ACCOUNT, state)
    campaign: CampaignFacts | None = None
    campaign_of = guard.campaign_of
    if campaign_of is not None:
        try:
            campaign = campaign_of(account)
            if campaign is not None and not isinstance(campaign, CampaignFacts):
                raise _no(campaign, CampaignFacts)
        except Exception as error:  # noqa: BLE001 - somebody else's; see above
            guard.silent("campaigns", error)
            campaign = None
    profile = guard.profiles.get(account)
    facts = Facts(
        network=network,
        account=attributes,
        # Many people show one account's secrets: what they do together is no habit of its own.
        profile=profile if request.credential != MINTED else None,
        held=profile.held,
        campaign=campaign,
        indicators=indicators,
    )
    if account in guard.standing.places:
        return guard.standing.on(facts, account, request.at)
    return facts


async def heard(guard: Guard, directory: AskedDirectory, account: str) -> bool:
    """Whether `directory` could be asked for what it knows of `account`."""
    try:
        return await directory.ask(account)
    except Exception as error:  # noqa: BLE001 - somebody else's; see above
        guard.failures.tell("accounts", error)
        return False


def _no(answer: object, wanted: type) -> SourceError:
    return SourceError(f"it answered with {type(answer).__name__}, not with {wanted.__name__}")
