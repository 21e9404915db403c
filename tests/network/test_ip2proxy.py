"""IP2Proxy's CSV files, from which the compiler takes what flags addresses."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway_guard.cli import build_app
from gateway_guard.errors import SourceError
from gateway_guard.network.database import NetworkDatabase
from gateway_guard.network.ip2proxy import read_ip2proxy
from gateway_guard.network.ranges import Range, parse_range

CIDR = """\
"9.0.4.0/24","RES","AU","Australia","Queensland","Brisbane","APNIC"
"9.0.5.7","VPN","AU","Australia"
"9.0.6.0/24","DCH","AU","Australia"
"9.0.7.0/24","CPN","AU","Australia"
"9.0.8.0/24","EPN","AU","Australia"
"9.0.9.0/24","-","-","-"
"2a00:1::/64","TOR","DE","Germany"
"""


def read(tmp_path: Path, text: str) -> dict[str, list[Range]]:
    file = tmp_path / "proxies.csv"
    file.write_text(text, "utf-8")
    return read_ip2proxy(file)


def test_each_type_is_the_flag_it_is_in_an_mmdb(tmp_path: Path) -> None:
    assert read(tmp_path, CIDR) == {
        "residential": [parse_range("9.0.4.0/24")],
        "vpn": [parse_range("9.0.5.7")],
        "hosting": [parse_range("9.0.6.0/24")],
        "relay": [parse_range("9.0.7.0/24")],
        "tor": [parse_range("2a00:1::/64")],
    }


@pytest.mark.parametrize(
    ("line", "ranges"),
    [
        ('"150996224","150996479","PUB","AU"', [parse_range("9.0.5.0/24")]),
        # IPv4 as the IPv6 file has it
        ('"281470832739584","281470832739839","PUB"', [parse_range("9.0.5.0/24")]),
        ('"55827575902194629176224234125318422528","55827575902194629176224234125318422529","WEB"',
         [parse_range("2a00:1::/127")]),
        ("9.0.5.0/25,PUB\n9.0.5.128/25,WEB", [parse_range("9.0.5.0/24")]),
        ("network,proxy_type\n9.0.5.0/24,PUB\n\n", [parse_range("9.0.5.0/24")]),
        ("\ufeff9.0.5.0/24,PUB", [parse_range("9.0.5.0/24")]),
    ],
)  # fmt: skip
def test_ranges_are_read_in_every_form(tmp_path: Path, line: str, ranges: list[Range]) -> None:
    assert read(tmp_path, line) == {"proxy": ranges}


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("9.0.5.0/24,PUB\n9.0.6.0/33,PUB", ":2: not `CIDR,type"),
        ("9.0.5.0/24,PUB\nnetwork,PUB", ":2: not `CIDR,type"),
        ("9.0.5.0/24", ":1: not `CIDR,type"),
        ("150996479,150996224,PUB", ":1: not"),
        ("150996479,PUB,AU", ":1: not"),
        (f"1,{1 << 128},PUB", ":1: not"),
        # one that would flag everybody
        ("0.0.0.0/0,VPN", ":1: not"),
        ("0,4294967295,RES", ":1: not"),
        ("9.0.5.0/24,SES\n9.0.6.0/24,-", "no proxy in it"),
        ("", "no proxy in it"),
    ],
)
def test_what_makes_no_sense_is_told_with_its_line(tmp_path: Path, text: str, part: str) -> None:
    with pytest.raises(SourceError, match=part):
        read(tmp_path, text)


def test_the_binary_edition_and_a_missing_file_are_told(tmp_path: Path) -> None:
    file = tmp_path / "PX12.BIN"
    file.write_bytes(b"\x0c\x0b\x1a\x08\xff\xfe" * 50)

    with pytest.raises(SourceError, match="BIN edition"):
        read_ip2proxy(file)
    with pytest.raises(SourceError, match="No such file"):
        read_ip2proxy(tmp_path / "none.csv")


def test_a_build_of_it_answers_look_ups(tmp_path: Path) -> None:
    source, out = tmp_path / "proxies.csv", tmp_path / "proxies.mmdb"
    source.write_text(CIDR)

    done = CliRunner().invoke(
        build_app("network"), ["network", "build", "--ip2proxy", str(source), "--out", str(out)]
    )

    assert done.exit_code == 0, done.output
    database = NetworkDatabase([out])
    assert database.lookup("9.0.4.9").flags == {"residential"}
    assert database.lookup("2a00:1::9").flags == {"tor"}
    assert not database.lookup("9.0.8.1").flags
