"""OpenAI's client for Node, against the sidecar: one run of a script, and what it saw."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.clients import Guarded, guarded

pytestmark = pytest.mark.e2e

HERE = Path(__file__).resolve().parent
NODE = shutil.which("node")
SECONDS = 60


def module() -> Path | None:
    """The package as `make node` installs it, here or in a checkout around this copy."""
    for folder in HERE.parents:
        found = folder / "build" / "node" / "node_modules" / "openai" / "index.mjs"
        if found.exists():
            return found
    return None


@pytest.fixture(scope="module")
def guard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    with guarded(tmp_path_factory.mktemp("node")) as running:
        yield running


@pytest.fixture(scope="module")
def seen(request: pytest.FixtureRequest) -> dict[str, Any]:
    if NODE is None:
        pytest.skip("node is not installed")
    package = module()
    if package is None:
        pytest.skip("the openai package for node is not installed: make node")
    guard: Guarded = request.getfixturevalue("guard")
    command = [NODE, str(HERE / "openai_client.mjs"), package.as_uri(), f"{guard.url}/v1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_answers_streams_and_tools_come_through(seen: dict[str, Any]) -> None:
    assert seen["plain"].startswith("The quick")
    assert seen["stream"].startswith("The quick")
    assert set(seen["usage"]) == {None}
    assert seen["tool"] == {"name": "weather", "arguments": '{"city": "Oslo"}'}
    assert seen["response"].startswith("The quick")
    assert seen["vectors"] == 1
    assert int(seen["left"]) < 1_000_000


def test_streams_side_by_side_are_whole(seen: dict[str, Any]) -> None:
    assert seen["many"] == [seen["stream"]] * 8


def test_every_answer_is_counted_as_it_says(seen: dict[str, Any], guard: Guarded) -> None:
    written = {
        line["model"]: (line["output_tokens"], line["usage_reported"])
        for line in guard.decisions(action="allow", dialect="openai")
        if str(line.get("model")).startswith("node-")
    }

    assert written.pop("node-embed") == (0, True)
    assert len(written) == 6
    assert set(written.values()) == {(20, True)}


@pytest.mark.parametrize(
    ("name", "error", "status", "code"),
    [
        ("refused", "PermissionDeniedError", 403, "request_refused"),
        ("refusedStream", "PermissionDeniedError", 403, "request_refused"),
        ("unverified", "PermissionDeniedError", 403, "verification_required"),
        ("embargoed", "APIError", 451, "unsupported_country_region_territory"),
        ("stale", "AuthenticationError", 401, "invalid_api_key"),
    ],
)
def test_a_denial_is_the_clients_own_error_and_never_tried_again(
    seen: dict[str, Any], guard: Guarded, name: str, error: str, status: int, code: str
) -> None:
    refusal = seen[name]

    assert (refusal["error"], refusal["status"], refusal["code"]) == (error, status, code)
    assert refusal["id"] in {line["id"] for line in guard.decisions(status=status)}
    assert (refusal["asked"], refusal["waits"]) == (1, [])


def test_a_short_throttle_is_waited_out(seen: dict[str, Any]) -> None:
    refusal = seen["scarce"]

    assert (refusal["error"], refusal["status"], refusal["asked"]) == ("RateLimitError", 429, 3)
    assert 0 < int(refusal["retry"]) <= 30
    assert len(refusal["waits"]) == 2
    assert all(1000 < wait <= 30_000 for wait in refusal["waits"])


def test_a_long_throttle_is_not_tried_again(seen: dict[str, Any]) -> None:
    refusal = seen["rare"]

    assert (refusal["error"], refusal["status"], refusal["asked"]) == ("RateLimitError", 429, 1)
    assert refusal["should"] == "false"
    assert int(refusal["retry"]) > 60
    assert refusal["waits"] == []


def test_a_busy_service_is_a_server_error_tried_again_when_it_said(seen: dict[str, Any]) -> None:
    refusal = seen["busy"]

    assert (refusal["error"], refusal["status"]) == ("InternalServerError", 503)
    assert refusal["waits"] == [7000, 7000]
