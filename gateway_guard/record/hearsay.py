"""A proxy in front that the policy does not name, or whose header it does not name: noticed from
what it sends.

Behind such a proxy every client has the proxy's address, or none: no country is ever refused, and
limits by address are one limit for everybody. Nothing else would show it.
"""

from __future__ import annotations

import ipaddress
from typing import Final

from gateway_guard.core.client_ip import Trust
from gateway_guard.core.policy import Policy
from gateway_guard.types import Request, Wire

#: In which proxies say whom they ask for.
_HEADERS: Final = frozenset(
    (b"x-forwarded-for", b"forwarded", b"x-real-ip", b"cf-connecting-ip", b"true-client-ip")
)
#: What `Request.ip_source` begins with where a trusted proxy did not send what the policy names.
_LACKING: Final = ("no ", "peer, trusted, without ")
#: Where proxies of one's own are. Whoever comes from elsewhere may well be a client that makes
#: things up.
_INSIDE: Final = tuple(
    map(
        ipaddress.ip_network,
        (
            "127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10",
            "169.254.0.0/16", "::1/128", "fc00::/7", "fe80::/10",
        ),
    )
)  # fmt: skip
_inside: Final = Trust(_INSIDE)


def unheard(wire: Wire, request: Request, policy: Policy) -> str | None:
    """What is wrong where a peer says whom it asks for, and it is not heard.

    That is one of an inner network whom nobody believes, or one that is believed about another
    header. Not the peer is named, which may be a client, but its network or the headers.
    """
    identify, peer = policy.identify, request.client_ip
    lacking = request.ip_source.startswith(_LACKING)
    if not lacking:
        if identify.client_ip == "peer" and identify.trusted:
            return None  # Whoever names proxies and still wants the peer means it.
        if request.ip_source != "peer" or peer is None or not _inside.covers(peer):
            return None
    said = next((name.decode() for name, _ in wire.headers if name in _HEADERS), None)
    if said is None:
        return None  # The probe of a balancer, perhaps.
    if lacking or peer is None:
        wanted = identify.client_ip
        return (
            f"a proxy of identify.trusted_proxies sends {said} and no {wanted}, which is what "
            "identify.client_ip reads: rules and limits by country, network and address do not "
            f"see its clients. Have it send {wanted}, or write identify: {{ client_ip: {said} }}"
        )
    address = ipaddress.ip_address(peer)
    network = next(one for one in _INSIDE if address in one)
    return (
        f"a peer within {network} sends {said} and is not in identify.trusted_proxies: it is not "
        "believed, and counts as the client of all that it forwards. If it is a proxy of yours, "
        "rules and limits by country, network and address judge the proxy until the policy names "
        "it, identify: { trusted_proxies: [its network] }"
    )
