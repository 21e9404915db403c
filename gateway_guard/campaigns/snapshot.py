"""The linker as bytes that outlive the process, and back: what a restart must not forget.

What is in it is what the linker keeps: keyed digests of accounts, addresses and content, times,
counts, countries, networks, model names, and the operator's own ids of organisations and payments.
No address, credential or prompt. The bytes are `sealed`; what is in them, `rows` says.

Bounded: the members of campaigns and whoever the guard was told about, then the accounts seen last,
`MOST_ACCOUNTS` together; at most `MOST_CLAIMS` content keys of one account only. An account takes
80 to 500 bytes. When accounts are left out, what the others share is counted anew over those that
are kept, as if the rest had never been seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Final

import msgspec

from gateway_guard.campaigns.evidence import USUAL, Burden
from gateway_guard.campaigns.filling import Filling
from gateway_guard.campaigns.journal import Applied
from gateway_guard.campaigns.linker import Linker
from gateway_guard.campaigns.memory import ROOMY, Bounds
from gateway_guard.campaigns.rows import Head, decode, encode, head_of, sections
from gateway_guard.campaigns.sealed import seal, unseal
from gateway_guard.errors import OtherVersionError

#: Accounts kept besides the members of campaigns and their neighbours, who always are.
MOST_ACCOUNTS: Final = 100_000
#: Content keys that one account alone has used, kept; the latest.
MOST_CLAIMS: Final = 200_000

#: Rows encoded in one go, well under a millisecond: the interpreter is free in between.
_ROWS: Final = 500


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A linker as it was.

    Attributes:
        linker: ready to learn on.
        saved_at: Unix seconds.
        applied: the reviews that are in it.
        accounts, exchanges: of all accounts remembered then, those left out included.
        position: as given to `freeze`: what was learnt from by then; empty when nothing was given.
    """

    linker: Linker
    saved_at: float
    applied: Applied
    accounts: int
    exchanges: int
    position: bytes = b""


def freeze(
    linker: Linker,
    secret: bytes,
    *,
    saved_at: float,
    applied: Applied | None = None,
    position: bytes = b"",
    accounts: int = MOST_ACCOUNTS,
    claims: int = MOST_CLAIMS,
) -> bytes:
    """`linker` as bytes that only `thaw` with the same `secret` takes.

    `saved_at` is Unix seconds, `applied` what has been read of the journal of reviews,
    `position` whatever says where to read on. `accounts` and `claims` are as the constants of their
    names.
    """

    def blocks() -> Iterator[bytes]:
        head = head_of(linker, saved_at=saved_at, applied=applied or Applied(), position=position)
        yield encode(head)
        for kind, rows in sections(linker, accounts, claims):
            while chunk := list(islice(rows, _ROWS)):
                yield encode([kind, chunk])

    return seal(blocks(), secret)


def thaw(data: bytes, secret: bytes, *, bounds: Bounds = ROOMY, burden: Burden = USUAL) -> Snapshot:
    """The linker that `freeze` made `data` of.

    Raises:
        SnapshotError: it is none, or damaged, or of another secret or version. Says which.
        OtherVersionError: it is of another version.
    """
    blocks = unseal(data, secret)
    linker = Linker(bounds=bounds, burden=burden)
    try:
        head = msgspec.convert(decode(next(blocks)), Head)
        filling = Filling(linker, head)
        for block in blocks:
            filling.take(*decode(block))
        filling.finish()
    except Exception as error:
        # Only a guard with this secret can have written it: it is of a version that reads alike.
        raise OtherVersionError(
            f"its content does not fit this version of the guard ({type(error).__name__})"
        ) from error
    return Snapshot(
        linker=linker, saved_at=head.saved_at, applied=head.applied, accounts=head.accounts,
        exchanges=head.exchanges, position=head.position,
    )  # fmt: skip
