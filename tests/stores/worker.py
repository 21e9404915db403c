"""A worker process: `python -m tests.stores.worker URI NAMESPACE COUNT CAPACITY [KEEP]`.

Says `ready`, waits for a line, reserves COUNT times at once from a bucket and a limit in flight,
and says how much was granted. With KEEP it then waits to be killed.
"""

from __future__ import annotations

import asyncio
import os
import sys

from tests.stores.shared import flying, opened, take, tokens


async def main(uri: str, name: str, count: int, capacity: float, keep: bool) -> None:
    more = {"time": "caller", "lease": 30.0} if keep else {}
    async with opened(uri, namespace=name, **more) as store:
        await take(store, tokens(0.0, who="nobody"), id=f"warm-{os.getpid()}")
        print("ready", flush=True)
        sys.stdin.readline()
        answers = await asyncio.gather(
            *(
                take(store, tokens(capacity=capacity), flying(99.0), id=f"w-{os.getpid()}-{n}")
                for n in range(count)
            )
        )
        print(sum(answers), flush=True)
        if keep:
            sys.stdin.readline()


if __name__ == "__main__":
    asyncio.run(
        main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]), len(sys.argv) > 5)
    )
