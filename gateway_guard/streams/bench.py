"""Where people decide: into the audit file first, then wherever guards hear of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from gateway_guard.campaigns.reviews import Review
from gateway_guard.errors import GuardError, SettingsError, SourceError
from gateway_guard.record.audit import Audit
from gateway_guard.record.chain import Entry
from gateway_guard.record.reviews import append
from gateway_guard.streams.post import Post

log = logging.getLogger(__name__)

#: Longest reason and name, characters.
LONGEST_REASON: Final = 2_000
LONGEST_NAME: Final = 120


class Bench:
    """Puts decisions in force. Blocks for the disk and the store: not for an event loop.

    One of `post`, `journal` and `tell` says who hears of them.

    Attributes:
        audit: where they are written down; None for nowhere.

    Args:
        via: who asks, as `record.chain.Entry` names it.
        audit: see above.
        post: all guards of a store.
        journal: the reviews beside a snapshot of campaigns, which guards that use it read.
        tell: a guard in this process.
    """

    def __init__(
        self,
        *,
        via: str,
        audit: Audit | None,
        post: Post | None = None,
        journal: Path | None = None,
        tell: Callable[[Review], object] | None = None,
    ) -> None:
        self.audit = audit
        self._via = via
        self._post = post
        self._journal = journal
        self._tell = tell

    def rule(self, review: Review) -> Entry | None:
        """Put `review` in force; its entry in the audit file, None where there is none.

        Raises:
            SourceError, StoreError: it could not be written down, or nobody told: then it is not
                in force, and the audit file says so if it can.
        """
        entry = self.audit.append(review, via=self._via) if self.audit is not None else None
        try:
            self._put_in_force(review)
        except GuardError as error:
            if self.audit is not None:
                self._failed(review, self.audit, entry, error)
            raise
        return entry

    def rule_all(self, reviews: Iterable[Review], count: int) -> list[Entry | None]:
        """Put each of `count` reviews in force, in order; their entries.

        Raises:
            SourceError, StoreError: as `rule`, of the first that could not be; those before it are
                in force, and how many that are is said.
        """
        entries: list[Entry | None] = []
        for review in reviews:
            try:
                entries.append(self.rule(review))
            except GuardError as error:
                if not entries:
                    raise
                raise SourceError(
                    f"{error}. In force are the {len(entries):,} of {count:,} before it: decide "
                    "once more for the others"
                ) from error
        return entries

    def _failed(self, review: Review, audit: Audit, entry: Entry | None, error: GuardError) -> None:
        """Write down that `entry` is not in force.

        Raises:
            SourceError: that cannot be written, either.
        """
        try:
            audit.append(review, via=self._via, failed=str(error))
        except SourceError as again:
            number = f"entry {entry.n}" if entry is not None else "the last entry"
            raise SourceError(
                f"{error}. It is not in force, though {number} of {audit.path} reads as if it "
                f"were: that it failed could not be written behind it ({again})"
            ) from error

    def _put_in_force(self, review: Review) -> None:
        if self._post is not None:
            self._post.review(review)
        elif self._journal is not None:
            try:
                append(self._journal, review)
            except OSError as error:
                raise SourceError(f"{self._journal}: {error.strerror}") from error
        elif self._tell is not None:
            self._tell(review)


def reason_of(text: str) -> str:
    """`text` as a reason.

    Raises:
        SettingsError: it is empty, far too long or was not typed in UTF-8.
    """
    reason = " ".join(text.split())
    if not reason or len(reason) > LONGEST_REASON:
        raise SettingsError(
            f"say why in a sentence or two (1 to {LONGEST_REASON:,} characters): somebody will ask"
        )
    try:
        reason.encode()
    except UnicodeEncodeError:
        raise SettingsError("say why in UTF-8: nobody could read this") from None
    return reason


def name_of(text: str) -> str:
    """`text` as a reviewer's name.

    Raises:
        SettingsError: it is empty or far too long.
    """
    name = " ".join(text.split())
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise SettingsError(f"say who decides: a name of 1 to {LONGEST_NAME} characters")
    return name
