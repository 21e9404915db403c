"""Fixtures of the end-to-end tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.browser import browser, chromium
from tests.e2e.hostile import Site, site

__all__ = ["browser", "chromium", "where"]


@pytest.fixture(scope="module")
def where(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """What hostile cases are sent to: one sidecar and its upstream for all tests of a file."""
    with site(tmp_path_factory.mktemp("hostile")) as running:
        yield running
