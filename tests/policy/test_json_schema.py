"""The JSON Schema of the policy language: all of the tables, nothing else, and true to `check`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from yaml.nodes import MappingNode, Node, ScalarNode

from gateway_guard.policy.compile import check_policy
from gateway_guard.policy.countries import COUNTRIES
from gateway_guard.policy.detectors import parameters
from gateway_guard.policy.json_schema import DOCUMENTS, json_schema
from gateway_guard.policy.nodes import compose, decode
from gateway_guard.policy.reader import Findings
from gateway_guard.policy.schema import SCHEMA
from gateway_guard.signals import DETECTORS

ROOT = Path(__file__).resolve().parent.parent.parent
GOLDEN = ROOT / "tests" / "golden" / "policy"
SHIPPED = sorted(
    path
    for folder in ("policies", "examples")
    for path in (ROOT / folder).rglob("*.yaml")
    if re.search(r"^(version: 1|policy: \S+\.yaml)$", path.read_text("utf-8"), re.MULTILINE)
)


@cache
def validator(document: str = "policy") -> Any:
    schema = json_schema(document, DETECTORS, "0.0.0")
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def as_editors_read(node: Node) -> Any:
    """A node as YAML 1.2 has it: true, false and numbers where they are not quoted."""
    if isinstance(node, MappingNode):
        return {key.value: as_editors_read(value) for key, value in node.value}
    if not isinstance(node, ScalarNode):
        return [as_editors_read(item) for item in node.value]
    if node.style is not None:
        return node.value
    for pattern, read in (
        (r"true|false", lambda text: text == "true"),
        (r"|~|null", lambda _text: None),
        (r"[-+]?[0-9]+", int),
        (r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", float),
    ):
        if re.fullmatch(pattern, node.value):
            return read(node.value)
    return node.value


def read(source: bytes) -> Any:
    found = Findings("a policy")
    text = decode(source, found)
    node = compose(text, found) if text is not None else None
    return None if node is None else as_editors_read(node)


def mistakes(text: str, document: str = "policy") -> list[str]:
    """Every mistake, those within alternatives too."""

    def below(error: Any) -> Iterator[str]:
        yield error.message
        for inner in error.context:
            yield from below(inner)

    errors = validator(document).iter_errors(read(text.encode()))
    return [message for error in errors for message in below(error)]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_policy_and_every_policy_test_that_ships_fits(path: Path) -> None:
    document = "test" if path.name.endswith(".test.yaml") else "policy"

    assert mistakes(path.read_text("utf-8"), document) == []


def test_policies_and_tests_ship() -> None:
    assert len([path for path in SHIPPED if path.name.endswith(".test.yaml")]) >= 4
    assert len(SHIPPED) >= 10


WELL_FORMED = [path for path in sorted(GOLDEN.glob("*.yaml")) if read(path.read_bytes())]


@pytest.mark.parametrize("path", WELL_FORMED, ids=lambda path: path.stem)
def test_what_loads_fits_and_what_has_an_unknown_key_does_not(path: Path) -> None:
    source = path.read_bytes()
    policy, findings = check_policy(source, str(path))

    fits = validator().is_valid(read(source))

    if policy is not None:
        assert fits
    if any(finding.code in ("GG201", "GG205", "GG214") for finding in findings):
        assert not fits


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("version: 2", "1 was expected"),
        ("mode: shadow", "'version' is a required property"),
        ("version: 1\nruls: []", "'ruls' was unexpected"),
        ("version: 1\nmode: on", "'on' is not one of ['enforce', 'shadow']"),
        ("version: 1\nheaders: yes", "'yes' is not of type 'boolean'"),
        ("version: 1\nrules: [{ name: a, then: block }]", "'block' is not one of"),
        ("version: 1\nrules: [{ name: a, then: deny, when: { city: X } }]", "'city' was unexp"),
        ("version: 1\nrules: [{ name: a, then: deny, when: { country: UK } }]", "'UK' is not one"),
        ("version: 1\nrules: [{ name: a, then: deny, when: { risk: { min: 2 } } }]", "maximum"),
        ("version: 1\nsignals: { template-sweep: { weight: 0.5, flor: 3 } }", "'flor' was unexp"),
        ("version: 1\nsignals: { template-swep: { weight: 0.5 } }", "'template-swep' was unexp"),
        ("version: 1\nlimits: { a: { per: account, requests: 5 } }", "5 is not of type 'string'"),
        ("version: 1\nlimits: { a: { per: account } }", "'tokens' is a required property"),
        ("version: 1\nlimits: { A: { per: account, requests: 5/minute } }", "'A' does not match"),
        ("version: 1\nlimits: { a: { per: account, requests: 5/min } }", "'5/min' does not match"),
        ("version: 1\nrules: [{ name: New One, then: deny }]", "'New One' does not match"),
        ("version: 1\non_error: { store: open }", "'open' is not one of"),
        ("version: 1\ninspect: {}", "{} should be non-empty"),
        ("version: 1\nrollout: 0.5\nmode: enforce", "0.5 is not of type 'string'"),
    ],
)
def test_a_mistake_of_one_place_is_found(text: str, said: str) -> None:
    assert any(said in one for one in mistakes(text)), mistakes(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("policy: p.yaml", "'cases' is a required property"),
        ("policy: p.yaml\ncases: [{ it: x, expect: { action: stop } }]", "'stop' is not one of"),
        ("policy: p.yaml\ncases: [{ it: x, given: { citty: O }, expect: { rule: a } }]", "'citty'"),
        (
            "policy: p.yaml\ncases: [{ it: x, given: { body: unknown }, expect: { rule: a } }]",
            "'unknown' is not one of",
        ),
    ],
)
def test_a_mistake_in_a_policy_test_is_found(text: str, said: str) -> None:
    assert any(said in one for one in mistakes(text, "test"))


ADAPTED = """
signals: { template-sweep: { weight: 0.5 } }
limits:
  a:
    { per: account, concurrent: 5, adapt: { risk: { 0.3: 50% }, age: { 7 days: 20% },
      tier: { scale: 400% }, region: { NO: 10% } } }
