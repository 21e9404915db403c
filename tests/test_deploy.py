"""`examples/deploy`: closed containers, whole drains, policies that load, nothing secret."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import typer
import yaml

from gateway_guard import __version__
from gateway_guard.cli import build_app
from gateway_guard.policy.compile import check_policy
from tests.deploying import (
    CHART,
    COMPOSE,
    DEPLOY,
    HELM,
    SIDECAR,
    UNIT,
    documents,
    guard_of,
    pods,
    rendered,
    serve_commands,
    unit,
)

ROOT = DEPLOY.parent.parent
CONTAINERFILE = (DEPLOY / "Containerfile").read_text("utf-8")
ADMIN_PATHS = {"/healthz", "/readyz"}
in_a_checkout = pytest.mark.skipif(
    not (ROOT / "gateway_guard").is_dir(), reason="about the source tree, which is not here"
)
needs_helm = pytest.mark.skipif(HELM is None, reason="needs helm on the PATH, or in HELM")
needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd")

#: What the chart is rendered with.
RENDERINGS: dict[str, tuple[str, ...]] = {
    "as it is": (),
    "with a policy": ("--set-file", f"policy={ROOT / 'policies' / 'standard.yaml'}"),
    "several": ("--set", "replicas=3,workers=2,store=redis://redis:6379/0"),
    "with all": (
        *("--set", "replicas=2,secret.storeKey=store,secret.adminTokenKey=token"),
        *("--set", "serviceMonitor.enabled=true,serviceMonitor.labels.release=prom"),
        *("--set", "extraArgs={--preserve-host},extraEnv[0].name=A,extraEnv[0].value=b"),
        *("--set", "podAnnotations.a=b,podLabels.c=d,nodeSelector.e=f"),
        *("--set", "imagePullSecrets[0].name=registry,tolerations[0].operator=Exists"),
    ),
}


def seconds(words: list[str]) -> float:
    """How long a guard started by `serve WORDS` may take from SIGTERM to its end."""
    command: Any = typer.main.get_command(build_app("serve"))
    asked = command.make_context("gateway-guard", ["serve"]).command.commands["serve"]
    flags = asked.make_context("serve", list(words)).params
    return float(flags["drain"] + flags["drain_delay"])


def judge(manifests: list[dict[str, Any]]) -> None:
    """What holds of every deployment to Kubernetes, by whatever means."""
    policies = []
    for manifest in manifests:
        if manifest["kind"] != "ServiceMonitor":  # not of Kubernetes itself
            kubernetes_validate.validate(manifest, "1.31", strict=True)
        assert manifest["kind"] != "Secret"
        if manifest["kind"] == "ConfigMap":
            policies.append(manifest["data"]["policy.yaml"])
    (text,) = policies
    policy, findings = check_policy(text.encode(), "policy.yaml")
    assert policy is not None, [str(finding) for finding in findings]
    (pod,) = pods(manifests)
    guard = guard_of(pod)
    restricted(pod)
    assert guard["securityContext"]["readOnlyRootFilesystem"] is True
    assert pod["automountServiceAccountToken"] is False
    assert pod["terminationGracePeriodSeconds"] >= seconds(guard["args"][1:]) + 5
    ports = {port["name"]: port["containerPort"] for port in guard["ports"]}
    assert ports == {"guard": 8080, "admin": 9901}
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert guard[probe]["httpGet"]["port"] == "admin"
        assert guard[probe]["httpGet"]["path"] in ADMIN_PATHS
    assert "--admin-host=0.0.0.0" in guard["args"]  # probes come from the node
    mounts = {mount["mountPath"]: mount["name"] for mount in guard["volumeMounts"]}
    assert set(mounts.values()) == {volume["name"] for volume in pod["volumes"]}
    assert not any("subPath" in mount for mount in guard["volumeMounts"])
    by_value = [entry["name"] for entry in guard["env"] if "value" in entry]
    assert not {"GATEWAY_GUARD_SECRET", "GATEWAY_GUARD_ADMIN_TOKEN"} & set(by_value)


def restricted(pod: dict[str, Any]) -> None:
    """The profile "restricted" of Kubernetes' pod security standards."""
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in pod["containers"]:
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert "memory" in container["resources"]["limits"]
    for volume in pod["volumes"]:
        assert {"configMap", "secret", "emptyDir"} & set(volume), volume


def test_the_sidecar_manifest_is_what_kubernetes_takes_and_closed() -> None:
    judge(documents(SIDECAR.read_text("utf-8")))


def test_the_model_beside_a_sidecar_outlives_its_drain_and_is_reached_by_nobody_else() -> None:
    (pod,) = pods(documents(SIDECAR.read_text("utf-8")))
    (model,) = [one for one in pod["containers"] if one["name"] == "model"]
    words = guard_of(pod)["args"][1:]

    assert model["lifecycle"]["preStop"]["sleep"]["seconds"] > seconds(words)
    assert "127.0.0.1" in model["args"]
    assert "ports" not in model


@needs_helm
@pytest.mark.parametrize("flags", RENDERINGS.values(), ids=RENDERINGS)
def test_what_helm_renders_is_what_kubernetes_takes_and_closed(flags: tuple[str, ...]) -> None:
    done = rendered(*flags)

    assert done.returncode == 0, done.stderr
    judge(documents(done.stdout))


