"""The example of a cluster does what it says: run as a user runs it, and its compose file fits."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys

import pytest
import yaml

from gateway_guard.cli import COMMANDS
from gateway_guard.policy.compile import load_policy
from tests.cli.run import ROOT
from tests.servers import needs_redis

pytestmark = pytest.mark.e2e

CLUSTER = ROOT / "examples" / "cluster"
#: Seconds for six processes to start on a busy machine, and for the load.
PATIENCE = 180.0


@needs_redis
def test_two_sidecars_and_a_linker_keep_what_the_example_promises() -> None:
    done = subprocess.run(
        [sys.executable, str(CLUSTER / "run.py")],
        capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    assert "40 admitted, the limit is 40" in done.stdout
    assert "20 admitted before it, 20 after it" in done.stdout
    assert "one sidecar killed and started again" in done.stdout
    assert "now 24 of 24 and 24 of 24 refused by each sidecar" in done.stdout
    assert "480 of 480 exchanges answered" in done.stdout


def test_the_compose_file_starts_commands_that_exist_with_options_they_have() -> None:
    services = yaml.safe_load((CLUSTER / "compose.yaml").read_text("utf-8"))["services"]

    for name in ("linker", "guard-1", "guard-2"):
        command, *words = shlex.split(services[name]["command"])
        assert command in COMMANDS
        shown = subprocess.run(
            [sys.executable, "-m", "gateway_guard", command, "--help"],
            capture_output=True, text=True, check=True, env={"COLUMNS": "200"},
        ).stdout  # fmt: skip
        for option in filter(re.compile("--").match, words):
            assert option in shown
    for name in ("upstream", "accounts", "load"):
        assert (ROOT / services[name]["entrypoint"][1]).is_file()


def test_the_policy_of_the_example_loads() -> None:
    assert load_policy(str(CLUSTER / "policy.yaml")).campaigns
