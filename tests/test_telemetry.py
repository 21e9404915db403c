"""`examples/telemetry`: a dashboard and alerts about metrics that there are, and few enough."""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from gateway_guard.building import build_guard
from gateway_guard.core.breaker import State
from gateway_guard.frontends.server import Options, Sidecar
from gateway_guard.record.metrics import Metrics
from gateway_guard.settings import Settings
from gateway_guard.types import Action, Outcome, Usage
from tests import build

FOLDER = Path(__file__).parent.parent / "examples" / "telemetry"
DASHBOARD = json.loads((FOLDER / "grafana-dashboard.json").read_text("utf-8"))
RULES = yaml.safe_load((FOLDER / "alerts.yaml").read_text("utf-8"))
#: Labels Prometheus adds itself, and who gathers for several workers (`record.gather`).
ADDED = {"job", "instance", "worker"}
#: What Grafana puts in for its variables.
VARIABLES = {"$__rate_interval": "5m", "$job": "a", "$instance": "b"}
SUFFIXES = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}


@cache
def exposed() -> dict[str, set[str]]:
    """Sample → its labels, of a sidecar that has everything there is to count."""
    policy = FOLDER.parent.parent / "policies" / "minimal.yaml"
    settings = Settings(
        secret=build.SECRET, store="redis://127.0.0.1:1/0", decision_log="-",
        accounts_url="http://127.0.0.1:1/{account}",
    )  # fmt: skip
    options = Options(policy=str(policy), upstream="http://127.0.0.1:1", dashboard=True)
    metrics = Sidecar(options, settings).metrics
    found = {
        f"{family.name}{suffix}": {
            *vars(family)["_labelnames"],
            *(("le",) if suffix == "_bucket" else ()),
        }
        for family in metrics.families()
        for suffix in SUFFIXES[family.type]
    }
    # Of the process itself, which the registry adds.
    found |= {name: set() for name in re.findall(r"^(process_\w+) ", page(metrics), re.MULTILINE)}
    recorded = {
        rule["record"]: set(re.findall(r"sum by \(([^)]*)\)", rule["expr"])[0].split(", "))
        for rule in rules("record")
    }
    return found | recorded | {"up": set()}


@cache
def tables() -> set[str]:
    assert "gateway_guard_table_entries" in exposed()
    policy = FOLDER.parent.parent / "policies" / "minimal.yaml"
    settings = Settings(secret=build.SECRET, store="redis://127.0.0.1:1/0", decision_log="-")
    options = Options(policy=str(policy), upstream="http://127.0.0.1:1", dashboard=True)
    shared = Sidecar(options, settings).instruments._sizes()
    local = Sidecar(options, Settings(secret=build.SECRET)).instruments._sizes()
    return {*shared, *local}


def allowed_values() -> dict[str, set[str]]:
    return {
        "action": {action.word for action in Action},
        "acted": {"true", "false"},
        "outcome": {outcome.value for outcome in Outcome},
        "on_error": {"deny", "allow", "local"},
        "result": {"good", "failed"},
        "state": {state.value for state in State},
        "table": tables(),
        "rule": {"default"},
    }


def page(metrics: Metrics) -> str:
    return metrics.render()[0].decode()


def rules(kind: str) -> Iterator[dict[str, Any]]:
    for group in RULES["groups"]:
        for rule in group["rules"]:
            if kind in rule:
                yield rule


