"""Opening files: what is refused, and that nothing done to a file hurts who has opened it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import maxminddb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway_guard.errors import SourceError
from gateway_guard.network import mmdb
from gateway_guard.network.mmdb import Decoder, open_bytes, open_file
from gateway_guard.network.vendors import recognise
from gateway_guard.network.writer import Encoder

FIXTURES = Path(__file__).parent / "fixtures"
BAD = sorted((FIXTURES / "maxmind-bad").glob("*.mmdb"))
PROBES = ("1.1.1.1", "2.125.160.216", "81.2.69.160", "0.0.0.0", "255.255.255.255", "2001:218::1")
REFUSED = {
    "bad-unicode-in-map-key",
    "cyclic-data-structure",
    "invalid-bytes-length",
    "invalid-data-record-offset",
    "invalid-map-key-length",
    "invalid-string-length",
    "libmaxminddb-deep-array-nesting",
    "libmaxminddb-deep-nesting",
    "libmaxminddb-metadata-marker-only",
    "libmaxminddb-offset-integer-overflow",
    "libmaxminddb-oversized-array",
    "libmaxminddb-oversized-map",
    "libmaxminddb-separator-record-max-left",
    "libmaxminddb-separator-record-min-left",
    "libmaxminddb-separator-record-min-right",
    "metadata-is-an-uint128",
    "unexpected-bytes",
}


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_a_bad_file_is_refused_or_harmless(path: Path) -> None:
    if path.stem in REFUSED:
        with pytest.raises(SourceError, match=re.escape(str(path))):
            open_file(path)
    else:
        opened = open_file(path)
        assert recognise(opened.database_type, opened.sample) is None


@pytest.mark.parametrize(
    "name",
    [
        "GeoIP2-City-Test-Broken-Double-Format",
        "GeoIP2-City-Test-Invalid-Node-Count",
        "MaxMind-DB-test-broken-pointers-24",
    ],
)
def test_a_damaged_database_is_refused_when_it_is_opened(name: str) -> None:
    with pytest.raises(SourceError, match=r"damaged|not a readable|outside"):
        open_file(FIXTURES / "maxmind" / f"{name}.mmdb")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "0 bytes, not an MMDB"),
        (b"x", "1 bytes, not an MMDB"),
        (b"<html>404 Not Found</html>", "not a readable MMDB"),
        (b"\x00" * 10_000, "not a readable MMDB"),
        (b"\x1f\x8b\x08" * 10, "a gzip file, not an MMDB file: unpack it"),
        (b"PK\x03\x04" * 10, "a zip file, not an MMDB file: unpack it"),
        (b"\xab\xcd\xefMaxMind.com", "not a readable MMDB"),
    ],
)
def test_what_is_no_database_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "x.mmdb"
    file.write_bytes(content)

    with pytest.raises(SourceError, match=message):
        open_file(file)


def test_a_bin_file_says_which_edition_to_fetch(tmp_path: Path) -> None:
    file = tmp_path / "IP2PROXY-LITE-PX1.BIN"
    file.write_bytes(b"\x01\x05\x19\x0a\x01" * 100)

    with pytest.raises(SourceError, match="network build --ip2proxy"):
        open_file(file)


def test_a_missing_file_and_a_folder_are_errors_that_name_them(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"gone\.mmdb: cannot be read: No such file"):
        open_file(tmp_path / "gone.mmdb")
    with pytest.raises(SourceError, match="cannot be read: Is a directory"):
        open_file(tmp_path)


def test_a_file_beyond_the_size_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mmdb, "MAX_BYTES", 1000)

    with pytest.raises(SourceError, match="larger than 1,000 bytes"):
        open_file(FIXTURES / "maxmind/GeoIP2-City-Test.mmdb")


def test_every_shortened_copy_is_refused_or_still_answers() -> None:
    whole = (FIXTURES / "maxmind/GeoIP2-Country-Test.mmdb").read_bytes()

    for size in range(0, len(whole), 97):
        try:
            opened = open_bytes(whole[:size], "cut")
        except SourceError:
            continue
        for probe in PROBES:
            opened.reader.get(probe)
    with pytest.raises(SourceError):
        open_bytes(whole[: len(whole) // 2], "cut")


WHOLE = (FIXTURES / "maxmind/GeoIP2-Enterprise-Test.mmdb").read_bytes()


@given(st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), max_size=12))
@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_scrambled_bytes_are_refused_or_answered_never_worse(
    changes: list[tuple[int, int]],
) -> None:
    scrambled = bytearray(WHOLE)
    for place, octet in changes:
        scrambled[place] = octet

    try:
        opened = open_bytes(bytes(scrambled), "scrambled")
    except SourceError:
        return

    adapter = recognise(opened.database_type, opened.sample)
    for record in opened.sample:
        if adapter is not None:
            adapter.read(record)


def test_a_record_that_expands_without_end_is_refused() -> None:
    # Each level holds two pointers to the one below: 14 small arrays, 2**14 values.
    data = bytearray(b"\xc0")
    places = [0]
    for _ in range(14):
        places.append(len(data))
        pointer = bytes([0x20 | places[-2] >> 8, places[-2] & 0xFF])
        data += bytes([2, 4]) + pointer + pointer

    with pytest.raises(ValueError, match="more than 4096 values"):
        Decoder(bytes(data), 0, len(data)).decode(places[-1])


def test_a_record_that_points_at_itself_is_refused() -> None:
    with pytest.raises(ValueError, match="pointer to a pointer"):
        Decoder(b"\x20\x00", 0, 2).decode(0)
    with pytest.raises(ValueError, match="nested deeper"):
        Decoder(bytes([1, 4, 0x20, 0]), 0, 4).decode(0)


@pytest.mark.parametrize(
    "raw",
    [b"", b"\x42a", b"\x44\xff\xff\xff\xff", b"\xe1\x01\x01", b"\x61\x00", b"\xa3\x00\x00\x00",
     b"\x02\x07", b"\x00\x20", b"\x1f\x04\xff\xff\xff", b"\x5f\xff\xff\xff",
     b"\x38\xff\xff\xff\xff"],
)  # fmt: skip
def test_a_value_that_is_not_sound_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        Decoder(raw, 0, len(raw)).decode(0)


def test_the_sample_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mmdb, "SAMPLED_NODES", 4)

    opened = open_file(FIXTURES / "maxmind/GeoIP2-ISP-Test.mmdb")

    assert len(opened.sample) <= 10


def test_the_encoder_is_what_the_decoder_expects() -> None:
    encoder = Encoder()
    place = encoder.record({"country_code": "NO"})

    assert Decoder(bytes(encoder.data), 0, len(encoder.data)).decode(place) == {
        "country_code": "NO"
    }


SURVIVOR = """
import os, sys
from pathlib import Path
from gateway_guard.network.mmdb import open_file
path = Path(sys.argv[1])
reader = open_file(path).reader
before = reader.get("81.2.69.160")["country"]["iso_code"]
with path.open("r+b") as file:
    file.write(b"\\x00" * 4096)
    file.truncate(int(sys.argv[2]))
