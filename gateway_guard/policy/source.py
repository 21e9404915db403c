"""A policy file that may change while it is in force."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Sequence
from pathlib import Path

from gateway_guard.core.policy import Policy
from gateway_guard.errors import PolicyError
from gateway_guard.policy.compile import check_policy, read_source
from gateway_guard.policy.diagnostics import Diagnostic

log = logging.getLogger(__name__)


class PolicySource:
    """The policy in force and the file it comes from.

    Replacing `current` is one assignment, so a request sees the old policy or the new one, never a
    mixture; a file that does not load changes nothing. Half a policy often loads, too: the first
    half of `standard.yaml` is one without limits and rules. So a file caught while it is being
    written is not taken up before two looks have found the same content.

    Attributes:
        current: the policy in force: the last one that loaded.
        error: why the file as it is now does not load; None when it does.
        warnings: what `check` says of the policy in force; of a fixed one nothing.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Raises `PolicyError` when the file does not load: there is no last good one yet."""
        self._path: str | None = os.fspath(path)
        self._stat = _stat(self._path)
        self._digest = self._seen = _digest(self._path)
        self._confirm = True
        source, findings = read_source(self._path)
        self.current: Policy
        self.current, self.warnings = _compiled(source, findings, self._path)
        self.error: PolicyError | None = None

    @classmethod
    def fixed(cls, policy: Policy) -> PolicySource:
        """A source that never changes."""
        source = cls.__new__(cls)
        source._path = None
        source._stat = None
        source._digest = source._seen = ""
        source.warnings = ()
        source._confirm = False
        source.current = policy
        source.error = None
        return source

    def changed(self) -> bool:
        """Whether the file's content differs from what was last tried, good or bad, and rests.

        Call it now and then. It looks at size, times and inode; the content is read only when those
        differ, and once more after that, since a second change within the file system's clock tick
        keeps the times. True when two looks in a row have found the same new content.
        """
        if self._path is None:
            return False
        stat = _stat(self._path)
        if stat == self._stat and not self._confirm:
            return False
        digest = _digest(self._path)
        resting = digest == self._seen
        self._confirm = stat != self._stat or not resting
        self._stat, self._seen = stat, digest
        return resting and digest != self._digest

    def reload(self) -> bool:
        """Read the file again; True when it loads. The last good policy stays when it does not."""
        if self._path is None:
            return True
        self._stat = _stat(self._path)
        self._confirm = True
        source, findings = read_source(self._path)
        self._digest = hashlib.sha256(source).hexdigest() if source is not None else ""
        self._seen = self._digest
        try:
            policy, self.warnings = _compiled(source, findings, self._path)
        except PolicyError as error:
            self.error = error
            log.error(
                "policy_reload_failed file=%s findings=%d kept=%s",
                self._path, len(error.diagnostics), self.current.digest,
            )  # fmt: skip
            return False
        previous, self.current, self.error = self.current, policy, None
        log.info(
            "policy_reloaded file=%s digest=%s was=%s", self._path, policy.digest, previous.digest
        )
        self.warn()
        return True

    def warn(self) -> None:
        """Write a line into the log for each warning about the policy in force.

        Nobody may have run `check`: what refuses everybody, say, must not go into force in silence.
        """
        for finding in self.warnings:
            log.warning("policy_warning %s: %s: %s", finding.place, finding.code, finding.message)


def _compiled(
    source: bytes | None, unread: Sequence[Diagnostic], path: str
) -> tuple[Policy, Sequence[Diagnostic]]:
    """The policy in `source`, and the warnings about it.

    Raises:
        PolicyError: it does not load; `unread` says why there is no source.
    """
    policy, findings = check_policy(source, path) if source is not None else (None, unread)
    if policy is None:
        raise PolicyError(findings)
    return policy, findings


def _stat(path: str) -> tuple[int, int, int, int, int] | None:
    try:
        found = Path(path).stat()
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _digest(path: str) -> str:
    source, _ = read_source(path)
    return hashlib.sha256(source).hexdigest() if source is not None else ""
