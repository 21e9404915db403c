"""`tests.faults.FaultProxy` as a process: told on standard input which fault to have.

`python -m tests.soak.proxy PORT` says where it listens; a line is the name of a fault, or `none`.
"""

from __future__ import annotations

import asyncio
import sys

from tests.faults import FaultProxy


async def main(port: int) -> None:
    async with FaultProxy(port) as proxy:
        print(f"listens on {proxy.port}", flush=True)
        while line := (await asyncio.to_thread(sys.stdin.readline)).strip():
            await proxy.fail(None if line == "none" else line)
            print(f"fault {line}", flush=True)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
