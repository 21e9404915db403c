"""Which directory of accounts the settings ask for."""

from __future__ import annotations

from gateway_guard.accounts.base import Directory
from gateway_guard.accounts.file import FileDirectory
from gateway_guard.accounts.http import HttpDirectory
from gateway_guard.accounts.none import NoDirectory
from gateway_guard.settings import Settings


def open_directory(settings: Settings) -> Directory:
    """The directory at the settings' URL, in their file, or none.

    Raises:
        SourceError: the URL or the file cannot be used.
    """
    if settings.accounts_url:
        return HttpDirectory(
            settings.accounts_url,
            token=settings.accounts_token,
            fresh=settings.accounts_fresh,
            budget=settings.accounts_budget,
            size=settings.max_accounts,
        )
    if settings.accounts_file:
        return FileDirectory(settings.accounts_file, secret=settings.secret)
    return NoDirectory()
