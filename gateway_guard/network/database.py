"""The network database: the bundled file and the operator's own laid over it.

Cost, measured on two shared cores: see `tests/bench/bench_lookup.py`. A look-up that is not cached
costs one strict parse, one walk of the C reader and one record per file; that is why the bundle is
one merged file.
"""

from __future__ import annotations

import errno
import functools
import logging
import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any, Final

import msgspec

from gateway_guard.core.address import parse_ip_afresh
from gateway_guard.errors import SourceError
from gateway_guard.files import Files, Stamp, stamp
from gateway_guard.network.base import UNKNOWN_NETWORK
from gateway_guard.network.build import merge_flags
from gateway_guard.network.flags import FLAG_SETS
from gateway_guard.network.lists import read_ranges
from gateway_guard.network.mmdb import Opened, open_bytes, open_file
from gateway_guard.network.vendors import ASN, COUNTRY, FLAGS, Adapter, recognise
from gateway_guard.types import NETWORK_FLAGS, NetworkFacts

log = logging.getLogger(__name__)

#: Answers remembered; about 3 MB when full. A larger memory costs more per miss (the evicted entry
#: is no longer in the processor's cache) than the look-ups it saves.
CACHED: Final = 8_192
_LONGEST_ADDRESS: Final = 45
_AUTHORITATIVE: Final = "authoritative"
_FILL: Final = "; `gateway-guard network update --dir` fills it"
_KIND_WORDS: Final = ((COUNTRY, "country"), (ASN, "asn"), (FLAGS, "network"))


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """One file or folder to look addresses up in, as the operator names it.

    Attributes:
        path: an MMDB file; a text list, when `flag` is set; or a folder, which stands for every
            `*.mmdb` in it, in the order of their names (what `network update` fills).
        authoritative: what kinds of facts this file holds are not asked of the files behind it,
            even where it has no record: "not listed" then means "not flagged".
        flag: for a text list of addresses: what being listed means, one of `NETWORK_FLAGS`.
    """

    path: Path
    authoritative: bool = False
    flag: str | None = None

    @classmethod
    def parse(cls, spec: str | os.PathLike[str]) -> Source:
        """`PATH`, or `WORDS=PATH` with `authoritative`, a flag, or both joined by a comma.

        For instance `authoritative=/data/Anonymous-IP.mmdb` or `tor=/data/exits.txt`. A path that
        itself begins like that is written with `./` in front.

        Raises:
            SourceError: there is no path in it, or more than one flag.
        """
        text = os.fspath(spec)
        left, equals, rest = text.partition("=")
        words = left.split(",") if equals else []
        if not words or not all(word == _AUTHORITATIVE or word in NETWORK_FLAGS for word in words):
            words, rest = [], text
        flags = [word for word in words if word != _AUTHORITATIVE]
        if not rest or len(flags) > 1:
            raise SourceError(f"network file {text!r}: write PATH, FLAG=PATH or authoritative=PATH")
        return cls(
            path=Path(rest),
            authoritative=_AUTHORITATIVE in words,
            flag=flags[0] if flags else None,
        )


