"""Every exception of the package, as a tree.

    GuardError
    ├── PolicyError      a policy does not load; carries every diagnostic
    ├── SettingsError    an environment variable or flag makes no sense
    ├── SourceError      a data file or feed (network, accounts, keys) cannot be used
    ├── SnapshotError    what was learnt before a restart cannot be read
    │   ├── ForeignSnapshotError  it was written with another secret
    │   └── OtherVersionError  it was written by another version
    ├── StoreError       shared state did not answer or broke a promise
    │   └── SlotMovingError  a Cluster that answers is moving just these keys
    ├── IntelError       an indicator bundle cannot be read or verified
    └── UpstreamError    the model API did not answer as HTTP asks
        └── UpstreamTimeoutError

A denial is a `types.Decision`, never an exception.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

#: What decoding somebody's JSON or msgpack may raise: not of that form or type, no UTF-8, or nested
#: deeper than the interpreter's stack (about 1,000), which msgspec has no error of its own for.
UNDECODABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class GuardError(Exception):
    """Root of everything this package raises on purpose."""


class PolicyError(GuardError):
    """A policy does not load.

    Attributes:
        diagnostics: every finding, in order of place; each prints as the caret block of
            ARCHITECTURE §6.
    """

    def __init__(self, diagnostics: Sequence[object]) -> None:
        self.diagnostics = tuple(diagnostics)
        super().__init__("\n\n".join(str(d) for d in self.diagnostics) or "policy does not load")


class SettingsError(GuardError):
    """A variable or a flag cannot be used; the message says which and what to write."""


class SourceError(GuardError):
    """A data file or feed cannot be used; the message names it and what to do."""


class SnapshotError(GuardError):
    """A snapshot of campaigns is damaged, foreign or of another version; the message says which."""


class ForeignSnapshotError(SnapshotError):
    """A snapshot was written with another secret; what is behind its head was not looked at."""


class OtherVersionError(SnapshotError):
    """A snapshot is of another version of the guard: nothing is wrong with it, and whoever wrote it
    can read it.
    """


class StoreError(GuardError):
    """Shared state did not answer in time or broke a promise."""


class SlotMovingError(StoreError):
    """A Cluster is moving the slot of the keys asked for; every other slot answers."""


class IntelError(GuardError):
    """An indicator bundle cannot be read or its signature is wrong, or a server will not take it.

    Attributes:
        after: seconds after which that server asks to come back; None where it did not.
    """

    def __init__(self, message: str, *, after: float | None = None) -> None:
        self.after = after
        super().__init__(message)


class UpstreamError(GuardError):
    """The model API could not be reached or did not speak HTTP."""


class UpstreamTimeoutError(UpstreamError):
    """The model API took longer than allowed."""