def panels() -> list[dict[str, Any]]:
    return [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def expressions() -> Iterator[tuple[str, str]]:
    for panel in panels():
        for target in panel["targets"]:
            yield f"{panel['title']}/{target['refId']}", target["expr"]
    for note in DASHBOARD["annotations"]["list"]:
        yield note["name"], note["expr"]
    for rule in (*rules("alert"), *rules("record")):
        yield rule.get("alert") or rule["record"], rule["expr"]


EXPRESSIONS = dict(expressions())


def visited(expression: str) -> list[Any]:
    """Every node of a PromQL expression."""
    for name, value in VARIABLES.items():
        expression = expression.replace(name, value)
    found: list[Any] = []
    promql_parser.walk(promql_parser.parse(expression), found.append)
    return found


def test_metrics_are_in_base_units() -> None:
    """Source: https://prometheus.io/docs/practices/naming/"""
    odd = re.compile("milli|micro|nano|minute|hour|percent|kilo|mega|_ms(_|$)|_mb(_|$)")

    assert [name for name in exposed() if odd.search(name)] == []


def test_what_parses_expressions_finds_names_labels_and_mistakes() -> None:
    nodes = visited('sum by (a) (rate(x{b="1"}[5m])) / on (c) y offset 1d')

    names = {n.name for n in nodes if isinstance(n, promql_parser.VectorSelector)}
    assert names == {"x", "y"}
    with pytest.raises(ValueError, match="unclosed"):
        visited("sum by (a (x)")


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_every_expression_names_only_what_metrics_exposes(name: str) -> None:
    known = exposed()
    nodes = visited(EXPRESSIONS[name])
    selectors = [node for node in nodes if isinstance(node, promql_parser.VectorSelector)]
    labels: set[str] = set()

    assert selectors
    for selector in selectors:
        assert selector.name in known
        labels |= known[selector.name]
        for matcher in selector.matchers.matchers:
            assert matcher.name in known[selector.name] | ADDED, selector.name
            if matcher.name in allowed_values():
                assert set(matcher.value.split("|")) <= allowed_values()[matcher.name]
    for node in nodes:
        modifier = getattr(node, "modifier", None)
        if isinstance(node, promql_parser.AggregateExpr) and modifier is not None:
            assert set(modifier.labels) <= labels | ADDED
        if isinstance(node, promql_parser.BinaryExpr) and modifier is not None:
            matching = modifier.matching
            assert matching is None or set(matching.labels) <= labels | ADDED


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_what_only_rises_is_looked_at_as_a_rate(name: str) -> None:
    for node in visited(EXPRESSIONS[name]):
        if isinstance(node, promql_parser.Call):
            for selector in node.args:
                metric = getattr(getattr(selector, "vector_selector", None), "name", "")
                if node.func.name in ("rate", "increase") and metric:
                    assert metric.endswith(("_total", "_bucket")), metric


def test_the_dashboard_can_be_imported_whatever_the_data_source_is_called() -> None:
    first, *others = DASHBOARD["templating"]["list"]
    ids = [panel["id"] for panel in DASHBOARD["panels"]]

    assert DASHBOARD["id"] is None
    assert re.fullmatch(r"[a-zA-Z0-9_-]{1,40}", DASHBOARD["uid"])
    assert DASHBOARD["schemaVersion"] >= 36
    assert (first["name"], first["type"], first["query"]) == (
        "datasource", "datasource", "prometheus",
    )  # fmt: skip
    assert len(ids) == len(set(ids))
    source = {"type": "prometheus", "uid": "${datasource}"}
    for panel in panels():
        assert panel["datasource"] == source
        assert all(target["datasource"] == source for target in panel["targets"])
        assert panel["description"]
    for variable in others:
        assert variable["datasource"] == source
        (metric,) = re.findall(r"gateway_guard_\w+", variable["definition"])
        assert metric in exposed()
    assert all(expression.find("${datasource}") < 0 for expression in EXPRESSIONS.values())


def test_panels_stand_beside_each_other_and_not_on_each_other() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells


@pytest.mark.parametrize("rule", list(rules("alert")), ids=lambda rule: rule["alert"])
def test_every_alert_says_what_is_wrong_and_what_to_do(rule: dict[str, Any]) -> None:
    assert re.fullmatch(r"GatewayGuard[A-Z]\w+", rule["alert"])
    assert rule["labels"]["severity"] in ("page", "ticket", "info")
    assert set(rule["annotations"]) == {"summary", "description"}
    assert re.fullmatch(r"\d+[mhd]", rule.get("for", "5m"))
    labels = set(re.findall(r"\$labels\.(\w+)", json.dumps(rule["annotations"])))
    used = {
        node.name for node in visited(rule["expr"])
        if isinstance(node, promql_parser.VectorSelector)
    }  # fmt: skip
    assert labels <= set().union(*(exposed()[name or ""] for name in used)) | ADDED


def test_ten_thousand_names_that_clients_choose_make_no_series_more() -> None:
    metrics = Metrics()
    guard = build_guard(
        build.policy(
            "mode: enforce\n"
            "limits: { r: { per: account, requests: 9/minute } }\n"
            "rules:\n  - { name: some, when: { model: [m-1*] }, then: deny }"
        ),
        settings=Settings(secret=build.SECRET), learners=[metrics.settled],
        clock=lambda: build.NOW,
    )  # fmt: skip
    luck = random.Random(7)

    async def send(count: int) -> int:
        for _ in range(count):
            name = f"{luck.getrandbits(64):x}"
            wire = build.wire(
                luck.choice([f"/v1/{name}", "/v1/chat/completions"]),
                method=luck.choice([name.upper(), "POST"]),
                body=build.chat_body(model=f"m-{name}"),
                key=f"sk-{name}",
                peer=f"{luck.randrange(1, 224)}.{luck.randrange(256)}.{luck.randrange(256)}.9",
            )
            exchange = await guard.decide(wire)
            await guard.settle(exchange, Usage(input_tokens=1, output_tokens=1))
        return len([line for line in page(metrics).splitlines() if not line.startswith("#")])

    few = asyncio.run(send(500))
    many = asyncio.run(send(9_500))
    asyncio.run(guard.close())

    assert 30 < few < 200
    assert many <= few
