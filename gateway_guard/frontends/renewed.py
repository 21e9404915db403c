"""Files that are renewed while they are in use: certificates, and who may have signed one."""

from __future__ import annotations

import abc
import logging
from collections.abc import Sequence

from gateway_guard.errors import SettingsError

log = logging.getLogger(__name__)


class Renewed(abc.ABC):
    """Files of which the last good content serves, whatever is written there meanwhile.

    Attributes:
        name: of what they are, for the log: `certificate`.
        kept: what serves while what is there cannot be used, as a sentence.
        files: their paths.
        error: why what is there now cannot be used; None when it can.
    """

    name: str
    kept: str

    def __init__(self, files: Sequence[str]) -> None:
        self.files = list(files)
        self.error: str | None = None

    def renew(self) -> bool:
        """Read them again; False when they cannot be used. From any thread."""
        try:
            self._read()
        except SettingsError as error:
            self.error = str(error)
            log.error("%s-kept reason=%s", self.name, error)
            return False
        self.error = None
        return True

    @abc.abstractmethod
    def _read(self) -> None:
        """Read the files and put them in use.

        Raises:
            SettingsError: they cannot be used; nothing has changed.
        """
