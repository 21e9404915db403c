"""What `examples/deploy` holds, read: manifests, the chart as Helm renders it, commands."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

DEPLOY = Path(__file__).resolve().parent.parent / "examples" / "deploy"
CHART = DEPLOY / "helm" / "gateway-guard"
SIDECAR = DEPLOY / "kubernetes" / "sidecar.yaml"
COMPOSE = DEPLOY / "compose.yaml"
UNIT = DEPLOY / "systemd" / "gateway-guard.service"

HELM = shutil.which(os.environ.get("HELM", "helm"))


def documents(text: str) -> list[dict[str, Any]]:
    """The manifests in a YAML stream."""
    return [document for document in yaml.safe_load_all(text) if document is not None]


def rendered(*flags: str) -> subprocess.CompletedProcess[str]:
    """The chart as `helm template` renders it."""
    assert HELM is not None
    return subprocess.run(
        [HELM, "template", "demo", str(CHART), *flags], capture_output=True, text=True, check=False
    )


def pods(manifests: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The pod of every deployment."""
    for manifest in manifests:
        if manifest["kind"] == "Deployment":
            yield manifest["spec"]["template"]["spec"]


def guard_of(pod: dict[str, Any]) -> dict[str, Any]:
    """The guard's container."""
    (guard,) = [one for one in pod["containers"] if one["name"] == "gateway-guard"]
    return dict(guard)


def unit() -> dict[str, list[str]]:
    """The systemd unit: directive → its values, in order."""
    found: dict[str, list[str]] = {}
    for line in UNIT.read_text("utf-8").splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(name, []).append(value)
    return found


def serve_commands() -> list[tuple[str, list[str]]]:
    """(file, words after `serve`) of every guard that is started, but by the chart."""
    compose = yaml.safe_load(COMPOSE.read_text("utf-8"))["services"]["guard"]["command"]
    (pod,) = pods(documents(SIDECAR.read_text("utf-8")))
    (started,) = unit()["ExecStart"]
    commands = [
        ("compose.yaml", shlex.split(compose)),
        ("sidecar.yaml", guard_of(pod)["args"]),
        ("gateway-guard.service", shlex.split(started)[1:]),
    ]
    assert all(words[0] == "serve" for _, words in commands)
    return [(name, words[1:]) for name, words in commands]
