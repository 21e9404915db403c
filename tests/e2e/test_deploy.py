"""The health checks in `examples/deploy`, as they stand there, against a real guard."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.deploying import COMPOSE, DEPLOY
from tests.e2e.servers import Sidecar, Upstream

pytestmark = pytest.mark.e2e


def checks() -> list[list[str]]:
    """The image's health check and those of the compositions, as words."""
    said = re.search(r"CMD (\[\"python\".*\])$", (DEPLOY / "Containerfile").read_text(), re.M)
    assert said is not None
    composed = yaml.safe_load(COMPOSE.read_text())["services"]["guard"]["healthcheck"]["test"]
    cluster = yaml.safe_load((DEPLOY.parent / "cluster" / "compose.yaml").read_text())
    shared = cluster["services"]["guard-1"]["healthcheck"]["test"]
    return [json.loads(said[1]), composed[1:], shared[1:]]


def healthy(words: list[str], port: int) -> bool:
    """Whether the check ends well, asked at another port than in the container."""
    python, *rest = [word.replace("9901", str(port)) for word in words]
    assert python == "python"
    # As engines set it for every container where they were told of a proxy.
    environment = {
        **os.environ,
        "HTTP_PROXY": "http://127.0.0.1:1",
        "http_proxy": "http://127.0.0.1:1",
    }
    ran = subprocess.run(
        [sys.executable, *rest], stderr=subprocess.PIPE, env=environment, check=False
    )
    return ran.returncode == 0


def test_health_checks_tell_a_guard_that_serves_from_one_that_is_gone(tmp_path: Path) -> None:
    # A port that is taken and that nobody listens at: no other test can start serving there.
    with (
        socket.socket() as nobody,
        Upstream() as upstream,
        Sidecar(tmp_path, upstream.url) as guard,
    ):
        nobody.bind(("127.0.0.1", 0))
        serving = [healthy(words, guard.admin) for words in checks()]
        gone = [healthy(words, nobody.getsockname()[1]) for words in checks()]

    assert serving == [True] * 3
    assert gone == [False] * 3
