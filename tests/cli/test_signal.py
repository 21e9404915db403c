from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner, Result

from gateway_guard.cli import build_app
from gateway_guard.cli.signal import page, text_of
from gateway_guard.signals import DETECTORS


def run(*words: str) -> Result:
    return CliRunner().invoke(build_app("signal"), ["signal", *words])


def test_without_a_name_it_lists_every_signal_with_a_summary() -> None:
    result = run()

    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert [line.split()[0] for line in lines] == list(DETECTORS)
    assert all(len(line.split()) > 3 for line in lines)


@pytest.mark.parametrize("name", sorted(DETECTORS))
def test_a_name_prints_its_manual_page_and_defaults(name: str) -> None:
    result = run(name)

    assert result.exit_code == 0
    assert result.output.startswith(f"{name}: ")
    for section in ("What it sees:", "False positives:", "Evasion:", "Source:", "Defaults:"):
        assert section in result.output


def test_a_default_is_printed_with_its_type() -> None:
    assert "    floor  50.0  (float)" in run("template-sweep").output
    assert "hosting    false  (bool)" in run("network-mismatch").output


def test_json_holds_the_same_as_data() -> None:
    every = json.loads(run("--format", "json").output)
    one = json.loads(run("template-sweep", "--format", "json").output)

    assert [entry["name"] for entry in every] == list(DETECTORS)
    assert one == every[0]
    assert one["parameters"] == [{"name": "floor", "type": "float", "default": 50.0}]
    assert one["bundled"] is True


class Bare:
    name = "bare"

    def look(self, request: object, facts: object) -> None:
        return None


def test_a_third_party_s_signal_without_manual_or_parameters_is_shown_as_such() -> None:
    shown = text_of(page("bare", Bare))  # type: ignore[arg-type]

    assert shown == "bare: No manual page.\n\nNo parameters."


def test_an_unknown_name_is_a_usage_error_with_a_hint() -> None:
    result = run("template-sweeps")

    assert result.exit_code == 2
    assert "did you mean 'template-sweep'?" in result.output


def test_an_unknown_format_is_a_usage_error() -> None:
    assert run("--format", "xml").exit_code == 2


def test_an_unknown_signal_is_answered_with_those_there_are() -> None:
    near, far = run("template-sweeps"), run("x")

    assert (near.exit_code, far.exit_code) == (2, 2)
    assert "'template-sweeps': did you mean 'template-sweep'? (one of: geo-velocity" in near.output
    assert "unknown signal 'x': one of: geo-velocity" in far.output
