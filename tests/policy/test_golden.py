"""Every mistake a policy can make, and exactly what is said of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway_guard.errors import PolicyError
from gateway_guard.policy.codes import CODES
from gateway_guard.policy.compile import load_policy
from gateway_guard.policy.diagnostics import Diagnostic
from tests.policy.golden import HERE, inputs, said

#: Findings about files that cannot stand among the golden ones.
NO_FILE = {"GG101", "GG102"}


@pytest.mark.parametrize("path", inputs(), ids=lambda path: path.name)
def test_a_bad_policy_is_told_exactly_this(path: Path) -> None:
    expected = path.with_suffix(".txt").read_text(encoding="utf-8")

    got = said(path)

    assert got == expected


def test_every_code_has_a_golden_file_and_a_text() -> None:
    for code, entry in CODES.items():
        assert len(entry.title) > 2
        assert len(entry.text) > 40
        if code in NO_FILE:
            continue

        texts = [path.read_text(encoding="utf-8") for path in HERE.glob(f"{code}*.txt")]

        assert any(f"{entry.severity.value}[{code}]" in text for text in texts), code


def test_every_golden_text_belongs_to_an_input() -> None:
    orphans = [text for text in HERE.glob("*.txt") if not text.with_suffix(".yaml").exists()]

    assert orphans == []


def test_there_are_more_than_twenty_bad_policies() -> None:
    refused = 0
    for path in inputs():
        if path.name.endswith(".test.yaml"):
            continue
        try:
            load_policy(path)
        except PolicyError:
            refused += 1

    assert refused > 40


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "nowhere.yaml"

    with pytest.raises(PolicyError) as caught:
        load_policy(path)

    assert str(caught.value) == f"{path}: error[GG101]: cannot be read: no such file or directory"


def test_a_directory_is_no_policy(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="GG101"):
        load_policy(tmp_path)


def test_a_name_with_nul_is_no_policy() -> None:
    with pytest.raises(PolicyError, match="GG101"):
        load_policy("a\0b.yaml")


def test_a_file_past_one_megabyte_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "large.yaml"
    with path.open("wb") as file:
        file.truncate(10 * 1024 * 1024)

    with pytest.raises(PolicyError) as caught:
        load_policy(path)

    assert "error[GG102]: 10,485,760 bytes, more than 1,048,576" in str(caught.value)


def test_the_message_of_the_house_style() -> None:
    finding = Diagnostic(
        code="GG203",
        message="unknown network 'vnp'",
        file="policies/production.yaml",
        line=37,
        column=35,
        source="    when: { network: [proxy, tor, vnp], account_age: { max: 7 days } }",
        width=3,
        hint="did you mean 'vpn'? (one of: hosting, proxy, relay, residential, tor, vpn)",
    )

    assert str(finding).splitlines() == [
        "policies/production.yaml:37:35: error[GG203]: unknown network 'vnp'",
        "   |",
        "37 |     when: { network: [proxy, tor, vnp], account_age: { max: 7 days } }",
        "   |                                   ^^^",
        "   = hint: did you mean 'vpn'? (one of: hosting, proxy, relay, residential, tor, vpn)",
    ]


def test_a_very_long_line_is_shown_around_the_mistake() -> None:
    finding = Diagnostic(
        code="GG201", message="m", file="f", line=1, column=5000, source="x" * 9000, width=3
    )

    lines = str(finding).splitlines()

    assert all(len(line) < 200 for line in lines)
    assert lines[3].endswith("^^^")
