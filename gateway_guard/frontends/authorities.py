"""Who may have signed the upstream's certificate, read again when the file was renewed."""

from __future__ import annotations

import logging
from typing import Final

from gateway_guard.errors import SettingsError
from gateway_guard.frontends.upstream import Upstream, tls_context

log: Final = logging.getLogger(__name__)


class Authorities:
    """The authorities of `--upstream-ca`, for an upstream that was opened with them.

    Attributes:
        files: the path.
        error: why what is there now cannot be used, while the last good ones are; None when it can.
        kept: what serves then.
    """

    kept: Final = "the last good authorities are trusted"

    def __init__(self, ca: str, upstream: Upstream) -> None:
        self._ca, self._upstream = ca, upstream
        self.files = [ca]
        self.error: str | None = None

    def renew(self) -> bool:
        """Read the file again; False when it cannot be used. From any thread.

        Connections made from now on are checked by it; those open go on.
        """
        try:
            self._upstream.tls = tls_context(self._ca)
        except SettingsError as error:
            self.error = str(error)
            log.error("upstream-ca-kept reason=%s", error)
            return False
        self.error = None
        return True
