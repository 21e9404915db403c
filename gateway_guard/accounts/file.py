"""Account attributes from a file of JSON lines or CSV, kept in memory, replaced whole."""

from __future__ import annotations

import codecs
import csv
import io
import logging
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from gateway_guard.accounts.attributes import FIELDS, read
from gateway_guard.accounts.seen import Seen
from gateway_guard.accounts.state import merged
from gateway_guard.core.credentials import ACCOUNT, digest, key_as_sent, name_digest
from gateway_guard.errors import UNDECODABLE, SourceError
from gateway_guard.files import Files
from gateway_guard.types import AccountFacts

log = logging.getLogger(__name__)

#: Largest file read, bytes: two million accounts.
LARGEST: Final = 512 * 1024 * 1024
_UNKNOWN: Final = AccountFacts()
_OURS: Final = frozenset(("account", "kind"))
_ONE_A_LINE: Final = (
    '; write one object a line, {"account": …}. A table with a header line needs a name in .csv'
)


class FileDirectory:
    """`path` holds one account a line: JSON objects, or CSV with a header line for `*.csv`.

    Members: `account` (required), the fields of `AccountFacts`, and optionally `kind`. `account` is
    an `acct_…` digest as logs show it, or what the account identifies itself by: an API key
    (`kind: key`) or a name from a JWT or the application (`kind: name`). Without `kind` it stands
    for both. Say `name` where names are public and clients may also send plain keys: else a client
    that sends a name as its key gets that account's attributes. Raw ids are digested on reading.

    Members nobody knows and values that make no sense are passed over, and of two lines for one
    account the later counts: both are logged, with the line where it first happens, and how many
    more there are.

    A file without any account is a new deployment's at the start, and logged; later, and in a
    process that takes the place of one that had accounts (`beside`), it is taken for one that was
    cut short, and not read: else nobody would be suspended any more.

    Raises:
        SourceError: the file cannot be read, its header has no `account`, or a line is not an
            account; names file and line.
    """

    def __init__(self, path: str | os.PathLike[str], *, secret: bytes, kinds: bool = True) -> None:
        """`kinds`: False for recorded traffic, which names an account in one way, whatever it is
        known by on the wire.
        """
        self.path = Path(path)
        self._secret = secret
        self._kinds = kinds
        self._files = Files([self.path])
        #: Digest → attributes; and how many accounts that are, of which some have two digests.
        self._accounts, self._count = self._read()
        #: Why the last reload failed; None when it did not.
        self.error: SourceError | None = None
        self._others: Seen | None = None
        if not self._count:
            log.warning("accounts file %s: no account in it, all attributes are unknown", self.path)

    def __len__(self) -> int:
        return len(self._accounts)

    def lookup(self, account: str, state: Mapping[str, Any] | None) -> AccountFacts:
        """The file's attributes with the application's on top; all unknown for a stranger."""
        known = self._accounts.get(account, _UNKNOWN)
        return merged(known, state) if state else known

    def of_organisation(self, organisation: str) -> list[str]:
        """The digests of every account of it."""
        return [one for one, known in self._accounts.items() if known.organisation == organisation]

    @property
    def trouble(self) -> str | None:
        """Why the attributes may be old, in words; None while the file can be read."""
        return None if self.error is None else f"{self.error}; the last good file serves"

    def beside(self, others: Seen) -> None:
        """From now on `others` hear of accounts.

        Raises:
            SourceError: this file has none, and one of the others has had some.
        """
        self._others = others
        if self._count:
            others.mark()
        elif others:
            raise SourceError(
                f"{self.path}: no account in it, where workers before this one had some: taken "
                "for a file that was cut short. Write it anew; to have none, restart the guard"
            )

    def changed(self) -> bool:
        """Whether the file is another one than when this was last said, and nobody is writing it
        any more (`files.Files`).
        """
        return self._files.changed()

    def reload(self) -> bool:
        """Read the file again, all of it or nothing; False when the last good one stays."""
        before = self._count
        try:
            accounts, count = self._read()
            if before and not count:
                raise SourceError(
                    f"{self.path}: no account in it, where there were {before:,}: taken for a file "
                    "that was cut short. Write it anew; to have none, restart the guard"
                )
        except SourceError as error:
            self.error = error
            log.error("accounts_reload_failed kept=%d reason=%s", before, error)
            return False
        self._accounts, self._count, self.error = accounts, count, None
        if count and self._others is not None:
            self._others.mark()
        log.info("accounts_reloaded file=%s accounts=%d were=%d", self.path, count, before)
        return True

    def _read(self) -> tuple[dict[str, AccountFacts], int]:
        """Digest → attributes, and the number of accounts."""
        try:
            if self.path.stat().st_size > LARGEST:
                raise SourceError(f"{self.path}: larger than {LARGEST} bytes")
            content = self.path.read_bytes()
        except OSError as error:
            why = error.strerror or error
            raise SourceError(f"{self.path}: the accounts file cannot be read: {why}") from None
        if content.startswith(b"\x1f\x8b"):
            raise SourceError(f"{self.path}: it is gzipped; unpack it (gunzip)")
        rows = _csv_rows if self.path.suffix.lower() == ".csv" else _json_rows
        accounts: dict[str, AccountFacts] = {}
        count = 0
        #: What was passed over → the first line it stands in; and in how many.
        first: dict[str, int] = {}
        times: Counter[str] = Counter()
        for line, row in rows(self.path, content):
            understood = read(row)
            for name, value in row.items():
                if name not in understood and name not in _OURS and not _empty(value):
                    first.setdefault(what := f"{name[:40]!r}", line)
                    times[what] += 1
            facts = AccountFacts(**understood)
            digests = self._digests(line, row)
            count += digests[0] not in accounts
            if any(accounts.get(account, facts) != facts for account in digests):
                first.setdefault(what := "an account's earlier line", line)
                times[what] += 1
            accounts.update(dict.fromkeys(digests, facts))
        if first:
            # Loudly: a rule about a misspelt member would never match, and nobody would know.
            shown = ", ".join(
                f"{what} (line {line}{_more(times[what] - 1)})"
                for what, line in list(first.items())[:8]
            )
            log.warning("accounts file %s: not understood or overwritten: %s", self.path, shown)
        return accounts, count

    def _digests(self, line: int, row: Mapping[str, Any]) -> tuple[str, ...]:
        name = row.get("account")
        if isinstance(name, int) and not isinstance(name, bool):
            name = str(name)
        if not isinstance(name, str) or not name:
            raise SourceError(f"{self.path}:{line}: 'account' is missing or not text")
        kind = row.get("kind") or None
        if kind not in (None, "key", "name"):
            raise SourceError(f"{self.path}:{line}: 'kind' must be key or name")
        if not self._kinds:
            kind = None
        if ACCOUNT.fullmatch(name):
            return (name,)
        raw = name.encode("utf-8", "replace")
        if kind == "name":
            return (name_digest(self._secret, raw),)
        key = digest(self._secret, key_as_sent(raw))
        return (key,) if kind == "key" else (key, name_digest(self._secret, raw))


