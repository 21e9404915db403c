"""Recorded traffic as gateways write it: the same exchange in several ways."""

from __future__ import annotations

import json
from contextlib import closing
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from gateway_guard.cli.traffic import Malformed, Recorded, Traffic, as_recorded
from gateway_guard.core.identify import identify
from gateway_guard.core.sections import Identify, Inspect
from gateway_guard.types import Inspection, Request
from tests import build

EVERYWHERE = (ip_network("0.0.0.0/0"), ip_network("::/0"))
CHAT = {"model": "apex-4", "messages": [{"role": "user", "content": "hello"}]}
LINE = {"at": build.NOW, "method": "POST", "path": "/v1/messages", "body": CHAT}


def read(folder: Path, content: bytes | dict[str, Any]) -> Recorded | Malformed:
    """The only line of a file of `content`."""
    file = folder / "traffic.jsonl"
    file.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    with closing(Traffic(file)) as traffic:
        (line,) = traffic
    return line


def good(folder: Path, **more: Any) -> Recorded:
    line = read(folder, LINE | more)
    assert isinstance(line, Recorded)
    return line


def asked(line: Recorded) -> Request:
    """As `replay` identifies it under a policy without an `identify` section."""
    return identify(
        line.wire(1_000), as_recorded(Identify(), EVERYWHERE), Inspect(), id="r1", at=line.at,
        secret=b"secret" * 4, keys={},
    )  # fmt: skip


def test_the_query_of_a_path_is_no_part_of_the_path(tmp_path: Path) -> None:
    request = asked(good(tmp_path, path="/v1/messages?beta=true"))

    assert (request.path, request.inspection) == ("/v1/messages", Inspection.FULL)
    assert request.model == "apex-4"


@pytest.mark.parametrize(
    "headers",
    [
        {"user-agent": "curl/8", "x-ja4": "t13d", "accept": "a"},
        {"User-Agent": "curl/8", "X-JA4": "t13d", "Accept": ["a"], "Cookie": None},
        [["User-Agent", "curl/8"], ["x-ja4", "t13d"], ["accept", "a"]],
    ],
)
def test_headers_are_an_object_or_a_list_of_pairs_in_any_case(
    headers: object, tmp_path: Path
) -> None:
    line = good(tmp_path, headers=headers)

    assert line.headers == [("user-agent", "curl/8"), ("x-ja4", "t13d"), ("accept", "a")]
    assert asked(line).client.tls == "t13d"


def test_a_header_in_several_lines_is_several_headers(tmp_path: Path) -> None:
    line = good(tmp_path, headers={"Accept": ["a", "b"], "Content-Length": 5})

    assert line.headers == [("accept", "a"), ("accept", "b"), ("content-length", "5")]


@pytest.mark.parametrize("headers", [None, {}, []])
def test_no_headers_are_no_headers(headers: object, tmp_path: Path) -> None:
    assert good(tmp_path, headers=headers).headers == []


def test_a_declared_content_type_is_believed_in_any_case(tmp_path: Path) -> None:
    said = {"Content-Type": "text/plain"}

    assert asked(good(tmp_path, headers=said)).inspection is Inspection.CONTENT_TYPE
    assert asked(good(tmp_path)).inspection is Inspection.FULL


@pytest.mark.parametrize("body", [None, ""])
def test_a_body_of_null_was_none(body: object, tmp_path: Path) -> None:
    line = good(tmp_path, body=body)

    assert line.wire(1_000).body is None
    assert asked(line).inspection is Inspection.NONE


def test_a_body_of_text_is_that_text(tmp_path: Path) -> None:
    text = '{ "model":"apex-4",  "messages":[] }'

    assert good(tmp_path, body=text).wire(1_000).body == text.encode()
    assert asked(good(tmp_path, body="no JSON")).inspection is Inspection.NOT_JSON


def test_a_body_beyond_the_policys_bound_is_not_read(tmp_path: Path) -> None:
    line = good(tmp_path)

    assert line.wire(len(line.body)).body == line.body
    assert line.wire(len(line.body) - 1).body is None
    assert line.wire(len(line.body) - 1).body_too_large


def test_what_was_written_down_is_encoded_no_more(tmp_path: Path) -> None:
    line = good(tmp_path, headers={"Content-Encoding": "gzip"})

    assert asked(line).inspection is Inspection.FULL


def test_half_a_surrogate_pair_is_judged_as_it_would_be_live(tmp_path: Path) -> None:
    line = good(tmp_path, body={"model": "apex-4", "prompt": "cut \ud83d"})

    assert asked(line).inspection is Inspection.CHARSET
    assert isinstance(read(tmp_path, LINE | {"account": "\ud83d"}), Malformed)


@pytest.mark.parametrize("at", [build.NOW, str(build.NOW), "2026-08-23T00:00:00Z"])
def test_a_time_is_unix_seconds_or_a_date(at: object, tmp_path: Path) -> None:
    line = good(tmp_path, at=at)

    assert abs(line.at - build.NOW) < 366 * 86_400.0


@pytest.mark.parametrize("at", [build.NOW * 1000, "noon", ""])
def test_milliseconds_are_no_time(at: object, tmp_path: Path) -> None:
    line = read(tmp_path, LINE | {"at": at})

    assert isinstance(line, Malformed)
    assert line.reason.startswith("Expected Unix seconds (milliseconds?) or an ISO 8601 date")


def test_ids_and_accounts_may_be_numbers(tmp_path: Path) -> None:
    line = good(tmp_path, id=7, account=12)

    assert (line.id, line.account) == (7, "12")


@pytest.mark.parametrize("nothing", [None, ""])
def test_an_id_or_account_of_nothing_is_none(nothing: object, tmp_path: Path) -> None:
    line = good(tmp_path, id=nothing, account=nothing)

    assert (line.id, line.account) == ("line 1", None)
    assert asked(line).account is None


@pytest.mark.parametrize(
    ("written", "seen"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("192.0.2.1:4711", "192.0.2.1"),
        ("[2001:db8::1]:4711", "2001:db8::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::1"),
        ("192.0.2.1, 192.0.2.2", None),
        ("-", None),
        ("", None),
        (None, None),
    ],
)
def test_an_address_may_have_its_port(
    written: str | None, seen: str | None, tmp_path: Path
) -> None:
    request = asked(good(tmp_path, client_ip=written, headers={"x-ja4": "t13d"}))

    assert request.client_ip == seen
    # Whoever recorded the traffic saw the handshake, wherever it came from.
    assert request.client.tls == "t13d"


@pytest.mark.parametrize(
    ("usage", "read_as"),
    [
        (None, None),
        ({}, (None, None)),
        ({"input_tokens": 3, "output_tokens": None}, (3, None)),
        ({"input_tokens": 3.0, "output_tokens": "4"}, (3, 4)),
        ({"input_tokens": -3, "output_tokens": 10**13}, (None, None)),
        ({"input_tokens": "many", "output_tokens": 10**400}, (None, None)),
    ],
)
def test_a_count_that_makes_no_sense_is_one_nobody_told(
    usage: object, read_as: object, tmp_path: Path
) -> None:
    assert good(tmp_path, usage=usage).usage == read_as


def test_a_byte_order_mark_is_no_part_of_the_first_line(tmp_path: Path) -> None:
    line = json.dumps(LINE).encode()

    assert isinstance(read(tmp_path, b"\xef\xbb\xbf" + line), Recorded)
    assert isinstance(read(tmp_path, b"\xef\xbb\xbf\n" + line), Recorded)
    assert isinstance(read(tmp_path, b"\xef\xbb\xbf" * 2 + line), Malformed)
