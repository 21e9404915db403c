"""What is said of a policy goes into logs, and no credential with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway_guard.errors import PolicyError
from gateway_guard.policy.cases import run_cases
from gateway_guard.policy.compile import check_policy

KEY = "sk-live-0123456789abcdef"


@pytest.mark.parametrize(
    "source",
    [
        f"rules:\n  - {{ name: a, when: {{ acount: x, account: {KEY}, tire: y }}, then: deny }}\n",
        f"rules:\n  - {{ name: a, when: {{ account: [{KEY}, '{KEY}'] }}, then: dney }}\n",
        f'identify: {{ account: {{ jwt: {{ key: "{KEY}", algorithms: HS25 }} }} }}\n',
    ],
)
def test_no_line_that_is_quoted_has_a_credential_in_it(source: str) -> None:
    _, findings = check_policy(b"version: 1\n" + source.encode(), "p.yaml")

    assert findings
    assert "456789abcdef" not in "\n".join(map(str, findings))


def test_what_stands_behind_a_credential_keeps_its_column() -> None:
    rule = f"{{ name: a, when: {{ account: {KEY}, tire: y }}, then: deny }}"
    source = f"version: 1\nrules: [{rule}]\n"

    _, findings = check_policy(source.encode(), "p.yaml")

    (tier,) = (found for found in findings if found.code == "GG201")
    assert tier.source[tier.column - 1 : tier.column + 3] == "tire"


def test_a_case_names_no_account_by_its_key(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("version: 1\n")
    cases = tmp_path / "p.test.yaml"
    cases.write_text(
        "policy: p.yaml\ncases:\n"
        f"  - {{ it: passes, given: {{ account: {KEY} }}, expect: {{ action: allow }} }}\n"
    )

    with pytest.raises(PolicyError, match="GG203") as caught:
        run_cases(cases)

    assert "456789abcdef" not in str(caught.value)
