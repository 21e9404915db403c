"""`gateway-guard lookup`."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import gateway_guard
from gateway_guard.cli import build_app
from gateway_guard.cli.lookup import batches
from gateway_guard.network.build import merge_flags
from gateway_guard.network.ranges import parse_range

ROOT = Path(gateway_guard.__file__).parents[1]
GOOGLE = {
    "ip": "8.8.8.8", "country": "US", "asn": 15169, "as_org": "Google LLC", "network": ["hosting"],
}  # fmt: skip


def run(*words: str, stdin: bytes | None = None) -> tuple[int, str]:
    result = CliRunner().invoke(build_app("lookup"), ["lookup", *words], input=stdin)
    return result.exit_code, result.output


def run_json(*words: str, stdin: bytes | None = None) -> tuple[int, list[dict[str, object]]]:
    code, output = run(*words, "--format", "json", stdin=stdin)
    return code, [json.loads(line) for line in output.splitlines()]


def test_a_byte_order_mark_is_no_part_of_an_address() -> None:
    code, lines = run_json("-", stdin="\ufeff8.8.8.8\n \ufeff 8.8.8.8\n".encode())

    assert code == 0
    assert [line["ip"] for line in lines] == ["8.8.8.8", "8.8.8.8"]


def test_one_json_line_has_exactly_the_promised_keys() -> None:
    assert run_json("8.8.8.8") == (0, [GOOGLE])


def test_addresses_on_standard_input_give_a_line_each() -> None:
    code, lines = run_json("-", stdin=b"8.8.8.8\n\n  8.8.8.8\r\n8.8.8.8")

    assert (code, lines) == (0, [GOOGLE] * 3)


def test_a_bad_address_has_an_error_and_the_rest_goes_on() -> None:
    code, lines = run_json("-", stdin=b"8.8.8\n8.8.8.8\n\xff\xfe\n8.8.8.8/24\n")

    assert code == 1
    assert [line.get("error") for line in lines] == [
        "not an IP address", None, "not an IP address",
        "not an IP address alone; ask for 8.8.8.8",
    ]  # fmt: skip
    assert lines[0]["ip"] == "8.8.8"
    assert lines[1] == GOOGLE


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("8.8.8.8:443", "8.8.8.8"), ("[2001:db8::1]:443", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"), ("8.8.8.0/24", "8.8.8.0"),
        ("2001:db8::/32", "2001:db8::"), ("fe80::1%eth0", "fe80::1"),
        ("8.8.8.8 - - [24/Nov/2026] GET http://192.0.2.1/", "8.8.8.8"),
        ("8.8.8.8,acct-1", "8.8.8.8"), ("8.8.8.8\tacct", "8.8.8.8"), ('"8.8.8.8"', "8.8.8.8"),
        ("socks5://8.8.8.8:1080", "8.8.8.8"), ("::ffff:8.8.8.8/128", "8.8.8.8"),
    ],
)  # fmt: skip
def test_a_line_of_more_than_an_address_says_what_to_ask_for(line: str, meant: str) -> None:
    code, (answer,) = run_json("-", stdin=line.encode())

    assert code == 1
    assert answer["error"] == f"not an IP address alone; ask for {meant}"
    assert (answer["ip"], answer["country"], answer["network"]) == (line, None, [])


@pytest.mark.parametrize(
    "line",
    ["# exits", "ip", "example.com", "8.8.8", "008.8.8.8", "8.8.8.8.", "1" * 2_000, "[", "٣.1"],
)
def test_a_line_that_begins_with_none_is_no_address(line: str) -> None:
    code, (answer,) = run_json("-", stdin=line.encode())

    assert (code, answer["error"]) == (1, "not an IP address")


def test_an_argument_that_is_not_utf8_is_an_address_as_bad_as_any() -> None:
    code, lines = run_json("8.8.8.8", "8\udcff")

    assert code == 1
    assert [(line["ip"], line.get("error")) for line in lines] == [
        ("8.8.8.8", None), ("8\ufffd", "not an IP address"),
    ]  # fmt: skip


def test_another_spelling_is_answered_as_the_guard_sees_it() -> None:
    code, lines = run_json("::ffff:8.8.8.8")

    assert code == 0
    assert lines == [GOOGLE | {"ip": "::ffff:8.8.8.8", "canonical": "8.8.8.8"}]


def test_flags_are_sorted() -> None:
    _, (line,) = run_json("5.2.67.226")

    assert line["network"] == ["hosting", "tor"]


def test_nothing_known_of_an_address_is_no_error() -> None:
    assert run_json("10.0.0.1") == (
        0,
        [{"ip": "10.0.0.1", "country": None, "asn": None, "as_org": None, "network": []}],
    )


def test_an_own_database_goes_over_the_bundle_or_alone(tmp_path: Path) -> None:
    own = tmp_path / "own.mmdb"
    own.write_bytes(merge_flags({"vpn": [parse_range("8.8.8.0/24")]}, build_epoch=1))

    _, over = run_json("8.8.8.8", "--database", str(own))
    _, alone = run_json("8.8.8.8", "--database", str(own), "--alone")

    assert over == [GOOGLE | {"network": ["hosting", "vpn"]}]
    assert alone == [
        {"ip": "8.8.8.8", "country": None, "asn": None, "as_org": None, "network": ["vpn"]}
    ]


def test_no_database_that_answers_is_an_error_of_the_line(tmp_path: Path) -> None:
    vendor = Path(__file__).parent / "fixtures/maxmind/GeoIP2-Anonymous-IP-Test.mmdb"
    v4 = tmp_path / "v4.txt"
    v4.write_text("192.0.2.1\n")

    code, lines = run_json(
        "8.8.8.8", "--database", str(vendor), "--database", f"tor={v4}", "--alone"
    )

    assert (code, lines[0]["network"]) == (0, [])


def test_the_table_is_readable() -> None:
    code, output = run("8.8.8.8", "::ffff:5.2.67.226", "nonsense")

    assert code == 1
    lines = output.splitlines()
    assert lines[0].split() == ["address", "country", "AS", "operator", "network"]
    assert lines[1].split() == ["8.8.8.8", "US", "AS15169", "Google", "LLC", "hosting"]
    assert "::ffff:5.2.67.226 = 5.2.67.226" in lines[2]
    assert lines[2].split()[-2:] == ["hosting", "tor"]
    assert "not an IP address" in lines[3]


def test_text_from_standard_input_is_tab_separated() -> None:
    code, output = run("-", stdin=b"8.8.8.8\n")

    assert (code, output) == (0, "8.8.8.8\tUS\tAS15169\tGoogle LLC\thosting\n")


@pytest.mark.parametrize("words", [["\x1b[31mred"], ["-"]])
def test_input_does_not_drive_the_terminal(words: list[str]) -> None:
    _, output = run(*words, stdin=b"\x1b[31mred\n")

    assert "\x1b" not in output
    assert "[31mred" in output


@pytest.mark.parametrize(
    "words", [[], ["-", "8.8.8.8"], ["8.8.8.8", "--alone"], ["8.8.8.8", "--format", "xml"]]
)
def test_words_that_make_no_sense_are_usage_errors(words: list[str]) -> None:
    assert run(*words)[0] == 2


def test_a_database_that_cannot_be_read_ends_with_3(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "gateway_guard.cli", "lookup", "8.8.8.8", "--database",
         str(tmp_path / "none.mmdb")],
        capture_output=True, text=True, check=False, timeout=60, cwd=ROOT,
    )  # fmt: skip

    assert result.returncode == 3
    assert "none.mmdb: cannot be read: No such file" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_program_may_ask_line_by_line() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "gateway_guard.cli", "lookup", "-", "--format", "json"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None

    answers = []
    for _ in range(3):
        process.stdin.write(b"8.8.8.8\n")
        process.stdin.flush()
        answers.append(json.loads(process.stdout.readline()))
    process.stdin.close()

    assert answers == [GOOGLE] * 3
    assert process.wait(30) == 0
    process.stdout.close()


def test_an_endless_line_is_one_bad_line_in_bounded_memory() -> None:
    stream = io.BytesIO(b"1" * 10_000_000 + b"\n8.8.8.8\n")

    texts = [text for batch in batches(stream) for text in batch]

    assert len(texts) == 2
    assert len(texts[0]) <= 70_000
    assert texts[1] == "8.8.8.8"


def test_lines_split_over_reads_stay_whole() -> None:
    class Trickle(io.BytesIO):
        def read1(self, _size: int | None = -1, /) -> bytes:
            return super().read1(3)

    texts = [text for batch in batches(Trickle(b"192.0.2.1\n192.0.2.2\n::1")) for text in batch]

    assert texts == ["192.0.2.1", "192.0.2.2", "::1"]


def test_a_file_that_could_not_be_asked_is_named(tmp_path: Path) -> None:
    code, output = run("8.8.8.8", "--database", str(tmp_path))

    assert code == 0
    assert f"not asked: {tmp_path}: cannot be read: no .mmdb file in this folder" in output
    assert "Google LLC" in output
