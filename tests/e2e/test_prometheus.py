"""A real Prometheus scrapes a sidecar, takes the alerts, and answers what the dashboard asks."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.servers import POLICY, Sidecar, Upstream, ask, get
from tests.processes import PATIENCE, Child
from tests.servers import free_port, until
from tests.test_telemetry import DASHBOARD, EXPRESSIONS, FOLDER

PROMETHEUS = shutil.which("prometheus")
PROMTOOL = shutil.which("promtool")

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(
        PROMETHEUS is None or PROMTOOL is None, reason="needs prometheus and promtool"
    ),
]


class Prometheus(Child):
    """Scrapes one target once a second, with the alerts of `examples/telemetry`."""

    def __init__(self, folder: Path, target: int) -> None:
        assert PROMETHEUS is not None
        self.port = free_port()
        settings = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(FOLDER / "alerts.yaml")],
            "scrape_configs": [
                {
                    "job_name": "gateway-guard",
                    "static_configs": [{"targets": [f"127.0.0.1:{target}"]}],
                }
            ],
        }
        # JSON is YAML.
        (folder / "prometheus.yml").write_text(json.dumps(settings))
        super().__init__(
            PROMETHEUS,
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
        )
        try:
            self.wait_for("Server is ready to receive web requests")
        except BaseException:
            self.kill()
            raise

    def get(self, path: str, **parameters: str) -> Any:
        answer = httpx.get(
            f"http://127.0.0.1:{self.port}/api/v1/{path}", params=parameters, timeout=PATIENCE
        )
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    def value(self, expression: str) -> float | None:
        """Of an expression with one result; None while there is none."""
        found = self.get("query", query=expression)["result"]
        return float(found[0]["value"][1]) if found else None


def test_rules_load_expressions_are_answered_and_an_alert_fires(tmp_path: Path) -> None:
    with (
        Upstream() as upstream,
        Sidecar(tmp_path, upstream.url) as sidecar,
        Prometheus(tmp_path, sidecar.admin) as prometheus,
    ):
        statuses = [ask(sidecar.port, get(path)).status for path in ("/v1/models", "/admin")]
        until(
            lambda: prometheus.value("sum(gateway_guard_decisions_total)") == 2.0,
            "both decisions were scraped",
        )
        sidecar.policy.write_text(POLICY + "nonsense: true\n")
        until(
            lambda: any(
                alert["labels"]["alertname"] == "GatewayGuardReloadFailed"
                and alert["state"] == "firing"
                for alert in prometheus.get("alerts")["alerts"]
            ),
            "the alert fires",
        )
        groups = prometheus.get("rules")["groups"]
        loaded = {rule["name"]: rule for group in groups for rule in group["rules"]}
        asked = {
            name: prometheus.get(
                "query",
                query=expression.replace("$__rate_interval", "1m")
                .replace("$job", ".*")
                .replace("$instance", ".*"),
            )["result"]
            for name, expression in EXPRESSIONS.items()
        }

    assert statuses == [200, 403]
    assert all(rule["health"] in ("ok", "unknown") for rule in loaded.values()), loaded
    assert not any(rule.get("lastError") for rule in loaded.values())
    for shown in ("Guards/A", "Campaigns held/A", "Memory/A", "Versions/A"):
        assert asked[shown], shown
    assert {one["metric"]["table"] for one in asked["How full the tables are/A"]} >= {"profiles"}
    assert DASHBOARD["title"] == "gateway-guard"


def test_promtool_finds_nothing_to_say_of_rules_and_metrics(tmp_path: Path) -> None:
    assert PROMTOOL is not None
    with Upstream() as upstream, Sidecar(tmp_path, upstream.url) as sidecar:
        ask(sidecar.port, get("/v1/models"))
        page = ask(sidecar.admin, get("/metrics")).body

    rules = subprocess.run(
        [PROMTOOL, "check", "rules", FOLDER / "alerts.yaml"], capture_output=True, check=False
    )
    metrics = subprocess.run(
        [PROMTOOL, "check", "metrics"], input=page, capture_output=True, check=False
    )

    assert rules.returncode == 0, rules.stderr
    assert (metrics.returncode, metrics.stdout, metrics.stderr) == (0, b"", b"")
