"""`gateway-guard network show|build|update`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gateway_guard.cli import build_app
from gateway_guard.errors import SourceError
from gateway_guard.network.database import NetworkDatabase
from gateway_guard.network.ranges import parse_range
from gateway_guard.network.writer import write_mmdb


def run(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(build_app("network"), ["network", *words])
    if isinstance(result.exception, SourceError):
        raise result.exception
    return result.exit_code, result.output


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A folder with one of each kind of source."""
    (tmp_path / "x4b_vpn.txt").write_text("9.0.0.0/24\n")
    (tmp_path / "la_apple_relay.txt").write_text("9.0.0.0/28\n")
    (tmp_path / "asn-ipv4-num.csv").write_text("150994944,151060479,64496,Example\n")
    first, last = parse_range("2a00::/32")
    (tmp_path / "asn-ipv6-num.csv").write_text(f"{first},{last},64497,Six\n")
    (tmp_path / "extra.txt").write_text("9.0.0.200\n")
    (tmp_path / "asns.txt").write_text("AS64497\n")
    (tmp_path / "country.mmdb").write_bytes(
        write_mmdb(
            [(*parse_range("9.0.0.0/8"), 0)], [{"country_code": "SE"}],
            database_type="t", description="", build_epoch=1,
        )
    )  # fmt: skip
    return tmp_path


def build(sources: Path, out: Path, *more: str) -> tuple[int, str]:
    return run(
        "build", "--sources", str(sources), "--country", str(sources / "country.mmdb"),
        "--asn", str(sources), "--list", f"tor={sources / 'extra.txt'}",
        "--asn-list", f"hosting={sources / 'asns.txt'}", "--date", "2026-08-22",
        "--out", str(out), *more,
    )  # fmt: skip


def test_a_build_joins_all_sources(sources: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mmdb"

    code, output = build(sources, out, "--format", "json")

    report: Any = json.loads(output)
    assert code == 0
    assert report["size"] == out.stat().st_size
    assert report["ipv4_addresses"]["vpn"] == 240
    database = NetworkDatabase([out])
    facts = database.lookup("9.0.0.200")
    assert (facts.country, facts.asn, facts.flags) == ("SE", 64496, frozenset({"tor", "vpn"}))
    assert database.lookup("9.0.0.1").flags == {"relay"}
    assert database.lookup("2a00::1").flags == {"hosting"}
    assert database.describe()[0]["built"] == "2026-08-22"


def test_a_build_takes_the_country_of_an_as_where_no_other_is_known(
    sources: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.mmdb"
    registered = tmp_path / "registered.mmdb"
    registered.write_bytes(
        write_mmdb(
            [(*parse_range("9.0.0.0/8"), 0), (*parse_range("2a00::/32"), 0)],
            [{"country_code": "NO"}], database_type="t", description="", build_epoch=1,
        )
    )  # fmt: skip

    code, _ = build(sources, out, "--registered", str(registered))

    database = NetworkDatabase([out])
    found = [database.lookup(ip).country for ip in ("9.0.0.1", "2a00::1")]
    assert (code, found) == (0, ["SE", "NO"])


def test_a_build_repeats_to_the_byte(sources: Path, tmp_path: Path) -> None:
    build(sources, tmp_path / "a.out")
    build(sources, tmp_path / "b.out")

    assert (tmp_path / "a.out").read_bytes() == (tmp_path / "b.out").read_bytes()


def test_a_build_that_fails_leaves_the_old_file(sources: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mmdb"
    out.write_bytes(b"old")
    (sources / "x4b_vpn.txt").write_text("9.0.0.0/24\nbroken\n")

    with pytest.raises(SourceError, match=r"x4b_vpn\.txt:2: 'broken'"):
        build(sources, out)

    assert out.read_bytes() == b"old"
    assert not list(tmp_path.glob("*.partial"))


@pytest.mark.parametrize(
    "words",
    [
        ["--list", "vnp=x"],
        ["--list", "tor"],
        ["--date", "22.8.2026", "--list", "tor=x"],
        ["--date", "1969-12-31", "--list", "tor=x"],
        ["--asn-list", "hosting=x"],
        [],
    ],
)
def test_a_build_from_nonsense_is_a_usage_error(tmp_path: Path, words: list[str]) -> None:
    assert run("build", "--out", str(tmp_path / "x"), *words)[0] == 2


@pytest.mark.parametrize("name", ["x4b_vpn.txt", "extra.txt", "asns.txt", "asn-ipv6-num.csv",
                                  "country.mmdb"])  # fmt: skip
def test_a_source_is_not_built_over(sources: Path, name: str) -> None:
    before = (sources / name).read_bytes()

    code, output = build(sources, sources / name)

    assert code == 2
    assert "would be written over what is read" in output
    assert (sources / name).read_bytes() == before


def test_a_build_of_nobodys_addresses_is_not_written(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("192.168.0.0/16\n2002::/16\n")

    with pytest.raises(SourceError, match="not written: the sources tell nothing"):
        run("build", "--list", f"tor={tmp_path / 'list.txt'}", "--out", str(tmp_path / "out.mmdb"))

    assert not (tmp_path / "out.mmdb").exists()


def test_show_names_the_bundle_and_its_date() -> None:
    code, output = run("show")

    assert code == 0
    assert "network.mmdb" in output
    assert "country asn network" in output


def test_show_says_what_is_broken(tmp_path: Path) -> None:
    (tmp_path / "x.mmdb").write_bytes(b"garbage")

    code, output = run("show", "--database", str(tmp_path / "x.mmdb"), "--format", "json")

    entries: Any = json.loads(output)
    assert code == 1
    assert "not an MMDB file" in entries[0]["error"]
    assert entries[1]["error"] is None


def test_update_reports_each_feed_and_fails_if_one_does(tmp_path: Path) -> None:
    code, output = run(
        "update", "--url", "own=http://127.0.0.1:1/x", "--dir", str(tmp_path), "--format", "json"
    )

    assert code == 1
    outcomes: Any = json.loads(output)
    assert outcomes[0]["name"] == "own"
    assert outcomes[0]["status"] == "failed"


def test_a_checksum_for_no_feed_is_a_usage_error(tmp_path: Path) -> None:
    code, _ = run(
        "update",
        "--url",
        "own=http://127.0.0.1:1/x",
        "--dir",
        str(tmp_path),
        "--sha256",
        "onw=auto",
    )

    assert code == 2


def test_a_feed_that_makes_no_sense_is_a_usage_error(tmp_path: Path) -> None:
    code, output = run("update", "--url", "a=ftp://example.org/x", "--dir", str(tmp_path))

    assert code == 2
    assert "https://" in output
