"""X-Forwarded-For: walked from the right as an independent walk does; what stands left of the hop
that decides changes nothing, and neither does how the list is cut into lines."""

from __future__ import annotations

import contextlib
import ipaddress

from gateway_guard.core.client_ip import LONGEST, MOST_HOPS, Trust, forwarded_for
from tests.fuzz import oracles
from tests.fuzz.taken import Taken, cut

WORDS = (
    b"10.0.0.1", b", ", b",", b"203.0.113.9", b"[2001:db8::1]:443", b"::ffff:10.0.0.2", b"unknown",
    b"192.0.2.1:80", b"fe80::1%eth0", b'"10.0.0.1"', b" ", b"\t", b"2001:db8::1", b"10.0.0.1:",
)  # fmt: skip

TRUST = Trust([ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("2001:db8::/64")])
_TRUSTED = (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("2001:db8::/64"))


def covered(address: str) -> bool:
    """Whether the trusted networks have it, by `ipaddress`."""
    return any(ipaddress.ip_address(address) in network for network in _TRUSTED)


def walked(line: bytes) -> str | None:
    """The client by a list of all hops, from the right."""
    found = None
    for count, element in enumerate(reversed(line.split(b",")), 1):
        text = element.strip(b" \t")
        if count > MOST_HOPS or len(text) > 512 or not text.isascii():
            return None
        found = oracles.hop(text.decode("ascii"))
        if found is None or not covered(found):
            return found
    return found


def target(data: bytes) -> None:
    """Where to cut, then a list."""
    taken = Taken(data)
    where = taken.piece(3)
    line = taken.rest()
    if len(line) > LONGEST:
        return

    found, said = forwarded_for([line], TRUST)

    with contextlib.suppress(oracles.Guessed):
        assert found == walked(line), (line, found, walked(line))
    assert (found is None) == ("not an address" in said or "more than" in said)
    spread = line.split(b",")
    assert forwarded_for(spread, TRUST)[0] == found
    # The proxy appended whom it saw; whatever the client wrote stands left of that.
    for seen in (b"203.0.113.9", b"2a00:1450::5"):
        assert forwarded_for([line + b", " + seen], TRUST)[0] == seen.decode()
        assert forwarded_for([*cut(line, where), seen], TRUST)[0] == seen.decode()
        assert forwarded_for([line + b", " + seen + b" ,\t10.1.2.3"], TRUST)[0] == seen.decode()
