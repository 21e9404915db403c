"""Checks that other packages install."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from gateway_guard.errors import SettingsError
from gateway_guard.verification import checks

Patch = pytest.MonkeyPatch


def install(monkeypatch: Patch, value: str) -> None:
    """Have one check installed, by the name `ours`."""
    point = EntryPoint(name="ours", value=value, group=checks.GROUP)
    monkeypatch.setattr(checks, "entry_points", lambda group: [point])


def test_an_installed_check_is_found_by_its_name(monkeypatch: Patch) -> None:
    install(monkeypatch, "gateway_guard.verification.checks:good_code")

    assert checks.installed("ours") is checks.good_code  # type: ignore[comparison-overlap]


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("theirs", "math:floor", "there are: ours"),
        ("ours", "no_such_package:check", "cannot be imported"),
        ("ours", "gateway_guard.verification.checks:GROUP", "cannot be called"),
    ],
)
def test_what_is_no_check_is_said_to_be_none(
    name: str, value: str, said: str, monkeypatch: Patch
) -> None:
    install(monkeypatch, value)

    with pytest.raises(SettingsError, match=said):
        checks.installed(name)
