"""One target under atheris, in a process of its own: libFuzzer ends it when it is done.

python -m tests.fuzz.guided TARGET [libFuzzer's options and corpora]
"""

from __future__ import annotations

import logging
import sys

import atheris

from tests.fuzz import registry


def main() -> None:
    """Instrument the package, then hand over."""
    _, name, *options = sys.argv
    with atheris.instrument_imports(include=["gateway_guard"], enable_loader_override=False):
        target = registry.load(name)
    logging.disable()
    atheris.Setup([sys.argv[0], *options], target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
