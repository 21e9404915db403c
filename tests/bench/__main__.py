"""`python -m tests.bench [NAME…] [--OPTION…]`: every benchmark: one table, then the pages.

Options, from the first word that starts with `--` on, are the pages'.

Figures compare within one run only.
"""

from __future__ import annotations

import importlib
import platform
import subprocess
import sys
from pathlib import Path

from tests.bench.measure import Row


def main(words: list[str]) -> None:
    """Run `bench_*.py` beside this file, or those named, and print what they measured."""
    if {"-h", "--help"} & {*words}:
        names = [path.stem for path in sorted(Path(__file__).parent.glob("bench_*.py"))]
        print(f"{__doc__}\nNames: {', '.join(name.removeprefix('bench_') for name in names)}")
        return
    first = next((i for i, word in enumerate(words) if word.startswith("--")), len(words))
    names, options = words[:first], words[first:]
    found = sorted(path.stem for path in Path(__file__).parent.glob("bench_*.py"))
    unknown = [name for name in names if f"bench_{name}" not in found]
    if unknown:
        sys.exit(f"no benchmark is called {', '.join(unknown)}; --help names them all")
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
        subprocess.run([sys.executable, "-m", f"tests.bench.{stem}", *options], check=True)


if __name__ == "__main__":
    main(sys.argv[1:])
