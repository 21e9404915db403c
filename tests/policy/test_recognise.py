"""Which files of a directory are meant as policies."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway_guard.policy.recognise import is_policy

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "source",
    [
        "version: 1\n",
        "version: 1",
        "# of ours\n---\nversion: '1' # the language\nmode: shadow\n",
        '"version": 1\n',
        "  version: 1\n  mode: shadow\n",
        "{version: 1, rules: []}",
        '{"version":1}',
        "\ufeffversion: 1\n",
        # With mistakes, and no YAML at all.
        "rules:\n  - name: a\n",
        "mode: enforce\nlimits: {\n",
        "version: 1\nrulez: []\n",
        "version: 2\nrules: []\n",
    ],
)
def test_what_is_meant_as_a_policy_is_one_whatever_mistakes_it_has(source: str) -> None:
    assert is_policy(source.encode())


@pytest.mark.parametrize(
    "source",
    [
        "",
        "# nothing\n",
        "version: '3.8'\nservices:\n  web: { image: x }\n",
        "version: 1.0\nservices: {}\n",
        "apiVersion: v1\nkind: ConfigMap\n---\napiVersion: v1\nkind: Pod\n",
        "{{- if .Values.on }}\napiVersion: v1\n{{- end }}\n",
        "spec:\n  rules:\n    - host: a\n",
        "groups:\n  - name: a\n    rules: []\n",
        "policy: production.yaml\ncases: []\n",
        "- a\n- b\n",
        "text",
        "{a: 1}",
        "\x00\xff",
    ],
)
def test_what_others_write_is_none(source: str) -> None:
    assert not is_policy(source.encode())


def test_of_this_project_all_policies_are_found_and_nothing_else() -> None:
    found = {str(path.relative_to(ROOT)) for path in (ROOT / "examples").rglob("*.yaml")
             if not path.name.endswith(".test.yaml") and is_policy(path.read_bytes())}  # fmt: skip

    assert found >= {"examples/intel/policy.yaml", "examples/verification/policy.yaml"}
    assert all("policy" in Path(name).name for name in found)
    assert all(is_policy(path.read_bytes()) for path in (ROOT / "policies").glob("*s.yaml"))
