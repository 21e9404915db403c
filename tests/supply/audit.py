"""`python -m tests.supply.audit`: is anything that is installed here known to be broken?

pip-audit also says that nothing is known when it could look nothing up (a mirror without
advisories, a package unknown to the index). So it is first asked about a release that is known to
be broken: where it does not say so, there was no audit. Ends with 0 where nothing is known, 1 where
something is, and 3 where nothing, or not everything, could be looked up.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

#: Broken since 2019 (CVE-2019-10906) and older flaws; nobody will mend it.
KNOWN: Final = "jinja2==2.4.1"
#: Whom pip-audit can ask.
SERVICES: Final = ("pypi", "osv")

Ask = Callable[[str, str], list[dict[str, Any]] | None]


def verdict(pins: Iterable[str], ask: Ask) -> tuple[int, str]:
    """Exit code and what to say of `pins` (`name==version`).

    `ask` is given a service and lines of requirements, and gives pip-audit's `dependencies`; None
    where it could not be reached.
    """
    for service in SERVICES:
        control = ask(service, KNOWN)
        if control and any(one.get("vulns") for one in control):
            break
    else:
        return 3, (
            "NOTHING WAS AUDITED: no database of advisories can be reached from here "
            f"(asked {' and '.join(SERVICES)} about {KNOWN}, which is known to be broken, and none "
            "said so). Run `make audit` where https://pypi.org or https://api.osv.dev answers."
        )
    answers = ask(service, "\n".join(pins))
    if answers is None:
        return 3, f"NOTHING WAS AUDITED: {service} stopped answering."
    broken = [
        f"{one['name']} {one['version']}: {flaw['id']}, mended in "
        f"{', '.join(flaw.get('fix_versions') or ['no release yet'])}"
        for one in answers
        for flaw in one.get("vulns", ())
    ]
    unknown = [f"{one['name']}: {one['skip_reason']}" for one in answers if "skip_reason" in one]
    lines = [*broken, *(f"not audited: {line}" for line in unknown)]
    lines.append(f"{len(answers) - len(unknown)} audited by {service}, {len(broken)} flaws known")
    return 1 if broken else 3 if unknown else 0, "\n".join(lines)


def _pip_audit(service: str, lines: str) -> list[dict[str, Any]] | None:
    with tempfile.TemporaryDirectory() as folder:
        asked = Path(folder) / "requirements.txt"
        asked.write_text(lines + "\n", "utf-8")
        done = subprocess.run(
            [sys.executable, "-m", "pip_audit", "--vulnerability-service", service, "--format",
             "json", "--progress-spinner", "off", "--disable-pip", "--no-deps", "-r", str(asked)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    try:
        found: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        return None
    return found


def _pinned(python: str) -> list[str]:
    """What the environment of `python` holds, but for the guard itself."""
    done = subprocess.run(
        [python, "-m", "pip", "list", "--format", "json", "--exclude", "gateway-guard"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [f"{one['name']}=={one['version']}" for one in json.loads(done.stdout)]


def main() -> int:
    python = sys.argv[1] if len(sys.argv) > 1 else sys.executable
    code, said = verdict(_pinned(python), _pip_audit)
    print(said)
    return code


if __name__ == "__main__":
    sys.exit(main())
