"""No more connections are taken than there are descriptors for, and there are as many as may be."""

from __future__ import annotations

import logging
import resource

import pytest

from gateway_guard.frontends.descriptors import RESERVE, room

Patch = pytest.MonkeyPatch


class System:
    """Limits of a process, as (soft, hard)."""

    def __init__(self, monkeypatch: Patch, soft: int, hard: int, *, strict: bool = False) -> None:
        self.limits = (soft, hard)
        self._strict = strict
        monkeypatch.setattr(resource, "getrlimit", lambda _kind: self.limits)
        monkeypatch.setattr(resource, "setrlimit", self._set)

    def _set(self, _kind: int, limits: tuple[int, int]) -> None:
        if self._strict:
            raise ValueError("not allowed to raise maximum limit")
        self.limits = limits


def test_the_limit_is_raised_to_what_connections_on_both_sides_need(
    monkeypatch: Patch,
) -> None:
    """Services get 1,024 from systemd, which are 500 streams."""
    system = System(monkeypatch, 1024, 524_288)

    assert room(10_000, forwards=True) == (10_000, 10_000)
    assert system.limits == (20_000 + RESERVE, 524_288)


def test_a_limit_that_suffices_is_left_alone(monkeypatch: Patch) -> None:
    system = System(monkeypatch, 65_536, 524_288)

    assert room(10_000, forwards=True) == (10_000, 10_000)
    assert system.limits == (65_536, 524_288)


@pytest.mark.parametrize("soft", [1024, resource.RLIM_INFINITY])
def test_where_there_is_no_hard_limit_there_is_room(soft: int, monkeypatch: Patch) -> None:
    System(monkeypatch, soft, resource.RLIM_INFINITY)

    assert room(10_000, forwards=True) == (10_000, 10_000)


def test_a_little_less_than_both_sides_need_is_taken_from_the_upstreams(
    monkeypatch: Patch, caplog: pytest.LogCaptureFixture
) -> None:
    System(monkeypatch, 1024, 20_000)

    assert room(10_000, forwards=True) == (10_000, 10_000 - RESERVE)
    assert not caplog.text


@pytest.mark.parametrize(("forwards", "fits"), [(False, 4096 - RESERVE), (True, 2088)])
def test_beyond_the_hard_limit_fewer_are_taken_and_it_is_said(
    forwards: bool, fits: int, monkeypatch: Patch, caplog: pytest.LogCaptureFixture
) -> None:
    system = System(monkeypatch, 1024, 4096)

    with caplog.at_level(logging.WARNING):
        clients, upstream = room(10_000, forwards=forwards)

    assert clients == fits
    assert not forwards or clients + upstream == 4096 - RESERVE

    assert system.limits == (4096, 4096)
    assert f"room for {fits} connections, not for the 10000" in caplog.text


@pytest.mark.parametrize(("limit", "fits"), [(1024, (471, 425)), (64, (16, 16)), (1, (1, 1))])
def test_where_nothing_can_be_raised_what_there_is_counts(
    limit: int, fits: tuple[int, int], monkeypatch: Patch
) -> None:
    System(monkeypatch, limit, 524_288, strict=True)

    assert room(10_000, forwards=True) == fits
