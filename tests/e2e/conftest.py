"""Fixtures of the end-to-end tests."""

from tests.e2e.browser import browser, chromium

__all__ = ["browser", "chromium"]
