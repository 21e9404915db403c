"""`python -m tests.soak`: SOAK_MINUTES (default 10) of everything at once; exit code 1 if it broke.

Two workers of the sidecar behind one port, a Redis that fails, at 70 % of what the machine takes;
every 5 s another policy and every 10 s another network database, with 20 bad policies and 10
broken databases among them; a worker killed now and then. Each line of the decision log is compared
with what it should say by the policy it names, and with what the client was answered.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from tests.servers import REDIS
from tests.soak.asking import Asking, crowded
from tests.soak.chaos import Chaos
from tests.soak.crowd import most_files
from tests.soak.oracle import Oracle, Windows
from tests.soak.policies import variant
from tests.soak.reading import Reading
from tests.soak.report import report
from tests.soak.speed import Speed, compared
from tests.soak.watch import Watch
from tests.soak.world import world

#: Of what the machine takes.
LOAD: Final = 0.7
CALIBRATE_SECONDS: Final = 6.0
#: Requests a second while a crowd is about: few, so that only the crowd can be in the way.
PACE: Final = 200.0


def main() -> int:
    if sys.argv[1:]:
        # It has no options: whoever asks for help, or names one, starts nothing.
        print(__doc__)
        return 0 if {"-h", "--help"} & {*sys.argv[1:]} else 2
    if REDIS is None:
        print("redis-server is not installed: apt-get install redis-server")
        return 3
    most_files()
    minutes = float(os.environ.get("SOAK_MINUTES") or 10)
    oracle = Oracle(Windows(), Windows())
    first = variant(0)
    oracle.add(first, 0.0)
    oracle.versions.put(0, 0.0)
    with tempfile.TemporaryDirectory(prefix="gg-soak-") as name, world(Path(name), first) as there:
        reading = Reading(there.log, oracle)
        asking = Asking(there.sidecar.port, Path(name))
        speed, began = Speed(), time.monotonic()
        capacity = len(asking.ask(0, CALIBRATE_SECONDS)) / CALIBRATE_SECONDS
        chosen = time.monotonic()
        rate = LOAD * capacity
        print(f"takes {capacity:,.0f} requests/s; {minutes:g} min at {rate:,.0f}/s", flush=True)
        among = crowded(asking, min(PACE, rate / 3))
        watch = Watch(there.pids)
        chaos = Chaos(there, oracle, minutes * 60)
        loaded = time.monotonic()
        with asking.begin(rate, minutes * 60) as process:
            chaos.run(time.monotonic(), process)
            asking.end(process)
        machine = compared(speed.between(began, chosen), speed.between(loaded, time.monotonic()))
        speed.stop()
        watch.stop()
        failed_reloads = sum("reload-failed" in line for line in there.sidecar.lines)
        status = there.sidecar.end()
        reading.stop()
        oracle.close_quotas(before=asking.next)
        return report(
            oracle, chaos, reading, watch, asking.seen, among, failed_reloads, status, minutes,
            machine,
        )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
