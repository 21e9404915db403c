"""What an account costs in memory, and that strangers cannot make it grow."""

from __future__ import annotations

import itertools
import random
import subprocess
import sys
from pathlib import Path

from gateway_guard.building import build_guard
from gateway_guard.guard import Guard
from gateway_guard.network.database import NetworkDatabase
from gateway_guard.settings import Settings
from gateway_guard.types import Client, Inspection, PromptShape, Request, RoleShape, Usage
from tests.bench.measure import Row

POLICY = Path(__file__).resolve().parents[2] / "policies" / "standard.yaml"
ACCOUNTS = 100_000
STRANGERS = 1_000_000
EACH = 3


def resident() -> int:
    """Bytes of memory this process holds right now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


def exchange(guard: Guard, draw: random.Random, number: int, account: str) -> None:
    """One settled request of `account` from a random address."""
    address = f"{draw.randrange(1, 224)}.{draw.randrange(256)}.{draw.randrange(256)}"
    bits = draw.getrandbits
    role = RoleShape(role="user", head=bits(64), tail=bits(64), skeleton=bits(64), chars=400)
    prompt = PromptShape(
        messages=1, chars=400, roles=(role,), input_tokens=100,
        shingles=tuple(bits(64) for _ in range(16)),
    )  # fmt: skip
    request = Request(
        id=f"r_{number}", at=1_772_452_800.0 + number * 0.05, method="POST",
        path="/v1/chat/completions", model_route=True, model="apex-4", client_ip=f"{address}.7",
        subnet=f"{address}.0/24", account=account, inspection=Inspection.FULL, prompt=prompt,
        client=Client(),
    )  # fmt: skip

    async def run() -> None:
        judged = await guard.judge(request)
        await guard.settle(judged, Usage(input_tokens=100, output_tokens=20), now=request.at)

    try:
        run().send(None)
    except StopIteration:
        return


def grown(*, linking: bool) -> list[int]:
    """Bytes of this process: at the start, with `ACCOUNTS` accounts, with each half of the
    strangers, and with as many strangers again."""
    settings = Settings(secret=b"a secret of benchmarks, 32 bytes", max_accounts=ACCOUNTS)
    guard = build_guard(
        POLICY, settings=settings, network=NetworkDatabase.bundled(),
        campaign_of=None if linking else lambda _account: None,
    )  # fmt: skip
    draw, turn = random.Random(7), itertools.count()
    for _ in range(2_000):
        exchange(guard, draw, next(turn), "acct_warm")
    sizes = [resident()]
    for _ in range(EACH):
        for number in range(ACCOUNTS):
            exchange(guard, draw, next(turn), f"acct_{number:010d}")
    sizes.append(resident())
    for number in range(2 * STRANGERS):
        exchange(guard, draw, next(turn), f"acct_s{number:09d}")
        if number + 1 in (STRANGERS // 2, STRANGERS, 2 * STRANGERS):
            sizes.append(resident())
    return sizes


def rows() -> list[Row]:
    """The table."""
    out = []
    for what, linking in (("without looking for campaigns", False), ("with the linker", True)):
        # A process each: what one has freed is not the other's to fill.
        code = f"from tests.bench.bench_memory import grown; print(*grown(linking={linking}))"
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        start, full, half, end, twice = map(int, done.stdout.split())
        each = (full - start) / ACCOUNTS
        out.append(
            Row(f"memory of an account, {ACCOUNTS:,} of {EACH} requests, {what}", f"{each:,.0f} B")
        )
        for strangers, size in ((STRANGERS // 2, half), (STRANGERS, end), (2 * STRANGERS, twice)):
            name = f"memory after {strangers:,} random accounts and addresses, {what}"
            out.append(Row(name, f"{size / 2**20:,.0f} MB", f"{size / half:.2f}"))
    return out