after = [reader.get(f"{a}.2.69.160") for a in range(1, 224)]
print(before, reader.get("81.2.69.160")["country"]["iso_code"])
"""


@pytest.mark.parametrize("left", [0, 100, 10_000])
def test_a_file_truncated_and_overwritten_in_place_does_not_kill_the_process(
    tmp_path: Path, left: int
) -> None:
    file = tmp_path / "live.mmdb"
    file.write_bytes((FIXTURES / "maxmind/GeoIP2-Country-Test.mmdb").read_bytes())

    result = subprocess.run(
        [sys.executable, "-c", SURVIVOR, str(file), str(left)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        cwd=Path(mmdb.__file__).parents[2],
    )

    assert (result.returncode, result.stdout) == (0, "GB GB\n")


def test_without_proc_the_pure_reader_takes_over(monkeypatch: pytest.MonkeyPatch) -> None:
    real = maxminddb.open_database

    def no_proc(source: Any, mode: int = 0) -> object:
        if isinstance(source, str):
            raise FileNotFoundError(source)
        return real(source, mode)

    monkeypatch.setattr(maxminddb, "open_database", no_proc)

    opened = open_file(FIXTURES / "maxmind/GeoIP2-Country-Test.mmdb")

    assert opened.reader.get("81.2.69.160")["country"]["iso_code"] == "GB"


def test_without_memfd_a_nameless_temporary_file_serves(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def forbidden(*_: object) -> int:
        raise PermissionError("seccomp")

    monkeypatch.setattr(os, "memfd_create", forbidden)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    opened = open_file(FIXTURES / "maxmind/GeoIP2-Country-Test.mmdb")

    assert opened.reader.get("81.2.69.160")["country"]["iso_code"] == "GB"
    assert list(tmp_path.iterdir()) == []
