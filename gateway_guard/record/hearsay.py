"""A proxy in front that the policy does not name, or whose header it does not name: noticed from
what it sends, and said once.

Behind such a proxy every client has the proxy's address, or none: no country is ever refused, and
limits by address are one limit for everybody. Nothing else would show it.
"""

from __future__ import annotations

import ipaddress
import logging
from typing import Final

from gateway_guard.core.client_ip import Trust
from gateway_guard.core.policy import Policy
from gateway_guard.types import Request, Wire

log = logging.getLogger(__name__)

#: Requests looked at under one policy. More than the probes of a day that come before a client.
MOST: Final = 100_000
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


class Hearsay:
    """Looks at the first requests under each policy.

    Attributes:
        left: requests still to be looked at; 0 from the warning on.
        about: the policy they are counted for; None before the first.
    """

    def __init__(self) -> None:
        self.left = 0
        self.about: Policy | None = None
        self._inside = Trust(_INSIDE)

    def look(self, wire: Wire, request: Request, policy: Policy) -> None:
        """Warn where a peer says whom it asks for, and it is not heard.

        That is one of an inner network whom nobody believes, or one that is believed about another
        header. Not the peer is named, which may be a client, but its network or the headers.
        """
        if policy is not self.about:
            self.about, self.left = policy, MOST
        if not self.left:
            return
        self.left -= 1
        if request.ip_source.startswith(_LACKING):
            self._other(wire, policy.identify.client_ip)
            return
        peer, identify = request.client_ip, policy.identify
        if identify.client_ip == "peer" and identify.trusted:
            return  # Whoever names proxies and still wants the peer means it.
        if request.ip_source != "peer" or peer is None or not self._inside.covers(peer):
            return
        said = next((name for name, _ in wire.headers if name in _HEADERS), None)
        if said is None:
            return
        self.left = 0
        address = ipaddress.ip_address(peer)
        network = next(one for one in _INSIDE if address in one)
        log.warning(
            "a peer within %s sends %s and is not in identify.trusted_proxies: it is not believed, "
            "and counts as the client of all that it forwards. If it is a proxy of yours, rules "
            "and limits by country, network and address judge the proxy until the policy names it, "
            "identify: { trusted_proxies: [its network] }",
            network,
            said.decode(),
        )

    def _other(self, wire: Wire, wanted: str) -> None:
        """A trusted proxy sent nothing of what the policy reads; say so where it sent another."""
        said = next((name for name, _ in wire.headers if name in _HEADERS), None)
        if said is None:
            return  # The probe of a balancer, perhaps.
        self.left = 0
        log.warning(
            "a proxy of identify.trusted_proxies sends %s and no %s, which is what "
            "identify.client_ip reads: rules and limits by country, network and address do not "
            "see its clients. Have it send %s, or write identify: { client_ip: %s }",
            said.decode(), wanted, wanted, said.decode(),
        )  # fmt: skip
