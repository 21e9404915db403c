"""What a feed serves, out of its wrapping: gzip, and the one database of a tar archive.

MaxMind serves its databases as `.tar.gz` only; others as `.mmdb` or `.mmdb.gz`.
"""

from __future__ import annotations

import io
import tarfile
import zlib
from typing import Final

from gateway_guard.errors import SourceError

_GZIP: Final = b"\x1f\x8b"
#: Members of an archive that are looked at. MaxMind's have five.
_MOST_MEMBERS: Final = 100


def unpacked(body: bytes, limit: int) -> bytes:
    """`body`, or the file in it, of at most `limit` bytes.

    Raises:
        SourceError: it expands to more, is damaged, or an archive of anything but one `.mmdb`.
    """
    content = _expanded(body, limit)
    if content[:2] == b"PK":
        raise SourceError("a zip archive; fetch the .mmdb, .mmdb.gz or .tar.gz file")
    return _only_database(content) if content[257:262] == b"ustar" else content


def _expanded(body: bytes, limit: int) -> bytes:
    """`body` without its gzip wrapping."""
    if body[:2] != _GZIP:
        return body
    expander = zlib.decompressobj(wbits=31)
    try:
        expanded = expander.decompress(body, limit + 1)
    except zlib.error as error:
        raise SourceError("damaged gzip data") from error
    if len(expanded) > limit:
        raise SourceError(f"expands to more than {limit:,} bytes")
    if not expander.eof:
        raise SourceError("gzip data is cut short")
    if expander.unused_data.strip(b"\0"):
        raise SourceError("gzip data of several members")
    return expanded


def _only_database(archive: bytes) -> bytes:
    """The bytes of the only `.mmdb` in a tar archive. Nothing is written anywhere."""
    found: list[bytes] = []
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as members:
            for number, member in enumerate(members):
                if number == _MOST_MEMBERS:
                    raise SourceError(f"an archive of more than {_MOST_MEMBERS} files")
                # A sparse file may say any size; what is in the archive is within the limit.
                if not member.name.endswith(".mmdb") or not member.isreg() or member.issparse():
                    continue
                content = members.extractfile(member)
                found.append(b"" if content is None else content.read())
    except (tarfile.TarError, OSError, ValueError, EOFError) as error:
        raise SourceError("damaged tar archive") from error
    if len(found) != 1:
        raise SourceError(f"an archive of {len(found)} .mmdb files, not of one")
    return found[0]
