"""What shared indicators cost a request: none loaded, and 100,000, of known and new addresses.

    python -m tests.bench.bench_intel

Medians of interleaved repeats, processor time. Compare with `identify` (`bench_identify`), not with
another machine.
"""

from __future__ import annotations

import ipaddress
import random
import statistics
import time
from collections.abc import Callable, Sequence

from gateway_guard.intel.file import Indicators
from gateway_guard.intel.groups import group_of
from gateway_guard.intel.indicator import Indicator
from gateway_guard.intel.matching import Matcher
from gateway_guard.intel.networks import Limits
from gateway_guard.types import Request, RoleShape
from tests import build
from tests.intel import cases

_REPEATS = 7
_REQUESTS = 20_000
_KNOWN = 2_000
_NETWORKS, _TEMPLATES, _CLIENTS = 80_000, 18_000, 2_000


def _address(source: random.Random) -> str:
    return str(ipaddress.IPv4Address(source.randrange(1 << 24, 224 << 24)))


def _indicators(source: random.Random) -> list[Indicator]:
    group = group_of(cases.GROUP_KEY)
    networks = [
        cases.indicator(id=f"n{n}", value=f"{_address(source)}/32")
        if n % 4
        else cases.indicator(id=f"n{n}", value=f"{_address(source).rpartition('.')[0]}.0/24")
        for n in range(_NETWORKS)
    ]
    sealed = [
        cases.indicator(id=f"{kind}{n}", kind=kind, value=group.seal(kind, source.getrandbits(64)))
        for kind, many in (("template", _TEMPLATES), ("client", _CLIENTS))
        for n in range(many)
    ]
    return [*networks, *sealed]


def _microseconds(match: Callable[[Request], object] | None, requests: Sequence[Request]) -> float:
    started = time.process_time()
    for request in requests:
        _ = match(request) if match is not None else ()
    return (time.process_time() - started) / len(requests) * 1e6


def measure() -> dict[str, float]:
    """Microseconds a request."""
    source = random.Random(1)
    held = _indicators(source)
    compiled = {"now": build.NOW, "limits": Limits(), "group": group_of(cases.GROUP_KEY)}
    every = Matcher([("s", one) for one in held], **compiled)  # type: ignore[arg-type]
    networks = Matcher([("s", one) for one in held if one.kind == "network"], **compiled)  # type: ignore[arg-type]
    prompt = build.prompt(
        roles=tuple(
            RoleShape(role=role, head=n, tail=n + 1, skeleton=n + 2, chars=900)
            for n, role in ((10, "system"), (20, "user"))
        ),
        shingles=tuple(source.getrandbits(64) for _ in range(18)),
    )
    new = [build.request(client_ip=_address(source), prompt=prompt) for _ in range(_REQUESTS)]
    known = new[:_KNOWN] * (_REQUESTS // _KNOWN)
    runs: dict[str, tuple[Callable[[Request], object] | None, list[Request]]] = {
        "none loaded": (Indicators().match, new),
        "networks, known addresses": (networks.match, known),
        "networks, new addresses": (networks.match, new),
        "all kinds, known addresses": (every.match, known),
        "all kinds, new addresses": (every.match, new),
    }
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(_REPEATS):
        for name, (match, requests) in runs.items():
            times[name].append(_microseconds(match, requests))
    return {name: statistics.median(values) for name, values in times.items()}


def main() -> None:
    """Print the table."""
    for name, cost in measure().items():
        print(f"{name:<28} {cost:6.2f} µs")


if __name__ == "__main__":
    main()
