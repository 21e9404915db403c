"""Lines taken out of decision logs: those that were asked for, whatever else goes on there."""

from __future__ import annotations

import gzip
import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from gateway_guard.errors import SourceError
from gateway_guard.record.blanking import account_of, blank, parts
from gateway_guard.record.exporting import OWN, SCHEMAS, encoder
from gateway_guard.record.finding import Logs
from gateway_guard.record.line import Addresses, line
from tests import build

ONE, OTHER = "acct_aaaaaaaaaaaaaaaa", "acct_bbbbbbbbbbbbbbbb"


def decided(account: str | None, number: int = 0, *, path: str = "/v1/x", model: str = "m") -> Any:
    request = build.request(id=f"r_{number}", account=account, path=path, model=model)
    return build.exchange(request=request)


def log_of(*accounts: str | None) -> bytes:
    return b"".join(line(decided(account, number)) for number, account in enumerate(accounts))


@pytest.mark.parametrize("schema", [OWN, *SCHEMAS])
def test_lines_about_an_account_are_found_in_every_form_of_the_log(schema: str) -> None:
    encode = encoder(schema)

    assert account_of(encode(decided(ONE), Addresses.FULL)) == ONE
    assert account_of(encode(decided(None), Addresses.FULL)) is None


def test_lines_of_one_account_go_and_all_others_stay_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl"
    path.write_bytes(log_of(ONE, OTHER, ONE, None))
    before = path.stat()

    gone = blank(path, {ONE})

    assert gone == 2
    assert (path.stat().st_ino, path.stat().st_size) == (before.st_ino, before.st_size)
    assert ONE.encode() not in path.read_bytes()
    found = Logs([path])
    assert [json.loads(one.text)["id"] for one in found] == ["r_1", "r_3"]
    assert found.broken == 0
    assert blank(path, {ONE}) == 0


def test_a_client_that_writes_an_account_into_its_request_takes_no_line_away(
    tmp_path: Path,
) -> None:
    path = tmp_path / "d.jsonl"
    path.write_bytes(line(decided(OTHER, path=f"/v1/{ONE}", model=ONE)))

    assert blank(path, {ONE}) == 0
    assert json.loads(path.read_bytes())["model"] == ONE


def test_what_is_no_line_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl"
    odd = b'{"account":"%b"\n[1]\n\n%b half a line' % (ONE.encode(), ONE.encode())
    path.write_bytes(odd)

    assert blank(path, {ONE}) == 0
    assert path.read_bytes() == odd


def test_whoever_appends_meanwhile_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl"
    path.write_bytes(log_of(ONE))
    handle = os.open(path, os.O_WRONLY | os.O_APPEND)
    try:
        gone = blank(path, {ONE})
        os.write(handle, log_of(OTHER))
    finally:
        os.close(handle)

    assert gone == 1
    assert [json.loads(one.text)["account"] for one in Logs([path])] == [OTHER]


def test_a_gzipped_log_is_written_anew_for_those_who_could_read_it(tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl.1.gz"
    path.write_bytes(gzip.compress(log_of(ONE, OTHER)))
    path.chmod(0o640)

    assert blank(path, {ONE}) == 1
    assert [json.loads(one.text)["account"] for one in Logs([path])] == [OTHER]
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_log_that_is_not_there_or_damaged_is_named(tmp_path: Path) -> None:
    cut = tmp_path / "cut.gz"
    cut.write_bytes(gzip.compress(log_of(ONE))[:60])

    for path in (cut, tmp_path / "none"):
        with pytest.raises(SourceError, match=str(path)):
            blank(path, {ONE})


def test_rotated_parts_are_found_beside_a_log_and_others_are_not(tmp_path: Path) -> None:
    for name in ("d[1].log", "d[1].log.1", "d[1].log.2.gz", "d[1].log-20261124", "d1.log", "d.log"):
        (tmp_path / name).touch()

    names = {one.name for one in parts(tmp_path / "d[1].log")}

    assert names == {"d[1].log", "d[1].log.1", "d[1].log.2.gz", "d[1].log-20261124"}
