"""What an address costs, against the standard library and the bare reader in the same run.

    python -m tests.bench.bench_lookup

Medians of interleaved repeats over random addresses, no address twice, so that "uncached" means it.
Compare the ratios, not the microseconds.
"""

from __future__ import annotations

import ipaddress
import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gateway_guard.core.address import parse_ip
from gateway_guard.network.database import NetworkDatabase, bundled_path
from gateway_guard.network.mmdb import open_file

_REPEATS = 9
_CALLS = 20_000


def _resident() -> float:
    """Resident memory of this process in MB; 0 where /proc does not say."""
    try:
        text = Path("/proc/self/status").read_text()
    except OSError:
        return 0.0
    line = next(line for line in text.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def _addresses(source: random.Random, v6: bool) -> list[str]:
    if v6:
        numbers = [0x2A << 120 | source.getrandbits(117) for _ in range(_CALLS)]
        return [str(ipaddress.IPv6Address(number)) for number in numbers]
    numbers = [source.randrange(1 << 24, 224 << 24) for _ in range(_CALLS)]
    return [str(ipaddress.IPv4Address(number)) for number in numbers]


def _microseconds(call: Callable[[str], object], addresses: list[str]) -> float:
    started = time.perf_counter()
    for address in addresses:
        call(address)
    return (time.perf_counter() - started) / len(addresses) * 1e6


def measure() -> dict[str, float]:
    """Microseconds a call, and what opening costs."""
    before = _resident()
    started = time.perf_counter()
    database = NetworkDatabase.bundled()
    opened = time.perf_counter() - started
    reader: Any = open_file(bundled_path()).reader
    source = random.Random(1)
    calls: dict[str, Callable[[str], object]] = {
        "standard library parse": ipaddress.ip_address,
        "bare reader, no parse": reader.get,
        "parse_ip uncached": parse_ip,
        "lookup uncached": database.lookup,
    }
    times: dict[str, list[float]] = {}
    for _ in range(_REPEATS):
        for name, call in calls.items():
            times.setdefault(name, []).append(_microseconds(call, _addresses(source, v6=False)))
            times.setdefault(f"{name}, IPv6", []).append(
                _microseconds(call, _addresses(source, v6=True))
            )
        for name, call in (("parse_ip cached", parse_ip), ("lookup cached", database.lookup)):
            few = _addresses(source, v6=False)[:1000]
            _microseconds(call, few)
            times.setdefault(name, []).append(_microseconds(call, few * 20))
    results = {name: statistics.median(values) for name, values in times.items()}
    results["open, ms"] = opened * 1000
    results["resident after, MB"] = _resident() - before
    return results


def main() -> None:
    """Print the table."""
    results = measure()
    base = results["standard library parse"]
    for name, value in results.items():
        ratio = "" if "," in name and "IPv6" not in name and "bare" not in name else value / base
        shown = f"{ratio:6.2f} × ip_address()" if isinstance(ratio, float) else ""
        print(f"{name:32}{value:9.3f}  {shown}")


if __name__ == "__main__":
    main()
