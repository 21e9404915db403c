"""A directory for the time of one command."""

from __future__ import annotations

import tempfile

from gateway_guard.errors import SettingsError


def scratch(prefix: str) -> tempfile.TemporaryDirectory[str]:
    """A new directory that is removed with its context; its name begins with `prefix`.

    Raises:
        SettingsError: there is nowhere that this process may write to, as in a container whose root
            is read-only.
    """
    try:
        return tempfile.TemporaryDirectory(prefix=prefix)
    except OSError as error:
        raise SettingsError(
            f"no directory for temporary files can be made: {error.strerror}; "
            "name one that this process may write to with TMPDIR"
        ) from error
