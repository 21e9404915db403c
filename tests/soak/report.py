"""What the soak saw, and what of it must not be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from tests.soak.asking import Among, Seen, quantile
from tests.soak.asks import COLD, ask
from tests.soak.chaos import Chaos
from tests.soak.oracle import Oracle, unequal
from tests.soak.reading import Reading
from tests.soak.watch import Watch, grows, growth
from tests.soak.world import WORKERS


def report(
    oracle: Oracle, chaos: Chaos, reading: Reading, watch: Watch,
    seen: Sequence[Seen], among: Among, failed_reloads: int, ended: int, minutes: float,
    machine: str,
) -> int:  # fmt: skip
    """Print what happened; 1 where anything did that must not."""
    broke = [f"wrong decisions: {count} × {kind}" for kind, count in oracle.wrong.items()]
    statuses = Counter(status for _, status, _, _ in seen)
    # A worker less, and there may be too much to do for the rest.
    unexplained = [
        (number, status) for number, status, _, at in seen
        if not oracle.kills.hold(at) or (status >= 500 and number not in oracle.turned_away)
        if status == 0 or (status >= 500 and not oracle.faults.hold(at))
    ]  # fmt: skip
    if unexplained:
        broke.append(f"{len(unexplained)} errors nobody injected, e.g. {unexplained[:5]}")
    answered = {number: status for number, status, _, _ in seen if status}
    differ = unequal(answered, oracle.statuses)
    if differ:
        broke.append(f"{len(differ)} answers unlike the log (number, seen, logged): {differ[:5]}")
    lost = [
        number for number, status, _, at in seen
        if status and number not in oracle.statuses and not oracle.kills.hold(at)
    ]  # fmt: skip
    if lost and not oracle.wrong:
        broke.append(f"{len(lost)} decisions are not in the log, e.g. {lost[:5]}")
    if reading.malformed > 2 * chaos.kills:
        broke.append(f"{reading.malformed} lines of the log are none")
    if failed_reloads < chaos.bad + chaos.broken:
        broke.append(
            f"{failed_reloads} reloads failed, of {chaos.bad + chaos.broken} that had to in each "
            f"of {WORKERS} workers"
        )
    for (name, pid), samples in watch.samples.items():
        more = grows(samples)
        if more:
            broke.append(f"{name} {pid} grows: {more}")
    if among.stopped:
        broke.append(f"{among.members:,} idle and slow clients slowed the others: {among}")
    if ended:
        broke.append(f"the sidecar ended with {ended}")
    came = [one for one in seen if one.status]
    keys = {ask(number).key for number, _, _, _ in seen}
    rows = [
        ("minutes", f"{minutes:g}"),
        ("speed of the machine", machine),
        ("requests", f"{len(seen):,}"),
        ("accounts, addresses", f"{len(keys):,} of {COLD:,}"),
        ("decisions compared", f"{oracle.checked:,}"),
        *((f"  {name}", f"{count:,}") for name, count in oracle.decisions.most_common()),
        ("  wrong", f"{sum(oracle.wrong.values()):,}"),
        ("quotas reckoned exactly", f"{oracle.quotas_checked:,}"),
        ("policies met", f"{len(oracle.policies):,} of {len(oracle.variants):,}"),
        ("bad policies, broken databases", f"{chaos.bad}, {chaos.broken}"),
        ("reloads that failed", f"{failed_reloads}"),
        ("store faults, kills", f"{chaos.faults}, {chaos.kills}"),
        (
            "answers",
            ", ".join(f"{status}: {n:,}" for status, n in sorted(statuses.items())),
        ),
        (f"alone → among {among.members:,}", str(among)),
        (
            "p50, p99",
            f"{quantile(came, 0.5):.1f}, {quantile(came, 0.99):.1f} ms",
        ),
    ]
    for (name, pid), samples in watch.samples.items():
        found = growth(samples)
        if found is not None:
            before, after = found
            memory = f"{before.resident / 2**20:.1f} → {after.resident / 2**20:.1f} MB"
            descriptors = f"{before.descriptors} → {after.descriptors} descriptors"
            rows.append((f"{name} {pid}", f"{memory}, {descriptors}"))
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        print(f"{name:<{width}}  {value}")
    for words in oracle.told:
        print(f"wrong: {words}")
    for words in broke:
        print(f"BROKEN: {words}")
    print("it broke" if broke else "it held")
    return 1 if broke else 0