class _Layer:
    """One file: its last good version, and what is wrong with the newest."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.opened: Opened | None = None
        self.adapter: Adapter | None = None
        self.error: str | None = None
        self.failed_lookups = 0
        self._tried: Stamp | None = None

    def refresh(self) -> bool:
        """Read the file if it is not the one that was read last; True when the answers may differ
        now. One that could not be read may be the same one when it can be.
        """
        try:
            found = stamp(self.source.path)
            if self.source.path.is_dir():
                raise IsADirectoryError(errno.EISDIR, f"no .mmdb file in this folder{_FILL}")
        except OSError as error:
            self.error = f"{self.source.path}: cannot be read: {error.strerror}"
            word, equals, _ = str(self.source.path).partition("=")
            if equals and word.isalnum():
                known = ", ".join((_AUTHORITATIVE, *NETWORK_FLAGS))
                self.error += f"; {word!r} in front of `=` is none of {known}"
            return False
        if found == self._tried and self.error is None:
            return False
        self._tried = found
        try:
            opened = self._open()
            adapter = recognise(opened.database_type, opened.sample)
            if adapter is None:
                raise SourceError(
                    f"{self.source.path}: database type {opened.database_type[:80]!r} tells no "
                    "country, AS or network flag"
                )
        except SourceError as error:
            self.error = str(error)
            return False
        self.opened, self.adapter, self.error = opened, adapter, None
        return True

    @property
    def holds(self) -> int:
        """Bits of the kinds of facts it tells; 0 before it was read."""
        return self.adapter.holds if self.adapter is not None else 0

    def _open(self) -> Opened:
        path, flag = self.source.path, self.source.flag
        if flag is None:
            return open_file(path)
        ranges = read_ranges(path)
        epoch = max(1, int(path.stat().st_mtime))
        return open_bytes(merge_flags({flag: ranges}, build_epoch=epoch), str(path))

    def describe(self) -> dict[str, Any]:
        """What `/healthz` shows of this file."""
        opened, adapter = self.opened, self.adapter
        entry: dict[str, Any] = {
            "path": str(self.source.path),
            "authoritative": self.source.authoritative,
            "error": self.error,
            "failed_lookups": self.failed_lookups,
        }
        if opened is not None and adapter is not None:
            entry |= {
                "type": opened.database_type,
                "kind": adapter.kind,
                "holds": _kinds(adapter.holds),
                "built": _date(opened.build_epoch),
                "size": opened.size,
                "sha256": opened.sha256,
            }
        return entry


class NetworkDatabase:
    """Address → facts over one or more files, first file first.

    Country and AS come from the first file that knows them; flags are those of all files together.
    Neither rule looks past an authoritative file. A file that fails on an address is passed over;
    if nobody else holds that kind of fact, the answer is `known=False`.

    Safe for several threads; `reload` swaps everything at once.
    """

    def __init__(
        self, sources: Sequence[Source | str | os.PathLike[str]], *, strict: bool = True
    ) -> None:
        """Open `sources`.

        Args:
            strict: False to start without a file that cannot be used; `describe` shows the error.

        Raises:
            SourceError: `strict`, and a file cannot be used.
        """
        self._sources = tuple(
            source if isinstance(source, Source) else Source.parse(source) for source in sources
        )
        self._layers: dict[Source, _Layer] = {}
        #: Folder → what it held when it last held anything.
        self._folders: dict[Source, list[Source]] = {}
        self._cached: Callable[[str], NetworkFacts] = _nobody
        #: Looked at before they are read: what is put there meanwhile is read again.
        self._files = Files(source.path for source in self._sources)
        self._refresh()
        if strict:
            for layer in self._layers.values():
                # An empty folder waits for its first `network update`; `describe` says so.
                if layer.error is not None and not layer.source.path.is_dir():
                    raise SourceError(layer.error)

    @classmethod
    def bundled(
        cls, extra: Sequence[Source | str | os.PathLike[str]] = (), *, strict: bool = True
    ) -> NetworkDatabase:
        """The database that ships with the package, under the operator's own files `extra`.

        Raises:
            SourceError: as the constructor.
        """
        return cls([*extra, Source(path=bundled_path())], strict=strict)

    def lookup(self, ip: str) -> NetworkFacts:
        """The facts of the address `ip`. Never raises; `known=False` for what is no address."""
        if len(ip) > _LONGEST_ADDRESS:
            return UNKNOWN_NETWORK
        return self._cached(ip)

    @property
    def sizes(self) -> dict[str, tuple[int, int]]:
        """Table → (entries, most there may be)."""
        asked = getattr(self._cached, "cache_info", None)
        return {"addresses_cached": (asked().currsize if asked is not None else 0, CACHED)}

    def changed(self) -> bool:
        """Whether a file is another one than when this was last said, and nobody is writing it any
        more (`files.Files`).
        """
        return self._files.changed()

    def reload(self) -> bool:
        """Read the files that changed; False when one is not usable and its last good is kept."""
        before = {source: (layer.opened, layer.holds) for source, layer in self._layers.items()}
        self._refresh()
        for source, layer in self._layers.items():
            if layer.error is not None:
                kept = "nothing" if layer.opened is None else _date(layer.opened.build_epoch)
                log.error("network_reload_failed kept=%s reason=%s", kept, layer.error)
                continue
            opened, holds = before.get(source, (None, 0))
            if layer.opened is not None and layer.opened is not opened:
                built = _date(layer.opened.build_epoch)
                log.info("network_reloaded file=%s built=%s", source.path, built)
                less = holds & ~layer.holds
                if less:
                    # Another kind of file under the same name: rules that ask for this kind of
                    # fact match nobody by it any more, and nothing else would say so.
                    log.warning(
                        "network_tells_less file=%s built=%s no_longer=%s: is it the file you "
                        "meant to put there?", source.path, built, ",".join(_kinds(less)),
                    )  # fmt: skip
        return all(layer.error is None for layer in self._layers.values())

    def describe(self) -> list[dict[str, Any]]:
        """One entry per file, in the order they are asked."""
        return [layer.describe() for layer in self._layers.values()]

    def _refresh(self) -> None:
        layers: dict[Source, _Layer] = {}
        changed = False
        for source in self._expanded():
            layer = self._layers.get(source) or _Layer(source)
            changed = layer.refresh() or changed
            layers[source] = layer
        changed = changed or list(layers) != list(self._layers)
        self._layers = layers
        if changed:
            # A new cache rather than a cleared one: a look-up under way on another thread cannot
            # put an old answer into it.
            ready = [layer for layer in layers.values() if layer.opened is not None]
            self._cached = functools.lru_cache(maxsize=CACHED)(_answerer(ready))

    def _expanded(self) -> list[Source]:
        found: list[Source] = []
        for source in self._sources:
            files = [
                Source(path=path, authoritative=source.authoritative)
                for path in sorted(source.path.glob("*.mmdb"))
            ]
            if files:
                self._folders[source] = files
            # A folder that is gone or has nothing in it any more (a disk that is not mounted) tells
            # of no address less: its files stay, each with its error.
            found += files or self._folders.get(source, [source])
        return found


def bundled_path() -> Path:
    """Where the bundled database lies."""
    return Path(str(resources.files("gateway_guard").joinpath("data", "network.mmdb")))


def _answerer(layers: Sequence[_Layer]) -> Callable[[str], NetworkFacts]:
    """The uncached look-up over `layers`, as they are now."""
    if not layers:
        return _nobody
    steps = tuple(
        (
            layer,
            layer.opened.reader.get,
            layer.adapter.read,
            layer.opened.ip_version == 4,
            layer.adapter.holds,
            layer.source.authoritative,
        )
        for layer in layers
        if layer.opened is not None and layer.adapter is not None
    )
    if len(steps) == 1:
        return _single(*steps[0][:4])

    def answer(ip: str) -> NetworkFacts:
        address = parse_ip_afresh(ip)
        if address is None:
            return UNKNOWN_NETWORK
        v6 = ":" in address
        country = asn = org = None
        bits = settled = answered = failed = 0
        for layer, get, read, v4_only, holds, authoritative in steps:
            if v6 and v4_only:
                continue
            try:
                record = get(address)
                reading = (None, None, None, 0) if record is None else read(record)
                flag_bits = reading[3] & _ALL_BITS
            except Exception:  # noqa: BLE001 - a damaged record raises nearly anything
                layer.failed_lookups += 1
                failed |= holds
                continue
            answered |= holds
            if country is None and not settled & COUNTRY:
                country = reading[0]
            if asn is None and not settled & ASN:
                asn, org = reading[1], reading[2]
            if not settled & FLAGS:
                bits |= flag_bits
            if authoritative:
                settled |= holds
        if not answered or failed & ~answered:
            return UNKNOWN_NETWORK
        return NetworkFacts(country=country, asn=asn, as_org=org, flags=FLAG_SETS[bits])

    return answer


_ALL_BITS: Final = len(FLAG_SETS) - 1
_NOTHING: Final = NetworkFacts()


def _single(
    layer: _Layer, get: Callable[[str], Any], read: Callable[[Any], Any], v4_only: bool
) -> Callable[[str], NetworkFacts]:
    """The usual case, one file, without the loop."""

    def answer(ip: str) -> NetworkFacts:
        address = parse_ip_afresh(ip)
        if address is None or (v4_only and ":" in address):
            return UNKNOWN_NETWORK
        try:
            record = get(address)
            if record is None:
                return _NOTHING
            country, asn, org, bits = read(record)
            flags = FLAG_SETS[bits & _ALL_BITS]
        except Exception:  # noqa: BLE001 - a damaged record raises nearly anything
            layer.failed_lookups += 1
            return UNKNOWN_NETWORK
        return NetworkFacts(country=country, asn=asn, as_org=org, flags=flags)

    return answer


def _nobody(_ip: str) -> NetworkFacts:
    return UNKNOWN_NETWORK


def _kinds(holds: int) -> list[str]:
    """Kinds of facts in words, as rules name them."""
    return [word for bit, word in _KIND_WORDS if holds & bit]


def _date(epoch: int) -> str | None:
    """The build date as `YYYY-MM-DD`; None when the file's number is nonsense."""
    try:
        return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%d")
    except (ValueError, OverflowError, OSError):
        return None
