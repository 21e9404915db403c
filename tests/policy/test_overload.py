"""The policy's `overload` section."""

from __future__ import annotations

import pytest

from gateway_guard.core.sections import Adaptive, Overload
from gateway_guard.policy.compile import check_policy
from tests import build


def compiled(text: str) -> Overload:
    return build.policy(f"overload: {text}").overload


def test_without_it_the_upstream_is_not_bounded() -> None:
    assert build.policy("mode: shadow").overload == Overload()
    assert Overload() == Overload(lag=None, upstream=None)


def test_an_empty_mapping_asks_for_the_defaults() -> None:
    assert compiled("{ upstream: {} }").upstream == Adaptive()


def test_every_key_is_heeded() -> None:
    found = compiled(
        "{ lag: 200 ms, upstream: { min: 5, max: 50, tolerance: 200%, window: 500 ms } }"
    )

    assert found == Overload(
        lag=0.2, upstream=Adaptive(floor=5, ceiling=50, tolerance=2.0, window=0.5)
    )


@pytest.mark.parametrize(
    ("given", "floor", "ceiling"),
    [("max: 7", 7, 7), ("min: 5000", 5000, 5000), ("min: 3", 3, 1000), ("max: 500", 20, 500)],
)
def test_one_bound_moves_the_others_default(given: str, floor: int, ceiling: int) -> None:
    found = compiled(f"{{ upstream: {{ {given} }} }}").upstream

    assert found is not None
    assert (found.floor, found.ceiling) == (floor, ceiling)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{ upstream: { min: 50, max: 20 } }", "GG222"),
        ("{ upstream: { tolerance: 100% } }", "GG209"),
        ("{ upstream: { min: 0 } }", "GG207"),
        ("{ upstream: true }", "GG204"),
        ("{ lag: 50 }", "GG208"),
        ("{ upstraem: {} }", "GG201"),
    ],
)
def test_what_makes_no_sense_is_said(text: str, code: str) -> None:
    policy, findings = check_policy(f"version: 1\noverload: {text}\n".encode(), "p.yaml")

    assert policy is None
    assert [finding.code for finding in findings] == [code]
