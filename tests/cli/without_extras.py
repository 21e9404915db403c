"""Run by `make wheel` with the interpreter that has the wheel and none of its extras.

Everything offline works, from an empty directory; what serves says what to install.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import gateway_guard

PACKAGE = Path(gateway_guard.__file__).parent
DEMO = PACKAGE / "data" / "demo"
STANDARD = str(DEMO / "policies" / "standard.yaml")
EXAMPLES = DEMO / "examples"

#: Arguments → what the output names. All exit 0.
WORKS = {
    ("--version",): gateway_guard.__version__,
    ("lookup", "8.8.8.8"): "AS15169",
    ("check", STANDARD): "",
    ("test", str(DEMO / "policies")): "",
    ("explain", "-p", STANDARD, str(EXAMPLES / "requests" / "chat.json")): "└ act",
    ("replay", str(EXAMPLES / "traffic.jsonl.gz"), "--policy", STANDARD): "exchanges of",
    ("signal", "template-sweep"): "template-sweep",
    ("rule", "GG203"): "GG203",
    ("schema",): "$schema",
}
#: Arguments → the extra the message names. All exit 3.
NEEDS_THE_EXTRA = {
    ("serve", "-p", STANDARD, "-u", "http://127.0.0.1:1"): "sidecar",
    ("demo",): "sidecar",
    ("store", "stats", "--store", "redis://127.0.0.1:1"): "redis",
}


def run(directory: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "gateway-guard"), *arguments]
    return subprocess.run(
        command, cwd=directory, capture_output=True, text=True, timeout=60.0, check=False
    )


def main() -> None:
    """Check all of it.

    Raises:
        SystemExit: something is not as it should be; says what.
    """
    if "site-packages" not in gateway_guard.__file__:
        sys.exit(f"not the wheel: {gateway_guard.__file__}")
    for name in ("py.typed", "data/NOTICE", "data/network.mmdb", "stores/lua/reserve.lua",
                 "streams/lua/publish.lua"):  # fmt: skip
        if not (PACKAGE / name).is_file():
            sys.exit(f"the wheel lacks {name}")
    with tempfile.TemporaryDirectory() as directory:
        for arguments, words in WORKS.items():
            done = run(directory, *arguments)
            if done.returncode != 0 or words not in done.stdout:
                sys.exit(f"{arguments}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        for arguments, extra in NEEDS_THE_EXTRA.items():
            done = run(directory, *arguments)
            clear = "pip install '" in done.stderr and f"[{extra}]'" in done.stderr
            if done.returncode != 3 or not clear or "Traceback" in done.stderr:
                sys.exit(f"{arguments}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    print(f"without extras: {len(WORKS)} commands work, {len(NEEDS_THE_EXTRA)} say what they need")


if __name__ == "__main__":
    main()
