"""`python -m tests.bench [NAME…]`: every benchmark: one table, then the pages.

Figures compare within one run only.
"""

from __future__ import annotations

import importlib
import platform
import subprocess
import sys
from pathlib import Path

from tests.bench.measure import Row


def main(names: list[str]) -> None:
    """Run `bench_*.py` beside this file, or those named, and print what they measured."""
    found = sorted(path.stem for path in Path(__file__).parent.glob("bench_*.py"))
    chosen = [stem for stem in found if not names or stem.removeprefix("bench_") in names]
    print(f"Python {platform.python_version()}, medians of interleaved repeats, CPU time\n")
    print("| what | measured | ratio |\n|---|---|---|")
    pages = []
    for stem in chosen:
        module = importlib.import_module(f"tests.bench.{stem}")
        if not hasattr(module, "rows"):
            pages.append(stem)
            continue
        rows: list[Row] = module.rows()
        for row in rows:
            print(f"| {row.what} | {row.measured} | {row.ratio} |", flush=True)
    for stem in pages:
        # These print a page of their own; a process each, so that none warms another's caches.
        print(f"\n## {stem.removeprefix('bench_')}\n", flush=True)
        subprocess.run([sys.executable, "-m", f"tests.bench.{stem}"], check=True)


if __name__ == "__main__":
    main(sys.argv[1:])
