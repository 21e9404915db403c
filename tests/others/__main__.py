"""`python -m tests.others SEED DIRECTORY`: a world of labelled traffic, for `tests.evaluate`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.evaluate.sets import DATA, CannotWorkError
from tests.others.casts import CASTS, EVERYONE, made
from tests.others.sources import Sources
from tests.others.world import ACCOUNTS


def main(words: Sequence[str] | None = None) -> int:
    """0 when the world is written, 3 when what it is made of is missing."""
    parser = argparse.ArgumentParser(prog="python -m tests.others", description=__doc__)
    parser.add_argument("seed", type=int, metavar="SEED", help="the same seed makes the same bytes")
    parser.add_argument("directory", type=Path, metavar="DIRECTORY", help="where to write")
    parser.add_argument(
        "--accounts", type=int, default=ACCOUNTS, metavar="N",
        help="about how many; each group has two at least (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--cast", choices=CASTS, default=EVERYONE,
        help="who is in it; lookalikes: little but groups that only look like one hand, and "
        "campaigns that hide what ties them (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--data", type=Path, default=DATA.parent, metavar="DIRECTORY",
        help="prompts, ip and traffic to draw from (default: %(default)s)",
    )  # fmt: skip
    asked = parser.parse_args(words)
    try:
        sources = Sources.read(asked.data)
    except CannotWorkError as error:
        print(f"others: {error}", file=sys.stderr)
        return 3
    world = made(asked.seed, sources, asked.accounts, cast=asked.cast, told=True)
    world.write(asked.directory)
    print(f"\rothers: {world.summary()}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