"""


@pytest.mark.parametrize(
    "text",
    [
        "rollout: 12.5 %\nmode: enforce",
        "inspect: { max_body: 512 kB, keep_samples: 200 characters }",
        "regions: { nordic: [DK, FI, IS, NO, SE], north: NO }",
        "signals: { template-sweep: { weight: 1 } }",
        "limits: { a: { per: [account, model], tokens: 5 per 10 seconds, burst: 10 } }",
        ADAPTED,
        "rules: [{ name: a, then: deny, when: { asn: [64500, AS64501, unknown] } }]",
        "rules: [{ name: a, then: deny, when: { account_age: [{ max: 7 DAYS }, unknown] } }]",
        "rules: [{ name: a, then: deny, when: { verified: [true, unknown], tier: 1 } }]",
        "rules: [{ name: a, then: deny, when: { client_ip: [10.0.0.0/8, '2001:db8::1'] } }]",
        "rules: [{ name: a, then: deny, when: { not: { network: [tor, unknown] } } }]",
        "identify: { account: { header: authorization }, trusted_proxies: [unix, 10.0.0.0/8] }",
    ],
)
def test_every_spelling_that_a_policy_may_use_fits(text: str) -> None:
    policy, findings = check_policy(f"version: 1\n{text}".encode(), "a policy")

    assert policy is not None, [str(finding) for finding in findings]
    assert mistakes(f"version: 1\n{text}") == []


def test_every_key_of_the_tables_is_described_and_no_other() -> None:
    left = set(SCHEMA) - {"signal", "band"}  # within the sections that use them
    for document, (root, _) in DOCUMENTS.items():
        schema = validator(document).schema
        for name, section in {root: schema, **schema["$defs"]}.items():
            if name not in SCHEMA:
                continue
            left.discard(name)
            assert set(section["properties"]) == {key.name for key in SCHEMA[name]}
            assert section["additionalProperties"] is False
            for key in SCHEMA[name]:
                assert section["properties"][key.name]["description"].startswith(key.doc)
                assert (key.name in section.get("required", ())) is key.required

    assert left == set()


def test_every_signal_is_described_with_its_parameters_and_their_meaning() -> None:
    described = validator().schema["properties"]["signals"]["properties"]

    assert set(described) == set(DETECTORS)
    for name, cls in DETECTORS.items():
        settings = described[name]["properties"]
        assert set(settings) == {"weight", *parameters(cls)}
        for parameter in parameters(cls):
            assert len(settings[parameter]["description"]) > len(parameter), (name, parameter)
            assert "default" in settings[parameter]


def test_countries_are_offered_with_their_names() -> None:
    country = validator().schema["$defs"]["country"]

    assert dict(zip(country["enum"], country["enumDescriptions"], strict=True)) == COUNTRIES


def test_it_says_which_version_of_which_document_it_is() -> None:
    assert validator().schema["$id"] == "urn:gateway-guard:policy:1:0.0.0"
    assert validator("test").schema["$id"] == "urn:gateway-guard:test:1:0.0.0"