@needs_helm
def test_helm_finds_nothing_wrong_with_the_chart() -> None:
    assert HELM is not None
    done = subprocess.run(
        [HELM, "lint", "--strict", str(CHART)], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout
    assert "[WARNING]" not in done.stdout


@needs_helm
def test_one_guard_is_not_kept_from_being_moved_and_of_several_one_at_a_time() -> None:
    one = {doc["kind"] for doc in documents(rendered().stdout)}
    several = {doc["kind"]: doc for doc in documents(rendered(*RENDERINGS["several"]).stdout)}

    assert "PodDisruptionBudget" not in one
    assert several["PodDisruptionBudget"]["spec"]["maxUnavailable"] == 1
    (pod,) = pods(list(several.values()))
    assert {"name": "GATEWAY_GUARD_TOTAL_WORKERS", "value": "6"} in guard_of(pod)["env"]


@needs_helm
@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("replicas=2", "set store or secret.storeKey"),
        ("drain=soon", "drain"),
        ("upstream=model:8000", "upstream"),
        ("store=redis://:hunter2@redis:6379", "store"),
        ("policie=x", "policie"),
        ("serviceMonitor.enabled=true,service.type=NodePort", "admin port is on no other"),
    ],
)
def test_the_chart_refuses_values_that_cannot_work(wrong: str, said: str) -> None:
    done = rendered("--set", wrong)

    assert done.returncode != 0
    assert said in done.stderr


def test_every_value_of_the_chart_is_in_its_schema_and_the_reverse() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text("utf-8"))
    values = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))

    assert set(schema["properties"]) == {*values, "global"}
    for name, value in values.items():
        described = schema["properties"][name].get("properties")
        if described is not None:
            assert set(described) == set(value), name


def test_the_charts_policy_loads_and_its_versions_are_this_packages() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text("utf-8"))

    assert check_policy(values["policy"].encode(), "policy.yaml")[0] is not None
    assert chart["appVersion"] == __version__
    for page in (COMPOSE.read_text("utf-8"), SIDECAR.read_text("utf-8"), CONTAINERFILE):
        assert f"gateway-guard:{__version__}" in page


@in_a_checkout
def test_the_image_is_nobodys_pinned_and_built_from_what_there_is() -> None:
    users = re.findall(r"^USER (\d+):(\d+)$", CONTAINERFILE, re.MULTILINE)
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", CONTAINERFILE, re.MULTILINE)
    sources = {source for line in copied for source in line.split()}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = [
        *("pyproject.toml", project["project"]["readme"], *project["project"]["license-files"]),
        *(*wheel["packages"], *wheel["force-include"]),
    ]
    extras = re.search(r"\.\[([\w,]+)\]", CONTAINERFILE)

    assert len(users) == 1
    assert int(users[0][0]) > 0
    assert re.search(r"^ARG PYTHON=3\.\d+-slim-\w+$", CONTAINERFILE, re.MULTILINE)
    assert CONTAINERFILE.count("FROM docker.io/library/python:${PYTHON}") == 2
    assert all((ROOT / source).exists() for source in sources)
    for path in needed:
        assert any(Path(path).is_relative_to(source) for source in sources), path
    assert extras is not None
    assert set(extras[1].split(",")) <= set(project["project"]["optional-dependencies"])


def test_every_service_of_compose_is_closed_watched_and_pinned() -> None:
    compose = yaml.safe_load(COMPOSE.read_text("utf-8"))

    for name, service in compose["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["healthcheck"]["test"][0] == "CMD", name
        assert re.search(r":[\d.]+(-\w+)?$", service["image"]), name
    guard = compose["services"]["guard"]
    assert guard["secrets"] == ["guard"]
    assert guard["environment"]["GATEWAY_GUARD_SECRET_FILE"] == "/run/secrets/guard"
    assert compose["secrets"]["guard"]["file"].startswith("${GUARD_SECRET_FILE:?")
    assert all(port.startswith("127.0.0.1:") for port in guard["ports"])
    assert compose["networks"]["inside"] == {"internal": True}


def test_everybody_who_stops_a_guard_leaves_it_the_time_to_drain() -> None:
    commands = dict(serve_commands())
    compose = yaml.safe_load(COMPOSE.read_text("utf-8"))["services"]["guard"]
    stop = unit()["TimeoutStopSec"][0]

    assert int(compose["stop_grace_period"].removesuffix("s")) >= 5 + seconds(
        commands["compose.yaml"]
    )
    assert int(stop) >= 5 + seconds(commands["gateway-guard.service"])
    assert unit()["ExecReload"] == ["/bin/kill -HUP $MAINPID"]


@needs_systemd
def test_systemd_takes_the_unit_and_calls_it_safe(tmp_path: Path) -> None:
    # It looks for the program, which is not installed where the unit has it.
    text = UNIT.read_text("utf-8").replace("/opt/gateway-guard/bin/gateway-guard", "/bin/true")
    copy = tmp_path / "gateway-guard.service"
    copy.write_text(text)

    verify = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(copy)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    security = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=20", str(copy)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert "gateway-guard" not in verify.stderr
    assert security.returncode == 0, security.stdout[-300:]  # an exposure of at most 2.0 of 10
