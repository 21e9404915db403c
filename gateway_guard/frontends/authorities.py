"""Who may have signed the upstream's certificate, read again when the file was renewed."""

from __future__ import annotations

from gateway_guard.frontends.renewed import Renewed
from gateway_guard.frontends.upstream import Upstream, tls_context


class Authorities(Renewed):
    """The authorities of `--upstream-ca`, for an upstream that was opened with them.

    Connections made after a renewal are checked by the new ones; those open go on.
    """

    name = "upstream-ca"
    kept = "the last good authorities are trusted"

    def __init__(self, ca: str, upstream: Upstream) -> None:
        super().__init__([ca])
        self._ca, self._upstream = ca, upstream

    def _read(self) -> None:
        self._upstream.tls = tls_context(self._ca)