def _more(count: int) -> str:
    return f" and {count:,} more" if count else ""


def _empty(value: object) -> bool:
    return value is None or value in ("", [])


def _json_rows(path: Path, content: bytes) -> Iterator[tuple[int, Mapping[str, Any]]]:
    lines = content.removeprefix(codecs.BOM_UTF8).splitlines()
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = msgspec.json.decode(line)
        except UNDECODABLE:
            raise SourceError(f"{path}:{number}: not JSON{_ONE_A_LINE}") from None
        if not isinstance(row, dict):
            raise SourceError(f"{path}:{number}: not a JSON object{_ONE_A_LINE}")
        yield number, row


def _csv_rows(path: Path, content: bytes) -> Iterator[tuple[int, Mapping[str, Any]]]:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise SourceError(
            f"{path}: not UTF-8; a spreadsheet writes it as `CSV UTF-8 (comma delimited)`"
        ) from None
    if not text.strip():
        return
    rows = csv.DictReader(io.StringIO(text, newline=""), strict=True, skipinitialspace=True)
    try:
        names = rows.fieldnames or ()
        if "account" not in names:
            # Not quoted: where the header was forgotten, this line begins with a key.
            raise SourceError(
                f"{path}:{rows.line_num}: no column 'account': the first line names the columns, "
                f"with commas between them: account, and any of kind, {', '.join(FIELDS)}"
            )
        twice = next((name for name in ("account", *FIELDS) if names.count(name) > 1), None)
        if twice is not None:
            raise SourceError(f"{path}:{rows.line_num}: two columns {twice!r}: which one counts?")
        for row in rows:
            if None in row:
                raise SourceError(f"{path}:{rows.line_num}: more values than columns")
            yield rows.line_num, row
    except csv.Error as error:
        raise SourceError(f"{path}:{rows.line_num}: {error}") from None
